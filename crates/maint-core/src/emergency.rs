//! Marks of a volume, how much is missing to them, and what is spent first to reach them. All of it is
//! pure: the numbers come in, nothing is looked at.

use crate::{
    entry::{Look, Subject},
    fs::Usage,
    retention::{Kept, Key},
    survey::Tally,
    units::{ByteSize, Share},
};
use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    fmt,
};

/// A mark of a volume: the emergency begins when any part of one is reached, and ends when all parts of
/// another hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// This share of the space is used.
    pub used: Option<Share>,
    /// No more than this is free.
    pub free: Option<ByteSize>,
    /// This share of the inodes is used.
    pub inodes: Option<Share>,
}

/// What must come free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// Bytes of blocks.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Mark {
    /// A share of the space, and of the inodes: a disk is full without either.
    pub const fn share(share: Share) -> Self {
        Self { used: Some(share), free: None, inodes: Some(share) }
    }

    /// So much free space.
    pub const fn free(size: ByteSize) -> Self {
        Self { used: None, free: Some(size), inodes: None }
    }

    /// Whether any part is reached, exactly on the mark included.
    pub fn is_reached_by(&self, usage: &Usage) -> bool {
        let inodes = usage.inodes.unwrap_or_default();
        self.used.is_some_and(|share| share.is_reached_by(usage.used, usage.whole()))
            || self.free.is_some_and(|size| usage.available <= size.bytes())
            || self.inodes.is_some_and(|share| share.is_reached_by(inodes.used, inodes.whole()))
    }

    /// Whether no part of this is reached later than the same part of another, and some part that both have
    /// is reached earlier; marks without a part in common are not compared.
    pub fn comes_before(&self, other: &Self) -> bool {
        let share =
            |mine: Option<Share>, its: Option<Share>| mine.zip(its).is_none_or(|(mine, its)| mine < its);
        share(self.used, other.used)
            && share(self.inodes, other.inodes)
            && self.free.zip(other.free).is_none_or(|(mine, its)| mine > its)
    }

    /// How many bytes may still be written before a part of this is exceeded.
    pub fn room(&self, usage: &Usage) -> u64 {
        let by_share = self.used.map_or(u64::MAX, |share| share.of(usage.whole()).saturating_sub(usage.used));
        let by_size = self.free.map_or(u64::MAX, |size| usage.available.saturating_sub(size.bytes()));
        by_share.min(by_size).min(usage.available)
    }

    /// What must come free until no part is exceeded.
    pub fn need(&self, usage: &Usage) -> Need {
        self.need_with(usage, Need::default())
    }

    /// The same, where so much more is going to be used.
    pub fn need_with(&self, usage: &Usage, more: Need) -> Need {
        let over = |share: Option<Share>, used: u64, whole: u64| {
            share.map_or(0, |share| used.saturating_sub(share.of(whole)))
        };
        let used = usage.used.saturating_add(more.bytes);
        let missing = self.free.map_or(0, |size| {
            let wanted = size.bytes().saturating_add(more.bytes).saturating_add(usage.overdrawn);
            wanted.saturating_sub(usage.available)
        });
        let inodes = usage
            .inodes
            .map_or(0, |inodes| over(self.inodes, inodes.used.saturating_add(more.inodes), inodes.whole()));
        Need { bytes: over(self.used, used, usage.whole()).max(missing), inodes }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match (self.used, self.inodes) {
            (Some(used), Some(inodes)) if used == inodes => parts.push(used.to_string()),
            (used, inodes) => {
                parts.extend(used.map(|share| share.to_string()));
                parts.extend(inodes.map(|share| format!("{share} of the inodes")));
            }
        }
        parts.extend(self.free.map(|size| format!("{size} free")));
        f.write_str(&parts.join(", "))
    }
}

impl Need {
    /// Where less than this is left nothing can be counted on to be written.
    pub const NO_ROOM: Self = Self { bytes: 1 << 20, inodes: 16 };

    /// Whether nothing is needed.
    pub fn is_met(self) -> bool {
        self == Self::default()
    }

    /// What is still needed after so much.
    #[must_use]
    pub fn after(self, freed: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(freed.bytes),
            inodes: self.inodes.saturating_sub(freed.inodes),
        }
    }

    /// What must go for this to come free where of so much that `went` only so much `came`: others take their
    /// share of the next step too. It is never more than eight times as much.
    #[must_use]
    pub fn beside_others(self, went: Self, came: Self) -> Self {
        let scaled = |need: u64, went: u64, came: u64| {
            let came = came.max(went / 8);
            let is_nearly_all = came >= went - went / 8;
            if is_nearly_all { need } else { mul_div(need, went, came) }
        };
        Self {
            bytes: scaled(self.bytes, went.bytes, came.bytes),
            inodes: scaled(self.inodes, went.inodes, came.inodes),
        }
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self { bytes: self.bytes.saturating_mul(n), inodes: self.inodes.saturating_mul(n) }
    }

    /// An eighth of it and at least a little, but never more: enough to see whether spending helps, and to
    /// have room for what must be written.
    #[must_use]
    pub fn first_part(self) -> Self {
        const BYTES: u64 = 4 << 20;
        const INODES: u64 = 64;
        Self {
            bytes: self.bytes.min(BYTES.max(self.bytes / 8)),
            inodes: self.inodes.min(INODES.max(self.inodes / 8)),
        }
    }

    fn wants(self, freed: Self) -> bool {
        (self.bytes > 0 && freed.bytes > 0) || (self.inodes > 0 && freed.inodes > 0)
    }
}

/// A share of a number, without overflow; of nothing it is the number.
fn mul_div(number: u64, by: u64, of: u64) -> u64 {
    let exact = u128::from(number) * u128::from(by);
    exact.checked_div(u128::from(of)).and_then(|n| u64::try_from(n).ok()).unwrap_or(number)
}

/// What is gathered, while a target is looked over, to find out which of the condemned are spent: the
/// oldest, as many as are needed. It remembers no names, and of the files no more than those.
#[derive(Debug, Clone)]
pub struct Spending {
    need: Need,
    most: u64,
    oldest: BinaryHeap<Item>,
    spent: Sum,
    linked: HashMap<u64, Linked>,
    useless: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    key: Key,
    sum: Sum,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Sum {
    files: u64,
    size: u64,
    bytes: u64,
    inodes: u64,
}

/// A file with several names, as far as they were met.
#[derive(Debug, Clone, Copy)]
struct Linked {
    met: u32,
    of: u32,
    item: Item,
}

/// Which of the condemned are spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    need: Need,
    /// The newest of them; none when nothing is worth spending.
    until: Option<Key>,
    /// Inodes of files all of whose names are condemned.
    whole: HashSet<u64>,
    tally: Tally,
    inodes: u64,
    useless: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.size = self.size.saturating_add(other.size);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.inodes += other.inodes;
    }

    fn without(self, other: Self) -> Self {
        Self {
            files: self.files - other.files,
            size: self.size.saturating_sub(other.size),
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes - other.inodes,
        }
    }

    fn frees(self) -> Need {
        Need { bytes: self.bytes, inodes: self.inodes }
    }
}

impl Spending {
    /// Nothing has been seen yet; no more files go than `most`.
    pub fn new(need: Need, most: Option<u64>) -> Self {
        Self {
            need,
            most: most.unwrap_or(u64::MAX),
            oldest: BinaryHeap::new(),
            spent: Sum::default(),
            linked: HashMap::new(),
            useless: 0,
        }
    }

    /// Notes what is condemned and goes together.
    pub fn add<'f>(&mut self, subject: &Subject<'_>, files: impl Iterator<Item = &'f Look>) {
        let key = Key::of_condemned(subject);
        let mut sum = Sum { files: subject.files, ..Sum::default() };
        for look in files {
            sum.size = sum.size.saturating_add(look.size);
            if look.links <= 1 {
                sum.bytes = sum.bytes.saturating_add(look.allocated);
                sum.inodes += 1;
                continue;
            }
            let all = Sum { files: look.links.into(), size: look.size, bytes: look.allocated, inodes: 1 };
            let new = Linked { met: 0, of: look.links, item: Item { key, sum: all } };
            let linked = self.linked.entry(look.inode).or_insert(new);
            linked.met += 1;
            linked.item.key = linked.item.key.max(key);
        }
        if self.need.wants(sum.frees()) {
            self.push(Item { key, sum });
        } else {
            self.useless += subject.files;
        }
    }

    fn push(&mut self, item: Item) {
        self.spent.add(item.sum);
        self.oldest.push(item);
        while let Some(newest) = self.oldest.peek()
            && (self.spent.files > self.most
                || self.need.after(self.spent.without(newest.sum).frees()).is_met())
        {
            self.spent = self.spent.without(newest.sum);
            self.oldest.pop();
        }
    }

    /// Joins what two workers saw.
    pub fn merge(&mut self, other: Self) {
        self.useless += other.useless;
        for (inode, its) in other.linked {
            let mine = self.linked.entry(inode).or_insert(Linked { met: 0, ..its });
            mine.met += its.met;
            mine.item.key = mine.item.key.max(its.item.key);
        }
        for item in other.oldest {
            self.push(item);
        }
    }

    /// Which are spent, now that all have been seen.
    pub fn settle(mut self) -> Spent {
        let whole = std::mem::take(&mut self.linked).into_iter();
        let whole: HashMap<u64, Item> = whole
            .filter(|(_, linked)| linked.met >= linked.of && self.need.wants(linked.item.sum.frees()))
            .map(|(inode, linked)| (inode, linked.item))
            .collect();
        for item in whole.values() {
            self.push(*item);
        }
        let Sum { files, size, bytes, inodes } = self.spent;
        Spent {
            need: self.need,
            until: self.oldest.peek().map(|newest| newest.key),
            useless: self.useless.saturating_sub(whole.values().map(|item| item.sum.files).sum()),
            whole: whole.into_keys().collect(),
            tally: Tally { files, size, frees: bytes },
            inodes,
        }
    }
}

impl Spent {
    /// What goes.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What comes free.
    pub fn frees(&self) -> Need {
        Need { bytes: self.tally.frees, inodes: self.inodes }
    }

    /// Condemned files that would free nothing of what is needed: they have other names elsewhere, or
    /// take no space.
    pub fn useless(&self) -> u64 {
        self.useless
    }

    /// Why what is condemned stays all the same.
    pub(crate) fn keeps<'f>(
        &self,
        subject: &Subject<'_>,
        files: impl Iterator<Item = &'f Look>,
    ) -> Option<Kept> {
        let mut freed = Need::default();
        for look in files.filter(|look| look.links <= 1 || self.whole.contains(&look.inode)) {
            freed.bytes = freed.bytes.saturating_add(look.allocated);
            freed.inodes += 1;
        }
        if !self.need.wants(freed) {
            return Some(Kept::FreesNothing);
        }
        let is_spent = self.until.is_some_and(|until| Key::of_condemned(subject) <= until);
        (!is_spent).then_some(Kept::NotNeeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entry::Entry, fs::Inodes, time::Timestamp};
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn usage(used: u64, available: u64) -> Usage {
        Usage { used, available, ..Usage::default() }
    }

    fn look(at: i64, inode: u64, links: u32, allocated: u64) -> Look {
        let file = Look::of_file(Timestamp::from_seconds(at));
        Look { inode, links, size: allocated, allocated, ..file }
    }

    fn with<R>(name: &str, look: &Look, work: impl FnOnce(&Subject<'_>) -> R) -> R {
        let entry = Entry { folder: b"", name: name.as_bytes(), look: *look };
        work(&Subject::of(&entry, Ok(look.modified)))
    }

    fn spend(need: Need, looks: &[Look]) -> (Spent, Vec<Option<Kept>>) {
        let mut spending = Spending::new(need, None);
        for (n, look) in looks.iter().enumerate() {
            with(&n.to_string(), look, |subject| spending.add(subject, [look].into_iter()));
        }
        let spent = spending.settle();
        let each = looks.iter().enumerate();
        let kept = each
            .map(|(n, look)| with(&n.to_string(), look, |subject| spent.keeps(subject, [look].into_iter())))
            .collect();
        (spent, kept)
    }

    #[test]
    fn a_mark_is_reached_exactly_on_it() {
        let mark = Mark::share("95%".parse().unwrap());
        assert!(mark.is_reached_by(&usage(95, 5)) && !mark.is_reached_by(&usage(94, 6)));
        let full = Usage { inodes: Some(Inodes { used: 100, available: 0 }), ..usage(1, 99) };
        assert!(mark.is_reached_by(&full), "without an inode a disk is full");
        let free = Mark::free(ByteSize::from_bytes(5));
        assert!(free.is_reached_by(&usage(1, 5)) && !free.is_reached_by(&usage(1, 6)));
        assert!(!mark.is_reached_by(&usage(0, 0)), "what has no blocks is never full");
    }

    #[test]
    fn what_is_needed_is_exact() {
        let mark = Mark::share("85%".parse().unwrap());
        assert_eq!(mark.need(&usage(96, 4)), Need { bytes: 11, inodes: 0 });
        assert_eq!(mark.need(&usage(85, 15)), Need::default());
        let overdrawn = Usage { overdrawn: 20, ..usage(120, 0) };
        assert_eq!(mark.need(&overdrawn).bytes, 35, "of the 100 that there are for all");
        let free = Mark::free(ByteSize::from_bytes(10));
        assert_eq!(free.need(&usage(96, 4)).bytes, 6);
        assert_eq!(free.need(&overdrawn).bytes, 30, "root's reserve comes first");
        let more = Need { bytes: 3, inodes: 2 };
        assert_eq!(mark.need_with(&usage(96, 4), more).bytes, 14);
        assert_eq!(mark.need_with(&usage(100, 0), more).bytes, 18, "of the same whole");
        assert_eq!(mark.need_with(&usage(80, 20), more).bytes, 0);
        let inodes = Usage { inodes: Some(Inodes { used: 100, available: 0 }), ..usage(1, 99) };
        assert_eq!(mark.need(&inodes), Need { bytes: 0, inodes: 15 });
        assert_eq!(mark.need_with(&inodes, more).inodes, 17);
    }

    #[test]
    fn marks_are_told_in_words() {
        assert_eq!(Mark::share("85%".parse().unwrap()).to_string(), "85%");
        let all = Mark { used: "85%".parse().ok(), free: "2GiB".parse().ok(), inodes: "90%".parse().ok() };
        assert_eq!(all.to_string(), "85%, 90% of the inodes, 2.0 GiB free");
    }

    #[test]
    fn the_first_part_is_never_more() {
        let small = Need { bytes: 5, inodes: 0 };
        assert_eq!(small.first_part(), small);
        assert_eq!(
            Need { bytes: 800 * MIB, inodes: 8000 }.first_part(),
            Need { bytes: 100 * MIB, inodes: 1000 }
        );
    }

    #[test]
    fn others_take_their_share_of_the_next_step_too() {
        let need = Need { bytes: 100, inodes: 10 };
        let went = Need { bytes: 80, inodes: 8 };
        assert_eq!(need.beside_others(went, went), need);
        assert_eq!(need.beside_others(went, Need { bytes: 75, inodes: 8 }), need, "a little is no writer");
        assert_eq!(need.beside_others(went, Need { bytes: 40, inodes: 8 }), Need { bytes: 200, inodes: 10 });
        assert_eq!(need.beside_others(went, Need::default()), Need { bytes: 800, inodes: 80 });
        assert_eq!(need.beside_others(Need::default(), Need::default()), need);
    }

    #[test]
    fn other_names_outside_make_a_file_useless() {
        let need = Need { bytes: 3, inodes: 0 };
        let looks =
            [look(1, 7, 2, 10), look(2, 8, 2, 10), look(2, 8, 2, 10), look(3, 9, 1, 10), look(0, 1, 1, 0)];
        let (spent, kept) = spend(need, &looks);
        assert_eq!(kept[0], Some(Kept::FreesNothing));
        assert_eq!((kept[1], kept[2]), (None, None), "all its names are here");
        assert_eq!(kept[3], Some(Kept::NotNeeded));
        assert_eq!(kept[4], Some(Kept::FreesNothing), "an empty one brings no space");
        assert_eq!((spent.tally().files, spent.tally().frees, spent.useless()), (2, 10, 2));
    }

    proptest! {
        #[test]
        fn the_oldest_go_and_one_less_would_not_do(
            files in proptest::collection::vec((0..50_i64, 0..9_u64), 0..60),
            bytes in 0..200_u64,
            inodes in 0..20_u64,
        ) {
            let need = Need { bytes, inodes };
            let looks: Vec<Look> = (0..).zip(&files).map(|(n, (at, size))| look(*at, n, 1, *size)).collect();
            let (spent, kept) = spend(need, &looks);
            let gone: Vec<&Look> = looks.iter().zip(&kept).filter(|(_, kept)| kept.is_none()).map(|(look, _)| look).collect();
            let sum = |looks: &[&Look]| Need { bytes: looks.iter().map(|look| look.allocated).sum(), inodes: looks.len() as u64 };
            prop_assert_eq!(spent.frees(), sum(&gone));
            let newest = gone.iter().map(|look| look.modified).max();
            for (look, kept) in looks.iter().zip(&kept) {
                if *kept == Some(Kept::NotNeeded) {
                    prop_assert!(need.after(sum(&gone)).is_met());
                    prop_assert!(newest.is_none_or(|newest| look.modified >= newest));
                }
            }
            if let Some(newest) = newest {
                let of_newest = gone.iter().filter(|look| look.modified == newest).map(|look| look.allocated).max();
                let without = Need { bytes: sum(&gone).bytes - of_newest.unwrap_or(0), inodes: sum(&gone).inodes - 1 };
                let ties = gone.iter().filter(|look| look.modified == newest).count();
                prop_assert!(ties > 1 || !need.after(without).is_met());
            }
        }

        #[test]
        fn two_workers_see_what_one_sees(files in proptest::collection::vec((0..50_i64, 0..9_u64), 0..60), bytes in 0..200_u64) {
            let need = Need { bytes, inodes: 0 };
            let mut hands = [Spending::new(need, None), Spending::new(need, None), Spending::new(need, None)];
            for (n, (at, size)) in (0..).zip(&files) {
                let look = look(*at, n, 1, *size);
                for hand in [usize::try_from(n % 2).unwrap(), 2] {
                    with(&n.to_string(), &look, |subject| hands[hand].add(subject, [&look].into_iter()));
                }
            }
            let [mut a, b, all] = hands;
            a.merge(b);
            prop_assert_eq!(a.settle(), all.settle());
        }
    }
}
