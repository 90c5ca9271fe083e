//! Civil time: the hours, days, weeks, months and years of a wall clock.
//!
//! Nothing here asks what time it is. The machine's zone comes from `TZ` or `/etc/localtime`, by way of
//! chrono; where neither makes sense it is UTC.

use crate::{time::Timestamp, units::one_word_of};
use chrono::{DateTime, Datelike as _, Local, NaiveDate, Offset as _, TimeZone as _, Utc};
use std::cell::Cell;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

// Chrono panics on a local time beyond its range: two days are more than any zone is away from UTC.
const FIRST: i64 = DateTime::<Utc>::MIN_UTC.timestamp() + 2 * DAY;
const LAST: i64 = DateTime::<Utc>::MAX_UTC.timestamp() - 2 * DAY;

/// Whose wall clock is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// The clock of this machine.
    Local,
    /// The clock that knows no summer.
    Utc,
}

/// A natural stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday, as ISO 8601 has it.
    Week,
    /// From the first of a month to its last day.
    Month,
    /// From New Year's Day to New Year's Eve.
    Year,
}

one_word_of!(
    Period,
    "a period",
    "hourly" => Self::Hour,
    "daily" => Self::Day,
    "weekly" => Self::Week,
    "monthly" => Self::Month,
    "yearly" => Self::Year,
);

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The word of configurations and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// The number of the period to which a day belongs; days are counted from 1970-01-01.
    fn of_day(self, day: i64) -> i64 {
        match self {
            Self::Hour => day * (DAY / HOUR),
            Self::Day => day,
            // The first of January 1970 was a Thursday, three days after the Monday of its week.
            Self::Week => (day + 3).div_euclid(7),
            Self::Month => {
                let date = date(day);
                i64::from(date.year()) * 12 + i64::from(date.month0())
            }
            Self::Year => i64::from(date(day).year()),
        }
    }
}

/// What a wall clock and a calendar beside it show, without their zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Civil {
    /// Seconds since 1970-01-01 00:00 on that very clock, had it never been set.
    seconds: i64,
}

impl Civil {
    /// Midnight of a date, or `None` when no calendar has that date.
    pub fn on(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self::midnight)
    }

    /// Midnight of a day counted from 1 within its year, or `None` when the year is too short.
    pub fn on_day_of_year(year: i32, day: u32) -> Option<Self> {
        NaiveDate::from_yo_opt(year, day).map(Self::midnight)
    }

    /// A time of the same day, or `None` when no clock shows it.
    pub fn at(self, hour: u32, minute: u32, second: u32) -> Option<Self> {
        let midnight = self.seconds - self.seconds.rem_euclid(DAY);
        let time = i64::from(hour) * HOUR + i64::from(minute) * 60 + i64::from(second);
        (hour < 24 && minute < 60 && second < 60).then_some(Self { seconds: midnight + time })
    }

    fn midnight(date: NaiveDate) -> Self {
        Self { seconds: i64::from(date.to_epoch_days()) * DAY }
    }
}

impl Zone {
    /// A number for the period in which a moment lies: the same for all of the period, larger for later
    /// ones.
    ///
    /// ```
    /// # use maint_core::{calendar::{Period, Zone}, time::Timestamp};
    /// let week = |seconds| Zone::Utc.period(Timestamp::from_seconds(seconds), Period::Week);
    /// assert_eq!(week(0), week(3 * 86400)); // Thursday and Sunday
    /// assert_eq!(week(0) + 1, week(4 * 86400)); // the Monday after
    /// ```
    ///
    /// The clock counts, not the time between: the two hours from two to three on the night when summer
    /// time ends are one.
    pub fn period(self, at: Timestamp, period: Period) -> i64 {
        let civil = self.civil_seconds(at);
        match period {
            Period::Hour => civil.div_euclid(HOUR),
            period => period.of_day(civil.div_euclid(DAY)),
        }
    }

    /// The period in which the Thursday of a moment's week lies: so measured, no week is torn apart by
    /// the end of a month or a year.
    pub fn period_of_week(self, at: Timestamp, period: Period) -> i64 {
        // Weeks are counted from one whose Thursday is day 0.
        period.of_day(self.period(at, Period::Week) * 7)
    }

    /// The moment at which the clock of this zone shows a civil time.
    ///
    /// A time that it shows twice is the later one, and a time that it leaps over is as far after the leap
    /// as the clock would have been: a file is never taken for older than it is. `None` when the year is
    /// beyond what can be counted.
    pub fn moment(self, civil: Civil) -> Option<Timestamp> {
        let seconds = (FIRST..=LAST).contains(&civil.seconds).then_some(civil.seconds)?;
        Some(Timestamp::from_seconds(match self {
            Self::Utc => seconds,
            Self::Local => latest_moment(seconds, local_offset),
        }))
    }

    fn civil_seconds(self, at: Timestamp) -> i64 {
        let seconds = at.seconds.clamp(FIRST, LAST);
        match self {
            Self::Utc => seconds,
            Self::Local => seconds + local_offset(seconds),
        }
    }
}

const REMEMBERED: u8 = 64;

thread_local! {
    /// Days without a change of offset, each at its number modulo [`REMEMBERED`]: (day, offset).
    static STEADY: [Cell<(i64, i64)>; REMEMBERED as usize] =
        const { [const { Cell::new((i64::MIN, 0)) }; REMEMBERED as usize] };
}

/// How far the machine's clock is ahead of UTC at a moment.
///
/// Chrono reads the clock for every answer, to see whether the zone has changed meanwhile. Files come in
/// swarms of the same days, so a day that begins and ends with one offset is remembered.
fn local_offset(seconds: i64) -> i64 {
    let day = seconds.div_euclid(DAY);
    let place = usize::try_from(day.rem_euclid(i64::from(REMEMBERED))).unwrap_or_default();
    let (known, offset) = STEADY.with(|days| days[place].get());
    if known == day {
        return offset;
    }
    let [first, last] = [day * DAY, (day + 1) * DAY].map(asked_offset);
    if first != last {
        return asked_offset(seconds);
    }
    STEADY.with(|days| days[place].set((day, first)));
    first
}

fn asked_offset(seconds: i64) -> i64 {
    let utc = DateTime::from_timestamp(seconds.clamp(FIRST, LAST), 0).unwrap_or_default().naive_utc();
    i64::from(Local.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// The last moment at which a clock shows `civil`; in a leap, where the old offset leads.
///
/// Chrono's own way back from civil time goes through every change since 1890, and at the very second of
/// a change it is not sure. Two looks at the offset suffice. The first is taken a day later, and holds for
/// `civil` when the clock has been set already; when not, the second finds the offset of before.
fn latest_moment(civil: i64, offset_at: impl Fn(i64) -> i64) -> i64 {
    let set_already = civil - offset_at(civil + DAY);
    civil - offset_at(set_already)
}

fn date(day: i64) -> NaiveDate {
    let day = i32::try_from(day).ok().and_then(NaiveDate::from_epoch_days);
    day.unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{env, process::Command};

    /// Europe/Berlin without the files of tzdata.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// Runs a test in a process of its own whose zone is Berlin's: `TZ` cannot be set safely in this one.
    pub(crate) fn in_berlin(test: &str, body: impl FnOnce()) {
        if env::var("TZ").as_deref() == Ok(BERLIN) {
            return body();
        }
        let program = env::current_exe().unwrap();
        let output = Command::new(program).args(["--exact", test]).env("TZ", BERLIN).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    pub(crate) fn utc(text: &str) -> Timestamp {
        Timestamp::from_seconds(text.parse::<DateTime<Utc>>().unwrap().timestamp())
    }

    fn civil(text: &str) -> Civil {
        let shown = text.parse::<chrono::NaiveDateTime>().unwrap();
        Civil { seconds: shown.and_utc().timestamp() }
    }

    fn same(zone: Zone, period: Period, first: &str, second: &str) {
        assert_eq!(zone.period(utc(first), period), zone.period(utc(second), period), "{first} {second}");
    }

    fn next(zone: Zone, period: Period, first: &str, second: &str) {
        assert_eq!(zone.period(utc(first), period) + 1, zone.period(utc(second), period), "{first} {second}");
    }

    #[test]
    fn a_period_ends_where_the_next_begins() {
        for (period, last, first) in [
            (Period::Hour, "2026-05-01T09:59:59Z", "2026-05-01T10:00:00Z"),
            (Period::Day, "2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z"),
            (Period::Week, "2026-01-04T23:59:59Z", "2026-01-05T00:00:00Z"),
            (Period::Month, "2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z"),
            (Period::Year, "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
        ] {
            next(Zone::Utc, period, last, first);
        }
    }

    #[test]
    fn a_week_goes_on_through_new_year() {
        same(Zone::Utc, Period::Week, "2025-12-29T00:00:00Z", "2026-01-04T23:59:59Z");
        same(Zone::Utc, Period::Week, "2026-12-28T00:00:00Z", "2027-01-03T12:00:00Z");
        same(Zone::Utc, Period::Week, "1969-12-29T00:00:00Z", "1970-01-04T00:00:00Z");
    }

    #[test]
    fn a_week_lies_where_its_thursday_lies() {
        let year = |text: &str| Zone::Utc.period_of_week(utc(text), Period::Year);
        assert_eq!([year("2025-12-29T00:00:00Z"), year("2027-01-03T00:00:00Z")], [2026, 2026]);
        let month = |text: &str| Zone::Utc.period_of_week(utc(text), Period::Month);
        assert_eq!(month("2026-04-27T00:00:00Z"), month("2026-05-31T23:00:00Z") - 1);
        assert_eq!(month("2026-04-27T00:00:00Z"), month("2026-05-03T23:00:00Z"));
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for period in Period::ALL {
            assert_eq!(period.word().parse(), Ok(period));
        }
        assert!("day".parse::<Period>().unwrap_err().to_string().contains("hourly daily weekly"));
    }

    #[test]
    fn dates_and_times_that_are_none_are_refused() {
        for (year, month, day) in
            [(2026, 2, 29), (2026, 13, 1), (2026, 0, 1), (2026, 4, 31), (i32::MAX, 1, 1)]
        {
            assert_eq!(Civil::on(year, month, day), None);
        }
        assert_eq!(Civil::on_day_of_year(2025, 366), None);
        assert_eq!(Civil::on_day_of_year(2024, 366), Civil::on(2024, 12, 31));
        let day = Civil::on(1969, 7, 20).unwrap();
        assert_eq!([day.at(24, 0, 0), day.at(0, 60, 0), day.at(0, 0, 60)], [None; 3]);
        assert_eq!(day.at(20, 17, 40), Some(civil("1969-07-20T20:17:40")));
        assert_eq!(day.at(20, 17, 40).unwrap().at(0, 0, 0), Some(day));
    }

    #[test]
    fn the_ends_of_time_saturate() {
        for zone in [Zone::Utc, Zone::Local] {
            for period in Period::ALL {
                let [first, last] =
                    [i64::MIN, i64::MAX].map(|s| zone.period(Timestamp::from_seconds(s), period));
                assert!(first < last);
                let [first, last] =
                    [i64::MIN, i64::MAX].map(|s| zone.period_of_week(Timestamp::from_seconds(s), period));
                assert!(first < last);
            }
            for seconds in [i64::MIN, FIRST - 1, LAST + 1, i64::MAX] {
                assert_eq!(zone.moment(Civil { seconds }), None);
            }
            assert!(zone.moment(Civil { seconds: FIRST }).is_some());
            assert!(zone.moment(Civil { seconds: LAST }).is_some());
        }
    }

    #[test]
    fn the_hour_that_comes_twice_is_one() {
        in_berlin("calendar::tests::the_hour_that_comes_twice_is_one", || {
            same(Zone::Local, Period::Hour, "2026-10-25T00:00:00Z", "2026-10-25T01:59:59Z");
            next(Zone::Local, Period::Hour, "2026-10-25T01:59:59Z", "2026-10-25T02:00:00Z");
            next(Zone::Utc, Period::Hour, "2026-10-25T00:00:00Z", "2026-10-25T01:59:59Z");
        });
    }

    #[test]
    fn days_begin_at_the_midnight_of_the_zone() {
        in_berlin("calendar::tests::days_begin_at_the_midnight_of_the_zone", || {
            next(Zone::Local, Period::Day, "2026-07-31T21:59:59Z", "2026-07-31T22:00:00Z");
            next(Zone::Local, Period::Month, "2026-07-31T21:59:59Z", "2026-07-31T22:00:00Z");
            next(Zone::Local, Period::Year, "2025-12-31T22:59:59Z", "2025-12-31T23:00:00Z");
            same(Zone::Local, Period::Day, "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z");
            same(Zone::Local, Period::Week, "2026-10-18T22:00:00Z", "2026-10-25T22:59:59Z");
        });
    }

    #[test]
    fn the_machines_clock_leads_back_to_the_moment() {
        in_berlin("calendar::tests::the_machines_clock_leads_back_to_the_moment", || {
            for (shown, moment) in [
                ("2026-01-15T12:00:00", "2026-01-15T11:00:00Z"),
                ("2026-07-15T12:00:00", "2026-07-15T10:00:00Z"),
                ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
                ("2026-10-25T02:30:00", "2026-10-25T01:30:00Z"),
                ("2140-07-15T12:00:00", "2140-07-15T10:00:00Z"),
            ] {
                assert_eq!(Zone::Local.moment(civil(shown)), Some(utc(moment)), "{shown}");
            }
        });
    }

    #[test]
    fn the_ends_of_time_saturate_where_there_is_summer() {
        in_berlin(
            "calendar::tests::the_ends_of_time_saturate_where_there_is_summer",
            the_ends_of_time_saturate,
        );
    }

    /// A clock that is set once, at moment zero.
    fn set_once(before: i64, after: i64) -> impl Fn(i64) -> i64 {
        move |moment| if moment < 0 { before } else { after }
    }

    #[test]
    fn a_time_shown_twice_is_the_later_one() {
        let moment = |civil| latest_moment(civil, set_once(2 * HOUR, HOUR));
        assert_eq!(moment(HOUR - 1), -HOUR - 1);
        assert_eq!([moment(HOUR), moment(2 * HOUR - 1)], [0, HOUR - 1]);
        assert_eq!(moment(2 * HOUR), HOUR);
    }

    #[test]
    fn a_time_leapt_over_is_after_the_leap() {
        let moment = |civil| latest_moment(civil, set_once(HOUR, 2 * HOUR));
        assert_eq!(moment(HOUR - 1), -1);
        assert_eq!([moment(HOUR), moment(2 * HOUR - 1)], [0, HOUR - 1]);
        assert_eq!(moment(2 * HOUR), 0);
    }

    #[test]
    fn what_is_remembered_is_what_was_asked() {
        in_berlin("calendar::tests::what_is_remembered_is_what_was_asked", || {
            let year = utc("2026-01-01T00:00:00Z").seconds;
            for _ in 0..2 {
                for seconds in (year..year + 366 * DAY).step_by(1801) {
                    assert_eq!(local_offset(seconds), asked_offset(seconds), "{seconds}");
                }
            }
        });
    }

    proptest! {
        #[test]
        fn no_moment_at_which_the_clock_shows_it_is_later(before in -12..=14i64, after in -12..=14i64, quarters in -200..200i64) {
            let offset_at = set_once(before * HOUR, after * HOUR);
            let civil = quarters * 900;
            let shown = [before, after].map(|hours| civil - hours * HOUR);
            let moment = latest_moment(civil, &offset_at);
            prop_assert!(shown.into_iter().filter(|m| m + offset_at(*m) == civil).all(|m| m <= moment));
        }

        #[test]
        fn weeks_nest_in_months_and_months_in_years(seconds in -4_000_000_000..9_000_000_000i64, later in 0..700_000i64) {
            let [first, second] = [seconds, seconds + later].map(Timestamp::from_seconds);
            for period in Period::ALL {
                prop_assert!(Zone::Utc.period(first, period) <= Zone::Utc.period(second, period));
            }
            if Zone::Utc.period(first, Period::Week) == Zone::Utc.period(second, Period::Week) {
                for period in [Period::Month, Period::Year] {
                    prop_assert_eq!(Zone::Utc.period_of_week(first, period), Zone::Utc.period_of_week(second, period));
                }
            }
        }

        #[test]
        fn weeks_are_those_of_iso(seconds in -4_000_000_000..9_000_000_000i64, days in -8..8i64) {
            let week = |s| DateTime::from_timestamp(s, 0).unwrap().iso_week();
            let number = |s| Zone::Utc.period(Timestamp::from_seconds(s), Period::Week);
            let other = seconds + days * DAY;
            prop_assert_eq!(number(seconds).cmp(&number(other)), week(seconds).cmp(&week(other)));
            let year = Zone::Utc.period_of_week(Timestamp::from_seconds(seconds), Period::Year);
            prop_assert_eq!(year, i64::from(week(seconds).year()));
        }
    }
}
