//! A length of time, to the second: `90s 15min 24h 7d 2w 6mo 1y`.

use super::{UnitError, deserialize_from_str, number_and_unit, quantity};
use std::{fmt, str::FromStr};

/// A length of time in whole seconds.
///
/// A month is 30 days and a year 365: retention counts days that have passed, not calendar pages.
///
/// ```
/// # use maint_core::units::Span;
/// assert_eq!("36h".parse::<Span>().unwrap().seconds(), 129_600);
/// assert!("5m".parse::<Span>().unwrap_err().to_string().contains("5min"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Unit, seconds. The words of error messages come from here too.
const UNITS: [(&str, u64); 7] =
    [("s", 1), ("min", MINUTE), ("h", HOUR), ("d", DAY), ("w", 7 * DAY), ("mo", 30 * DAY), ("y", 365 * DAY)];

/// A thousand years: more is a slip of the finger, and less keeps every sum within its type.
const LONGEST: u64 = 1000 * 365 * DAY;

impl Span {
    /// So many seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The length in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The length as a person would say it, rounded down to one unit: `3h`, `12d`.
    pub fn roughly(self) -> String {
        let (unit, seconds) = match self.0 {
            s if s >= 2 * DAY => ("d", DAY),
            s if s >= HOUR => ("h", HOUR),
            s if s >= MINUTE => ("min", MINUTE),
            _ => ("s", 1),
        };
        format!("{}{unit}", self.0 / seconds)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const WANTED: &str = "a duration";
        if let Some((number, "m")) = number_and_unit(text) {
            let why = format!("m is ambiguous: write {number}min for minutes or {number}mo for months");
            return Err(UnitError::new(text, WANTED, why));
        }
        let spelling = "write a whole number and a unit: 90s, 15min, 24h, 7d, 2w, 6mo or 1y";
        quantity(text, WANTED, spelling, &UNITS, (LONGEST, "more than 1000 years")).map(Self)
    }
}

impl fmt::Display for Span {
    /// Exact, in the largest unit that divides it; hours up to two days, because people say 48h.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |unit: u64| self.0.is_multiple_of(unit);
        match self.0 {
            0 => f.write_str("0s"),
            s if whole(DAY) && s > 2 * DAY => write!(f, "{}d", s / DAY),
            s if whole(HOUR) => write!(f, "{}h", s / HOUR),
            s if whole(MINUTE) => write!(f, "{}min", s / MINUTE),
            s => write!(f, "{s}s"),
        }
    }
}

deserialize_from_str!(
    Span,
    "a duration such as \"90s\", \"15min\", \"24h\", \"7d\", \"2w\", \"6mo\" or \"1y\""
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, seconds: u64) {
        assert_eq!(text.parse::<Span>().unwrap().seconds(), seconds, "{text}");
    }

    fn refuse(text: &str, says: &str) {
        let error = text.parse::<Span>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }

    #[test]
    fn every_spelling_of_the_manual_is_read() {
        check("0s", 0);
        check("90s", 90);
        check("15min", 900);
        check("24h", 86_400);
        check("7d", 604_800);
        check("2w", 1_209_600);
        check("6mo", 15_552_000);
        check("1y", 31_536_000);
    }

    #[test]
    fn a_bare_m_names_both_spellings() {
        refuse("5m", "5min");
        refuse("5m", "5mo");
    }

    #[test]
    fn what_is_no_duration_is_told_the_spelling() {
        for text in ["", "d", "30", "30 d", "-1d", "1.5h", "1D", "1d12h", "\u{0661}d"] {
            refuse(text, "24h");
        }
    }

    #[test]
    fn too_long_is_an_error_and_not_a_wrapped_number() {
        refuse("999999999999y", "1000 years");
        refuse("99999999999999999999999s", "1000 years");
        refuse("1001y", "1000 years");
    }

    #[test]
    fn a_person_reads_hours_up_to_two_days() {
        let print = |text: &str| text.parse::<Span>().unwrap().to_string();
        assert_eq!([print("24h"), print("48h"), print("2w"), print("90s")], ["24h", "48h", "14d", "90s"]);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds in 0..LONGEST) {
            prop_assert_eq!(Span(seconds).to_string().parse::<Span>(), Ok(Span(seconds)));
        }
    }
}
