//! The peak envelope: where the tops of the teeth lead, however deep the cleanup bites.
//!
//! Days are counted back from now, so that each is whole. Where a cleanup comes less often than daily, its
//! interval takes the place of the day.

use super::{
    DAY, Eta, Opinion, agreed, real,
    samples::{KEPT, Point, Series, until},
};
use crate::units::{Share, Span};

/// From fewer peaks nothing follows …
const FEWEST: usize = 3;
/// … and from so few on a disk with much room neither: it is being filled for the first time.
const SETTLED: usize = 7;
const MUCH_ROOM: Share = Share::from_percent(60);
/// Look-backs in peaks: the trend of a month, and a younger one.
const LOOK_BACKS: [usize; 4] = [28, 14, 7, 4];
/// A look-back so short has no statistics: its rise must be even.
const SHORT: usize = 4;
/// A period may be so long that `FEWEST` of them are remembered.
const LONGEST_PERIOD: u32 = 9 * DAY;
/// A fall of more than this share of what the disk usually moves is a cleanup.
const FALL: f64 = 0.35;
/// A tooth may begin or end so much beside its time.
const SLACK: u32 = 3600;

/// What the envelope says; `explained` is the growth by day of trees whose end is known.
pub(super) fn opinion(series: &Series, explained: f64) -> Opinion {
    let teeth = Teeth::of(&series.points);
    let peaks = teeth.peaks(&series.points, 0).len();
    let few_but_much_room = peaks < SETTLED && !MUCH_ROOM.is_exceeded_by(series.used, series.whole);
    if peaks < FEWEST {
        return if is_calm(series) { Opinion::Stable } else { teeth.insufficient(series, FEWEST) };
    }
    let growth = |ago| {
        let trend = Trend::of(&teeth.peaks(&series.points, ago))?;
        let level = trend.level.max(real(until(&series.points, ago).last()?.used));
        Some((trend, level))
    };
    let Some((trend, level)) = agreed(series, growth) else { return Opinion::Stable };
    let per_day = |by_period: f64| by_period * f64::from(DAY) / f64::from(teeth.period);
    if per_day(trend.slope) <= 2.0 * explained {
        return Opinion::Explained;
    }
    let room = (real(series.whole) - level).max(0.0);
    let days = [trend.slope, trend.high, trend.low].map(|slope| room / per_day(slope));
    match Opinion::of(Eta::of_days(days[0], days[1], days[2])) {
        Opinion::Full(_) if few_but_much_room => teeth.insufficient(series, SETTLED),
        opinion => opinion,
    }
}

/// Whether a disk has moved so little in three days that it does not matter which way.
fn is_calm(series: &Series) -> bool {
    let used = || series.points.iter().map(|point| point.used);
    let moved = used().max().unwrap_or(0) - used().min().unwrap_or(0);
    series.reach().saturating_add(SLACK) >= 3 * DAY && moved <= series.free() / 20
}

/// How often a disk is cleaned up, as its falls tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Teeth {
    /// Whole days.
    period: u32,
    /// Before this a single fall has changed everything.
    since: u32,
}

impl Teeth {
    fn of(points: &[Point]) -> Self {
        // What a disk moves in a week is not what it moved while it was filled.
        let within = |days: u32| &points[points.partition_point(|point| point.ago > days * DAY)..];
        let mut falls = falls(points);
        for days in [14, 7] {
            let younger = self::falls(within(days));
            if younger.len() > 2 {
                falls = younger;
            }
        }
        let mut between: Vec<u32> = falls.windows(2).map(|pair| pair[0] - pair[1]).collect();
        between.sort_unstable();
        // All but the longest tenth: a period that is too long has a top of every tooth in it.
        let usual = between.get(between.len() * 9 / 10).copied().unwrap_or(0);
        let days = usual.saturating_sub(SLACK).div_ceil(DAY).max(1);
        let since = if let [only] = falls[..] { only } else { u32::MAX };
        Self { period: (days * DAY).min(LONGEST_PERIOD), since }
    }

    /// The top of each whole period before a moment, with the number of periods since: the oldest first.
    fn peaks(self, points: &[Point], from: u32) -> Vec<(f64, f64)> {
        let reach = points.first().map_or(0, |point| point.ago.min(self.since)).saturating_sub(from);
        let whole = (reach.saturating_add(SLACK)) / self.period;
        let mut rest = points;
        let mut peaks = Vec::with_capacity(usize::try_from(whole).unwrap_or(0));
        for period in (0..whole).rev() {
            let begins = from.saturating_add((period + 1).saturating_mul(self.period));
            rest = &rest[rest.partition_point(|point| point.ago >= begins)..];
            let its = until(rest, begins - self.period);
            if let Some(top) = its.iter().map(|point| point.used).max() {
                peaks.push((-f64::from(period), real(top)));
            }
        }
        peaks
    }

    fn insufficient(self, series: &Series, need: usize) -> Opinion {
        let need = u64::from(self.period) * need as u64;
        let have = u64::from(series.reach().min(self.since)).min(need.saturating_sub(1));
        Opinion::Insufficient {
            have: Span::from_seconds(have),
            need: Span::from_seconds(need.min(KEPT.seconds())),
        }
    }
}

/// When a disk fell by a good part of what it usually moves: so many seconds ago, the oldest first.
fn falls(points: &[Point]) -> Vec<u32> {
    let mut levels: Vec<u64> = points.iter().map(|point| point.used).collect();
    let mut at = |percent: usize| {
        let n = levels.len() * percent / 100;
        if levels.is_empty() { 0.0 } else { real(*levels.select_nth_unstable(n).1) }
    };
    let enough = FALL * (at(95) - at(5));
    let (mut falls, mut falling) = (Vec::new(), false);
    let (mut top, mut bottom) = (0.0_f64, 0.0_f64);
    for point in points {
        let used = real(point.used);
        (top, bottom) = (top.max(used), bottom.min(used));
        if falling && used > bottom + enough {
            (falling, top) = (false, used);
        } else if !falling && used < top - enough {
            (falling, bottom) = (true, used);
            falls.push(point.ago);
        }
    }
    falls
}

/// A rise of peaks, by period.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trend {
    slope: f64,
    /// Between these the slope is with a chance of 80 %.
    low: f64,
    high: f64,
    /// Where its line is now.
    level: f64,
}

impl Trend {
    /// The steepest rise that can be believed, of all look-backs.
    fn of(peaks: &[(f64, f64)]) -> Option<Self> {
        let last = |n: usize| &peaks[peaks.len().saturating_sub(n)..];
        let mut steepest: Option<Self> = None;
        for look_back in LOOK_BACKS {
            let rise = Self::theil_sen(last(look_back));
            // What rose for a month and not this week has come to its end.
            let goes_on = |rise: &Self| {
                look_back <= SETTLED || Self::slopes(last(SETTLED)).median() >= rise.slope / 4.0
            };
            if let Some(rise) = rise.filter(goes_on)
                && steepest.is_none_or(|known| known.slope < rise.slope)
            {
                steepest = Some(rise);
            }
        }
        steepest
    }

    /// The median of the slopes of all pairs, if it is surely a rise: the order of that many peaks would be
    /// such by chance in less than one case of a hundred, or all of them rise evenly.
    fn theil_sen(peaks: &[(f64, f64)]) -> Option<Self> {
        let slopes = Self::slopes(peaks);
        let (lowest, _) = slopes.within(peaks.len(), 2.33);
        let even = || lowest >= slopes.within(peaks.len(), 2.33).1 / 2.0;
        let believed = lowest > 0.0 && (peaks.len() > SHORT || even());
        let slope = slopes.median();
        let mut levels: Vec<f64> = peaks.iter().map(|(x, y)| y - slope * x).collect();
        levels.sort_unstable_by(f64::total_cmp);
        let (low, high) = slopes.within(peaks.len(), 1.28);
        // A step is in half of all pairs, and in no interval that is worth its name.
        let is_narrow = low >= slope / 4.0;
        (peaks.len() >= FEWEST && believed && is_narrow).then(|| Self {
            slope,
            low,
            high,
            level: Slopes(levels).median(),
        })
    }

    fn slopes(peaks: &[(f64, f64)]) -> Slopes {
        let from = |n: usize| peaks[..n].iter().map(move |earlier| (earlier, &peaks[n]));
        let pairs = (0..peaks.len()).flat_map(from);
        let mut slopes: Vec<f64> = pairs.map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect();
        slopes.sort_unstable_by(f64::total_cmp);
        Slopes(slopes)
    }
}

/// Numbers in order.
struct Slopes(Vec<f64>);

impl Slopes {
    fn median(&self) -> f64 {
        let n = self.0.len();
        match n {
            0 => 0.0,
            n if n.is_multiple_of(2) => f64::midpoint(self.0[n / 2 - 1], self.0[n / 2]),
            n => self.0[n / 2],
        }
    }

    /// Sen's interval: between which slopes of so many peaks the true one lies, `z` deviations to each side.
    fn within(&self, peaks: usize, z: f64) -> (f64, f64) {
        let n = real(peaks as u64);
        let spread = z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).max(0.0).sqrt();
        let below = ((real(self.0.len() as u64) - spread) / 2.0).max(0.0);
        let n = usize::try_from(super::natural(below)).unwrap_or(0);
        let at = |n: usize| self.0.get(n).copied().unwrap_or(0.0);
        (at(n), at(self.0.len().saturating_sub(n + 1)))
    }
}
