//! Files that are deleted and still open: their space is used, and no listing shows it.
//!
//! What the kernel calls deleted is told without asking any disk; how large it is only its disk tells, which may
//! hang.

use crate::probe::{Deleted, Held};
use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw},
    io::Errno,
};
use std::{
    collections::HashMap, ffi::CStr, fmt::Write as _, mem::MaybeUninit, os::unix::fs::MetadataExt as _,
    path::Path,
};

/// An open file of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pid: u32,
    number: u32,
}

/// What every process holds open and the kernel calls deleted, and how many processes cannot be looked into.
pub(crate) fn candidates() -> (Vec<Open>, u64) {
    // Where processes of others are hidden not even the first of all is there.
    let (mut open, mut unseen) = (Vec::new(), u64::from(!Path::new("/proc/1").exists()));
    let mut name = String::new();
    let _ = each_number(CWD, c"/proc", &mut |proc, pid| {
        name.clear();
        // Writing to a String cannot fail.
        let _ = write!(name, "{pid}/fd\0");
        let Ok(folder) = CStr::from_bytes_with_nul(name.as_bytes()) else { return };
        let listed = each_number(proc, folder, &mut |files, number| {
            if is_deleted(files, number) {
                open.push(Open { pid, number });
            }
        });
        // Who has ended meanwhile holds nothing.
        unseen += u64::from(!matches!(listed, Ok(()) | Err(Errno::NOENT | Errno::SRCH)));
    });
    (open, unseen)
}

/// What is called with a folder and a number that is a name in it.
type Visit<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, u32);

fn each_number(at: BorrowedFd<'_>, folder: &CStr, visit: Visit<'_>) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = openat(at, folder, flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 8 << 10];
    let mut names = RawDir::new(&handle, &mut buffer);
    while let Some(entry) = names.next() {
        if let Some(number) = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
            visit(handle.as_fd(), number);
        }
    }
    Ok(())
}

fn is_deleted(files: BorrowedFd<'_>, number: u32) -> bool {
    const MARK: &[u8] = b" (deleted)";
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let name = rustix::path::DecInt::new(number);
    readlinkat_raw(files, name.as_c_str(), &mut buffer).is_ok_and(|(target, _)| target.ends_with(MARK))
}

/// How much space each of them holds, once a file.
pub(crate) fn look(open: &[Open], unseen: u64) -> Held {
    let mut found: HashMap<(u64, u64), Deleted> = HashMap::new();
    for deleted in open.iter().filter_map(|open| look_at(*open)) {
        found.entry((deleted.device, deleted.inode)).or_insert(deleted);
    }
    Held { files: found.into_values().collect(), unseen }
}

fn look_at(Open { pid, number }: Open) -> Option<Deleted> {
    let seen = std::fs::metadata(format!("/proc/{pid}/fd/{number}")).ok();
    let seen = seen.filter(|seen| seen.is_file() && seen.nlink() == 0)?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Deleted {
        device: seen.dev(),
        inode: seen.ino(),
        bytes: seen.blocks().saturating_mul(512),
        pid,
        name: name.trim_end().to_owned(),
    })
}

impl Open {
    /// As one process tells another.
    pub(crate) fn to_line(self) -> String {
        format!("{} {}\n", self.pid, self.number)
    }

    /// The same read.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let (pid, number) = line.split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, number: number.parse().ok()? })
    }
}
