//! The options that all tools share. A tool's own come beside them.

use crate::{Run, UsageError, config::Level};
use clap::{Args, Parser, ValueEnum};
use maint_core::{
    emergency::Mark,
    fs::Workers,
    units::{ByteSize, Share, Span},
};
use std::path::PathBuf;

/// A whole command line: the shared options and the tool's own.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true, disable_help_flag = true, max_term_width = 100)]
pub struct CommandLine<T: Args> {
    /// What all tools take.
    #[command(flatten)]
    pub universal: Universal,
    /// What only this one takes.
    #[command(flatten)]
    pub own: T,
}

/// Options of every tool.
#[derive(Debug, Clone, Args)]
pub struct Universal {
    /// Sections to work on, by name; none means all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Configuration file; conf.d/*.toml beside it is read too [default: $MAINT_CONFIG or /etc/maint/maint.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How the report is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: Format,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Print nothing when all is well, when something merely needs a look, or when another run is at work
    #[arg(long)]
    pub cron: bool,
    /// Do only what was not done successfully within this time
    #[arg(long, value_name = "DURATION")]
    pub every: Option<Span>,
    /// Check the configuration, say what each section means, and touch nothing
    #[arg(long, conflicts_with_all = ["names", "json", "format"])]
    pub check_config: bool,
    /// Show the last runs of this tool and do nothing else
    #[arg(long, value_name = "RUNS", num_args = 0..=1, require_equals = true, default_missing_value = "10", conflicts_with_all = ["names", "json", "format"])]
    pub history: Option<u32>,
    /// Say more on standard error; twice for every removal
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say only errors on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Say so much on standard error
    #[arg(long, value_name = "LEVEL", conflicts_with_all = ["verbose", "quiet"])]
    pub log_level: Option<Level>,
    /// Print help
    #[arg(short, long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Human,
    /// For a program: one object.
    Json,
    /// For a monitoring core, of the check-* tools.
    Nagios,
}

/// Options of tools that change things.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What changes things")]
pub struct Changing {
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Wait so long for another run to end [default: not at all]
    #[arg(long, value_name = "DURATION")]
    pub lock_wait: Option<Span>,
}

/// Options of tools that remove things one by one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What removes")]
pub struct Removing {
    /// Lift a guard, this once
    #[arg(long, value_name = "GUARD")]
    pub force: Vec<String>,
    /// Remove at most so many files of each section
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Threads [default: one for each processor, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=Workers::MOST as u64))]
    workers: Option<u64>,
    /// Show no progress on a terminal
    #[arg(long)]
    pub no_progress: bool,
}

/// Options of tools that remove files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What removes files")]
pub struct RemovingFiles {
    /// Print the absolute name of each file that would go, one a line, and do nothing
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub list: bool,
    /// The same, exactly as the names are, each ended by a NUL
    #[arg(long, conflicts_with_all = ["json", "format", "list"])]
    pub print0: bool,
}

/// Options of tools that get space back in an emergency.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "In an emergency")]
pub struct Rescuing {
    /// Get space back on each volume that has reached its mark, the lowest priority first
    #[arg(long)]
    emergency: bool,
    /// The same, at once, until no more than this share of space and inodes is used
    #[arg(long, value_name = "SHARE", conflicts_with = "until_free")]
    until_usage: Option<Share>,
    /// The same, at once, until so much is free
    #[arg(long, value_name = "SIZE")]
    until_free: Option<ByteSize>,
}

impl RemovingFiles {
    /// Only names are asked for.
    pub fn only_names(&self) -> bool {
        self.list || self.print0
    }
}

impl Rescuing {
    /// Whether this is an emergency.
    pub fn is_asked_for(&self) -> bool {
        self.emergency || self.until().is_some()
    }

    /// The mark that replaces those of all volumes.
    pub fn until(&self) -> Option<Mark> {
        self.until_usage.map(Mark::share).or(self.until_free.map(Mark::free))
    }

    /// What cannot be meant of an emergency.
    pub fn check(&self, run: &Run) -> Result<(), UsageError> {
        if run.is_by_turns() {
            return Err(UsageError::new("--every: an emergency is never done before its time; leave it out"));
        }
        Ok(())
    }
}

impl Universal {
    /// The format that was asked for.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    pub(crate) fn screen_level(&self) -> log::LevelFilter {
        use log::LevelFilter;
        match (self.log_level, self.verbose) {
            (Some(level), _) => level.into(),
            // What matters is printed at the end, when it is known whether anything does.
            (None, 0) if self.cron => LevelFilter::Off,
            _ if self.quiet => LevelFilter::Error,
            (None, 0) => LevelFilter::Warn,
            (None, 1) => LevelFilter::Info,
            (None, _) => LevelFilter::Debug,
        }
    }
}

impl Removing {
    /// How many threads to use, where a section may have asked for a number.
    pub fn workers(&self, section: Option<u32>) -> Workers {
        const MOST_BY_DEFAULT: usize = 4;
        let processors = || std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_BY_DEFAULT));
        let asked = self.workers.or(section.map(u64::from)).and_then(|n| usize::try_from(n).ok());
        Workers::new(asked.unwrap_or_else(processors))
    }
}
