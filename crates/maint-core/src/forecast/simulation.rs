//! Disks that live for weeks, by day and by night and with their accidents, and what is forecast for them.
//!
//! The question is the same everywhere: full within four days, or not? The worlds know the answer. All
//! levels are percent of the disk.

use super::*;
use std::{f64::consts::TAU, fmt::Write as _, ops::Range, thread};

const WHOLE: u64 = 1_000_000_000_000;
const SLOT: i64 = 300;
const HOUR: usize = 12;
const DAY: usize = 24 * HOUR;
const SOON: usize = 4 * DAY;
/// The event is so long after the beginning: at five in the morning.
const BEFORE: usize = 29 * DAY + 5 * HOUR;
/// 2025-10-01 00:00 UTC.
const START: i64 = 1_759_276_800;

/// A tree, and the cleanup that holds it at so many percent of the disk when it takes what is usual.
#[derive(Debug, Clone, Copy)]
struct Grove {
    holds: f64,
    hours: usize,
    every: usize,
}

/// A disk and what happens to it. Times are hours after the event.
#[derive(Debug, Clone, Copy)]
struct Scene {
    name: &'static str,
    grove: Option<Grove>,
    /// What else there is.
    other: fn(f64) -> f64,
    /// By which factor more is written.
    rate: fn(f64) -> f64,
    /// When the cleanup breaks.
    breaks: f64,
    /// An emergency brings the disk from this level to that one.
    emergency: Option<(f64, f64)>,
    /// How many such worlds there are.
    worlds: u64,
    /// When it is forecast: first, last, step.
    looks: (f64, f64, f64),
    /// Wrong calls of the best method that was measured before, and the median error of its time.
    best: (f64, Option<f64>),
    /// Who must be as good. Nobody can know what comes of a rise who sees no more than the rise.
    by: &'static [Knows],
    /// Wrong calls that are left where nobody is exact.
    left: f64,
}

const NEVER: f64 = f64::INFINITY;
const HOURLY: Option<Grove> = Some(Grove { holds: 50.0, hours: 24, every: 1 });
const DAILY: Option<Grove> = Some(Grove { holds: 25.0, hours: 24, every: 24 });

/// An hourly cleanup of half the disk, looked at for four days.
const USUAL: Scene = Scene {
    name: "",
    grove: HOURLY,
    other: |_| 15.0,
    rate: |_| 1.0,
    breaks: NEVER,
    emergency: None,
    worlds: 4,
    looks: (0.0, 96.0, 3.1),
    best: (0.0, None),
    by: &[Knows::Samples, Knows::Look, Knows::All],
    left: 1.0,
};

/// Every half hour after the event.
const CLOSE: (f64, f64, f64) = (1.0, 30.0, 0.5);

static SCENES: [Scene; 13] = [
    Scene { name: "hourly prune, flat", ..USUAL },
    Scene { name: "daily prune, flat", grove: DAILY, ..USUAL },
    Scene {
        name: "one-off +15 % step",
        other: |at| 15.0 + 15.0 * (at / 0.7).clamp(0.0, 1.0),
        looks: (-12.0, 96.0, 2.3),
        ..USUAL
    },
    Scene {
        name: "nightly 12 % burst",
        grove: None,
        other: |at| 65.0 + if (26.0..28.0).contains(&(at.rem_euclid(24.0) + 24.0)) { 12.0 } else { 0.0 },
        ..USUAL
    },
    Scene {
        name: "emergency at 90 %",
        grove: Some(Grove { holds: 180.0, hours: 24 * 30, every: 1 }),
        emergency: Some((90.0, 75.0)),
        ..USUAL
    },
    Scene {
        name: "daily prune, growing",
        grove: DAILY,
        other: |at| 15.0 + 0.3 * (at / 24.0 + 29.0),
        // Two cleanups in a row that do not come fill it, and nobody can know: 0 to 3 of 100.
        left: 5.0,
        ..USUAL
    },
    Scene {
        name: "linear 1 % a day",
        grove: None,
        other: |at| 85.0 + (at + (at * TAU / 24.0).sin()) / 24.0,
        // A look within half an hour of the four days may fall on either side: one of 250 does.
        looks: (0.0, 350.0, 5.3),
        ..USUAL
    },
    Scene {
        name: "x1.5, plateau 90 %",
        rate: |at| if at < 0.0 { 1.0 } else { 1.5 },
        looks: CLOSE,
        by: &[Knows::Look, Knows::All],
        ..USUAL
    },
    Scene {
        name: "x2, fills in 7 h",
        other: |_| 35.0,
        rate: |at| if at < 0.0 { 1.0 } else { 2.0 },
        // A saw touches the end with a whole tooth: one hour sooner or later by a hair. Few worlds tell nothing.
        worlds: 24,
        looks: CLOSE,
        best: (0.0, Some(6.0)),
        by: &[Knows::All],
        // In the first two hours a doubling is not yet beyond doubt there: 4 to 10 of 100, by the seeds.
        left: 12.0,
        ..USUAL
    },
    Scene {
        name: "prune broke 6 h ago",
        breaks: 0.0,
        worlds: 24,
        looks: (6.0, 30.0, 0.5),
        best: (0.0, Some(2.0)),
        by: &[Knows::Look, Knows::All],
        ..USUAL
    },
    Scene { name: "quiet", grove: None, other: |_| 70.0, ..USUAL },
    Scene { name: "weekly prune", grove: Some(Grove { holds: 35.0, hours: 24 * 7, every: 24 * 7 }), ..USUAL },
    Scene {
        name: "quiet weekends",
        rate: |at| if (at / 24.0).rem_euclid(7.0) < 5.0 { 1.0 } else { 0.2 },
        looks: (0.0, 168.0, 3.1),
        ..USUAL
    },
];

/// How well a world obeys.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manners {
    /// To the minute, and one hour is nearly like the same of the day before.
    Exact,
    /// Cleanups come a quarter of their interval early or late, and one in twelve not at all. One file in a
    /// thousand stays for ever. The tree was looked over up to an hour ago, every tenth hour of what was
    /// written is not remembered, and no hour is like another.
    Human,
}

impl Manners {
    /// By how much what is written differs from hour to hour, and from five minutes to the next.
    fn noise(self) -> (f64, f64) {
        match self {
            Self::Exact => (0.03, 0.1),
            Self::Human => (0.1, 0.5),
        }
    }
}

/// Seeded randomness: splitmix64.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// Evenly from 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        real((z ^ (z >> 31)) >> 11) / real(1 << 53)
    }

    /// Evenly around 1.
    fn around(&mut self, width: f64) -> f64 {
        1.0 + width * (2.0 * self.roll() - 1.0)
    }
}

/// What has happened, by five minutes.
#[derive(Debug)]
struct World {
    scene: Scene,
    manners: Manners,
    dice: Dice,
    used: Vec<Sample>,
    written: Vec<f64>,
    /// When what was written is removed.
    gone: Vec<usize>,
    held: f64,
    /// What was written before is removed.
    oldest: usize,
    pruned: Vec<usize>,
    next: usize,
    full: Option<usize>,
}

fn hours(slot: usize) -> f64 {
    real(slot as u64) / real(HOUR as u64)
}

fn slots(hours: f64) -> usize {
    usize::try_from(natural(hours * real(HOUR as u64))).unwrap()
}

fn at(slot: usize) -> Timestamp {
    Timestamp::from_seconds(START + i64::try_from(slot).unwrap() * SLOT)
}

fn bytes(percent: f64) -> u64 {
    natural(percent * real(WHOLE / 100))
}

impl World {
    fn of(scene: Scene, manners: Manners, seed: u64) -> Self {
        let mut world = Self {
            scene,
            manners,
            dice: Dice(seed),
            used: vec![],
            written: vec![],
            gone: vec![],
            held: 0.0,
            oldest: 0,
            pruned: vec![],
            next: 0,
            full: None,
        };
        // No two disks are equally full.
        let beside = world.dice.around(1.0) - 1.0;
        let (mut hourly, mut wobble) = (1.0, 0.0);
        for slot in 0..BEFORE + slots(scene.looks.1) + SOON + DAY {
            let after = hours(slot) - hours(BEFORE);
            if slot % HOUR == 0 {
                hourly = world.dice.around(manners.noise().0);
            }
            let sun = 1.0 + 0.8 * ((hours(slot) - 8.0) / 24.0 * TAU).sin();
            let usual = scene.grove.map_or(0.0, |grove| grove.holds * hours(1) / real(grove.hours as u64));
            let new = usual * sun * hourly * world.dice.around(manners.noise().1) * (scene.rate)(after);
            world.written.push(new);
            world.gone.push(usize::MAX);
            world.held += new;
            wobble = 0.9 * wobble + 0.04 * (world.dice.roll() - 0.5);
            // Where cleanups are missed the same disk needs more room.
            let room = if manners == Manners::Human && scene.grove.is_some() { 8.0 } else { 0.0 };
            let other = (scene.other)(after) + wobble + beside - room;
            // A disk is full at the top of a tooth, whether anybody sees it there or not.
            let is_full = world.held + other >= 100.0;
            if slot >= world.next && after < scene.breaks {
                world.prune(slot);
            }
            if let Some((mark, enough)) = scene.emergency
                && world.held + other >= mark
            {
                while world.held + other > enough {
                    world.remove_oldest(slot);
                }
            }
            let used = bytes((world.held + other).clamp(0.0, 100.0));
            world.used.push(Sample { at: at(slot), used, whole: WHOLE });
            if is_full {
                world.full = Some(slot);
                break;
            }
        }
        world
    }

    fn remove_oldest(&mut self, slot: usize) {
        let stays = self.manners == Manners::Human && self.dice.roll() < 0.001;
        if self.gone[self.oldest] == usize::MAX && !stays {
            self.held -= self.written[self.oldest];
            self.gone[self.oldest] = slot;
        }
        self.oldest += 1;
    }

    fn prune(&mut self, slot: usize) {
        let Some(grove) = self.scene.grove else { return };
        let is_human = self.manners == Manners::Human;
        let beside = if is_human { self.dice.around(0.25) } else { 1.0 };
        self.next = slot + slots(real(grove.every as u64) * beside);
        if is_human && self.dice.roll() < 1.0 / 12.0 {
            return;
        }
        while self.oldest + grove.hours * HOUR <= slot {
            self.remove_oldest(slot);
        }
        self.pruned.push(slot);
    }

    fn is_full_soon(&self, now: usize) -> bool {
        self.full.is_some_and(|full| full - now <= SOON)
    }

    fn forecast(&self, now: usize, knows: Knows) -> Forecast {
        let samples = &self.used[(now + 1).saturating_sub(28 * DAY)..=now];
        let tree = self.scene.grove.filter(|_| knows != Knows::Samples).map(|grove| {
            let looked = if self.manners == Manners::Human { now - now * 7 % HOUR } else { now };
            self.tree(looked, grove, knows)
        });
        forecast(at(now), samples, tree.as_slice())
    }

    fn tree(&self, looked: usize, grove: Grove, knows: Knows) -> Tree {
        let there = |slot: &usize| self.gone[*slot] > looked;
        let sum = |slots: Range<usize>| slots.filter(there).map(|slot| self.written[slot]).sum::<f64>();
        let ages = grove.hours + 3 * grove.every;
        let hour = |age: usize| {
            let end = (looked + 1).saturating_sub(age * HOUR);
            end.saturating_sub(HOUR)..end
        };
        let is_known = |age: &usize| self.manners == Manners::Exact || (looked / HOUR - age) % 10 != 3;
        // Written down at whatever minute a run came by.
        let phase = looked % HOUR / 2;
        let hours_written = (0..48).filter(is_known).map(|age| {
            let end = looked + 1 - phase - age * HOUR;
            Hour { end: at(end - 1), amount: bytes(self.written[end - HOUR..end].iter().sum()) }
        });
        let known = knows == Knows::All;
        let pruned = self.pruned.iter().rev().find(|slot| **slot <= looked);
        Tree {
            at: at(looked),
            hours: (0..ages).map(|age| bytes(sum(hour(age)))).collect(),
            beyond: bytes(sum(0..hour(ages - 1).start)),
            max_age: Some(Span::from_seconds(grove.hours as u64 * 3600)),
            limit: None,
            every: Some(Span::from_seconds(grove.every as u64 * 3600)),
            pruned: pruned.filter(|_| known).map(|slot| at(*slot)),
            fruitless: 0,
            written: Written::new(hours_written.filter(|_| known)),
        }
    }
}

/// What is known beside the samples.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Knows {
    Samples,
    /// A look at the tree.
    Look,
    /// What it took in the last two days, and when it was pruned, as well.
    All,
}

/// How a scene went: wrong calls of all, in percent, and the median error where it did fill.
#[derive(Debug, Clone, Copy)]
struct Score {
    wrong: f64,
    error: Option<f64>,
}

fn score(scene: Scene, worlds: &[World], knows: Knows) -> Score {
    let (first, last, step) = scene.looks;
    let (mut calls, mut wrong, mut errors) = (0, 0, vec![]);
    for (nth, world) in (0_u32..).zip(worlds) {
        let start = hours(BEFORE) + first + step * f64::from(nth) / real(worlds.len() as u64);
        let looks =
            (0_u32..).map(|n| start + step * f64::from(n)).take_while(|at| *at < hours(BEFORE) + last);
        for now in looks.map(slots).filter(|now| world.full.is_none_or(|full| *now < full)) {
            let eta = match world.forecast(now, knows).outlook {
                Outlook::Full { eta, .. } => Some(real(eta.within.seconds()) / 300.0),
                _ => None,
            };
            let says_soon = eta.is_some_and(|eta| eta <= real(SOON as u64));
            calls += 1;
            wrong += i32::from(says_soon != world.is_full_soon(now));
            if let (Some(eta), Some(full)) = (eta, world.full) {
                let truth = real((full - now) as u64);
                errors.push(100.0 * (eta - truth).abs() / truth);
            }
        }
    }
    errors.sort_unstable_by(f64::total_cmp);
    let error = errors.get(errors.len() / 2).copied();
    Score { wrong: 100.0 * f64::from(wrong) / f64::from(calls.max(1)), error }
}

const KNOWLEDGE: [Knows; 3] = [Knows::Samples, Knows::Look, Knows::All];

fn row(scene: Scene, manners: Manners) -> [Score; 3] {
    let worlds: Vec<World> = (1..=scene.worlds).map(|seed| World::of(scene, manners, seed)).collect();
    let blind = score(scene, &worlds, Knows::Samples);
    let knows_more = |knows| if scene.grove.is_some() { score(scene, &worlds, knows) } else { blind };
    [blind, knows_more(Knows::Look), knows_more(Knows::All)]
}

fn rows(manners: Manners) -> Vec<(Scene, [Score; 3])> {
    let (left, right) = SCENES.split_at(SCENES.len() / 2);
    let scored = |scenes: &'static [Scene]| {
        thread::spawn(move || scenes.iter().map(|scene| (*scene, row(*scene, manners))).collect::<Vec<_>>())
    };
    [scored(left), scored(right)].into_iter().flat_map(|rows| rows.join().unwrap()).collect()
}

#[expect(clippy::print_stdout, reason = "the table is for reading: cargo test simulation -- --nocapture")]
fn print(title: &str, rows: &[(Scene, [Score; 3])]) {
    let cell = |score: &Score| {
        let error = score.error.map_or(String::new(), |error| format!("({error:.0} %)"));
        format!("{:>5.1} {error:<9}", score.wrong)
    };
    let mut table =
        format!("\n{title}\n{:<22} {:<15} {:<15} {:<15} best before\n", "", "samples", "one look", "all");
    for (scene, scores) in rows {
        let cells = scores.each_ref().map(cell).join(" ");
        let best = cell(&Score { wrong: scene.best.0, error: scene.best.1 });
        let _ = writeln!(table, "{:<22} {cells} {}", scene.name, best.trim_end());
    }
    println!("{table}");
}

#[test]
fn no_forecast_is_worse_than_the_best_that_was_known() {
    let rows = rows(Manners::Exact);
    print("Wrong calls in percent, and median error of the time, where cleanups obey", &rows);
    // As tables print them: in whole percent.
    let is_as_good = |mine: f64, best: f64| mine < best + 0.5;
    for (scene, scores) in rows {
        for (knows, score) in KNOWLEDGE.into_iter().zip(scores).filter(|(knows, _)| scene.by.contains(knows))
        {
            assert!(is_as_good(score.wrong, scene.best.0), "{} by {knows:?}: {score:?}", scene.name);
            if let Some(best) = scene.best.1 {
                let error = score.error.unwrap();
                assert!(is_as_good(error, best), "{} by {knows:?}: {error} % beside", scene.name);
            }
        }
    }
}

#[test]
fn little_is_lost_where_nothing_obeys() {
    let rows = rows(Manners::Human);
    print("The same where cleanups come late or not at all", &rows);
    for (scene, [.., all]) in rows {
        assert!(all.wrong <= scene.left, "{}: {all:?}", scene.name);
    }
}
