//! The configuration's tables as values: one file for each kind of section.
//!
//! They know their keys and what fits together; where a table stood in which file is the loader's
//! business.

mod files;
mod orphans;
mod plugin;
mod reclaim;
mod values;
mod volume;
mod watch;

pub use files::{EmergencyPolicy, EmptyFolders, FilesSection, GuardSection, check_root_path};
pub use orphans::{Find, OrphansSection};
pub use plugin::PluginSection;
pub use reclaim::ReclaimSection;
pub use values::{
    AgeByValue, KeepNewestValue, KeepValue, LimitValue, OneOrMore, Patterns, Rate, ThenValue, ThinValue,
};
pub use volume::{EmergencyMarks, ForecastMarks, VolumeSection};
pub use watch::{Severity, WatchSection};

/// Two keys of one table that cannot both be meant, or one that is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The key to point at; `None` points at the table.
    pub key: Option<&'static str>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    fn at(key: &'static str, message: impl Into<String>) -> Self {
        Self { key: Some(key), message: message.into() }
    }

    fn whole(message: impl Into<String>) -> Self {
        Self { key: None, message: message.into() }
    }
}

/// A table that can tell whether its keys fit together.
pub trait Section: serde::de::DeserializeOwned {
    /// The first fault between its keys.
    fn check(&self) -> Result<(), Fault>;

    /// Other tables that must be there: the key that speaks of one, its section and its name.
    fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        Vec::new()
    }

    /// The first fault between all tables of this kind, with the place of the table in the list.
    fn check_together(_: &[(&str, &Self)]) -> Result<(), (usize, Fault)> {
        Ok(())
    }
}
