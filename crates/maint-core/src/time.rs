//! Moments, as filesystems keep them. Nothing here reads a clock: `now` is always handed in.

use crate::units::Span;

/// A moment: seconds since 1970 and nanoseconds, ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Timestamp {
    /// A moment at a whole second.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The whole seconds as a number with a fraction: what metrics take.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit for 285 million years")]
    pub const fn real_seconds(self) -> f64 {
        self.seconds as f64
    }

    /// The moment `span` before this one.
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        let seconds = self.seconds.saturating_sub(i64::try_from(span.seconds()).unwrap_or(i64::MAX));
        Self { seconds, ..self }
    }

    /// The moment `span` after this one.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        let seconds = self.seconds.saturating_add(i64::try_from(span.seconds()).unwrap_or(i64::MAX));
        Self { seconds, ..self }
    }

    /// How long after `earlier` this is; nothing when it is before.
    pub fn since(self, earlier: Self) -> Span {
        let borrow = i64::from(self.nanos < earlier.nanos);
        let seconds = self.seconds.saturating_sub(earlier.seconds).saturating_sub(borrow);
        Span::from_seconds(u64::try_from(seconds).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_means_no_time_has_passed() {
        let (early, late) = (Timestamp::from_seconds(10), Timestamp::from_seconds(25));
        assert_eq!(late.since(early).seconds(), 15);
        assert_eq!(early.since(late).seconds(), 0);
    }

    #[test]
    fn part_of_a_second_is_not_a_second() {
        let early = Timestamp { seconds: 10, nanos: 900_000_000 };
        assert_eq!(Timestamp { seconds: 11, nanos: 100_000_000 }.since(early).seconds(), 0);
        assert_eq!(Timestamp { seconds: 11, nanos: 900_000_000 }.since(early).seconds(), 1);
    }

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        let end = Timestamp::from_seconds(i64::MAX);
        let start = Timestamp::from_seconds(i64::MIN);
        assert_eq!(start.minus(Span::from_seconds(u64::MAX)).seconds, i64::MIN);
        assert!(end.since(start).seconds() > 0);
    }
}
