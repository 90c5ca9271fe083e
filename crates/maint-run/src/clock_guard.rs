//! Whether the clock can be believed. A wrong one makes fresh files look old, and nothing is lost faster.
//!
//! What is known: when this program was built, when it last ran, how far apart its runs lie, whether the
//! kernel says that its clock is kept right, and, where nothing is remembered, when the kernel last
//! changed anything that the run looks at.

use crate::clock;
use maint_core::{time::Timestamp, units::Span};
use std::fmt;

/// What speaks for and against the clock.
#[derive(Debug, Clone)]
pub struct Witnesses {
    /// When this program was built.
    pub built: Timestamp,
    /// When believed runs began, the newest first.
    pub starts: Vec<Timestamp>,
    /// The kernel says that its clock is kept right.
    pub synchronised: bool,
}

/// Why the clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It is behind the moment at which this program was built.
    BeforeBuild(Timestamp),
    /// It is behind the last run.
    BehindRecord(Timestamp),
    /// It is further ahead of the last run than runs ever lay apart.
    AheadOfRecord(Timestamp, Span),
    /// Nothing is remembered, and nothing has changed for long by its measure.
    AheadOfData(Timestamp),
}

/// So many runs, and so ten gaps, are looked back.
pub(crate) const RUNS: u32 = 11;
/// A clock may always have gone on by so much.
const DAY: Span = Span::from_seconds(86_400);

impl Witnesses {
    /// What speaks against the clock, whatever the data say.
    pub fn doubt(&self, now: Timestamp) -> Option<Doubt> {
        if now < self.built {
            return Some(Doubt::BeforeBuild(self.built));
        }
        let last = *self.starts.first()?;
        if self.synchronised {
            return None;
        }
        if now < last {
            return Some(Doubt::BehindRecord(last));
        }
        let gaps = self.starts.windows(2).map(|pair| pair[0].since(pair[1]).seconds());
        let longest = gaps.max().unwrap_or(0);
        let most = Span::from_seconds(longest.saturating_mul(3).max(DAY.seconds()));
        (now.since(last) > most).then_some(Doubt::AheadOfRecord(last, most))
    }

    /// The same where nothing is remembered: then the data must speak for the clock.
    pub fn doubt_by_data(&self, now: Timestamp, latest_change: Option<Timestamp>) -> Option<Doubt> {
        let latest = latest_change.filter(|latest| *latest <= now)?;
        let silent = self.starts.is_empty() && !self.synchronised && now.since(latest) > DAY;
        silent.then_some(Doubt::AheadOfData(latest))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeBuild(built) => {
                write!(f, "the clock is behind {}, when this program was built", clock::local(*built))
            }
            Self::BehindRecord(last) => {
                write!(f, "the clock is behind {}, when the last run began", clock::local(*last))
            }
            Self::AheadOfRecord(last, most) => write!(
                f,
                "the last run began {}, no two lay further apart than {} allows, and the kernel does not call its clock synchronised",
                clock::local(*last),
                most.roughly()
            ),
            Self::AheadOfData(latest) => write!(
                f,
                "nothing here has changed since {}, no earlier run is remembered, and the kernel does not call its clock synchronised",
                clock::local(*latest)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn hourly(synchronised: bool) -> Witnesses {
        let starts = (1..=11).map(|n| at(NOW - n * HOUR)).collect();
        Witnesses { built: at(NOW - 1000 * HOUR), starts, synchronised }
    }

    #[test]
    fn hourly_runs_bear_a_day_off() {
        assert_eq!(hourly(false).doubt(at(NOW)), None);
        assert_eq!(hourly(false).doubt(at(NOW + 23 * HOUR)), None);
        assert!(matches!(hourly(false).doubt(at(NOW + 24 * HOUR)), Some(Doubt::AheadOfRecord(..))));
        assert_eq!(hourly(true).doubt(at(NOW + 24 * 42 * HOUR)), None, "really off for six weeks");
    }

    #[test]
    fn weekly_runs_bear_three_weeks() {
        let week = 7 * 24 * HOUR;
        let starts = vec![at(NOW), at(NOW - week)];
        let weekly = Witnesses { starts, ..hourly(false) };
        assert_eq!(weekly.doubt(at(NOW + 3 * week)), None);
        assert!(weekly.doubt(at(NOW + 3 * week + 1)).is_some());
    }

    #[test]
    fn a_clock_that_went_back_is_doubted_unless_the_kernel_vouches_for_it() {
        assert!(matches!(hourly(false).doubt(at(NOW - 24 * HOUR)), Some(Doubt::BehindRecord(_))));
        assert_eq!(hourly(true).doubt(at(NOW - 24 * HOUR)), None);
        assert!(matches!(hourly(true).doubt(at(0)), Some(Doubt::BeforeBuild(_))));
    }

    #[test]
    fn without_memory_the_data_speak() {
        let first = Witnesses { starts: Vec::new(), ..hourly(false) };
        assert_eq!(first.doubt(at(NOW)), None);
        assert_eq!(first.doubt_by_data(at(NOW), Some(at(NOW - HOUR))), None);
        assert!(first.doubt_by_data(at(NOW + 365 * 24 * HOUR), Some(at(NOW))).is_some());
        assert_eq!(first.doubt_by_data(at(NOW), None), None, "nothing there, nothing to lose");
        assert_eq!(hourly(false).doubt_by_data(at(NOW), Some(at(0))), None, "what is remembered is enough");
    }
}
