//! A set of names that keeps none of them: eight bytes each, in order, and where each range begins.

/// A hash of byte strings, one after the other. It is kept from run to run, so it never changes.
///
/// Two names that share one are taken for the same. That keeps a file that could go; none goes for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(u64);

impl Hash {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(super) const fn new(kind: u64) -> Self {
        Self(kind.wrapping_mul(Self::FACTOR) ^ 0x243f_6a88_85a3_08d3)
    }

    /// With one more string: its length is part of it, so that "a", "bc" is not "ab", "c".
    #[must_use]
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        let mut hash = Self::mixed(self.0, bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            hash = Self::mixed(hash, u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        Self(Self::mixed(hash, u64::from_le_bytes(last)))
    }

    #[must_use]
    pub(super) fn with_number(self, number: u64) -> Self {
        Self(Self::mixed(self.0, number))
    }

    pub(super) const fn get(self) -> u64 {
        let hash = self.0 ^ (self.0 >> 32);
        let hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash ^ (hash >> 32)
    }

    fn mixed(hash: u64, number: u64) -> u64 {
        let product = u128::from(hash ^ number) * u128::from(Self::FACTOR | 1);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
        let (low, high) = (product as u64, (product >> 64) as u64);
        (low ^ high).rotate_left(23).wrapping_add(number)
    }
}

/// A set of hashes.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    sorted: Vec<u64>,
    /// Where the hashes begin whose upper bits are this number, or a larger one.
    starts: Vec<u32>,
    shift: u32,
}

/// So many share a beginning, more or less.
const TOGETHER: usize = 8;

impl Hashes {
    pub(super) fn of(mut all: Vec<u64>) -> Self {
        all.sort_unstable();
        all.dedup();
        let ranges = (all.len() / TOGETHER).next_power_of_two().max(2);
        let shift = u64::BITS - ranges.trailing_zeros();
        let mut starts = Vec::with_capacity(ranges + 1);
        let mut at = 0;
        for range in 0..ranges as u64 {
            while all.get(at).is_some_and(|hash| hash >> shift < range) {
                at += 1;
            }
            starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        starts.push(u32::try_from(all.len()).unwrap_or(u32::MAX));
        Self { sorted: all, starts, shift }
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        if self.sorted.is_empty() {
            return false;
        }
        let range = usize::try_from(hash >> self.shift).unwrap_or(0);
        let (start, end) = (self.starts[range] as usize, self.starts[range + 1] as usize);
        self.sorted[start..end].contains(&hash)
    }

    /// Those of both.
    pub(super) fn joined(&self, more: &Self) -> Self {
        Self::of([self.sorted.as_slice(), &more.sorted].concat())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.sorted.iter().copied()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sorted.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(parts: &[&[u8]]) -> u64 {
        parts.iter().fold(Hash::new(0), |hash, part| hash.with(part)).get()
    }

    #[test]
    fn strings_are_told_apart() {
        let all = [
            hash(&[b"a", b"bc"]),
            hash(&[b"ab", b"c"]),
            hash(&[b"abc"]),
            hash(&[b"abc\0"]),
            hash(&[b"abcdefgh"]),
            hash(&[b"abcdefgh", b""]),
            hash(&[b"hgfedcba"]),
            Hash::new(1).with(b"abc").get(),
        ];
        assert_eq!(Hashes::of(all.to_vec()).len(), all.len());
    }

    #[test]
    fn a_million_numbered_names_do_not_meet() {
        let names = (0..1_000_000_u32).map(|n| hash(&[b"2026/11", format!("cam_{n:07}").as_bytes()]));
        assert_eq!(Hashes::of(names.collect()).len(), 1_000_000);
    }

    #[test]
    fn what_is_kept_from_run_to_run_stays_the_same() {
        assert_eq!(hash(&[b"2026/11", b"a.json"]), 8_740_880_779_331_332_562);
    }

    proptest! {
        #[test]
        fn a_set_has_what_it_was_made_of(all in prop::collection::vec(any::<u64>(), 0..200), other: u64) {
            let set = Hashes::of(all.clone());
            prop_assert!(all.iter().all(|hash| set.has(*hash)));
            prop_assert_eq!(set.has(other), all.contains(&other));
        }
    }
}
