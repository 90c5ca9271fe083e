//! The report for a person, at 3 a.m.: verb, count, bytes, place, reason.

use super::{BackedUp, Check, Counter, Leaves, Means, Ran, Report, Rescue, Target, Work, need_in_words};
use crate::{clock, exit::Status};
use maint_core::{
    orphans::Orphan,
    text::{count, grouped, printable},
    units::ByteSize,
};
use std::fmt::Write as _;

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    if !report.checks.is_empty() {
        render_checks(&mut text, &report.checks);
        let _ = writeln!(text, "\n{}", summary_of_checks(report));
        return text;
    }
    if report.is_dry_run() {
        text.push_str("DRY RUN: nothing has been changed.\n\n");
    }
    for rescue in &report.rescues {
        render_rescue(&mut text, rescue);
        text.push('\n');
    }
    for target in &report.targets {
        render_target(&mut text, target);
        text.push('\n');
    }
    if let Some(signal) = report.interrupted {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Interrupted by signal {signal}: what is left is for the next run.\n");
    }
    let _ = writeln!(text, "{}", summary(report));
    text
}

/// A line for each finding, the worst first, with what to do below it.
fn render_checks(text: &mut String, checks: &[Check]) {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut checks: Vec<&Check> = checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status.gravity()));
    for check @ Check { name, message, next, .. } in checks {
        let word = if check.is_measured { check.word().to_uppercase() } else { "-".to_owned() };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{word:<8}  {name:<width$}  {message}");
        if let Some(next) = next {
            let _ = writeln!(text, "{:<8}  {:<width$}  next: {next}", "", "");
        }
    }
}

fn summary_of_checks(report: &Report) -> String {
    let wrong = report.checks.iter().filter(|check| check.status != Status::Ok).count();
    let checks = count(report.checks.len() as u64, "check");
    let wrong = if wrong == 0 { "all well".to_owned() } else { format!("{wrong} not well") };
    format!("{}: {checks}, {wrong}, in {:.1} s: {}", report.tool, report.seconds, report.status().word())
}

fn render_rescue(text: &mut String, rescue: &Rescue) {
    let Rescue { volume, place, until, before, after, .. } = rescue;
    let name = if volume == place { String::new() } else { format!("{volume}: ") };
    let from = rescue.at.map(|at| format!("from {at} ")).unwrap_or_default();
    let dry = if rescue.dry_run { ", dry run" } else { "" };
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "{name}{place} (emergency {from}until {until}{dry})");
    let mut row = |label: &str, what: String| {
        let _ = writeln!(text, "  {label:<15}{what}");
    };
    let is_untold = rescue.means == Means::Commands && rescue.dry_run;
    if rescue.acted && is_untold {
        row("ladder", rescue.ladder());
        row("storage", format!("{} used; what comes free only the commands know", rescue.fill(before)));
    } else if rescue.acted {
        row("ladder", rescue.ladder());
        let will = if rescue.dry_run { "would be" } else { "now" };
        let left = after.inodes.filter(|_| rescue.need.bytes == 0).map_or_else(
            || format!("{} free", ByteSize::from_bytes(after.available)),
            |inodes| format!("{} free", count(inodes.available, "inode")),
        );
        row("storage", format!("{} used, {will} {}, {left}", rescue.fill(before), rescue.fill(after)));
        if !rescue.is_reached() {
            let missing = need_in_words(rescue.until.need(after));
            let will = if rescue.dry_run { "cannot be" } else { "was not" };
            row("not reached", format!("{until} {will} reached: {missing} missing"));
        }
    } else if rescue.status != Status::Refused {
        row("storage", format!("{} used: nothing to do", rescue.fill(before)));
    }
    if rescue.status != Status::Ok {
        row("status", rescue.status.word().to_uppercase());
    }
    for note in &rescue.notes {
        row("", note.clone());
    }
}

fn render_target(text: &mut String, target: &Target) {
    let dry = if target.dry_run { ", dry run" } else { "" };
    let name = if target.name == target.place { String::new() } else { format!("{}: ", target.name) };
    let _ = writeln!(text, "{name}{} ({}{dry})", target.place, target.policy);
    let mut row = |label: &str, what: String| {
        let _ = writeln!(text, "  {label:<15}{what}");
    };
    let n = |counter| target.counts.get(counter);
    let bytes = |counter| ByteSize::from_bytes(n(counter)).to_string();
    let files = |counter| count(n(counter), "file");
    match &target.work {
        Work::Files => {}
        Work::Command(ran) => render_command(&mut row, target, ran.as_ref()),
        Work::Backup(backup) => render_backup(&mut row, target, backup),
    }
    if looked(target) {
        row("found", format!("{}{}", files(Counter::FilesScanned), in_brackets(&target.by_pattern)));
        if let Some((oldest, newest)) = target.span {
            row("oldest, newest", format!("{}, {}", clock::local(oldest), clock::local(newest)));
        }
        let all = format!("{}; {}", bytes(Counter::BytesSelected), bytes(Counter::BytesToFree));
        if target.dry_run && target.status != Status::Refused {
            let now = n(Counter::FilesSelected) - n(Counter::Remaining).min(n(Counter::FilesSelected));
            let (size, frees) = (bytes(Counter::BytesSelected), bytes(Counter::BytesToFree));
            let label = format!("to be {}", target.leaves.word());
            row(&label, format!("{}, {size}; frees {frees} on disk", count(now, "file")));
        } else if target.gone() == 0 && target.status == Status::Refused {
            row("would go", format!("{}, {all} on disk", files(Counter::FilesSelected)));
        } else {
            let folders = match n(Counter::FoldersDeleted) {
                0 => String::new(),
                folders => format!(" and {}", count(folders, "empty folder")),
            };
            let freed = bytes(Counter::BytesFreed);
            row(
                target.leaves.word(),
                format!("{}{folders}; freed {freed} on disk", count(target.gone(), "file")),
            );
        }
        for (reason, files) in &target.reasons {
            row("", format!("{} {reason}", grouped(*files)));
        }
        row("kept", kept(target));
        if n(Counter::Orphans) > 0 {
            row("orphans", files(Counter::Orphans));
        }
        for orphan in &target.orphans {
            row("", orphan_in_words(target, orphan));
        }
        for (counter, label, what) in [
            (Counter::Remaining, "remaining", "for the next run"),
            (Counter::FilesChanged, "changed", "changed while this ran and stayed"),
            (Counter::Unclaimed, "unclaimed", "removed after a last look, without a claim"),
            (Counter::Recovered, "recovered", "that a killed run had claimed"),
        ] {
            if n(counter) > 0 {
                row(label, format!("{} {what}", files(counter)));
            }
        }
        if let Some(storage) = target.storage {
            row("storage", storage_in_words(storage, target.dry_run));
        }
    }
    if target.status != Status::Ok {
        row("status", target.status.word().to_uppercase());
    }
    for note in &target.notes {
        row("", note.clone());
    }
    for failure in &target.errors {
        row("failed", format!("{} {}: {}", failure.operation, failure.path, failure.error));
    }
    let untold = n(Counter::Errors).saturating_sub(target.errors.len() as u64);
    if untold > 0 {
        row("failed", format!("and {} more", grouped(untold)));
    }
}

fn orphan_in_words(target: &Target, orphan: &Orphan) -> String {
    let Orphan { path, size, age, known, looks, is_due } = orphan;
    let goes = if *is_due { "may go" } else { "waits" };
    format!(
        "{}/{}: {}, {} old, known for {}, {}: {goes}",
        target.place,
        printable(path),
        ByteSize::from_bytes(*size),
        age.roughly(),
        known.roughly(),
        count(u64::from(*looks), "look")
    )
}

fn render_command(row: &mut impl FnMut(&str, String), target: &Target, ran: Option<&Ran>) {
    match ran {
        None if target.dry_run && target.status == Status::Ok => row("would run", target.place.clone()),
        None => {}
        Some(Ran { ended, seconds, freed }) => {
            let freed: Vec<String> = freed
                .iter()
                .map(|(volume, bytes)| format!("{} on {volume}", ByteSize::from_bytes(*bytes)))
                .collect();
            let freed = if freed.is_empty() { "nothing".to_owned() } else { freed.join(", ") };
            row("ran", format!("{seconds:.1} s, {ended}; freed {freed}"));
            if let Some(storage) = target.storage {
                row("storage", storage_in_words(storage, false));
            }
        }
    }
}

fn render_backup(row: &mut impl FnMut(&str, String), target: &Target, backup: &BackedUp) {
    let n = |counter| target.counts.get(counter);
    if let Some(id) = &backup.id {
        let (bytes, of) =
            (ByteSize::from_bytes(backup.bytes), ByteSize::from_bytes(n(Counter::DatabaseBytes)));
        let rows = count(n(Counter::BackupRows), "row");
        row("backup", format!("{id}: {bytes} of {of}, {rows}"));
        row("proved", backup.verified.to_owned());
    }
    if !backup.steps.is_empty() {
        let steps: Vec<String> =
            backup.steps.iter().map(|(step, seconds)| format!("{step} {seconds:.1} s")).collect();
        row("took", steps.join(", "));
    }
    for found in &backup.found {
        row("found", found.clone());
    }
    if n(Counter::BackupsKept) > 0 {
        row(
            "there",
            format!(
                "{}, {} proved",
                count(n(Counter::BackupsKept), "backup"),
                grouped(n(Counter::BackupsProven))
            ),
        );
    }
    for (id, why) in &backup.kept {
        row("stays", format!("{id}: {why}"));
    }
    let label = if target.dry_run { "would go" } else { "removed" };
    for id in &backup.removed {
        row(label, id.clone());
    }
}

fn storage_in_words((before, after): (f64, f64), dry_run: bool) -> String {
    let will = if dry_run { "would be" } else { "now" };
    format!("{before:.1}% used, {will} {after:.1}%")
}

/// Whether there is anything to tell beside why nothing was done.
fn looked(target: &Target) -> bool {
    !target.by_pattern.is_empty()
}

fn in_brackets(pairs: &[(String, u64)]) -> String {
    let list: Vec<String> =
        pairs.iter().map(|(pattern, files)| format!("{pattern} {}", grouped(*files))).collect();
    format!(" ({})", list.join(", "))
}

fn kept(target: &Target) -> String {
    let total = target.kept.iter().map(|(_, n)| n).sum();
    let reasons: Vec<String> =
        target.kept.iter().map(|(why, n)| format!("{} {}", grouped(*n), why.replace('-', " "))).collect();
    if reasons.is_empty() {
        count(total, "file")
    } else {
        format!("{}: {}", count(total, "file"), reasons.join(", "))
    }
}

fn summary(report: &Report) -> String {
    let total = |counter, dry: bool| {
        let targets = report.targets.iter().filter(|target| target.dry_run == dry);
        targets.map(|target| target.counts.get(counter)).fold(0, u64::saturating_add)
    };
    let ways = |way| report.targets.iter().any(|target| !target.dry_run && target.leaves == way);
    let verb = match (ways(Leaves::Removed), ways(Leaves::Moved), ways(Leaves::Archived)) {
        (true, false, false) => "removed",
        (false, true, false) => "moved",
        (false, false, true) => "archived",
        _ => "removed, moved or archived",
    };
    let is_command = |target: &Target| matches!(target.work, Work::Command(_));
    let is_backup = |target: &Target| matches!(target.work, Work::Backup(_));
    let clause = |dry: bool| {
        let mut targets = report.targets.iter().filter(|target| target.dry_run == dry);
        if targets.clone().all(is_command) {
            return commands_in_words(report, dry);
        }
        if targets.all(is_backup) {
            return backups_in_words(report, dry);
        }
        let (files, bytes, verb) = if dry {
            let remaining = total(Counter::Remaining, dry);
            (total(Counter::FilesSelected, dry).saturating_sub(remaining), Counter::BytesToFree, "would go")
        } else {
            let gone = report.targets.iter().filter(|target| !target.dry_run).map(Target::gone);
            (gone.fold(0, u64::saturating_add), Counter::BytesFreed, verb)
        };
        let of = count(total(Counter::FilesScanned, dry), "file");
        let freed = ByteSize::from_bytes(total(bytes, dry));
        let free = if dry { format!("{freed} would come free") } else { format!("{freed} freed") };
        format!("{} of {of} {verb}, {free}", grouped(files))
    };
    let has = |dry: bool| report.targets.iter().any(|target| target.dry_run == dry);
    let clauses: Vec<String> = [false, true].into_iter().filter(|dry| has(*dry)).map(clause).collect();
    let what = if clauses.is_empty() { "nothing was begun".to_owned() } else { clauses.join("; dry: ") };
    let ended = if report.interrupted.is_some() { "interrupted" } else { report.status().word() };
    let mut targets = count(report.targets.len() as u64, "section");
    if !report.rescues.is_empty() {
        targets = format!("{}, {targets}", count(report.rescues.len() as u64, "volume"));
    }
    format!("{}: {targets}, {what}, in {:.1} s: {ended}", report.tool, report.seconds)
}

/// A report of commands says how many were run.
fn commands_in_words(report: &Report, dry: bool) -> String {
    if dry {
        let ready = |target: &&Target| target.dry_run && target.status == Status::Ok;
        return format!("{} would run", count(report.targets.iter().filter(ready).count() as u64, "command"));
    }
    let run = count(report.total(Counter::CommandsRun), "command");
    let freed = ByteSize::from_bytes(report.total(Counter::BytesFreed));
    format!("{run} run, {freed} freed")
}

/// A report of backups says how many were made, and what is proved.
fn backups_in_words(report: &Report, dry: bool) -> String {
    let backups = report.targets.iter().filter(|target| target.dry_run == dry).filter_map(|target| {
        match &target.work {
            Work::Backup(backup) => Some(backup),
            Work::Files | Work::Command(_) => None,
        }
    });
    let (mut made, mut bytes, mut restored, mut removed) = (0, 0, 0, 0);
    for backup in backups {
        made += u64::from(backup.id.is_some());
        restored += u64::from(backup.verified == "restore");
        bytes += backup.bytes;
        removed += backup.removed.len() as u64;
    }
    if dry {
        let databases =
            count(report.targets.iter().filter(|target| target.dry_run).count() as u64, "database");
        return format!("{databases} would be backed up, {} would be removed", count(removed, "backup"));
    }
    let size = ByteSize::from_bytes(bytes);
    format!("{}, {size}, {restored} proved by restoring, {removed} removed", count(made, "backup"))
}
