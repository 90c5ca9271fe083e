//! What became of a section's command.

use std::fmt;

/// A command that has been run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// How long it took.
    pub seconds: f64,
    /// The filesystems on which space came free meanwhile, and how much.
    pub freed: Vec<(String, u64)>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// By us, and why.
    Stopped(String),
    /// It did not even begin, and why.
    NotBegun(String),
}

impl Ended {
    /// Whether it did what it was meant to.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::Stopped(why) => write!(f, "stopped, {why}"),
            Self::NotBegun(why) => f.write_str(why),
        }
    }
}
