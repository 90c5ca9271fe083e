//! `[host]` and `[log]`: where things are on this machine.

use maint_core::section::{Fault, Section};
use maint_core::text::shown_path;
use std::path::PathBuf;

/// `[host]`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HostSection {
    /// What tools must remember: one folder each.
    pub state_dir: Option<PathBuf>,
    /// Locks, and what cannot be written elsewhere.
    pub runtime_dir: Option<PathBuf>,
    /// One line for every file removed.
    pub audit_log: Option<PathBuf>,
    /// Where node_exporter looks for text files.
    pub metrics_dir: Option<PathBuf>,
    /// No root outside these.
    pub allow_roots: Vec<PathBuf>,
    /// Files of `NAME=value` lines, read before `${NAME}` is.
    pub env_file: Vec<PathBuf>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LogSection {
    /// A file that lines are added to.
    pub file: Option<PathBuf>,
    /// Whether lines go to syslog too.
    pub syslog: bool,
    /// How much is told there.
    pub level: Option<Level>,
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Something was left out.
    Warn,
    /// One line for each target.
    Info,
    /// One line for each removal.
    Debug,
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}

impl Section for HostSection {
    fn check(&self) -> Result<(), Fault> {
        let named = [
            ("state-dir", &self.state_dir),
            ("runtime-dir", &self.runtime_dir),
            ("audit-log", &self.audit_log),
            ("metrics-dir", &self.metrics_dir),
        ];
        let lists = self.allow_roots.iter().map(|path| ("allow-roots", path));
        let paths = named.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?)));
        absolute(paths.chain(lists))
    }
}

impl Section for LogSection {
    fn check(&self) -> Result<(), Fault> {
        absolute(self.file.iter().map(|path| ("file", path)))
    }
}

fn absolute<'a>(mut paths: impl Iterator<Item = (&'static str, &'a PathBuf)>) -> Result<(), Fault> {
    let wrong = paths.find(|(_, path)| !path.is_absolute());
    wrong.map_or(Ok(()), |(key, path)| {
        let shown = shown_path(path);
        let message = format!("\"{shown}\" is not absolute: a path begins with a slash");
        Err(Fault { key: Some(key), message })
    })
}
