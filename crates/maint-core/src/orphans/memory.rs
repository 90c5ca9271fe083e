//! What is remembered from look to look: since when a file is known to be an orphan, and what the folders of
//! its partners were like.

use super::hashes::Hash;
use crate::{entry::Look, time::Timestamp, units::Span};
use serde::{Deserialize, Serialize};

/// Two looks at the same file, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// A hash of folder and name.
    file: u64,
    /// A hash of what tells it from another file of this name.
    stamp: u64,
    /// When it was first seen as an orphan, in seconds since 1970.
    first: i64,
    /// When it was last counted.
    last: i64,
    /// How often it was counted.
    looks: u32,
}

/// A folder of partners, as it was in the last clean look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Where.
    pub path: String,
    /// How many possible partners it held.
    pub partners: u64,
    /// When.
    pub at: i64,
    /// Where its filesystem is mounted.
    pub mounted: String,
    /// Which filesystem that is, as far as it says.
    pub filesystem: String,
    /// Which folder of it, where such numbers last; else 0.
    #[serde(default)]
    pub inode: u64,
    /// That it is empty is right: we emptied it, or somebody said so.
    #[serde(default)]
    pub is_rightly_empty: bool,
}

/// What is remembered of one section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The run that looked.
    run: String,
    /// A fingerprint of what it looked for.
    rules: String,
    folders: Vec<Known>,
    /// In order.
    sightings: Vec<Sighting>,
}

/// What it is remembered as: the version, run and folders as JSON, and the sightings.
const MARK: &[u8; 8] = b"orphans1";
const RECORD: usize = 36;

impl Sighting {
    /// Which file, by its place.
    pub(super) fn file(folder: &[u8], name: &[u8]) -> u64 {
        Hash::new(1).with(folder).with(name).get()
    }

    /// Which file, by what it is: one that was written anew is another one.
    pub(super) fn stamp(look: &Look) -> u64 {
        let Timestamp { seconds, nanos } = look.modified;
        Hash::new(2)
            .with_number(look.inode)
            .with_number(look.size)
            .with_number(seconds.cast_unsigned())
            .with_number(u64::from(nanos))
            .get()
    }

    /// One look more, or the first; `apart` since the last that counted, or it does not count.
    pub(super) fn after(before: Option<&Self>, file: u64, stamp: u64, now: Timestamp, apart: Span) -> Self {
        let now_seconds = now.seconds;
        match before {
            // One from the future says nothing about how long ago it was.
            Some(before)
                if before.stamp == stamp && before.first <= before.last && before.last <= now_seconds =>
            {
                let since = now.since(Timestamp::from_seconds(before.last));
                let counts = since >= apart;
                Self {
                    last: if counts { now_seconds } else { before.last },
                    looks: before.looks.saturating_add(u32::from(counts)),
                    ..*before
                }
            }
            _ => Self { file, stamp, first: now_seconds, last: now_seconds, looks: 1 },
        }
    }

    /// Which file, by its place.
    pub(super) fn place(&self) -> u64 {
        self.file
    }

    /// Whether a file is still the one that was seen.
    pub(super) fn is_of(&self, look: &Look) -> bool {
        self.stamp == Self::stamp(look)
    }

    /// For how long it has been known.
    pub(super) fn since(&self, now: Timestamp) -> Span {
        now.since(Timestamp::from_seconds(self.first))
    }

    /// How often it was counted.
    pub(super) fn looks(&self) -> u32 {
        self.looks
    }
}

impl Memory {
    /// What is known of these folders and orphans now.
    pub fn new(run: String, rules: String, folders: Vec<Known>, mut sightings: Vec<Sighting>) -> Self {
        sightings.sort_unstable();
        sightings.dedup_by_key(|sighting| sighting.file);
        Self { run, rules, folders, sightings }
    }

    /// The run that looked.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// A fingerprint of what it looked for.
    pub fn rules(&self) -> &str {
        &self.rules
    }

    /// A later look was not remembered: what was seen before it proves nothing any more.
    pub fn begin_anew(&mut self) {
        self.sightings.clear();
    }

    /// So many partners went from a folder through ourselves: that it has gone empty is right.
    pub fn let_go(&mut self, path: &str, partners: u64) {
        for known in self.folders.iter_mut().filter(|known| known.path == path) {
            known.partners = known.partners.saturating_sub(partners);
            known.is_rightly_empty = known.partners == 0;
        }
    }

    /// A folder as it was.
    pub fn folder(&self, path: &str) -> Option<&Known> {
        self.folders.iter().find(|known| known.path == path)
    }

    /// How often a file has been counted so far.
    pub(super) fn looks_at(&self, file: u64, stamp: u64) -> u32 {
        self.of(file).filter(|sighting| sighting.stamp == stamp).map_or(0, |sighting| sighting.looks)
    }

    pub(super) fn of(&self, file: u64) -> Option<&Sighting> {
        let at = self.sightings.binary_search_by_key(&file, |sighting| sighting.file).ok()?;
        self.sightings.get(at)
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let folders = serde_json::to_vec(&(&self.run, &self.rules, &self.folders)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(16 + folders.len() + RECORD * self.sightings.len());
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&(folders.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&folders);
        for Sighting { file, stamp, first, last, looks } in &self.sightings {
            bytes.extend_from_slice(&file.to_le_bytes());
            bytes.extend_from_slice(&stamp.to_le_bytes());
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
            bytes.extend_from_slice(&looks.to_le_bytes());
        }
        bytes
    }

    /// From bytes; `None` for what is not what was written.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MARK)?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (folders, records) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let (run, rules, folders) = serde_json::from_slice(folders).ok()?;
        if records.len() % RECORD != 0 {
            return None;
        }
        let number = |record: &[u8], at: usize| {
            let bytes: [u8; 8] = record.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let sightings: Option<Vec<Sighting>> = records
            .chunks_exact(RECORD)
            .map(|record| {
                Some(Sighting {
                    file: number(record, 0)?,
                    stamp: number(record, 8)?,
                    first: number(record, 16)?.cast_signed(),
                    last: number(record, 24)?.cast_signed(),
                    looks: u32::from_le_bytes(record.get(32..36)?.try_into().ok()?),
                })
            })
            .collect();
        Some(Self::new(run, rules, folders, sightings?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HALF_AN_HOUR: Span = Span::from_seconds(1800);

    /// How many looks count, of looks at these moments.
    fn counted(moments: &[i64]) -> u32 {
        let look = |before: Option<Sighting>, at: &i64| {
            Some(Sighting::after(before.as_ref(), 1, 1, Timestamp::from_seconds(*at), HALF_AN_HOUR))
        };
        moments.iter().fold(None, look).unwrap().looks
    }

    #[test]
    fn looks_count_when_they_are_apart() {
        assert_eq!(counted(&[0]), 1);
        assert_eq!(counted(&[0, 1799]), 1);
        assert_eq!(counted(&[0, 1800]), 2);
        assert_eq!(counted(&[0, 900, 1800, 2700, 3600]), 3);
    }

    #[test]
    fn a_clock_that_goes_back_begins_anew() {
        assert_eq!(counted(&[0, 9000, 100]), 1);
        assert_eq!(counted(&[0, 9000, 100, 1900]), 2);
    }

    #[test]
    fn a_file_written_anew_begins_anew() {
        let at = Timestamp::from_seconds(0);
        let before = Sighting::after(None, 1, 1, at, HALF_AN_HOUR);
        let later = Sighting::after(Some(&before), 1, 2, at.plus(HALF_AN_HOUR), HALF_AN_HOUR);
        assert_eq!((later.looks, later.first), (1, 1800));
    }

    fn sightings() -> impl Strategy<Value = Vec<Sighting>> {
        let one = (any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>(), any::<u32>());
        let one =
            one.prop_map(|(file, stamp, first, last, looks)| Sighting { file, stamp, first, last, looks });
        prop::collection::vec(one, 0..50)
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_was_known(sightings in sightings(), path: String, partners: u64) {
            let known = Known {
                path,
                partners,
                at: 5,
                mounted: "/mnt".to_owned(),
                filesystem: String::new(),
                inode: 7,
                is_rightly_empty: true,
            };
            let memory = Memory::new("a run".to_owned(), "rules".to_owned(), vec![known], sightings);
            let bytes = memory.to_bytes();
            prop_assert_eq!(Memory::of_bytes(&bytes), Some(memory));
            prop_assert_eq!(Memory::of_bytes(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn nothing_else_is_a_memory(bytes: Vec<u8>) {
            prop_assert_eq!(Memory::of_bytes(&bytes), None);
        }
    }
}
