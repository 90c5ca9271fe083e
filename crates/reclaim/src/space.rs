//! What a command really freed: the filesystems it may free space on, before and after.

use maint_core::{
    emergency::Need,
    fs::{Mount, Usage},
    section::ReclaimSection,
    units::ByteSize,
};
use maint_run::{Run, volumes};
use std::path::Path;

/// The filesystems that are measured, as they were before.
pub(crate) struct Spaces(Vec<Space>);

struct Space {
    name: String,
    mount: Mount,
    before: Usage,
}

/// What became of one of them.
pub(crate) struct Change {
    /// Its volume, or where it is mounted.
    pub(crate) name: String,
    /// Its mount.
    pub(crate) mount: Mount,
    /// Before the command.
    pub(crate) before: Usage,
    /// After it.
    pub(crate) after: Usage,
}

impl Spaces {
    /// The volume of a section, or all volumes that are there and the root filesystem.
    pub(crate) fn of(run: &Run, section: &ReclaimSection) -> Result<Self, String> {
        let mut spaces = Self(Vec::new());
        if let Some(name) = &section.volume {
            // The configuration's check has seen that there is one.
            let volume = run.volume(name).ok_or_else(|| format!("there is no [volume.{name}]"))?;
            spaces.add(name.clone(), volumes::mounted(name, volume)?);
            return Ok(spaces);
        }
        for (name, volume) in run.volumes() {
            if let Ok(mount) = volumes::mounted(name, volume) {
                spaces.add(name.to_owned(), mount);
            }
        }
        if let Ok(mount) = Mount::holding_path(Path::new("/")) {
            spaces.add("/".to_owned(), mount);
        }
        Ok(spaces)
    }

    fn add(&mut self, name: String, mount: Mount) {
        let is_known = self.0.iter().any(|space| space.mount.is_of_same_filesystem(&mount));
        if let Ok(before) = Usage::of_mount(&mount)
            && !is_known
        {
            self.0.push(Space { name, mount, before });
        }
    }

    /// Whether one of them has run out of space meanwhile, and is worse off than before.
    pub(crate) fn out_of_room(&self) -> Option<String> {
        let least = Need::NO_ROOM;
        self.0.iter().find_map(|Space { name, mount, before }| {
            let now = Usage::of_mount(mount).ok()?;
            let more = now.used.saturating_sub(before.used);
            if now.available < least.bytes && more >= least.bytes {
                let more = ByteSize::from_bytes(more);
                return Some(format!("because {name} ran out of space: {more} more than before were in use"));
            }
            let (inodes, earlier) = (now.inodes?, before.inodes?);
            let more = inodes.used.saturating_sub(earlier.used);
            (inodes.available < least.inodes && more >= least.inodes)
                .then(|| format!("because {name} ran out of inodes: {more} more than before were in use"))
        })
    }

    /// What became of them, once all has come free.
    pub(crate) fn after(self) -> Vec<Change> {
        let looks = self.0.into_iter().filter_map(|Space { name, mount, before }| {
            let after = Usage::settled_on(&mount).ok()?;
            Some(Change { name, mount, before, after })
        });
        looks.collect()
    }
}

impl Change {
    /// Bytes that came free.
    pub(crate) fn freed(&self) -> u64 {
        self.before.used.saturating_sub(self.after.used)
    }

    /// Inodes that came free.
    pub(crate) fn inodes_freed(&self) -> u64 {
        let both = self.before.inodes.zip(self.after.inodes);
        both.map_or(0, |(before, after)| before.used.saturating_sub(after.used))
    }

    /// Bytes that are in use and were not before.
    pub(crate) fn lost(&self) -> u64 {
        self.after.used.saturating_sub(self.before.used)
    }
}
