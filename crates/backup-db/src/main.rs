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
use maint_core::fs::Borders;
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
        let borders = Borders { allow: config.host().allow_roots.clone(), ..Borders::default() };
        let refused: Vec<String> =
            sections.iter().flat_map(|named| words::refusals(named, &borders)).collect();
        if !refused.is_empty() {
            return Err(Faults::one(refused.join("\n")));
        }
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
