//! Cases, laws and the published answers of a backup tool.

use super::*;
use crate::entry::Entry;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: i64 = 1_763_726_400; // 2025-11-21 12:00 UTC, a Friday
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn present(now: i64) -> Present {
    Present { now: at(now), zone: Zone::Utc, clock_in_doubt: false }
}

fn file(modified: i64) -> Look {
    Look::of_file(at(modified))
}

/// A tree of names and looks.
type Tree = Vec<(String, Look)>;

fn subject<'a>(rules: &Rules, name: &'a str, look: Look) -> Subject<'a> {
    let entry = Entry { folder: b"", name: name.as_bytes(), look };
    Subject::of(&entry, rules.time_of(name.as_bytes(), &look))
}

fn verdicts_at(policy: &Policy, tree: &Tree, present: Present) -> Vec<Verdict> {
    let rules = policy.at(present);
    let mut ranking = rules.ranking();
    for (name, look) in tree {
        ranking.add(&subject(&rules, name, *look));
    }
    let rules = rules.with(ranking);
    tree.iter().map(|(name, look)| rules.judge(&subject(&rules, name, *look))).collect()
}

fn gone_at(policy: &Policy, tree: &Tree, now: i64) -> BTreeSet<String> {
    let verdicts = verdicts_at(policy, tree, present(now));
    let goes = tree.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Remove(_)));
    goes.map(|((name, _), _)| name.clone()).collect()
}

fn policy(edit: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::nothing(Span::from_seconds(60));
    edit(&mut policy);
    policy
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

/// Files a, b, c … of these ages in hours, the youngest named first.
fn aged(hours: &[i64]) -> Tree {
    (b'a'..).zip(hours).map(|(name, age)| (char::from(name).to_string(), file(NOW - age * HOUR))).collect()
}

#[track_caller]
fn check(policy: &Policy, tree: &Tree, goes: &str) {
    let gone: String = gone_at(policy, tree, NOW).into_iter().collect();
    assert_eq!(gone, goes, "{}", policy.describe());
}

fn newest(count: u64) -> KeepNewest {
    KeepNewest { count, per: Per::Target }
}

#[test]
fn the_limit_itself_is_kept_and_one_moment_more_goes() {
    let day = policy(|p| p.max_age = Some(span("1d")));
    check(&day, &aged(&[1, 24, 25]), "c");
}

#[test]
fn rules_add_up_as_the_manual_says() {
    let tree = aged(&[1, 2, 30, 40, 50]);
    check(&policy(|p| p.keep_newest = Some(newest(2))), &tree, "cde");
    check(&policy(|p| (p.max_age, p.keep_newest) = (Some(span("1d")), Some(newest(4)))), &tree, "e");
    check(&policy(|p| (p.max_age, p.keep_newest) = (Some(span("1d")), Some(newest(1)))), &tree, "cde");
    check(&policy(|p| p.max_files = Some(3)), &tree, "de");
    check(&policy(|p| (p.max_files, p.keep_newest) = (Some(1), Some(newest(3)))), &tree, "de");
    check(&policy(|p| p.max_size = Some("8KiB".parse().unwrap())), &tree, "cde");
    check(
        &policy(|p| (p.max_size, p.max_age) = (Some("16KiB".parse().unwrap()), Some(span("45h")))),
        &tree,
        "e",
    );
    check(&policy(|p| p.remove_all = true), &tree, "abcde");
    check(&policy(|p| p.max_size = Some("1B".parse().unwrap())), &tree, "bcde");
}

#[test]
fn what_settles_or_lies_ahead_stays_whatever_the_policy() {
    let mut tree = aged(&[0, 1, 30]);
    tree.push(("future".to_owned(), file(NOW + 5)));
    for edit in [
        (|p| p.max_age = Some(Span::from_seconds(0))) as fn(&mut Policy),
        |p| p.max_files = Some(1),
        |p| p.keep_newest = Some(newest(1)),
    ] {
        let gone = gone_at(&policy(edit), &tree, NOW);
        assert!(!gone.contains("a") && !gone.contains("future"), "{gone:?}");
    }
}

#[test]
fn a_file_in_the_future_is_not_the_newest() {
    let mut tree = aged(&[1, 2, 3]);
    tree.push(("z".to_owned(), file(NOW + 365 * DAY)));
    check(&policy(|p| p.keep_newest = Some(newest(1))), &tree, "bc");
    let keep = Keep { last: Some(1), ..Keep::default() };
    check(&policy(|p| p.keep = Some(keep)), &tree, "bc");
}

#[test]
fn each_group_has_its_newest() {
    let tree: Tree = [("cam1_1", 1), ("cam1_2", 2), ("cam1_3", 3), ("quiet_1", 900)]
        .map(|(name, age)| (name.to_owned(), file(NOW - age * HOUR)))
        .to_vec();
    let per: Per = "{camera}_*".parse().unwrap();
    let each =
        policy(|p| (p.max_age, p.keep_newest) = (Some(span("1h")), Some(KeepNewest { count: 1, per })));
    assert_eq!(gone_at(&each, &tree, NOW), ["cam1_2", "cam1_3"].map(str::to_owned).into());
    let all = policy(|p| (p.max_age, p.keep_newest) = (Some(span("1h")), Some(newest(1))));
    assert!(gone_at(&all, &tree, NOW).contains("quiet_1"));
}

#[test]
fn thinning_leaves_the_newest_of_each_hour_then_day() {
    let steps = vec![
        Thin { older_than: span("1d"), keep: Period::Hour },
        Thin { older_than: span("3d"), keep: Period::Day },
    ];
    let thin = policy(|p| p.thin = Some(Thinning { steps, per: Per::Target }));
    // Every half hour for five days, named by the half hours back from now.
    let tree: Tree = (0..240).map(|n| (format!("{n:03}"), file(NOW - n * HOUR / 2 - 600))).collect();
    let gone = gone_at(&thin, &tree, NOW);
    assert!((0..48).all(|n| !gone.contains(&format!("{n:03}"))), "the first day is whole");
    let left = |from: usize, to: usize| (from..to).filter(|n| !gone.contains(&format!("{n:03}"))).count();
    assert_eq!(left(48, 144), 48, "one an hour for two days");
    assert_eq!(left(144, 240), 2, "and one a day beyond: the newest of a day may still be younger");
    let year = policy(|p| (p.thin, p.max_age) = (thin.thin.clone(), Some(span("4d"))));
    assert!((192..240).all(|n| gone_at(&year, &tree, NOW).contains(&format!("{n:03}"))), "age ends it");
}

#[test]
fn a_clock_in_doubt_makes_nothing_old_and_leaves_counting_alone() {
    let tree = aged(&[1, 30, 50]);
    let doubt = Present { clock_in_doubt: true, ..present(NOW) };
    let removes = |policy: &Policy| {
        verdicts_at(policy, &tree, doubt).iter().filter(|v| matches!(v, Verdict::Remove(_))).count()
    };
    let steps = vec![Thin { older_than: span("1h"), keep: Period::Year }];
    assert_eq!(removes(&policy(|p| p.max_age = Some(span("1d")))), 0);
    assert_eq!(removes(&policy(|p| (p.max_age, p.keep_newest) = (Some(span("1d")), Some(newest(1))))), 0);
    assert_eq!(removes(&policy(|p| p.thin = Some(Thinning { steps, per: Per::Target }))), 0);
    assert_eq!(removes(&policy(|p| (p.max_age, p.max_files) = (Some(span("1d")), Some(2)))), 1);
    assert_eq!(removes(&policy(|p| p.keep_newest = Some(newest(1)))), 2);
    let verdicts = verdicts_at(&policy(|p| p.max_age = Some(span("1d"))), &tree, doubt);
    assert_eq!(verdicts[2], Verdict::Keep(Kept::ClockInDoubt));
}

#[test]
fn the_time_in_the_name_counts_if_it_can_be() {
    let clock = crate::name_clock::NameClock::new("%Y%m%d_%H%M%S", Zone::Utc).unwrap();
    let by_name = policy(|p| (p.max_age, p.age_by) = (Some(span("1d")), AgeBy::Name(clock)));
    let tree: Tree = [
        ("20251120_110000.jpg", NOW),             // a day and an hour old, copied just now
        ("20251121_100000.jpg", NOW - 9 * DAY),   // young by name, and no look would be needed
        ("20251120_110000_b.jpg", NOW - 3 * DAY), // its own times say that it cannot be
        ("20251122_000000.jpg", NOW - 9 * DAY),   // ahead of the clock
        ("holiday.jpg", NOW - 99 * DAY),
    ]
    .map(|(name, modified)| (name.to_owned(), Look { changed: at(modified), ..file(modified - 100) }))
    .to_vec();
    let words: Vec<_> = verdicts_at(&by_name, &tree, present(NOW))
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Remove(_) => "goes",
            Verdict::Keep(why) => why.word(),
        })
        .collect();
    assert_eq!(
        words,
        ["goes", "implausible-name", "implausible-name", "implausible-name", "no-time-in-name"]
    );
    let rules = by_name.at(present(NOW));
    assert!(rules.by_name(b"20251120_110000.jpg").is_none(), "what may go is looked at");
    assert!(rules.by_name(b"20251121_100000.jpg").is_some() && rules.by_name(b"x").is_some());
}

#[test]
fn every_reason_has_its_own_word() {
    let words: BTreeSet<_> = Kept::ALL.iter().map(|why| why.word()).collect();
    assert_eq!(words.len(), Kept::ALL.len());
    assert!(Kept::ALL.iter().enumerate().all(|(n, why)| *why as usize == n));
}

/// `keep` as restic documents it: one snapshot a day or an hour, and what `forget` would leave.
mod calendar {
    use super::*;

    fn utc(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(&format!("{text}Z")).unwrap().timestamp()
    }

    fn keep(edit: impl FnOnce(&mut Keep)) -> Policy {
        let mut rule = Keep::default();
        edit(&mut rule);
        policy(|p| p.keep = Some(rule))
    }

    fn left(policy: &Policy, moments: &[&str], now: &str) -> Vec<String> {
        let tree: Tree = moments.iter().map(|moment| ((*moment).to_owned(), file(utc(moment)))).collect();
        let gone = gone_at(policy, &tree, utc(now));
        moments.iter().filter(|moment| !gone.contains(**moment)).map(|moment| (*moment).to_owned()).collect()
    }

    /// The last Sundays before 2014-11-22 and the days around, as in the manual's second example: a backup
    /// each Sunday for twelve weeks.
    const SUNDAYS: [&str; 12] = [
        "2014-11-30T12:00:00",
        "2014-11-23T12:00:00",
        "2014-11-16T12:00:00",
        "2014-11-09T12:00:00",
        "2014-11-02T12:00:00",
        "2014-10-26T12:00:00",
        "2014-10-19T12:00:00",
        "2014-10-12T12:00:00",
        "2014-10-05T12:00:00",
        "2014-09-28T12:00:00",
        "2014-09-21T12:00:00",
        "2014-09-14T12:00:00",
    ];

    #[test]
    fn four_daily_of_weekly_backups_are_the_last_four_that_exist() {
        let policy = keep(|k| k.periods = vec![(Period::Day, 4)]);
        assert_eq!(left(&policy, &SUNDAYS, "2014-12-01T00:00:00"), SUNDAYS[..4]);
    }

    #[test]
    fn only_days_with_a_backup_count() {
        let policy = keep(|k| k.periods = vec![(Period::Day, 7), (Period::Week, 5)]);
        assert_eq!(
            left(&policy, &SUNDAYS, "2014-12-01T00:00:00"),
            SUNDAYS[..7],
            "seven days, in five weeks of them"
        );
    }

    #[test]
    fn the_newest_of_a_day_is_kept() {
        let moments =
            ["2025-03-02T18:00:00", "2025-03-02T09:00:00", "2025-03-01T23:59:59", "2025-03-01T00:00:00"];
        let policy = keep(|k| k.periods = vec![(Period::Day, 2)]);
        assert_eq!(left(&policy, &moments, "2025-03-03T00:00:00"), [moments[0], moments[2]]);
    }

    #[test]
    fn with_counts_left_the_oldest_is_kept_too() {
        let moments = ["2025-03-02T18:00:00", "2025-03-02T09:00:00", "2025-03-02T01:00:00"];
        let policy = keep(|k| k.periods = vec![(Period::Year, 3)]);
        assert_eq!(left(&policy, &moments, "2025-03-03T00:00:00"), [moments[0], moments[2]]);
        let full = keep(|k| k.periods = vec![(Period::Year, 1)]);
        assert_eq!(left(&full, &moments, "2025-03-03T00:00:00"), [moments[0]]);
    }

    #[test]
    fn weeks_are_those_of_iso_and_begin_on_monday() {
        // 2025-01-05 is a Sunday, 2024-12-30 the Monday of the same week, 2024-12-29 the Sunday before.
        let moments = ["2025-01-05T12:00:00", "2024-12-30T12:00:00", "2024-12-29T12:00:00"];
        let policy = keep(|k| k.periods = vec![(Period::Week, 2)]);
        assert_eq!(left(&policy, &moments, "2025-01-06T00:00:00"), [moments[0], moments[2]]);
    }

    #[test]
    fn within_is_measured_from_the_newest_and_its_edge_is_out() {
        let moments =
            ["2020-01-10T00:00:00", "2020-01-09T00:00:01", "2020-01-09T00:00:00", "2020-01-01T00:00:00"];
        let policy = keep(|k| k.within = Some(span("1d")));
        assert_eq!(left(&policy, &moments, "2025-01-01T00:00:00"), moments[..2], "not from now");
    }

    #[test]
    fn a_backup_of_tomorrow_is_kept_and_anchors_nothing() {
        let moments = ["2025-01-03T00:00:00", "2025-01-01T12:00:00", "2024-12-31T12:00:00"];
        let policy = keep(|k| k.last = Some(1));
        assert_eq!(left(&policy, &moments, "2025-01-02T00:00:00"), moments[..2]);
        let within = keep(|k| k.within = Some(span("2d")));
        assert_eq!(left(&within, &moments, "2025-01-02T00:00:00"), moments);
    }

    #[test]
    fn rules_are_added_and_each_counts_for_itself() {
        let days: Vec<String> = (0..40)
            .map(|n| {
                let day = chrono::NaiveDate::from_ymd_opt(2025, 6, 30).unwrap() - chrono::Days::new(n);
                format!("{day}T03:00:00")
            })
            .collect();
        let days: Vec<&str> = days.iter().map(String::as_str).collect();
        let policy = keep(|k| {
            k.last = Some(2);
            k.periods = vec![(Period::Day, 3), (Period::Week, 3), (Period::Month, 2)];
        });
        let kept = left(&policy, &days, "2025-07-01T00:00:00");
        let expected = ["2025-06-30", "2025-06-29", "2025-06-28", "2025-06-22", "2025-05-31"]
            .map(|day| format!("{day}T03:00:00"));
        assert_eq!(kept, expected);
    }

    #[test]
    fn forty_years_of_months_fit() {
        let moments: Vec<String> = (1980..2020)
            .flat_map(|y| (1..=12).map(move |m| format!("{y}-{m:02}-15T00:00:00")))
            .rev()
            .collect();
        let moments: Vec<&str> = moments.iter().map(String::as_str).collect();
        let policy = keep(|k| k.periods = vec![(Period::Year, 10), (Period::Month, 3)]);
        let kept = left(&policy, &moments, "2020-01-01T00:00:00");
        assert_eq!(kept.len(), 12, "ten Decembers, and two months before the last of them");
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let per =
        || prop_oneof![Just(Per::Target), Just(Per::Folder), Just("{camera}_*".parse::<Per>().unwrap())];
    let limits = (
        proptest::option::of(0..40 * DAY),
        proptest::option::of(1..60_u64),
        proptest::option::of((1..40_u64, per())),
    );
    let keep = (
        proptest::option::of(1..10_u64),
        proptest::collection::btree_map(0..5_usize, 1..8_u64, 0..3),
        proptest::option::of(0..20 * DAY),
        per(),
    );
    let thin = proptest::collection::btree_map(0..5_usize, 1..10 * DAY, 0..4);
    (limits, proptest::option::of(keep), thin).prop_map(|((age, files, newest), keep, thin)| {
        let seconds = |n: i64| Span::from_seconds(n.unsigned_abs());
        policy(|p| {
            p.max_files = files;
            p.keep_newest = newest.map(|(count, per)| KeepNewest { count, per });
            p.keep = keep.map(|(last, periods, within, per)| Keep {
                last: last.or(Some(1)),
                periods: periods.into_iter().map(|(n, count)| (Period::ALL[n], count)).collect(),
                within: within.map(seconds),
                per,
            });
            let mut older = 0;
            let steps: Vec<Thin> = thin
                .into_iter()
                .map(|(n, more)| {
                    older += more;
                    Thin { older_than: seconds(older), keep: Period::ALL[n] }
                })
                .collect();
            p.max_age = age.map(|age| seconds(age + older + 1));
            if !steps.is_empty() {
                p.thin = Some(Thinning { steps, per: Per::Target });
            }
        })
    })
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let one = ("(cam[12]|quiet)_[0-9]{3}", -2 * HOUR..60 * DAY);
    proptest::collection::btree_map(one.0, one.1, 0..80)
        .prop_map(|files| files.into_iter().map(|(name, age)| (name, file(NOW - age))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_looking_does_not_matter(policy in any_policy(), tree in any_tree(), seed in any::<u64>()) {
        let mut other = tree.clone();
        other.sort_by_key(|(name, _)| { let mut h = std::hash::DefaultHasher::new(); std::hash::Hash::hash(&(name, seed), &mut h); std::hash::Hasher::finish(&h) });
        prop_assert_eq!(gone_at(&policy, &tree, NOW), gone_at(&policy, &other, NOW));
    }

    #[test]
    fn two_workers_find_what_one_finds(policy in any_policy(), tree in any_tree(), cut in 0..80_usize) {
        let rules = policy.at(present(NOW));
        let (mut one, mut two) = (rules.ranking(), rules.ranking());
        for (n, (name, look)) in tree.iter().enumerate() {
            if n < cut { one.add(&subject(&rules, name, *look)) } else { two.add(&subject(&rules, name, *look)) }
        }
        one.merge(two);
        let both = rules.with(one);
        let gone: BTreeSet<String> = tree.iter().filter(|(name, look)| matches!(both.judge(&subject(&both, name, *look)), Verdict::Remove(_))).map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(gone, gone_at(&policy, &tree, NOW));
    }

    #[test]
    fn what_was_kept_is_kept_again(policy in any_policy(), tree in any_tree()) {
        let gone = gone_at(&policy, &tree, NOW);
        let left: Tree = tree.into_iter().filter(|(name, _)| !gone.contains(name)).collect();
        prop_assert_eq!(gone_at(&policy, &left, NOW), BTreeSet::new());
    }

    #[test]
    fn floors_hold(policy in any_policy(), tree in any_tree(), count in 1..40_u64) {
        let policy = Policy { keep_newest: Some(KeepNewest { count, per: Per::Target }), ..policy };
        let gone = gone_at(&policy, &tree, NOW);
        let mut past: Vec<_> = tree.iter().filter(|(_, look)| look.modified <= at(NOW)).collect();
        past.sort_by_key(|(_, look)| std::cmp::Reverse(look.modified));
        let left = past.iter().filter(|(name, _)| !gone.contains(name)).count() as u64;
        prop_assert!(left >= count.min(past.len() as u64));
        if let Some((_, oldest)) = past.get(usize::try_from(count).unwrap() - 1) {
            let newer = past.iter().filter(|(_, look)| look.modified > oldest.modified);
            prop_assert!(newer.clone().all(|(name, _)| !gone.contains(name)));
        }
    }

    #[test]
    fn the_share_of_files_is_kept(tree in any_tree(), limit in 1..60_u64) {
        let gone = gone_at(&policy(|p| p.max_files = Some(limit)), &tree, NOW);
        let past = tree.iter().filter(|(_, look)| look.modified <= at(NOW - 60)).count() as u64;
        let left = past - gone.len() as u64;
        prop_assert!(left <= limit || gone.is_empty());
    }

    #[test]
    fn keeping_more_never_removes_more(policy in any_policy(), tree in any_tree(), more in 1..30_u64) {
        prop_assume!(policy.condemns());
        let mut looser = policy.clone();
        if let Some(newest) = &mut looser.keep_newest { newest.count += more; }
        if let Some(keep) = &mut looser.keep {
            keep.last = keep.last.map(|n| n + more);
            keep.periods.iter_mut().for_each(|(_, n)| *n += more);
        }
        looser.max_files = looser.max_files.map(|n| n + more);
        prop_assert!(gone_at(&looser, &tree, NOW).is_subset(&gone_at(&policy, &tree, NOW)));
    }

    #[test]
    fn time_passing_never_unexpires(policy in any_policy(), tree in any_tree(), later in 0..40 * DAY) {
        // What was ahead of the clock becomes the newest of all one day, and pushes others out of counts.
        let tree: Tree = tree.into_iter().filter(|(_, look)| look.modified <= at(NOW)).collect();
        prop_assert!(gone_at(&policy, &tree, NOW).is_subset(&gone_at(&policy, &tree, NOW + later)));
    }

    #[test]
    fn what_goes_by_age_is_older_than_both_limits(max_age in 0..4000u64, settle in 0..1000u64, age in -500..9000i64) {
        let policy = Policy { max_age: Some(Span::from_seconds(max_age)), ..Policy::nothing(Span::from_seconds(settle)) };
        let gone = !gone_at(&policy, &vec![("x".to_owned(), file(NOW - age))], NOW).is_empty();
        prop_assert_eq!(gone, age > i64::try_from(max_age).unwrap() && age >= i64::try_from(settle).unwrap());
    }
}
