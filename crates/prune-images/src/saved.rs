//! Saving what would go as a plan, and carrying out exactly that plan or less.

use crate::{args::PruneArgs, emergency::leaving_frees};
use maint_core::{
    fs::{Mount, Root, replace_file},
    saved::{Header, SCHEMA, Saved, SavedError, StepLine, Steps, TargetLine, Writer, fingerprint},
    section::FilesSection,
    text::{count, printable, shown_path},
    units::{ByteSize, Span},
};
use maint_run::{
    Run, UsageError,
    config::Named,
    exit::Status,
    files::{self, Errand, KeepSteps, Orders},
    report::{Mode, Target},
    signals,
};
use nix::{fcntl::OFlag, unistd::geteuid};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A plan is for now: who looks at it a day later looks at other files.
const LASTS: Span = Span::from_seconds(86_400);
/// Five million steps.
const LONGEST: u64 = 1 << 30;
/// Clocks that are set while nobody looks go back by so much.
const SLACK: Span = Span::from_seconds(300);

/// A plan that is being saved.
pub(crate) struct Saving {
    path: PathBuf,
    sections: Vec<(String, String)>,
    writer: Mutex<Writer>,
}

impl Saving {
    /// Begins a plan, if one was asked for, of what these targets let go.
    pub(crate) fn begin(
        run: &Run,
        args: &PruneArgs,
        targets: &[Named<FilesSection>],
    ) -> Result<Option<Self>, UsageError> {
        let Some(path) = &args.save_plan else { return Ok(None) };
        may_be_replaced(path).map_err(|why| {
            UsageError::new(format!("the plan cannot be saved in {}: {why}", shown_path(path)))
        })?;
        let mode = if args.rescuing.is_asked_for() { Mode::Emergency } else { Mode::Normal };
        let header = Header {
            schema: SCHEMA.to_owned(),
            tool: "prune-images".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: run.host().to_owned(),
            machine: machine(),
            created: run.now.seconds,
            mode: mode.word().to_owned(),
        };
        let sections = targets.iter().map(|target| Ok((target.name.clone(), section_of(run, args, target)?)));
        Ok(Some(Self {
            path: path.clone(),
            sections: sections.collect::<Result<_, UsageError>>()?,
            writer: Mutex::new(Writer::new(&header)),
        }))
    }

    /// Writes the plan.
    pub(crate) fn finish(self) -> Result<(), UsageError> {
        if signals::asked_to_stop() {
            return Ok(());
        }
        let text = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        let replaced = may_be_replaced(&self.path)
            .map_err(io::Error::other)
            .and_then(|()| replace_file(&self.path, &text, 0o600));
        replaced.map_err(|error| {
            UsageError::new(format!("the plan cannot be saved in {}: {error}", shown_path(&self.path)))
        })
    }
}

impl KeepSteps for Saving {
    fn keep(&self, run: &Run, root: &Root, done: &mut Target, steps: Vec<StepLine>) {
        let filesystem =
            match Mount::of(root).map_err(|error| error.to_string()).and_then(|m| m.lasting_identity()) {
                Ok(filesystem) => filesystem,
                Err(why) => return done.note(Status::Refused, format!("no plan is saved of it: {why}")),
            };
        let section = self.sections.iter().find(|(name, _)| *name == done.name);
        let target = TargetLine {
            target: done.name.clone(),
            path: done.place.clone(),
            filesystem,
            root: root.top().inode(),
            section: section.map(|(_, print)| print.clone()).unwrap_or_default(),
            policy: done.policy.clone(),
            then: done.leaves.word().to_owned(),
        };
        log::debug!("{}: {} saved by {}", done.name, count(steps.len() as u64, "step"), run.name());
        done.notes.push(format!(
            "{} saved in {}; within {LASTS}: prune-images --apply {}",
            count(steps.len() as u64, "step"),
            shown_path(&self.path),
            shown_path(&self.path)
        ));
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).target(&target, steps);
    }
}

/// Only what is not there, or is a plan already, gives way to one.
fn may_be_replaced(path: &Path) -> Result<(), String> {
    let seen = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        seen => seen.map_err(|error| error.to_string())?,
    };
    if !seen.is_file() {
        return Err("it is there, and is no file".to_owned());
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.map_err(|error| error.to_string())?;
    let begins = format!("{{\"schema\":\"{SCHEMA}\"");
    if start.is_empty() || start.starts_with(begins.as_bytes()) {
        Ok(())
    } else {
        Err("it is there, and is no plan: it would be lost".to_owned())
    }
}

/// This machine, beyond its name. The number itself is nobody's business.
fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    fingerprint(&format!("maint plan {}", id.trim()))
}

/// A fingerprint of what the configuration, or the command line, says of a target and its volume.
fn section_of(run: &Run, args: &PruneArgs, target: &Named<FilesSection>) -> Result<String, UsageError> {
    let said = if args.is_ad_hoc() {
        Some(target.value.clone())
    } else {
        let all: Vec<Named<FilesSection>> = run.sections()?;
        all.into_iter().find(|section| section.name == target.name).map(|section| section.value)
    };
    // An emergency goes by the marks of all volumes.
    let volumes: Vec<_> = run.volumes().collect();
    Ok(fingerprint(&format!("{said:?} {volumes:?}")))
}

/// Carries a saved plan out, step by step.
pub(crate) fn apply(
    run: &mut Run,
    args: &PruneArgs,
    orders: &Orders<'_>,
    path: &Path,
    targets: &[Named<FilesSection>],
) -> Result<(), UsageError> {
    let shown = shown_path(path);
    let wrong = |why: String| UsageError::new(format!("--apply {shown}: {why}"));
    let text = read(path).map_err(wrong)?;
    let saved = Saved::read(&text);
    let refusal = match &saved {
        Err(error @ SavedError::NoPlan) => return Err(wrong(error.to_string())),
        Err(error @ SavedError::Altered(_)) => Some(error.to_string()),
        Ok(saved) => refusal(run, &saved.header),
    };
    let (Ok(saved), None) = (saved, &refusal) else {
        let mut done = Target::new("saved plan", shown, "as saved".to_owned(), orders.shows_only);
        done.note(Status::Refused, format!("the plan {}", refusal.unwrap_or_default()));
        run.record(done);
        return Ok(());
    };
    let is_emergency = saved.header.mode == Mode::Emergency.word();
    if is_emergency {
        run.begin_emergency();
    }
    for (line, steps) in saved.targets {
        if signals::asked_to_stop() {
            break;
        }
        if !run.names().is_empty() && !run.names().contains(&line.target) {
            continue;
        }
        let done = apply_to(run, args, orders, targets, &line, steps, is_emergency)?;
        run.record(done);
    }
    Ok(())
}

fn apply_to(
    run: &Run,
    args: &PruneArgs,
    orders: &Orders<'_>,
    targets: &[Named<FilesSection>],
    line: &TargetLine,
    steps: Steps,
    is_emergency: bool,
) -> Result<Target, UsageError> {
    let policy = format!("saved plan: {}", line.policy);
    let refused = |why: &str| {
        let mut done = Target::new(&line.target, line.path.clone(), policy.clone(), orders.shows_only);
        done.note(Status::Refused, format!("{why}: save the plan anew"));
        Ok(done)
    };
    let Some(target) = targets.iter().find(|target| target.name == line.target) else {
        return refused("there is no such section any more");
    };
    if section_of(run, args, target)? != line.section {
        return refused("the configuration has changed since the plan was saved");
    }
    let mut target = target.clone();
    match Root::open(&target.value.root(), &run.borders()) {
        // The work itself says what is wrong with its root.
        Err(_) => {}
        Ok(root) => {
            let mount = match Mount::of(&root) {
                Ok(mount) => mount,
                Err(error) => return refused(&format!("its filesystem cannot be told ({error})")),
            };
            match mount.lasting_identity() {
                Err(why) => return refused(&why),
                Ok(now) if now != line.filesystem => {
                    return refused(&format!(
                        "it lies on another filesystem now ({now}, not {})",
                        line.filesystem
                    ));
                }
                Ok(_) if root.top().inode() != line.root => return refused("another folder is in its place"),
                Ok(_) => {}
            }
            if is_emergency
                && let Some(section) = target.value.in_emergency(leaving_frees(&target.value, &mount))
            {
                target.value = section;
            }
        }
    }
    let mut done = files::work_on(run, orders, &target, Errand::Planned(&Mutex::new(steps)));
    done.policy = policy;
    done.partial = true;
    Ok(done)
}

/// Reads a plan that only its owner, the caller or root, may have written.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    // Of a pipe nobody waits for the other end.
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let seen = file.metadata().map_err(|error| error.to_string())?;
    if !seen.is_file() {
        return Err("is not a file".to_owned());
    }
    if seen.mode() & 0o022 != 0 {
        return Err("others may write to it: take that right away (chmod go-w)".to_owned());
    }
    if ![0, geteuid().as_raw()].contains(&seen.uid()) {
        return Err("belongs neither to you nor to root".to_owned());
    }
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(format!("is longer than {}", ByteSize::from_bytes(LONGEST)));
    }
    Ok(text)
}

/// What speaks against a plan as a whole.
fn refusal(run: &Run, header: &Header) -> Option<String> {
    let made = maint_core::time::Timestamp::from_seconds(header.created);
    if header.tool != "prune-images" {
        return Some(format!("is one of {}", printable(header.tool.as_bytes())));
    }
    if (header.host.as_str(), header.machine.as_str()) != (run.host(), machine().as_str()) {
        return Some(format!("was made on {}, not here", printable(header.host.as_bytes())));
    }
    if header.version != env!("CARGO_PKG_VERSION") {
        return Some(format!("was made by version {}", printable(header.version.as_bytes())));
    }
    if made > run.now && made.since(run.now) > SLACK {
        return Some("was made in the future: one of the two clocks is wrong".to_owned());
    }
    let age = run.now.since(made);
    (age > LASTS).then(|| format!("is {} old, and one lasts {LASTS}: save it anew", age.roughly()))
}
