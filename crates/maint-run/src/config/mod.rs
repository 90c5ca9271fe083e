//! The configuration: one TOML file and its drop-ins, read strictly.
//!
//! Everything that is wrong comes with file, line and column and what would be right. A tool judges
//! `[host]`, `[log]` and its own sections; the tables of other tools are left to them.

mod document;
mod environment;
mod host;
mod trust;

pub use document::{Faults, Named};
pub use host::{HostSection, Level, LogSection};

use document::Document;
use environment::Environment;
use maint_core::section::Section;
use std::path::{Path, PathBuf};

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/maint/maint.toml";

/// Every first word a table may have: `[files.live]`, `[host]`.
const SECTIONS: [&str; 14] = [
    "host", "log", "volume", "alert", "files", "orphans", "logs", "jobs", "reclaim", "database", "rows",
    "watch", "check", "service",
];

/// What was read.
#[derive(Debug)]
pub struct Config {
    document: Document,
    environment: Environment,
    host: HostSection,
    log: LogSection,
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
        let named =
            option.map(Path::to_owned).or_else(|| std::env::var_os("MAINT_CONFIG").map(PathBuf::from));
        named.map_or_else(|| Self::Usual(DEFAULT_FILE.into()), Self::Named)
    }
}

impl Config {
    /// Reads the file, its drop-ins and its env files.
    pub fn load(source: &Source) -> Result<Self, Faults> {
        let document = Document::read(source)?;
        document.know_only(&SECTIONS)?;
        // What names the env files cannot be read from them.
        let mut environment = Environment::default();
        let host: HostSection = document.single("host", &environment)?.unwrap_or_default();
        for file in &host.env_file {
            document.read_env_file(file, &mut environment)?;
        }
        let host = document.single("host", &environment)?.unwrap_or_default();
        let log = document.single("log", &environment)?.unwrap_or_default();
        Ok(Self { document, environment, host, log })
    }

    /// `[host]`.
    pub fn host(&self) -> &HostSection {
        &self.host
    }

    /// `[log]`.
    pub fn log(&self) -> &LogSection {
        &self.log
    }

    /// All tables `[section.NAME]`, in file order.
    pub fn sections<T: Section>(&self, section: &str) -> Result<Vec<Named<T>>, Faults> {
        self.document.named(section, &self.environment)
    }

    /// The files that were read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.document.files()
    }
}
