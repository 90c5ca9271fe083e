//! An independent answer to what a run should do, and a picture of a tree to hold beside another.

use crate::tree::age_of;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// Every regular file below `root` older than `age` whose name ends in one of `ends`; plain recursion,
/// no link followed, nothing of what is private to the tools.
pub fn files_older_than(root: &Path, ends: &[&str], age: i64) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() && path.file_name().unwrap() != ".maint" {
            found.extend(files_older_than(&path, ends, age));
        } else if kind.is_file() {
            let name = path.file_name().unwrap().as_bytes();
            let wanted = ends.is_empty() || ends.iter().any(|end| name.ends_with(end.as_bytes()));
            if wanted && age_of(&path) > age {
                found.insert(path);
            }
        }
    }
    found
}

/// A tree as it is, to be held beside itself later.
#[derive(Debug)]
pub struct Picture {
    root: PathBuf,
    entries: BTreeMap<PathBuf, String>,
}

impl Picture {
    /// Takes it. The first reading moves access times once; from the second on nothing does.
    pub fn of(root: &Path) -> Self {
        snapshot(root);
        Self { root: root.to_owned(), entries: snapshot(root) }
    }

    /// Panics with the first differences, if there are any.
    pub fn assert_unchanged(&self) {
        let now = snapshot(&self.root);
        let names: BTreeSet<&PathBuf> = self.entries.keys().chain(now.keys()).collect();
        let differ = names.into_iter().filter(|name| self.entries.get(*name) != now.get(*name));
        let told: Vec<String> = differ
            .take(5)
            .map(|name| format!("{name:?}: {:?} is now {:?}", self.entries.get(name), now.get(name)))
            .collect();
        assert!(told.is_empty(), "changed:\n{}", told.join("\n"));
    }
}

/// Everything about everything below `root`: kind, mode, owner, inode, links, size, all three times, and
/// the content or the target of a link.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    // Looked at before it is read, because reading may move the access time of a folder.
    let seen = root.symlink_metadata().unwrap();
    let times = format!(
        "{}.{} {}.{} {}.{}",
        seen.mtime(),
        seen.mtime_nsec(),
        seen.ctime(),
        seen.ctime_nsec(),
        seen.atime(),
        seen.atime_nsec()
    );
    let mut about = format!(
        "{:o} {} {} {} {} {} {times}",
        seen.mode(),
        seen.uid(),
        seen.gid(),
        seen.ino(),
        seen.nlink(),
        seen.size()
    );
    if seen.is_symlink() {
        about += &format!(" -> {:?}", fs::read_link(root).unwrap());
    } else if seen.is_file() {
        about += &format!(" {:?}", sum(&fs::read(root).unwrap()));
    } else if seen.is_dir() {
        for entry in fs::read_dir(root).unwrap() {
            all.extend(snapshot(&entry.unwrap().path()));
        }
    }
    all.insert(root.to_owned(), about);
    all
}

/// FNV-1a: enough to see that a byte moved.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
