//! The record of removals: one JSON line before each batch with what is about to go, one after for every
//! file that went.
//!
//! When the audit log has no room, or cannot be written, lines go to the runtime folder, which lies in
//! memory: all of them at first, then one for each batch. The next run folds them in. Only when neither
//! place takes a line does a run refuse to remove anything.

use crate::{clock, places::Places, report::Target};
use maint_core::{
    prune::{Batch, Doomed, Fate, Ledger, LedgerError},
    text::printable,
    time::Timestamp,
};
use serde::Serialize;
use std::{
    ffi::CStr,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
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
    sink: Mutex<Sink>,
}

/// Where lines go now.
enum Sink {
    Unopened,
    Log(File),
    /// The file in the runtime folder, and the bytes that are in it.
    Refuge(File, u64),
    None,
}

/// From here on the refuge takes one line for each batch …
const FULL_LINES: u64 = 4 << 20;
/// … and here it ends.
const REFUGE_SIZE: u64 = 16 << 20;

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    run: &'a str,
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
    Removed {
        path: String,
        size: u64,
        freed: u64,
        modified: String,
        inode: u64,
        reason: String,
    },
    FolderRemoved {
        path: String,
    },
    /// Of a whole batch, where there is no room for more.
    RemovedMany {
        folder: &'a str,
        files: u64,
        freed: u64,
    },
}

impl Audit {
    pub(crate) fn new(tool: &'static str, run: String, places: &Places) -> Self {
        let refuge_path = places.runtime.join(format!("audit-{tool}.jsonl"));
        Self { tool, run, path: places.audit_log.clone(), refuge_path, sink: Mutex::new(Sink::Unopened) }
    }

    /// The ledger of one target below `root`.
    pub fn ledger<'a>(&'a self, target: &'a Target, root: &'a Path) -> impl Ledger + 'a {
        TargetLedger { audit: self, target: &target.name, root: root.as_os_str().as_bytes() }
    }

    /// Opens the log, and folds in what an earlier run could not write there.
    fn open(&self) -> Sink {
        match open_log(&self.path) {
            Ok(mut log) => {
                if let Err(error) = self.fold_in(&mut log) {
                    log::warn!("audit lines of an earlier run stay in {}: {error}", show(&self.refuge_path));
                }
                Sink::Log(log)
            }
            Err(error) => self.take_refuge(&error),
        }
    }

    fn fold_in(&self, log: &mut File) -> io::Result<()> {
        let mut refuge = match OpenOptions::new().read(true).write(true).open(&self.refuge_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let mut lines = Vec::new();
        refuge.read_to_end(&mut lines)?;
        if lines.is_empty() {
            return Ok(());
        }
        log.write_all(&lines)?;
        log.sync_data()?;
        refuge.set_len(0)
    }

    fn take_refuge(&self, why: &io::Error) -> Sink {
        let opened = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.refuge_path);
        match opened.and_then(|mut file| Ok((file.seek(io::SeekFrom::End(0))?, file))) {
            Ok((length, file)) => {
                log::warn!(
                    "{} takes no line ({why}): they go to {} for now",
                    show(&self.path),
                    show(&self.refuge_path)
                );
                Sink::Refuge(file, length)
            }
            Err(error) => {
                log::error!(
                    "no audit line can be written, neither to {} ({why}) nor to {} ({error})",
                    show(&self.path),
                    show(&self.refuge_path)
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
        if let Sink::Log(log) = &mut *sink {
            match log.write_all(lines) {
                Ok(()) => return Ok(()),
                Err(error) => *sink = self.take_refuge(&error),
            }
        }
        let nowhere =
            || LedgerError(io::Error::other("neither the audit log nor the runtime folder takes a line"));
        let Sink::Refuge(file, length) = &mut *sink else { return Err(nowhere()) };
        let lines = if *length + lines.len() as u64 <= FULL_LINES { lines } else { short };
        if *length + lines.len() as u64 > REFUGE_SIZE {
            return Err(nowhere());
        }
        file.write_all(lines).map_err(LedgerError)?;
        *length += lines.len() as u64;
        Ok(())
    }

    /// Makes what was written durable; once a run, and only if something was written.
    pub(crate) fn finish(&self) {
        if let Sink::Log(log) = &*self.sink.lock().unwrap_or_else(PoisonError::into_inner)
            && let Err(error) = log.sync_data()
        {
            log::warn!("{} may lose lines with the power: {error}", show(&self.path));
        }
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().create(true).append(true).mode(0o640).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The folder is made if the one above it is there.
            DirBuilder::new().mode(0o750).create(path.parent().unwrap_or(path))?;
            open()
        }
        opened => opened,
    }
}

fn show(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

struct TargetLedger<'a> {
    audit: &'a Audit,
    target: &'a str,
    root: &'a [u8],
}

impl TargetLedger<'_> {
    fn push(&self, lines: &mut Vec<u8>, time: &str, event: Event<'_>) {
        let line = Line { time, run: &self.audit.run, tool: self.audit.tool, target: self.target, event };
        // Every key is a string and every number whole: this cannot fail.
        if serde_json::to_writer(&mut *lines, &line).is_ok() {
            lines.push(b'\n');
        }
    }

    fn path(&self, folder: &[u8], name: &CStr) -> String {
        let parts = [self.root, folder, name.to_bytes()];
        printable(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/'))
    }

    fn removed(&self, folder: &[u8], doomed: &Doomed<'_>, freed: u64) -> Event<'static> {
        let Doomed { name, look, why } = doomed;
        let path = self.path(folder, name);
        let reason = why.to_string();
        log::debug!("removed {path}: {reason}");
        Event::Removed {
            path,
            size: look.size,
            freed,
            modified: precise(look.modified),
            inode: look.inode,
            reason,
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

    fn settle(&self, batch: &Batch<'_>, fates: &[Fate]) {
        let time = clock::rfc3339(clock::now());
        let mut lines = Vec::with_capacity(256 * batch.files.len());
        let (mut files, mut freed) = (0, 0_u64);
        for (doomed, fate) in batch.files.iter().zip(fates) {
            if let Fate::Removed { frees } = fate {
                files += 1;
                freed = freed.saturating_add(*frees);
                self.push(&mut lines, &time, self.removed(batch.folder, doomed, *frees));
            }
        }
        let mut short = Vec::new();
        let folder = &self.path(batch.folder, c"");
        self.push(&mut short, &time, Event::RemovedMany { folder, files, freed });
        if let Err(error) = self.audit.write(&lines, &short) {
            // The intent is there; the next one will stop the run.
            log::error!("{error}");
        }
    }

    fn folder_removed(&self, parent: &[u8], name: &CStr) {
        let mut line = Vec::new();
        let path = self.path(parent, name);
        self.push(&mut line, &clock::rfc3339(clock::now()), Event::FolderRemoved { path });
        if let Err(error) = self.audit.write(&line, &line) {
            log::error!("{error}");
        }
    }
}

/// Seconds and nanoseconds, as `stat` prints them: what a file is recognised by.
fn precise(at: Timestamp) -> String {
    format!("{}.{:09}", at.seconds, at.nanos)
}
