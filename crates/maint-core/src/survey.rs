//! What the first walk learns: counts and bytes, never a list of names, so that memory does not grow
//! with the number of files.

use crate::{
    entry::Look,
    retention::{Kept, Verdict},
    time::Timestamp,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Sum of their lengths.
    pub size: u64,
    /// Bytes of blocks that come free when they go.
    pub frees: u64,
}

impl Tally {
    /// One more file.
    pub fn add(&mut self, look: &Look, frees: u64) {
        self.files += 1;
        self.size = self.size.saturating_add(look.size);
        self.frees = self.frees.saturating_add(frees);
    }

    /// The sum of two tallies.
    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.size = self.size.saturating_add(other.size);
        self.frees = self.frees.saturating_add(other.frees);
    }
}

/// How many entries stayed for which reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptTally([u64; Kept::ALL.len()]);

impl Default for KeptTally {
    fn default() -> Self {
        Self([0; Kept::ALL.len()])
    }
}

impl KeptTally {
    /// One more.
    pub fn add(&mut self, why: Kept) {
        self.0[why as usize] += 1;
    }

    /// So many more.
    pub fn add_many(&mut self, why: Kept, files: u64) {
        self.0[why as usize] += files;
    }

    /// The sum of two tallies.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Kept, u64)> {
        Kept::ALL.into_iter().zip(self.0).filter(|(_, n)| *n > 0)
    }

    /// How many stayed for one reason.
    pub fn get(&self, why: Kept) -> u64 {
        self.0[why as usize]
    }
}

/// Hard links among what goes: the space comes free with the last name.
///
/// Shared by the workers of a walk; only files with several names are remembered.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<u64, u32>>);

impl Links {
    /// The bytes that come free when this name goes too.
    pub fn frees(&self, look: &Look) -> u64 {
        if look.links <= 1 {
            return look.allocated;
        }
        let mut left_of = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = left_of.entry(look.inode).or_insert(look.links);
        *left = left.saturating_sub(1);
        if *left > 0 {
            return 0;
        }
        left_of.remove(&look.inode);
        look.allocated
    }
}

/// The first walk's harvest.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Everything the target's patterns match.
    pub found: Tally,
    /// What the rules would remove.
    pub condemned: Tally,
    /// What stays, by reason.
    pub kept: KeptTally,
    /// Files found, by the pattern that matched first.
    pub by_pattern: Vec<u64>,
    /// Oldest content among the files found.
    pub oldest: Option<Timestamp>,
    /// Newest content among the files found.
    pub newest: Option<Timestamp>,
    /// When the kernel last changed anything about any of them: no clock of a producer can fake that.
    pub latest_change: Option<Timestamp>,
}

impl Survey {
    /// An empty survey for so many patterns.
    pub fn new(patterns: usize) -> Self {
        Self { by_pattern: vec![0; patterns], ..Self::default() }
    }

    /// Notes a file under its heading, and what was decided about it and what goes with it.
    pub fn add(&mut self, look: &Look, heading: usize, verdict: Verdict, links: &Links) {
        self.found.add(look, 0);
        self.count(heading);
        self.cover(look.modified);
        self.latest_change = self.latest_change.max(Some(look.changed));
        match verdict {
            Verdict::Remove(_) => self.condemned.add(look, links.frees(look)),
            Verdict::Keep(why) => self.kept.add(why),
        }
    }

    /// Notes a file that needed no look, with the time that its name tells.
    pub fn add_unseen(&mut self, heading: usize, why: Kept, at: Option<Timestamp>) {
        self.found.files += 1;
        self.count(heading);
        if let Some(at) = at {
            self.cover(at);
        }
        self.kept.add(why);
    }

    fn count(&mut self, heading: usize) {
        if let Some(n) = self.by_pattern.get_mut(heading) {
            *n += 1;
        }
    }

    fn cover(&mut self, at: Timestamp) {
        self.oldest = Some(self.oldest.map_or(at, |t| t.min(at)));
        self.newest = Some(self.newest.map_or(at, |t| t.max(at)));
    }

    /// Files that the policy had a say in: a share is a share of these.
    pub fn judged(&self) -> u64 {
        let out_of_reach = self.kept.iter().filter(|(why, _)| why.is_out_of_reach());
        self.found.files - out_of_reach.map(|(_, files)| files).sum::<u64>()
    }

    /// Joins what two workers saw.
    pub fn merge(&mut self, other: &Self) {
        self.found.merge(other.found);
        self.condemned.merge(other.condemned);
        self.kept.merge(&other.kept);
        self.by_pattern.iter_mut().zip(&other.by_pattern).for_each(|(mine, theirs)| *mine += theirs);
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        self.newest = self.newest.into_iter().chain(other.newest).max();
        self.latest_change = self.latest_change.max(other.latest_change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(inode: u64, links: u32) -> Look {
        Look { inode, links, ..Look::of_file(Timestamp::from_seconds(0)) }
    }

    #[test]
    fn the_last_name_frees_the_space() {
        let links = Links::default();
        let freed: Vec<u64> =
            [(7, 1), (8, 2), (9, 3), (8, 2), (9, 3)].map(|(i, n)| links.frees(&look(i, n))).to_vec();
        assert_eq!(freed, [4096, 0, 0, 4096, 0]);
    }

    #[test]
    fn a_link_count_that_falls_while_we_remove_is_counted_once() {
        let links = Links::default();
        let freed: u64 = [3, 2, 1].map(|n| links.frees(&look(5, n))).iter().sum();
        assert_eq!(freed, 4096);
    }
}
