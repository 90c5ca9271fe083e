//! Which are the newest: what only a whole survey can tell. It remembers keys, never names.

use crate::{entry::Subject, time::Timestamp};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// A subject's place in time. Equal times are told apart by folder and name, in the same way in every run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    nanos: i64,
    tie: u64,
}

impl Key {
    /// The key of a subject with this time.
    pub fn new(at: Timestamp, folder: &[u8], name: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (folder, name).hash(&mut hasher);
        let nanos = at.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(at.nanos));
        Self { nanos, tie: hasher.finish() }
    }

    /// The key of a subject that may be condemned without a time of its own.
    pub(crate) fn of_condemned(subject: &Subject<'_>) -> Self {
        Self::of(subject, subject.time.unwrap_or(subject.modified))
    }

    pub(super) fn of(subject: &Subject<'_>, at: Timestamp) -> Self {
        Self::new(at, subject.folder, subject.name)
    }
}

/// The newest of each group.
#[derive(Debug, Clone)]
pub(super) struct Newest {
    count: usize,
    groups: HashMap<u64, Vec<Key>>,
}

impl Newest {
    pub(super) fn new(count: u64) -> Self {
        Self { count: usize::try_from(count).unwrap_or(usize::MAX), groups: HashMap::new() }
    }

    pub(super) fn add(&mut self, group: u64, key: Key) {
        let keys = self.groups.entry(group).or_default();
        keys.push(key);
        // Twice as many as are wanted, so that sorting out costs nothing for each.
        if keys.len() >= self.count.saturating_mul(2).max(SMALL) {
            keep_largest(keys, self.count);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (group, keys) in other.groups {
            for key in keys {
                self.add(group, key);
            }
        }
    }

    /// The oldest key of each group that is still among its newest; a group with room for more has none.
    pub(super) fn floors(mut self) -> HashMap<u64, Key> {
        let count = self.count;
        let full = self.groups.iter_mut().filter(|(_, keys)| keys.len() >= count);
        full.filter_map(|(group, keys)| {
            keep_largest(keys, count);
            Some((*group, *keys.iter().min()?))
        })
        .collect()
    }
}

/// A few keys more cost less than sorting them out often.
const SMALL: usize = 64;

fn keep_largest(keys: &mut Vec<Key>, count: usize) {
    if keys.len() > count && count > 0 {
        keys.select_nth_unstable_by(count - 1, |a, b| b.cmp(a));
        keys.truncate(count);
    }
}

/// The newest that fit under a limit together.
#[derive(Debug, Clone)]
pub(super) struct Fitting {
    limit: u64,
    /// One part for each worker: putting them into one would hold some of them twice.
    parts: Vec<Vec<(Key, u64)>>,
    total: u64,
}

impl Fitting {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, parts: vec![Vec::new()], total: 0 }
    }

    pub(super) fn add(&mut self, key: Key, weight: u64) {
        if let Some(part) = self.parts.first_mut() {
            part.push((key, weight));
        }
        self.total = self.total.saturating_add(weight);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        self.parts.extend(other.parts);
    }

    /// The oldest key that still fits; `None` when all do. The newest stays even where it exceeds the
    /// limit alone: no limit empties a folder.
    pub(super) fn floor(mut self) -> Option<Key> {
        if self.total <= self.limit {
            return None;
        }
        for part in &mut self.parts {
            part.sort_unstable_by_key(|(key, _)| *key);
        }
        let newest = |parts: &mut [Vec<(Key, u64)>]| {
            parts.iter_mut().max_by_key(|part| part.last().map(|(key, _)| *key)).and_then(Vec::pop)
        };
        let mut floor = None;
        let mut sum = 0_u64;
        while let Some((key, weight)) = newest(&mut self.parts) {
            sum = sum.saturating_add(weight);
            if sum > self.limit && floor.is_some() {
                break;
            }
            floor = Some(key);
        }
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(nanos: i64) -> Key {
        Key { nanos, tie: 0 }
    }

    proptest! {
        #[test]
        fn the_newest_are_those_of_a_sorted_list(times in proptest::collection::vec(-500..500_i64, 0..400), count in 1..200_u64) {
            let mut newest = Newest::new(count);
            let mut sorted: Vec<Key> = times.iter().zip(0..).map(|(at, tie)| Key { nanos: *at, tie }).collect();
            for key in &sorted {
                newest.add(7, *key);
            }
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let floor = newest.floors().get(&7).copied();
            let count = usize::try_from(count).unwrap();
            let expected = (sorted.len() >= count).then(|| sorted[count - 1]);
            prop_assert_eq!(floor, expected);
        }

        #[test]
        fn what_fits_is_a_row_from_the_newest(weights in proptest::collection::vec(0..50_u64, 0..60), limit in 0..900_u64) {
            let mut fitting = Fitting::new(limit);
            (0..).zip(&weights).for_each(|(at, weight)| fitting.add(key(at), *weight));
            let floor = fitting.floor();
            let kept: Vec<u64> = (0..).zip(&weights).filter(|(at, _)| floor.is_none_or(|floor| key(*at) >= floor)).map(|(_, w)| *w).collect();
            let sum: u64 = kept.iter().sum();
            prop_assert!(sum <= limit || kept.len() == 1);
            let left = weights.len() - kept.len();
            prop_assert!(left == 0 || sum + weights[left - 1] > limit);
        }
    }
}
