//! Moving files to another folder: by one rename where both lie on one filesystem, else by a verified
//! copy, and then the original last.
//!
//! ```text
//! DESTINATION/.maint/in-DEVICE-INODE/   partial copies of one source root; its lock makes us alone there
//! copy → owner, mode, times, attributes → fsync → read back and compare → rename into place → fsync folder
//! ```
//!
//! A kill leaves at most a partial copy, which the next run takes away, or a whole copy beside the
//! original, which the next run recognises and does not make again.
#![expect(
    clippy::disallowed_methods,
    reason = "files are put into place by renaming, and partial copies of ours taken away"
)]

use super::{
    ClaimHand, Claimed, Folder, FsError, Root, Usage, Warrant,
    claim::{names_in, private_folder, private_name},
    folder::{device_of, look_at, see},
};
use crate::entry::{Kind, Look};
use nix::{
    errno::Errno,
    fcntl::{OFlag, PosixFadviseAdvice, RenameFlags, openat, posix_fadvise, renameat2},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, geteuid, unlinkat},
};
use rustix::fs::{AtFlags, Gid, Stat, StatxFlags, Timespec, Timestamps, Uid, XattrFlags};
use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read as _, Seek as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    sync::atomic::{AtomicU64, Ordering},
};

/// A folder that files go to.
#[derive(Debug)]
pub struct Destination {
    root: Root,
    /// Where copies are made; `None` where a rename does.
    incoming: Option<OwnedFd>,
    serial: AtomicU64,
}

/// A file on its way.
#[derive(Debug)]
pub enum Staged {
    /// A rename will do.
    ByRename,
    /// A copy lies ready under this name.
    Copied(CString),
    /// An identical file lies there already.
    There,
}

/// Why a file was not copied.
#[derive(Debug)]
pub enum StageError {
    /// It is gone.
    Vanished,
    /// It is another file now, or was written to while it was read.
    Changed,
    /// The system said no.
    Failed(io::Error),
}

impl From<io::Error> for StageError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Vanished } else { Self::Failed(error) }
    }
}

impl From<Errno> for StageError {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// Read and compared in pieces of this size.
const PIECE: usize = 256 << 10;
/// So many names are tried beside a taken one.
const MOST_SUFFIXES: u32 = 10_000;

impl Destination {
    /// Prepares to move files from `source` to `root`, and takes away what a killed run left half copied.
    pub fn open(_: Warrant<'_>, root: Root, source: &Root) -> Result<Self, FsError> {
        let shown = root.shown();
        let failed = |error: io::Error| FsError { operation: "prepare", path: shown.clone(), source: error };
        let incoming = if on_one_mount(&root, source).map_err(failed)? {
            None
        } else {
            Some(incoming_of(&root, source).map_err(failed)?)
        };
        Ok(Self { root, incoming, serial: AtomicU64::new(0) })
    }

    /// Whether files are copied: then space comes free where they were.
    pub fn copies(&self) -> bool {
        self.incoming.is_some()
    }

    /// Opens the folder below the destination that stands for one below the source, and makes what is
    /// missing of it with the same owner and mode.
    pub fn folder_for(&self, _: Warrant<'_>, source: &Root, path: &[u8]) -> io::Result<Folder> {
        let mut made: Vec<u8> = Vec::new();
        let mut here = self.root.top().open_below(b"")?;
        for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            made = crate::text::joined(&[&made, part]);
            let name = CString::new(part)?;
            let is_new = match mkdirat(here.handle(), name.as_c_str(), Mode::S_IRWXU) {
                Err(Errno::EEXIST) => false,
                Err(errno) => return Err(errno.into()),
                Ok(()) => true,
            };
            let next = here.open_below(part)?;
            if is_new {
                liken(&next, source.top().open_below(&made)?.handle())?;
            }
            here = next;
        }
        self.root.top().open_below(path)
    }

    /// Under which names the files of a bundle arrive: as they are called, or with the first number for
    /// which nothing else lies there; and which of them lie there already, because a killed run had put
    /// them there.
    pub fn arrange(
        &self,
        from: &Folder,
        files: &[Arriving<'_>],
        to: &Folder,
    ) -> io::Result<Vec<(CString, bool)>> {
        let longest = files.iter().map(|file| file.name.to_bytes().len()).max().unwrap_or(0);
        'numbers: for number in 0..MOST_SUFFIXES {
            let mut arranged = Vec::with_capacity(files.len());
            for Arriving { name, key_end, look } in files {
                let new = numbered(name, *key_end, number, longest)?;
                let there = match to.look(&new) {
                    Ok(there) if self.copies() && is_twin(from, name, look, to, &new, &there) => true,
                    Ok(_) => continue 'numbers,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    Err(error) => return Err(error),
                };
                arranged.push((new, there));
            }
            return Ok(arranged);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Makes the verified copy of the file that was condemned.
    pub fn stage(
        &self,
        _: Warrant<'_>,
        from: &Folder,
        name: &CStr,
        condemned: &Look,
    ) -> Result<Staged, StageError> {
        let Some(incoming) = &self.incoming else { return Ok(Staged::ByRename) };
        let (mut original, now) = from.open_file(name)?;
        if !now.is_same_file(condemned) {
            return Err(StageError::Changed);
        }
        let room = Usage::of(&self.root).map_err(StageError::Failed)?.available;
        if room < condemned.allocated {
            return Err(StageError::Failed(Errno::ENOSPC.into()));
        }
        let copy = CString::new(self.serial.fetch_add(1, Ordering::Relaxed).to_string()).unwrap_or_default();
        let copied = copy_into(incoming.as_fd(), &copy, &mut original, condemned);
        copied.map(|()| Staged::Copied(copy.clone())).inspect_err(|_| discard(incoming.as_fd(), &copy))
    }

    /// Gives up a copy.
    pub fn unstage(&self, staged: &Staged) {
        if let (Staged::Copied(copy), Some(incoming)) = (staged, &self.incoming) {
            discard(incoming.as_fd(), copy);
        }
    }

    /// Gives a copy its place. It never replaces what is there.
    pub fn place(&self, _: Warrant<'_>, staged: &Staged, to: &Folder, name: &CStr) -> io::Result<()> {
        let (Staged::Copied(copy), Some(incoming)) = (staged, &self.incoming) else { return Ok(()) };
        Ok(renameat2(incoming, copy.as_c_str(), to.handle(), name, RenameFlags::RENAME_NOREPLACE)?)
    }

    /// Takes a copy back that was given its place and is not to stay there.
    pub fn displace(&self, _: Warrant<'_>, staged: &Staged, to: &Folder, name: &CStr) {
        if let (Staged::Copied(copy), Some(incoming)) = (staged, &self.incoming) {
            // What cannot be taken back is recognised by the next run.
            let _ = renameat2(to.handle(), name, incoming, copy.as_c_str(), RenameFlags::RENAME_NOREPLACE);
        }
    }

    /// Makes the names of copies durable, and sees that what lay there already still does: through another
    /// door it may be the original itself, and gone with its claim.
    pub fn confirm(&self, to: &Folder, names: &[(CString, bool)]) -> io::Result<()> {
        for (name, _) in names.iter().filter(|(_, there)| *there) {
            let (file, _) = to.open_file(name)?;
            file.sync_all()?;
        }
        Ok(rustix::fs::fsync(to.handle())?)
    }

    /// Renames an original to its place. Answers no when what was renamed is not what was condemned: then
    /// it is back where it was.
    pub fn rename(
        &self,
        _: Warrant<'_>,
        original: Original<'_>,
        to: &Folder,
        name: &CStr,
        condemned: &Look,
    ) -> io::Result<bool> {
        let (at, from) = original.whereabouts();
        renameat2(at, from, to.handle(), name, RenameFlags::RENAME_NOREPLACE)?;
        if let Original::Named(..) = original
            && !to.look(name)?.is_same_file(condemned)
        {
            renameat2(to.handle(), name, at, from, RenameFlags::RENAME_NOREPLACE)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Renames a file back to where it came from.
    pub fn rename_back(
        &self,
        _: Warrant<'_>,
        to: &Folder,
        new: &CStr,
        from: &Folder,
        name: &CStr,
    ) -> io::Result<()> {
        Ok(renameat2(to.handle(), new, from.handle(), name, RenameFlags::RENAME_NOREPLACE)?)
    }
}

/// A file that is to arrive.
#[derive(Clone, Copy)]
pub struct Arriving<'a> {
    /// Its name.
    pub name: &'a CStr,
    /// Where the part of the name ends that its bundle shares.
    pub key_end: usize,
    /// The look that condemned it.
    pub look: &'a Look,
}

/// Gives a folder that was just made the owner and mode of another. One that is not ours or not empty was
/// put in its place by somebody else.
fn liken(new: &Folder, model: BorrowedFd<'_>) -> io::Result<()> {
    let (is, model) = (rustix::fs::fstat(new.handle())?, rustix::fs::fstat(model)?);
    if is.st_uid != geteuid().as_raw() || !names_in(new.handle())?.is_empty() {
        return Ok(());
    }
    // Without the right to give it away it is ours, as any folder we make.
    let _ = rustix::fs::fchown(
        new.handle(),
        Some(Uid::from_raw(model.st_uid)),
        Some(Gid::from_raw(model.st_gid)),
    );
    Ok(rustix::fs::fchmod(new.handle(), rustix::fs::Mode::from_raw_mode(model.st_mode & 0o7777))?)
}

/// Where an original lies when its turn comes.
#[derive(Clone, Copy)]
pub enum Original<'a> {
    /// Claimed.
    Claimed(&'a ClaimHand, &'a Claimed),
    /// Under its own name.
    Named(&'a Folder, &'a CStr),
}

impl Original<'_> {
    fn whereabouts(&self) -> (BorrowedFd<'_>, &CStr) {
        match self {
            Self::Claimed(hand, claimed) => hand.whereabouts(claimed),
            Self::Named(folder, name) => (folder.handle(), name),
        }
    }
}

/// A name with a number behind the part that all of its bundle share: `a.jpg`, 2 → `a-2.jpg`. Where the
/// longest of them would become too long, the shared part is cut, for all alike.
fn numbered(name: &CStr, key_end: usize, number: u32, longest: usize) -> io::Result<CString> {
    const LONGEST_NAME: usize = 255;
    if number == 0 {
        return Ok(name.to_owned());
    }
    let suffix = format!("-{number}");
    let (key, rest) = name.to_bytes().split_at(key_end.min(name.to_bytes().len()));
    let over = (longest + suffix.len()).saturating_sub(LONGEST_NAME);
    let mut cut = key.len().saturating_sub(over);
    // Not within a character of several bytes.
    while 0 < cut && cut < key.len() && key[cut] & 0xc0 == 0x80 {
        cut -= 1;
    }
    Ok(CString::new([&key[..cut], suffix.as_bytes(), rest].concat())?)
}

/// A rename needs the same mount and, on btrfs, the same subvolume.
fn on_one_mount(a: &Root, b: &Root) -> io::Result<bool> {
    let see = |root: &Root| {
        let flags = StatxFlags::BASIC_STATS.union(StatxFlags::MNT_ID);
        let seen = rustix::fs::statx(root.top().handle(), c"", AtFlags::EMPTY_PATH, flags)?;
        Ok::<_, io::Error>((device_of(&seen), seen.stx_mnt_id))
    };
    Ok(see(a)? == see(b)?)
}

/// The folder for partial copies from one source, emptied.
pub(super) fn incoming_of(root: &Root, source: &Root) -> io::Result<OwnedFd> {
    let seen = see(source.top().handle(), c"", AtFlags::EMPTY_PATH)?;
    let private = private_folder(root.top().handle(), &private_name())?;
    let name = CString::new(format!("in-{:x}-{:x}", device_of(&seen), seen.stx_ino))?;
    let incoming = private_folder(private.as_fd(), &name)?;
    names_in(incoming.as_fd())?.iter().for_each(|left| discard(incoming.as_fd(), left));
    Ok(incoming)
}

/// Takes a partial copy away; one that stays is met again by the next run.
pub(super) fn discard(incoming: BorrowedFd<'_>, copy: &CStr) {
    let _ = unlinkat(incoming, copy, UnlinkatFlags::NoRemoveDir);
}

/// Whether what lies there is a copy of the original: another file with the same content and time.
fn is_twin(from: &Folder, name: &CStr, condemned: &Look, to: &Folder, new: &CStr, there: &Look) -> bool {
    let itself = (there.device, there.inode) == (condemned.device, condemned.inode);
    // Some filesystems keep whole seconds.
    let same_time = there.modified == condemned.modified
        || (there.modified.nanos == 0 && there.modified.seconds == condemned.modified.seconds);
    if itself || there.kind != Kind::File || there.size != condemned.size || !same_time {
        return false;
    }
    let compare = || have_same_content(&mut from.open_file(name)?.0, &mut to.open_file(new)?.0);
    compare().unwrap_or(false)
}

fn copy_into(
    incoming: BorrowedFd<'_>,
    copy: &CStr,
    original: &mut File,
    condemned: &Look,
) -> Result<(), StageError> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut new = File::from(openat(incoming, copy, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    copy_content(original, &mut new)?;
    let model = rustix::fs::fstat(&*original).map_err(io::Error::from)?;
    copy_properties(original, &new, &model)?;
    new.sync_all()?;
    // What is compared comes from the device and not from memory, as far as the kernel lets go of it.
    let _ = posix_fadvise(&new, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    original.rewind()?;
    new.rewind()?;
    if !have_same_content(original, &mut new)? {
        let changed = !look_at(original.as_fd(), c"").map_err(StageError::Failed)?.is_same_file(condemned);
        return Err(if changed {
            StageError::Changed
        } else {
            StageError::Failed(io::Error::other("the copy reads differently from the original"))
        });
    }
    let (look, now) = (
        look_at(new.as_fd(), c"").map_err(StageError::Failed)?,
        look_at(original.as_fd(), c"").map_err(StageError::Failed)?,
    );
    if !now.is_same_file(condemned) {
        return Err(StageError::Changed);
    }
    if (look.size, look.modified.seconds) != (condemned.size, condemned.modified.seconds) {
        return Err(StageError::Failed(io::Error::other("the destination does not keep size and time")));
    }
    Ok(())
}

/// Copies the bytes; pieces that are all zero become holes again.
fn copy_content(original: &mut File, new: &mut File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let read = original.read(&mut piece)?;
        if read == 0 {
            return new.set_len(length);
        }
        if piece[..read].iter().any(|b| *b != 0) {
            new.write_all_at(&piece[..read], length)?;
        }
        length += read as u64;
    }
}

fn copy_properties(original: &File, new: &File, model: &Stat) -> io::Result<()> {
    let is = rustix::fs::fstat(new)?;
    if (is.st_uid, is.st_gid) != (model.st_uid, model.st_gid) {
        rustix::fs::fchown(new, Some(Uid::from_raw(model.st_uid)), Some(Gid::from_raw(model.st_gid)))
            .map_err(|errno| told(errno, "its owner cannot be kept there"))?;
    }
    rustix::fs::fchmod(new, rustix::fs::Mode::from_raw_mode(model.st_mode & 0o7777))?;
    for (name, value) in attributes(original)? {
        match rustix::fs::fsetxattr(new, name.as_c_str(), &value, XattrFlags::empty()) {
            Ok(()) => {}
            // The label of a security module is the module's business.
            Err(_) if name.to_bytes().starts_with(b"security.") => {}
            Err(errno) => {
                let name = crate::text::printable(name.to_bytes());
                return Err(told(errno, &format!("its attribute {name} cannot be kept there")));
            }
        }
    }
    let time =
        |seconds: i64, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    let times = Timestamps {
        last_access: time(model.st_atime, model.st_atime_nsec),
        last_modification: time(model.st_mtime, model.st_mtime_nsec),
    };
    Ok(rustix::fs::futimens(new, &times)?)
}

fn told(errno: rustix::io::Errno, what: &str) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// The extended attributes of a file; none where the filesystem knows none.
pub(crate) fn attributes(file: &File) -> io::Result<Vec<(CString, Vec<u8>)>> {
    const LARGEST: usize = 64 << 10;
    let mut names = Vec::with_capacity(LARGEST);
    match rustix::fs::flistxattr(file, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    }
    let mut all = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let name = CString::new(name)?;
        let mut value = Vec::with_capacity(LARGEST);
        match rustix::fs::fgetxattr(file, name.as_c_str(), rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => all.push((name, value)),
            // Taken away meanwhile.
            Err(rustix::io::Errno::NODATA) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(all)
}

/// Compares two readers to their ends.
pub(crate) fn have_same_content(a: &mut dyn io::Read, b: &mut dyn io::Read) -> io::Result<bool> {
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let (n, m) = (fill(a, &mut one)?, fill(b, &mut other)?);
        if one[..n] != other[..m] {
            return Ok(false);
        }
        if n < one.len() {
            return Ok(true);
        }
    }
}

fn fill(from: &mut dyn io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_behind_what_a_bundle_shares() {
        assert_eq!(numbered(c"a.jpg", 1, 0, 5).unwrap(), c"a.jpg".to_owned());
        assert_eq!(numbered(c"a.jpg", 1, 2, 5).unwrap(), c"a-2.jpg".to_owned());
        assert_eq!(numbered(c"meta-a.jpg.json", 6, 1, 15).unwrap(), c"meta-a-1.jpg.json".to_owned());
        assert_eq!(numbered(c"noend", 5, 3, 5).unwrap(), c"noend-3".to_owned());
        // One of its bundle has 254 bytes: a byte of the shared part goes, everywhere.
        assert_eq!(numbered(c"abcd.jpg", 4, 1, 254).unwrap(), c"abc-1.jpg".to_owned());
        assert_eq!(numbered(c"ab\u{e9}.jpg", 4, 1, 254).unwrap(), c"ab-1.jpg".to_owned());
    }

    #[test]
    fn content_is_compared_to_the_end() {
        let same = |a: &[u8], b: &[u8]| have_same_content(&mut &*a, &mut &*b).unwrap();
        let long = vec![7; PIECE];
        assert!(same(b"", b"") && same(b"ab", b"ab") && same(&long, &long));
        assert!(!same(b"ab", b"a") && !same(&long, &[&long[..], b"x"].concat()) && !same(b"a", b"b"));
    }
}
