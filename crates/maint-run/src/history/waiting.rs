//! Runs that wait in the runtime folder for a history that takes them.

use super::Entry;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Entries that wait for a history that takes them.
pub(crate) struct Waiting(PathBuf);

impl Waiting {
    /// Of entries no more than this waits: a year of emergencies.
    const MOST: u64 = 4 << 20;

    /// Those of a tool, in the runtime folder.
    pub(crate) fn of(tool: &str, runtime: &Path) -> Self {
        Self(runtime.join(format!("history-{tool}.jsonl")))
    }

    /// The file they wait in.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Those that wait; what a kill cut short is none.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut text = String::new();
        let read = File::open(&self.0).and_then(|file| file.take(Self::MOST).read_to_string(&mut text));
        let lines = if read.is_ok() { text.lines() } else { "".lines() };
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// One more waits.
    pub(crate) fn keep(&self, entry: &Entry) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.0)?;
        let length = file.metadata()?.len();
        let line = serde_json::to_string(entry)? + "\n";
        if length + line.len() as u64 > Self::MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        file.write_all(line.as_bytes()).inspect_err(|_| {
            let _ = file.set_len(length);
        })
    }

    /// None waits any more.
    pub(crate) fn clear(&self) {
        if let Ok(file) = OpenOptions::new().write(true).open(&self.0) {
            let _ = file.set_len(0);
        }
    }
}
