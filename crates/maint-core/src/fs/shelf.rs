//! Where an archive is made and gets its name: one file for each run, in a folder for each month.
#![expect(clippy::disallowed_methods, reason = "an archive gets its name by renaming")]

use super::{
    Folder, FsError, Root, Warrant,
    transfer::{discard, incoming_of},
};
use crate::text::{joined, printable};
use nix::{
    errno::Errno,
    fcntl::{OFlag, RenameFlags, openat, renameat2},
    sys::stat::{Mode, mkdirat},
};
use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    os::unix::ffi::OsStrExt as _,
};

/// The place of an archive that does not exist yet.
pub struct ArchivePlace {
    root: Root,
    incoming: OwnedFd,
    month: CString,
    file: CString,
    name: Vec<u8>,
    /// Whether its blocks are taken from the filesystem of the originals.
    same_filesystem: bool,
}

const HALF_DONE: &CStr = c"archive";

impl ArchivePlace {
    /// A place below `root` for an archive of files of `source`: `month/file`. What a killed run left half
    /// made is taken away.
    pub fn open(_: Warrant<'_>, root: Root, source: &Root, month: &str, file: &str) -> Result<Self, FsError> {
        let shown = root.shown();
        let failed = |source: io::Error| FsError { operation: "prepare", path: shown.clone(), source };
        let incoming = incoming_of(&root, source).map_err(failed)?;
        let (month, file) = (CString::new(month), CString::new(file));
        let (Ok(month), Ok(file)) = (month, file) else { return Err(failed(Errno::EINVAL.into())) };
        let name = joined(&[month.to_bytes(), file.to_bytes()]);
        let same_filesystem = root.top().device() == source.top().device();
        Ok(Self { root, incoming, month, file, name, same_filesystem })
    }

    /// Its path below the destination.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Bytes that it takes from the filesystem of the originals.
    pub fn costs(&self) -> u64 {
        if !self.same_filesystem {
            return 0;
        }
        let there = self.root.top().open_below(self.month.to_bytes());
        there.and_then(|there| there.look(&self.file)).map_or(0, |look| look.allocated)
    }

    /// Makes the file, without a name that anybody would take for an archive.
    pub fn make(&self) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(File::from(openat(
            &self.incoming,
            HALF_DONE,
            flags,
            Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP,
        )?))
    }

    /// Gives the complete archive its name, durably.
    pub fn finish(&self, _: Warrant<'_>) -> io::Result<()> {
        match mkdirat(self.root.top().handle(), self.month.as_c_str(), Mode::from_bits_truncate(0o750)) {
            Ok(()) => rustix::fs::fsync(self.root.top().handle())?,
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let month: Folder = self.root.top().open_below(self.month.to_bytes())?;
        renameat2(
            &self.incoming,
            HALF_DONE,
            month.handle(),
            self.file.as_c_str(),
            RenameFlags::RENAME_NOREPLACE,
        )?;
        rustix::fs::fsync(month.handle()).map_err(|errno| {
            // Not known to be on disk, it is no archive: nothing goes for its sake.
            let _ = renameat2(
                month.handle(),
                self.file.as_c_str(),
                &self.incoming,
                HALF_DONE,
                RenameFlags::RENAME_NOREPLACE,
            );
            errno.into()
        })
    }

    /// Takes away what was begun.
    pub fn give_up(&self) {
        discard(self.incoming.as_fd(), HALF_DONE);
    }

    /// An error, with the path of the archive.
    pub fn told(&self, error: &io::Error) -> String {
        let path = joined(&[self.root.path().as_os_str().as_bytes(), &self.name]);
        format!("{}: {error}", printable(&path))
    }
}
