//! Rules of the calendar: `keep`, as backup tools mean it, and `thin`, which leaves one file an hour, a
//! day, a week.

use super::{
    Kept,
    rank::{Key, Newest},
};
use crate::{
    calendar::{Period, Zone},
    entry::Subject,
    grouping::Per,
    time::Timestamp,
    units::Span,
};
use std::collections::{BTreeMap, HashMap};

/// What is kept of a history: the newest of each of the last so many hours, days and so on. Every rule
/// keeps for itself; what one of them wants stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub last: Option<u64>,
    /// The newest of each of so many hours, days, weeks, months and years in which there is any.
    pub periods: Vec<(Period, u64)>,
    /// All that are no older than this against the newest.
    pub within: Option<Span>,
    /// What has a history of its own.
    pub per: Per,
}

/// One step of thinning out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thin {
    /// It is about what is older than this …
    pub older_than: Span,
    /// … and leaves the newest of each of these.
    pub keep: Period,
}

/// The steps, the younger first, and what is thinned on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thinning {
    /// Each step goes on where the one before ends.
    pub steps: Vec<Thin>,
    /// What has a calendar of its own.
    pub per: Per,
}

impl Keep {
    /// The rules in words.
    pub fn describe(&self) -> String {
        let last = self.last.map(|n| format!("last {n}"));
        let periods = self.periods.iter().map(|(period, n)| format!("{n} {}", period.word()));
        let within = self.within.map(|span| format!("all within {span}"));
        last.into_iter().chain(periods).chain(within).collect::<Vec<_>>().join(", ")
    }
}

/// What a survey gathers for `keep`.
#[derive(Debug, Clone)]
pub(super) struct Keeping<'p> {
    rule: &'p Keep,
    zone: Zone,
    last: Option<Newest>,
    groups: HashMap<u64, History>,
}

/// One group's history: the winners of the newest periods.
#[derive(Debug, Clone, Default)]
struct History {
    winners: Vec<BTreeMap<i64, Key>>,
    oldest: Option<Key>,
    newest: Option<Timestamp>,
}

/// `keep`, made concrete.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    rule: Keep,
    zone: Zone,
    last: Option<HashMap<u64, Key>>,
    groups: HashMap<u64, History>,
}

impl<'p> Keeping<'p> {
    pub(super) fn new(rule: &'p Keep, zone: Zone) -> Self {
        Self { rule, zone, last: rule.last.map(Newest::new), groups: HashMap::new() }
    }

    pub(super) fn add(&mut self, subject: &Subject<'_>, at: Timestamp, key: Key) {
        let group = self.rule.per.group(subject.folder, subject.name);
        if let Some(last) = &mut self.last {
            last.add(group, key);
        }
        let history = self.groups.entry(group).or_default();
        history.winners.resize_with(self.rule.periods.len(), BTreeMap::new);
        for (winners, (period, count)) in history.winners.iter_mut().zip(&self.rule.periods) {
            note_winner(winners, self.zone.period(at, *period), key, *count);
        }
        history.oldest = Some(history.oldest.map_or(key, |oldest| oldest.min(key)));
        history.newest = history.newest.max(Some(at));
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let (Some(mine), Some(its)) = (&mut self.last, other.last) {
            mine.merge(its);
        }
        for (group, its) in other.groups {
            let history = self.groups.entry(group).or_default();
            history.winners.resize_with(self.rule.periods.len(), BTreeMap::new);
            for ((winners, others), (_, count)) in
                history.winners.iter_mut().zip(its.winners).zip(&self.rule.periods)
            {
                for (number, key) in others {
                    note_winner(winners, number, key, *count);
                }
            }
            history.oldest = history.oldest.into_iter().chain(its.oldest).min();
            history.newest = history.newest.max(its.newest);
        }
    }

    pub(super) fn settle(self) -> Chosen {
        Chosen {
            rule: self.rule.clone(),
            zone: self.zone,
            last: self.last.map(Newest::floors),
            groups: self.groups,
        }
    }
}

/// Remembers the newest of a period, and of the periods the newest `count`.
fn note_winner(winners: &mut BTreeMap<i64, Key>, number: i64, key: Key, count: u64) {
    let winner = winners.entry(number).or_insert(key);
    *winner = key.max(*winner);
    if winners.len() as u64 > count {
        winners.pop_first();
    }
}

impl Chosen {
    /// Why `keep` wants a subject, if it does. What the survey did not see is wanted wherever it would
    /// have won.
    pub(super) fn wants(&self, subject: &Subject<'_>, at: Timestamp, key: Key) -> Option<Kept> {
        let group = self.rule.per.group(subject.folder, subject.name);
        let Some(history) = self.groups.get(&group) else { return Some(Kept::Last) };
        if let Some(last) = &self.last
            && last.get(&group).is_none_or(|floor| key >= *floor)
        {
            return Some(Kept::Last);
        }
        if let (Some(within), Some(newest)) = (self.rule.within, history.newest)
            && at > newest.minus(within)
        {
            return Some(Kept::Within);
        }
        for (winners, (period, count)) in history.winners.iter().zip(&self.rule.periods) {
            let full = winners.len() as u64 >= *count;
            let number = self.zone.period(at, *period);
            let wins = match winners.get(&number) {
                Some(winner) => key >= *winner,
                None => !full || winners.first_key_value().is_some_and(|(oldest, _)| number > *oldest),
            };
            if wins {
                return Some(Kept::of_period(*period));
            }
            // With counts left the history reaches back as far as there is one.
            if !full && history.oldest.is_some_and(|oldest| key <= oldest) {
                return Some(Kept::Oldest);
            }
        }
        None
    }
}

/// What a survey gathers for `thin`, and the same made concrete.
#[derive(Debug, Clone)]
pub(super) struct Thinned {
    rule: Thinning,
    zone: Zone,
    winners: Vec<HashMap<(u64, i64), Key>>,
}

impl Thinned {
    pub(super) fn new(rule: &Thinning, zone: Zone) -> Self {
        Self { rule: rule.clone(), zone, winners: vec![HashMap::new(); rule.steps.len()] }
    }

    /// The number of a moment's period at a step. After a weekly step months and years are made of whole
    /// weeks: else the winner of a week that ends a month could be the loser of that month.
    fn number(&self, step: usize, at: Timestamp) -> i64 {
        let period = self.rule.steps[step].keep;
        let of_weeks = self.rule.steps[..step].iter().any(|before| before.keep == Period::Week);
        if of_weeks && matches!(period, Period::Month | Period::Year) {
            self.zone.period_of_week(at, period)
        } else {
            self.zone.period(at, period)
        }
    }

    pub(super) fn add(&mut self, subject: &Subject<'_>, at: Timestamp, key: Key) {
        let group = self.rule.per.group(subject.folder, subject.name);
        for step in 0..self.winners.len() {
            let number = self.number(step, at);
            let winner = self.winners[step].entry((group, number)).or_insert(key);
            *winner = key.max(*winner);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (mine, its) in self.winners.iter_mut().zip(other.winners) {
            for (number, key) in its {
                let winner = mine.entry(number).or_insert(key);
                *winner = key.max(*winner);
            }
        }
    }

    /// What thinning says: that a subject is too young for it, that it is the one to be left, or that it
    /// goes.
    pub(super) fn judge(&self, subject: &Subject<'_>, at: Timestamp, key: Key, now: Timestamp) -> Thinks {
        let Some(step) = self.rule.steps.iter().rposition(|step| at < now.minus(step.older_than)) else {
            return Thinks::TooYoung;
        };
        let period = self.rule.steps[step].keep;
        let group = self.rule.per.group(subject.folder, subject.name);
        match self.winners[step].get(&(group, self.number(step, at))) {
            Some(winner) if key < *winner => Thinks::Goes(period),
            _ => Thinks::Stays(period),
        }
    }
}

/// What thinning says of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinks {
    TooYoung,
    Stays(Period),
    Goes(Period),
}
