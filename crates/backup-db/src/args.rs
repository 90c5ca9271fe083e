//! The options of `backup-db`, what it is told to do, and the sections that this is about.

use clap::Args;
use maint_db::section::{BackupSection, DatabaseSection, Level};
use maint_run::{Run, UsageError, args::Changing, config::Named};
use std::path::PathBuf;

const AFTER: &str = "Commands, in the place of the first NAME:
  list                    the backups that there are, the newest first
  verify [ID]...          look at every file of these, or of all; with --level restore, restore them
  restore ID --into TO    restore one: TO is a postgres:// URL or a file
  drill [NAME]...         restore the newest of each into a scratch place, and tell how long it took
  emergency-copy NAME     copy an SQLite database, consistently, beside itself
Without one of them backups are made, proved and thinned out.";

/// Options beside those of every tool.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) changing: Changing,
    /// For restore: the database, as a URL, or the file to restore into
    #[arg(long, value_name = "TO", help_heading = "Backups")]
    into: Option<String>,
    /// For restore: replace what is there. A file is put aside, a database only once the new one is proved
    #[arg(long, help_heading = "Backups")]
    pub(crate) replace: bool,
    /// For restore: leave out who owns what and who may do what
    #[arg(long, help_heading = "Backups")]
    pub(crate) no_owner: bool,
    /// For verify: what to prove, "checksum" or "restore" [default: checksum]
    #[arg(long, value_name = "LEVEL", help_heading = "Backups")]
    pub(crate) level: Option<Level>,
    /// Lift a guard, this once
    #[arg(long, value_name = "GUARD", help_heading = "Backups")]
    force: Vec<String>,
    /// Restore so many tables at once [default: one for each processor]
    #[arg(long, value_name = "N", help_heading = "Backups")]
    pub(crate) jobs: Option<u32>,
}

/// What is to be done.
pub(crate) enum Command {
    BackUp,
    List,
    Verify(Vec<String>),
    Drill,
    Restore { id: String, into: String },
    EmergencyCopy(String),
}

/// The guard that keeps the last backup from before a database lost most of its rows.
pub(crate) const SHRINK: &str = "shrink";

impl BackupArgs {
    /// Whether a guard is lifted.
    pub(crate) fn forces(&self, guard: &str) -> bool {
        self.force.iter().any(|forced| forced == guard)
    }
}

impl Command {
    /// What the words say.
    pub(crate) fn find(run: &mut Run, args: &BackupArgs) -> Result<Self, UsageError> {
        let word = run.command(&["list", "verify", "restore", "drill", "emergency-copy"]);
        let only_for = |option: &str, is_there: bool, command: &str| {
            if is_there && word != Some(command) {
                Err(UsageError::new(format!("{option} is for {command}: backup-db {command} …")))
            } else {
                Ok(())
            }
        };
        only_for("--into", args.into.is_some(), "restore")?;
        only_for("--replace", args.replace, "restore")?;
        only_for("--no-owner", args.no_owner, "restore")?;
        only_for("--level", args.level.is_some(), "verify")?;
        if word.is_some() && !args.force.is_empty() {
            return Err(UsageError::new("--force is for making backups"));
        }
        if args.jobs == Some(0) {
            return Err(UsageError::new("--jobs is 1 or more"));
        }
        if word.is_some() && args.changing.dry_run {
            return Err(UsageError::new("--dry-run is for making backups: this command has none"));
        }
        if word.is_some() && run.is_by_turns() {
            return Err(UsageError::new(
                "--every is for making backups: this command is done when it is called",
            ));
        }
        Ok(match word {
            Some("list") => Self::List,
            Some("verify") => Self::Verify(run.take_names()),
            Some("drill") => Self::Drill,
            Some("restore") => {
                let mut names = run.take_names();
                let (Some(id), true) = (names.pop(), names.is_empty()) else {
                    return Err(UsageError::new(
                        "restore takes the ID of one backup: backup-db list shows them",
                    ));
                };
                let into = args.into.clone();
                let into = into
                    .ok_or_else(|| UsageError::new("restore wants --into: a postgres:// URL, or a file"))?;
                Self::Restore { id, into }
            }
            Some(_) => {
                let mut names = run.take_names();
                match (names.pop(), names.is_empty()) {
                    (Some(name), true) => Self::EmergencyCopy(name),
                    _ => return Err(UsageError::new("emergency-copy takes the name of one section")),
                }
            }
            None => Self::BackUp,
        })
    }
}

/// A section in a run: what everything here is about.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) run: &'a Run,
    pub(crate) args: &'a BackupArgs,
    pub(crate) section: &'a Section,
}

/// A section that is backed up.
#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) database: DatabaseSection,
    pub(crate) backup: BackupSection,
}

impl Section {
    /// Where its backups lie: its own place, then the second one.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.backup.dir).chain(self.backup.copy_to.iter().map(|copy| &copy.dir))
    }

    fn of(named: Named<DatabaseSection>) -> Option<Self> {
        let backup = named.value.backup.clone()?;
        Some(Self { name: named.name, database: named.value, backup })
    }

    /// The sections that were selected.
    pub(crate) fn selected(run: &mut Run) -> Result<Vec<Self>, UsageError> {
        let selected: Vec<Named<DatabaseSection>> = run.selected()?;
        let without = selected.iter().find(|named| named.value.backup.is_none());
        if let Some(named) = without.filter(|_| !run.names().is_empty()) {
            let name = &named.name;
            return Err(UsageError::new(format!(
                "[database.{name}] has no backup: add [database.{name}.backup]"
            )));
        }
        let some = !selected.is_empty();
        let sections: Vec<Self> = selected.into_iter().filter_map(Self::of).collect();
        if sections.is_empty() && some {
            run.explain_idleness("no [database.NAME] has a backup");
        }
        Ok(sections)
    }

    /// All of them, whatever was named.
    pub(crate) fn all(run: &Run) -> Result<Vec<Self>, UsageError> {
        Ok(run.sections::<DatabaseSection>()?.into_iter().filter_map(Self::of).collect())
    }
}
