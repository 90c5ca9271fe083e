//! One run: what a tool is given, and what becomes of its report.

use crate::{
    alone::Alone,
    args::{Format, Universal},
    audit::Audit,
    clock,
    clock_guard::{self, Witnesses},
    config::{Config, Faults, Named, Source},
    exit::Status,
    history::{Care, Entry, History, Known, Memories, PastWork, Waiting},
    hold, logging, metrics,
    places::{Places, Surroundings, make_folder},
    report::{self, Check, Failure, Gauge, Leaves, Mode, Reading, Report, Rescue, Target, Trigger},
    screen, signals,
    take_over::{self, InTheWay},
};
use maint_core::{
    emergency::Need,
    fs::{Borders, Lock, LockError, Mount, Root, replace_file},
    section::{Section, VolumeSection},
    text::{count, printable, shown_path},
    time::Timestamp,
    units::{ByteSize, Span},
};
use std::{
    fmt::Write as _,
    io::IsTerminal as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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

/// A lock that is waited for is tried again after this.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A run under way.
pub struct Run {
    /// The one moment that all decisions of this run are made by.
    pub now: Timestamp,
    tool: &'static str,
    section: &'static str,
    is_gentle: bool,
    options: Universal,
    source: Source,
    config: Config,
    places: Places,
    home: Option<PathBuf>,
    audit: Audit,
    begun: Instant,
    prints_report: bool,
    is_ad_hoc: bool,
    clock_in_doubt: AtomicBool,
    witnesses: OnceLock<Witnesses>,
    idle: Option<String>,
    memories: Mutex<Memories>,
    report: Report,
}

impl Run {
    pub(crate) fn new(
        tool: &'static str,
        section: &'static str,
        is_gentle: bool,
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
            mode: Mode::Normal,
            started: now,
            ended: now,
            seconds: 0.0,
            interrupted: None,
            clock_in_doubt: false,
            answer: None,
            checks: Vec::new(),
            readings: Vec::new(),
            rescues: Vec::new(),
            targets: Vec::new(),
        };
        let audit = Audit::new(tool, name, &places);
        let home = around.home;
        Self {
            now,
            tool,
            section,
            is_gentle,
            options,
            source,
            config,
            places,
            home,
            audit,
            begun: Instant::now(),
            prints_report: true,
            is_ad_hoc: false,
            clock_in_doubt: AtomicBool::new(false),
            witnesses: OnceLock::new(),
            idle: None,
            memories: Mutex::default(),
            report,
        }
    }

    /// The names that were given.
    pub fn names(&self) -> &[String] {
        &self.options.names
    }

    /// Takes the first of the names away if it is one of these words: it says what is to be done.
    pub fn command(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let word = words.iter().find(|word| self.options.names.first().is_some_and(|name| name == *word))?;
        self.options.names.remove(0);
        Some(word)
    }

    /// Takes the names away: they are no names of sections.
    pub fn take_names(&mut self) -> Vec<String> {
        std::mem::take(&mut self.options.names)
    }

    /// The format that was asked for.
    pub fn format(&self) -> Format {
        self.options.format()
    }

    /// The record of removals.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Whether progress may be shown: not to a cron, and not to who wants quiet.
    pub fn may_show_progress(&self) -> bool {
        !self.options.cron && !self.options.quiet
    }

    /// All sections of this tool.
    pub fn sections<T: Section>(&self) -> Result<Vec<Named<T>>, UsageError> {
        Ok(self.config.sections(self.section)?)
    }

    /// All sections of one kind.
    pub fn sections_of<T: Section>(&self, kind: &str) -> Result<Vec<Named<T>>, UsageError> {
        Ok(self.config.sections(kind)?)
    }

    /// The sections that were selected, checked against what there is.
    pub fn selected<T: Section>(&self) -> Result<Vec<Named<T>>, UsageError> {
        let all: Vec<Named<T>> = self.sections()?;
        if let Source::Usual(path) = &self.source
            && self.config.files().next().is_none()
        {
            let path = shown_path(path);
            return Err(UsageError::new(format!(
                "there is no configuration at {path}: name a file with --config"
            )));
        }
        let known: Vec<&str> = all.iter().map(|named| named.name.as_str()).collect();
        if let Some(unknown) = self.names().iter().find(|name| !known.contains(&name.as_str())) {
            let shown = printable(unknown.as_bytes());
            let list = if known.is_empty() {
                "there is none".to_owned()
            } else {
                format!("known are {}", known.join(", "))
            };
            return Err(UsageError::new(format!("no section [{}.{shown}]: {list}", self.section)));
        }
        Ok(all
            .into_iter()
            .filter(|named| self.names().is_empty() || self.names().contains(&named.name))
            .collect())
    }

    /// Works on each section whose turn has come, and records what happened. A signal ends it between two.
    pub fn each<T, R: IntoIterator<Item = Target>>(
        &mut self,
        sections: &[Named<T>],
        mut work: impl FnMut(&Self, &Named<T>) -> R,
    ) {
        for section in sections {
            if signals::asked_to_stop() {
                return;
            }
            if self.is_due(&section.name) {
                for done in work(self, section) {
                    self.record(done);
                }
            }
        }
    }

    /// A section's turn has always come, unless `--every` says how seldom.
    fn is_due(&self, name: &str) -> bool {
        let Some(every) = self.options.every else { return true };
        let last = match History::look(&self.places.state) {
            Ok(None) => Ok(None),
            Ok(Some(history)) => history.last_success(name).map_err(|error| error.to_string()),
            Err(error) => Err(report::chain(&error)),
        };
        match last {
            // A success ahead of the clock says nothing about how long ago it was.
            Ok(Some(last)) => last > self.now || self.now.since(last) >= every,
            Ok(None) => true,
            Err(why) => {
                log::warn!("the history does not say when {name} was last done: {why}");
                true
            }
        }
    }

    /// What speaks for and against the clock, the same for all sections.
    pub fn witnesses(&self) -> &Witnesses {
        self.witnesses.get_or_init(|| self.call_witnesses())
    }

    fn call_witnesses(&self) -> Witnesses {
        let starts = match History::look(&self.places.state) {
            Ok(Some(history)) => {
                history.believed_starts(clock_guard::RUNS).map_err(|error| error.to_string())
            }
            Ok(None) => Ok(Vec::new()),
            Err(error) => Err(report::chain(&error)),
        };
        let starts = starts.unwrap_or_else(|why| {
            log::warn!("the history does not say when the last run began: {why}");
            Vec::new()
        });
        Witnesses { built: clock::built(), starts, synchronised: clock::is_synchronised() }
    }

    /// This run goes into the history as one whose clock was not believed.
    pub fn doubt_clock(&self) {
        self.clock_in_doubt.store(true, Ordering::Relaxed);
    }

    /// A sentence about the hold that stops a section now, if one does.
    pub fn held(&self, section: &str) -> Option<String> {
        let shared = self.places.state.parent()?.join("shared");
        hold::on(&shared, section_of(section), self.now)
    }

    /// What this run will still write on a filesystem when its work is done: history, metrics, report and
    /// the end of the audit log, as far as they lie there. It must not lift the filesystem above its mark
    /// again.
    pub fn will_write_on(&self, mount: &Mount, targets: usize) -> Need {
        let Places { state, runtime, audit_log, metrics } = &self.places;
        let metrics = metrics.as_ref().map(|metrics| metrics.folder.as_path());
        let lies_there =
            |path: &Path| Mount::to_hold(path).is_ok_and(|there| there.is_of_same_filesystem(mount));
        if ![state, runtime, audit_log].into_iter().map(PathBuf::as_path).chain(metrics).any(lies_there) {
            return Need::default();
        }
        // Measured: a new history takes 52 KiB, a section 2 KiB of it; xfs lets files that grow have more
        // than they need, for a while.
        let history: u64 = if History::exists(state) { 16 << 10 } else { 64 << 10 };
        let promised: u64 = if mount.kind == "xfs" { 128 << 10 } else { 0 };
        Need { bytes: history + promised + (targets as u64) * (2 << 10), inodes: 8 }
    }

    /// When the configuration was last touched: a moment that the clock has passed.
    pub fn configured(&self) -> Option<Timestamp> {
        let touched =
            |path: &Path| std::fs::metadata(path).ok().map(|seen| Timestamp::from_seconds(seen.ctime()));
        self.config.files().filter_map(touched).max()
    }

    /// All `[volume.NAME]`.
    pub fn volumes(&self) -> impl Iterator<Item = (&str, &VolumeSection)> {
        self.config.volumes()
    }

    /// Whether only what is due was asked for.
    pub fn is_by_turns(&self) -> bool {
        self.options.every.is_some()
    }

    /// `[volume.NAME]`.
    pub fn volume(&self, name: &str) -> Option<&VolumeSection> {
        self.config.volume(name)
    }

    /// The program.
    pub fn tool(&self) -> &'static str {
        self.tool
    }

    /// The machine's name.
    pub fn host(&self) -> &str {
        &self.report.host
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.report.run
    }

    /// Where roots may lie.
    pub fn borders(&self) -> Borders {
        Borders {
            allow: self.config.host().allow_roots.clone(),
            never: self.home.iter().cloned().collect(),
            own: self
                .places
                .state
                .parent()
                .into_iter()
                .chain([self.places.runtime.as_path()])
                .map(Path::to_owned)
                .collect(),
        }
    }

    /// Takes a root's lock, waiting as long as the caller allows.
    pub fn lock(&self, root: &Root, wait: Option<Span>) -> Result<Lock, LockError> {
        self.make_runtime_folder();
        let who = self.who();
        let until = Instant::now() + Duration::from_secs(wait.map_or(0, Span::seconds));
        let take = || Lock::take(root, &self.places.runtime, &who);
        loop {
            match take() {
                Err(LockError::Busy(told)) if self.is_emergency() => {
                    match take_over::from_holder(root, &told, || take().ok()) {
                        // Another emergency is not made to give way, but it may be waited for.
                        Err(_) if Instant::now() < until && !signals::asked_to_stop() => {
                            std::thread::sleep(BETWEEN_TRIES);
                        }
                        taken => {
                            return taken.map_err(|why| match why {
                                InTheWay::Emergency => LockError::Busy(format!("{told}; {why}")),
                                InTheWay::Immovable(_) => LockError::Immovable(format!("{told}; {why}")),
                            });
                        }
                    }
                }
                Err(LockError::Busy(_)) if Instant::now() < until && !signals::asked_to_stop() => {
                    std::thread::sleep(BETWEEN_TRIES);
                }
                answer => return answer,
            }
        }
    }

    /// Takes a root's lock if nobody has it.
    pub fn lock_if_free(&self, root: &Root) -> Option<Lock> {
        self.make_runtime_folder();
        Lock::take(root, &self.places.runtime, &self.who()).ok()
    }

    /// Makes sure that no other run of this tool is at work, waiting as long as the caller allows.
    pub fn work_alone(&self, wait: Option<Span>) -> Result<Alone, String> {
        self.wait_alone(self.tool, wait)
    }

    fn wait_alone(&self, what: &str, wait: Option<Span>) -> Result<Alone, String> {
        self.make_runtime_folder();
        let until = Instant::now() + Duration::from_secs(wait.map_or(0, Span::seconds));
        loop {
            match Alone::take(what, &self.places.runtime, &self.who()) {
                Err(_) if Instant::now() < until && !signals::asked_to_stop() => {
                    std::thread::sleep(BETWEEN_TRIES)
                }
                answer => return answer,
            }
        }
    }

    /// Makes sure that no other emergency is at work on a filesystem, waiting as long as the caller allows.
    pub fn rescue_alone(&self, filesystem: &str, wait: Option<Span>) -> Result<Alone, String> {
        self.wait_alone(&format!("emergency-{filesystem}"), wait)
    }

    fn make_runtime_folder(&self) {
        // What is wrong with the folder is not worth more: there are other ways.
        if let Err(error) = make_folder(&self.places.runtime) {
            log::info!("no runtime folder {}: {error}", shown_path(&self.places.runtime));
        }
    }

    /// What this run writes into its locks.
    fn who(&self) -> String {
        let mode = if self.is_emergency() { take_over::EMERGENCY } else { "" };
        format!("{}{mode}, pid {}, since {}", self.tool, std::process::id(), clock::rfc3339(self.now))
    }

    /// Space is to be got back: this run waits for nobody.
    pub fn begin_emergency(&mut self) {
        self.report.mode = Mode::Emergency;
        self.audit.begin_emergency();
    }

    fn is_emergency(&self) -> bool {
        self.report.mode == Mode::Emergency
    }

    /// The targets come from the command line and not from the configuration.
    pub fn works_ad_hoc(&mut self) {
        self.is_ad_hoc = true;
    }

    /// What was printed as it went is the result: no report on standard output.
    pub fn keep_report_quiet(&mut self) {
        self.prints_report = false;
    }

    /// Why there is nothing to do although there are sections.
    pub fn explain_idleness(&mut self, why: impl Into<String>) {
        self.idle = Some(why.into());
    }

    /// Records what an emergency did for a volume.
    pub fn record_rescue(&mut self, rescue: Rescue) {
        let Rescue { volume, notes, .. } = &rescue;
        let listener = if self.prints_report { logging::NOT_ON_SCREEN } else { self.tool };
        for note in notes {
            log::warn!(target: listener, "{volume}: {note}");
        }
        if rescue.acted {
            log::info!("{volume}: {}", rescue.ladder());
        }
        self.report.rescues.push(rescue);
    }

    /// Records what a check found.
    pub fn record_check(&mut self, check: Check) {
        let listener = if self.prints_report { logging::NOT_ON_SCREEN } else { self.tool };
        let Check { name, message, status, .. } = &check;
        match status {
            Status::Ok => log::debug!("{name}: {message}"),
            Status::Warning => log::warn!(target: listener, "{name}: {message}"),
            _ => log::error!(target: listener, "{name}: {message}"),
        }
        self.report.checks.push(check);
    }

    /// Records what was measured of a volume or watch.
    pub fn read_gauge(&mut self, gauge: Gauge, of: &str, value: f64) {
        self.report.readings.push(Reading { gauge, of: of.to_owned(), value });
    }

    /// Answers a question by the exit code alone.
    pub fn answer(&mut self, status: Status) {
        self.prints_report = false;
        self.report.answer = Some(status);
    }

    /// How another tool has looked after a section.
    pub fn care_of(&self, tool: &str, section: &str) -> Care {
        let folder = self.places.state.parent().map(|state| state.join(tool));
        let history = folder.and_then(|folder| History::look(&folder).ok().flatten());
        history.and_then(|history| history.care(section).ok()).unwrap_or_default()
    }

    /// What this tool remembers of a section, by its name.
    pub fn recall(&self, section: &str) -> Option<Vec<u8>> {
        let memory = match History::look(&self.places.state) {
            Ok(history) => history.map_or(Ok(None), |history| history.memory(section)),
            Err(error) => {
                log::warn!("{section}: what was remembered cannot be read: {}", report::chain(&error));
                return None;
            }
        };
        memory.unwrap_or_else(|error| {
            log::warn!("{section}: what was remembered cannot be read: {error}");
            None
        })
    }

    /// Remembers this of a section once the work is done; where that cannot be written it is forgotten.
    pub fn remember_of(&self, section: &str, value: Vec<u8>) {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.insert(section.to_owned(), value);
    }

    /// When a tool last had a clean look at a section, and how many orphans it left there.
    pub fn orphans_left(&self, tool: &str, section: &str) -> Option<(Timestamp, u64)> {
        let folder = self.places.state.parent()?.join(tool);
        History::look(&folder).ok()??.orphans_left(section).ok()?
    }

    /// The folder for what lasts as long as the machine runs, made if need be.
    pub fn runtime_folder(&self) -> std::io::Result<&Path> {
        make_folder(&self.places.runtime).map(|()| self.places.runtime.as_path())
    }

    /// The folder for what this tool remembers, made if need be.
    pub fn state_folder(&self) -> std::io::Result<&Path> {
        make_folder(&self.places.state).map(|()| self.places.state.as_path())
    }

    /// Records what was done to a section.
    pub fn record(&mut self, target: Target) {
        // The report tells the same to who reads the screen: twice would be once too often.
        let listener = if self.prints_report { logging::NOT_ON_SCREEN } else { self.tool };
        let level = if target.status.is_quiet() { log::Level::Warn } else { log::Level::Error };
        for note in &target.notes {
            log::log!(target: listener, level, "{}: {note}", target.name);
        }
        for Failure { operation, path, error } in &target.errors {
            log::warn!(target: listener, "{}: cannot {operation} {path}: {error}", target.name);
        }
        let Target { name, status, policy, .. } = &target;
        log::info!("{name}: {}, {} ({policy})", status.word(), target.done_in_words());
        self.report.targets.push(target);
    }

    /// Ends the run: what it did is printed, kept and measured. Gives the exit code.
    pub(crate) fn finish(mut self) -> u8 {
        self.report.ended = clock::now();
        self.report.seconds = self.begun.elapsed().as_secs_f64();
        self.report.interrupted = signals::signal();
        self.report.clock_in_doubt = self.clock_in_doubt.load(Ordering::Relaxed);
        if self.report.has_acted() {
            self.audit.finish();
            if !self.remember() {
                let memories = self.memories.get_mut().unwrap_or_else(PoisonError::into_inner);
                for target in
                    self.report.targets.iter_mut().filter(|target| memories.contains_key(&target.name))
                {
                    target.note(Status::Warning, "what this run saw is not remembered, and will not count");
                }
            }
        }
        let printed = self.print();
        if let Err(error) = &printed {
            log::error!("the report could not be printed: {error}");
        }
        match (self.report.exit_code(), printed) {
            (0, Err(_)) => Status::Warning.code(),
            (code, _) => code,
        }
    }

    /// Answers whether what was to be remembered of sections is.
    fn remember(&self) -> bool {
        if self.is_emergency() {
            // For who looks into what happened while nothing else could be written.
            let file = self.places.runtime.join(format!("report-{}.json", self.tool));
            if let Err(error) = replace_file(&file, report::json(&self.report).as_bytes(), 0o640) {
                log::info!("no report in {}: {error}", shown_path(&file));
            }
        }
        let (mut known, is_remembered) = self.remember_in_history();
        // A folder named at a prompt is no section that anybody watches, and of a part of all checks nothing
        // can be told of the others.
        if self.is_ad_hoc || (!self.report.checks.is_empty() && !self.names().is_empty()) {
            return is_remembered;
        }
        let sections: Vec<&str> = self.config.names(self.section).collect();
        known.targets.retain(|past| sections.contains(&section_of(&past.name)));
        known.volumes.retain(|past| self.config.volume(&past.name).is_some());
        self.write_metrics(&metrics::render(&self.report, &known));
        is_remembered
    }

    /// Adds this run, and those that wait, to the history; where that is impossible this one waits too.
    fn remember_in_history(&self) -> (Known, bool) {
        let waiting = Waiting::of(self.tool, &self.places.runtime);
        let entry = Entry::of(&self.report);
        if self.is_gentle && !History::is_stale(&self.places.state, self.now) && waiting.keep(&entry).is_ok()
        {
            return (Known::default(), true);
        }
        let mut entries = waiting.entries();
        let waited = !entries.is_empty();
        entries.push(entry.clone());
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        match History::add(&self.places.state, &entries, &memories) {
            Ok(known) => {
                if waited {
                    waiting.clear();
                }
                (known, true)
            }
            Err(error) => {
                let why = report::chain(&error);
                match waiting.keep(&entry) {
                    Ok(()) => log::warn!(
                        "this run is not in the history: {why}; it waits in {}",
                        shown_path(waiting.path())
                    ),
                    Err(_) => log::warn!("this run is not in the history: {why}"),
                }
                (Known::default(), memories.is_empty())
            }
        }
    }

    /// Replaces the metrics; where that is impossible they lie in the runtime folder until it is not.
    fn write_metrics(&self, text: &str) {
        let Some(place) = &self.places.metrics else { return };
        let name = format!("maint-{}.prom", self.tool);
        let refuge = self.places.runtime.join(&name);
        match replace_file(&place.folder.join(&name), text.as_bytes(), 0o644) {
            Ok(()) if refuge.exists() => {
                let _ = replace_file(&refuge, b"", 0o644);
            }
            Ok(()) => {}
            Err(error) => {
                let level = if place.asked_for { log::Level::Warn } else { log::Level::Info };
                log::log!(level, "no metrics in {}: {error}", shown_path(&place.folder));
                if place.asked_for {
                    let _ = replace_file(&refuge, text.as_bytes(), 0o644);
                }
            }
        }
    }

    fn print(&self) -> std::io::Result<()> {
        let quiet = self.options.cron && self.report.interrupted.is_none() && self.report.status().is_quiet();
        let none_due = self.report.is_empty() && self.options.every.is_some();
        if quiet || none_due || !self.prints_report {
            return Ok(());
        }
        screen::result(&match self.options.format() {
            Format::Human if self.report.is_empty() => {
                let why = self.idle.clone();
                let why = why.unwrap_or_else(|| format!("there is no section [{}.NAME]", self.section));
                format!("{}: {why} and nothing to do\n", self.tool)
            }
            Format::Human => report::human(&self.report),
            Format::Json => report::json(&self.report),
            Format::Nagios => report::nagios(&self.report),
        })
    }

    pub(crate) fn show_history(&self, runs: u32) -> Result<u8, UsageError> {
        let unreadable = |why: String| UsageError::new(format!("the history cannot be read: {why}"));
        let mut text = String::new();
        match History::look(&self.places.state).map_err(|error| unreadable(report::chain(&error)))? {
            None => text = format!("{} has not run yet\n", self.tool),
            Some(history) => {
                for past in history.last(runs).map_err(|error| unreadable(error.to_string()))? {
                    let at = clock::local(past.started);
                    // Writing to a String cannot fail.
                    let mode = if past.mode == Mode::Normal.word() { "" } else { past.mode.as_str() };
                    let line = format!(
                        "{at}  {:<8} {:<7} {:>7.1} s  {mode}",
                        past.status, past.trigger, past.seconds
                    );
                    text.push_str(line.trim_end());
                    text.push('\n');
                    for PastWork { name, gone, commands, freed, backup } in past.targets {
                        if let Some((bytes, removed)) = backup {
                            let made = match bytes {
                                0 => "no backup".to_owned(),
                                bytes => format!("1 backup, {}", ByteSize::from_bytes(bytes)),
                            };
                            let _ = writeln!(text, "    {name:<20} {made}, {removed} removed");
                            continue;
                        }
                        let ways = [Leaves::Removed, Leaves::Moved, Leaves::Archived].map(Leaves::word);
                        let done = gone.into_iter().zip(ways).filter(|(files, _)| *files > 0);
                        let mut done: Vec<String> =
                            done.map(|(files, way)| format!("{} {way}", count(files, "file"))).collect();
                        done.extend((commands > 0).then(|| format!("{} run", count(commands, "command"))));
                        let done = if done.is_empty() { "nothing".to_owned() } else { done.join(", ") };
                        let freed = ByteSize::from_bytes(freed);
                        let _ = writeln!(text, "    {name:<20} {done}, {freed} freed");
                    }
                }
            }
        }
        screen::result(&text)
            .map_err(|error| UsageError::new(format!("the history could not be printed: {error}")))?;
        Ok(Status::Ok.code())
    }
}

/// The section of a target: of several, what stands behind a colon tells them apart.
fn section_of(target: &str) -> &str {
    target.split_once(':').map_or(target, |(section, _)| section)
}

fn trigger(options: &Universal) -> Trigger {
    if options.cron {
        Trigger::Cron
    } else if std::io::stdin().is_terminal() || std::io::stderr().is_terminal() {
        Trigger::Manual
    } else if std::env::var_os("INVOCATION_ID").is_some() {
        Trigger::Timer
    } else {
        Trigger::Script
    }
}
