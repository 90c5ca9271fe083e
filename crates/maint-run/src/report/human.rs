//! The report for a person, at 3 a.m.: verb, count, bytes, place, reason.

use super::{Counter, Report, Target};
use crate::{clock, exit::Status};
use maint_core::{
    text::{count, grouped},
    units::ByteSize,
};
use std::fmt::Write as _;

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    if report.dry_run {
        text.push_str("DRY RUN: nothing has been changed.\n\n");
    }
    for target in &report.targets {
        render_target(&mut text, target);
        text.push('\n');
    }
    if let Some(signal) = report.interrupted {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "Interrupted by signal {signal}: what is left is for the next run.");
    }
    let _ = writeln!(text, "{}", summary(report));
    text
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
    if looked(target) {
        row(
            "found",
            format!("{}{}", count(n(Counter::FilesScanned), "file"), in_brackets(&target.by_pattern)),
        );
        if let Some((oldest, newest)) = target.span {
            row("oldest, newest", format!("{}, {}", clock::local(oldest), clock::local(newest)));
        }
        if target.dry_run || target.status == Status::Refused {
            let frees = bytes(Counter::BytesFreed);
            let what = format!(
                "{}, {}; frees {frees} on disk",
                count(n(Counter::FilesSelected), "file"),
                bytes(Counter::BytesSelected)
            );
            row(if target.dry_run { "to be removed" } else { "would go" }, what);
        } else {
            let folders = match n(Counter::FoldersDeleted) {
                0 => String::new(),
                folders => format!(" and {}", count(folders, "empty folder")),
            };
            row(
                "removed",
                format!(
                    "{}{folders}; freed {} on disk",
                    count(n(Counter::FilesDeleted), "file"),
                    bytes(Counter::BytesFreed)
                ),
            );
        }
        for (reason, files) in &target.reasons {
            row("", format!("{} {reason}", grouped(*files)));
        }
        row("kept", kept(target));
        if n(Counter::Remaining) > 0 {
            row("remaining", format!("{} for the next run", count(n(Counter::Remaining), "file")));
        }
        if n(Counter::FilesChanged) > 0 {
            row(
                "changed",
                format!("{} changed while this ran and stayed", count(n(Counter::FilesChanged), "file")),
            );
        }
        if n(Counter::Unclaimed) > 0 {
            row(
                "unclaimed",
                format!(
                    "{} removed after a last look, without a claim",
                    count(n(Counter::Unclaimed), "file")
                ),
            );
        }
        if n(Counter::Recovered) > 0 {
            row(
                "recovered",
                format!("{} that a killed run had claimed", count(n(Counter::Recovered), "file")),
            );
        }
        if let Some((before, after)) = target.storage {
            let will = if target.dry_run { "would be" } else { "now" };
            row("storage", format!("{before:.1}% used, {will} {after:.1}%"));
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
        row("failed", format!("and {} more", count(untold, "time")));
    }
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
    let total = |counter| report.total(counter);
    let frees = ByteSize::from_bytes(total(Counter::BytesFreed));
    let of = format!("of {}", count(total(Counter::FilesScanned), "file"));
    let what = if report.dry_run {
        format!("{} {of} would go, {frees} would come free", grouped(total(Counter::FilesSelected)))
    } else {
        format!("{} {of} removed, {frees} freed", grouped(total(Counter::FilesDeleted)))
    };
    let targets = count(report.targets.len() as u64, "section");
    format!("{}: {targets}, {what}, in {:.1} s: {}", report.tool, report.seconds, report.status().word())
}
