//! What an emergency did for one volume: how full it was, what was needed, what was spent.

use crate::exit::Status;
use maint_core::{
    emergency::{Mark, Need},
    fs::{Inodes, Usage},
    text::count,
    units::{ByteSize, Span},
};

/// An emergency of one volume.
#[derive(Debug, Clone)]
pub struct Rescue {
    /// Its name in the configuration, or where it is mounted.
    pub volume: String,
    /// Where it is mounted.
    pub place: String,
    /// From where on something is done; nothing is said where the caller wants it done at once.
    pub at: Option<Mark>,
    /// Until where.
    pub until: Mark,
    /// By what.
    pub means: Means,
    /// Nothing was to be changed.
    pub dry_run: bool,
    /// How it ended.
    pub status: Status,
    /// Something had to be done.
    pub acted: bool,
    /// How full it was.
    pub before: Usage,
    /// How full it is, or would be.
    pub after: Usage,
    /// What was needed.
    pub need: Need,
    /// What was spent, or would be, in its order.
    pub rungs: Vec<Rung>,
    /// How long it would take, roughly.
    pub takes: Option<Span>,
    /// Sentences a person should read.
    pub notes: Vec<String>,
}

/// By what space is got back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By files that go: what comes free is known before.
    Files,
    /// By commands that know themselves what they free.
    Commands,
}

/// One target's part.
#[derive(Debug, Clone, Default)]
pub struct Rung {
    /// The target.
    pub target: String,
    /// Files that go.
    pub files: u64,
    /// Bytes of blocks and inodes that come free.
    pub frees: Need,
    /// The same, if all went that its emergency policy lets go.
    pub possible: Need,
    /// What stays whatever is needed.
    pub floor: String,
}

impl Rescue {
    /// A volume that has been looked at, and of which nothing more is known.
    pub fn new(volume: String, place: String, at: Option<Mark>, until: Mark, dry_run: bool) -> Self {
        Self {
            volume,
            place,
            at,
            until,
            means: Means::Files,
            dry_run,
            status: Status::Ok,
            acted: false,
            before: Usage::default(),
            after: Usage::default(),
            need: Need::default(),
            rungs: Vec::new(),
            takes: None,
            notes: Vec::new(),
        }
    }

    /// Notes why, and makes the status no better than this one.
    pub fn note(&mut self, status: Status, sentence: impl Into<String>) {
        self.status = self.status.worse(status);
        self.notes.push(sentence.into());
    }

    /// Whether the volume is, or would be, below its mark.
    pub fn is_reached(&self) -> bool {
        self.until.need(&self.after).is_met()
    }

    /// What was or would be freed by spending.
    pub fn freed(&self) -> Need {
        let sum = |of: fn(&Need) -> u64| self.rungs.iter().map(|rung| of(&rung.frees)).sum();
        Need { bytes: sum(|need| need.bytes), inodes: sum(|need| need.inodes) }
    }

    /// How full, in the words of what is short.
    pub fn fill(&self, usage: &Usage) -> String {
        match usage.inodes {
            Some(inodes) if self.is_about_inodes() => format!("{:.1}% of the inodes", inodes.percent()),
            _ => format!("{:.1}%", usage.percent()),
        }
    }

    fn words(&self, rung: &Rung) -> String {
        match (self.means, rung.frees) {
            (Means::Commands, _) if self.dry_run => rung.target.clone(),
            (Means::Commands, Need { bytes: 0, inodes: 0 }) => format!("{} nothing", rung.target),
            _ => rung.words(),
        }
    }

    fn is_about_inodes(&self) -> bool {
        let Inodes { used, available } = self.before.inodes.unwrap_or_default();
        self.need.bytes == 0 && (self.need.inodes > 0 || (available == 0 && used > 0))
    }

    /// The ladder on one line: what is needed, from where it comes, what stays.
    pub fn ladder(&self) -> String {
        let is_spent = |rung: &&Rung| rung.files > 0 || self.means == Means::Commands;
        let spent: Vec<String> = self.rungs.iter().filter(is_spent).map(|rung| self.words(rung)).collect();
        let floors = self.rungs.iter().filter(|rung| !rung.floor.is_empty());
        let floors: Vec<String> = floors.map(|rung| format!("{} {}", rung.target, rung.floor)).collect();
        let spent = match self.means {
            _ if !spent.is_empty() => spent.join(", "),
            Means::Files => "nothing can be spent".to_owned(),
            Means::Commands => "no command was run".to_owned(),
        };
        let mut parts = vec![format!(
            "{} → {} needs {}: {spent}",
            self.fill(&self.before),
            self.until,
            need_in_words(self.need)
        )];
        parts.extend((!floors.is_empty()).then(|| floors.join(", ")));
        parts.extend(self.takes.map(|takes| match takes.seconds() {
            0 | 1 => "about a second".to_owned(),
            _ => format!("about {}", takes.roughly()),
        }));
        parts.join("; ")
    }
}

impl Rung {
    fn words(&self) -> String {
        let Self { target, frees, possible, .. } = self;
        let all = if frees == possible {
            String::new()
        } else if frees.bytes > 0 {
            format!(" of {}", ByteSize::from_bytes(possible.bytes))
        } else {
            format!(" of {}", possible.inodes)
        };
        if frees.bytes > 0 {
            format!("{target} {}{all}", ByteSize::from_bytes(frees.bytes))
        } else {
            format!("{target} {}{all}", count(frees.inodes, "inode"))
        }
    }
}

/// A need for a person: bytes, inodes or both.
pub fn need_in_words(need: Need) -> String {
    let bytes = || ByteSize::from_bytes(need.bytes).to_string();
    match need {
        Need { bytes: 0, inodes: 0 } => "nothing".to_owned(),
        Need { inodes: 0, .. } => bytes(),
        Need { bytes: 0, inodes } => count(inodes, "inode"),
        Need { inodes, .. } => format!("{} and {}", bytes(), count(inodes, "inode")),
    }
}
