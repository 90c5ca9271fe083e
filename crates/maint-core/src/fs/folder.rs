//! A folder held open: how to go one step further down, look at a name, and list what is there.

use crate::{
    entry::{Kind, Look},
    text::joined,
    time::Timestamp,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag},
    sys::stat::Mode,
};
use rustix::fs::{AtFlags, RawDir, RawDirEntry, Statx, StatxAttributes, StatxFlags};
use std::{
    ffi::CStr,
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

/// The folder below a root that belongs to us: claims lie there, and no walk ever enters it.
pub const PRIVATE_FOLDER: &str = ".maint";

/// What every filesystem made by `mkfs.ext4` has at its top: the checker's, not ours.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// A folder at or below a root, held open.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    path: Vec<u8>,
    device: u64,
    inode: u64,
}

/// One name of a listing.
pub(super) struct Listed<'a> {
    /// `None` where the filesystem does not say.
    pub(super) kind: Option<Kind>,
    pub(super) inode: u64,
    /// Not for any walk.
    pub(super) hidden: bool,
    entry: RawDirEntry<'a>,
}

impl Listed<'_> {
    pub(super) fn name(&self) -> &CStr {
        self.entry.file_name()
    }
}

/// Room for one answer of getdents: more gains nothing, and two workers each hold one.
pub(super) const LISTING_BUFFER: usize = 64 << 10;

/// A path longer than this is opened in several steps; the kernel takes 4095 bytes at once.
const LONGEST_STEP: usize = 4000;

impl Folder {
    pub(super) fn new(handle: OwnedFd, path: Vec<u8>) -> io::Result<Self> {
        let seen = see(handle.as_fd(), c"", AtFlags::EMPTY_PATH)?;
        Ok(Self { handle, path, device: device_of(&seen), inode: seen.stx_ino })
    }

    /// The device number of its filesystem.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Its inode.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The folder above, if it is still the one with this inode: what was reached going down may have
    /// been moved since.
    pub(super) fn step_up(&self, inode: u64) -> io::Result<Self> {
        let handle = quietly(|flags| nix::fcntl::openat(&self.handle, c"..", flags, Mode::empty()))?;
        let above = Self::new(handle, super::parent_and_name(&self.path).0.to_vec())?;
        if (above.device, above.inode) == (self.device, inode) {
            Ok(above)
        } else {
            Err(Errno::ESTALE.into())
        }
    }

    /// Its path below the root; empty for the root itself.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Whether anybody may take away and replace what lies in it.
    pub fn is_anybodys(&self) -> io::Result<bool> {
        let mode = Mode::from_bits_truncate(nix::sys::stat::fstat(&self.handle)?.st_mode);
        Ok(mode.contains(Mode::S_IWOTH) && !mode.contains(Mode::S_ISVTX))
    }

    /// The handle, for calls of this module's siblings.
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Opens a folder below this one, or with an empty path itself: no link is followed, no other mount
    /// entered, no step leads out.
    pub fn open_below(&self, path: &[u8]) -> io::Result<Self> {
        if path.is_empty() {
            return self.open_again();
        }
        let mut at: Option<OwnedFd> = None;
        for step in steps(path) {
            let from = at.as_ref().map_or(self.handle.as_fd(), AsFd::as_fd);
            at = Some(open_step(from, step, self.device)?);
        }
        let handle = at.ok_or_else(|| io::Error::from(Errno::ENOENT))?;
        let below = Self::new(handle, joined(&[&self.path, path]))?;
        // A btrfs subvolume is no mount, and still another filesystem: nothing can be renamed out of it.
        if below.device == self.device { Ok(below) } else { Err(Errno::EXDEV.into()) }
    }

    /// A second handle of the same folder, with a position of its own: a duplicate would go on listing
    /// where the first one stopped.
    fn open_again(&self) -> io::Result<Self> {
        let handle = quietly(|flags| nix::fcntl::openat(&self.handle, c".", flags, Mode::empty()))?;
        Ok(Self { handle, path: self.path.clone(), device: self.device, inode: self.inode })
    }

    /// What `name` in this folder is now; a link is looked at, not followed.
    pub fn look(&self, name: &CStr) -> io::Result<Look> {
        look_at(self.handle.as_fd(), name)
    }

    /// Opens a file for reading, and says what it is; no link is followed and no access time moved.
    pub fn open_file(&self, name: &CStr) -> io::Result<(File, Look)> {
        if name.to_bytes().contains(&b'/') {
            return Err(Errno::EINVAL.into());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let open = |flags| nix::fcntl::openat(&self.handle, name, flags, Mode::empty());
        let opened = match open(flags | OFlag::O_NOATIME) {
            Err(Errno::EPERM) => open(flags),
            opened => opened,
        };
        let file = File::from(opened?);
        let look = look_at(file.as_fd(), c"")?;
        Ok((file, look))
    }

    /// Where a link in this folder leads, as far as anything is there: every link on the way resolved.
    pub fn follow(&self, name: &CStr) -> io::Result<(Kind, PathBuf)> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let there = nix::fcntl::openat(&self.handle, name, flags, Mode::empty())?;
        let kind = look_at(there.as_fd(), c"")?.kind;
        Ok((kind, std::fs::read_link(format!("/proc/self/fd/{}", there.as_raw_fd()))?))
    }

    /// The names in this folder, in the kernel's order, without `.`, `..` and what is private.
    pub(super) fn listing<'a>(&'a self, buffer: &'a mut [MaybeUninit<u8>]) -> Listing<'a> {
        Listing { raw: RawDir::new(self.handle.as_fd(), buffer), is_root: self.path.is_empty() }
    }
}

/// A folder's names, read as they are asked for.
pub(super) struct Listing<'a> {
    raw: RawDir<'a, BorrowedFd<'a>>,
    is_root: bool,
}

impl Listing<'_> {
    pub(super) fn next(&mut self) -> Option<io::Result<Listed<'_>>> {
        // The borrow checker does not let a lent entry be skipped and another asked for in one loop, so
        // the private ones come out marked.
        Some(match self.raw.next()? {
            Ok(entry) => {
                let kind = match entry.file_type() {
                    rustix::fs::FileType::RegularFile => Some(Kind::File),
                    rustix::fs::FileType::Directory => Some(Kind::Folder),
                    rustix::fs::FileType::Unknown => None,
                    _ => Some(Kind::Other),
                };
                Ok(Listed {
                    inode: entry.ino(),
                    kind,
                    hidden: is_hidden(entry.file_name(), self.is_root),
                    entry,
                })
            }
            Err(error) => Err(error.into()),
        })
    }
}

/// Names that no walk sees.
fn is_hidden(name: &CStr, in_root: bool) -> bool {
    let name = name.to_bytes();
    matches!(name, b"." | b"..") || name == PRIVATE_FOLDER.as_bytes() || (in_root && name == LOST_AND_FOUND)
}

/// Set once the kernel, or a sandbox, has said that it knows no `openat2`.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

const OPEN_FOLDER: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn open_step(from: BorrowedFd<'_>, path: &[u8], device: u64) -> io::Result<OwnedFd> {
    quietly(|flags| open_beneath(from, path, flags, device))
}

/// Opens so that reading a folder does not even move its access time; the kernel allows that to its owner
/// and to root, and others read it as everybody does.
pub(super) fn quietly(open: impl Fn(OFlag) -> nix::Result<OwnedFd>) -> io::Result<OwnedFd> {
    match open(OPEN_FOLDER.union(OFlag::O_NOATIME)) {
        Err(Errno::EPERM) => Ok(open(OPEN_FOLDER)?),
        answer => Ok(answer?),
    }
}

fn open_beneath(from: BorrowedFd<'_>, path: &[u8], flags: OFlag, device: u64) -> nix::Result<OwnedFd> {
    let within = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    while !NO_OPENAT2.load(Ordering::Relaxed) {
        match nix::fcntl::openat2(from, path, OpenHow::new().flags(flags).resolve(within)) {
            // A rename elsewhere made the kernel lose its way: it asks to be asked again.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::ENOSYS) => NO_OPENAT2.store(true, Ordering::Relaxed),
            // A strict sandbox answers EPERM to calls it does not know; so does O_NOATIME for another's folder.
            Err(Errno::EPERM) if !flags.contains(OFlag::O_NOATIME) => {
                NO_OPENAT2.store(true, Ordering::Relaxed)
            }
            answer => return answer,
        }
    }
    open_part_by_part(from, path, flags, device)
}

/// What `openat2` does in one call, for kernels without it: one name at a time, no link, same device.
fn open_part_by_part(from: BorrowedFd<'_>, path: &[u8], flags: OFlag, device: u64) -> nix::Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    for part in path.split(|b| *b == b'/') {
        if matches!(part, b"" | b"." | b"..") {
            return Err(Errno::EXDEV);
        }
        let here = at.as_ref().map_or(from, AsFd::as_fd);
        let next = nix::fcntl::openat(here, part, flags, Mode::empty())?;
        let seen = rustix::fs::statx(&next, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
            .map_err(|_| Errno::EIO)?;
        if device_of(&seen) != device || seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            return Err(Errno::EXDEV);
        }
        at = Some(next);
    }
    at.ok_or(Errno::ENOENT)
}

/// A path in pieces that the kernel takes, each ending between two names.
fn steps(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest.len() <= LONGEST_STEP {
            return Some(std::mem::take(&mut rest));
        }
        // No name is longer than 255 bytes, so a slash is there.
        let cut = rest[..LONGEST_STEP].iter().rposition(|b| *b == b'/').unwrap_or(LONGEST_STEP);
        let step = &rest[..cut];
        rest = &rest[cut + 1..];
        Some(step)
    })
}

/// One look at a name relative to a handle, or with an empty name at the handle itself.
pub(super) fn look_at(handle: BorrowedFd<'_>, name: &CStr) -> io::Result<Look> {
    let itself = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
    let seen = see(handle, name, itself.union(AtFlags::NO_AUTOMOUNT))?;
    let kind = match rustix::fs::FileType::from_raw_mode(seen.stx_mode.into()) {
        rustix::fs::FileType::RegularFile => Kind::File,
        rustix::fs::FileType::Directory => Kind::Folder,
        _ => Kind::Other,
    };
    let at = |t: rustix::fs::StatxTimestamp| Timestamp { seconds: t.tv_sec, nanos: t.tv_nsec };
    Ok(Look {
        kind,
        mount_point: seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        device: device_of(&seen),
        inode: seen.stx_ino,
        links: seen.stx_nlink,
        size: seen.stx_size,
        allocated: seen.stx_blocks.saturating_mul(512),
        modified: at(seen.stx_mtime),
        changed: at(seen.stx_ctime),
        accessed: at(seen.stx_atime),
        born: (seen.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| at(seen.stx_btime)),
    })
}

pub(super) fn see(handle: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> io::Result<Statx> {
    Ok(rustix::fs::statx(handle, name, flags, StatxFlags::BASIC_STATS.union(StatxFlags::BTIME))?)
}

pub(super) fn device_of(seen: &Statx) -> u64 {
    u64::from(seen.stx_dev_major) << 32 | u64::from(seen.stx_dev_minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_longer_than_the_kernel_takes_is_cut_between_names() {
        let path = vec![b"0123456789".as_slice(); 1000].join(&b'/');
        let cut: Vec<&[u8]> = steps(&path).collect();
        assert!(cut.len() > 2 && cut.iter().all(|step| step.len() <= LONGEST_STEP));
        assert_eq!(cut.join(&b'/'), path);
    }
}
