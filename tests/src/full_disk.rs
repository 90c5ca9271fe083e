//! A small disk with five targets on it, the state of the tools beside them, and no room for anything.

use crate::{
    Mounted, Scratch, Space, Tool, Tree, days,
    space::{self, as_user},
};
use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

/// What a disk is made of, and what of it is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64 MiB, with blocks that only root may use.
    Ext4,
    /// The same, and of a thousand inodes none is left.
    Ext4Inodes,
    /// Frees late, and makes inodes when it needs them.
    Xfs,
    /// Copies on write.
    Btrfs,
    /// Memory.
    Tmpfs,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ext4, Self::Ext4Inodes, Self::Xfs, Self::Btrfs, Self::Tmpfs];

    /// A fresh one.
    pub fn mount(self, at: &Path) -> Mounted {
        match self {
            Self::Ext4 => Mounted::ext4(at, 64),
            Self::Ext4Inodes => Mounted::ext4_with(at, 64, &["-N", "1000"]),
            Self::Xfs => Mounted::of_kind("xfs", at, 300),
            Self::Btrfs => Mounted::of_kind("btrfs", at, 120),
            Self::Tmpfs => Mounted::memory(at, 32 << 10),
        }
    }

    /// Whether it tells at once, and exactly, what came free.
    pub fn tells_at_once(self) -> bool {
        !matches!(self, Self::Xfs | Self::Btrfs)
    }
}

/// A target: name, files, how many always stay, and what its section says.
type Target = (&'static str, usize, usize, &'static str);

/// In the order in which they are spent; the last one is not. In the file they stand the other way round.
const TARGETS: [Target; 5] = [
    ("processed", 60, 0, "priority = 10\nemergency = { remove-all = true }"),
    ("snapshots", 45, 5, "priority = 20\nemergency = { keep-newest = 5 }"),
    ("live", 125, 25, "priority = 30\nemergency = { keep-newest = 25 }"),
    ("thumbs", 60, 40, "emergency = { max-files = 40 }"),
    ("archive", 30, 30, "priority = 1"),
];

/// The disk. Below `at` every target has a folder of its name; `maint` is that of the tools.
#[derive(Debug)]
pub struct FullDisk {
    disk: Mounted,
    /// What lies beside it: the configuration, and the runtime folder.
    pub scratch: Scratch,
    kind: Kind,
    user: u32,
    file: u64,
    text: String,
}

impl FullDisk {
    /// With all targets on it and most of it still free; `keys` are more of `[volume.disk]`.
    pub fn new(kind: Kind, user: u32, keys: &str) -> Self {
        let scratch = Scratch::new();
        let disk = kind.mount(&scratch.path().join("disk"));
        let space = Space::of(disk.at());
        // A thousandth of what is short.
        let file = match kind {
            Kind::Ext4Inodes => 10,
            _ => (space.whole() / 1000).next_multiple_of(4096),
        };
        let size = usize::try_from(file).unwrap();
        for (name, files, ..) in TARGETS {
            let tree = Tree::at(&disk.at().join(name));
            let age = |n: usize| days(20) - i64::try_from(n).unwrap() * 60;
            // The order of making says nothing of the age.
            let shuffled = (0..files).map(|n| n * 7919 % files);
            let _ = shuffled.fold(tree, |tree, n| tree.sized(format!("{}/f{n:03}", n % 3), age(n), size));
        }
        fs::create_dir_all(disk.at().join("maint/metrics")).unwrap();
        fs::create_dir(disk.at().join("others")).unwrap();
        fs::create_dir(scratch.path().join("run")).unwrap();
        let all = [disk.at().to_owned(), scratch.path().join("run")];
        for path in all.iter().flat_map(|top| everything_below(top)) {
            chown(path, Some(user), Some(user)).unwrap();
        }
        let sections: String = TARGETS
            .iter()
            .rev()
            .map(|(name, _, _, keys)| {
                Tree::at(&disk.at().join(name)).section(name, &format!("max-age = '1y'\n{keys}"))
            })
            .collect();
        let place = |name: &str| disk.at().join("maint").join(name);
        let text = format!(
            "[host]\nstate-dir = {:?}\nruntime-dir = {:?}\naudit-log = {:?}\nmetrics-dir = {:?}\n[volume.disk]\npath = {:?}\nemergency = {{ at = '95%', until = '88%' }}\n{keys}\n{sections}",
            place("state"),
            scratch.path().join("run"),
            place("audit.jsonl"),
            place("metrics"),
            disk.at()
        );
        scratch.file("maint.toml", &text);
        Self { disk, scratch, kind, user, file, text }
    }

    /// The runtime folder lies on the disk too.
    #[must_use]
    pub fn with_all_on_it(self) -> Self {
        let (beside, on_it) = (self.scratch.path().join("run"), self.disk.at().join("maint/run"));
        self.with_configuration(|text| text.replace(beside.to_str().unwrap(), on_it.to_str().unwrap()))
    }

    /// With another configuration.
    #[must_use]
    pub fn with_configuration(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.text = change(&self.text);
        self.scratch.file("maint.toml", &self.text);
        self
    }

    /// Leaves no block, or no inode, to its user.
    #[must_use]
    pub fn filled(self) -> Self {
        self.fill();
        self
    }

    /// The same, once more.
    pub fn fill(&self) {
        let others = self.disk.at().join("others");
        match self.kind {
            Kind::Ext4Inodes => space::fill_inodes(&others, self.user),
            _ => space::fill(&others, self.user),
        }
        let space = self.space();
        match self.kind {
            Kind::Ext4Inodes => assert_eq!(space.inodes_available, 0),
            _ => assert!(space.available < self.file, "{space:?}"),
        }
    }

    /// How full it is, with all that is on its way written.
    pub fn space(&self) -> Space {
        nix::unistd::syncfs(fs::File::open(self.disk.at()).unwrap()).unwrap();
        Space::of(self.disk.at())
    }

    /// The filesystem.
    pub fn disk(&self) -> &Mounted {
        &self.disk
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.scratch.path().join("maint.toml")
    }

    /// What one file of a target takes: bytes, or one inode.
    pub fn file(&self) -> u64 {
        self.file
    }

    /// A target's folder.
    pub fn target(&self, name: &str) -> Tree {
        Tree::at(&self.disk.at().join(name))
    }

    /// `prune-images`, as the user, wrapped in another program.
    pub fn prune_wrapped(&self, wrapper: &[&str]) -> Tool {
        let user = as_user(self.user);
        let words: Vec<&str> = user.iter().map(String::as_str).chain(wrapper.iter().copied()).collect();
        Tool::wrapped("prune-images", &words).arg("-c").arg(self.config())
    }

    /// `prune-images`, as the user.
    pub fn prune(&self) -> Tool {
        self.prune_wrapped(&[])
    }

    /// `prune-images --emergency`, as the user.
    pub fn rescue(&self) -> Tool {
        self.prune().arg("--emergency")
    }

    /// How many files went of each target, in the order in which they are spent, after making sure that
    /// they were the right ones: the oldest of each, none of a floor, and none of a target of which an
    /// earlier one still had something.
    pub fn gone(&self) -> [usize; 5] {
        self.gone_in(true)
    }

    /// The same after a kill: what was to go together went in the order of the walk, as far as it came.
    pub fn gone_by_a_kill(&self) -> [usize; 5] {
        self.gone_in(false)
    }

    fn gone_in(&self, order: bool) -> [usize; 5] {
        let mut is_done = true;
        TARGETS.map(|(name, files, floor, _)| {
            let mut left: Vec<String> = self.target(name).names();
            left.sort_by_key(|path| path.rsplit('/').next().unwrap().to_owned());
            let gone = files - left.len();
            let newest: Vec<String> = (gone..files).map(|n| format!("{}/f{n:03}", n % 3)).collect();
            assert!(!order || left == newest, "{name}: the newest stay, and only they: {left:?}");
            let kept = &newest[newest.len().saturating_sub(floor)..];
            assert!(kept.iter().all(|newest| left.contains(newest)), "{name}: its floor stays: {left:?}");
            assert!(left.len() >= floor, "{name}: {} of {files} are left, its floor is {floor}", left.len());
            assert!(gone == 0 || is_done, "{name} lost {gone} files while an earlier one still had some");
            is_done = is_done && left.len() == floor;
            gone
        })
    }

    /// How many files are not under their names any more.
    pub fn gone_or_claimed(&self) -> usize {
        TARGETS.iter().map(|(name, files, ..)| files - self.target(name).names().len()).sum()
    }

    /// It is below the mark, and would not be with so many bytes, or inodes, more.
    pub fn assert_below(&self, percent: u64, most: u64) {
        let space = self.space();
        // Its trees grow as they are committed, which is later.
        let trees = if self.kind == Kind::Btrfs { 64 << 10 } else { 0 };
        let settled = Space { used: space.used - trees, available: space.available + trees, ..space };
        let (below, with) = match self.kind {
            Kind::Ext4Inodes => (space.has_inodes_below(percent, 0), space.has_inodes_below(percent, most)),
            _ => (settled.is_below(percent, 0), space.is_below(percent, most)),
        };
        let told = format!("{:?}: {space:?}, {:.2}%, a file takes {}", self.kind, space.percent(), self.file);
        assert!(below, "it is not below {percent}%: {told}");
        assert!(!with, "it is further below than by {most}: {told}, {:?} went", self.gone());
    }
}

/// Every path below a folder, and the folder.
pub fn everything_below(top: &Path) -> Vec<PathBuf> {
    let mut all = vec![top.to_owned()];
    if top.is_dir() && !top.ends_with("lost+found") {
        all.extend(fs::read_dir(top).unwrap().flat_map(|entry| everything_below(&entry.unwrap().path())));
    }
    all
}
