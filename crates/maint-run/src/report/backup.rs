//! What became of the backup of a database.

use maint_core::units::ByteSize;
use std::fmt;

/// A backup that was made, or looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackedUp {
    /// Its name; none was made without one.
    pub id: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// What is proved of it: `none`, `checksum`, `restore`.
    pub verified: &'static str,
    /// What it took, step by step, in seconds.
    pub steps: Vec<(&'static str, f64)>,
    /// What was removed, or would be.
    pub removed: Vec<String>,
    /// Who stays, and why.
    pub kept: Vec<(String, String)>,
    /// What was found out and is no fault, a line each.
    pub found: Vec<String>,
}

impl fmt::Display for BackedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            None => f.write_str("no backup made"),
            Some(id) => write!(f, "{id}, {}, proved: {}", ByteSize::from_bytes(self.bytes), self.verified),
        }
    }
}
