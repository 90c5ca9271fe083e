//! One entry of a folder as a look saw it. A look is a value: it says nothing about the next moment.

use crate::time::Timestamp;

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file: the only kind that is ever removed.
    File,
    /// A folder.
    Folder,
    /// A link, FIFO, socket or device.
    Other,
}

/// What one look at a name found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub kind: Kind,
    /// Another filesystem, or a single file, is mounted on it.
    pub mount_point: bool,
    /// Inode number.
    pub inode: u64,
    /// Number of names the file has.
    pub links: u32,
    /// Length in bytes, as `ls` prints it.
    pub size: u64,
    /// Bytes of its blocks, as `du` counts them.
    pub allocated: u64,
    /// When its content last changed.
    pub modified: Timestamp,
    /// When anything about it last changed, its names included.
    pub changed: Timestamp,
}

impl Look {
    /// Whether a second look saw the same, untouched file. The change time is left out: our own rename
    /// moves it.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.kind, self.inode, self.size, self.modified)
            == (other.kind, other.inode, other.size, other.modified)
    }
}

/// An entry on its way through a policy: where it lies and what the look saw.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Path of its folder below the root, empty for the root itself.
    pub folder: &'a [u8],
    /// Its name in that folder.
    pub name: &'a [u8],
    /// What was seen.
    pub look: Look,
}
