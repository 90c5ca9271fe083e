//! Which backups of one database stay. The rules of the calendar look at those alone of which is proved what
//! was asked for; of the others the newest few stay beside them.

use crate::section::Level;
use maint_core::{
    calendar::Zone,
    entry::Subject,
    retention::{Keep, Policy, Present, Verdict},
    time::Timestamp,
    units::Span,
};
use std::fmt;

/// A backup, as far as that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub time: Timestamp,
    /// What is proved of it.
    pub level: Level,
    /// Rows in it.
    pub rows: u64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What must be proved of one that counts.
    pub level: Level,
    /// Which of those that count stay.
    pub keep: &'a Keep,
    /// So many of the others.
    pub max_unproven: u32,
    /// Whether the last one from before a loss may go.
    pub lets_loss_go: bool,
}

/// What becomes of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Stays(Kept),
    /// No rule keeps it.
    Goes,
}

/// Why it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The calendar wants it.
    ByCalendar(maint_core::retention::Kept),
    /// Of those not proven it is one of the newest.
    Unproven,
    /// It is the one that was just made.
    Newest,
    /// It is the last good one.
    LastGood,
    /// The database held more than twice as much then as it does now.
    BeforeLoss,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByCalendar(why) => f.write_str(why.word()),
            Self::Unproven => f.write_str("not proven yet, and one of the newest"),
            Self::Newest => f.write_str("just made"),
            Self::LastGood => f.write_str("the last good one"),
            Self::BeforeLoss => f.write_str("the last one from before the database lost most of its rows"),
        }
    }
}

/// What becomes of each of these, in their order. `newest` is the one that was just made, if one was.
pub fn decide(
    all: &[Standing],
    wish: Wish<'_>,
    newest: Option<&str>,
    zone: Zone,
    now: Timestamp,
) -> Vec<Fate> {
    let policy = Policy { keep: Some(wish.keep.clone()), ..Policy::nothing(Span::from_seconds(0)) };
    let rules = policy.at(Present { now, zone, clock_in_doubt: false });
    let mut ranking = rules.ranking();
    let is_good = |backup: &Standing| backup.level >= wish.level;
    for backup in all.iter().filter(|backup| is_good(backup)) {
        ranking.add(&Subject::named(b"", backup.id.as_bytes(), backup.time));
    }
    let rules = rules.with(ranking);
    let mut unproven: Vec<&Standing> = all.iter().filter(|backup| !is_good(backup)).collect();
    // One that comes from the future is no better than one that does not.
    let age = |backup: &&Standing| (backup.time <= now, backup.time, backup.id.clone());
    unproven.sort_by_key(|backup| std::cmp::Reverse(age(backup)));
    unproven.truncate(usize::try_from(wish.max_unproven).unwrap_or(usize::MAX));
    let last_good = all.iter().filter(|backup| is_good(backup)).max_by_key(age);
    // Without any good one the best of all is what there is.
    let last_good = last_good.or_else(|| all.iter().max_by_key(|backup| (backup.level, age(backup))));
    let before_loss = before_loss(all, wish, newest);
    let judge = |backup: &Standing| {
        if before_loss == Some(backup) {
            return Fate::Stays(Kept::BeforeLoss);
        }
        if is_good(backup) {
            match rules.judge(&Subject::named(b"", backup.id.as_bytes(), backup.time)) {
                Verdict::Keep(why) => return Fate::Stays(Kept::ByCalendar(why)),
                Verdict::Remove(_) => {}
            }
        } else if unproven.contains(&backup) {
            return Fate::Stays(Kept::Unproven);
        }
        if newest == Some(backup.id.as_str()) {
            Fate::Stays(Kept::Newest)
        } else if last_good == Some(backup) {
            Fate::Stays(Kept::LastGood)
        } else {
            Fate::Goes
        }
    };
    all.iter().map(judge).collect()
}

/// The last good one that holds more than twice as much as the one that was just made, or else the newest: who has lost data should not
/// lose the backup of them too.
fn before_loss<'b>(all: &'b [Standing], wish: Wish<'_>, newest: Option<&str>) -> Option<&'b Standing> {
    const A_FEW: u64 = 100;
    let made = all.iter().find(|backup| newest == Some(backup.id.as_str()));
    let is = made.or_else(|| all.iter().max_by_key(|backup| backup.time))?.rows;
    let is_larger =
        |backup: &&Standing| (is == 0 && backup.rows > 0) || (backup.rows >= A_FEW && is < backup.rows / 2);
    let larger = all.iter().filter(|backup| backup.level >= wish.level).filter(is_larger);
    larger.max_by_key(|backup| backup.time).filter(|_| !wish.lets_loss_go)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maint_core::calendar::Period;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DAY: i64 = 86_400;

    fn standing(day: i64, level: Level) -> Standing {
        Standing {
            id: format!("b{day:04}"),
            time: Timestamp::from_seconds(day * DAY + 7200),
            level,
            rows: 10,
        }
    }

    fn stay(
        all: &[Standing],
        wanted: Level,
        keep: &Keep,
        max_unproven: u32,
        newest: Option<&str>,
    ) -> BTreeSet<String> {
        let now = Timestamp::from_seconds(10_000 * DAY);
        let wish = Wish { level: wanted, keep, max_unproven, lets_loss_go: false };
        let fates = decide(all, wish, newest, Zone::Utc, now);
        all.iter()
            .zip(fates)
            .filter(|(_, fate)| *fate != Fate::Goes)
            .map(|(backup, _)| backup.id.clone())
            .collect()
    }

    fn daily(days: u64) -> Keep {
        Keep { periods: vec![(Period::Day, days)], ..Keep::default() }
    }

    #[test]
    fn fourteen_failing_nights_leave_the_last_good_one() {
        let mut all: Vec<Standing> = (0..20).map(|day| standing(day, Level::Restore)).collect();
        all.extend((20..34).map(|day| standing(day, Level::Checksum)));
        let stays = stay(&all, Level::Restore, &daily(14), 3, Some("b0033"));
        let expected: BTreeSet<String> = (6..20).chain(31..34).map(|day| format!("b{day:04}")).collect();
        assert_eq!(stays, expected);
        // Even where the calendar would be content with less.
        let stays = stay(&all, Level::Restore, &Keep { last: Some(1), ..Keep::default() }, 0, Some("b0033"));
        assert_eq!(stays, ["b0019".to_owned(), "b0033".to_owned()].into());
    }

    #[test]
    fn where_nothing_was_ever_proven_the_newest_stay() {
        let all: Vec<Standing> = (0..9).map(|day| standing(day, Level::None)).collect();
        assert_eq!(stay(&all, Level::Restore, &daily(14), 3, None).len(), 3);
        assert_eq!(stay(&all, Level::Restore, &daily(14), 0, None), ["b0008".to_owned()].into());
    }

    #[test]
    fn who_has_lost_data_does_not_lose_the_backup_of_them() {
        let keep = Keep { last: Some(2), ..Keep::default() };
        let mut all: Vec<Standing> = (0..5).map(|day| standing(day, Level::Restore)).collect();
        for (backup, rows) in all.iter_mut().zip([900, 1000, 1000, 0, 0]) {
            backup.rows = rows;
        }
        let kept = |all: &[Standing], lets_loss_go| {
            let wish = Wish { level: Level::Restore, keep: &keep, max_unproven: 0, lets_loss_go };
            let fates = decide(all, wish, Some("b0004"), Zone::Utc, Timestamp::from_seconds(100 * DAY));
            all.iter()
                .zip(fates)
                .filter(|(_, fate)| *fate != Fate::Goes)
                .map(|(b, _)| b.id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&all, false), ["b0002", "b0003", "b0004"]);
        assert_eq!(kept(&all, true), ["b0003", "b0004"]);
        all[4].rows = 600;
        assert_eq!(kept(&all, false), ["b0003", "b0004"], "half of it is no loss");
    }

    #[test]
    fn what_was_just_made_stays_whatever_the_clock_says() {
        let all = [standing(5000, Level::Restore), standing(10, Level::Restore)];
        let keep = Keep { last: Some(1), ..Keep::default() };
        assert_eq!(stay(&all, Level::Restore, &keep, 0, Some("b0010")).len(), 2);
    }

    /// A second way to the same answer, written the other way round: for each rule, which it keeps.
    fn model(all: &[Standing], wanted: Level, keep: &Keep, max_unproven: usize) -> BTreeSet<String> {
        let mut good: Vec<&Standing> = all.iter().filter(|backup| backup.level >= wanted).collect();
        good.sort_by_key(|backup| std::cmp::Reverse(backup.time));
        let mut stays: BTreeSet<String> = good
            .iter()
            .take(usize::try_from(keep.last.unwrap_or(0)).unwrap())
            .map(|b| b.id.clone())
            .collect();
        for (period, count) in &keep.periods {
            let (mut seen, mut left) = (BTreeSet::new(), *count);
            for backup in &good {
                if left > 0 && seen.insert(Zone::Utc.period(backup.time, *period)) {
                    stays.insert(backup.id.clone());
                    left -= 1;
                }
            }
            // With counts left, the history reaches back as far as there is one.
            if left > 0 {
                stays.extend(good.last().map(|oldest| oldest.id.clone()));
            }
        }
        if let (Some(within), Some(newest)) = (keep.within, good.first()) {
            stays.extend(good.iter().filter(|b| b.time > newest.time.minus(within)).map(|b| b.id.clone()));
        }
        let mut rest: Vec<&Standing> = all.iter().filter(|backup| backup.level < wanted).collect();
        rest.sort_by_key(|backup| std::cmp::Reverse(backup.time));
        stays.extend(rest.iter().take(max_unproven).map(|b| b.id.clone()));
        match good.first() {
            Some(newest) => stays.extend([newest.id.clone()]),
            None => stays.extend(all.iter().max_by_key(|b| (b.level, b.time)).map(|b| b.id.clone())),
        }
        stays
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_a_second_way_keeps(
            days in prop::collection::btree_map(0_i64..400, 0_u8..3, 0..120),
            (last, day, week, month) in (0_u64..4, 0_u64..15, 0_u64..6, 0_u64..6),
            within in prop::option::of(1_u64..20), max_unproven in 0_u32..5,
        ) {
            let level = |n| [Level::None, Level::Checksum, Level::Restore][usize::from(n)];
            let all: Vec<Standing> = days.iter().map(|(day, n)| standing(*day, level(*n))).collect();
            let periods = [(Period::Day, day), (Period::Week, week), (Period::Month, month)];
            let keep = Keep {
                last: (last > 0).then_some(last),
                periods: periods.into_iter().filter(|(_, n)| *n > 0).collect(),
                within: within.map(|days| Span::from_seconds(days * 86_400)),
                ..Keep::default()
            };
            prop_assume!(keep.last.is_some() || !keep.periods.is_empty() || keep.within.is_some());
            for wanted in [Level::Checksum, Level::Restore] {
                prop_assert_eq!(stay(&all, wanted, &keep, max_unproven, None), model(&all, wanted, &keep, max_unproven as usize));
            }
        }
    }
}
