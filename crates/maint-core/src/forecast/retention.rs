//! What the cleanup is going to do: trees whose files go by age or by size fill up to a plateau that is
//! known beforehand.
//!
//! A file's age says when it was written, so a tree tells its own past: one look over it is the record of its
//! last hours. What goes when is the policy's. Only what is written next must be guessed: the same as a day
//! before, and more where the last hours were more than the same hours of the day before.

use super::{
    Eta, Method, Opinion, Said,
    habit::{A_DAY, Habit},
    natural, real,
    samples::Series,
    written::Written,
};
use crate::{
    text::count,
    time::Timestamp,
    units::{Share, Span},
};
use std::fmt;

const HOUR: Span = Span::from_seconds(3600);
/// An older look is no look.
const STALE: Span = Span::from_seconds(6 * 3600);
/// A cleanup that is so many intervals late does not come.
const MISSED: f64 = 2.5;
/// So much of what could be too old is there when nothing has been taken away.
const OVERAGE: f64 = 0.75;
/// So often in a row a cleanup that had something to do may have freed nothing.
const FRUITLESS: u32 = 2;
/// Retention fits as long as the disk is no fuller than this.
const FITS: Share = Share::from_percent(90);

/// A tree on the volume that is pruned: what it holds, how long it may, and how often it is looked after.
///
/// All amounts are bytes of blocks, or all are files: whatever the samples count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// When it was looked over.
    pub at: Timestamp,
    /// What it held then, by age: first what was younger than an hour. As far as the horizon and three
    /// intervals beyond, if a cleanup that has stopped is to be noticed without its history.
    pub hours: Vec<u64>,
    /// What was older than all of these.
    pub beyond: u64,
    /// What is older goes.
    pub max_age: Option<Span>,
    /// What is more goes, the oldest first.
    pub limit: Option<u64>,
    /// How often it is pruned.
    pub every: Option<Span>,
    /// When it was last pruned with success.
    pub pruned: Option<Timestamp>,
    /// How many runs in a row, up to the last, freed nothing although something was due.
    pub fruitless: u32,
    /// What was written hour by hour.
    pub written: Written,
}

/// How long a tree is asked to keep what it gets, and how long it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// What its policy asks for.
    pub asked: Span,
    /// How old its oldest files are.
    pub holds: Span,
    /// The longest that would leave a tenth of the disk; none when nothing is written.
    pub fits: Option<Span>,
}

impl fmt::Display for Holding {
    /// `asked 24 h, holds 9 h; 19 h would fit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asked {}, holds {}", super::spoken(self.asked), super::spoken(self.holds))?;
        match self.fits {
            Some(fits) if fits < HOUR => f.write_str("; not even an hour would fit"),
            Some(fits) if fits < self.asked => write!(f, "; {} would fit", super::spoken(fits)),
            _ => Ok(()),
        }
    }
}

/// What becomes of a tree; nothing is said of one without an end, or that was looked over too long ago.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prospect {
    /// Its cleanup has stopped, and this tells it.
    pub stopped: Option<Stopped>,
    /// What it comes to when it is as full as its policy lets it be.
    pub plateau: Option<u64>,
    /// How long it can keep what it gets.
    pub holding: Option<Holding>,
}

/// What tells that a cleanup has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The last success is so long ago.
    Late(Span),
    /// So many runs had something to do and freed nothing.
    Fruitless(u32),
    /// Files are there that are older than any should be.
    Overage,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(span) => write!(f, "the last cleanup was {} ago", super::spoken(*span)),
            Self::Fruitless(runs) => {
                write!(f, "{} freed nothing of what was due", count((*runs).into(), "run"))
            }
            Self::Overage => f.write_str("files are there that are too old to be"),
        }
    }
}

/// All trees of a volume, and where they lead.
#[derive(Debug)]
pub(super) struct Model {
    /// For each tree, as far as anything can be said of it.
    courses: Vec<Option<Course>>,
}

impl Model {
    /// What can be said of these trees.
    pub(super) fn of(now: Timestamp, series: &Series, trees: &[Tree]) -> Self {
        Self { courses: trees.iter().map(|tree| Course::of(now, series, tree)).collect() }
    }

    fn courses(&self) -> impl Iterator<Item = &Course> {
        self.courses.iter().flatten()
    }

    /// Whether most of what is in use is theirs.
    pub(super) fn holds_most(&self, series: &Series) -> bool {
        2.0 * self.courses().map(|course| course.held).sum::<f64>() >= real(series.used)
    }

    /// What the trees that know their end took in the last hours.
    pub(super) fn written_in(&self, hours: usize) -> f64 {
        self.courses().flat_map(|course| course.habit.recent.iter().take(hours)).sum()
    }

    /// By how much the trees grow in a day that have not yet reached their age.
    pub(super) fn filling_by_day(&self) -> f64 {
        self.courses().filter(|course| course.is_filling).map(|course| course.daily).sum()
    }

    /// Where the volume comes to rest.
    pub(super) fn plateau(&self, series: &Series) -> Option<u64> {
        let settles = self.courses().count() > 0 && self.courses().all(|course| course.stopped.is_none());
        settles.then(|| natural(real(series.used) + self.to_come()))
    }

    /// By how much all trees are smaller than they will be.
    fn to_come(&self) -> f64 {
        self.courses().map(|course| course.plateau - course.held).sum()
    }

    /// What becomes of each of the trees.
    pub(super) fn prospects(&self, series: &Series) -> Vec<Prospect> {
        let without = real(FITS.of(series.whole)) - real(series.used) - self.to_come();
        let prospect = |course: &Option<Course>| match course {
            Some(course) => course.prospect(without + course.plateau),
            None => Prospect::default(),
        };
        self.courses.iter().map(prospect).collect()
    }

    /// What these trees say, if there are any.
    pub(super) fn said(&self, series: &Series) -> Option<Said> {
        self.courses().next()?;
        let has_stopped = self.courses().any(|course| course.stopped.is_some());
        let by = if has_stopped { Method::CleanupStopped } else { Method::Retention };
        let changes = self.courses().any(|course| course.habit.changed);
        let opinion = match self.full_in(series, 0.0) {
            None => Opinion::Stable,
            Some(days) => match (self.full_in(series, 1.0).unwrap_or(days), self.full_in(series, -1.0)) {
                // A change that was seen for hours only must be beyond doubt.
                (_, None) if changes => Opinion::Stable,
                (earliest, latest) => {
                    Opinion::of(Eta::of_days(days, earliest, latest.unwrap_or(f64::INFINITY)))
                }
            },
        };
        Some(Said { by, opinion })
    }

    /// Days until the volume is full, when as much is written as is likely, or a deviation more or less.
    fn full_in(&self, series: &Series, way: f64) -> Option<f64> {
        let futures: Vec<Future<'_>> = self.courses().map(|course| Future::of(course, way)).collect();
        let end = self.courses().map(Course::settled).fold(0.0, f64::max);
        let (mut then, mut level) = (0.0, real(series.used));
        let whole = real(series.whole);
        while then < end {
            let step = STEPS.iter().find(|(until, _)| then < *until).map_or(COARSE, |(_, step)| *step);
            let next = then + step;
            let grown: f64 = futures.iter().map(|future| future.grown(next)).sum();
            let next_level = real(series.used) + grown;
            if next_level >= whole {
                let part = (whole - level) / (next_level - level);
                return Some((then + part * step) / 24.0);
            }
            (then, level) = (next, next_level);
        }
        None
    }
}

/// Until when the future is looked at in which steps: first within the hours, where the teeth are.
const STEPS: [(f64, f64); 3] = [(12.0, 1.0 / 12.0), (48.0, 0.25), (14.0 * 24.0, 1.0)];
/// Later not every hour is looked at, but every hour of the day in its turn.
const COARSE: f64 = 37.0;
/// Less than a second, in hours: what sums of steps may be wrong by.
const MOMENT: f64 = 1e-4;
/// Farther than a year nobody looks: in hours.
const FARTHEST: f64 = 366.0 * 24.0;

/// One tree in numbers; all times are hours, counted from the look at it.
#[derive(Debug)]
struct Course {
    /// How long ago the look was.
    now: f64,
    /// What it held.
    held: f64,
    /// What is younger than so many hours, for each.
    younger: Vec<f64>,
    /// What no cleanup has taken and none will.
    permanent: f64,
    /// What the policy says of ages, and after how many hours a file does go.
    asked: Option<Span>,
    max_age: Option<f64>,
    limit: Option<f64>,
    /// Hours between cleanups, and when the next one is.
    every: f64,
    next: f64,
    stopped: Option<Stopped>,
    habit: Habit,
    daily: f64,
    /// The age of the oldest.
    holds: f64,
    /// Nothing has been old enough yet.
    is_filling: bool,
    plateau: f64,
}

impl Course {
    /// None for a tree without an end, whose growth the envelope sees, and for one that was looked over too long
    /// ago.
    fn of(now: Timestamp, series: &Series, tree: &Tree) -> Option<Self> {
        let asked = tree.max_age.map(hours_of);
        if (asked.is_none() && tree.limit.is_none()) || now.since(tree.at) > STALE {
            return None;
        }
        let hours: Vec<f64> = tree.hours.iter().map(|amount| real(*amount)).collect();
        let every = tree.every.map_or(1.0, hours_of).max(1.0 / 60.0);
        let younger = younger(&hours, real(tree.beyond), asked);
        let held = younger.last().copied().unwrap_or(0.0);
        let holds = oldest(&younger);
        let is_early = removes_early(series, held, holds);
        let max_age = asked.map(|asked| if is_early { asked.min(holds.max(1.0)) } else { asked });
        // Where nobody knows when it was pruned, the age of its oldest does.
        let overdue = asked.map_or(0.0, |asked| holds - asked).clamp(0.0, every);
        let since_prune = tree.pruned.map_or(overdue, |pruned| hours_of(tree.at.since(pruned)));
        let due_before = asked.map(|asked| asked + tree.pruned.map_or(every, |_| since_prune));
        let permanent = due_before.map_or(0.0, |age| held - at(&younger, age));

        let habit = Habit::of(now, series, tree, max_age);
        let daily: f64 = habit.profile.iter().sum();
        let kept = max_age.map_or(f64::INFINITY, |age| permanent + daily * age / 24.0);
        let most = kept.min(tree.limit.map_or(f64::INFINITY, real));
        let now_at = hours_of(now.since(tree.at));
        Some(Self {
            now: now_at,
            held,
            permanent,
            max_age,
            limit: tree.limit.map(real),
            every,
            // One that is late comes soon.
            next: (every - since_prune).max(now_at + every / 8.0),
            stopped: stopped(now, tree, &younger, asked, every),
            daily,
            asked: tree.max_age,
            is_filling: max_age.is_some_and(|age| holds + every + 1.0 < age),
            plateau: most + daily * every / 24.0,
            younger,
            habit,
            holds,
        })
    }

    /// What becomes of it if it may have so much room.
    fn prospect(&self, room: f64) -> Prospect {
        let span = |hours: f64| Span::from_seconds(natural(hours * 3600.0));
        let hours = (room - self.permanent) * 24.0 / self.daily - self.every;
        let fits = (self.daily > 0.0).then(|| span(hours.max(0.0)));
        Prospect {
            stopped: self.stopped,
            plateau: self.stopped.is_none().then(|| natural(self.plateau)),
            holding: self.asked.map(|asked| Holding { asked, holds: span(self.holds), fits }),
        }
    }

    /// Hours from now until everything repeats itself.
    fn settled(&self) -> f64 {
        let age = self.max_age.unwrap_or(0.0);
        let to_limit =
            self.limit.map_or(0.0, |limit| 24.0 * (limit - self.held).max(0.0) / self.daily.max(1.0));
        match self.stopped {
            Some(_) => FARTHEST,
            None => (age.max(to_limit) + 2.0 * self.every + 48.0).min(FARTHEST),
        }
    }
}

/// One way in which a course may go on.
struct Future<'c> {
    course: &'c Course,
    /// What has been written when an hour of the day begins.
    begun: [f64; A_DAY],
    daily: f64,
    /// What the tree holds now.
    held: f64,
}

impl<'c> Future<'c> {
    fn of(course: &'c Course, way: f64) -> Self {
        let factor = (way * course.habit.doubt).exp();
        let (mut begun, mut daily) = ([0.0; A_DAY], 0.0);
        for (begun, amount) in begun.iter_mut().zip(course.habit.profile) {
            *begun = daily;
            daily += amount * factor;
        }
        let mut future = Self { course, begun, daily, held: 0.0 };
        future.held = future.holds(course.now);
        future
    }

    /// By how much the tree will have grown in so many hours from now.
    fn grown(&self, hours: f64) -> f64 {
        self.holds(self.course.now + hours) - self.held
    }

    /// What will have been written by then.
    fn written(&self, then: f64) -> f64 {
        let hour = natural(then);
        let (day, of_day) = (hour / 24, usize::try_from(hour % 24).unwrap_or(0));
        let next = self.begun.get(of_day + 1).copied().unwrap_or(self.daily);
        let begun = self.begun[of_day];
        real(day) * self.daily + begun + (then - real(hour)) * (next - begun)
    }

    fn holds(&self, then: f64) -> f64 {
        let course = self.course;
        // A moment of a cleanup is the one before it: that is the top of the tooth.
        let since_next = then - course.next - MOMENT;
        if course.stopped.is_some() || since_next < 0.0 {
            return course.held + self.written(then);
        }
        let pruned = course.next + real(natural(since_next / course.every)) * course.every;
        let kept = match course.max_age {
            None => course.held + self.written(pruned),
            Some(age) if pruned < age => {
                let due = course.permanent + at(&course.younger, age - pruned);
                due.min(course.held) + self.written(pruned)
            }
            Some(age) => course.permanent + self.written(pruned) - self.written(pruned - age),
        };
        kept.min(course.limit.unwrap_or(f64::INFINITY)) + self.written(then) - self.written(pruned)
    }
}

/// Sums by age, from nothing to everything. What is older than the hours known lies evenly up to the age at
/// which it goes, or is older than that.
fn younger(hours: &[f64], beyond: f64, asked: Option<f64>) -> Vec<f64> {
    let mut younger = Vec::with_capacity(hours.len() + 2);
    let mut sum = 0.0;
    younger.push(sum);
    for amount in hours {
        sum += amount;
        younger.push(sum);
    }
    let more = asked.map_or(1.0, |asked| (asked - real(hours.len() as u64)).ceil()).clamp(1.0, FARTHEST);
    if beyond > 0.0 {
        let each = beyond / more;
        for _ in 0..natural(more) {
            sum += each;
            younger.push(sum);
        }
    }
    younger
}

/// A sum by age, between the hours too.
fn at(younger: &[f64], age: f64) -> f64 {
    let hour = usize::try_from(natural(age)).unwrap_or(usize::MAX);
    let last = younger.last().copied().unwrap_or(0.0);
    match (younger.get(hour), younger.get(hour.saturating_add(1))) {
        (Some(before), Some(after)) if age > 0.0 => before + (age - real(natural(age))) * (after - before),
        (Some(before), _) => *before,
        (None, _) => last,
    }
}

/// The age of the oldest: but for a hundredth, which may be leftovers.
fn oldest(younger: &[f64]) -> f64 {
    let most = younger.last().copied().unwrap_or(0.0) * 0.99;
    real(younger.partition_point(|sum| *sum < most) as u64)
}

/// Whether something takes files before their age: the disk held as much before the oldest was written, so
/// what it held then is gone.
fn removes_early(series: &Series, held: f64, holds: f64) -> bool {
    let without = real(series.used) - held;
    let age = u32::try_from(natural((holds + 1.0) * 3600.0)).unwrap_or(u32::MAX);
    held > 0.0 && series.highest_before(age).is_some_and(|used| real(used) > without + held / 2.0)
}

/// Whether the cleanup has stopped.
fn stopped(now: Timestamp, tree: &Tree, younger: &[f64], asked: Option<f64>, every: f64) -> Option<Stopped> {
    if tree.fruitless >= FRUITLESS {
        return Some(Stopped::Fruitless(tree.fruitless));
    }
    if let (Some(pruned), Some(_)) = (tree.pruned, tree.every) {
        let late = now.since(pruned);
        return (hours_of(late) > MISSED * every + 1.0).then_some(Stopped::Late(late));
    }
    // As dense beyond its age as in the same hours of a day below it: nothing has been taken away there.
    let asked = asked?;
    let every = tree.every.map_or(24.0, |_| every);
    let (first, last) = (asked + every, asked + MISSED * every + 1.0);
    let days = ((last - asked) / 24.0).ceil() * 24.0;
    let back = if days <= first { days } else { last - asked };
    let between = |first: f64, last: f64| at(younger, last) - at(younger, first);
    let (there, usual) = (between(first, last), between(first - back, last - back));
    (usual > 0.0 && there >= OVERAGE * usual).then_some(Stopped::Overage)
}

fn hours_of(span: Span) -> f64 {
    real(span.seconds()) / 3600.0
}
