//! The options of `prune-images`, and the targets they select.

use clap::Args;
use maint_core::{
    pattern::Pattern,
    section::{EmptyFolders, FilesSection, GuardSection, Section as _},
    text::shown_path,
    units::{Share, Span},
};
use maint_run::{
    Run, UsageError,
    args::{Removing, RemovingFiles},
    config::Named,
};
use std::path::PathBuf;

/// Options beside those of every tool.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) removing: Removing,
    #[command(flatten)]
    pub(crate) files: RemovingFiles,
    /// A folder to prune without any section of the configuration
    #[arg(
        long,
        value_name = "DIR",
        requires = "max_age",
        conflicts_with_all = ["names", "check_config"],
        help_heading = "Without configuration"
    )]
    path: Option<PathBuf>,
    /// Only files with such names; may be given several times [default: every file]
    #[arg(long = "match", value_name = "GLOB", requires = "path", help_heading = "Without configuration")]
    patterns: Vec<Pattern>,
    /// Never files or folders with such names
    #[arg(long, value_name = "GLOB", requires = "path", help_heading = "Without configuration")]
    exclude: Vec<Pattern>,
    /// Enter so many levels of folders; 1 is DIR alone [default: all]
    #[arg(long, value_name = "N", requires = "path", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Without configuration")]
    max_depth: Option<u32>,
    /// Files touched this recently stay [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "path", help_heading = "Without configuration")]
    settle: Option<Span>,
    /// Folders that went empty stay
    #[arg(long, requires = "path", help_heading = "Without configuration")]
    keep_empty_folders: bool,
    /// Older files go; with a NAME instead of what its section says
    #[arg(long, value_name = "DURATION", help_heading = "What removes files")]
    max_age: Option<Span>,
}

impl PruneArgs {
    /// Only names are asked for.
    pub(crate) fn only_names(&self) -> bool {
        self.files.list || self.files.print0
    }

    /// Less than a section's own policy is asked for.
    pub(crate) fn is_partial(&self) -> bool {
        self.max_age.is_some() || self.removing.limit.is_some()
    }

    /// The targets, from the command line or the configuration.
    pub(crate) fn targets(&self, run: &mut Run) -> Result<Vec<Named<FilesSection>>, UsageError> {
        if let Some(path) = &self.path {
            run.works_ad_hoc();
            return Ok(vec![self.target_of(path)?]);
        }
        if self.max_age.is_some() && run.names().is_empty() {
            return Err(UsageError::new(
                "--max-age needs a NAME or --path: it is never meant for all sections at once",
            ));
        }
        let mut targets: Vec<Named<FilesSection>> = run.selected()?;
        for target in &mut targets {
            target.value.max_age = self.max_age.or(target.value.max_age);
        }
        Ok(targets)
    }

    fn target_of(&self, path: &PathBuf) -> Result<Named<FilesSection>, UsageError> {
        let shown = shown_path(path);
        let absolute =
            std::path::absolute(path).map_err(|error| UsageError::new(format!("--path {shown}: {error}")))?;
        let section = FilesSection {
            path: absolute,
            patterns: self.patterns.clone(),
            exclude: self.exclude.clone(),
            max_age: self.max_age,
            settle: self.settle.unwrap_or(FilesSection::SETTLE),
            settle_by: maint_core::retention::SettleBy::Mtime,
            recursive: None,
            max_depth: self.max_depth,
            empty_folders: if self.keep_empty_folders { EmptyFolders::Keep } else { EmptyFolders::Remove },
            private: false,
            dry_run: false,
            // Who names a folder at a prompt means it.
            guard: GuardSection { max_share: Some(Share::from_percent(100)) },
        };
        section.check().map_err(|fault| UsageError::new(format!("--path {shown}: {fault}")))?;
        let name = shown_path(&section.root());
        Ok(Named { name, value: section, place: "--path".to_owned() })
    }
}
