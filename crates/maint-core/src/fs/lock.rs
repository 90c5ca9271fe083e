//! One run at a time for each root, and the right to change things that comes with it.

use super::{
    FsError, Root,
    folder::{device_of, quietly, see},
};
use crate::text::printable;
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};
use rustix::fs::AtFlags;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// A root's lock, held as long as this value lives.
///
/// Its file is a small journal too: who holds it, and the folders in which the run removes something. A
/// run that ends leaves it empty; after a kill the next one finds there which folders it may have to
/// take away.
#[derive(Debug)]
pub struct Lock {
    held: File,
    journal: Option<Journal>,
}

#[derive(Debug)]
struct Journal {
    written: AtomicU64,
    left_behind: Vec<Vec<u8>>,
}

/// The journal lies in memory (`/run`), so it must end somewhere; beyond that an empty folder may stay.
const LONGEST_JOURNAL: u64 = 8 << 20;

/// Why a root's lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run works there.
    #[error("another run is at work there{0}")]
    Busy(String),
    /// Neither the runtime folder nor the root itself can carry a lock.
    #[error(transparent)]
    Failed(#[from] FsError),
}

/// The right to change things below a root: only a held lock issues one.
///
/// ```compile_fail
/// # use maint_core::fs::Warrant;
/// let forged = Warrant { _held: todo!() };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Warrant<'lock> {
    _held: &'lock Lock,
}

impl Lock {
    /// Takes the lock of `root`, in a file of `folder`; where no file can be made there, on the root
    /// itself. The name is that of the root's identity, so a second way to the same folder finds the
    /// same lock.
    pub fn take(root: &Root, folder: &Path, who: &str) -> Result<Self, LockError> {
        let Ok(mut file) = open_file(root, folder) else { return Self::take_on_root(root) };
        match file.try_lock() {
            Ok(()) => {
                let mut before = Vec::new();
                // What cannot be read or written here costs a courtesy, not the run.
                let _ = file.read_to_end(&mut before);
                let left_behind = folders_of(&before);
                // They stay noted until this run ends: it may be killed too.
                let text = [format!("{who}\n").into_bytes(), left_behind.join(&0), vec![0]].concat();
                let _ = file.set_len(0).and_then(|()| file.write_all(&text));
                let journal = Journal { written: AtomicU64::new(text.len() as u64), left_behind };
                Ok(Self { held: file, journal: Some(journal) })
            }
            Err(TryLockError::WouldBlock) => {
                let mut before = Vec::new();
                let _ = file.take(400).read_to_end(&mut before);
                let holder = before.split(|b| *b == b'\n').next().unwrap_or_default();
                let holder =
                    if holder.is_empty() { String::new() } else { format!(": {}", printable(holder)) };
                Err(LockError::Busy(holder))
            }
            Err(TryLockError::Error(_)) => Self::take_on_root(root),
        }
    }

    /// Notes a folder that is about to lose something.
    pub(crate) fn touch(&self, folder: &[u8]) {
        let Some(journal) = &self.journal else { return };
        let line = [folder, b"\0"].concat();
        let length = line.len() as u64;
        if journal.written.fetch_add(length, Ordering::Relaxed) + length <= LONGEST_JOURNAL {
            // Opened for appending, so lines of two workers do not mix.
            let _ = (&self.held).write_all(&line);
        }
    }

    /// The folders that a killed run was working on, those deeper down first.
    pub(crate) fn left_behind(&self) -> impl Iterator<Item = &[u8]> {
        self.journal.iter().flat_map(|journal| journal.left_behind.iter().map(Vec::as_slice))
    }

    /// The right to change things, for as long as the lock is held.
    pub fn warrant(&self) -> Warrant<'_> {
        Warrant { _held: self }
    }

    fn take_on_root(root: &Root) -> Result<Self, LockError> {
        let failed = |source: io::Error| FsError { operation: "lock", path: root.shown(), source };
        // Opened anew: a duplicate of the root's handle would share its lock with the walk.
        let own = quietly(|flags| openat(root.top().handle(), c".", flags, Mode::empty())).map_err(failed)?;
        let own = File::from(own);
        match own.try_lock() {
            Ok(()) => Ok(Self { held: own, journal: None }),
            Err(TryLockError::WouldBlock) => Err(LockError::Busy(String::new())),
            Err(TryLockError::Error(source)) => Err(failed(source).into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.journal.is_some() {
            let _ = self.held.set_len(0);
        }
    }
}

/// The folders of a journal, longest path first, each once.
fn folders_of(journal: &[u8]) -> Vec<Vec<u8>> {
    let Some(header) = journal.iter().position(|b| *b == b'\n') else { return Vec::new() };
    let mut folders: Vec<Vec<u8>> =
        journal[header + 1..].split(|b| *b == 0).filter(|f| !f.is_empty()).map(<[u8]>::to_vec).collect();
    folders.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    folders.dedup();
    folders
}

fn open_file(root: &Root, folder: &Path) -> io::Result<File> {
    let seen = see(root.top().handle(), c"", AtFlags::EMPTY_PATH)?;
    let name = format!("root-{:x}-{:x}.lock", device_of(&seen), seen.stx_ino);
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(folder.join(name))
}
