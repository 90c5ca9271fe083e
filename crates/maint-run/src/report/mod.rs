//! What a run did, as one value. It is printed for people and for programs, kept in the history and
//! turned into metrics: all four are renderings of it.

mod backup;
mod check;
mod command;
mod counters;
mod gauges;
mod human;
mod json;
mod nagios;
mod rescue;

pub use backup::BackedUp;
pub use check::{Check, Measure, Unit};
pub use command::{Ended, Ran};
pub use counters::{COUNTERS, Counter};
pub use gauges::{Gauge, Reading};
pub(crate) use human::render as human;
pub(crate) use json::render as json;
pub(crate) use nagios::render as nagios;
pub use rescue::{Means, Rescue, Rung, need_in_words};

use crate::exit::Status;
use maint_core::{orphans::Orphan, prune::Errors, text::count, time::Timestamp, units::ByteSize};
use std::error::Error;

/// The run as a whole.
#[derive(Debug)]
pub struct Report {
    /// The tool.
    pub tool: &'static str,
    /// The run's name: when, and which process.
    pub run: String,
    /// The machine.
    pub host: String,
    /// Who called.
    pub trigger: Trigger,
    /// What for.
    pub mode: Mode,
    /// Begin.
    pub started: Timestamp,
    /// End.
    pub ended: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// A signal ended it early.
    pub interrupted: Option<i32>,
    /// Its clock could not be believed.
    pub clock_in_doubt: bool,
    /// The answer to a question, which is all that it is about.
    pub answer: Option<Status>,
    /// What was found, by a tool that checks.
    pub checks: Vec<Check>,
    /// What it measured.
    pub readings: Vec<Reading>,
    /// In an emergency one for each volume that was looked at.
    pub rescues: Vec<Rescue>,
    /// One for each section it worked on.
    pub targets: Vec<Target>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What has had its day goes.
    Normal,
    /// Space is got back.
    Emergency,
}

impl Mode {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Emergency => "emergency",
        }
    }
}

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// `--cron`.
    Cron,
    /// A systemd unit.
    Timer,
    /// A person at a terminal.
    Manual,
    /// Something else.
    Script,
}

/// How files leave a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// They are gone.
    Removed,
    /// They lie in another folder.
    Moved,
    /// They lie in an archive.
    Archived,
}

impl Leaves {
    /// What happened to them.
    pub fn word(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Moved => "moved",
            Self::Archived => "archived",
        }
    }

    /// Their number.
    pub fn counter(self) -> Counter {
        match self {
            Self::Removed => Counter::FilesDeleted,
            Self::Moved => Counter::FilesMoved,
            Self::Archived => Counter::FilesArchived,
        }
    }
}

/// What a section is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Files, and what leaves.
    Files,
    /// A command, and what became of it if it was run.
    Command(Option<Ran>),
    /// A database, and the backup that was made or looked at.
    Backup(BackedUp),
}

/// What happened to one section.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Where, safe to print.
    pub place: String,
    /// What was asked for, in words.
    pub policy: String,
    /// How it ended.
    pub status: Status,
    /// Nothing was to be changed.
    pub dry_run: bool,
    /// What it is about.
    pub work: Work,
    /// How files leave it.
    pub leaves: Leaves,
    /// Numbers, by [`Counter`].
    pub counts: Counts,
    /// What stayed, by reason.
    pub kept: Vec<(&'static str, u64)>,
    /// What went, by reason.
    pub reasons: Vec<(String, u64)>,
    /// What was found, by pattern.
    pub by_pattern: Vec<(String, u64)>,
    /// Oldest and newest content found.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Used space in percent, before and after.
    pub storage: Option<(f64, f64)>,
    /// Less than the whole policy was asked for: an override, a limit.
    pub partial: bool,
    /// It was found out how many files are without what they belong to.
    pub knows_orphans: bool,
    /// Each file without what it belongs to, where that was asked for.
    pub orphans: Vec<Orphan>,
    /// Sentences a person should read.
    pub notes: Vec<String>,
    /// What failed, as far as it is told in full.
    pub errors: Vec<Failure>,
}

/// Numbers by counter; what was not counted is 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts([u64; COUNTERS.len()]);

/// One thing that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where, safe to print.
    pub path: String,
    /// What was tried.
    pub operation: String,
    /// What the system said.
    pub error: String,
}

impl Counts {
    /// Sets a number.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.0[counter as usize] = value;
    }

    /// Adds to a number.
    pub fn add(&mut self, counter: Counter, value: u64) {
        self.0[counter as usize] += value;
    }

    /// The number.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }
}

impl Target {
    /// A target on which nothing has been done yet.
    pub fn new(name: &str, place: String, policy: String, dry_run: bool) -> Self {
        Self {
            name: name.to_owned(),
            place,
            policy,
            status: Status::Ok,
            dry_run,
            work: Work::Files,
            leaves: Leaves::Removed,
            counts: Counts::default(),
            kept: Vec::new(),
            reasons: Vec::new(),
            by_pattern: Vec::new(),
            span: None,
            storage: None,
            partial: false,
            knows_orphans: false,
            orphans: Vec::new(),
            notes: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Makes the status no better than this one.
    pub fn worsen(&mut self, status: Status) {
        self.status = self.status.worse(status);
    }

    /// Joins another round of work on the same section: what was done adds up, what was found is what this
    /// one found, and what stays is what the last one left.
    pub fn absorb(&mut self, later: Self) {
        const DONE: [Counter; 10] = [
            Counter::FilesDeleted,
            Counter::FilesMoved,
            Counter::FilesArchived,
            Counter::FilesSelected,
            Counter::BytesSelected,
            Counter::BytesFreed,
            Counter::FoldersDeleted,
            Counter::FilesChanged,
            Counter::Unclaimed,
            Counter::Recovered,
        ];
        for counter in DONE {
            self.counts.add(counter, later.counts.get(counter));
        }
        self.counts.set(Counter::Remaining, later.counts.get(Counter::Remaining));
        if self.by_pattern.is_empty() {
            self.counts.set(Counter::FilesScanned, later.counts.get(Counter::FilesScanned));
            (self.by_pattern, self.span) = (later.by_pattern, later.span);
        }
        self.worsen(later.status);
        self.kept = later.kept;
        for (reason, files) in later.reasons {
            match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, n)) => *n += files,
                None => self.reasons.push((reason, files)),
            }
        }
        self.storage = match (self.storage, later.storage) {
            (Some((before, _)), Some((_, after))) => Some((before, after)),
            (mine, its) => mine.or(its),
        };
        let new: Vec<String> = later.notes.into_iter().filter(|note| !self.notes.contains(note)).collect();
        self.notes.extend(new);
        let known = later.errors.iter().filter(|failure| self.errors.contains(failure)).count() as u64;
        let errors = later.counts.get(Counter::Errors).saturating_sub(known);
        self.counts.add(Counter::Errors, errors);
        self.errors.extend(
            later.errors.into_iter().filter(|failure| !self.errors.contains(failure)).collect::<Vec<_>>(),
        );
    }

    /// Its numbers, without those that are not known.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let is_backup = matches!(self.work, Work::Backup(_));
        let is_known = move |counter: Counter| match counter {
            Counter::Orphans => self.knows_orphans,
            Counter::Errors => true,
            counter => counter.is_of_backups() == is_backup,
        };
        COUNTERS
            .iter()
            .filter(move |(counter, ..)| is_known(*counter))
            .map(|(counter, word, _)| (*word, self.counts.get(*counter)))
    }

    /// What was done, in words.
    pub fn done_in_words(&self) -> String {
        match &self.work {
            Work::Files => format!("{} {}", count(self.gone(), "file"), self.leaves.word()),
            Work::Command(None) => "command not run".to_owned(),
            Work::Command(Some(ran)) => {
                format!("{}, {} freed", ran.ended, ByteSize::from_bytes(self.counts.get(Counter::BytesFreed)))
            }
            Work::Backup(backup) => backup.to_string(),
        }
    }

    /// Files that left it.
    pub fn gone(&self) -> u64 {
        self.counts.get(self.leaves.counter())
    }

    /// Whether the policy has been carried out to its end, without any fault.
    pub fn succeeded(&self) -> bool {
        self.status == Status::Ok
            && !self.partial
            && !self.dry_run
            && self.counts.get(Counter::Remaining) == 0
    }

    /// Notes what failed below `root`. Both walks of a target meet the same unreadable folder: it is told,
    /// and counted, once.
    pub fn fail(&mut self, root: &str, errors: &Errors) {
        let mut new = errors.total();
        for error in errors.iter() {
            let path = if error.path.is_empty() { root.to_owned() } else { format!("{root}/{}", error.path) };
            let failure =
                Failure { path, operation: error.operation.to_owned(), error: error.source.to_string() };
            if self.errors.contains(&failure) {
                new -= 1;
            } else {
                self.errors.push(failure);
            }
        }
        self.counts.add(Counter::Errors, new);
        if new > 0 {
            self.worsen(Status::Warning);
        }
    }

    /// So many more stayed for this reason.
    pub fn keep(&mut self, why: &'static str, files: u64) {
        match self.kept.iter_mut().find(|(known, _)| *known == why) {
            Some((_, n)) => *n += files,
            None => self.kept.push((why, files)),
        }
    }

    /// Notes why, and makes the status no better than this one.
    pub fn note(&mut self, status: Status, sentence: impl Into<String>) {
        self.worsen(status);
        self.notes.push(sentence.into());
    }
}

impl Report {
    /// The worst of all targets and volumes.
    pub fn status(&self) -> Status {
        let targets = self.targets.iter().map(|target| target.status);
        let volumes = self.rescues.iter().map(|rescue| rescue.status);
        let checks = self.checks.iter().map(|check| check.status);
        targets.chain(volumes).chain(checks).chain(self.answer).fold(Status::Ok, Status::worse)
    }

    /// What the process will say of it.
    pub fn exit_code(&self) -> u8 {
        self.interrupted.map_or_else(|| self.status().code(), crate::exit::interrupted)
    }

    /// Whether nothing was to be changed anywhere.
    pub fn is_dry_run(&self) -> bool {
        let targets = self.targets.iter().map(|target| target.dry_run);
        let mut all = targets.chain(self.rescues.iter().map(|rescue| rescue.dry_run)).peekable();
        all.peek().is_some() && all.all(|dry| dry)
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        let done = self.targets.is_empty() && self.rescues.is_empty() && self.checks.is_empty();
        done && self.interrupted.is_none()
    }

    /// Whether anything was done that must be remembered.
    pub fn has_acted(&self) -> bool {
        !self.checks.is_empty()
            || self.targets.iter().any(|target| !target.dry_run)
            || self.rescues.iter().any(|rescue| rescue.acted && !rescue.dry_run)
    }

    /// The sum over all targets.
    pub fn total(&self, counter: Counter) -> u64 {
        self.targets.iter().map(|target| target.counts.get(counter)).fold(0, u64::saturating_add)
    }
}

impl Trigger {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Timer => "timer",
            Self::Manual => "manual",
            Self::Script => "script",
        }
    }
}

/// An error and all its causes on one line: the only place where a chain is printed.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries say their cause themselves.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
