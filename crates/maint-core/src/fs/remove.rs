//! The only place that takes things away. Every function needs a [`Warrant`] and a handle.
#![expect(clippy::disallowed_methods, reason = "this is the module the others must go through")]

use super::{Folder, Root, Warrant, folder::look_at, parent_and_name};
use crate::entry::Look;
use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, unlinkat},
};
use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    os::{fd::BorrowedFd, unix::fs::MetadataExt as _},
};

/// What became of one condemned file.
#[derive(Debug)]
pub enum Taken {
    /// It is gone; this was the last look at it.
    Removed(Look),
    /// It was gone already.
    Vanished,
    /// It is another file now, or was touched: it stays.
    Changed,
    /// It stays, because the system said no.
    Failed(io::Error),
}

impl Taken {
    fn from_error(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Vanished,
            _ => Self::Failed(error),
        }
    }
}

/// Takes a name away that was just looked at. A full filesystem that copies on write may have no room left
/// to write down that something goes: then the file is emptied first, if this is its only name.
pub(super) fn unlink(_: Warrant<'_>, handle: BorrowedFd<'_>, name: &CStr, seen: &Look) -> io::Result<()> {
    match unlinkat(handle, name, UnlinkatFlags::NoRemoveDir) {
        Err(full @ (Errno::ENOSPC | Errno::EDQUOT)) => {
            empty(handle, name, seen).map_err(|_| io::Error::from(full))?;
            Ok(unlinkat(handle, name, UnlinkatFlags::NoRemoveDir)?)
        }
        done => Ok(done?),
    }
}

/// Lets go of a file's blocks, if it still is the one that was seen.
fn empty(handle: BorrowedFd<'_>, name: &CStr, seen: &Look) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(handle, name, flags, Mode::empty())?);
    let now = file.metadata()?;
    let is_same = (now.ino(), now.len(), now.mtime(), now.mtime_nsec())
        == (seen.inode, seen.size, seen.modified.seconds, i64::from(seen.modified.nanos));
    if !is_same || !now.is_file() || now.nlink() != 1 {
        return Err(io::Error::other("it is not the file that was looked at"));
    }
    file.set_len(0)
}

/// Removes a file without a claim: the look immediately before must still see what was condemned. A file
/// that replaces it between the two calls would be lost, so this is for folders of a single writer, and
/// for filesystems that cannot claim.
pub fn remove_unclaimed(warrant: Warrant<'_>, folder: &Folder, name: &CStr, condemned: &Look) -> Taken {
    let last = match look_at(folder.handle(), name) {
        Ok(look) => look,
        Err(error) => return Taken::from_error(error),
    };
    if !last.is_same_file(condemned) {
        return Taken::Changed;
    }
    match unlink(warrant, folder.handle(), name, &last) {
        Ok(()) => Taken::Removed(last),
        Err(error) => Taken::from_error(error),
    }
}

/// Removes a folder if nothing is in it; the answer is whether it went.
pub fn remove_empty_folder(_: Warrant<'_>, parent: &Folder, name: &CStr) -> io::Result<bool> {
    match unlinkat(parent.handle(), name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        // Somebody put something in, mounted on it, or swapped it: it is not ours any more.
        Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::EBUSY | Errno::ENOTDIR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes the folder at a path below the root if it is there and empty; answers whether it went.
pub(crate) fn remove_if_empty(warrant: Warrant<'_>, root: &Root, folder: &[u8]) -> bool {
    let (above, name) = parent_and_name(folder);
    let (Ok(above), Ok(name)) = (root.top().open_below(above), CString::new(name)) else { return false };
    // Gone already is not gone by us.
    above.look(&name).is_ok() && remove_empty_folder(warrant, &above, &name).unwrap_or(false)
}
