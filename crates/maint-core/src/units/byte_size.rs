//! A number of bytes: `100MB` in powers of ten, `100MiB` or `100M` in powers of two.

use super::{UnitError, deserialize_from_str, quantity};
use std::{fmt, str::FromStr};

/// A number of bytes.
///
/// ```
/// # use maint_core::units::ByteSize;
/// assert_eq!("100MB".parse::<ByteSize>().unwrap().bytes(), 100_000_000);
/// assert_eq!("100M".parse::<ByteSize>(), "100MiB".parse());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Unit, bytes.
const UNITS: [(&str, u64); 13] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000_u64.pow(2)),
    ("GB", 1000_u64.pow(3)),
    ("TB", 1000_u64.pow(4)),
    ("KiB", 1 << 10),
    ("K", 1 << 10),
    ("MiB", 1 << 20),
    ("M", 1 << 20),
    ("GiB", 1 << 30),
    ("G", 1 << 30),
    ("TiB", 1 << 40),
    ("T", 1 << 40),
];

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let spelling = "write a whole number and a unit: 512B, 64kB, 100MB, 20GB (powers of ten) or 64KiB, 100MiB, 20GiB (powers of two; K, M, G, T for short)";
        quantity(text, "a size", spelling, &UNITS, (u64::MAX, "more than 16 EiB")).map(Self)
    }
}

impl fmt::Display for ByteSize {
    /// As a person reads it, in powers of two: `4.2 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.0 >= 1024);
        let style = humansize::BINARY.decimal_places(decimals).decimal_zeroes(decimals);
        f.write_str(&humansize::format_size(self.0, style))
    }
}

deserialize_from_str!(ByteSize, "a size such as \"100MB\", \"100MiB\" or \"20G\"");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, bytes: u64) {
        assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
    }

    #[test]
    fn powers_of_ten_and_of_two_are_told_apart() {
        check("100MB", 100_000_000);
        check("100MiB", 104_857_600);
        check("100M", 104_857_600);
        check("1kB", 1000);
        check("1KiB", 1024);
        check("0B", 0);
        check("2T", 2 << 40);
    }

    #[test]
    fn wrong_spellings_and_overflow_are_errors() {
        for text in ["", "100", "100mb", "MB", "1.5GB", "-1B", "100 MB", "999999999T"] {
            let error = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.contains("is not a size"), "{text}: {error}");
        }
    }

    #[test]
    fn a_person_reads_one_decimal() {
        assert_eq!(ByteSize(4_509_715_661).to_string(), "4.2 GiB");
        assert_eq!(ByteSize(100).to_string(), "100 B");
    }
}
