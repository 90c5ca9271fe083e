//! What a run did, as one value. It is printed for people and for programs, kept in the history and
//! turned into metrics: all four are renderings of it.

mod counters;
mod human;
mod json;

pub use counters::{COUNTERS, Counter};
pub(crate) use human::render as human;
pub(crate) use json::render as json;

use crate::exit::Status;
use maint_core::{fs::FsError, time::Timestamp};
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
    /// Nothing was changed.
    pub dry_run: bool,
    /// Begin.
    pub started: Timestamp,
    /// End.
    pub ended: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// A signal ended it early.
    pub interrupted: Option<i32>,
    /// One for each section it worked on.
    pub targets: Vec<Target>,
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
    /// Sentences a person should read.
    pub notes: Vec<String>,
    /// What failed; the first hundred.
    pub errors: Vec<Failure>,
}

/// Numbers by counter; what was not counted is 0.
#[derive(Debug, Clone, Default)]
pub struct Counts(Vec<(Counter, u64)>);

/// One thing that failed.
#[derive(Debug, Clone)]
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
        self.0.retain(|(other, _)| *other != counter);
        self.0.push((counter, value));
    }

    /// The number.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.iter().find(|(other, _)| *other == counter).map_or(0, |(_, value)| *value)
    }
}

impl From<&FsError> for Failure {
    fn from(error: &FsError) -> Self {
        Self {
            path: error.path.clone(),
            operation: error.operation.to_owned(),
            error: error.source.to_string(),
        }
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
            counts: Counts::default(),
            kept: Vec::new(),
            reasons: Vec::new(),
            by_pattern: Vec::new(),
            span: None,
            storage: None,
            notes: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Makes the status no better than this one.
    pub fn worsen(&mut self, status: Status) {
        self.status = self.status.worse(status);
    }

    /// Notes why, and makes the status no better than this one.
    pub fn note(&mut self, status: Status, sentence: impl Into<String>) {
        self.worsen(status);
        self.notes.push(sentence.into());
    }
}

impl Report {
    /// The worst of all targets.
    pub fn status(&self) -> Status {
        self.targets.iter().fold(Status::Ok, |worst, target| worst.worse(target.status))
    }

    /// What the process will say of it.
    pub fn exit_code(&self) -> u8 {
        self.interrupted.map_or_else(|| self.status().code(), crate::exit::interrupted)
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
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
