//! `[watch.NAME]`: a folder and what is expected of it.

use super::{Fault, Section, check_root_path, values::Patterns, values::at_least_one_pattern};
use crate::{
    bundle::Bundles,
    pattern::Pattern,
    select::Select,
    text::count,
    units::{ByteSize, Span, one_word_of},
};
use std::path::PathBuf;

/// The keys of `[watch.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WatchSection {
    /// The folder: an absolute path.
    pub path: PathBuf,
    /// Names that are meant; none means all.
    #[serde(rename = "match", default, deserialize_with = "at_least_one_pattern")]
    pub patterns: Vec<Pattern>,
    /// Names that are not.
    #[serde(default)]
    pub exclude: Patterns,
    /// How many levels are entered; 1 is the folder alone.
    pub max_depth: Option<u32>,
    /// No more files than this.
    pub max_files: Option<u64>,
    /// No more orphans than this, as `orphan-metadata` counted them in this folder.
    pub max_orphans: Option<u64>,
    /// No file larger than this.
    pub max_file_size: Option<ByteSize>,
    /// All together no larger than this.
    pub max_size: Option<ByteSize>,
    /// The newest is no older than this: somebody still writes.
    pub fresh: Option<Span>,
    /// The `[files.NAME]` whose `max-age` the oldest file should reach.
    pub promise: Option<String>,
    /// How bad it is when something is not as expected.
    #[serde(default)]
    pub severity: Severity,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Severity {
    /// Somebody should look.
    #[default]
    Warning,
    /// Something must be done.
    Critical,
}

one_word_of!(Severity, "a severity", "warning" => Self::Warning, "critical" => Self::Critical);

impl WatchSection {
    /// What it expects, in a person's words.
    pub fn describe(&self) -> String {
        let Self { max_files, max_orphans, max_file_size, max_size, fresh, promise, .. } = self;
        let each = [
            max_files.map(|n| format!("at most {}", count(n, "file"))),
            max_orphans.map(|n| format!("at most {}", count(n, "orphan"))),
            max_file_size.map(|size| format!("none larger than {size}")),
            max_size.map(|size| format!("no more than {size}")),
            fresh.map(|span| format!("a new one every {span}")),
            promise.as_ref().map(|name| format!("as old as {name} promises")),
        ];
        let severity = if self.severity == Severity::Critical { "; else critical" } else { "" };
        format!("{}{severity}", each.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }

    /// The names it speaks of.
    pub fn select(&self) -> Select {
        Select {
            patterns: self.patterns.clone(),
            exclude: self.exclude.0.clone(),
            with: Bundles::default(),
            marker: None,
            max_depth: self.max_depth,
        }
    }
}

impl Section for WatchSection {
    fn check(&self) -> Result<(), Fault> {
        check_root_path(&self.path).map_err(|why| Fault::at("path", why))?;
        let Self { max_depth, max_files, max_orphans, max_file_size, max_size, fresh, promise, .. } = self;
        let says = max_files.is_some()
            || max_orphans.is_some()
            || max_file_size.is_some()
            || max_size.is_some()
            || fresh.is_some()
            || promise.is_some();
        if !says {
            return Err(Fault::whole(
                "expects nothing: add max-files, max-orphans, max-file-size, max-size, fresh or promise",
            ));
        }
        if *max_depth == Some(0) {
            return Err(Fault::at("max-depth", "0 would enter nothing: 1 is the folder itself"));
        }
        Ok(())
    }

    fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        self.promise.iter().map(|name| ("promise", "files", name.as_str())).collect()
    }
}
