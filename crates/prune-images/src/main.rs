//! Removes files that have had their day.

mod args;
mod emergency;
mod large;
mod saved;
mod words;

use args::PruneArgs;
use maint_core::section::FilesSection;
use maint_run::{
    Run, Tool, UsageError,
    config::{Config, Faults, Named},
    files::{self, Errand, KeepSteps},
    volumes,
};
use saved::Saving;
use std::process::ExitCode;

struct PruneImages;

fn main() -> ExitCode {
    maint_run::main::<PruneImages>()
}

impl Tool for PruneImages {
    const NAME: &'static str = "prune-images";
    const ABOUT: &'static str = "Removes files that have had their day, and says what and why";
    const SECTION: &'static str = "files";
    type Args = PruneArgs;

    fn describe(config: &Config) -> Result<Vec<String>, Faults> {
        let sections: Vec<Named<FilesSection>> = config.sections(Self::SECTION)?;
        Ok(sections.iter().map(words::describe).collect())
    }

    fn run(run: &mut Run, args: &PruneArgs) -> Result<(), UsageError> {
        if args.files.only_names() {
            run.keep_report_quiet();
        }
        let targets = args.targets(run)?;
        let saving = Saving::begin(run, args, &targets)?;
        let orders = args.orders(saving.as_ref().map(|saving| saving as &dyn KeepSteps));
        if let Some(plan) = &args.apply {
            return saved::apply(run, args, &orders, plan, &targets);
        }
        if args.rescuing.is_asked_for() {
            emergency::run(run, args, &orders, targets)?;
        } else {
            run.each(&targets, |run, target| [files::work_on(run, &orders, target, Errand::Everyday)]);
            if !args.shows_only() && !args.is_ad_hoc() {
                volumes::tend_ballast(run);
            }
        }
        saving.map_or(Ok(()), Saving::finish)
    }
}
