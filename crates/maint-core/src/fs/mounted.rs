//! Which volume a folder lies on, told by handle and by mount number: paths of mounts can be shadowed,
//! and names of devices can be given anew.

use super::{FsError, Root};
use crate::text::{printable, shown_path};
use rustix::{
    fs::{AtFlags, Mode, OFlags, Statx, StatxAttributes, StatxFlags},
    io::Errno,
};
use std::{
    ffi::OsString,
    fmt,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::{FileExt as _, FileTypeExt as _, MetadataExt as _},
        },
    },
    path::{Path, PathBuf},
};

/// A filesystem where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The kernel's number for this mount, as long as it lasts.
    pub id: u64,
    /// Where it is mounted, as this process sees it.
    pub point: PathBuf,
    /// The type of the filesystem.
    pub kind: String,
    /// What was mounted: a device, a share, or just a word.
    pub source: OsString,
    /// Nothing can be written, by the mount or by the filesystem.
    pub read_only: bool,
    device: (u32, u32),
}

/// The name that a filesystem was given when it was made; upper and lower case are the same.
#[derive(Debug, Clone)]
pub struct Uuid(String);

/// Why the UUID of a mount cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum UuidError {
    /// What is mounted has no device to keep one.
    #[error(
        "cannot tell the UUID of {point}: {source_name} ({kind}) leads to no block device that is mounted there"
    )]
    NoBlockDevice {
        /// Where it is mounted.
        point: String,
        /// What is mounted.
        source_name: String,
        /// The type of the filesystem.
        kind: String,
    },
    /// The device cannot be read, and no link stands in for it.
    #[error("cannot tell the UUID of {point}: {BY_UUID} does not name its device")]
    Unreadable {
        /// Where it is mounted.
        point: String,
        /// Why the device itself does not say.
        #[source]
        source: FsError,
    },
    /// The device says nothing that is understood, and no link stands in for it.
    #[error(
        "cannot tell the UUID of {point}: {device} shows none that is known for {kind}, nor does {BY_UUID}"
    )]
    Unknown {
        /// Where it is mounted.
        point: String,
        /// The device.
        device: String,
        /// The type of the filesystem.
        kind: String,
    },
}

/// Links that udev keeps, one for each filesystem it has seen.
const BY_UUID: &str = "/dev/disk/by-uuid";

impl Mount {
    /// The mount that holds an open root.
    pub fn of(root: &Root) -> io::Result<Self> {
        Self::holding(root.top().handle())
    }

    /// The number of the device that the kernel keeps it under: major and minor.
    pub fn device(&self) -> (u32, u32) {
        self.device
    }

    /// Whether both are mounts of one filesystem.
    pub fn is_of_same_filesystem(&self, other: &Self) -> bool {
        self.device == other.device
    }

    /// The mount that holds whatever is at a path.
    pub fn holding_path(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Self::holding(rustix::fs::open(path, flags, Mode::empty())?.as_fd())
    }

    /// The mount that holds, or will hold once it is made, what a path names.
    pub fn to_hold(path: &Path) -> io::Result<Self> {
        let there = path.ancestors().find(|above| above.exists());
        Self::holding_path(there.ok_or(io::ErrorKind::NotFound)?)
    }

    /// The mount whose top is exactly this folder; none if nothing is mounted there, or nothing is there.
    /// A link is not followed.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        // As a folder, so that an automounter is asked for what it promises.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            opened => opened?,
        };
        let seen = see_mount(top.as_fd())?;
        if !seen.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
            return Err(too_old());
        }
        if seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            Self::holding(top.as_fd()).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The UUID of the filesystem: from its device, or if that cannot be read, from what udev read there.
    pub fn uuid(&self) -> Result<Uuid, UuidError> {
        let (path, number) = self.block_device().ok_or_else(|| UuidError::NoBlockDevice {
            point: shown_path(&self.point),
            source_name: printable(self.source.as_bytes()),
            kind: self.kind.clone(),
        })?;
        let read = File::open(&path).and_then(|device| {
            uuid_stored(&self.kind, |at, bytes: &mut [u8]| device.read_exact_at(bytes, at))
        });
        if let Ok(Some(uuid)) = read {
            return Ok(uuid);
        }
        // A link may be older than the filesystem: it is only asked where the device does not answer.
        uuid_linked(number).ok_or_else(|| self.why_no_uuid(&path, read.err()))
    }

    /// Whether an inode number stays with its file from day to day.
    pub fn has_lasting_inodes(&self) -> bool {
        LASTING_INODES.contains(&self.kind.as_str())
    }

    /// What tells this filesystem from all others, for a plan that is carried out later: none where an inode
    /// number may stand for another file by then.
    pub fn lasting_identity(&self) -> Result<String, String> {
        if !self.has_lasting_inodes() {
            let (point, kind) = (shown_path(&self.point), printable(self.kind.as_bytes()));
            return Err(format!("{point} is {kind}, where an inode number may mean another file tomorrow"));
        }
        let uuid = self.uuid().ok().map(|uuid| uuid.to_string());
        // Subvolumes of one btrfs count their inodes apart; what has no device has no UUID that lasts.
        let number = if uuid.is_none() || self.kind == "btrfs" { self.number() } else { None };
        match (uuid, number) {
            (None, None) => Err(format!("nothing tells {} from others", shown_path(&self.point))),
            (uuid, number) => Ok([uuid, number].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        }
    }

    /// The number that the filesystem gives itself; zero is none.
    fn number(&self) -> Option<String> {
        let top = File::open(&self.point).ok()?;
        let number = nix::sys::statvfs::fstatvfs(&top).ok()?.filesystem_id();
        (number != 0).then(|| format!("{number:016x}"))
    }

    /// Bytes that an ext filesystem reserves for root and for itself; none where it cannot be told.
    pub fn reserve(&self) -> Option<u64> {
        if !EXT.contains(&self.kind.as_str()) {
            return None;
        }
        let (path, _) = self.block_device()?;
        let mut superblock = [0; 1024];
        File::open(path).and_then(|device| device.read_exact_at(&mut superblock, 1024)).ok()?;
        let number = |at: usize| {
            superblock.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
        };
        let block = 1024_u64.checked_shl(number(0x18)?)?;
        let (low, high) = (number(0x8)?, number(0x154)?);
        // Without 64-bit block numbers the upper half means something else.
        let high = if number(0x60)? & 0x80 == 0 { 0 } else { high };
        let for_root = (u64::from(high) << 32) | u64::from(low);
        // What ext4 holds back for its own extents: a fiftieth, at most 4096 blocks.
        let has_extents = number(0x60)? & 0x40 != 0;
        let for_itself = if has_extents { u64::from(number(0x4)? / 50).min(4096) } else { 0 };
        for_root.checked_add(for_itself)?.checked_mul(block)
    }

    /// Bytes that have been written to its device since the system started; none where no device tells it.
    pub fn bytes_written(&self) -> Option<u64> {
        const SECTOR: u64 = 512;
        let (_, number) = self.block_device()?;
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let counts = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
        counts.split_whitespace().nth(6)?.parse::<u64>().ok()?.checked_mul(SECTOR)
    }

    fn why_no_uuid(&self, device: &Path, error: Option<io::Error>) -> UuidError {
        let point = shown_path(&self.point);
        match error {
            Some(source) => UuidError::Unreadable {
                point,
                source: FsError::new("read the superblock of", b"", device.as_os_str().as_bytes(), source),
            },
            None => UuidError::Unknown { point, device: shown_path(device), kind: self.kind.clone() },
        }
    }

    /// The handle is held all the while, so that its mount stays and no other gets its number.
    fn holding(handle: BorrowedFd<'_>) -> io::Result<Self> {
        let seen = see_mount(handle)?;
        if seen.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return Err(too_old());
        }
        let table = std::fs::read("/proc/self/mountinfo")?;
        mounts_in(&table).find(|mount| mount.id == seen.stx_mnt_id).ok_or_else(|| {
            let why = "/proc/self/mountinfo does not list its mount: it was taken away, or lies outside of this process's root";
            io::Error::new(io::ErrorKind::NotFound, why)
        })
    }

    /// The device that is mounted, and its number. What the table calls it was true when it was mounted;
    /// since then the name may have gone to another disk, so the number must agree.
    fn block_device(&self) -> Option<(PathBuf, u64)> {
        let (major, minor) = self.device;
        let number = rustix::fs::makedev(major, minor);
        // Only btrfs lies on disks under a number of its own, and it keeps the name true. Elsewhere a
        // number without a device makes the source a mere word.
        let by_name_alone = major == 0 && self.kind == "btrfs";
        if major == 0 && !by_name_alone {
            return None;
        }
        let names = [PathBuf::from(&self.source), format!("/dev/block/{major}:{minor}").into()];
        names.into_iter().find_map(|name| {
            let found = number_of(&name)?;
            (by_name_alone || found == number).then_some((name, found))
        })
    }
}

impl Uuid {
    /// A UUID as somebody wrote it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl PartialEq for Uuid {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Uuid {}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn see_mount(handle: BorrowedFd<'_>) -> io::Result<Statx> {
    Ok(rustix::fs::statx(handle, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?)
}

fn too_old() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "the kernel does not number its mounts: it must be 5.8 or newer",
    )
}

/// The number of a block device at an absolute path.
fn number_of(path: &Path) -> Option<u64> {
    let found = path.is_absolute().then(|| std::fs::metadata(path).ok())??;
    found.file_type().is_block_device().then(|| found.rdev())
}

fn mounts_in(table: &[u8]) -> impl Iterator<Item = Mount> {
    table.split(|b| *b == b'\n').filter_map(mount_in)
}

fn mount_in(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let id = number(fields.next()?)?;
    let mut device = fields.nth(1)?.split(|b| *b == b':').map(number);
    let device = (device.next()??, device.next()??);
    let point = plain(fields.nth(1)?);
    let options = fields.next()?;
    // None, one or several optional fields end at a dash.
    fields.find(|field| *field == b"-")?;
    let kind = String::from_utf8_lossy(&plain(fields.next()?)).into_owned();
    let source = plain(fields.next()?);
    let read_only = forbids_writing(options) || fields.next().is_some_and(forbids_writing);
    Some(Mount {
        id,
        point: OsString::from_vec(point).into(),
        kind,
        source: OsString::from_vec(source),
        read_only,
        device,
    })
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `emergency_ro` is what ext4 says since Linux 6.15 when an error made it stop writing.
fn forbids_writing(options: &[u8]) -> bool {
    options.split(|b| *b == b',').any(|option| matches!(option, b"ro" | b"emergency_ro"))
}

/// A field without the kernel's escapes, a backslash and three octal digits each.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'\\' { after.get(..3).and_then(octal) } else { None };
        plain.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

/// Where filesystems of some types keep their UUID.
struct Superblock {
    kinds: &'static [&'static str],
    mark: (u64, &'static [u8]),
    id_at: u64,
    form: Form,
}

enum Form {
    /// Sixteen bytes.
    Uuid,
    /// Four bytes, the lowest first.
    Serial,
}

const SUPERBLOCKS: [Superblock; 7] = [
    Superblock { kinds: EXT, mark: (0x438, b"\x53\xef"), id_at: 0x468, form: Form::Uuid },
    Superblock { kinds: &["xfs"], mark: (0, b"XFSB"), id_at: 32, form: Form::Uuid },
    Superblock { kinds: &["btrfs"], mark: (0x1_0040, b"_BHRfS_M"), id_at: 0x1_0020, form: Form::Uuid },
    Superblock { kinds: &["f2fs"], mark: (0x400, b"\x10\x20\xf5\xf2"), id_at: 0x46c, form: Form::Uuid },
    Superblock { kinds: FAT, mark: (82, b"FAT32"), id_at: 67, form: Form::Serial },
    Superblock { kinds: FAT, mark: (54, b"FAT1"), id_at: 39, form: Form::Serial },
    Superblock { kinds: &["exfat", "fuseblk"], mark: (3, b"EXFAT   "), id_at: 100, form: Form::Serial },
];

/// Where an inode number stays with its file.
const LASTING_INODES: [&str; 9] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "bcachefs", "zfs"];

const EXT: &[&str] = &["ext2", "ext3", "ext4"];
const FAT: &[&str] = &["vfat", "msdos"];

/// The UUID in the superblock of a filesystem of this type. What an older filesystem of another type left
/// on the device is not looked at.
fn uuid_stored(kind: &str, read: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> io::Result<Option<Uuid>> {
    for superblock in SUPERBLOCKS.iter().filter(|superblock| superblock.kinds.contains(&kind)) {
        let (mark_at, mark) = superblock.mark;
        let mut found = vec![0; mark.len()];
        read(mark_at, &mut found)?;
        if found != mark {
            continue;
        }
        let mut id = [0; 16];
        read(superblock.id_at, &mut id[..superblock.form.length()])?;
        // All zeros is what a filesystem has that was never given one.
        return Ok((id != [0; 16]).then(|| superblock.form.shown(id)));
    }
    Ok(None)
}

impl Form {
    fn length(&self) -> usize {
        match self {
            Self::Uuid => 16,
            Self::Serial => 4,
        }
    }

    fn shown(&self, id: [u8; 16]) -> Uuid {
        let [a, b, c, d, ..] = id;
        Uuid(match self {
            Self::Uuid => {
                let hex = format!("{:032x}", u128::from_be_bytes(id));
                [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
            }
            Self::Serial => format!("{d:02X}{c:02X}-{b:02X}{a:02X}"),
        })
    }
}

/// The name of the link to the device with this number.
fn uuid_linked(device: u64) -> Option<Uuid> {
    let links = std::fs::read_dir(BY_UUID).ok()?;
    let mut names = links.flatten().filter(|link| number_of(&link.path()) == Some(device));
    names.next()?.file_name().to_str().map(Uuid::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &[u8] = b"27 1 254:0 / / rw,relatime shared:1 master:7 - ext4 /dev/vda rw,errors=remount-ro";

    fn is_read_only(line: &[u8]) -> bool {
        mount_in(line).unwrap().read_only
    }

    #[test]
    fn a_line_names_a_mount() {
        let mount = mount_in(ROOT).unwrap();
        assert_eq!((mount.id, mount.device, mount.read_only), (27, (254, 0), false));
        assert_eq!((mount.point, mount.kind.as_str()), (PathBuf::from("/"), "ext4"));
        assert_eq!(mount.source, "/dev/vda");
        assert_eq!(mount_in(b""), None);
        assert_eq!(mount_in(b"27 1 254:0 / / rw ext4 /dev/vda rw"), None);
    }

    #[test]
    fn names_are_freed_of_their_escapes() {
        let line = br"40 27 0:44 /a\040b /mnt/tape\0401\134\012x rw - nfs4 nas:/a\011b rw";
        let mount = mount_in(line).unwrap();
        assert_eq!((mount.point, mount.source), ("/mnt/tape 1\\\nx".into(), "nas:/a\tb".into()));
        assert_eq!(plain(br"\04"), br"\04");
        assert_eq!(plain(br"\999"), br"\999");
    }

    #[test]
    fn an_empty_source_shifts_nothing() {
        let mount = mount_in(b"40 27 0:44 / /mnt rw - tmpfs  ro,size=4k").unwrap();
        assert_eq!((mount.source, mount.read_only), (OsString::new(), true));
    }

    #[test]
    fn the_mount_and_its_filesystem_may_each_forbid_writing() {
        assert!(is_read_only(b"1 0 8:1 / /a ro,nosuid - ext4 /dev/sda1 rw"));
        assert!(is_read_only(b"1 0 8:1 / /a rw,nosuid - ext4 /dev/sda1 ro,discard"));
        assert!(is_read_only(b"1 0 8:1 / /a rw - ext4 /dev/sda1 rw,emergency_ro"));
        assert!(!is_read_only(ROOT));
    }

    #[test]
    fn of_two_mounts_on_one_point_the_number_decides() {
        let table = b"30 27 8:1 / /data rw - ext4 /dev/sda1 rw\n31 30 8:2 / /data rw - xfs /dev/sdb1 rw\n";
        let kinds: Vec<_> = mounts_in(table).map(|mount| (mount.id, mount.kind)).collect();
        assert_eq!(kinds, [(30, "ext4".to_owned()), (31, "xfs".to_owned())]);
    }

    #[test]
    fn what_is_mounted_here_is_found() {
        assert_eq!(Mount::at(Path::new("/proc")).unwrap().unwrap().kind, "proc");
        assert_eq!(Mount::at(Path::new("/proc/self/net")).unwrap(), None);
        assert_eq!(Mount::at(Path::new("/proc/self")).unwrap(), None, "a link");
        assert_eq!(Mount::at(Path::new("/proc/version")).unwrap(), None, "a file");
        assert_eq!(Mount::at(Path::new("/proc/none")).unwrap(), None, "nothing");
    }

    #[test]
    fn without_a_device_there_is_no_uuid() {
        let of_proc = Mount::at(Path::new("/proc")).unwrap().unwrap().uuid();
        assert!(matches!(of_proc, Err(UuidError::NoBlockDevice { .. })));
        // Whoever mounts a tmpfs may call it what he likes.
        let posing = mount_in(b"1 0 0:50 / /a rw - tmpfs /dev/loop0 rw").unwrap();
        assert!(posing.block_device().is_none());
    }

    #[test]
    fn superblocks_say_their_uuid() {
        let id = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
        for superblock in &SUPERBLOCKS {
            let mut disk = vec![0; 0x1_1000];
            let mut put = |at: u64, bytes: &[u8]| {
                let at = usize::try_from(at).unwrap();
                disk[at..at + bytes.len()].copy_from_slice(bytes);
            };
            put(superblock.mark.0, superblock.mark.1);
            let expected = match superblock.form {
                Form::Uuid => {
                    put(superblock.id_at, &id);
                    "01234567-89AB-CDEF-0123-456789ABCDEF"
                }
                Form::Serial => {
                    put(superblock.id_at, &id[..4]);
                    "6745-2301"
                }
            };
            let read = |at: u64, bytes: &mut [u8]| {
                let at = usize::try_from(at).unwrap();
                bytes.copy_from_slice(&disk[at..at + bytes.len()]);
                Ok(())
            };
            for kind in superblock.kinds {
                assert_eq!(uuid_stored(kind, read).unwrap(), Some(Uuid::new(expected)), "{kind}");
            }
            assert_eq!(uuid_stored("ntfs3", read).unwrap(), None);
        }
    }

    #[test]
    fn a_uuid_that_was_never_given_is_none() {
        let read = |at: u64, bytes: &mut [u8]| {
            if at == 0x438 {
                bytes.copy_from_slice(b"\x53\xef");
            }
            Ok(())
        };
        assert_eq!(uuid_stored("ext4", read).unwrap(), None);
    }
}
