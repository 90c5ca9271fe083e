//! Cases and laws.

use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_763_726_400; // 2025-11-21 12:00 UTC
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WHOLE: u64 = 1_000_000;

fn at(ago: i64) -> Timestamp {
    Timestamp::from_seconds(NOW - ago)
}

fn now() -> Timestamp {
    at(0)
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

/// Samples of so many seconds, each so many after the other; `used` knows how full the disk was some hours ago.
fn samples(of: i64, every: i64, used: impl Fn(f64) -> f64) -> Vec<Sample> {
    let agos = (0..=of / every).rev().map(|n| n * every);
    agos.map(|ago| Sample { at: at(ago), used: natural(used(hours(ago))), whole: WHOLE }).collect()
}

fn hours(seconds: i64) -> f64 {
    real(seconds.unsigned_abs()) / 3600.0
}

fn days(n: i64, used: impl Fn(f64) -> f64) -> Vec<Sample> {
    samples(n * DAY, HOUR / 4, used)
}

/// A tree that took these amounts hour by hour, the youngest first, pruned every hour and just now.
fn tree(hours: Vec<u64>, max_age: &str) -> Tree {
    Tree {
        at: now(),
        written: Written::new(
            (0..).zip(&hours).take(48).map(|(age, &amount)| Hour { end: at(age * HOUR), amount }),
        ),
        hours,
        beyond: 0,
        max_age: Some(span(max_age)),
        limit: None,
        every: Some(span("1h")),
        pruned: Some(now()),
        fruitless: 0,
    }
}

/// Of a tree that takes 20,000 an hour and keeps them for a day, and of which two days are remembered.
fn steady() -> Tree {
    let two_days = tree(vec![20_000; 48], "24h");
    Tree { hours: vec![20_000; 24], ..two_days }
}

fn said(forecast: &Forecast, by: Method) -> Option<Opinion> {
    forecast.said.iter().find(|said| said.by == by).map(|said| said.opinion)
}

#[track_caller]
fn check(samples: &[Sample], trees: &[Tree], says: &str) {
    let forecast = forecast(now(), samples, trees);
    assert_eq!(forecast.to_string(), says, "{:?}", forecast.said);
}

fn eta(within: &str, from: &str, to: &str) -> Eta {
    Eta { within: span(within), from: span(from), to: to.parse().ok() }
}

#[test]
fn a_forecast_is_said_in_a_few_words() {
    let full = |eta, by| Outlook::Full { eta, by }.to_string();
    assert_eq!(full(eta("5h", "3h", "9h"), Method::Retention), "full in 5 h (3–9 h), by retention");
    assert_eq!(
        full(eta("5h", "40min", "9h"), Method::CurrentTooth),
        "full in 5 h (40 min–9 h), by current tooth"
    );
    assert_eq!(
        full(eta("5h", "3h", ""), Method::Retention),
        "full in 5 h (3 h at the earliest), by retention"
    );
    assert_eq!(full(eta("70d", "70d", "70d"), Method::PeakEnvelope), "full in 70 d, by peak envelope");
    assert_eq!(
        full(eta("11h", "8h", "3d"), Method::CleanupStopped),
        "full in 11 h (8 h–3 d), cleanup stopped"
    );
    assert_eq!(Outlook::Stable.to_string(), "stable");
    assert_eq!(Outlook::FullNow.to_string(), "full now");
    assert_eq!(Outlook::Later.to_string(), "not full within a year");
    let insufficient = Outlook::Insufficient { have: span("71h"), need: span("3d") };
    assert_eq!(insufficient.to_string(), "insufficient history (2 of 3 days)");
}

#[test]
fn there_is_no_time_of_nothing() {
    let soon = Eta::of_days(0.0, -1.0, f64::INFINITY).unwrap();
    assert_eq!((soon.to_string().as_str(), soon.within), ("1 min", span("1min")));
    assert_eq!(Eta::of_days(366.0, 1.0, 500.0), None);
    check(&days(10, |ago| 999_999.0 - ago * 100.0), &[], "full in 1 min, by peak envelope");
}

#[test]
fn a_full_disk_is_full_now() {
    check(&days(5, |_| 1_000_000.0), &[], "full now");
    let overdrawn = Sample { at: now(), used: 11, whole: 10 };
    check(&[overdrawn], &[], "full now");
    check(&[Sample { at: now(), used: 0, whole: 0 }], &[], "stable");
}

#[test]
fn without_history_nothing_is_known() {
    check(&[], &[], "insufficient history (0 of 3 days)");
    check(&days(2, |ago| 900_000.0 - ago * 100.0), &[], "insufficient history (2 of 3 days)");
    let old = days(10, |_| 5e5).into_iter().filter(|sample| sample.at < at(DAY));
    check(&old.collect::<Vec<_>>(), &[], "insufficient history (0 of 3 days)");
}

#[test]
fn a_disk_that_is_being_filled_for_the_first_time_needs_a_week() {
    let rising = |ago: f64| 500_000.0 - ago * 3000.0;
    check(&days(5, rising), &[], "insufficient history (5 of 7 days)");
    check(&days(5, |ago| 200_000.0 + rising(ago)), &[], "full in 4 d, by peak envelope");
}

#[test]
fn a_rise_is_followed_to_its_end() {
    check(&days(20, |ago| 800_000.0 - ago * 400.0), &[], "full in 21 d, by peak envelope");
    check(&days(20, |ago| 800_000.0 - ago * 4.0), &[], "not full within a year");
    check(&days(20, |ago| 800_000.0 + ago * 400.0), &[], "stable");
    let ended_a_week_ago = |ago: f64| 800_000.0 - (ago - 192.0).max(0.0) * 400.0;
    check(&days(28, ended_a_week_ago), &[], "stable");
}

#[test]
fn a_rise_that_is_younger_than_the_month_is_seen() {
    let since_a_week = |ago: f64| 600_000.0 + (190.0 - ago).max(0.0) * 1000.0;
    check(&days(28, since_a_week), &[], "full in 9 d, by peak envelope");
}

#[test]
fn a_cleanup_by_hand_is_a_new_beginning() {
    let fell = |day: f64| move |ago: f64| 900_000.0 - ago * 400.0 - 300_000.0 * f64::from(ago < day * 24.0);
    check(&days(28, fell(2.1)), &[], "insufficient history (2 of 3 days)");
    check(&days(28, fell(10.0)), &[], "full in 42 d, by peak envelope");
}

#[test]
fn what_is_seen_for_the_first_time_is_no_forecast() {
    let since = |hours: f64| move |ago: f64| 600_000.0 + (hours - ago).max(0.0) * 40_000.0;
    check(&days(10, since(2.4)), &[], "stable");
    check(&days(10, since(3.0)), &[], "full in 7 h, by current tooth");
}

#[test]
fn a_host_that_was_off_has_gaps_and_a_future() {
    let mut with_gaps = days(20, |ago| 800_000.0 - ago * 400.0);
    with_gaps.retain(|sample| !(at(12 * DAY)..at(5 * DAY)).contains(&sample.at));
    check(&with_gaps, &[], "full in 21 d, by peak envelope");
}

#[test]
fn a_disk_that_grew_begins_anew() {
    let mut resized = days(20, |ago| 800_000.0 - ago * 400.0);
    for sample in resized.iter_mut().filter(|sample| sample.at < at(2 * DAY)) {
        sample.whole = WHOLE / 2;
    }
    check(&resized, &[], "insufficient history (2 of 3 days)");
}

#[test]
fn inodes_are_forecast_like_bytes() {
    let mut inodes = days(20, |ago| 800.0 - ago * 0.4);
    for sample in &mut inodes {
        sample.whole = 1000;
    }
    let files = Tree { hours: vec![20; 24], limit: Some(480), max_age: None, ..tree(vec![20; 48], "1d") };
    check(&inodes, &[], "full in 20 d (20–21 d), by peak envelope");
    assert_eq!(forecast(now(), &inodes, &[files]).trees[0].plateau, Some(500));
}

#[test]
fn what_rises_hour_by_hour_beyond_all_before_is_a_tooth() {
    let runs_away = |ago: f64| 600_000.0 + (6.0 - ago).max(0.0) * 40_000.0;
    check(&days(10, runs_away), &[], "full in 4 h, by current tooth");
    let as_every_day = |ago: f64| 600_000.0 + (6.0 - ago.rem_euclid(24.0)).max(0.0) * 40_000.0;
    check(&days(10, as_every_day), &[], "stable");
    let copied_in_an_hour = |ago: f64| 600_000.0 + (3.0 - ago).clamp(0.0, 1.0) * 150_000.0;
    check(&days(10, copied_in_an_hour), &[], "stable");
}

#[test]
fn a_tooth_of_a_tree_ends_where_its_policy_ends() {
    let written = |age: i64| if age < 6 { 30_000 } else { 20_000 };
    let now_more =
        Tree { hours: (0..24).map(written).collect(), ..tree((0..48).map(written).collect(), "24h") };
    let rises = |ago: f64| 600_000.0 + (6.0 - ago).max(0.0) * 10_000.0;
    let forecast = forecast(now(), &days(10, rises), &[now_more]);
    assert_eq!(forecast.outlook, Outlook::Stable);
    assert_eq!(forecast.plateau, Some(660_000 - 540_000 + 750_000));
}

#[test]
fn a_tree_that_takes_more_than_yesterday_fills_the_disk() {
    let written = |age: i64| if age < 3 { 40_000 } else { 20_000 };
    let doubled =
        Tree { hours: (0..24).map(written).collect(), ..tree((0..48).map(written).collect(), "24h") };
    let rises = |ago: f64| 800_000.0 + (3.0 - ago).max(0.0) * 20_000.0;
    check(&days(10, rises), std::slice::from_ref(&doubled), "full in 7 h (5–8 h), by retention");
    let as_last_week =
        |ago: f64| rises(ago) + (171.0 - ago).clamp(0.0, 3.0) * 20_000.0 - 60_000.0 * f64::from(ago < 165.0);
    check(&days(10, as_last_week), &[doubled], "stable");
}

#[test]
fn a_tree_with_a_limit_has_its_plateau_there() {
    let limited = Tree { max_age: None, limit: Some(500_000), ..steady() };
    let forecast = forecast(now(), &days(10, |_| 700_000.0), &[limited]);
    assert_eq!(forecast.to_string(), "stable");
    assert_eq!((forecast.plateau, forecast.trees[0].plateau), (Some(740_000), Some(520_000)));
}

#[test]
fn a_tree_without_an_end_is_left_to_the_envelope() {
    let endless = Tree { max_age: None, ..steady() };
    let forecast = forecast(now(), &days(10, |ago| 800_000.0 - ago * 400.0), &[endless]);
    assert_eq!(forecast.to_string(), "full in 21 d, by peak envelope");
    assert_eq!((forecast.plateau, forecast.trees), (None, vec![Prospect::default()]));
}

#[test]
fn a_look_of_yesterday_is_no_look() {
    let old = Tree { at: at(DAY), ..steady() };
    assert_eq!(forecast(now(), &days(10, |_| 7e5), &[old]).said.len(), 1);
    let of_an_hour_ago = Tree { at: at(HOUR), pruned: Some(at(HOUR)), ..steady() };
    assert_eq!(forecast(now(), &days(10, |_| 7e5), &[of_an_hour_ago]).plateau, Some(720_000));
}

#[test]
fn a_tree_that_is_still_filling_explains_its_growth() {
    let young = tree(vec![2000; 144], "10d");
    let rises = |ago: f64| 600_000.0 - ago.min(144.0) * 2000.0;
    let forecast = forecast(now(), &days(9, rises), std::slice::from_ref(&young));
    assert_eq!((forecast.to_string().as_str(), forecast.plateau), ("stable", Some(794_000)));
    assert_eq!(said(&forecast, Method::PeakEnvelope), Some(Opinion::Explained));
    let too_much = Tree { max_age: Some(span("20d")), ..young };
    check(&days(9, rises), &[too_much], "full in 8 d (8–9 d), by retention");
}

#[test]
fn a_cleanup_that_stopped_is_noticed_by_whatever_is_known() {
    let all_stays = |ago: f64| 700_000.0 - ago.min(6.0) * 20_000.0;
    let stays = Tree { hours: vec![20_000; 30], ..steady() };
    let stopped = |tree: Tree| {
        let forecast = forecast(now(), &days(10, all_stays), &[tree]);
        assert_eq!(forecast.to_string(), "full in 15 h (14–17 h), cleanup stopped");
        assert_eq!((forecast.plateau, forecast.trees[0].plateau), (None, None));
        forecast.trees[0].stopped.unwrap()
    };
    let late = stopped(Tree { pruned: Some(at(6 * HOUR)), ..stays.clone() });
    assert_eq!(late.to_string(), "the last cleanup was 6 h ago");
    let fruitless = stopped(Tree { fruitless: 6, ..stays.clone() });
    assert_eq!(fruitless.to_string(), "6 runs freed nothing of what was due");
    let overage = stopped(Tree { pruned: None, ..stays.clone() });
    assert_eq!(overage, Stopped::Overage);
    let obeyed = Tree { pruned: None, ..steady() };
    assert_eq!(forecast(now(), &days(10, |_| 7e5), &[obeyed]).trees[0].stopped, None);
    check(&days(10, |_| 7e5), &[Tree { pruned: Some(at(2 * HOUR)), ..steady() }], "stable");
}

#[test]
fn what_would_fit_is_told() {
    // An emergency has left nine hours of a day, again and again.
    let short = Tree { hours: vec![40_000; 9], ..tree(vec![40_000; 48], "24h") };
    let saw = |ago: f64| 460_000.0 - ago.rem_euclid(9.0) * 10_000.0;
    let forecast = forecast(now(), &days(10, saw), &[short]);
    assert_eq!(forecast.trees[0].holding.unwrap().to_string(), "asked 24 h, holds 9 h; 19 h would fit");
    assert_eq!(forecast.to_string(), "stable", "what goes early does not stay until it is full");
    let holding = |fits: Option<&str>| {
        Holding { asked: span("7d"), holds: span("7d"), fits: fits.map(span) }.to_string()
    };
    assert_eq!(holding(None), "asked 7 d, holds 7 d");
    assert_eq!(holding(Some("9d")), "asked 7 d, holds 7 d");
    assert_eq!(holding(Some("20min")), "asked 7 d, holds 7 d; not even an hour would fit");
}

#[test]
fn a_single_look_is_enough_where_trees_are_all_there_is() {
    check(&[Sample { at: now(), used: 500_000, whole: WHOLE }], &[steady()], "stable");
    check(
        &[Sample { at: now(), used: 970_000, whole: WHOLE }],
        &[steady()],
        "insufficient history (0 of 3 days)",
    );
}

#[test]
fn hours_are_written_down_once() {
    let mut written = Written::default();
    written.note(at(10 * HOUR), &[5, 4, 3]);
    let amounts = |written: &Written| written.hours().iter().map(|hour| hour.amount).collect::<Vec<_>>();
    assert_eq!(amounts(&written), [3, 4, 5]);
    written.note(at(10 * HOUR - 1800), &[9, 9, 9]);
    assert_eq!(amounts(&written), [3, 4, 5], "less than an hour later there is nothing to add");
    written.note(at(7 * HOUR), &[8, 7, 6, 5, 4, 3]);
    assert_eq!(amounts(&written), [3, 4, 5, 6, 7, 8], "what was missed is still there");
    assert_eq!(written.hours().last().unwrap().end, at(7 * HOUR));
    written.note(at(9 * HOUR), &[1]);
    assert_eq!(amounts(&written), [3, 4, 5, 6], "the clock was set back");
    written.note(now(), &[2; 100]);
    assert_eq!(written.hours().len(), 13);
    written.note(at(-100 * HOUR), &[2; 100]);
    assert_eq!(written.hours().len(), 48);
}

prop_compose! {
    fn any_tree()(
        ago in prop_oneof![Just(0_i64), 0..8 * HOUR, any::<i64>()],
        hours in proptest::collection::vec(prop_oneof![0..1000_u64, any::<u64>()], 0..80),
        beyond in any::<u64>(),
        max_age in proptest::option::of(prop_oneof![0..100 * 3600_u64, any::<u64>()]),
        limit in proptest::option::of(any::<u64>()),
        every in proptest::option::of(prop_oneof![0..100_000_u64, any::<u64>()]),
        pruned in proptest::option::of(prop_oneof![0..9 * DAY, any::<i64>()]),
        fruitless in 0..4_u32,
        written in proptest::collection::vec((prop_oneof![-DAY..3 * DAY, any::<i64>()], any::<u64>()), 0..60),
    ) -> Tree {
        let at = |ago: i64| Timestamp::from_seconds(NOW.saturating_sub(ago));
        Tree {
            at: at(ago),
            hours,
            beyond,
            max_age: max_age.map(Span::from_seconds),
            limit,
            every: every.map(Span::from_seconds),
            pruned: pruned.map(at),
            fruitless,
            written: Written::new(written.into_iter().map(|(ago, amount)| Hour { end: at(ago), amount })),
        }
    }
}

/// Some past with rises, falls and teeth: (days, growth by hour, height of a tooth, its hours, noise, level).
fn any_past() -> impl Strategy<Value = (i64, f64, f64, f64, f64, f64)> {
    (1..28_i64, -500.0..2000.0, 0.0..300_000.0, 1.0..200.0, 0.0..5000.0, 100_000.0..900_000.0)
}

fn past((length, growth, tooth, width, noise, level): (i64, f64, f64, f64, f64, f64)) -> impl Fn(f64) -> f64 {
    move |ago| {
        let hash = (ago * 77.7).sin() * 1000.0;
        let saw = (real(length.unsigned_abs()) * 24.0 - ago).rem_euclid(width) / width;
        level - growth * ago + tooth * saw + noise * hash.fract()
    }
}

fn time_of(outlook: Outlook) -> u64 {
    match outlook {
        Outlook::FullNow => 0,
        Outlook::Full { eta, .. } => eta.within.seconds(),
        Outlook::Later | Outlook::Stable | Outlook::Insufficient { .. } => u64::MAX,
    }
}

proptest! {
    #[test]
    fn no_past_is_too_strange(
        samples in proptest::collection::vec((prop_oneof![0..40 * DAY, any::<i64>()], any::<u64>(), prop_oneof![Just(WHOLE), Just(u64::MAX), any::<u64>()]), 0..200),
        trees in proptest::collection::vec(any_tree(), 0..3),
        now in prop_oneof![4 => Just(NOW), 1 => any::<i64>()],
    ) {
        let of = |(ago, used, whole): (i64, u64, u64)| Sample { at: Timestamp::from_seconds(NOW.saturating_sub(ago)), used, whole };
        let samples: Vec<Sample> = samples.into_iter().map(of).collect();
        let forecast = forecast(Timestamp::from_seconds(now), &samples, &trees);
        prop_assert_eq!(forecast.trees.len(), trees.len());
        if let Outlook::Full { eta, .. } = forecast.outlook {
            prop_assert!(eta.within >= span("1min") && eta.within <= span("1y"));
            prop_assert!(eta.from <= eta.within && eta.to.is_none_or(|to| to >= eta.within));
        }
        let said = format!("{forecast} {:?}", forecast.trees.iter().filter_map(|tree| tree.holding).map(|h| h.to_string()).collect::<Vec<_>>());
        prop_assert!(!said.contains("in 0") && !said.contains('-') && !said.contains("NaN"), "{}", said);
    }

    #[test]
    fn more_room_never_brings_the_end_nearer(shape in any_past(), more in 0..WHOLE, held in proptest::option::of(0..30_000_u64)) {
        let small = days(shape.0, past(shape));
        let large: Vec<Sample> = small.iter().map(|sample| Sample { whole: sample.whole + more, ..*sample }).collect();
        let trees: Vec<Tree> = held.map(|held| Tree { hours: vec![held; 24], ..tree(vec![held; 48], "24h") }).into_iter().collect();
        let [small, large] = [small, large].map(|samples| forecast(now(), &samples, &trees).outlook);
        prop_assert!(time_of(large) >= time_of(small), "{} then {}", small, large);
    }

    #[test]
    fn more_that_is_written_never_moves_the_end_away(held in 0..40_000_u64, more in 0..40_000_u64, level in 500_000.0..999_999.0) {
        let of = |held: u64| Tree { hours: vec![held; 30], fruitless: 2, ..tree(vec![held; 48], "24h") };
        let [less, more] = [held, held + more].map(|held| forecast(now(), &days(10, |_| level), &[of(held)]).outlook);
        prop_assert!(time_of(more) <= time_of(less), "{} then {}", less, more);
    }

    #[test]
    fn how_often_somebody_looks_changes_little(growth in 100.0..2000.0, days in 4..28_i64) {
        let rise = |ago: f64| 900_000.0 - growth * ago + (ago / 24.0 * std::f64::consts::TAU).sin() * 1000.0;
        let within = |every| time_of(forecast(now(), &samples(days * DAY, every, rise), &[]).outlook);
        let [often, seldom, rarely] = [300, 900, 3600].map(within);
        prop_assert!(often.abs_diff(seldom) <= often / 20 && often.abs_diff(rarely) <= often / 20, "{} {} {}", often, seldom, rarely);
    }

    #[test]
    fn the_order_of_trees_does_not_matter(trees in proptest::collection::vec(any_tree(), 2)) {
        let samples = days(10, |ago| 800_000.0 - ago * 100.0);
        let turned: Vec<Tree> = trees.iter().rev().cloned().collect();
        let [one, other] = [&trees, &turned].map(|trees| forecast(now(), &samples, trees));
        prop_assert_eq!(one.said.len(), other.said.len());
        prop_assert_eq!(time_of(one.outlook).abs_diff(time_of(other.outlook)) <= 1, true);
    }
}
