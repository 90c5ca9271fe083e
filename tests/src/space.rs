//! How full a filesystem is, asked of the kernel and of nobody else, and how it is made full.

use std::{path::Path, process::Command};

/// What `statvfs` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that anybody may still use.
    pub available: u64,
    /// Inodes in use.
    pub inodes: u64,
    /// Inodes still free.
    pub inodes_available: u64,
}

impl Space {
    /// Of the filesystem that holds `path`.
    pub fn of(path: &Path) -> Self {
        let seen = nix::sys::statvfs::statvfs(path).unwrap();
        Self {
            used: (seen.blocks() - seen.blocks_free()) * seen.fragment_size(),
            available: seen.blocks_available() * seen.fragment_size(),
            inodes: seen.files() - seen.files_free(),
            inodes_available: seen.files_free(),
        }
    }

    /// Used and available bytes.
    pub fn whole(self) -> u64 {
        self.used + self.available
    }

    /// Used and free inodes.
    pub fn all_inodes(self) -> u64 {
        self.inodes + self.inodes_available
    }

    /// Whether no more than so many percent of the space are used, with so much more in it.
    pub fn is_below(self, percent: u64, more: u64) -> bool {
        (self.used + more) * 100 <= self.whole() * percent
    }

    /// The same of the inodes.
    pub fn has_inodes_below(self, percent: u64, more: u64) -> bool {
        (self.inodes + more) * 100 <= self.all_inodes() * percent
    }

    /// How full, in percent of what is short on such a disk.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn percent_of(self, kind: crate::Kind) -> f64 {
        match kind {
            crate::Kind::Ext4Inodes => self.inodes as f64 * 100.0 / self.all_inodes() as f64,
            _ => self.percent(),
        }
    }

    /// Used space in percent.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn percent(self) -> f64 {
        self.used as f64 * 100.0 / self.whole() as f64
    }
}

/// A command as another user, or as root.
pub(crate) fn as_user(user: u32) -> Vec<String> {
    let words = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
    std::iter::once("setpriv".to_owned()).chain(words).collect()
}

/// Fills the filesystem of a folder to its last block, as a user who stops where his space ends.
pub fn fill(folder: &Path, user: u32) {
    // What is promised and not yet written is part of it, and so is the metadata.
    let script = "
        for round in 1 2 3 4 5; do
            for size in 256k 16k 4k 1k; do
                dd if=/dev/zero bs=$size >>filler-$round-$size
            done
            sync -f .
        done 2>/dev/null
        n=0; while echo 0123456789 >filler-$n; do n=$((n + 1)); done 2>/dev/null
        sync -f .";
    shell(folder, user, script);
}

/// Leaves no inode.
pub(crate) fn fill_inodes(folder: &Path, user: u32) {
    shell(folder, user, "n=0; while : >empty-$n; do n=$((n + 1)); done 2>/dev/null");
}

fn shell(folder: &Path, user: u32, script: &str) {
    let words = as_user(user);
    let _ = Command::new(&words[0])
        .args(&words[1..])
        .args(["bash", "-c", script])
        .current_dir(folder)
        .status()
        .unwrap();
}
