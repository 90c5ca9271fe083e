//! A share of a whole: `85%`, `92.5%`.

use super::{UnitError, deserialize_from_str};
use std::{fmt, str::FromStr};

/// A share from 0 % to 100 %, exact to a hundredth of a percent.
///
/// ```
/// # use maint_core::units::Share;
/// let most: Share = "95%".parse().unwrap();
/// assert!(most.is_exceeded_by(96, 100) && !most.is_exceeded_by(95, 100));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    basis_points: u16,
}

impl Share {
    /// A whole number of percent; more than 100 is 100.
    pub const fn from_percent(percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Self { basis_points: percent as u16 * 100 }
    }

    /// Whether `part` of `whole` is more than this share; exact, without rounding.
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 10_000 > u128::from(whole) * u128::from(self.basis_points)
    }

    /// Whether `part` of `whole` is this share or more; of nothing, nothing is.
    pub fn is_reached_by(self, part: u64, whole: u64) -> bool {
        whole > 0 && u128::from(part) * 10_000 >= u128::from(whole) * u128::from(self.basis_points)
    }

    /// This share of a whole, rounded down.
    pub fn of(self, whole: u64) -> u64 {
        u64::try_from(u128::from(whole) * u128::from(self.basis_points) / 10_000).unwrap_or(whole)
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError::new(text, "a share", "write a number from 0 to 100 and a percent sign: 85% or 92.5%")
        };
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |s: &str, most: usize| !s.is_empty() && s.len() <= most && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(fraction, 2) {
            return Err(wrong());
        }
        let hundredths = format!("{whole}{fraction:0<2}").parse::<u16>().ok().filter(|bp| *bp <= 10_000);
        hundredths.map(|basis_points| Self { basis_points }).ok_or_else(wrong)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.basis_points / 100, self.basis_points % 100);
        match (rest / 10, rest % 10) {
            (0, 0) => write!(f, "{whole}%"),
            (tenths, 0) => write!(f, "{whole}.{tenths}%"),
            (tenths, hundredths) => write!(f, "{whole}.{tenths}{hundredths}%"),
        }
    }
}

deserialize_from_str!(Share, "a share such as \"85%\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_printed_exactly() {
        for text in ["0%", "85%", "92.5%", "99.95%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "%", "85", "101%", "100.01%", "-1%", "1.%", ".5%", "1.234%", "999%", "85 %"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_border_is_not_exceeded() {
        let most = Share::from_percent(95);
        assert!(!most.is_exceeded_by(95, 100));
        assert!(most.is_exceeded_by(951, 1000));
        assert!(!most.is_exceeded_by(0, 0));
        assert!(most.is_exceeded_by(u64::MAX, u64::MAX));
    }
}
