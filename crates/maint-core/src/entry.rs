//! One entry of a folder as a look saw it, and what a policy judges of it. A look is a value: it says
//! nothing about the next moment.

use crate::{retention::Kept, time::Timestamp};

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
    /// Device number of its filesystem.
    pub device: u64,
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
    /// When it was last read, as far as the filesystem keeps count.
    pub accessed: Timestamp,
    /// When it was made, where the filesystem remembers.
    pub born: Option<Timestamp>,
}

impl Look {
    /// Whether a second look saw the same, untouched file. The change time is left out: our own rename
    /// moves it.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.kind, self.inode, self.size, self.modified)
            == (other.kind, other.inode, other.size, other.modified)
    }

    /// A file of one block with one name, all of whose times are `at`.
    #[cfg(test)]
    pub(crate) const fn of_file(at: Timestamp) -> Self {
        Self {
            kind: Kind::File,
            mount_point: false,
            device: 1,
            inode: 1,
            links: 1,
            size: 10,
            allocated: 4096,
            modified: at,
            changed: at,
            accessed: at,
            born: None,
        }
    }

    /// The newest of the times that are about the file itself and not about who read it.
    pub fn newest(&self) -> Timestamp {
        self.modified.max(self.changed).max(self.born.unwrap_or(self.modified))
    }
}

/// One file on its way through a policy.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Path of its folder below the root, empty for the root itself.
    pub folder: &'a [u8],
    /// Its name in that folder.
    pub name: &'a [u8],
    /// What was seen.
    pub look: Look,
}

/// What a policy judges: a file, or the bundle of files that live and die together.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Path of its folder below the root.
    pub folder: &'a [u8],
    /// The name of its leader.
    pub name: &'a [u8],
    /// The time that counts for its age, of its newest member; or why there is none.
    pub time: Result<Timestamp, Kept>,
    /// The last change of content among its members.
    pub modified: Timestamp,
    /// The last change of anything among its members.
    pub changed: Timestamp,
    /// What keeps it whatever the policy says.
    pub obstacle: Option<Kept>,
    /// How many files it is.
    pub files: u64,
    /// Bytes of their blocks.
    pub allocated: u64,
}

impl<'a> Subject<'a> {
    /// A file alone, with the time that counts for it.
    pub fn of(entry: &Entry<'a>, time: Result<Timestamp, Kept>) -> Self {
        let Entry { folder, name, look } = entry;
        let obstacle = match look.kind {
            Kind::Folder | Kind::Other => Some(Kept::NotAFile),
            Kind::File => look.mount_point.then_some(Kept::MountPoint),
        };
        Self {
            folder,
            name,
            time,
            modified: look.modified,
            changed: look.changed,
            obstacle,
            files: 1,
            allocated: look.allocated,
        }
    }

    /// A file of which only the name is known, and the time that it tells.
    pub fn named(folder: &'a [u8], name: &'a [u8], at: Timestamp) -> Self {
        Self { folder, name, time: Ok(at), modified: at, changed: at, obstacle: None, files: 1, allocated: 0 }
    }

    /// With one more member: as young as the younger, and kept by whatever keeps one of the two.
    pub fn join(&mut self, member: &Self) {
        self.time = match (self.time, member.time) {
            (Ok(mine), Ok(its)) => Ok(mine.max(its)),
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
        self.modified = self.modified.max(member.modified);
        self.changed = self.changed.max(member.changed);
        self.obstacle = self.obstacle.or(member.obstacle);
        self.files += member.files;
        self.allocated = self.allocated.saturating_add(member.allocated);
    }
}
