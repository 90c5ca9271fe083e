//! Trees to work on.

use nix::sys::{stat, time::TimeSpec};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// So many days in seconds.
pub const fn days(n: i64) -> i64 {
    n * 86_400
}

/// So many hours in seconds.
pub const fn hours(n: i64) -> i64 {
    n * 3600
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()).unwrap()
}

/// A folder that is filled file by file.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// A tree below an existing folder.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a name is.
    pub fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.root.join(OsStr::from_bytes(name.as_ref()))
    }

    /// A file, with its folders, whose content is so many seconds old.
    #[must_use]
    pub fn file(self, name: impl AsRef<[u8]>, age: i64) -> Self {
        self.sized(name, age, 10)
    }

    /// A file of a size.
    #[must_use]
    pub fn sized(self, name: impl AsRef<[u8]>, age: i64, size: usize) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().write_all(&vec![b'x'; size]).unwrap();
        set_age(&path, age);
        self
    }

    /// A section of prune-images for this tree.
    pub fn section(&self, name: &str, keys: &str) -> String {
        format!("[files.{name}]\npath = {:?}\n{keys}\n", self.root)
    }

    /// The names of all files below, in order, without what is private to the tools.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = crate::files_older_than(&self.root, &[], i64::MIN)
            .into_iter()
            .map(|path| path.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// Whether a name is there, whatever it is.
    pub fn has(&self, name: impl AsRef<[u8]>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }
}

/// Makes the content of a file so many seconds old; links are not followed.
pub fn set_age(path: &Path, age: i64) {
    let then = TimeSpec::new(now() - age, 0);
    stat::utimensat(nix::fcntl::AT_FDCWD, path, &then, &then, stat::UtimensatFlags::NoFollowSymlink).unwrap();
}

/// How old the content is.
pub fn age_of(path: &Path) -> i64 {
    use std::os::unix::fs::MetadataExt as _;
    now() - path.symlink_metadata().unwrap().mtime()
}

/// What is left of claims below a root, in all hands.
pub fn claimed(root: &Path) -> usize {
    let hands = fs::read_dir(root.join(".maint")).into_iter().flatten();
    let names = hands.flat_map(|hand| fs::read_dir(hand.unwrap().path()).unwrap());
    names.filter(|name| name.as_ref().unwrap().file_name() != "intent").count()
}
