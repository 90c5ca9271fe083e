//! Makes backups of databases, proves them by restoring them, and keeps the good ones.

mod args;
mod copies;
mod credentials;
mod digest;
mod dump;
mod file;
mod job;
mod keep;
mod list;
mod make;
mod place;
mod proof;
mod restore;
mod restoring;
mod scratch;
mod store;
mod tools;
mod words;

use args::{BackupArgs, Command};
use maint_db::section::DatabaseSection;
use maint_run::{
    Run, Tool, UsageError,
    config::{Config, Faults, Named},
};
use std::process::ExitCode;

struct BackupDb;

fn main() -> ExitCode {
    maint_run::main::<BackupDb>()
}

impl Tool for BackupDb {
    const NAME: &'static str = "backup-db";
    const ABOUT: &'static str = "Makes backups of databases and proves them by restoring them";
    const SECTION: &'static str = "database";
    const GUARDS: &'static [&'static str] = &[args::SHRINK];
    type Args = BackupArgs;

    fn describe(config: &Config) -> Result<Vec<String>, Faults> {
        let sections: Vec<Named<DatabaseSection>> = config.sections(Self::SECTION)?;
        Ok(sections.iter().filter_map(words::describe).collect())
    }

    fn run(run: &mut Run, args: &BackupArgs) -> Result<(), UsageError> {
        match Command::find(run, args)? {
            Command::BackUp => job::run(run, args),
            Command::List => list::run(run),
            Command::Verify(ids) => proof::run(run, args, &ids),
            Command::Drill => proof::drill(run, args),
            Command::Restore { id, into } => restore::run(run, args, &id, &into),
            Command::EmergencyCopy(name) => place::emergency_copy(run, &name),
        }
    }
}
