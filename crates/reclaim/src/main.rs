//! Runs the commands that give space back and cost no data.

mod args;
mod command;
mod emergency;
mod space;
mod words;

use args::ReclaimArgs;
use maint_core::section::ReclaimSection;
use maint_run::{
    Run, Tool, UsageError,
    config::{Config, Faults, Named},
};
use std::process::ExitCode;

struct Reclaim;

fn main() -> ExitCode {
    maint_run::main::<Reclaim>()
}

impl Tool for Reclaim {
    const NAME: &'static str = "reclaim";
    const ABOUT: &'static str =
        "Runs the commands that give space back and cost no data, and says what each freed";
    const SECTION: &'static str = "reclaim";
    type Args = ReclaimArgs;

    fn describe(config: &Config) -> Result<Vec<String>, Faults> {
        let sections: Vec<Named<ReclaimSection>> = config.sections(Self::SECTION)?;
        Ok(sections.iter().map(|section| words::describe(config, section)).collect())
    }

    fn run(run: &mut Run, args: &ReclaimArgs) -> Result<(), UsageError> {
        let sections = args.sections(run)?;
        if sections.is_empty() {
            return Ok(());
        }
        let is_emergency = args.rescuing.is_asked_for();
        if is_emergency {
            run.begin_emergency();
        }
        let alone = if args.changing.dry_run { None } else { Some(run.work_alone(args.changing.lock_wait)) };
        if let Some(Err(why)) = &alone {
            run.each(&sections, |_, section| [command::busy(section, why)]);
            return Ok(());
        }
        if is_emergency {
            return emergency::run(run, args, &sections);
        }
        run.each(&sections, |run, section| [command::run(run, args, section).0]);
        Ok(())
    }
}
