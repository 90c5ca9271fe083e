//! What is spared because somebody is using it.

use crate::{
    bundle::NameTemplate,
    entry::Look,
    fs::{Folder, HeldOpen, HeldOpenError, Locked, Root},
    retention::Kept,
};
use std::{
    ffi::{CStr, CString},
    io,
};

/// Which signs of use are heeded: the keys of `spare = { … }`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Spare {
    /// Locks of other processes, on a file or on a folder above it.
    pub locked: bool,
    /// Other processes that hold a file open.
    pub held_open: bool,
    /// Names of lock files beside a file.
    pub lock_files: Vec<NameTemplate>,
}

impl Default for Spare {
    fn default() -> Self {
        let lock_files = "{name}.lock".parse().into_iter().collect();
        Self { locked: true, held_open: false, lock_files }
    }
}

/// What other processes hold, at one moment.
#[derive(Debug, Default)]
pub struct InUse {
    locked: Option<Locked>,
    open: Option<HeldOpen>,
}

/// Why it is not known what others hold: then nothing may go.
#[derive(Debug, thiserror::Error)]
pub enum UseError {
    /// The kernel's table of locks cannot be read.
    #[error("what is locked cannot be seen (/proc/locks: {0}); spare = {{ locked = false }} does without")]
    Locks(io::Error),
    /// Not every process may be looked at.
    #[error("what is held open cannot be seen: {0}")]
    Open(#[from] HeldOpenError),
}

impl Spare {
    /// Looks at what other processes hold now below a root.
    pub fn look(&self, root: &Root) -> Result<InUse, UseError> {
        let locked = if self.locked { Some(Locked::below(root).map_err(UseError::Locks)?) } else { None };
        let open = if self.held_open { Some(HeldOpen::now()?) } else { None };
        Ok(InUse { locked, open })
    }

    /// The same, and what is held open as far as that can be seen.
    pub fn look_as_far_as_visible(&self, root: &Root) -> Result<InUse, UseError> {
        let known = Self { held_open: false, ..self.clone() }.look(root)?;
        let (open, _) = HeldOpen::as_far_as_visible()?;
        Ok(InUse { open: Some(open), ..known })
    }

    /// Whether a name is that of a lock file.
    pub fn is_lock_file(&self, name: &[u8]) -> bool {
        self.lock_files.iter().any(|template| template.fits(name))
    }

    /// Whether a lock file lies beside a file now, or the file is the lock of one that is there.
    pub fn has_lock_file(&self, folder: &Folder, name: &[u8]) -> bool {
        let there = |template: &NameTemplate| {
            CString::new(template.beside(name)).is_ok_and(|lock| {
                let cannot_be = [io::ErrorKind::NotFound, io::ErrorKind::InvalidFilename];
                !folder.look(&lock).is_err_and(|error| cannot_be.contains(&error.kind()))
            })
        };
        let of_another = |template: &NameTemplate| match template.named(name) {
            // Of a stem nobody knows the whole name: such a lock is its owner's to take away.
            None => template.fits(name),
            Some(locked) => CString::new(locked).is_ok_and(|locked| folder.look(&locked).is_ok()),
        };
        self.lock_files.iter().any(|template| there(template) || of_another(template))
    }
}

impl InUse {
    /// Why a file is spared, if it is.
    pub fn keeps(&self, look: &Look) -> Option<Kept> {
        let (device, inode) = (look.device, look.inode);
        if self.locked.as_ref().is_some_and(|table| table.by(device, inode).is_some()) {
            return Some(Kept::Locked);
        }
        self.open.as_ref().is_some_and(|table| table.by(device, inode).is_some()).then_some(Kept::HeldOpen)
    }

    /// Why files of one folder that go together are spared: a lock on the folder or on one above it (whose
    /// inodes are asked for only when anything is locked at all), on one of them, or a lock file beside one
    /// now, where the folder may hold such signs.
    pub fn spares<'f>(
        &self,
        spare: &Spare,
        folder: &Folder,
        files: impl Iterator<Item = (&'f CStr, &'f Look)> + Clone,
        inodes: impl FnOnce() -> Vec<u64>,
        may_hold_signs: bool,
    ) -> Option<Kept> {
        let (_, first) = files.clone().next()?;
        if let Some(table) = self.locked.as_ref().filter(|table| !table.is_empty())
            && inodes().into_iter().any(|inode| table.by(first.device, inode).is_some())
        {
            return Some(Kept::FolderLocked);
        }
        files.clone().find_map(|(_, look)| self.keeps(look)).or_else(|| {
            let mut names = files.map(|(name, _)| name.to_bytes());
            (may_hold_signs && names.any(|name| spare.has_lock_file(folder, name))).then_some(Kept::LockFile)
        })
    }
}
