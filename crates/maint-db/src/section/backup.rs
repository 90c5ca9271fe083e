//! `[database.NAME.backup]`: where backups go, what is proved of them, and which stay.

use maint_core::{
    grouping::Per,
    retention::Keep,
    section::{Fault, KeepValue, check_root_path},
    units::Span,
};
use serde::Deserialize as _;
use std::{fmt, path::PathBuf, str::FromStr};

/// The keys of `[database.NAME.backup]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackupSection {
    /// Where they lie.
    pub dir: PathBuf,
    /// Which of the proven ones stay.
    pub keep: KeepValue,
    /// What must be proved of one before it counts.
    #[serde(default = "by_restoring")]
    pub verify: Level,
    /// A restore is tried this seldom, where it takes too long for every day.
    pub verify_every: Option<Span>,
    /// So many of those that are not proven stay beside the others.
    #[serde(default = "three")]
    pub max_unproven: u32,
    /// Which databases of the server: a list, or `"all"`, new ones too.
    #[serde(default)]
    pub databases: Databases,
    /// Which need none.
    #[serde(default)]
    pub except: Vec<String>,
    /// The volume that must be mounted.
    pub volume: Option<String>,
    /// A second place.
    pub copy_to: Option<CopyTo>,
    /// Another `[database.NAME]`, at whose server a restore is tried.
    pub scratch: Option<String>,
    /// Where a scratch server has its files.
    pub scratch_dir: Option<PathBuf>,
    /// How hard to compress.
    #[serde(default = "usual_level")]
    pub compression_level: CompressionLevel,
    /// How long one step may take.
    #[serde(default = "six_hours")]
    pub timeout: Span,
    /// How long a table that somebody locks is waited for.
    #[serde(default = "a_minute")]
    pub lock_wait: Span,
    /// How many tables are restored at once.
    pub jobs: Option<u32>,
    /// Always only show.
    #[serde(default)]
    pub dry_run: bool,
}

/// A second place for backups.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CopyTo {
    /// Where.
    pub dir: PathBuf,
    /// Which stay there.
    pub keep: KeepValue,
    /// The volume that must be mounted.
    pub volume: Option<String>,
}

/// What is proved of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    None,
    /// Every file is what was written.
    Checksum,
    /// Restored, it is what was backed up.
    Restore,
}

/// Which databases of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Databases {
    /// The one that the section names.
    #[default]
    One,
    /// Every one that there is when a backup is made.
    All,
    /// These.
    These(Vec<String>),
}

/// From 1, quick, to 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct CompressionLevel(pub i32);

fn by_restoring() -> Level {
    Level::Restore
}

fn three() -> u32 {
    3
}

/// Measured on rows of telemetry and on SQLite files: higher ones cost more than they save.
fn usual_level() -> CompressionLevel {
    CompressionLevel(1)
}

fn six_hours() -> Span {
    Span::from_seconds(6 * 3600)
}

fn a_minute() -> Span {
    Span::from_seconds(60)
}

impl Level {
    /// The word of configurations, manifests and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Checksum => "checksum",
            Self::Restore => "restore",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Checksum, Self::Restore, Self::None]
            .into_iter()
            .find(|level| level.word() == text)
            .ok_or_else(|| "write \"checksum\" or \"restore\"".to_owned())
    }
}

impl<'de> serde::Deserialize<'de> for Level {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> serde::Deserialize<'de> for Databases {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> serde::de::Visitor<'de> for Words {
            type Value = Databases;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", or a list of databases such as [\"camera\", \"events\"]")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Databases, E> {
                if text == "all" {
                    Ok(Databases::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Databases, A::Error> {
                let names = Vec::<String>::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
                if names.is_empty() {
                    return Err(serde::de::Error::custom(
                        "an empty list would back up nothing: leave the key out",
                    ));
                }
                Ok(Databases::These(names))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

fn fault(key: &'static str, message: impl Into<String>) -> Fault {
    Fault { key: Some(key), message: message.into() }
}

impl BackupSection {
    /// The first fault between its keys.
    pub(super) fn check(&self, is_sqlite: bool) -> Result<(), Fault> {
        check_root_path(&self.dir).map_err(|why| fault("backup.dir", why))?;
        if self.dir.file_name().is_none() {
            return Err(fault("backup.dir", "is the root of everything: name a folder for backups alone"));
        }
        check_keep(&self.keep.0, "backup.keep")?;
        if self.verify == Level::None {
            return Err(fault(
                "backup.verify",
                "a backup of which nothing is known is none: write \"checksum\" or \"restore\"",
            ));
        }
        if self.verify_every.is_some() && self.verify != Level::Restore {
            return Err(fault(
                "backup.verify-every",
                "is how often a restore is tried: it wants verify = \"restore\"",
            ));
        }
        if !(1..=19).contains(&self.compression_level.0) {
            return Err(fault("backup.compression-level", "is a number from 1 to 19"));
        }
        if self.timeout.seconds() == 0 {
            return Err(fault("backup.timeout", "0 would stop it before it began"));
        }
        if self.jobs == Some(0) {
            return Err(fault("backup.jobs", "is 1 or more"));
        }
        if is_sqlite {
            for (key, is_there) in [
                ("backup.databases", self.databases != Databases::One),
                ("backup.except", !self.except.is_empty()),
                ("backup.scratch", self.scratch.is_some()),
                ("backup.scratch-dir", self.scratch_dir.is_some()),
                ("backup.jobs", self.jobs.is_some()),
            ] {
                if is_there {
                    return Err(fault(
                        key,
                        "is for PostgreSQL: a file holds one database and needs no server",
                    ));
                }
            }
        }
        if !self.except.is_empty() && self.databases != Databases::All {
            return Err(fault("backup.except", "takes something away from databases = \"all\""));
        }
        if self.scratch.is_some() && self.scratch_dir.is_some() {
            return Err(fault(
                "backup.scratch-dir",
                "is for a server of our own, and scratch names another: write one of the two",
            ));
        }
        if let Some(dir) = &self.scratch_dir {
            check_root_path(dir).map_err(|why| fault("backup.scratch-dir", why))?;
        }
        if let Some(copy) = &self.copy_to {
            check_root_path(&copy.dir).map_err(|why| fault("backup.copy-to", why))?;
            check_keep(&copy.keep.0, "backup.copy-to")?;
            if copy.dir.starts_with(&self.dir) || self.dir.starts_with(&copy.dir) {
                return Err(fault(
                    "backup.copy-to",
                    "lies in dir, or dir in it: a copy belongs on another disk",
                ));
            }
        }
        Ok(())
    }

    /// Other tables that must be there.
    pub(super) fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        let copy = self.copy_to.iter().filter_map(|copy| copy.volume.as_deref());
        let volumes = self.volume.iter().map(|name| ("backup.volume", "volume", name.as_str()));
        let scratch = self.scratch.iter().map(|name| ("backup.scratch", "database", name.as_str()));
        volumes.chain(copy.map(|name| ("backup.copy-to", "volume", name))).chain(scratch).collect()
    }
}

fn check_keep(keep: &Keep, key: &'static str) -> Result<(), Fault> {
    if keep.per != Per::Target {
        return Err(fault(key, "per is for files: each database has a calendar of its own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::DatabaseSection;
    use maint_core::section::Section as _;

    fn refuse(keys: &str, key: &str, says: &str) {
        let text = format!(
            "url = 'postgres://u@localhost/d'\n[backup]\ndir = '/srv/backups'\nkeep = {{ daily = 14 }}\n{keys}"
        );
        let fault = toml::from_str::<DatabaseSection>(&text).unwrap().check().unwrap_err();
        assert_eq!(fault.key, Some(key), "{}", fault.message);
        assert!(fault.message.contains(says), "{}", fault.message);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        refuse("verify = 'none'", "backup.verify", "is none");
        refuse("verify = 'checksum'\nverify-every = '7d'", "backup.verify-every", "wants verify");
        refuse("compression-level = 30", "backup.compression-level", "1 to 19");
        refuse("except = ['x']", "backup.except", "all");
        refuse(
            "copy-to = { dir = '/srv/backups/2', keep = { daily = 1 } }",
            "backup.copy-to",
            "another disk",
        );
        refuse("timeout = '0s'", "backup.timeout", "before it began");
        let wrong = toml::from_str::<DatabaseSection>(
            "url = 'sqlite:///x.db'\n[backup]\ndir = '/b'\nkeep = { last = 1 }\njobs = 2",
        )
        .unwrap();
        assert_eq!(wrong.check().unwrap_err().key, Some("backup.jobs"));
    }
}
