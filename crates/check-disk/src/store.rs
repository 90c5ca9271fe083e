//! What is remembered of a volume from run to run: how full it was, for 28 days. Samples are added in the
//! runtime folder, which lies in memory; once an hour they are carried over to the state folder.

use maint_core::{forecast, fs::replace_file, time::Timestamp, units::Span};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// How full a volume was, and how much its filesystem had written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at: i64,
    pub(crate) used: u64,
    pub(crate) whole: u64,
    pub(crate) inodes_used: u64,
    pub(crate) inodes_whole: u64,
    /// Bytes written since the filesystem was made; 0 where nobody says.
    pub(crate) written: u64,
}

const FIELDS: usize = 6;
const LENGTH: usize = FIELDS * 8;

/// So long each of them; of older ones the fullest of each hour.
const IN_FULL: Span = Span::from_seconds(8 * 86_400);
/// So often they are carried over.
pub(crate) const CARRIED: Span = Span::from_seconds(3600);
/// A file that has grown beyond this is thinned.
const LARGE: u64 = LENGTH as u64 * 6000;

impl Sample {
    fn to_bytes(self) -> [u8; LENGTH] {
        let Self { at, used, whole, inodes_used, inodes_whole, written } = self;
        let fields = [at.cast_unsigned(), used, whole, inodes_used, inodes_whole, written];
        let mut bytes = [0; LENGTH];
        for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let field = |n: usize| {
            let slot = bytes.get(n * 8..n * 8 + 8).and_then(|slot| slot.try_into().ok());
            slot.map_or(0, u64::from_le_bytes)
        };
        Self {
            at: field(0).cast_signed(),
            used: field(1),
            whole: field(2),
            inodes_used: field(3),
            inodes_whole: field(4),
            written: field(5),
        }
    }
}

/// The samples of one volume.
pub(crate) struct Store {
    fresh: PathBuf,
    lasting: PathBuf,
}

impl Store {
    /// Those of a volume, in these two folders.
    pub(crate) fn of(volume: &str, runtime: &Path, state: &Path) -> Self {
        let name = file_name(volume);
        Self {
            fresh: runtime.join(format!("check-disk-{name}.samples")),
            lasting: state.join(format!("{name}.samples")),
        }
    }

    /// All there are up to now, the oldest first. What cannot be read is not there.
    pub(crate) fn read(&self, now: Timestamp) -> Vec<Sample> {
        let mut all = self.all();
        let oldest = now.minus(forecast::KEPT).seconds;
        // What a clock that was ahead has written is of no time that has been.
        all.retain(|sample| (oldest..=now.seconds).contains(&sample.at));
        all
    }

    /// Where the clock was set back the order of the file is not that of time.
    fn all(&self) -> Vec<Sample> {
        let mut all = read(&self.lasting);
        let fresh = read(&self.fresh);
        all.extend(not_yet_in(&all, &fresh));
        all.sort_by_key(|sample| sample.at);
        all.dedup_by_key(|sample| sample.at);
        all
    }

    /// Adds one.
    pub(crate) fn add(&self, sample: Sample) -> io::Result<()> {
        let mut file = open(&self.fresh)?;
        heal(&file)?;
        file.write_all(&sample.to_bytes())
    }

    /// Carries the fresh ones over, if they have waited for an hour or nothing is lasting yet.
    pub(crate) fn carry_over(&self, now: Timestamp) -> io::Result<()> {
        let fresh = read(&self.fresh);
        let waits = |sample: &Sample| {
            let since = Timestamp::from_seconds(sample.at);
            since <= now && now.since(since) < CARRIED
        };
        if fresh.is_empty() || (fresh.iter().all(waits) && self.lasting.exists()) {
            return Ok(());
        }
        let mut file = open(&self.lasting)?;
        heal(&file)?;
        if file.metadata()?.len() + (fresh.len() * LENGTH) as u64 > LARGE {
            let thinned: Vec<u8> = thinned(&self.all(), now).into_iter().flat_map(Sample::to_bytes).collect();
            replace_file(&self.lasting, &thinned, 0o640)?;
            File::open(&self.lasting)?.sync_data()?;
        } else {
            let new = not_yet_in(&read(&self.lasting), &fresh);
            let bytes: Vec<u8> = new.into_iter().flat_map(Sample::to_bytes).collect();
            file.write_all(&bytes)?;
            file.sync_data()?;
        }
        OpenOptions::new().write(true).open(&self.fresh)?.set_len(0)
    }
}

/// The fresh samples that are not lasting yet: after a kill between carrying over and clearing, or amid it, the
/// first of them are the last of those. No time is compared: the clock may have been set in between.
fn not_yet_in(lasting: &[Sample], fresh: &[Sample]) -> Vec<Sample> {
    let most = fresh.len().min(lasting.len());
    let both = (0..=most).rev().find(|n| lasting.ends_with(&fresh[..*n])).unwrap_or(0);
    fresh[both..].to_vec()
}

/// A name that is one for a file too.
fn file_name(volume: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    volume.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:x}", u32::from(c)) }).collect()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// Cuts off what a full disk or a kill left half written.
fn heal(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let whole = length - length % LENGTH as u64;
    if whole < length { file.set_len(whole) } else { Ok(()) }
}

fn read(path: &Path) -> Vec<Sample> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    bytes.chunks_exact(LENGTH).map(Sample::from_bytes).collect()
}

/// What is ahead of the clock stays: a machine may begin its day in 1970.
fn thinned(all: &[Sample], now: Timestamp) -> Vec<Sample> {
    let (oldest, border) = (now.minus(forecast::KEPT).seconds, now.minus(IN_FULL).seconds);
    let mut hours: BTreeMap<i64, Sample> = BTreeMap::new();
    for sample in all.iter().filter(|sample| (oldest..border).contains(&sample.at)) {
        let fullest = hours.entry(sample.at.div_euclid(3600)).or_insert(*sample);
        if sample.used > fullest.used {
            *fullest = *sample;
        }
    }
    hours.into_values().chain(all.iter().copied().filter(|sample| sample.at >= border)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64) -> Sample {
        Sample { at, used: at.unsigned_abs(), whole: 1000, ..Sample::default() }
    }

    fn samples(at: &[i64]) -> Vec<Sample> {
        at.iter().copied().map(sample).collect()
    }

    #[test]
    fn samples_come_back() {
        let one = Sample { at: -5, used: 1, whole: u64::MAX, inodes_used: 3, inodes_whole: 4, written: 5 };
        assert_eq!(Sample::from_bytes(&one.to_bytes()), one);
    }

    #[test]
    fn what_is_carried_over_is_not_fresh_any_more() {
        for (lasting, fresh, new) in [
            (&[][..], &[1, 2][..], &[1, 2][..]),
            (&[1, 2], &[3], &[3]),
            (&[1, 2, 3], &[2, 3], &[]),
            (&[1, 2, 3], &[2, 3, 4], &[4]),
            // Only the first of them had been written.
            (&[1, 2], &[2, 3], &[3]),
            // A clock was set back, or ahead and back.
            (&[100, 200], &[50, 60], &[50, 60]),
            (&[100, 9000], &[110, 120], &[110, 120]),
        ] {
            assert_eq!(not_yet_in(&samples(lasting), &samples(fresh)), samples(new), "{lasting:?} {fresh:?}");
        }
    }

    #[test]
    fn old_samples_are_thinned_to_the_fullest_of_each_hour() {
        let now = Timestamp::from_seconds(40 * 86_400);
        let all: Vec<Sample> = (0..=40 * 288).map(|n| sample(n * 300)).collect();
        let left = thinned(&all, now);
        let border = now.minus(IN_FULL).seconds;
        assert_eq!(left.iter().filter(|one| one.at < border).count(), 20 * 24);
        assert!(left.iter().filter(|one| one.at < border).all(|one| one.at % 3600 == 3300));
        assert_eq!(left.iter().filter(|one| one.at >= border).count(), 8 * 288 + 1);
        assert!(left.is_sorted_by_key(|one| one.at));
    }

    #[test]
    fn names_of_volumes_are_names_of_files() {
        assert_eq!(file_name("ssd_1-a"), "ssd_1-a");
        assert_eq!(file_name("a.b/c"), "a%2eb%2fc");
    }
}
