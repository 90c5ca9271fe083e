//! What a tool remembers of a tree from run to run.

use super::real;
use crate::{time::Timestamp, units::Span};

/// So many hours are remembered: those of a day, and the same ones of the day before.
const REMEMBERED: usize = 48;
const HOUR: Span = Span::from_seconds(3600);

/// What was written to a tree in each of the last 48 hours: what a tool remembers of it from run to run.
///
/// What has been removed since is still in here; that is what it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written(Vec<Hour>);

/// What was written in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// When the hour was over.
    pub end: Timestamp,
    /// How much.
    pub amount: u64,
}

impl Written {
    /// What was remembered, in any order.
    pub fn new(hours: impl IntoIterator<Item = Hour>) -> Self {
        let mut hours: Vec<Hour> = hours.into_iter().collect();
        hours.sort_unstable_by_key(|hour| hour.end);
        Self(hours)
    }

    /// What is to be remembered, the oldest first.
    pub fn hours(&self) -> &[Hour] {
        &self.0
    }

    /// Takes down the hours that have passed since the last one, from a look at the tree; most runs have
    /// nothing to add. After a gap the tree itself knows what it still holds.
    pub fn note(&mut self, at: Timestamp, hours: &[u64]) {
        // What claims to be later was written down by a wrong clock.
        self.0.retain(|hour| hour.end <= at);
        let last = self.0.last().map(|hour| hour.end);
        let missing = last.map_or(REMEMBERED, |last| {
            usize::try_from(at.since(last).seconds() / HOUR.seconds()).unwrap_or(REMEMBERED)
        });
        let ends = std::iter::successors(Some(at), |end| Some(end.minus(HOUR)));
        let new: Vec<Hour> =
            ends.zip(hours).take(missing).map(|(end, &amount)| Hour { end, amount }).collect();
        self.0.extend(new.into_iter().rev());
        self.0.drain(..self.0.len().saturating_sub(REMEMBERED));
    }

    /// What was written between `age` and `age + 1` hours before a moment, if most of that hour is known.
    pub(super) fn aged(&self, at: Timestamp, age: usize) -> Option<f64> {
        let hour = i64::try_from(HOUR.seconds()).ok()?;
        let end = at.seconds.checked_sub(i64::try_from(age).ok()?.checked_mul(hour)?)?;
        let overlap = |known: &Hour| {
            let apart = known.end.seconds.saturating_sub(end).saturating_abs();
            u32::try_from(hour.saturating_sub(apart)).map_or(0.0, |part| f64::from(part) / 3600.0)
        };
        let parts = || self.0.iter().map(|known| (overlap(known), real(known.amount)));
        let share: f64 = parts().map(|(share, _)| share).sum();
        (share >= 0.5).then(|| parts().map(|(share, amount)| share * amount).sum::<f64>() / share)
    }
}
