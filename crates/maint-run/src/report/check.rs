//! What a check found.

use crate::exit::Status;

/// One finding.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was looked at: the volume, watch or plugin, and a word for what of it.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// It could not be told, and need not be: neither well nor unwell.
    pub is_measured: bool,
    /// A sentence, without the name.
    pub message: String,
    /// The number behind it, if there is one.
    pub measure: Option<Measure>,
    /// The command to run next, if something is wrong.
    pub next: Option<String>,
}

/// A number with its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// The number.
    pub value: f64,
    /// What it counts.
    pub unit: Unit,
    /// From here on a warning.
    pub warn: Option<f64>,
    /// From here on critical.
    pub crit: Option<f64>,
    /// The least there can be.
    pub least: Option<f64>,
    /// The most there can be.
    pub most: Option<f64>,
    /// Less is worse: the limits are floors.
    pub falling: bool,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Percent.
    Percent,
}

impl Unit {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Percent => "percent",
        }
    }

    /// The unit of performance data.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Bytes => "B",
            Self::Seconds => "s",
            Self::Percent => "%",
        }
    }
}

impl Check {
    /// A finding without a number.
    pub fn new(name: impl Into<String>, status: Status, message: impl Into<String>) -> Self {
        let (name, message) = (name.into(), message.into());
        Self { name, status, is_measured: true, message, measure: None, next: None }
    }

    /// What the system does not tell.
    pub fn not_measured(name: impl Into<String>, why: impl Into<String>) -> Self {
        let message = format!("not measured: {}", why.into());
        Self { is_measured: false, ..Self::new(name, Status::Ok, message) }
    }

    /// The word of reports.
    pub fn word(&self) -> &'static str {
        if self.is_measured { self.status.word() } else { "not-measured" }
    }

    /// The same with its number.
    #[must_use]
    pub fn measured(self, measure: Measure) -> Self {
        Self { measure: Some(measure), ..self }
    }

    /// The same with what to do, if anything is wrong.
    #[must_use]
    pub fn with_next(self, next: impl Into<String>) -> Self {
        Self { next: (self.status != Status::Ok).then(|| next.into()), ..self }
    }
}

impl Measure {
    /// A number that nothing limits.
    pub fn of(value: f64, unit: Unit) -> Self {
        Self { value, unit, warn: None, crit: None, least: Some(0.0), most: None, falling: false }
    }

    /// Its limits.
    #[must_use]
    pub fn limited(self, warn: Option<f64>, crit: Option<f64>) -> Self {
        Self { warn, crit, ..self }
    }

    /// The most there can be.
    #[must_use]
    pub fn at_most(self, most: f64) -> Self {
        Self { most: Some(most), ..self }
    }
}
