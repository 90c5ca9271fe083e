//! A walk that counts: how many files, how large, how old. It keeps no names but that of the largest.

use crate::{
    fs::{Block, Folder, FsError, Root, Skipped, Visitor, Walk, Workers},
    prune::Errors,
    select::{Named, Select},
    survey::Links,
    text::joined,
    time::Timestamp,
    units::Span,
};
use std::{ffi::CStr, io};

/// Clocks differ by this, and runs take so long.
const A_MOMENT: Span = Span::from_seconds(60);

/// What a folder holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Files.
    pub files: u64,
    /// Their blocks, hard links once.
    pub allocated: u64,
    /// The last change of the newest that is not ahead of the clock.
    pub newest: Option<Timestamp>,
    /// The last change of the oldest.
    pub oldest: Option<Timestamp>,
    /// The size of the largest, and its path below the root.
    pub largest: Option<(u64, Vec<u8>)>,
    /// Blocks by age in full hours, as far as they were asked for.
    pub hours: Vec<u64>,
    /// Blocks of what is older.
    pub beyond: u64,
    /// Folders that are another filesystem.
    pub other_mounts: u64,
}

/// A folder to be counted, and how.
pub struct Count<'a> {
    /// Where.
    pub root: &'a Root,
    /// Which names.
    pub select: &'a Select,
    /// With how many threads.
    pub workers: Workers,
    /// When to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// The moment that ages are counted from.
    pub now: Timestamp,
    /// How many hours are told apart.
    pub hours: usize,
    /// Nothing but the number of files is wanted: none of them is looked at.
    pub only_names: bool,
}

impl Count<'_> {
    /// Counts.
    pub fn run(&self) -> (Contents, Errors) {
        let fresh = || Hand {
            contents: Contents { hours: vec![0; self.hours], ..Contents::default() },
            errors: Errors::default(),
        };
        let counter = Counter { count: self, links: Links::default() };
        let walk = Walk { root: self.root, stop: self.stop, interrupted: self.stop, only: None };
        let hands = walk.run(&counter, (0..self.workers.get()).map(|_| fresh()).collect());
        let all = hands.into_iter().fold(fresh(), |mut all, hand| {
            all.contents.merge(hand.contents);
            all.errors.merge(hand.errors);
            all
        });
        (all.contents, all.errors)
    }
}

impl Contents {
    fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.allocated = self.allocated.saturating_add(other.allocated);
        self.newest = self.newest.max(other.newest);
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        self.largest = self.largest.take().max(other.largest);
        for (mine, its) in self.hours.iter_mut().zip(other.hours) {
            *mine = mine.saturating_add(its);
        }
        self.beyond = self.beyond.saturating_add(other.beyond);
        self.other_mounts += other.other_mounts;
    }
}

struct Counter<'a> {
    count: &'a Count<'a>,
    links: Links,
}

struct Hand {
    contents: Contents,
    errors: Errors,
}

impl Visitor for Counter<'_> {
    type Hand = Hand;

    fn sift(&self, hand: &mut Hand, folder: &[u8], name: &[u8]) -> Option<u16> {
        let Named::Wanted(heading) = self.count.select.file(folder, name) else { return None };
        if self.count.only_names {
            hand.contents.files += 1;
            return None;
        }
        Named::Wanted(heading).code()
    }

    fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.count.select.enters(folder, name, depth)
    }

    fn files(&self, hand: &mut Hand, folder: &Folder, block: Block<'_>) -> u64 {
        let contents = &mut hand.contents;
        for (name, _) in block.iter() {
            let look = match folder.look(name) {
                Ok(look) if look.kind == crate::entry::Kind::File => look,
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    hand.errors.push(FsError::new("look at", folder.path(), name.to_bytes(), error));
                    continue;
                }
            };
            let frees = self.links.frees(&look);
            contents.files += 1;
            contents.allocated = contents.allocated.saturating_add(frees);
            // One far ahead would speak for a dead camera until its time has come; one that is being written
            // is a moment younger than this run.
            if look.modified <= self.count.now.plus(A_MOMENT) {
                contents.newest = contents.newest.max(Some(look.modified));
            }
            contents.oldest = contents.oldest.into_iter().chain([look.modified]).min();
            if contents.largest.as_ref().is_none_or(|(size, _)| look.size > *size) {
                contents.largest = Some((look.size, joined(&[folder.path(), name.to_bytes()])));
            }
            let hour =
                usize::try_from(self.count.now.since(look.modified).seconds() / 3600).unwrap_or(usize::MAX);
            let bucket = contents.hours.get_mut(hour).unwrap_or(&mut contents.beyond);
            *bucket = bucket.saturating_add(frees);
        }
        0
    }

    fn emptied(&self, _: &mut Hand, _: &Folder, _: &CStr) -> bool {
        false
    }

    fn folders_gone(&self, _: &mut Hand, _: &[u8], _: &CStr, _: u64) {}

    fn trouble(&self, hand: &mut Hand, error: FsError) {
        hand.errors.push(error);
    }

    fn skipped(&self, hand: &mut Hand, _: &[u8], why: Skipped) {
        match why {
            Skipped::OtherMount => hand.contents.other_mounts += 1,
        }
    }

    fn is_sign(&self, _: &[u8]) -> bool {
        false
    }

    fn key<'n>(&self, _: &'n [u8]) -> Option<&'n [u8]> {
        None
    }
}
