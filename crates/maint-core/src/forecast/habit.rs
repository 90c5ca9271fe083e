//! What a tree is going to take: the same as a day before, and more since its hours have been taking more than
//! the same hours of the day before.

use super::{real, retention::Tree, samples::Series};
use crate::time::Timestamp;

pub(super) const A_DAY: usize = 24;
const HOUR: u32 = 3600;
const WEEK: u32 = 7 * 24 * HOUR;
/// A change is believed up to these factors.
const CHANGE: (f64, f64) = (0.3, 4.0);
/// Without two days nobody knows how much one differs from the other.
const USUAL_DOUBT: f64 = 0.2;
const LEAST_DOUBT: f64 = 0.1;
/// Hours of which both days must be known.
const ENOUGH_PAIRS: usize = 12;
/// One hour differs from the same of the day before by at least so much.
const LEAST_NOISE: f64 = 0.08;
/// A change is one when it is so many deviations away from none.
const SURE: f64 = 3.0;
/// A rise that is mostly that of a week ago is the week's.
const MOSTLY: f64 = 0.75;

/// What a tree is going to take.
#[derive(Debug)]
pub(super) struct Habit {
    /// What the last hours took, the youngest first.
    pub(super) recent: Vec<f64>,
    /// What the next hours of a day will take.
    pub(super) profile: [f64; A_DAY],
    /// Whether they will take something else than a day before.
    pub(super) changed: bool,
    /// The logarithm of the factor by which all this may be wrong.
    pub(super) doubt: f64,
}

impl Habit {
    /// Of a tree in which nothing is older than `max_age` hours.
    pub(super) fn of(now: Timestamp, series: &Series, tree: &Tree, max_age: Option<f64>) -> Self {
        // What was written is remembered; what is still there tells of the hours before. The youngest hour is
        // always looked at afresh.
        let is_whole = |age: usize| max_age.is_none_or(|most| real(age as u64 + 1) <= most);
        let there = |age: usize| tree.hours.get(age).map(|amount| real(*amount)).filter(|_| is_whole(age));
        let took = |age: usize| match age {
            0 => there(0),
            age => tree.written.aged(tree.at, age).or_else(|| there(age)),
        };
        let of_day: Vec<Option<f64>> = (0..A_DAY).map(|age| there(age).or_else(|| took(age))).collect();
        let known: Vec<f64> = of_day.iter().copied().flatten().collect();
        let usual = known.iter().sum::<f64>() / real(known.len().max(1) as u64);
        let ratio = |age| Some((took(age)?, took(age + A_DAY)?)).filter(|(a, b)| *a > 0.0 && *b > 0.0);
        let ratios: Vec<Option<f64>> =
            (0..A_DAY).map(|age| ratio(age).map(|(today, before)| (today / before).ln())).collect();
        let days = Days::of(&ratios);
        let change = days.filter(|days| days.young.is_sure());
        let stale = u32::try_from(now.since(tree.at).seconds()).unwrap_or(u32::MAX);
        let weekly = change.is_some_and(|change| is_weekly(series, stale, change.hours));
        let change = change.filter(|_| !weekly);

        let mut profile = [usual; A_DAY];
        for (age, amount) in of_day.iter().enumerate() {
            let [from_before, to_come] = change.map_or([1.0; 2], |days| days.factors(age));
            // Two days tell more than one, where they are alike.
            let alike = !weekly && days.is_some_and(|days| days.are_alike(age));
            let before = took(age + A_DAY).filter(|_| alike).map(|before| before * from_before);
            let amount = amount.unwrap_or(usual);
            let typical = before.map_or(amount, |before| f64::midpoint(before, amount));
            profile[A_DAY - 1 - age] = typical * to_come;
        }
        let doubt = match (change, days) {
            (Some(change), _) => (2.0 * change.young.error).max(LEAST_DOUBT),
            (None, Some(_)) => LEAST_DOUBT,
            (None, None) => USUAL_DOUBT,
        };
        let recent = of_day.into_iter().map(|amount| amount.unwrap_or(0.0)).collect();
        Self { recent, profile, changed: change.is_some(), doubt }
    }
}

/// Whether the disk rose a week ago, in the same hours, nearly as much: then it is Monday.
fn is_weekly(series: &Series, stale: u32, hours: usize) -> bool {
    let width = u32::try_from(hours).map_or(WEEK, |hours| hours * HOUR);
    let rise = |ago: u32| Some(real(series.level(ago)?) - real(series.level(ago.saturating_add(width))?));
    let (now, before) = (rise(stale), rise(stale.saturating_add(WEEK)));
    now.zip(before).is_some_and(|(now, before)| now > 0.0 && before >= MOSTLY * now)
}

/// A day beside the day before, parted in two where it is best parted.
#[derive(Debug, Clone, Copy)]
struct Days {
    /// The length of the younger part.
    hours: usize,
    young: Shift,
    /// The hour between the two belongs to both: by how much it took more.
    between: f64,
    old: Shift,
}

/// By how much hours took more than those of the day before: a logarithm, and its standard error.
#[derive(Debug, Clone, Copy)]
struct Shift {
    by: f64,
    error: f64,
}

impl Days {
    /// Of logarithms of ratios, the youngest first.
    fn of(ratios: &[Option<f64>]) -> Option<Self> {
        let known = (1..).zip(ratios).filter_map(|(hours, ratio)| Some((hours, (*ratio)?)));
        let (hours, known): (Vec<usize>, Vec<f64>) = known.unzip();
        if known.len() < ENOUGH_PAIRS || hours[0] > 2 {
            return None;
        }
        let old = |n: usize| known.get(n + 1..).unwrap_or(&[]);
        let apart = |n: &usize| mean(&known[..*n]).1 + mean(old(*n)).1;
        let young = (1..=known.len()).min_by(|a, b| apart(a).total_cmp(&apart(b)))?;
        let noise = (apart(&young) / real(known.len() as u64 - 3)).sqrt().max(LEAST_NOISE);
        let shift = |of: &[f64]| Shift { by: mean(of).0, error: noise / real(of.len().max(1) as u64).sqrt() };
        let between = known.get(young).copied().unwrap_or(0.0);
        Some(Self { hours: hours[young - 1], young: shift(&known[..young]), between, old: shift(old(young)) })
    }
}

impl Days {
    /// By which factors an hour differs from the same of the day before, and from the same of the day to
    /// come: the younger hours are as they will be, and the older ones as they were. Where the whole day took more
    /// than the one before, the older hours have changed already.
    fn factors(self, age: usize) -> [f64; 2] {
        let already = if self.old.is_sure() { self.old.by } else { 0.0 };
        let (least, most) = (self.young.by.min(0.0), self.young.by.max(0.0));
        let still = |already: f64| factor((self.young.by - already).clamp(least, most));
        match age {
            age if age < self.hours => [factor(self.young.by), 1.0],
            age if age == self.hours => [factor(self.between), still(self.between.max(already))],
            _ => [1.0, still(already)],
        }
    }

    /// Whether an hour is what it was the day before, but for the change.
    fn are_alike(self, age: usize) -> bool {
        age < self.hours || (age > self.hours && !self.old.is_sure())
    }
}

impl Shift {
    fn is_sure(self) -> bool {
        self.by.abs() > SURE * self.error
    }
}

fn factor(by: f64) -> f64 {
    by.exp().clamp(CHANGE.0, CHANGE.1)
}

/// The mean, and the sum of the squares of what is beside it.
fn mean(of: &[f64]) -> (f64, f64) {
    let mean = of.iter().sum::<f64>() / real(of.len().max(1) as u64);
    (mean, of.iter().map(|x| (x - mean).powi(2)).sum())
}
