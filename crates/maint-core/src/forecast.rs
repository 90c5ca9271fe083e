//! When a volume will be full, told from its past and from what its cleanup is going to do.
//!
//! A disk that is cleaned up is a saw: a slope through its teeth says "full in three hours" every
//! afternoon, and nothing when the saw breaks. So four methods look, each at what it knows:
//!
//! | method | knows | is blind to |
//! | --- | --- | --- |
//! | retention | what was written, and when it goes | writers outside the trees |
//! | cleanup stopped | the same, and that nothing goes | the same |
//! | peak envelope | the tops of the teeth of 28 days | what began today |
//! | current tooth | the last three hours | where a tooth ends |
//!
//! The earliest that is credible wins, and is named. Slopes are silent about growth that trees explain: the
//! policy knows where that ends. Where nobody can know, that is said too: no forecast is better than a
//! wrong one.
//!
//! Nothing is remembered between runs but samples and, for each tree, what was [`Written`]: whether a forecast
//! has stood for a while is asked of the same samples, seen from a little earlier.

use crate::{
    time::Timestamp,
    units::{Span, real},
};
use std::fmt;

mod envelope;
mod habit;
mod retention;
mod samples;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod tooth;
mod written;

pub use retention::{Holding, Prospect, Stopped, Tree};
pub use samples::{KEPT, Sample};
pub use written::{Hour, Written};

use retention::Model;
use samples::Series;

const DAY: u32 = 24 * 3600;
/// Later is not worth a number.
const YEAR: f64 = 365.0;
/// Samples that have not come for so long tell nothing of today.
const STALE: u32 = 3 * 3600;
/// Without trees a forecast needs so much of the past.
const NEEDED: Span = Span::from_seconds(3 * 24 * 3600);

/// What is known of a volume's future.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// In a word.
    pub outlook: Outlook,
    /// What each method said that had something to say.
    pub said: Vec<Said>,
    /// Where the volume comes to rest, if trees are pruned on it and nothing else grows.
    pub plateau: Option<u64>,
    /// What becomes of each tree, in the order in which they were given.
    pub trees: Vec<Prospect>,
}

/// The future in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing is left.
    FullNow,
    /// It will be full.
    Full {
        /// When.
        eta: Eta,
        /// Who says so.
        by: Method,
    },
    /// It grows, but not within a year to its end.
    Later,
    /// It does not grow.
    Stable,
    /// Nobody knows yet.
    Insufficient {
        /// So much of the past is known …
        have: Span,
        /// … of so much.
        need: Span,
    },
}

/// When a volume is full: from now on, and never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eta {
    /// Most likely after this.
    pub within: Span,
    /// Hardly before.
    pub from: Span,
    /// Hardly after; none when it may as well never be.
    pub to: Option<Span>,
}

/// A way to look ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// What is written to trees, and when their policy lets it go.
    Retention,
    /// The same for trees that are not cleaned up any more.
    CleanupStopped,
    /// The tops of the teeth.
    PeakEnvelope,
    /// The tooth that is rising now.
    CurrentTooth,
}

impl Method {
    /// The words of reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::CleanupStopped => "cleanup stopped",
            Self::PeakEnvelope => "peak envelope",
            Self::CurrentTooth => "current tooth",
        }
    }
}

/// What one method said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Which one.
    pub by: Method,
    /// What it said.
    pub opinion: Opinion,
}

/// What a method can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// The volume will be full.
    Full(Eta),
    /// Not within a year.
    Later,
    /// Never, as it looks.
    Stable,
    /// What grows is the trees', and retention knows where that ends.
    Explained,
    /// So much of the past is known, of so much.
    Insufficient {
        /// Known.
        have: Span,
        /// Needed.
        need: Span,
    },
}

impl Opinion {
    fn of(eta: Option<Eta>) -> Self {
        eta.map_or(Self::Later, Self::Full)
    }
}

/// What will become of a volume.
///
/// The samples stand in the order in which they were taken; the last one is the present. Any spacing will
/// do up to an hour, gaps as well; what a wrong clock wrote and what a disk of another size was is left
/// out. Inodes are forecast like bytes, with trees that count files.
///
/// ```
/// # use maint_core::{forecast::{Sample, forecast}, time::Timestamp};
/// let hour = |n: i64| Timestamp::from_seconds(n * 3600);
/// let rising = |n| Sample { at: hour(n), used: 500 + n as u64, whole: 1000 };
/// let ten_days: Vec<Sample> = (0..=240).map(rising).collect();
/// let said = forecast(hour(240), &ten_days, &[]).outlook.to_string();
/// assert_eq!(said, "full in 11 d, by peak envelope");
/// ```
pub fn forecast(now: Timestamp, samples: &[Sample], trees: &[Tree]) -> Forecast {
    let series = Series::of(now, samples).filter(|series| series.staleness() <= STALE);
    let Some(series) = series else {
        let outlook = Outlook::Insufficient { have: Span::from_seconds(0), need: NEEDED };
        return Forecast {
            outlook,
            said: Vec::new(),
            plateau: None,
            trees: vec![Prospect::default(); trees.len()],
        };
    };
    let model = Model::of(now, &series, trees);
    let mut said = Vec::from_iter(model.said(&series));
    let by_envelope = envelope::opinion(&series, model.filling_by_day());
    said.push(Said { by: Method::PeakEnvelope, opinion: by_envelope });
    if let Some(eta) = tooth::opinion(&series, model.written_in(3)) {
        said.push(Said { by: Method::CurrentTooth, opinion: Opinion::Full(eta) });
    }
    let outlook = match earliest(&said) {
        // What has no room at all is never full.
        _ if series.whole == 0 => Outlook::Stable,
        _ if series.free() == 0 => Outlook::FullNow,
        Some((eta, by)) => Outlook::Full { eta, by },
        None => match by_envelope {
            Opinion::Later => Outlook::Later,
            Opinion::Insufficient { have, need } if !model.holds_most(&series) => {
                Outlook::Insufficient { have, need }
            }
            _ => Outlook::Stable,
        },
    };
    Forecast { outlook, said, plateau: model.plateau(&series), trees: model.prospects(&series) }
}

fn earliest(said: &[Said]) -> Option<(Eta, Method)> {
    let full = said.iter().filter_map(|said| match said.opinion {
        Opinion::Full(eta) => Some((eta, said.by)),
        _ => None,
    });
    full.min_by_key(|(eta, _)| eta.within)
}

/// What an estimate says now, if it said something in three of the last four quarters of an hour: a
/// forecast that comes and goes is none. Where samples are rarer, they are the quarters.
fn agreed<T>(series: &Series, estimate: impl Fn(u32) -> Option<T>) -> Option<T> {
    const QUARTER: u32 = 900;
    let newest = series.staleness();
    let spacing = series.points.iter().rev().nth(1).map_or(0, |point| point.ago - newest);
    let step = QUARTER.max(spacing.min(4 * QUARTER));
    let said = estimate(newest)?;
    let before = (1..4).filter(|n| estimate(newest + n * step).is_some()).count();
    (before >= 2).then_some(said)
}

impl Eta {
    /// Days to the likely end, and to the earliest and the latest; none beyond a year.
    fn of_days(likely: f64, earliest: f64, latest: f64) -> Option<Self> {
        let span = |days: f64| Span::from_seconds(natural(days * f64::from(DAY)).max(60));
        let within = (likely <= YEAR).then(|| span(likely))?;
        let to = (latest.is_finite() && latest > 0.0).then(|| span(latest).max(within));
        Some(Self { within, from: span(earliest).min(within), to })
    }
}

impl fmt::Display for Eta {
    /// `5 h (3–9 h)`; where the end is open, `5 h (3 h at the earliest)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = spoken(self.within);
        let (from, to) = (spoken(self.from), self.to.map(spoken));
        write!(f, "{within}")?;
        match to {
            Some(to) if from == within && to == within => Ok(()),
            Some(to) if from.unit == to.unit => write!(f, " ({}–{to})", from.number),
            Some(to) => write!(f, " ({from}–{to})"),
            None if from == within => Ok(()),
            None => write!(f, " ({from} at the earliest)"),
        }
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullNow => f.write_str("full now"),
            Self::Full { eta, by: by @ Method::CleanupStopped } => write!(f, "full in {eta}, {}", by.word()),
            Self::Full { eta, by } => write!(f, "full in {eta}, by {}", by.word()),
            Self::Later => f.write_str("not full within a year"),
            Self::Stable => f.write_str("stable"),
            Self::Insufficient { have, need } => {
                let (have, need) = (have.seconds(), need.seconds());
                let day = u64::from(DAY);
                write!(f, "insufficient history ({} of {} days)", have / day, need.div_ceil(day))
            }
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outlook.fmt(f)
    }
}

/// A span as it is spoken: the nearest whole number of one unit, never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spoken {
    number: u64,
    unit: &'static str,
}

fn spoken(span: Span) -> Spoken {
    let (unit, seconds) = match span.seconds() {
        s if s >= 48 * 3600 => ("d", u64::from(DAY)),
        s if s >= 3600 => ("h", 3600),
        _ => ("min", 60),
    };
    Spoken { number: ((span.seconds() + seconds / 2) / seconds).max(1), unit }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.unit)
    }
}

/// Back to a whole number: what is less than nothing is nothing, and what is too much the most there is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
const fn natural(x: f64) -> u64 {
    x as u64
}
