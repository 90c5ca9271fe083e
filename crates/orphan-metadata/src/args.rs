//! The options of `orphan-metadata`.

use clap::Args;
use maint_run::{
    args::{Changing, Removing, RemovingFiles, Rescuing},
    files::Orders,
};

/// Options beside those of every tool.
#[derive(Debug, Args)]
pub(crate) struct OrphanArgs {
    #[command(flatten)]
    pub(crate) changing: Changing,
    #[command(flatten)]
    pub(crate) removing: Removing,
    #[command(flatten)]
    pub(crate) files: RemovingFiles,
    #[command(flatten)]
    pub(crate) rescuing: Rescuing,
    /// Show each orphan, how old it is, since when it is known to be one and whether it may go, and do nothing
    #[arg(long, conflicts_with_all = ["list", "print0"], help_heading = "What removes files")]
    pub(crate) report: bool,
}

impl OrphanArgs {
    /// Nothing is to be changed.
    pub(crate) fn shows_only(&self) -> bool {
        self.changing.dry_run || self.files.only_names() || self.report
    }

    /// The same for the work on each folder.
    pub(crate) fn orders(&self) -> Orders<'_> {
        Orders {
            changing: &self.changing,
            removing: &self.removing,
            files: &self.files,
            shows_only: self.shows_only(),
            is_ad_hoc: false,
            is_partial: self.removing.limit.is_some(),
            steps: None,
        }
    }
}
