//! The walk through the folders of one side: keys of all names, and whether it saw everything.

use super::{
    field::NoName,
    named::names_in,
    pairing::{By, Layout, Pairing, Side},
};
use crate::{
    entry::Kind,
    fs::{Block, Claims, Folder, FsError, PRIVATE_FOLDER, Root, Skipped, Visitor, Walk, Workers},
    prune::Errors,
    text::{joined, printable, shown_path},
};
use std::{
    ffi::{CStr, OsStr},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// Folders to be listed.
pub(super) struct Listing<'a> {
    pub(super) pairing: &'a Pairing,
    /// Whose names they hold.
    pub(super) side: Side,
    /// They are the folders of the other side too, and what lies elsewhere does not matter.
    pub(super) is_beside: bool,
    /// All folders of this side: one may be mounted, or linked to, below another.
    pub(super) roots: &'a [Root],
    pub(super) workers: Workers,
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
}

/// What a folder holds.
#[derive(Default)]
pub(super) struct Listed {
    /// The keys of all names, some of them twice.
    pub(super) keys: Vec<u64>,
    /// Files of this side.
    pub(super) files: u64,
    /// An extension is in another case than it was written in.
    pub(super) is_odd: bool,
    /// What kept it from being seen whole.
    flaws: Vec<String>,
    errors: Errors,
    /// Folders in it that other runs have claims in.
    private: Vec<Vec<u8>>,
    /// A folder that went away meanwhile.
    vanished: Option<Vec<u8>>,
}

/// So many flaws are told.
const TOLD: usize = 3;
/// So often is listed again what changed meanwhile.
const TRIES: u32 = 3;

impl Listing<'_> {
    /// Lists one folder; an error says why not all of it was seen.
    pub(super) fn list(&self, root: &Root) -> Result<Listed, String> {
        // Folders that go away meanwhile may have gone empty, or elsewhere with all they held.
        for _ in 1..TRIES {
            let listed = self.list_once(root)?;
            if listed.vanished.is_none() {
                return Ok(listed);
            }
        }
        let listed = self.list_once(root)?;
        match &listed.vanished {
            None => Ok(listed),
            Some(folder) => {
                let path = joined(&[root.path().as_os_str().as_bytes(), folder]);
                Err(format!("{} went away while it was listed", printable(&path)))
            }
        }
    }

    fn list_once(&self, root: &Root) -> Result<Listed, String> {
        let lister = Lister { what: self, root };
        let walk = Walk { root, stop: self.stop, interrupted: self.stop, only: None };
        let hands = walk.run(&lister, (0..self.workers.get()).map(|_| Listed::default()).collect());
        let mut all = hands.into_iter().fold(Listed::default(), |mut all, hand| {
            all.add(hand);
            all
        });
        // Afterwards: what was claimed while it was listed is met here, or where it went to by the next listing.
        let private = std::mem::take(&mut all.private);
        self.list_claimed(root, &private, &mut all);
        if (self.stop)() {
            return Err(format!("{} was not listed to its end", root.shown()));
        }
        let mut flaws = all.flaws;
        flaws.extend(all.errors.iter().map(|error| {
            let path = if error.path.is_empty() { String::new() } else { format!("/{}", error.path) };
            format!("cannot {} {}{path}: {}", error.operation, root.shown(), error.source)
        }));
        flaws.truncate(TOLD);
        if flaws.is_empty() {
            Ok(Listed { flaws, errors: Errors::default(), ..all })
        } else {
            Err(format!("not all of {} could be seen: {}", root.shown(), flaws.join("; ")))
        }
    }
}

impl Listing<'_> {
    /// What another tool has claimed lies under no name for a moment, or after a kill until the next run: it is
    /// there all the same. Folders above may be pruned as a whole, and so may those below, at these paths.
    pub(super) fn list_claimed(&self, root: &Root, below: &[Vec<u8>], hand: &mut Listed) {
        let real = match root.real_path() {
            Ok(real) => real,
            Err(error) => {
                return hand.flaw(format!("where {} really lies cannot be told: {error}", root.shown()));
            }
        };
        let inside = below.iter().map(|folder| real.join(OsStr::from_bytes(folder)));
        for place in real.ancestors().map(Path::to_owned).chain(inside) {
            match Claims::held_below(&place) {
                Ok(held) => {
                    for (folder, name) in held {
                        self.add_claimed(hand, &real, &place, folder.as_deref(), name.to_bytes());
                    }
                }
                Err(error) => hand.flaw(format!(
                    "files that another run has claimed cannot be told ({}: {error})",
                    shown_path(&place.join(PRIVATE_FOLDER))
                )),
            }
        }
    }

    /// One that was claimed at `place` goes by its folder below the root; where that is forgotten, by its name.
    fn add_claimed(&self, hand: &mut Listed, real: &Path, place: &Path, folder: Option<&[u8]>, name: &[u8]) {
        let Some(folder) = folder else {
            if self.pairing.layout == Layout::Any {
                self.add_keys(hand, b"", name);
            }
            return;
        };
        let was_in = place.join(OsStr::from_bytes(folder));
        if let Ok(folder) = was_in.strip_prefix(real) {
            self.add_keys(hand, folder.as_os_str().as_bytes(), name);
        }
    }

    fn add_keys(&self, hand: &mut Listed, folder: &[u8], name: &[u8]) {
        if let (Side::Partner, By::Field(_)) | (_, By::Names(_)) = (self.side, &self.pairing.by)
            && (self.side == Side::Partner || self.pairing.is_of(self.side, folder, name))
        {
            hand.is_odd |= self.pairing.keys(self.side, folder, name, &mut |key| hand.keys.push(key));
        }
    }
}

struct Lister<'a> {
    what: &'a Listing<'a>,
    root: &'a Root,
}

impl Lister<'_> {
    fn is_one_of_ours(&self, path: &Path) -> bool {
        let Ok(seen) = std::fs::metadata(path) else { return false };
        self.what.roots.iter().any(|root| {
            std::fs::metadata(root.path()).is_ok_and(|its| (its.dev(), its.ino()) == (seen.dev(), seen.ino()))
        })
    }

    fn path_of(&self, folder: &[u8], name: &[u8]) -> PathBuf {
        let path = joined(&[self.root.path().as_os_str().as_bytes(), folder, name]);
        PathBuf::from(OsStr::from_bytes(&path))
    }
}

impl Listed {
    /// What another folder holds, too.
    pub(super) fn add(&mut self, other: Self) {
        // The first takes the room of the others at once, and not piece by piece.
        self.keys.reserve_exact(other.keys.len());
        self.keys.extend(other.keys);
        self.files += other.files;
        self.is_odd |= other.is_odd;
        self.flaws.extend(other.flaws);
        self.private.extend(other.private);
        self.errors.merge(other.errors);
        self.vanished = self.vanished.take().or(other.vanished);
    }

    /// What kept something from being seen.
    pub(super) fn first_flaw(&self) -> Option<&str> {
        self.flaws.first().map(String::as_str)
    }

    fn flaw(&mut self, flaw: String) {
        if self.flaws.len() < TOLD {
            self.flaws.push(flaw);
        }
    }
}

impl Visitor for Lister<'_> {
    type Hand = Listed;

    fn sift(&self, hand: &mut Listed, folder: &[u8], name: &[u8]) -> Option<u16> {
        let Listing { pairing, side, .. } = self.what;
        if *side == Side::Metadata && !pairing.is_of(Side::Metadata, folder, name) {
            return None;
        }
        if let (Side::Metadata, By::Field(_)) = (side, &pairing.by) {
            hand.files += 1;
            return Some(0);
        }
        let before = hand.keys.len();
        hand.is_odd |= pairing.keys(*side, folder, name, &mut |key| hand.keys.push(key));
        // Where any name may be that of a partner, what is metadata itself or hidden says nothing of them.
        let says_something = matches!(pairing.by, By::Names(_))
            || !(name.starts_with(b".") || pairing.is_of(Side::Metadata, folder, name));
        hand.files += u64::from(hand.keys.len() > before && says_something);
        None
    }

    /// A link to a folder may hide what the folder holds, and one that leads nowhere, what it held.
    fn no_file(&self, hand: &mut Listed, folder: &Folder, name: &CStr) {
        let bytes = name.to_bytes();
        if self.what.is_beside {
            return;
        }
        match folder.follow(name) {
            Ok((Kind::Folder, leads_to)) => {
                // Where the folder matters, what lies in another one by its real name is not where it is looked for.
                let is_same = self.what.pairing.layout == Layout::Same;
                let is_seen = !is_same
                    && self.what.roots.iter().any(|root| {
                        std::fs::canonicalize(root.path()).is_ok_and(|root| leads_to.starts_with(root))
                    });
                if !is_seen {
                    let path = shown_path(&self.path_of(folder.path(), bytes));
                    let to = shown_path(&leads_to);
                    hand.flaw(format!(
                        "{path} is a link to {to}, which is none of the folders that are listed"
                    ));
                }
            }
            Ok(_) => {}
            Err(_) if self.what.pairing.is_of(self.what.side, folder.path(), bytes) => {}
            Err(error) => {
                let path = shown_path(&self.path_of(folder.path(), bytes));
                hand.flaw(format!("{path} is a link that leads nowhere ({error})"));
            }
        }
    }

    fn vanished(&self, hand: &mut Listed, folder: &[u8]) {
        hand.vanished.get_or_insert_with(|| folder.to_vec());
    }

    fn private(&self, hand: &mut Listed, folder: &Folder) {
        if !folder.path().is_empty() {
            hand.private.push(folder.path().to_vec());
        }
    }

    fn enters(&self, _: &[u8], _: &[u8], _: u32) -> bool {
        true
    }

    /// Only metadata that must be read for what it names.
    fn files(&self, hand: &mut Listed, folder: &Folder, block: Block<'_>) -> u64 {
        let By::Field(field) = &self.what.pairing.by else { return 0 };
        for (name, _) in block.iter() {
            match names_in(field, folder, name) {
                Ok(names) => {
                    for name in names {
                        let parts = name.last_parts();
                        hand.keys.extend(parts.iter().map(|part| self.what.pairing.key_of_whole(part)));
                    }
                }
                Err(why) => {
                    let path = printable(&joined(&[folder.path(), name.to_bytes()]));
                    hand.flaw(match why {
                        NoName::Unread(error) => format!("cannot read {path}: {error}"),
                        NoName::NoJson => format!("{path} is no JSON, and may belong to anything"),
                        NoName::NotNamed => format!("{path} does not say in {field} what it belongs to"),
                    });
                }
            }
        }
        0
    }

    fn emptied(&self, _: &mut Listed, _: &Folder, _: &CStr) -> bool {
        false
    }

    fn folders_gone(&self, _: &mut Listed, _: &[u8], _: &CStr, _: u64) {}

    fn trouble(&self, hand: &mut Listed, error: FsError) {
        hand.errors.push(error);
    }

    fn skipped(&self, hand: &mut Listed, folder: &[u8], why: Skipped) {
        let Skipped::OtherMount = why;
        let path = self.path_of(folder, b"");
        if !self.what.is_beside && !self.is_one_of_ours(&path) {
            hand.flaw(format!(
                "another filesystem is mounted on {}: name that folder too",
                shown_path(&path)
            ));
        }
    }

    fn is_sign(&self, _: &[u8]) -> bool {
        false
    }

    fn key<'n>(&self, _: &'n [u8]) -> Option<&'n [u8]> {
        None
    }
}
