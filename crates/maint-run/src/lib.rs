//! What surrounds a tool.
//!
//! A tool is a [`Tool`]: a name, its own options, and a [`Tool::run`] that works on the sections the
//! caller selected and records a [`report::Target`] for each. Everything else is here, once: arguments,
//! configuration, log, lock, history, audit, metrics, signals, progress, report and exit code.

mod alone;
pub mod args;
mod audit;
pub mod clock;
mod clock_guard;
pub mod command;
pub mod config;
pub mod exit;
pub mod files;
mod history;
mod hold;
mod logging;
mod metrics;
pub mod pace;
mod places;
pub mod progress;
pub mod report;
mod run;
pub mod screen;
pub mod signals;
mod take_over;
pub mod volumes;

pub use alone::Alone;
pub use audit::Audit;
pub use clock_guard::{Doubt, Witnesses};
pub use history::Care;
pub use run::{Run, UsageError};

use args::{CommandLine, Format};
use clap::{CommandFactory as _, FromArgMatches as _, error::ErrorKind};
use config::{Config, Faults, Source};
use exit::Status;
use maint_core::{plan::Guard, text::shown_path};
use std::{fmt::Write as _, process::ExitCode};

/// One program.
pub trait Tool {
    /// Its name, as it is called.
    const NAME: &'static str;
    /// What it does, in a line.
    const ABOUT: &'static str;
    /// The first word of its sections.
    const SECTION: &'static str;
    /// It runs all the time, and so writes to nothing that wears more than once an hour.
    const GENTLE: bool = false;
    /// The guards that `--force` lifts, where it has that option.
    const GUARDS: &'static [&'static str] = &Guard::OF_FILES;
    /// Its own options.
    type Args: clap::Args;

    /// Says what each of its sections means, for `--check-config`.
    fn describe(config: &Config) -> Result<Vec<String>, Faults>;
    /// Does its work.
    fn run(run: &mut Run, args: &Self::Args) -> Result<(), UsageError>;
}

/// The `main` of every tool.
pub fn main<T: Tool>() -> ExitCode {
    if let Some(code) = command::second_half() {
        return code;
    }
    if asks_only_for_version() {
        return print(T::NAME, &format!("{} {VERSION}\n", T::NAME)).into();
    }
    match parse::<T>() {
        Ok(line) => match start::<T>(&line) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                screen::complaint(&format!("{}: {error}", T::NAME));
                Status::Unknown.into()
            }
        },
        Err(error) => tell_usage::<T>(&error),
    }
}

/// The version of all tools.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `--version` alone is answered before the parser is even built: it is what monitoring asks all day.
fn asks_only_for_version() -> bool {
    let mut words = std::env::args_os().skip(1);
    words.next().is_some_and(|word| word == "--version" || word == "-V") && words.next().is_none()
}

const FORCE: &str = "force";

fn parse<T: Tool>() -> Result<CommandLine<T::Args>, clap::Error> {
    let mut command = CommandLine::<T::Args>::command().name(T::NAME).about(T::ABOUT).version(VERSION);
    if command.get_arguments().any(|option| option.get_id() == FORCE) {
        command = command.mut_arg(FORCE, |force| force.value_parser(T::GUARDS.to_vec()));
    }
    let mut matches = command.try_get_matches()?;
    CommandLine::from_arg_matches_mut(&mut matches)
}

/// Prints a result that is all there is to do.
fn print(tool: &str, text: &str) -> Status {
    screen::result(text).map_or_else(
        |error| {
            screen::complaint(&format!("{tool}: the result could not be printed: {error}"));
            Status::Warning
        },
        |()| Status::Ok,
    )
}

fn tell_usage<T: Tool>(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print(T::NAME, &error.to_string()).into(),
        _ => {
            screen::complaint(&format!("{}: {error}", T::NAME));
            Status::Unknown.into()
        }
    }
}

fn start<T: Tool>(line: &CommandLine<T::Args>) -> Result<u8, UsageError> {
    if line.universal.format() == Format::Nagios && !T::NAME.starts_with("check-") {
        return Err(UsageError::new("--format nagios is for what checks: write human or json"));
    }
    let source = Source::find(line.universal.config.as_deref());
    let config = Config::load(&source)?;
    if line.universal.check_config {
        return check_config::<T>(&config, &source);
    }
    logging::start(T::NAME, line.universal.screen_level(), config.log());
    let mut run = Run::new(T::NAME, T::SECTION, T::GENTLE, line.universal.clone(), source, config);
    if let Some(runs) = line.universal.history {
        return run.show_history(runs);
    }
    signals::hold();
    signals::listen();
    T::run(&mut run, &line.own)?;
    Ok(run.finish())
}

fn check_config<T: Tool>(config: &Config, source: &Source) -> Result<u8, UsageError> {
    let described = T::describe(config)?;
    let files: Vec<String> = config.files().map(shown_path).collect();
    if let (Source::Usual(path), []) = (source, files.as_slice()) {
        let shown = shown_path(path);
        return Err(UsageError::new(format!("there is no {shown}: name a file with --config")));
    }
    let mut text = format!("{}: correct\n", files.join(", "));
    if described.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} has no section [{}.NAME] and would do nothing", T::NAME, T::SECTION);
    }
    // Whose own they are tells of them itself.
    for (name, volume) in config.volumes().filter(|_| T::SECTION != "volume") {
        let place = shown_path(&volume.path);
        let _ = writeln!(text, "[volume.{name}] {place}: {}", volume.describe());
    }
    for line in described {
        text += &line;
        text.push('\n');
    }
    Ok(print(T::NAME, &text).code())
}
