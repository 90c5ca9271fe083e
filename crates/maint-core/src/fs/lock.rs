//! One run at a time for each root, and the right to change things that comes with it.

use super::{
    FsError, Locked, Root,
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
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// A root's lock, held as long as this value lives.
///
/// It is two locks: one on the root itself, which every caller meets whatever folders it uses, and which
/// `systemd-tmpfiles` respects; and one on a file in the runtime folder. That file is a small journal too: who holds it, and the folders in which the run removes something. A
/// run that ends leaves it empty; after a kill the next one finds there which folders it may have to
/// take away.
#[derive(Debug)]
pub struct Lock {
    _root: Option<File>,
    file: Option<(File, Journal)>,
}

#[derive(Debug)]
struct Journal {
    written: AtomicU64,
    unfinished: AtomicBool,
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
    /// Somebody holds it whom an emergency cannot make to give way.
    #[error("another run is at work there{0}")]
    Immovable(String),
    /// Neither the runtime folder nor the root itself can carry a lock.
    #[error(transparent)]
    Failed(#[from] FsError),
}

/// The right to change things below a root: only a held lock issues one.
///
/// ```compile_fail
/// # use maint_core::fs::{Lock, Warrant};
/// fn forge(lock: &Lock) -> Warrant<'_> {
///     Warrant { _held: lock }
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Warrant<'lock> {
    _held: &'lock Lock,
}

impl Lock {
    /// Takes the lock of `root`, with its file in `folder`. One of the two locks may be impossible (a
    /// filesystem without locks, a runtime folder that takes no file), but not both.
    pub fn take(root: &Root, folder: &Path, who: &str) -> Result<Self, LockError> {
        let in_folder = Self::take_file(root, folder, who)?;
        match Self::take_root(root) {
            Err(LockError::Failed(error)) if in_folder.is_none() => Err(LockError::Failed(error)),
            Err(LockError::Failed(_)) => Ok(Self { _root: None, file: in_folder }),
            Err(busy @ (LockError::Busy(_) | LockError::Immovable(_))) => Err(busy),
            Ok(held) => Ok(Self { _root: Some(held), file: in_folder }),
        }
    }

    fn take_file(root: &Root, folder: &Path, who: &str) -> Result<Option<(File, Journal)>, LockError> {
        let Ok(mut file) = open_file(root, folder) else { return Ok(None) };
        let mut before = Vec::new();
        match file.try_lock() {
            Ok(()) => {
                // What cannot be read or written here costs a courtesy, not the run.
                let _ = file.read_to_end(&mut before);
                let left_behind = folders_of(&before);
                // They stay noted until this run ends: it may be killed too.
                let text = [format!("{who}\n").into_bytes(), left_behind.join(&0), vec![0]].concat();
                let _ = file.set_len(0).and_then(|()| file.write_all(&text));
                let journal = Journal {
                    written: AtomicU64::new(text.len() as u64),
                    unfinished: AtomicBool::new(false),
                    left_behind,
                };
                Ok(Some((file, journal)))
            }
            Err(TryLockError::WouldBlock) => {
                let _ = file.take(400).read_to_end(&mut before);
                let holder = before.split(|b| *b == b'\n').next().unwrap_or_default();
                let holder =
                    if holder.is_empty() { String::new() } else { format!(": {}", printable(holder)) };
                Err(LockError::Busy(holder))
            }
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    fn take_root(root: &Root) -> Result<File, LockError> {
        let failed = |source: io::Error| FsError { operation: "lock", path: root.shown(), source };
        // Opened anew: a duplicate of the root's handle would share its lock with the walk.
        let own = quietly(|flags| openat(root.top().handle(), c".", flags, Mode::empty())).map_err(failed)?;
        let own = File::from(own);
        match own.try_lock() {
            Ok(()) => Ok(own),
            Err(TryLockError::WouldBlock) => Err(LockError::Busy(String::new())),
            Err(TryLockError::Error(source)) => Err(failed(source).into()),
        }
    }

    /// The process that holds a root's lock, as the kernel tells it; none of this process, nor of one whose
    /// number is not visible here.
    pub fn holder(root: &Root) -> io::Result<Option<u32>> {
        let top = root.top();
        Ok(Locked::below(root)?.by(top.device(), top.inode()).and_then(|holder| holder.pid))
    }

    /// Notes a folder that is about to lose something.
    pub(crate) fn touch(&self, folder: &[u8]) {
        let Some((file, journal)) = &self.file else { return };
        let line = [folder, b"\0"].concat();
        let length = line.len() as u64;
        if journal.written.fetch_add(length, Ordering::Relaxed) + length <= LONGEST_JOURNAL {
            // Opened for appending, so lines of two workers do not mix.
            let mut file = file;
            let _ = file.write_all(&line);
        }
    }

    /// Keeps the journal for the next run: this one ends before its work does.
    pub(crate) fn leave_unfinished(&self) {
        if let Some((_, journal)) = &self.file {
            journal.unfinished.store(true, Ordering::Relaxed);
        }
    }

    /// The folders that a killed run was working on, those deeper down first.
    pub(crate) fn left_behind(&self) -> impl Iterator<Item = &[u8]> {
        self.file.iter().flat_map(|(_, journal)| journal.left_behind.iter().map(Vec::as_slice))
    }

    /// The right to change things, for as long as the lock is held.
    pub fn warrant(&self) -> Warrant<'_> {
        Warrant { _held: self }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((file, journal)) = &self.file
            && !journal.unfinished.load(Ordering::Relaxed)
        {
            let _ = file.set_len(0);
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
    lock_file(&folder.join(name))
}

/// A file to lock, made if it is not there; never one that a link leads to.
pub fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}
