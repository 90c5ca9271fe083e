//! The options of `check-disk`.

use clap::Args;
use maint_core::units::{Share, Span};
use std::path::PathBuf;

/// Options beside those of every tool.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Say nothing and exit 0 if less than this share of space is used on each volume, 1 if not, 3 if it cannot be seen
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["full_within", "json", "format"], help_heading = "Questions")]
    pub(crate) below: Option<Share>,
    /// Say nothing and exit 0 if any volume will be full within this time, 1 if none, 3 if it cannot be seen
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["json", "format"], help_heading = "Questions")]
    pub(crate) full_within: Option<Span>,
    /// Read this in place of /sys
    #[arg(long, value_name = "DIR", hide = true, default_value = "/sys")]
    pub(crate) sys: PathBuf,
}
