//! The record of removals: one JSON line before each batch with what is about to go, one after for every
//! file that went.
//!
//! When the audit log has no room, or cannot be written, lines go to the runtime folder, which lies in
//! memory: all of them at first, then one for each batch. The next run folds them in. Only when neither
//! place takes a line does a run refuse to remove anything. In an emergency it does not: then lines wait in
//! memory for the room that it makes, and on a full disk the first of them do from the start.

use crate::{clock, places::Places, report::Ran};
use maint_core::{
    entry::Look,
    prune::{Batch, Doomed, Fate, Ledger, LedgerError},
    text::{joined, printable, shown_path},
    time::Timestamp,
};
use nix::unistd::{Uid, User};
use serde::Serialize;
use std::{
    ffi::CStr,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The audit log of one run.
pub struct Audit {
    tool: &'static str,
    run: String,
    path: PathBuf,
    refuge_path: PathBuf,
    is_emergency: bool,
    sink: Mutex<Sink>,
}

/// Where lines go now.
enum Sink {
    Unopened,
    Log(File),
    /// The file in the runtime folder, the bytes that are in it, and how many writes ago the log was last
    /// asked.
    Refuge {
        file: File,
        length: u64,
        writes: u32,
    },
    None,
    /// In an emergency: lines that nothing took yet, and whether anything has been asked to.
    Memory {
        lines: Vec<u8>,
        writes: u32,
    },
}

/// So many writes to the refuge later the log is asked again: removals make room.
const ASK_AGAIN: u32 = 256;
/// From here on the refuge takes one line for each batch …
const FULL_LINES: u64 = 4 << 20;
/// … and here it ends.
const REFUGE_SIZE: u64 = 16 << 20;

/// So much is held in memory; beyond that one line for each batch must do, and in the end none.
const MEMORY_SIZE: usize = 8 << 20;

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    run: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    tool: &'a str,
    target: &'a str,
    #[serde(flatten)]
    event: Event<'a>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    Intent {
        folder: &'a str,
        files: Vec<String>,
    },
    Removed(Went),
    Moved(Went),
    Archived(Went),
    FolderRemoved {
        path: String,
        folders: u64,
    },
    /// Of a whole batch, where there is no room for more.
    RemovedMany {
        folder: &'a str,
        files: u64,
        freed: u64,
    },
    BackupRemoved {
        path: String,
        made: String,
        verified: &'a str,
        freed: u64,
        reason: &'a str,
    },
    CommandBegins {
        command: &'a [String],
        user: String,
    },
    CommandEnded {
        command: &'a [String],
        user: String,
        ended: String,
        seconds: f64,
        freed: u64,
    },
}

/// A file that is not where it was.
#[derive(Serialize)]
struct Went {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    size: u64,
    freed: u64,
    modified: String,
    inode: u64,
    reason: String,
}

impl Audit {
    pub(crate) fn new(tool: &'static str, run: String, places: &Places) -> Self {
        let refuge_path = places.runtime.join(format!("audit-{tool}.jsonl"));
        let path = places.audit_log.clone();
        Self { tool, run, path, refuge_path, is_emergency: false, sink: Mutex::new(Sink::Unopened) }
    }

    pub(crate) fn begin_emergency(&mut self) {
        self.is_emergency = true;
    }

    /// Nothing is written before something has gone: there is no room for it.
    pub fn hold_back(&self) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*sink, Sink::Unopened) {
            *sink = Sink::Memory { lines: Vec::new(), writes: 0 };
        }
    }

    /// What was held back is written, as far as anything takes it.
    pub fn write_held_back(&self) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        self.leave_memory(&mut sink);
    }

    fn leave_memory(&self, sink: &mut Sink) {
        let Sink::Memory { lines, .. } = sink else { return };
        let mut opened = self.open();
        if let Sink::Log(log) = &mut opened {
            match append(log, lines) {
                Ok(()) => return *sink = opened,
                // It could be made and takes nothing.
                Err(error) => opened = self.take_refuge(&error),
            }
        }
        if let Sink::Refuge { file, length, .. } = &mut opened
            && append(file, lines).is_ok()
        {
            *length += lines.len() as u64;
            *sink = opened;
        }
    }

    /// The ledger of one target below `root`, whose files go to `destination` if they go to one.
    pub fn ledger<'a>(
        &'a self,
        target: &'a str,
        root: &'a Path,
        destination: Option<&'a Path>,
    ) -> impl Ledger + 'a {
        let destination = destination.map(|path| path.as_os_str().as_bytes()).unwrap_or_default();
        TargetLedger { audit: self, target, root: root.as_os_str().as_bytes(), destination }
    }

    /// Notes that a backup goes: before it goes, so that nothing goes that cannot be accounted for.
    pub fn backup_goes(
        &self,
        target: &str,
        path: &Path,
        made: Timestamp,
        verified: &str,
        freed: u64,
    ) -> Result<(), LedgerError> {
        let (path, made) = (shown_path(path), clock::rfc3339(made));
        let line = self
            .line(target, Event::BackupRemoved { path, made, verified, freed, reason: "no rule keeps it" });
        self.write(&line, &line)
    }

    /// Notes that a section's command is about to be run.
    pub fn command_begins(&self, target: &str, command: &[String]) -> Result<(), LedgerError> {
        let line = self.line(target, Event::CommandBegins { command, user: user() });
        self.write(&line, &line)
    }

    /// Notes what became of it.
    pub fn command_ended(&self, target: &str, command: &[String], ran: &Ran) {
        let event = Event::CommandEnded {
            command,
            user: user(),
            ended: ran.ended.to_string(),
            seconds: (ran.seconds * 1000.0).round() / 1000.0,
            freed: ran.freed.iter().map(|(_, bytes)| bytes).sum(),
        };
        let line = self.line(target, event);
        if let Err(error) = self.write(&line, &line) {
            log::error!("{error}");
        }
    }

    fn line(&self, target: &str, event: Event<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        self.push(&mut line, target, &clock::rfc3339(clock::now()), event);
        line
    }

    fn push(&self, lines: &mut Vec<u8>, target: &str, time: &str, event: Event<'_>) {
        let mode = self.is_emergency.then_some("emergency");
        let line = Line { time, run: &self.run, mode, tool: self.tool, target, event };
        // Every key is a string and every number finite: this cannot fail.
        if serde_json::to_writer(&mut *lines, &line).is_ok() {
            lines.push(b'\n');
        }
    }

    /// Opens the log, and folds in what could not be written there.
    fn open(&self) -> Sink {
        match self.open_log() {
            Ok(log) => Sink::Log(log),
            Err(error) => self.take_refuge(&error),
        }
    }

    fn open_log(&self) -> io::Result<File> {
        let mut log = open_log(&self.path)?;
        let mut refuge = match OpenOptions::new().read(true).append(true).open(&self.refuge_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(log),
            opened => opened?,
        };
        let mut lines = Vec::new();
        refuge.read_to_end(&mut lines)?;
        if !lines.is_empty() {
            append(&mut log, &lines)?;
            log.sync_data()?;
            refuge.set_len(0)?;
        }
        Ok(log)
    }

    fn take_refuge(&self, why: &io::Error) -> Sink {
        let opened =
            OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&self.refuge_path);
        match opened.and_then(|mut file| Ok((heal(&mut file)?, file))) {
            Ok((length, file)) => {
                log::warn!(
                    "{} takes no line ({why}): they go to {} for now",
                    shown_path(&self.path),
                    shown_path(&self.refuge_path)
                );
                Sink::Refuge { file, length, writes: 0 }
            }
            Err(error) => {
                let (log, refuge) = (shown_path(&self.path), shown_path(&self.refuge_path));
                log::error!(
                    "no audit line can be written, neither to {log} ({why}) nor to {refuge} ({error})"
                );
                Sink::None
            }
        }
    }

    /// Writes `lines`, or in a refuge that fills up `short`.
    fn write(&self, lines: &[u8], short: &[u8]) -> Result<(), LedgerError> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*sink, Sink::Unopened) {
            *sink = self.open();
        }
        if let Sink::Memory { writes, .. } = &mut *sink {
            *writes += 1;
            if writes.is_multiple_of(ASK_AGAIN) {
                self.leave_memory(&mut sink);
            }
        }
        if let Sink::Refuge { length, writes, .. } = &mut *sink {
            *writes += 1;
            if (*writes % ASK_AGAIN == 0 || *length + lines.len() as u64 > REFUGE_SIZE)
                && let Ok(log) = self.open_log()
            {
                *sink = Sink::Log(log);
            }
        }
        if let Sink::Log(log) = &mut *sink {
            match append(log, lines) {
                Ok(()) => return Ok(()),
                Err(error) => *sink = self.take_refuge(&error),
            }
        }
        let nowhere = |why: &str| {
            let (log, refuge) = (shown_path(&self.path), shown_path(&self.refuge_path));
            LedgerError(io::Error::other(format!("{log} takes no line, and {refuge} {why}")))
        };
        let written = if let Sink::Refuge { file, length, .. } = &mut *sink {
            let lines = if *length + lines.len() as u64 <= FULL_LINES { lines } else { short };
            if *length + lines.len() as u64 > REFUGE_SIZE {
                Err(nowhere("is as long as it may be"))
            } else {
                *length += lines.len() as u64;
                append(file, lines).map_err(|error| nowhere(&format!("takes none either ({error})")))
            }
        } else {
            Err(nowhere("takes none either"))
        };
        if written.is_err() && self.is_emergency {
            remember(&mut sink, lines, short);
            return Ok(());
        }
        written
    }

    /// What waits for the log is written there by a run that had nothing to write, too.
    fn fold_in(&self) {
        let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = std::fs::metadata(&self.refuge_path).is_ok_and(|seen| seen.len() > 0);
        if matches!(*sink, Sink::Unopened)
            && waits
            && let Err(error) = self.open_log()
        {
            log::info!("{} waits on: {error}", shown_path(&self.refuge_path));
        }
    }

    /// Makes what was written durable; once a run, and only if something was written.
    pub(crate) fn finish(&self) {
        self.write_held_back();
        self.fold_in();
        if let Sink::Memory { .. } = &*self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            log::error!("what this run removed is written down nowhere: no place takes a line");
        }
        if let Sink::Log(log) = &*self.sink.lock().unwrap_or_else(PoisonError::into_inner)
            && let Err(error) = log.sync_data()
        {
            log::warn!("{} may lose lines with the power: {error}", shown_path(&self.path));
        }
    }
}

/// Keeps lines in memory, all of them while there are few.
fn remember(sink: &mut Sink, lines: &[u8], short: &[u8]) {
    if !matches!(sink, Sink::Memory { .. }) {
        *sink = Sink::Memory { lines: Vec::new(), writes: 0 };
    }
    if let Sink::Memory { lines: kept, .. } = sink {
        let lines = if kept.len() + lines.len() <= MEMORY_SIZE / 2 { lines } else { short };
        if kept.len() + lines.len() <= MEMORY_SIZE {
            kept.extend_from_slice(lines);
        }
    }
}

/// Adds whole lines or nothing: what a full disk cut short is taken back.
fn append(file: &mut File, lines: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(lines).inspect_err(|_| {
        let _ = file.set_len(before);
    })
}

/// Ends a line that a kill cut short, so that the next one stands alone. Gives the length.
fn heal(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(length)
}

fn open_log(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(path);
    let mut log = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The folder is made if the one above it is there.
            DirBuilder::new().mode(0o750).create(path.parent().unwrap_or(path))?;
            open()?
        }
        opened => opened?,
    };
    heal(&mut log)?;
    Ok(log)
}

struct TargetLedger<'a> {
    audit: &'a Audit,
    target: &'a str,
    root: &'a [u8],
    destination: &'a [u8],
}

impl TargetLedger<'_> {
    fn push(&self, lines: &mut Vec<u8>, time: &str, event: Event<'_>) {
        self.audit.push(lines, self.target, time, event);
    }

    /// An absolute path; of one that no program could open in one piece, beginning and end.
    fn path(&self, folder: &[u8], name: &CStr) -> String {
        const LONGEST: usize = 4096;
        const SHOWN: usize = 1024;
        let path = joined(&[self.root, folder, name.to_bytes()]);
        if path.len() <= LONGEST {
            return printable(&path);
        }
        let (start, end) = (&path[..SHOWN], &path[path.len() - SHOWN..]);
        format!("{}[{} bytes left out]{}", printable(start), path.len() - 2 * SHOWN, printable(end))
    }

    fn went(&self, folder: &[u8], name: &CStr, look: &Look, freed: u64, reason: String) -> Went {
        let path = self.path(folder, name);
        Went {
            path,
            to: None,
            size: look.size,
            freed,
            modified: precise(look.modified),
            inode: look.inode,
            reason,
        }
    }

    /// What became of a file, if it went.
    fn event(&self, folder: &[u8], doomed: &Doomed<'_>, fate: &Fate) -> Option<Event<'static>> {
        let Doomed { name, look, why, .. } = doomed;
        let went = |frees| self.went(folder, name, look, frees, why.to_string());
        let to = |place: &[u8]| Some(printable(&joined(&[self.destination, place])));
        let event = match fate {
            Fate::Removed { frees } => Event::Removed(went(*frees)),
            Fate::Moved { to: place, frees } => Event::Moved(Went { to: to(place), ..went(*frees) }),
            Fate::Archived { to: place, frees } => Event::Archived(Went { to: to(place), ..went(*frees) }),
            Fate::Spared => return None,
        };
        if let Event::Removed(went) | Event::Moved(went) | Event::Archived(went) = &event {
            match &went.to {
                None => log::debug!("removed {}: {}", went.path, went.reason),
                Some(to) => log::debug!("{} is now in {to}: {}", went.path, went.reason),
            }
        }
        Some(event)
    }

    /// A line after the fact, which nothing can be made to wait for.
    fn write_one(&self, event: Event<'_>) {
        let line = self.audit.line(self.target, event);
        if let Err(error) = self.audit.write(&line, &line) {
            log::error!("{error}");
        }
    }
}

impl Ledger for TargetLedger<'_> {
    fn intend(&self, batch: &Batch<'_>) -> Result<(), LedgerError> {
        let time = clock::rfc3339(clock::now());
        let folder = &self.path(batch.folder, c"");
        let (mut lines, mut short) = (Vec::with_capacity(64 * batch.files.len() + 256), Vec::new());
        let files = batch.files.iter().map(|doomed| printable(doomed.name.to_bytes())).collect();
        self.push(&mut lines, &time, Event::Intent { folder, files });
        self.push(&mut short, &time, Event::Intent { folder, files: Vec::new() });
        self.audit.write(&lines, &short)
    }

    fn settle(&self, batch: &Batch<'_>, fates: &[Fate]) -> Result<(), LedgerError> {
        let time = clock::rfc3339(clock::now());
        let mut lines = Vec::with_capacity(256 * batch.files.len());
        let (mut files, mut freed) = (0, 0_u64);
        for (doomed, fate) in batch.files.iter().zip(fates) {
            if let Some(event) = self.event(batch.folder, doomed, fate) {
                files += 1;
                if let Event::Removed(went) | Event::Moved(went) | Event::Archived(went) = &event {
                    freed = freed.saturating_add(went.freed);
                }
                self.push(&mut lines, &time, event);
            }
        }
        let mut short = Vec::new();
        let folder = &self.path(batch.folder, c"");
        self.push(&mut short, &time, Event::RemovedMany { folder, files, freed });
        self.audit.write(&lines, &short)
    }

    fn folders_removed(&self, parent: &[u8], name: &CStr, folders: u64) {
        self.write_one(Event::FolderRemoved { path: self.path(parent, name), folders });
    }

    fn recovered(&self, folder: &[u8], name: &CStr, last: &Look) {
        let freed = if last.links <= 1 { last.allocated } else { 0 };
        let reason = "condemned by a run that was killed".to_owned();
        self.write_one(Event::Removed(self.went(folder, name, last, freed, reason)));
    }
}

/// On whose behalf this runs: a name, or a number that has none.
fn user() -> String {
    let uid = Uid::effective();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Seconds and nanoseconds, as `stat` prints them: what a file is recognised by.
fn precise(at: Timestamp) -> String {
    format!("{}.{:09}", at.seconds, at.nanos)
}
