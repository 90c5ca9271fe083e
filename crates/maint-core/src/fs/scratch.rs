//! A folder for the time of one run, in a folder such as `/var/tmp`. It is locked as long as it is used, so that
//! what a killed run left is known, and it is taken away whole: by handle, following no link and entering no
//! other mount.

use super::{Folder, Lock, Root, Taken, Warrant, depot::names_in, remove_empty_folder, remove_unclaimed};
use crate::entry::Kind;
use nix::{
    errno::Errno,
    sys::stat::{Mode, fchmod, mkdirat},
    unistd::{Gid, Uid, fchown},
};
use std::{
    ffi::{CStr, CString},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// A folder that is gone when its run is.
#[derive(Debug)]
pub struct ScratchFolder {
    above: Root,
    name: CString,
    path: PathBuf,
    own: Root,
    lock: Lock,
}

/// Stands before the names of all of them.
const PREFIX: &str = "maint-scratch-";
/// One that is younger than this may just be about to be locked.
const SECONDS_TO_LOCK: i64 = 60;

impl ScratchFolder {
    /// Makes one in `above`. `locks` is the folder for locks, and `who` is what is written there.
    pub fn make(above: &Path, locks: &Path, who: &str) -> io::Result<Self> {
        let root = Root::to_look(above).map_err(io::Error::other)?;
        let unique = (0..100).find_map(|n| {
            let name = CString::new(format!("{PREFIX}{}-{n}", std::process::id())).ok()?;
            match mkdirat(root.top().handle(), name.as_c_str(), Mode::S_IRWXU) {
                Err(Errno::EEXIST) => None,
                made => Some(made.map(|()| name)),
            }
        });
        let name = unique.ok_or(io::ErrorKind::AlreadyExists)??;
        let path = root.real_path()?.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let own = Root::to_look_without_link(&path).map_err(io::Error::other)?;
        let lock = Lock::take(&own, locks, who).map_err(io::Error::other)?;
        Ok(Self { above: root, name, path, own, lock })
    }

    /// Makes a folder in it that is somebody else's, if there is anybody; who can only pass through this one.
    pub fn folder_for(&self, name: &str, owner: Option<(Uid, Gid)>) -> io::Result<PathBuf> {
        let inner = CString::new(name)?;
        mkdirat(self.own.top().handle(), inner.as_c_str(), Mode::S_IRWXU)?;
        if let Some((user, group)) = owner {
            let folder = self.own.top().open_below(inner.to_bytes())?;
            fchown(folder.handle(), Some(user), Some(group))?;
            fchmod(self.own.top().handle(), Mode::S_IRWXU | Mode::S_IXGRP | Mode::S_IXOTH)?;
        }
        Ok(self.path.join(name))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away; what stays is met again by the next run.
    pub fn remove(self) -> io::Result<()> {
        take_away(self.lock.warrant(), self.above.top(), &self.name)
    }

    /// Takes away those that killed runs have left in `above`. Answers how many.
    pub fn tidy(above: &Path, locks: &Path, who: &str, now: i64) -> u32 {
        let Ok(root) = Root::to_look(above) else { return 0 };
        let names = names_in(root.top()).unwrap_or_default();
        let mut tidied = 0;
        for name in names.iter().filter(|name| name.to_bytes().starts_with(PREFIX.as_bytes())) {
            let is_old = root
                .top()
                .look(name)
                .is_ok_and(|look| look.kind == Kind::Folder && look.changed.seconds + SECONDS_TO_LOCK < now);
            let path = above.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let own = is_old.then(|| Root::to_look_without_link(&path).ok()).flatten();
            // Only root makes folders for others; what somebody else has put there is not ours.
            let lock = own.and_then(|own| Lock::take(&own, locks, who).ok());
            if let Some(lock) = lock
                && take_away(lock.warrant(), root.top(), name).is_ok()
            {
                tidied += 1;
            }
        }
        tidied
    }
}

/// Removes a folder with all that is in it; links and sockets too, for they are as much ours as files are.
fn take_away(warrant: Warrant<'_>, above: &Folder, name: &CStr) -> io::Result<()> {
    let folder = above.open_below(name.to_bytes())?;
    for inner in names_in(&folder)? {
        let look = folder.look(&inner)?;
        if look.kind == Kind::Folder {
            take_away(warrant, &folder, &inner)?;
        } else if let Taken::Failed(error) = remove_unclaimed(warrant, &folder, &inner, &look) {
            return Err(error);
        }
    }
    if remove_empty_folder(warrant, above, name)? { Ok(()) } else { Err(io::Error::other("it is not empty")) }
}
