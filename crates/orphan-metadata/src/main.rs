//! Removes metadata whose image is gone, decided from two clean looks.

mod args;
mod emergency;
mod look;
mod words;

use args::OrphanArgs;
use maint_core::{plan::Guard, section::OrphansSection};
use maint_run::{
    Run, Tool, UsageError,
    config::{Config, Faults, Named},
};
use std::process::ExitCode;

struct OrphanMetadata;

fn main() -> ExitCode {
    maint_run::main::<OrphanMetadata>()
}

impl Tool for OrphanMetadata {
    const NAME: &'static str = "orphan-metadata";
    const ABOUT: &'static str = "Removes metadata whose image is gone, decided from several clean looks";
    const SECTION: &'static str = "orphans";
    const GUARDS: &'static [&'static str] =
        &[Guard::PARTNERS, Guard::MAX_SHARE, Guard::CLOCK, Guard::MARKER, Guard::VOLUME];
    type Args = OrphanArgs;

    fn describe(config: &Config) -> Result<Vec<String>, Faults> {
        let sections: Vec<Named<OrphansSection>> = config.sections(Self::SECTION)?;
        Ok(sections.iter().map(words::describe).collect())
    }

    fn run(run: &mut Run, args: &OrphanArgs) -> Result<(), UsageError> {
        if args.files.only_names() {
            run.keep_report_quiet();
        }
        let sections: Vec<Named<OrphansSection>> = run.selected()?;
        if args.rescuing.is_asked_for() {
            return emergency::run(run, args, &sections);
        }
        run.each(&sections, |run, section| look::everyday(run, args, section));
        Ok(())
    }
}
