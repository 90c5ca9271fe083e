//! One command from its section to its report.

use crate::{
    args::ReclaimArgs,
    space::{Change, Spaces},
    words,
};
use maint_core::{
    section::ReclaimSection,
    text::{count, printable},
    units::ByteSize,
};
use maint_run::{
    Run,
    command::{self, NoProgram, Performed, Process, Spawn, Tail},
    config::Named,
    exit::Status,
    report::{Counter, Ended, Failure, Ran, Target, Work},
    signals,
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Others always write: less than this, or than this part of the filesystem, is no reason to blame anybody.
const A_LITTLE: u64 = 1 << 20;
const A_SMALL_PART: u64 = 1000;

/// Runs a command, or shows it; answers what became of the filesystems, if it was run.
pub(crate) fn run(run: &Run, args: &ReclaimArgs, section: &Named<ReclaimSection>) -> (Target, Vec<Change>) {
    let mut done = untouched(section, section.value.dry_run || args.changing.dry_run);
    if section.value.removes_container_volumes() {
        // It is what was asked for, so it is no worse a result; but nobody should overlook it.
        done.notes.push(format!("WARNING: {}", words::REMOVES_VOLUMES));
    }
    let changes = prepare(run, section, &mut done)
        .filter(|_| !done.dry_run)
        .map(|(program, spaces)| carry_out(run, section, &program, spaces, &mut done));
    (done, changes.unwrap_or_default())
}

/// A command that is not run because another run is at work.
pub(crate) fn busy(section: &Named<ReclaimSection>, why: &str) -> Target {
    let mut done = untouched(section, false);
    done.note(Status::Busy, why);
    done
}

fn untouched(section: &Named<ReclaimSection>, dry_run: bool) -> Target {
    let Named { name, value, .. } = section;
    let mut done = Target::new(name, value.shown(), words::policy(value), dry_run);
    done.work = Work::Command(None);
    done
}

/// What must be there before a command can be run; what is missing is noted.
fn prepare(run: &Run, section: &Named<ReclaimSection>, done: &mut Target) -> Option<(PathBuf, Spaces)> {
    if let Some(held) = run.held(&section.name) {
        if !done.dry_run {
            done.note(Status::Warning, format!("{held}: nothing was done"));
            return None;
        }
        done.notes.push(held);
    }
    let program = command::find(section.value.program()).map_err(|error| match error {
        NoProgram::Missing(why) => done.note(Status::Warning, format!("{why}: nothing was done")),
        NoProgram::Distrusted(why) => done.note(Status::Refused, why),
    });
    let spaces = Spaces::of(run, &section.value).map_err(|why| done.note(Status::Refused, why));
    program.ok().zip(spaces.ok())
}

fn carry_out(
    run: &Run,
    section: &Named<ReclaimSection>,
    program: &Path,
    spaces: Spaces,
    done: &mut Target,
) -> Vec<Change> {
    let words = &section.value.command;
    if let Err(error) = run.audit().command_begins(&section.name, words) {
        done.note(Status::Refused, format!("{error}; nothing is run that cannot be accounted for"));
        return Vec::new();
    }
    let begun = Instant::now();
    let spawn = Spawn::new(program, &section.value.command);
    let performed = command::perform(&spawn, section.value.timeout, || spaces.out_of_room());
    let seconds = begun.elapsed().as_secs_f64();
    let changes = spaces.after();
    let Performed { ended, tail, left } = performed.unwrap_or_else(|error| Performed {
        ended: Ended::NotBegun(format!("it could not be started: {error}")),
        tail: Tail::default(),
        left: Vec::new(),
    });
    let freed = changes.iter().filter(|change| change.freed() > 0);
    let freed: Vec<(String, u64)> = freed.map(|change| (change.name.clone(), change.freed())).collect();
    let ran = Ran { ended, seconds, freed };
    run.audit().command_ended(&section.name, words, &ran);
    note_end(done, section, &ran, &tail, &left);
    note_space(done, &ran, &changes);
    done.work = Work::Command(Some(ran));
    changes
}

fn note_end(done: &mut Target, section: &Named<ReclaimSection>, ran: &Ran, tail: &Tail, left: &[Process]) {
    if !matches!(ran.ended, Ended::NotBegun(_)) {
        done.counts.set(Counter::CommandsRun, 1);
    }
    if !left.is_empty() {
        let names: Vec<String> =
            left.iter().map(|process| format!("{} ({})", process.name, process.pid)).collect();
        let running = count(left.len() as u64, "program");
        let what = "what comes free later is not counted";
        done.notes.push(format!("it left {running} running, and {what}: {}", names.join(", ")));
    }
    if ran.ended.is_success() {
        for line in tail.lines() {
            log::debug!("{}: it said: {line}", done.name);
        }
        return;
    }
    let (path, error) = (printable(section.value.program().as_bytes()), ran.ended.to_string());
    done.errors.push(Failure { path, operation: "run".to_owned(), error });
    done.counts.set(Counter::Errors, 1);
    done.worsen(Status::Warning);
    if signals::gives_way() {
        done.worsen(Status::Busy);
    }
    done.notes.extend(tail.lines().into_iter().map(|line| format!("it said: {line}")));
}

fn note_space(done: &mut Target, ran: &Ran, changes: &[Change]) {
    done.counts.set(Counter::BytesFreed, ran.freed.iter().map(|(_, bytes)| bytes).sum());
    // The one on which most came free stands for all.
    let shown = changes.iter().rev().max_by_key(|change| change.freed());
    done.storage = shown.map(|change| (change.before.percent(), change.after.percent()));
    if ran.freed.is_empty()
        && let Some(worst) = changes.iter().max_by_key(|change| change.lost())
        && worst.lost() > A_LITTLE.max(worst.before.whole() / A_SMALL_PART)
    {
        let (lost, name) = (ByteSize::from_bytes(worst.lost()), &worst.name);
        done.note(
            Status::Warning,
            format!(
                "it made things worse: {lost} more than before are in use on {name}, unless others wrote that"
            ),
        );
    }
}
