//! The first walk: counts, and nothing else.

use super::{Errors, Progress, look_at_each};
use crate::{
    entry::Entry,
    fs::{Block, Folder, FsError, Root, Skipped, Visitor, Walk, Workers},
    retention::{Kept, Rules},
    select::{Named, Select},
    survey::{Links, Survey},
};
use std::ffi::CStr;

/// What to look at, and how.
pub struct LookOver<'a> {
    /// Where.
    pub root: &'a Root,
    /// Which names.
    pub select: &'a Select,
    /// By which rules the survey counts.
    pub rules: &'a Rules,
    /// With how many threads.
    pub workers: Workers,
    /// When to give up.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Who watches.
    pub progress: &'a Progress,
}

/// What the first walk brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// The counts.
    pub survey: Survey,
    /// What could not be read.
    pub errors: Errors,
    /// Folders on which another filesystem is mounted.
    pub other_mounts: u64,
}

/// Looks over a whole target. Nothing is changed.
pub fn look_over(what: &LookOver<'_>) -> Looked {
    let fresh = || Looked { survey: Survey::new(what.select.headings().len()), ..Looked::default() };
    let looker = Looker { what, links: Links::default() };
    let walk = Walk { root: what.root, stop: what.stop, interrupted: what.stop };
    let hands = walk.run(&looker, (0..what.workers.get()).map(|_| fresh()).collect());
    hands.into_iter().fold(fresh(), |mut all, hand| {
        all.survey.merge(&hand.survey);
        all.errors.merge(hand.errors);
        all.other_mounts += hand.other_mounts;
        all
    })
}

struct Looker<'a> {
    what: &'a LookOver<'a>,
    links: Links,
}

impl Visitor for Looker<'_> {
    type Hand = Looked;

    fn sift(&self, hand: &mut Looked, folder: &[u8], name: &[u8]) -> Option<u16> {
        match self.what.select.file(folder, name) {
            Named::Wanted(pattern) => Some(pattern),
            Named::Excluded(pattern) => {
                hand.survey.add_unseen(pattern, Kept::Excluded);
                None
            }
            Named::Foreign => None,
        }
    }

    fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.what.select.enters(folder, name, depth)
    }

    fn files(&self, hand: &mut Looked, folder: &Folder, block: Block<'_>) -> u64 {
        let Looked { survey, errors, .. } = hand;
        let scanned = look_at_each(folder, block, errors, |name, pattern, look| {
            let entry = Entry { folder: folder.path(), name: name.to_bytes(), look };
            survey.add(&entry, pattern, self.what.rules, &self.links);
        });
        self.what.progress.add(scanned, 0);
        0
    }

    fn emptied(&self, _: &mut Looked, _: &Folder, _: &CStr) -> bool {
        false
    }

    fn folders_gone(&self, _: &mut Looked, _: &[u8], _: &CStr, _: u64) {}

    fn trouble(&self, hand: &mut Looked, error: FsError) {
        hand.errors.push(error);
    }

    fn skipped(&self, hand: &mut Looked, _: &[u8], why: Skipped) {
        match why {
            Skipped::OtherMount => hand.other_mounts += 1,
        }
    }
}
