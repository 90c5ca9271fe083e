//! The current tooth: a disk that rises hour by hour to where it has not been for a week.

use super::{
    DAY, Eta, agreed, real,
    samples::{Series, until},
};

const HOUR: u32 = 3600;
/// A rise is one of so many hours, each with its part in it: a copy of something large is over before.
const HOURS: [u32; 4] = [0, HOUR, 2 * HOUR, 3 * HOUR];
/// Higher than in all of this time before …
const KNOWN: u32 = 7 * DAY;
/// … of which at least so much was seen.
const SEEN: u32 = DAY;
/// One point of a hundred higher is new.
const POINT: u64 = 100;
/// What hours tell holds for a day, not for a week.
const FARTHEST: f64 = 24.0;

/// When the disk is full if it goes on like that; `written` is what trees whose end is known took in these
/// three hours.
pub(super) fn opinion(series: &Series, written: f64) -> Option<Eta> {
    let rise = agreed(series, |ago| rise(series, ago).filter(|rise| rise.until(series, ago) <= FARTHEST))?;
    if written >= rise.total() / 2.0 {
        return None;
    }
    let hours = [rise.0[1], rise.0[2], rise.0[0]].map(|by_hour| real(series.free()) / by_hour);
    Eta::of_days(hours[0] / 24.0, hours[1] / 24.0, hours[2] / 24.0)
}

/// By how much the disk rose in each of three hours, the least first.
#[derive(Debug, Clone, Copy)]
struct Rise([f64; 3]);

impl Rise {
    fn total(self) -> f64 {
        self.0.iter().sum()
    }

    /// Hours until the disk was full, seen from so long ago.
    fn until(self, series: &Series, ago: u32) -> f64 {
        let used = until(&series.points, ago).last().map_or(0, |point| point.used);
        real(series.whole.saturating_sub(used)) / self.0[1]
    }
}

fn rise(series: &Series, now: u32) -> Option<Rise> {
    let points = until(&series.points, now);
    let [level, one, two, three] = HOURS.map(|hours| series.level(now + hours));
    let (level, one, two, three) = (level?, one?, two?, three?);
    let before = until(points, now + HOURS[3]);
    let known = before.iter().rev().take_while(|point| point.ago <= now + KNOWN);
    let highest = known.map(|point| point.used).max()?;
    let is_new = level > highest.saturating_add(series.whole / POINT);
    let seen = series.reach() >= now + SEEN;
    let mut each =
        [(level, one), (one, two), (two, three)].map(|(later, earlier)| real(later) - real(earlier));
    each.sort_unstable_by(f64::total_cmp);
    (is_new && seen && each[0] > 0.0 && each[0] >= each[1] / 4.0).then_some(Rise(each))
}
