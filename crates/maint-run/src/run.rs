//! One run: what a tool is given, and what becomes of its report.

use crate::{
    args::{Format, Universal},
    audit::Audit,
    clock,
    config::{Config, Faults, Named, Source},
    exit::Status,
    history::History,
    logging, metrics,
    places::{Places, Surroundings, make_folder},
    report::{self, Counter, Failure, Report, Target, Trigger},
    screen, signals,
};
use maint_core::{
    fs::{Borders, Lock, LockError, Root, replace_file},
    section::Section,
    text::count,
    time::Timestamp,
    units::{ByteSize, Span},
};
use std::{
    fmt::Write as _,
    io::IsTerminal as _,
    path::PathBuf,
    time::{Duration, Instant},
};

/// What was asked for cannot be meant: nothing was started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// Says what is wrong and what would be right.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<Faults> for UsageError {
    fn from(faults: Faults) -> Self {
        Self(format!("the configuration is wrong\n{faults}"))
    }
}

/// A run under way.
pub struct Run {
    /// The one moment that all decisions of this run are made by.
    pub now: Timestamp,
    tool: &'static str,
    section: &'static str,
    options: Universal,
    source: Source,
    config: Config,
    places: Places,
    home: Option<PathBuf>,
    audit: Audit,
    begun: Instant,
    prints_report: bool,
    report: Report,
}

impl Run {
    pub(crate) fn new(
        tool: &'static str,
        section: &'static str,
        options: Universal,
        source: Source,
        config: Config,
    ) -> Self {
        let now = clock::now();
        let name = format!("{}-{}", clock::compact(now), std::process::id());
        let around = Surroundings::see();
        let places = Places::find(tool, config.host(), &around);
        let report = Report {
            tool,
            run: name.clone(),
            host: nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            trigger: trigger(&options),
            dry_run: false,
            started: now,
            ended: now,
            seconds: 0.0,
            interrupted: None,
            targets: Vec::new(),
        };
        let audit = Audit::new(tool, name, &places);
        let home = around.home;
        Self {
            now,
            tool,
            section,
            options,
            source,
            config,
            places,
            home,
            audit,
            begun: Instant::now(),
            prints_report: true,
            report,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The names that were given.
    pub fn names(&self) -> &[String] {
        &self.options.names
    }

    /// The record of removals.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Whether progress may be shown: not to a cron, and not to who wants quiet.
    pub fn may_show_progress(&self) -> bool {
        !self.options.cron && !self.options.quiet
    }

    /// The sections that were selected, checked against what there is.
    pub fn selected<T: Section>(&self) -> Result<Vec<Named<T>>, UsageError> {
        let all: Vec<Named<T>> = self.config.sections(self.section)?;
        if let Source::Usual(path) = &self.source
            && self.config.files().next().is_none()
        {
            let path = path.display();
            return Err(UsageError::new(format!(
                "there is no configuration at {path}: name a file with --config"
            )));
        }
        let known: Vec<&str> = all.iter().map(|named| named.name.as_str()).collect();
        if let Some(unknown) = self.names().iter().find(|name| !known.contains(&name.as_str())) {
            let shown = maint_core::text::printable(unknown.as_bytes());
            let list = if known.is_empty() {
                "there is none".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(UsageError::new(format!("no section [{}.{shown}]: {list}", self.section)));
        }
        Ok(all
            .into_iter()
            .filter(|named| self.names().is_empty() || self.names().contains(&named.name))
            .collect())
    }

    /// Whether a section's turn has come: it always has, unless `--every` says how seldom.
    pub fn is_due(&self, name: &str) -> bool {
        let Some(every) = self.options.every else { return true };
        match History::open(&self.places.state).map(|history| history.last_success(name)) {
            // A success ahead of the clock says nothing about how long ago it was.
            Ok(Ok(Some(last))) => last > self.now || self.now.since(last) >= every,
            Ok(Ok(None)) => true,
            Ok(Err(error)) => {
                log::warn!("the history does not say when {name} was last done: {error}");
                true
            }
            Err(error) => {
                log::warn!("{}", report::chain(&error));
                true
            }
        }
    }

    /// Where roots may lie.
    pub fn borders(&self) -> Borders {
        Borders { allow: self.config.host().allow_roots.clone(), never: self.home.iter().cloned().collect() }
    }

    /// Takes a root's lock, waiting as long as the caller allows.
    pub fn lock(&self, root: &Root, wait: Option<Span>) -> Result<Lock, LockError> {
        // Without the folder the root itself is locked; what is wrong with the folder is not worth more.
        if let Err(error) = make_folder(&self.places.runtime) {
            log::info!("no runtime folder {}: {error}", self.places.runtime.display());
        }
        let who = format!("{}, pid {}, since {}", self.tool, std::process::id(), clock::rfc3339(self.now));
        let until = Instant::now() + Duration::from_secs(wait.map_or(0, Span::seconds));
        loop {
            match Lock::take(root, &self.places.runtime, &who) {
                Err(LockError::Busy(_)) if Instant::now() < until && !signals::asked_to_stop() => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                answer => return answer,
            }
        }
    }

    /// What was printed as it went is the result: no report on standard output.
    pub fn keep_report_quiet(&mut self) {
        self.prints_report = false;
    }

    /// Adds what happened to a section.
    pub fn record(&mut self, target: Target) {
        // The report tells the same to who reads the screen: twice would be once too often.
        let listener = if self.prints_report { logging::NOT_ON_SCREEN } else { self.tool };
        for note in &target.notes {
            log::warn!(target: listener, "{}: {note}", target.name);
        }
        for Failure { operation, path, error } in &target.errors {
            log::warn!(target: listener, "{}: cannot {operation} {path}: {error}", target.name);
        }
        let removed = count(target.counts.get(Counter::FilesDeleted), "file");
        log::info!("{}: {}, {removed} removed ({})", target.name, target.status.word(), target.policy);
        self.report.dry_run |= target.dry_run;
        self.report.targets.push(target);
    }

    /// Ends the run: what it did is printed, kept and measured. Gives the exit code.
    pub(crate) fn finish(mut self) -> u8 {
        self.report.ended = clock::now();
        self.report.seconds = self.begun.elapsed().as_secs_f64();
        self.report.interrupted = signals::signal();
        let acted = self.report.targets.iter().any(|target| !target.dry_run);
        if acted {
            self.audit.finish();
            self.remember();
        }
        self.print();
        self.report.exit_code()
    }

    fn remember(&self) {
        let history = History::open(&self.places.state)
            .and_then(|mut history| history.add(&self.report).map(|()| history));
        let before = match history {
            Ok(history) => history.last_of_each().unwrap_or_default(),
            Err(error) => {
                log::warn!("this run is not in the history: {}", report::chain(&error));
                Vec::new()
            }
        };
        let Some(place) = &self.places.metrics else { return };
        let file = place.folder.join(format!("maint-{}.prom", self.tool));
        if let Err(error) = replace_file(&file, metrics::render(&self.report, &before).as_bytes(), 0o644) {
            let level = if place.asked_for { log::Level::Warn } else { log::Level::Info };
            log::log!(level, "no metrics in {}: {error}", place.folder.display());
        }
    }

    fn print(&self) {
        let status = self.report.status();
        let quiet = self.options.cron && matches!(status, Status::Ok | Status::Warning | Status::Busy);
        let none_due = self.report.targets.is_empty() && self.options.every.is_some();
        if quiet || none_due || !self.prints_report {
            return;
        }
        screen::result(&match self.options.format() {
            Format::Human if self.report.targets.is_empty() => {
                format!("{}: there is no section [{}.NAME] and nothing to do\n", self.tool, self.section)
            }
            Format::Human => report::human(&self.report),
            Format::Json => report::json(&self.report),
        });
    }

    pub(crate) fn show_history(&self, runs: u32) -> Result<u8, UsageError> {
        if !self.places.state.join("history.db").exists() {
            screen::result(&format!("{} has not run yet\n", self.tool));
            return Ok(Status::Ok.code());
        }
        let unreadable = |why: String| UsageError::new(format!("the history cannot be read: {why}"));
        let history = History::open(&self.places.state).map_err(|error| unreadable(report::chain(&error)))?;
        let mut text = String::new();
        for past in history.last(runs).map_err(|error| unreadable(error.to_string()))? {
            let at = clock::local(past.started);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{at}  {:<8} {:<7} {:>7.1} s", past.status, past.trigger, past.seconds);
            for (name, files, freed) in past.targets {
                let _ = writeln!(
                    text,
                    "    {name:<20} {} removed, {} freed",
                    count(files, "file"),
                    ByteSize::from_bytes(freed)
                );
            }
        }
        screen::result(&text);
        Ok(Status::Ok.code())
    }
}

fn trigger(options: &Universal) -> Trigger {
    if options.cron {
        Trigger::Cron
    } else if std::env::var_os("INVOCATION_ID").is_some() {
        Trigger::Timer
    } else if std::io::stdin().is_terminal() || std::io::stderr().is_terminal() {
        Trigger::Manual
    } else {
        Trigger::Script
    }
}
