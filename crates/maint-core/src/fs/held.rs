//! What other processes hold: locks on files, and files that are open.
//!
//! Both are tables of one moment, read from `/proc` and never by trying: to try a lock is to take it.

use super::{
    FsError, Root,
    folder::{device_of, see},
};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, readlinkat},
    io::Errno,
};
use std::{
    collections::{HashMap, HashSet},
    ffi::CStr,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

/// Another process that holds a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its number, where the kernel tells it.
    pub pid: Option<u32>,
}

/// The locks of all other processes at one moment.
#[derive(Debug, Default)]
pub struct Locked {
    table: Table,
    /// The number that files below the root have, and the one that their locks are told with.
    alias: Option<(u64, u64)>,
}

/// The files that other processes had open or mapped at one moment.
#[derive(Debug, Default)]
pub struct HeldOpen(Table);

/// Why it cannot be told what is open.
#[derive(Debug, thiserror::Error)]
pub enum HeldOpenError {
    /// A process that may not be looked into: what it holds is unknown, so nothing is known.
    #[error("cannot see what process {pid} has open: this look needs root or CAP_SYS_PTRACE")]
    NotAllowed {
        /// The process.
        pid: u32,
    },
    /// The look itself failed.
    #[error(transparent)]
    Failed(#[from] FsError),
}

/// The kernel hands the table out in pieces of at most one page, which is nowhere larger.
const LARGEST_PIECE: usize = 64 << 10;

/// A table that moves all the time is looked at so often; all that was seen counts.
const MOST_LOOKS: usize = 16;

impl Locked {
    /// Reads the kernel's table, without the locks of this process, to ask about what lies below a root.
    pub fn below(root: &Root) -> io::Result<Self> {
        Ok(Self { alias: root.lock_device().map(|told| (root.top().device(), told)), ..Self::now()? })
    }

    fn now() -> io::Result<Self> {
        let own = own_pid()?;
        let mut locked = Self::default();
        let (mut text, mut pieces) = read_pieces("/proc/locks")?;
        locked.read(&text, own);
        // Between two pieces the kernel counts from the start again: a lock that was let go meanwhile
        // makes it skip another. So a longer table is read until nothing moved between two looks.
        for _ in 0..MOST_LOOKS {
            if pieces == 1 {
                break;
            }
            let before = std::mem::take(&mut text);
            (text, pieces) = read_pieces("/proc/locks")?;
            locked.read(&text, own);
            if text == before {
                break;
            }
        }
        locked.table.learn_devices();
        Ok(locked)
    }

    /// Whether no other process holds a lock.
    pub fn is_empty(&self) -> bool {
        self.table.by_inode.is_empty()
    }

    /// Who holds a lock on this file.
    pub fn by(&self, device: u64, inode: u64) -> Option<Holder> {
        match self.alias {
            Some((seen, told)) if seen == device => self.table.find_exactly(told, inode),
            _ => self.table.find(device, inode),
        }
    }

    fn read(&mut self, text: &[u8], own: u32) {
        for lock in text.split(|b| *b == b'\n').filter_map(lock_in) {
            if lock.holder.pid != Some(own) {
                self.table.add(lock);
            }
        }
    }
}

impl HeldOpen {
    /// Looks into every other process.
    pub fn now() -> Result<Self, HeldOpenError> {
        let (open, hidden) = Self::as_far_as_visible()?;
        hidden.map_or(Ok(open), |pid| Err(HeldOpenError::NotAllowed { pid }))
    }

    /// Looks into every other process that may be looked into, and names the first that may not.
    pub fn as_far_as_visible() -> Result<(Self, Option<u32>), HeldOpenError> {
        let own = own_pid().map_err(|error| failed("read", "/proc/self", error))?;
        let mut open = Self::default();
        let (mut first_seen, mut hidden) = (false, None);
        for pid in numbers_in("/proc")? {
            first_seen |= pid == 1;
            if pid == own {
                continue;
            }
            match open.look_into(pid) {
                Err(HeldOpenError::NotAllowed { pid }) => hidden = hidden.or(Some(pid)),
                looked => looked?,
            }
        }
        open.0.learn_devices();
        // There always is one. A `/proc` that hides it (`hidepid`, `ProtectProc`) hides others too.
        Ok((open, if first_seen { hidden } else { Some(1) }))
    }

    /// Who has this file open or mapped.
    pub fn by(&self, device: u64, inode: u64) -> Option<Holder> {
        self.0.find(device, inode)
    }

    fn look_into(&mut self, pid: u32) -> Result<(), HeldOpenError> {
        let process = format!("/proc/{pid}");
        let looked = self.look_at(&process, pid).and_then(|found| {
            // A process whose first thread has ended looks empty there, while its other threads go on.
            if found == 0 { self.look_at_threads(&process, pid) } else { Ok(()) }
        });
        match looked {
            Err(error) if is_denied(&error.source) => {
                if holds_nothing(&process) {
                    Ok(())
                } else {
                    Err(HeldOpenError::NotAllowed { pid })
                }
            }
            Err(error) if is_gone(&error.source) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    }

    fn look_at_threads(&mut self, process: &str, pid: u32) -> Result<(), FsError> {
        let tasks = format!("{process}/task");
        for thread in numbers_in(&tasks)? {
            if thread != pid {
                unless_gone(self.look_at(&format!("{tasks}/{thread}"), pid))?;
            }
        }
        Ok(())
    }

    /// Adds what one task holds, and says how many descriptors and mappings that was.
    fn look_at(&mut self, task: &str, pid: u32) -> Result<usize, FsError> {
        let holder = Holder { pid: Some(pid) };
        Ok(self.add_descriptors(&format!("{task}/fd"), holder)?
            + self.add_mappings(&format!("{task}/maps"), holder)?)
    }

    fn add_descriptors(&mut self, folder: &str, holder: Holder) -> Result<usize, FsError> {
        let handle = open_listing(folder)?;
        let mut count = 0;
        for entry in Dir::read_from(&handle).map_err(|error| failed("list", folder, error))? {
            let entry = entry.map_err(|error| failed("list", folder, error))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            count += 1;
            let file = file_behind(handle.as_fd(), entry.file_name());
            if let Some((device, inode)) = file.map_err(|error| failed("look into", folder, error))? {
                self.0.add(Held { device, inode, holder });
            }
        }
        Ok(count)
    }

    fn add_mappings(&mut self, path: &str, holder: Holder) -> Result<usize, FsError> {
        let text = std::fs::read(path);
        let mut count = 0;
        for line in unless_gone(text.map_err(|error| failed("read", path, error)))?.split(|b| *b == b'\n') {
            if let Some((device, inode)) = mapping_in(line) {
                self.0.add(Held { device, inode, holder });
                count += 1;
            }
        }
        Ok(count)
    }
}

/// The regular file behind a descriptor, if it is one that a walk could meet.
fn file_behind(descriptors: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<(u64, u64)>> {
    // What the server of a dead network filesystem would say is not worth waiting for.
    match see(descriptors, name, AtFlags::STATX_DONT_SYNC) {
        Ok(seen) => {
            let is_file = FileType::from_raw_mode(seen.stx_mode.into()) == FileType::RegularFile;
            // What has no name any more is met by no walk.
            Ok((is_file && seen.stx_nlink > 0).then(|| (device_of(&seen), seen.stx_ino)))
        }
        Err(error) if is_gone(&error) => Ok(None),
        // The process lets us look, the filesystem does not: a FUSE mount of another user keeps even root
        // out, and any walk with it.
        Err(error) if is_denied(&error) && readlinkat(descriptors, name, Vec::new()).is_ok() => Ok(None),
        Err(error) => Err(error),
    }
}

/// One file and who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    device: u64,
    inode: u64,
    holder: Holder,
}

#[derive(Debug, Default)]
struct Table {
    /// An inode number that several filesystems have given out has several owners; there are few.
    by_inode: HashMap<u64, Vec<(u64, Holder)>>,
    /// Filesystems without a device whose number is the same wherever it is told.
    plain: HashSet<u64>,
}

impl Table {
    fn add(&mut self, held: Held) {
        let same_inode = self.by_inode.entry(held.inode).or_default();
        if same_inode.iter().all(|(device, _)| *device != held.device) {
            same_inode.push((held.device, held.holder));
        }
    }

    fn learn_devices(&mut self) {
        if !self.by_inode.is_empty() {
            let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
            self.plain = mounts.split(|b| *b == b'\n').filter_map(plain_device_in).collect();
        }
    }

    /// The same btrfs subvolume, overlay or network filesystem has one number here and another in an
    /// answer of `statx`: where either may be such a one, the inode alone must do.
    fn find(&self, device: u64, inode: u64) -> Option<Holder> {
        let is_vague = |device: u64| is_anonymous(device) && !self.plain.contains(&device);
        let is_it = |held: u64| held == device || is_vague(held) || is_vague(device);
        self.by_inode.get(&inode)?.iter().find(|(held, _)| is_it(*held)).map(|(_, holder)| *holder)
    }

    fn find_exactly(&self, device: u64, inode: u64) -> Option<Holder> {
        self.by_inode.get(&inode)?.iter().find(|(held, _)| *held == device).map(|(_, holder)| *holder)
    }
}

/// Made up for a filesystem that lies on no device of its own.
fn is_anonymous(device: u64) -> bool {
    device >> 32 == 0
}

/// The device of a mount that lies in memory, as a line of `mountinfo` tells it.
fn plain_device_in(line: &[u8]) -> Option<u64> {
    const PLAIN: [&[u8]; 3] = [b"tmpfs", b"devtmpfs", b"ramfs"];
    let mut words = line.split(|b| *b == b' ');
    let mut device = words.nth(2)?.splitn(2, |b| *b == b':');
    let (major, minor) = (number(device.next()?, 10)?, number(device.next()?, 10)?);
    words.find(|word| *word == b"-")?;
    words.next().filter(|kind| PLAIN.contains(kind)).map(|_| major << 32 | minor)
}

/// The lock that a line of the table is about, unless somebody only waits for it or it names no file.
fn lock_in(line: &[u8]) -> Option<Held> {
    let mut before: &[u8] = b"";
    for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if word == b"->" {
            return None;
        }
        if let Some((device, inode)) = file_in(word) {
            // Not only -1 and 0: a lock that a server holds for a client has a negative number too.
            let pid = number(before, 10).and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
            return Some(Held { device, inode, holder: Holder { pid } });
        }
        before = word;
    }
    None
}

/// `major:minor:inode`. A device that cannot be read counts as anonymous, so that its inode still holds.
fn file_in(word: &[u8]) -> Option<(u64, u64)> {
    let mut parts = word.rsplitn(3, |b| *b == b':');
    let inode = number(parts.next()?, 10)?;
    let (minor, major) = (parts.next()?, parts.next()?);
    Some((device(major, minor).unwrap_or(0), inode))
}

/// The file that a line of `maps` is about.
fn mapping_in(line: &[u8]) -> Option<(u64, u64)> {
    let mut words = line.split(|b| *b == b' ').skip(3);
    let place = words.next()?;
    let inode = number(words.next()?, 10).filter(|inode| *inode != 0)?;
    // Memory that processes share looks like a file, and never had a name.
    let name = words.find(|word| !word.is_empty()).unwrap_or_default();
    if line.ends_with(b" (deleted)") && (name.starts_with(b"/memfd:") || name.starts_with(b"/SYSV")) {
        return None;
    }
    let mut parts = place.splitn(2, |b| *b == b':');
    let device = parts.next().zip(parts.next()).and_then(|(major, minor)| device(major, minor));
    Some((device.unwrap_or(0), inode))
}

/// The number that [`device_of`] makes of the same two.
fn device(major: &[u8], minor: &[u8]) -> Option<u64> {
    let half = |part| number(part, 16).filter(|n| u32::try_from(*n).is_ok());
    Some(half(major)? << 32 | half(minor)?)
}

fn number(digits: &[u8], base: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()
}

/// Our number as this `/proc` counts: a container may have been given the one of its host.
fn own_pid() -> io::Result<u32> {
    let link = std::fs::read_link("/proc/self")?;
    link.to_str().and_then(|pid| pid.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A file of `/proc`, and in how many pieces it came. The standard library begins with a piece of 32
/// bytes, and every border between two is a place where a line can get lost.
fn read_pieces(path: &str) -> io::Result<(Vec<u8>, usize)> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; LARGEST_PIECE];
    let (mut text, mut pieces) = (Vec::new(), 0);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((text, pieces)),
            Ok(count) => {
                text.extend_from_slice(&piece[..count]);
                pieces += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn open_listing(folder: &str) -> Result<OwnedFd, FsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty()).map_err(|error| failed("list", folder, error))
}

/// The names in a folder that are numbers.
fn numbers_in(folder: &str) -> Result<Vec<u32>, FsError> {
    let mut numbers = Vec::new();
    for entry in Dir::new(open_listing(folder)?).map_err(|error| failed("list", folder, error))? {
        let entry = entry.map_err(|error| failed("list", folder, error))?;
        let number = number(entry.file_name().to_bytes(), 10);
        numbers.extend(number.and_then(|number| u32::try_from(number).ok()));
    }
    Ok(numbers)
}

/// Whether a process that may not be looked into has nothing to see: it has ended and is only waited
/// for, or is a thread of the kernel. Its `stat` is open to everybody.
fn holds_nothing(process: &str) -> bool {
    match std::fs::read(format!("{process}/stat")) {
        Ok(stat) => says_it_holds_nothing(&stat).unwrap_or(false),
        Err(error) => is_gone(&error),
    }
}

fn says_it_holds_nothing(stat: &[u8]) -> Option<bool> {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    // The name before may contain anything, brackets and spaces too.
    let after_name = stat.iter().rposition(|b| *b == b')')? + 1;
    let words: Vec<&[u8]> = stat[after_name..].split(|b| *b == b' ').skip(1).collect();
    let ended = matches!(*words.first()?, b"Z" | b"X") && matches!(*words.get(17)?, b"0" | b"1");
    Some(ended || number(words.get(6)?, 10)? & KERNEL_THREAD != 0)
}

fn failed(operation: &'static str, path: &str, source: impl Into<io::Error>) -> FsError {
    FsError::new(operation, b"", path.as_bytes(), source)
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The process, the thread or the descriptor is no more; or the file is one that no walk can meet,
/// because its filesystem has died.
fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::SRCH, Errno::STALE, Errno::NOTCONN];
    error.raw_os_error().is_some_and(|code| gone.iter().any(|errno| errno.raw_os_error() == code))
}

fn unless_gone<T: Default>(answer: Result<T, FsError>) -> Result<T, FsError> {
    answer.or_else(|error| if is_gone(&error.source) { Ok(T::default()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::MetadataExt as _,
        process::{Child, Command, Stdio},
        thread::sleep,
        time::Duration,
    };

    const DISK: u64 = 0xfd << 32 | 1;
    const TABLE: &[u8] = b"1: POSIX  ADVISORY  WRITE 812 fd:01:1234 0 EOF\n\
        1: -> POSIX  ADVISORY  WRITE 813 fd:01:4321 0 EOF\n\
        2: FLOCK  ADVISORY  READ 99 00:1b:42 0 EOF\n\
        3: OFDLCK ADVISORY  WRITE -1 fd:01:77 0 9\n\
        4: LEASE  ACTIVE    READ 5 fd:01:78 0 EOF\n\
        5: POSIX  ADVISORY  READ 0 <none>:0 0 EOF\n\
        6: FLOCK  ADVISORY  WRITE 7 fd:01:79 0 EOF\n\
        7: SOMETHING NEW 6 zz:01:80 0 EOF\n\
        \xff\xfe garbage : :: :::\n";

    fn table() -> Locked {
        let mut locked = Locked::default();
        locked.read(TABLE, 7);
        locked
    }

    fn by_process(pid: u32) -> Holder {
        Holder { pid: Some(pid) }
    }

    #[test]
    fn the_table_says_who_holds_what() {
        let locked = table();
        assert_eq!(locked.by(DISK, 1234), Some(by_process(812)));
        assert_eq!(locked.by(DISK, 77), Some(Holder { pid: None }));
        assert_eq!(locked.by(DISK, 78), Some(by_process(5)));
        assert_eq!(locked.by(DISK + 1, 1234), None, "the same number elsewhere");
        assert_eq!(locked.by(DISK, 4321), None, "only waited for");
        assert_eq!(locked.by(DISK, 79), None, "our own");
        assert_eq!(locked.by(DISK, 0), None, "no file");
        assert!(!locked.is_empty() && Locked::default().is_empty());
    }

    #[test]
    fn where_a_device_is_anonymous_or_unreadable_the_inode_decides() {
        let locked = table();
        assert_eq!(locked.by(0x2a, 42), Some(by_process(99)));
        assert_eq!(locked.by(DISK, 42), Some(by_process(99)));
        assert_eq!(locked.by(0x2a, 1234), Some(by_process(812)));
        assert_eq!(locked.by(DISK, 80), Some(by_process(6)));
    }

    #[test]
    fn what_lies_in_memory_is_told_apart() {
        let mounts =
            b"24 29 0:27 / /run rw,nosuid shared:5 - tmpfs tmpfs rw\n25 29 0:42 / /o rw - overlay o rw\n";
        let plain: Vec<u64> = mounts.split(|b| *b == b'\n').filter_map(plain_device_in).collect();
        assert_eq!(plain, [0x1b]);
        let mut locked = table();
        locked.table.plain = [0x1b, 0x1c].into();
        assert_eq!(locked.by(0x1b, 42), Some(by_process(99)));
        assert_eq!((locked.by(0x1c, 42), locked.by(DISK, 42)), (None, None), "another in memory, and a disk");
        assert_eq!(locked.by(0x2a, 42), Some(by_process(99)), "on an overlay who knows");
    }

    #[test]
    fn one_inode_number_on_two_disks_is_two_files() {
        let mut locked = Locked::default();
        locked.read(b"1: FLOCK ADVISORY WRITE 8 fd:01:5 0 EOF\n2: FLOCK ADVISORY WRITE 9 fd:02:5 0 EOF", 1);
        assert_eq!((locked.by(DISK, 5), locked.by(DISK + 1, 5)), (Some(by_process(8)), Some(by_process(9))));
    }

    #[test]
    fn mappings_without_a_file_are_none() {
        let file = b"7f00-7f01 r-xp 00000000 fd:01 1234                       /usr/lib/x y.so";
        assert_eq!(mapping_in(file), Some((DISK, 1234)));
        assert_eq!(mapping_in(b"7f00-7f01 rw-p 00000000 00:00 0    [heap]"), None);
        assert_eq!(mapping_in(b""), None);
    }

    #[test]
    fn only_the_dead_and_the_kernels_threads_hold_nothing() {
        let stat = |state: &str, flags: u32, threads: u32| {
            let line = format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 {threads} 0 99 0 0");
            says_it_holds_nothing(line.as_bytes())
        };
        assert_eq!(stat("S", 0x0040_0000, 1), Some(false));
        assert_eq!(stat("I", 0x0420_8060, 1), Some(true));
        assert_eq!(stat("Z", 0x0040_0000, 1), Some(true));
        assert_eq!(stat("Z", 0x0040_0000, 3), Some(false), "its other threads go on");
        assert_eq!(says_it_holds_nothing(b"7 (a"), None);
    }

    /// A file that is gone when the test ends.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("maint-held-{name}-{}", std::process::id()));
            std::fs::write(&path, "x").unwrap();
            Self(path)
        }

        fn open(&self) -> File {
            File::open(&self.0).unwrap()
        }

        fn identity(&self) -> (u64, u64) {
            let file = self.open();
            let seen = see(file.as_fd(), c"", AtFlags::EMPTY_PATH).unwrap();
            assert_eq!(seen.stx_ino, file.metadata().unwrap().ino());
            (device_of(&seen), seen.stx_ino)
        }
    }

    impl Drop for Scratch {
        #[expect(clippy::disallowed_methods, reason = "a file of this test, which the walk knows nothing of")]
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn soon(holds: impl Fn() -> bool) -> bool {
        (0..500).any(|_| {
            holds() || {
                sleep(Duration::from_millis(10));
                false
            }
        })
    }

    #[test]
    fn the_lock_of_another_process_is_seen_until_it_ends() {
        let file = Scratch::new("locked");
        let (device, inode) = file.identity();
        let child =
            Command::new("flock").arg("--no-fork").arg(&file.0).args(["sleep", "60"]).spawn().unwrap();
        let holder = Some(by_process(child.id()));
        let seen = soon(|| Locked::now().unwrap().by(device, inode) == holder);
        end(child);
        assert!(seen, "by its number");
        assert_eq!(Locked::now().unwrap().by(device, inode), None);
    }

    #[test]
    fn our_own_locks_and_files_are_not_seen() {
        let file = Scratch::new("own");
        let (device, inode) = file.identity();
        let held = file.open();
        held.lock().unwrap();
        assert_eq!(Locked::now().unwrap().by(device, inode), None);
        let mut open = HeldOpen::default();
        open.look_into(std::process::id()).unwrap();
        assert!(open.by(device, inode).is_some(), "it is open");
    }

    #[test]
    fn what_another_process_has_open_is_seen_until_it_ends() {
        let file = Scratch::new("open");
        let (device, inode) = file.identity();
        let child = Command::new("sleep").arg("60").stdin(Stdio::from(file.open())).spawn().unwrap();
        let pid = child.id();
        let look = || {
            let mut open = HeldOpen::default();
            open.look_into(pid).unwrap();
            open.by(device, inode)
        };
        let seen = soon(|| look() == Some(by_process(pid)));
        end(child);
        assert!(seen);
        assert_eq!(look(), None);
    }

    #[test]
    fn what_another_process_has_mapped_is_seen() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let program = format!("/proc/{pid}/exe");
        // The kernel lets the parent go on before it has mapped the program.
        let seen = soon(|| {
            let mut open = HeldOpen::default();
            open.look_into(pid).unwrap();
            open.0.by_inode.contains_key(&std::fs::metadata(&program).unwrap().ino())
        });
        end(child);
        assert!(seen);
    }

    /// Who runs it may look into everything, or hears that he may not: nothing between.
    #[test]
    fn a_look_is_whole_or_refused() {
        let file = Scratch::new("whole");
        let (device, inode) = file.identity();
        let held = file.open();
        let child = Command::new("sleep").arg("60").stdin(Stdio::from(file.open())).spawn().unwrap();
        let looked = HeldOpen::now();
        end(child);
        match looked {
            // Another test may be about to start a program, and hold it as well until then.
            Ok(open) => assert!(open.by(device, inode).is_some()),
            Err(error) => assert!(matches!(error, HeldOpenError::NotAllowed { .. }), "{error}"),
        }
        drop(held);
    }
}
