//! How full a filesystem is, by the one denominator that `df` prints.

use super::{Mount, Root};
use rustix::fs::fstatfs;
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// Bytes and inodes of a filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that anybody may still use; what is reserved for root is not among them.
    pub available: u64,
    /// Inodes, where their number is fixed: elsewhere they are made of free space.
    pub inodes: Option<Inodes>,
    /// Bytes that must come free before anything is available: root has filled what is reserved for it.
    pub overdrawn: u64,
    /// Free bytes, those that are reserved among them.
    pub free: u64,
}

/// The inodes of a filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inodes {
    /// In use.
    pub used: u64,
    /// Still free.
    pub available: u64,
}

/// xfs, btrfs, bcachefs and ZFS make inodes when they need them: what they tell of their number changes
/// with the free space.
const MADE_ON_DEMAND: [u64; 4] = [0x5846_5342, 0x9123_683e, 0xca45_1a4e, 0x2fc1_2fc1];

/// Longer than this nobody waits for what was removed to come free.
const MOST_SETTLING: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// After so many looks without a change nothing more comes.
const CALM: u32 = 3;

impl Usage {
    /// The filesystem that holds `root`.
    pub fn of(root: &Root) -> io::Result<Self> {
        Self::seen(root.top().handle())
    }

    /// A mounted filesystem.
    pub fn of_mount(mount: &Mount) -> io::Result<Self> {
        let usage = Self::seen(File::open(&mount.point)?.as_fd())?;
        if usage.available > 0 {
            return Ok(usage);
        }
        let reserve = mount.reserve().unwrap_or(0);
        Ok(Self { overdrawn: reserve.saturating_sub(usage.free), ..usage })
    }

    fn seen(handle: BorrowedFd<'_>) -> io::Result<Self> {
        let fs = nix::sys::statvfs::fstatvfs(handle)?;
        let unit: u64 = fs.fragment_size();
        let (blocks, free, available): (u64, u64, u64) =
            (fs.blocks(), fs.blocks_free(), fs.blocks_available());
        let (files, files_free): (u64, u64) = (fs.files(), fs.files_available());
        let kind = fstatfs(handle)?.f_type;
        let fixed = files > 0 && !u64::try_from(kind).is_ok_and(|kind| MADE_ON_DEMAND.contains(&kind));
        Ok(Self {
            used: blocks.saturating_sub(free).saturating_mul(unit),
            available: available.saturating_mul(unit),
            free: free.saturating_mul(unit),
            overdrawn: 0,
            inodes: fixed.then(|| Inodes { used: files.saturating_sub(files_free), available: files_free }),
        })
    }

    /// The filesystem that holds `root` once what was removed has come free, as far as it does: btrfs and
    /// xfs tell late. `enough` ends the waiting.
    pub fn settled(root: &Root, enough: impl Fn(&Self) -> bool) -> io::Result<Self> {
        let now = Self::of(root)?;
        if enough(&now) {
            return Ok(now);
        }
        let top = rustix::fs::openat(
            root.top().handle(),
            c".",
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        Self::settling(top.as_fd(), now, enough)
    }

    /// A mounted filesystem once what was removed has come free. One with a fixed number of inodes tells at
    /// once.
    pub fn settled_on(mount: &Mount) -> io::Result<Self> {
        let top = File::open(&mount.point)?;
        let now = Self::seen(top.as_fd())?;
        if now.inodes.is_some() { Ok(now) } else { Self::settling(top.as_fd(), now, |_| false) }
    }

    fn settling(top: BorrowedFd<'_>, mut now: Self, enough: impl Fn(&Self) -> bool) -> io::Result<Self> {
        // Where this is impossible the looks below must do. What btrfs has not let go of by the first, because
        // it is still on its way to the disk, comes free with a later one.
        let write_back = || {
            let _ = rustix::fs::syncfs(top);
        };
        write_back();
        let begun = Instant::now();
        let mut calm = 0;
        while calm < CALM && begun.elapsed() < MOST_SETTLING {
            if calm > 0 {
                write_back();
            }
            let look = Self::seen(top)?;
            if enough(&look) {
                return Ok(look);
            }
            calm = if look.used < now.used { 0 } else { calm + 1 };
            now = look;
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Ok(now)
    }

    /// Used and available bytes: what `df` takes for the whole. It is that of a filesystem on which root's
    /// reserve is untouched.
    pub fn whole(self) -> u64 {
        self.used.saturating_add(self.available).saturating_sub(self.overdrawn)
    }

    /// Used space in percent of what is used and available, to one decimal; 0 for a filesystem without
    /// blocks of its own.
    pub fn percent(self) -> f64 {
        percent(self.used, self.available)
    }

    /// The same filesystem with so many bytes less in use.
    #[must_use]
    pub fn without(self, bytes: u64) -> Self {
        let bytes = bytes.min(self.used);
        let paid = bytes.min(self.overdrawn);
        let available = self.available.saturating_add(bytes - paid);
        let free = self.free.saturating_add(bytes);
        Self { used: self.used - bytes, available, overdrawn: self.overdrawn - paid, free, ..self }
    }

    /// The same filesystem with so many inodes less in use.
    #[must_use]
    pub fn without_inodes(self, files: u64) -> Self {
        let inodes = self.inodes.map(|Inodes { used, available }| {
            let files = files.min(used);
            Inodes { used: used - files, available: available.saturating_add(files) }
        });
        Self { inodes, ..self }
    }
}

impl Inodes {
    /// Used ones in percent, to one decimal.
    pub fn percent(self) -> f64 {
        percent(self.used, self.available)
    }

    /// All there are.
    pub fn whole(self) -> u64 {
        self.used.saturating_add(self.available)
    }
}

fn percent(used: u64, available: u64) -> f64 {
    let whole = u128::from(used) + u128::from(available);
    let tenths = (u128::from(used) * 1000).checked_div(whole).unwrap_or(0);
    f64::from(u32::try_from(tenths).unwrap_or(1000)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(used: u64, available: u64) -> Usage {
        Usage { used, available, ..Usage::default() }
    }

    #[test]
    fn reserved_blocks_are_no_denominator() {
        assert!((usage(500, 500).percent() - 50.0).abs() < 1e-9);
        assert!((usage(0, 0).percent()).abs() < 1e-9);
        assert!((usage(900, 100).without(400).percent() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn roots_reserve_is_filled_first() {
        let overdrawn = Usage { overdrawn: 30, ..usage(1000, 0) };
        assert_eq!(overdrawn.whole(), 970);
        let after = overdrawn.without(50);
        assert_eq!((after.used, after.available, after.overdrawn, after.whole()), (950, 20, 0, 970));
    }

    #[test]
    fn proc_has_neither_blocks_nor_inodes() {
        let proc = Mount::at(std::path::Path::new("/proc")).unwrap().unwrap();
        assert_eq!(Usage::of_mount(&proc).unwrap(), usage(0, 0));
    }
}
