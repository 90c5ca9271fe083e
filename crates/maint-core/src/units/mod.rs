//! What the configuration and the command line say in words: durations, sizes, shares.
//!
//! Each is a checked type with one parser, one printer and one sentence that teaches the spelling.
//! A number without a unit is never accepted: `30` days and `30` seconds look the same in a file.

use crate::text::printable;

mod byte_size;
mod share;
mod span;

pub use byte_size::ByteSize;
pub use share::Share;
pub use span::Span;

/// Why a word is not the quantity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not {wanted}: {why}")]
pub struct UnitError {
    given: String,
    wanted: &'static str,
    why: String,
}

impl UnitError {
    pub(crate) fn new(given: &str, wanted: &'static str, why: impl Into<String>) -> Self {
        Self { given: printable(given.as_bytes()), wanted, why: why.into() }
    }
}

/// `"15min"` into `(15, "min")`: whole digits, then the unit as written.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| text.split_at(digits))
}

/// A whole number of one of these units, in the smallest; `spelling` teaches what would be right.
fn quantity(
    text: &str,
    wanted: &'static str,
    spelling: &str,
    units: &[(&str, u64)],
    most: (u64, &str),
) -> Result<u64, UnitError> {
    let parts = number_and_unit(text);
    let found =
        parts.and_then(|(number, unit)| Some((number, units.iter().find(|(name, _)| *name == unit)?.1)));
    let (number, size) = found.ok_or_else(|| UnitError::new(text, wanted, spelling))?;
    let total = number.parse::<u64>().ok().and_then(|n| n.checked_mul(size)).filter(|total| *total <= most.0);
    total.ok_or_else(|| UnitError::new(text, wanted, most.1))
}

/// Reads a unit from a TOML string through its `FromStr`, with its own words when another type is found.
macro_rules! deserialize_from_str {
    ($unit:ty, $expecting:expr) => {
        impl<'de> serde::Deserialize<'de> for $unit {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Words;
                impl serde::de::Visitor<'_> for Words {
                    type Value = $unit;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Words)
            }
        }
    };
}
pub(crate) use deserialize_from_str;

/// A key whose value is one word of a short list: the list is the parser and the error message.
macro_rules! one_word_of {
    ($type:ty, $wanted:literal, $($word:literal => $value:expr),+ $(,)?) => {
        impl std::str::FromStr for $type {
            type Err = $crate::units::UnitError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err($crate::units::UnitError::new(text, $wanted, concat!("write one of", $(" ", $word),+))),
                }
            }
        }
        $crate::units::deserialize_from_str!($type, concat!("one of the words", $(" \"", $word, "\""),+));
    };
}
pub(crate) use one_word_of;

/// A number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "exact to 8 PiB, and beyond to one part in as many")]
pub const fn real(n: u64) -> f64 {
    n as f64
}
