//! A target's root: opened once, with every step of the way checked.

use super::{
    Folder, FsError, Mount,
    folder::{device_of, quietly, see},
};
use crate::text::shown_path;
use nix::{
    fcntl::{OFlag, openat, readlinkat},
    sys::stat::{Mode, mkdirat},
    unistd::geteuid,
};
use rustix::fs::{AtFlags, Statx};
use std::{
    collections::VecDeque,
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

/// An open root and the path it was opened by.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    top: Folder,
    way: Way,
    lock_device: OnceLock<Option<u64>>,
}

/// The folders on the way to one, from `/` on, that one included, and their names in those above.
#[derive(Debug)]
struct Way {
    folders: Vec<Identity>,
    names: Vec<Vec<u8>>,
}

/// Where roots may lie, beyond what is never allowed.
#[derive(Debug, Clone, Default)]
pub struct Borders {
    /// If there are any, a root must be one of these or below one.
    pub allow: Vec<PathBuf>,
    /// Folders that are no root, such as the caller's home.
    pub never: Vec<PathBuf>,
    /// Folders that are no root and hold none: what the tools themselves remember.
    pub own: Vec<PathBuf>,
}

/// Why there is no root at a path.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Nothing is there.
    #[error("{0} is not there")]
    Missing(String),
    /// It must not be a root.
    #[error("{path} {why}")]
    Refused {
        /// The path.
        path: String,
        /// The rule that forbids it, as a sentence about it.
        why: String,
    },
    /// It could not be opened.
    #[error(transparent)]
    Failed(#[from] FsError),
}

/// Neither these nor anything below: no retention rule is about them.
const SYSTEM_TREES: [&str; 27] = [
    "/bin",
    "/boot",
    "/dev/pts",
    "/efi",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/sbin",
    "/usr/share",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/run/systemd",
];

/// Not these themselves: data lies in folders of its own below them.
const SYSTEM_FOLDERS: [&str; 20] = [
    "/",
    "/dev",
    "/dev/shm",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/usr",
    "/usr/local",
    "/usr/src",
    "/var",
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/spool",
];

/// The kernel gives up after as many.
const MOST_LINKS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Root {
    /// Opens a root. Its last part must be a folder and no link; links on the way must belong to root or
    /// the caller; a folder on the way that anybody may write to must be sticky.
    pub fn open(path: &Path, borders: &Borders) -> Result<Self, RootError> {
        let shown = shown_path(path);
        let (here, way) = reach(path, LastLink::Refuse)?;
        check_borders(&way.folders, borders)
            .map_err(|why| RootError::Refused { path: shown.clone(), why })?;
        let failed = |source: io::Error| FsError { operation: "open", path: shown.clone(), source };
        // `.` of a handle is the very folder that was checked.
        let handle = quietly(|flags| openat(&here, c".", flags, Mode::empty())).map_err(failed)?;
        let top = Folder::new(handle, Vec::new()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), top, way, lock_device: OnceLock::new() })
    }

    /// Opens a folder to look at what is in it, wherever it lies: nothing is ever removed from such a root.
    pub fn to_look(path: &Path) -> Result<Self, RootError> {
        Self::reached(path, LastLink::Follow)
    }

    /// The same, where a link in its place would be another folder than the one that is meant.
    pub fn to_look_without_link(path: &Path) -> Result<Self, RootError> {
        Self::reached(path, LastLink::Refuse)
    }

    fn reached(path: &Path, last: LastLink) -> Result<Self, RootError> {
        let (here, way) = reach(path, last)?;
        let failed = |source: io::Error| FsError { operation: "open", path: shown_path(path), source };
        let handle = quietly(|flags| openat(&here, c".", flags, Mode::empty())).map_err(failed)?;
        let top = Folder::new(handle, Vec::new()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), top, way, lock_device: OnceLock::new() })
    }

    /// Makes the folder at a path, if the one above it is there and may hold it, and opens it.
    pub fn make(path: &Path, borders: &Borders) -> Result<Self, RootError> {
        let (here, name) = above(path, borders)?;
        match mkdirat(&here, name, Mode::from_bits_truncate(0o750)) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => Self::open(path, borders),
            Err(errno) => {
                Err(FsError { operation: "make", path: shown_path(path), source: errno.into() }.into())
            }
        }
    }

    /// Why [`Self::make`] would refuse a path, as far as what is there today tells; nothing is made.
    pub fn refusal(path: &Path, borders: &Borders) -> Option<RootError> {
        let error = match Self::open(path, borders) {
            Err(RootError::Missing(_)) => above(path, borders).err(),
            opened => opened.err(),
        };
        error.filter(|error| matches!(error, RootError::Refused { .. }))
    }

    /// The number with which the kernel tells locks on files below it, where that is not their own: btrfs
    /// numbers each subvolume, and locks by the whole.
    pub(super) fn lock_device(&self) -> Option<u64> {
        *self.lock_device.get_or_init(|| {
            let mount = Mount::of(self).ok().filter(|mount| mount.kind == "btrfs")?;
            let (major, minor) = mount.device();
            Some(u64::from(major) << 32 | u64::from(minor))
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path by which the kernel knows it: without links.
    pub fn real_path(&self) -> io::Result<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.top.handle().as_raw_fd()))
    }

    /// The path, safe to print.
    pub fn shown(&self) -> String {
        shown_path(&self.path)
    }

    /// The path of this root below another, by whatever names and mounts they were reached; empty when both
    /// are one folder.
    pub fn below(&self, other: &Self) -> Option<Vec<u8>> {
        let at = self.way.folders.iter().rposition(|folder| Some(folder) == other.way.folders.last())?;
        Some(self.way.names[at + 1..].join(&b'/'))
    }

    /// The root as a folder.
    pub fn top(&self) -> &Folder {
        &self.top
    }
}

/// Opens the folder in which one is to be made, if it may hold it; and the name for that.
fn above<'p>(path: &'p Path, borders: &Borders) -> Result<(OwnedFd, &'p OsStr), RootError> {
    let shown = shown_path(path);
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(RootError::Missing(shown));
    };
    let (here, way) = reach(above, LastLink::Follow)?;
    check_trees(&way.folders, borders).map_err(|why| RootError::Refused { path: shown.clone(), why })?;
    if way.folders.last().copied() == identity_of(Path::new("/home")) {
        return Err(RootError::Refused { path: shown, why: "would be a home folder".to_owned() });
    }
    Ok((here, name))
}

/// Whether the last part of a path may be a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastLink {
    Refuse,
    Follow,
}

/// Goes to a folder step by step, and gives the identity of every folder on the way.
fn reach(path: &Path, last: LastLink) -> Result<(OwnedFd, Way), RootError> {
    let shown = shown_path(path);
    let refused = |why: &str| RootError::Refused { path: shown.clone(), why: why.to_owned() };
    let failed = |source: io::Error| FsError { operation: "open", path: shown.clone(), source };
    crate::section::check_root_path(path).map_err(|_| refused("is not an absolute path without \"..\""))?;

    let mut parts: VecDeque<OsString> = path
        .components()
        .filter_map(|part| if let Component::Normal(name) = part { Some(name.to_owned()) } else { None })
        .collect();
    let slash = CString::from(c"/");
    let mut here = open_on_the_way(None, &slash).map_err(failed)?;
    let mut seen = see(here.as_fd(), c"", AtFlags::EMPTY_PATH).map_err(failed)?;
    let top = |seen: &Statx| Way { folders: vec![identity(seen)], names: vec![Vec::new()] };
    let mut way = top(&seen);
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        let name = CString::new(part.as_bytes()).map_err(|_| refused("contains a NUL"))?;
        let mode = seen.stx_mode;
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(refused(
                "lies below a folder that anybody may write to: take that right away (chmod o-w) or make it sticky",
            ));
        }
        let next = match see(here.as_fd(), &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(next) => next,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(RootError::Missing(shown));
            }
            Err(error) => return Err(failed(error).into()),
        };
        match rustix::fs::FileType::from_raw_mode(next.stx_mode.into()) {
            rustix::fs::FileType::Directory => {
                here = open_on_the_way(Some(&here), &name).map_err(failed)?;
                seen = see(here.as_fd(), c"", AtFlags::EMPTY_PATH).map_err(failed)?;
                // A link may lead back up: what it leaves is not on the way any more.
                if part == ".." {
                    let above = way.folders.len().saturating_sub(1).max(1);
                    way.folders.truncate(above);
                    way.names.truncate(above);
                } else {
                    way.folders.push(identity(&seen));
                    way.names.push(part.as_bytes().to_vec());
                }
            }
            rustix::fs::FileType::Symlink if parts.is_empty() && last == LastLink::Refuse => {
                return Err(refused("is a link: name the folder that it points to"));
            }
            rustix::fs::FileType::Symlink => {
                if next.stx_uid != 0 && next.stx_uid != geteuid().as_raw() {
                    return Err(refused("is reached through a link that another user made"));
                }
                links += 1;
                if links > MOST_LINKS {
                    return Err(refused("is reached through too many links"));
                }
                let target = readlinkat(&here, name.as_c_str()).map_err(|errno| failed(errno.into()))?;
                if target.as_bytes().starts_with(b"/") {
                    here = open_on_the_way(None, &slash).map_err(failed)?;
                    seen = see(here.as_fd(), c"", AtFlags::EMPTY_PATH).map_err(failed)?;
                    way = top(&seen);
                }
                for part in
                    target.as_bytes().split(|b| *b == b'/').rev().filter(|p| !p.is_empty() && *p != b".")
                {
                    parts.push_front(OsString::from_vec(part.to_vec()));
                }
            }
            _ => return Err(refused("is not a folder")),
        }
    }
    Ok((here, way))
}

fn open_on_the_way(from: Option<&OwnedFd>, name: &CString) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match from {
        Some(folder) => openat(folder, name.as_c_str(), flags, Mode::empty()),
        None => nix::fcntl::open(name.as_c_str(), flags, Mode::empty()),
    };
    Ok(opened?)
}

fn identity(seen: &Statx) -> Identity {
    Identity { device: device_of(seen), inode: seen.stx_ino }
}

/// The identity of whatever a path leads to today.
fn identity_of(path: &Path) -> Option<Identity> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let seen = see(nix::fcntl::AT_FDCWD, &path, AtFlags::empty()).ok()?;
    Some(identity(&seen))
}

/// Compares by identity, so that a link to a forbidden folder, or a bind mount of it, is forbidden too.
fn check_borders(way: &[Identity], borders: &Borders) -> Result<(), String> {
    let Some(root) = way.last() else { return Ok(()) };
    let is = |path: &str| identity_of(Path::new(path)).as_ref() == Some(root);
    if let Some(folder) = SYSTEM_FOLDERS.iter().find(|path| is(path)) {
        return Err(format!("is {folder}, a folder of the system: name a folder of its own below it"));
    }
    // Whoever lives there may be known to another machine only.
    let in_home = way.len() > 1 && identity_of(Path::new("/home")) == way.get(way.len() - 2).copied();
    if in_home || homes().iter().chain(&borders.never).any(|home| identity_of(home).as_ref() == Some(root)) {
        return Err("is a home folder: name a folder of its own below it".to_owned());
    }
    check_trees(way, borders)
}

/// The rules for trees: what they say of a folder they say of all below it.
fn check_trees(way: &[Identity], borders: &Borders) -> Result<(), String> {
    for tree in SYSTEM_TREES {
        if identity_of(Path::new(tree)).is_some_and(|id| way.contains(&id)) {
            return Err(format!("belongs to {tree}, which is the system's"));
        }
    }
    if borders.own.iter().filter_map(|own| identity_of(own)).any(|id| way.contains(&id)) {
        return Err("is where maint itself keeps what it must remember".to_owned());
    }
    let allowed = |path: &PathBuf| identity_of(path).is_some_and(|id| way.contains(&id));
    if !borders.allow.is_empty() && !borders.allow.iter().any(allowed) {
        let list: Vec<String> = borders.allow.iter().map(|p| shown_path(p)).collect();
        return Err(format!("lies outside allow-roots ({})", list.join(", ")));
    }
    Ok(())
}

/// The homes of root and of people; service accounts "live" in data folders such as `/var/www`.
fn homes() -> Vec<PathBuf> {
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    passwd.split(|b| *b == b'\n').filter_map(home_in).collect()
}

fn home_in(line: &[u8]) -> Option<PathBuf> {
    const FIRST_PERSON: u32 = 1000;
    const NOBODY: u32 = 65534;
    let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
    let user: u32 = std::str::from_utf8(fields.get(2)?).ok()?.parse().ok()?;
    let person = user == 0 || (user >= FIRST_PERSON && user != NOBODY);
    (person && !fields.get(5)?.is_empty()).then(|| PathBuf::from(OsString::from_vec(fields[5].to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_those_of_root_and_people() {
        assert_eq!(home_in(b"root:x:0:0:root:/root:/bin/bash"), Some("/root".into()));
        assert_eq!(home_in(b"camera:x:1000:1000::/home/camera:/bin/sh"), Some("/home/camera".into()));
        assert_eq!(home_in(b"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin"), None);
        assert_eq!(home_in(b"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"), None);
        assert_eq!(home_in(b"broken line"), None);
    }
}
