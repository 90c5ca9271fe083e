//! Samples of a volume, cleaned: in order, of one disk, of the last 28 days.

use crate::{time::Timestamp, units::Span};

/// So long samples are kept, and looked at.
pub const KEPT: Span = Span::from_seconds(28 * 24 * 3600);

/// One whole in so many that a disk may change its size and be the same: btrfs and ZFS guess theirs.
const SAME_SIZE: u64 = 50;

/// How full a volume was: in bytes, or in inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// In use.
    pub used: u64,
    /// All there is for anybody to use.
    pub whole: u64,
}

/// A cleaned sample: so many seconds before now there was so much in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) ago: u32,
    pub(super) used: u64,
}

/// The past of one volume, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) points: Vec<Point>,
    /// The most that was in use up to each of them.
    highest: Vec<u64>,
    pub(super) used: u64,
    pub(super) whole: u64,
}

impl Series {
    /// What can be believed of samples that stand in the order in which they were taken.
    ///
    /// What claims to be later than the last one was taken by a clock that has been set back since. What
    /// had another size was another disk, or the same before it grew.
    pub(super) fn of(now: Timestamp, samples: &[Sample]) -> Option<Self> {
        let last = samples.iter().rev().find(|sample| ago(now, sample.at).is_some())?;
        let of_this_disk = |sample: &&Sample| {
            sample.whole.abs_diff(last.whole) <= last.whole / SAME_SIZE && sample.at <= last.at
        };
        let believed = samples.iter().filter(of_this_disk);
        let points: Vec<Point> = believed
            .filter_map(|sample| Some(Point { ago: ago(now, sample.at)?, used: sample.used }))
            .collect();
        let points = in_order(points);
        let mut most = 0;
        let highest = points.iter().map(|point| {
            most = point.used.max(most);
            most
        });
        Some(Self { highest: highest.collect(), points, used: last.used, whole: last.whole })
    }

    /// The most that was in use before so many seconds ago.
    pub(super) fn highest_before(&self, ago: u32) -> Option<u64> {
        let known = self.points.partition_point(|point| point.ago > ago);
        self.highest.get(known.checked_sub(1)?).copied()
    }

    pub(super) fn free(&self) -> u64 {
        self.whole.saturating_sub(self.used)
    }

    /// How full the disk was so many seconds ago, if somebody looked in the half hour before.
    pub(super) fn level(&self, ago: u32) -> Option<u64> {
        let last = until(&self.points, ago).last()?;
        (last.ago - ago <= 1800).then_some(last.used)
    }

    /// For how long it is known.
    pub(super) fn reach(&self) -> u32 {
        self.points.first().map_or(0, |point| point.ago)
    }

    /// How long ago the last sample was taken.
    pub(super) fn staleness(&self) -> u32 {
        self.points.last().map_or(0, |point| point.ago)
    }
}

/// The points that were there so many seconds ago.
pub(super) fn until(points: &[Point], ago: u32) -> &[Point] {
    &points[..points.partition_point(|point| point.ago >= ago)]
}

fn ago(now: Timestamp, at: Timestamp) -> Option<u32> {
    let seconds = now.since(at).seconds();
    (at <= now && seconds <= KEPT.seconds()).then(|| u32::try_from(seconds).ok()).flatten()
}

/// The longest part of a series in which time only goes on. A clock that went wrong for a while and was set
/// right loses what it said meanwhile, whichever way it was wrong.
fn in_order(points: Vec<Point>) -> Vec<Point> {
    if points.windows(2).all(|pair| pair[0].ago > pair[1].ago) {
        return points;
    }
    // For each length the way whose end is the earliest, and from each point the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(points.len());
    for (n, point) in points.iter().enumerate() {
        let length = ends.partition_point(|end| points[*end].ago > point.ago);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = n,
            None => ends.push(n),
        }
    }
    let way = std::iter::successors(ends.last().copied(), |n| before[*n]);
    let mut kept: Vec<Point> = way.map(|n| points[n]).collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_726_400;

    fn sample(ago: i64, used: u64, whole: u64) -> Sample {
        Sample { at: Timestamp::from_seconds(NOW - ago), used, whole }
    }

    fn left(samples: &[Sample]) -> Vec<u32> {
        let series = Series::of(Timestamp::from_seconds(NOW), samples);
        series.map_or(Vec::new(), |series| series.points.iter().map(|point| point.ago).collect())
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_loses_what_it_said() {
        let ahead = [500, 400, 50, 40, 300, 200, 100, 30].map(|ago| sample(ago, 1, 100));
        assert_eq!(left(&ahead), [500, 400, 300, 200, 100, 30]);
        let behind = [600, 500, 400, 900, 800, 300, 200].map(|ago| sample(ago, 1, 100));
        assert_eq!(left(&behind), [600, 500, 400, 300, 200]);
        let in_1970 = [500, 400, NOW, NOW - 100, 300].map(|ago| sample(ago, 1, 100));
        assert_eq!(left(&in_1970), [500, 400, 300]);
    }

    #[test]
    fn the_last_sample_is_believed_before_a_later_one() {
        let set_back = [500, 90, 80, 70, 400].map(|ago| sample(ago, 1, 100));
        assert_eq!(left(&set_back), [500, 400]);
        let ahead_of_now = [500, 400, -60].map(|ago| sample(ago, 1, 100));
        assert_eq!(left(&ahead_of_now), [500, 400]);
        assert_eq!(left(&[7, 7, 7].map(|ago| sample(ago, 1, 100))), [7]);
    }

    #[test]
    fn another_size_is_another_disk_and_a_guess_is_not() {
        let grown = [sample(500, 1, 100), sample(400, 1, 200), sample(300, 1, 200)];
        assert_eq!(left(&grown), [400, 300]);
        let guessed = [sample(500, 1, 1010), sample(400, 1, 990), sample(300, 1, 1000)];
        assert_eq!(left(&guessed), [500, 400, 300]);
        let swapped_and_back = [sample(500, 1, 100), sample(400, 1, 64), sample(300, 1, 100)];
        assert_eq!(left(&swapped_and_back), [500, 300]);
    }

    #[test]
    fn nothing_older_than_28_days_counts() {
        assert_eq!(left(&[29 * 86_400, 28 * 86_400, 0].map(|ago| sample(ago, 1, 100))), [28 * 86_400, 0]);
        assert!(left(&[]).is_empty() && left(&[sample(40 * 86_400, 1, 100)]).is_empty());
    }
}
