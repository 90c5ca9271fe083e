//! The configuration: one TOML file and its drop-ins, read strictly.
//!
//! Everything that is wrong comes with file, line and column and what would be right. A tool judges
//! `[host]`, `[log]`, `[volume]` and its own sections; the tables of other tools are left to them.

mod document;
mod environment;
mod host;
mod trust;

pub use document::{Faults, Named};
pub use host::{HostSection, Level, LogSection};

use document::Document;
use environment::Environment;
use maint_core::section::{Section, VolumeSection};
use std::path::{Path, PathBuf};

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/maint/maint.toml";

/// Every first word a table may have, and how many tables it stands for.
const SECTIONS: [(&str, Tables); 14] = [
    ("host", Tables::One),
    ("log", Tables::One),
    ("volume", Tables::Named),
    ("alert", Tables::Named),
    ("files", Tables::Named),
    ("orphans", Tables::Named),
    ("logs", Tables::Named),
    ("jobs", Tables::Named),
    ("reclaim", Tables::Named),
    ("database", Tables::Named),
    ("rows", Tables::Named),
    ("watch", Tables::Named),
    ("check", Tables::Named),
    ("service", Tables::Named),
];

/// `[host]`, or `[files.live]` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    One,
    Named,
}

/// What was read.
#[derive(Debug)]
pub struct Config {
    document: Document,
    environment: Environment,
    host: HostSection,
    log: LogSection,
    volumes: Vec<Named<VolumeSection>>,
}

/// Which file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The one that was named: it must be there.
    Named(PathBuf),
    /// The usual one: it may be missing.
    Usual(PathBuf),
}

impl Source {
    /// `--config`, else `$MAINT_CONFIG`, else the usual place.
    pub fn find(option: Option<&Path>) -> Self {
        let named = option.map(Path::to_owned).or_else(from_environment);
        named.map_or_else(|| Self::Usual(DEFAULT_FILE.into()), Self::Named)
    }
}

/// A variable that is set to nothing names no file.
fn from_environment() -> Option<PathBuf> {
    std::env::var_os("MAINT_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from)
}

impl Config {
    /// Reads the file, its drop-ins and its env files.
    pub fn load(source: &Source) -> Result<Self, Faults> {
        let document = Document::read(source)?;
        // What names the env files cannot be read from them.
        let mut environment = Environment::default();
        document.read_env_files(&mut environment)?;
        let host = document.single("host", &environment)?.unwrap_or_default();
        let log = document.single("log", &environment)?.unwrap_or_default();
        let volumes = document.named("volume", &environment)?;
        Ok(Self { document, environment, host, log, volumes })
    }

    /// `[host]`.
    pub fn host(&self) -> &HostSection {
        &self.host
    }

    /// `[log]`.
    pub fn log(&self) -> &LogSection {
        &self.log
    }

    /// All `[volume.NAME]`.
    pub fn volumes(&self) -> impl Iterator<Item = (&str, &VolumeSection)> {
        self.volumes.iter().map(|volume| (volume.name.as_str(), &volume.value))
    }

    /// `[volume.NAME]`.
    pub fn volume(&self, name: &str) -> Option<&VolumeSection> {
        self.volumes.iter().find(|volume| volume.name == name).map(|volume| &volume.value)
    }

    /// The names of all tables `[section.NAME]`, whether they are right or not.
    pub fn names<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a str> {
        self.document.names(section)
    }

    /// All tables `[section.NAME]`, in the order in which they stand in the files.
    pub fn sections<T: Section>(&self, section: &str) -> Result<Vec<Named<T>>, Faults> {
        self.document.named(section, &self.environment)
    }

    /// The files that were read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.document.files()
    }
}
