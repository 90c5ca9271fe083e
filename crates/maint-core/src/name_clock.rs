//! The time in a file's name: `cam1_20260131_235959.jpg`, `dump-1767225600.sql`.
//!
//! A format names the fields and the text between them, with the letters of `date`. It is held against
//! the stem of a name, from its start; what follows in the stem is not looked at.

use crate::{
    calendar::{Civil, Zone},
    text::printable,
    time::Timestamp,
};
use std::fmt;

/// A format by which names tell their time, and the zone of the clock that wrote them.
///
/// ```
/// # use maint_core::{calendar::Zone, name_clock::NameClock};
/// let clock = NameClock::new("cam*_%Y%m%d_%H%M", Zone::Utc).unwrap();
/// let named = clock.read(b"cam1_20260131_2359-east.jpg").unwrap();
/// assert_eq!(named.earliest.seconds, 1_769_903_940);
/// assert_eq!(named.latest.seconds, 1_769_903_999); // somewhere in that minute
/// assert_eq!(clock.read(b"cam1_20260231_2359.jpg"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClock {
    written: String,
    zone: Zone,
    parts: Vec<Part>,
}

/// The stretch of time of which a name speaks: a second, or all of the minute, hour or day it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The first moment of it.
    pub earliest: Timestamp,
    /// The last full second of it.
    pub latest: Timestamp,
}

/// Why a text is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{written}\" does not say where a name has its time: {why}")]
pub struct NameClockError {
    written: String,
    why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Field(Field),
    /// The fields of the date are all read: here it must exist.
    DateIsRead,
    /// `*`; `within_date` when it stands between the fields of the date.
    Any {
        within_date: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Fraction,
    SinceEpoch,
}

const FIELDS: usize = 9;

impl Field {
    const DATE: [Self; 4] = [Self::Year, Self::Month, Self::Day, Self::DayOfYear];

    const fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'Y' => Self::Year,
            'm' => Self::Month,
            'd' => Self::Day,
            'j' => Self::DayOfYear,
            'H' => Self::Hour,
            'M' => Self::Minute,
            'S' => Self::Second,
            'f' => Self::Fraction,
            's' => Self::SinceEpoch,
            _ => return None,
        })
    }

    /// The fewest and the most digits it may have.
    const fn digits(self) -> (usize, usize) {
        match self {
            Self::Year => (4, 4),
            Self::DayOfYear => (3, 3),
            Self::Fraction => (1, 9),
            Self::SinceEpoch => (1, 11),
            _ => (2, 2),
        }
    }

    /// Whether it takes all the digits there are, so that a longer number is never read in part.
    const fn takes_all_digits(self) -> bool {
        let (fewest, most) = self.digits();
        fewest < most
    }

    /// What its number must lie between for any date or time to be possible.
    const fn is_possible(self, number: u64) -> bool {
        match self {
            Self::Year => number >= 1,
            Self::Month => number >= 1 && number <= 12,
            Self::Day => number >= 1 && number <= 31,
            Self::DayOfYear => number >= 1 && number <= 366,
            Self::Hour => number < 24,
            Self::Minute => number < 60,
            // A leap second.
            Self::Second => number <= 60,
            Self::Fraction | Self::SinceEpoch => true,
        }
    }
}

impl NameClock {
    /// A format such as `%Y%m%d_%H%M%S`, read by the clock of a zone.
    pub fn new(format: &str, zone: Zone) -> Result<Self, NameClockError> {
        let wrong = |why| NameClockError { written: printable(format.as_bytes()), why };
        let parts = parts(format).map_err(wrong)?;
        check(&parts).map_err(|why| wrong(why.to_owned()))?;
        Ok(Self { written: format.to_owned(), zone, parts: with_date_marks(parts) })
    }

    /// The time of which a name speaks, or `None` when it does not fit the format or no calendar has its
    /// date.
    pub fn read(&self, name: &[u8]) -> Option<Named> {
        let found = fit(&self.parts, stem(name), 0, Found::default()).ok()?;
        found.named(self.zone)
    }
}

impl fmt::Display for NameClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.written.as_bytes()))
    }
}

fn parts(format: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('%') => push_text(&mut parts, '%'),
                Some(letter) => parts.push(Part::Field(field(letter)?)),
                None => return Err("it ends in a percent sign; write %% for the character".into()),
            },
            '*' if matches!(parts.last(), Some(Part::Any { .. })) => {}
            '*' => parts.push(Part::Any { within_date: false }),
            '/' | '\0' => {
                return Err("it is held against the name alone, which has no slash and no NUL".into());
            }
            c => push_text(&mut parts, c),
        }
    }
    Ok(parts)
}

fn field(letter: char) -> Result<Field, String> {
    Field::from_letter(letter).ok_or_else(|| {
        let letter = printable(letter.encode_utf8(&mut [0; 4]).as_bytes());
        format!("%{letter} is not known; write %Y %m %d or %Y %j, then %H %M %S %f, or %s alone, and %% for a percent sign")
    })
}

fn push_text(parts: &mut Vec<Part>, c: char) {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    match parts.last_mut() {
        Some(Part::Text(text)) => text.extend_from_slice(bytes),
        _ => parts.push(Part::Text(bytes.to_vec())),
    }
}

fn check(parts: &[Part]) -> Result<(), &'static str> {
    use Field::{Day, DayOfYear, Fraction, Hour, Minute, Month, Second, SinceEpoch, Year};
    let mut count = [0_usize; FIELDS];
    for part in parts {
        if let Part::Field(field) = part {
            count[*field as usize] += 1;
        }
    }
    let has = |field: Field| count[field as usize] > 0;
    let rules = [
        (count.iter().all(|n| *n < 2), "a field stands in it twice; write * where it comes again"),
        (
            !has(SinceEpoch) || count.iter().sum::<usize>() == 1,
            "%s is the whole time; write it without other fields",
        ),
        (
            has(SinceEpoch) || has(Year) && (has(DayOfYear) || has(Month) && has(Day)),
            "it has no full date; write %Y with %m and %d, or %Y with %j, or %s",
        ),
        (
            !has(DayOfYear) || !has(Month) && !has(Day),
            "%j is the day of the year; write it without %m and %d",
        ),
        (has(Hour) || !has(Minute), "%M needs %H; write * for a number that is not the minute"),
        (has(Minute) || !has(Second), "%S needs %M; write * for a number that is not the second"),
        (has(Second) || !has(Fraction), "%f needs %S; write * for a number that is not a part of a second"),
        (
            !parts.windows(2).any(|pair| never_fits(&pair[0], &pair[1])),
            "%s and %f take all the digits there are; let something else than a digit follow",
        ),
    ];
    rules.into_iter().find(|(kept, _)| !kept).map_or(Ok(()), |(_, why)| Err(why))
}

fn never_fits(part: &Part, next: &Part) -> bool {
    let starts_with_digit = match next {
        Part::Text(text) => text.first().is_some_and(u8::is_ascii_digit),
        next => matches!(next, Part::Field(_)),
    };
    starts_with_digit && matches!(part, Part::Field(field) if field.takes_all_digits())
}

/// Marks where the date is complete, and which `*` stand within it.
fn with_date_marks(parts: Vec<Part>) -> Vec<Part> {
    let is_date = |part: &Part| matches!(part, Part::Field(field) if Field::DATE.contains(field));
    let (Some(first), Some(last)) = (parts.iter().position(is_date), parts.iter().rposition(is_date)) else {
        return parts;
    };
    let mut marked = Vec::with_capacity(parts.len() + 1);
    for (place, part) in parts.into_iter().enumerate() {
        marked.push(match part {
            Part::Any { .. } => Part::Any { within_date: first < place && place < last },
            part => part,
        });
        if place == last {
            marked.push(Part::DateIsRead);
        }
    }
    marked
}

/// The name up to its last dot; a dot at its start is no such dot.
fn stem(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        None | Some(0) => name,
        Some(dot) => &name[..dot],
    }
}

/// Why a place does not fit.
enum Miss {
    /// Another place for the `*` before may.
    Here,
    /// No place for any `*` before would change it.
    Everywhere,
}

/// Reads the parts from `at` on.
fn fit(parts: &[Part], text: &[u8], mut at: usize, mut found: Found) -> Result<Found, Miss> {
    for (place, part) in parts.iter().enumerate() {
        match part {
            Part::Text(expected) => {
                if !text[at..].starts_with(expected) {
                    return Err(Miss::Here);
                }
                at += expected.len();
            }
            Part::Field(field) => {
                let (number, length) = number(*field, &text[at..]).ok_or(Miss::Here)?;
                found.set(*field, number, length);
                at += length;
            }
            Part::DateIsRead => found.date = Some(found.date().ok_or(Miss::Here)?),
            Part::Any { within_date } => {
                return fit_anywhere(&parts[place + 1..], text, at, &found, *within_date);
            }
        }
    }
    Ok(found)
}

/// Reads the parts behind a `*`, from the first place on at which they fit.
fn fit_anywhere(
    parts: &[Part],
    text: &[u8],
    start: usize,
    found: &Found,
    within_date: bool,
) -> Result<Found, Miss> {
    for at in start..=text.len() {
        if at > start && splits_a_number(parts.first(), &text[..at]) {
            continue;
        }
        match fit(parts, text, at, *found) {
            Err(Miss::Here) => {}
            answer => return answer,
        }
    }
    // A date half read may be possible with another first half. Everything else is a matter of the text
    // behind this place, and a `*` further to the left would only leave less of it.
    Err(if within_date { Miss::Here } else { Miss::Everywhere })
}

/// Whether a field that takes all digits would begin amid a number: the end of a longer one, such as a
/// time in milliseconds, would pass for a time long ago.
fn splits_a_number(next: Option<&Part>, before: &[u8]) -> bool {
    matches!(next, Some(Part::Field(field)) if field.takes_all_digits())
        && before.last().is_some_and(u8::is_ascii_digit)
}

/// The number of a field and how many digits it has.
fn number(field: Field, text: &[u8]) -> Option<(u64, usize)> {
    let (fewest, most) = field.digits();
    let look_at = if field.takes_all_digits() { most + 1 } else { most };
    let mut number = 0;
    let mut length = 0;
    for digit in text.iter().take(look_at).take_while(|byte| byte.is_ascii_digit()) {
        number = number * 10 + u64::from(digit - b'0');
        length += 1;
    }
    ((fewest..=most).contains(&length) && field.is_possible(number)).then_some((number, length))
}

/// What has been read so far.
#[derive(Clone, Copy, Default)]
struct Found {
    year: i32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    /// The midnight of those, once they are complete.
    date: Option<Civil>,
    hour: Option<u32>,
    minute: Option<u32>,
    second: Option<u32>,
    nanos: u32,
    since_epoch: Option<i64>,
}

impl Found {
    fn set(&mut self, field: Field, number: u64, length: usize) {
        // Eleven digits are the most there are, and only %s has more than nine.
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        match field {
            Field::Year => self.year = i32::try_from(number).unwrap_or(i32::MAX),
            Field::Month => self.month = small,
            Field::Day => self.day = small,
            Field::DayOfYear => self.day_of_year = Some(small),
            Field::Hour => self.hour = Some(small),
            Field::Minute => self.minute = Some(small),
            Field::Second => self.second = Some(small.min(59)),
            Field::Fraction => self.nanos = (length..9).fold(small, |nanos, _| nanos * 10),
            Field::SinceEpoch => self.since_epoch = i64::try_from(number).ok(),
        }
    }

    fn date(&self) -> Option<Civil> {
        match self.day_of_year {
            Some(day) => Civil::on_day_of_year(self.year, day),
            None => Civil::on(self.year, self.month, self.day),
        }
    }

    fn named(&self, zone: Zone) -> Option<Named> {
        let exactly = |moment: Timestamp| {
            let moment = Timestamp { nanos: self.nanos, ..moment };
            Named { earliest: moment, latest: moment }
        };
        if let Some(seconds) = self.since_epoch {
            return Some(exactly(Timestamp::from_seconds(seconds)));
        }
        let first =
            self.date?.at(self.hour.unwrap_or(0), self.minute.unwrap_or(0), self.second.unwrap_or(0))?;
        let earliest = zone.moment(first)?;
        if self.second.is_some() {
            return Some(exactly(earliest));
        }
        let last = self.date?.at(self.hour.unwrap_or(23), self.minute.unwrap_or(59), 59)?;
        // Where a clock leaps amid a minute, the end of that minute may come before its beginning.
        Some(Named { earliest, latest: zone.moment(last)?.max(earliest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::tests::{in_berlin, utc};
    use proptest::prelude::*;

    const USUAL: &str = "%Y%m%d_%H%M%S";

    fn clock(format: &str) -> NameClock {
        NameClock::new(format, Zone::Utc).unwrap()
    }

    fn reads(format: &str, name: &str, earliest: &str, latest: &str) {
        let named = Named { earliest: utc(earliest), latest: utc(latest) };
        assert_eq!(clock(format).read(name.as_bytes()), Some(named), "{format} {name}");
    }

    fn reads_second(format: &str, name: &str, moment: &str) {
        reads(format, name, moment, moment);
    }

    fn does_not_read(format: &str, name: &str) {
        assert_eq!(clock(format).read(name.as_bytes()), None, "{format} {name}");
    }

    fn refused(format: &str, because: &str) {
        let error = NameClock::new(format, Zone::Utc).unwrap_err().to_string();
        assert!(error.contains(because), "{format}: {error}");
    }

    #[test]
    fn a_name_with_seconds_is_one_moment() {
        for name in
            ["20260131_235958", "20260131_235958.jpg", "20260131_235958-cam1.tar.gz", "20260131_2359587.x"]
        {
            reads_second(USUAL, name, "2026-01-31T23:59:58Z");
        }
        reads_second("%H.%M.%S, %d.%m.%Y", "23.59.58, 31.01.2026.txt", "2026-01-31T23:59:58Z");
        reads_second("%Y-%jT%H%M%S", "2024-366T000000Z", "2024-12-31T00:00:00Z");
        reads_second("é%%%Y%m%d%H%M%S", "é%19691231235959", "1969-12-31T23:59:59Z");
    }

    #[test]
    fn a_name_without_seconds_is_all_it_may_mean() {
        reads("%Y%m%d_%H%M", "20260131_2359.x", "2026-01-31T23:59:00Z", "2026-01-31T23:59:59Z");
        reads("%Y%m%d_%H", "20260131_23.x", "2026-01-31T23:00:00Z", "2026-01-31T23:59:59Z");
        reads("%Y%m%d", "20260131_2359.x", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        reads("%Y-%j", "2026-031.x", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
    }

    #[test]
    fn fractions_are_kept() {
        for (name, nanos) in [("0.5", 500_000_000), ("1.000000001", 1), ("0.123", 123_000_000), ("1.0", 0)] {
            let named = clock("%Y%m%d%H%M%S.%f").read(format!("2026010100000{name}-.x").as_bytes()).unwrap();
            assert_eq!((named.earliest.nanos, named.latest), (nanos, named.earliest));
        }
        does_not_read("%Y%m%d%H%M%S.%f", "20260101000000.1234567890.x");
    }

    #[test]
    fn seconds_since_1970_are_a_whole_number() {
        reads_second("dump-%s", "dump-0.sql", "1970-01-01T00:00:00Z");
        reads_second("dump-%s", "dump-1767225600-full.sql", "2026-01-01T00:00:00Z");
        reads_second("*%s", "dump-1767225600.sql", "2026-01-01T00:00:00Z");
        does_not_read("dump-%s", "dump--5.sql");
        does_not_read("dump-%s", "dump-1767225600123.sql");
        does_not_read("*%s", "dump-1767225600123.sql");
        assert_eq!(clock("%s").read(b"99999999999").unwrap().latest.seconds, 99_999_999_999);
    }

    #[test]
    fn only_the_stem_counts_and_from_its_start() {
        does_not_read("%Y%m%d", "cam1_20260131.jpg");
        does_not_read("%Y%m%d", "cam1.20260131");
        does_not_read("%Y.%m.%d", "2026.01.31");
        reads(".%Y%m%d", ".20260131", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        reads(".%Y%m%d", ".20260131.jpg", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        for name in ["", ".", "..", "2026013", "2026013x", "２０２６0131"] {
            does_not_read("%Y%m%d", name);
        }
    }

    #[test]
    fn what_no_calendar_or_clock_shows_is_no_time() {
        for name in
            ["20261301_000000", "20260001_000000", "20260230_000000", "20260100_000000", "20250229_000000"]
        {
            does_not_read(USUAL, name);
        }
        for name in ["20260101_240000", "20260101_006000", "20260101_000061", "00000101_000000"] {
            does_not_read(USUAL, name);
        }
        does_not_read("%Y%j", "2025366");
        does_not_read("%Y%j", "2025000");
        reads_second(USUAL, "20161231_235960", "2016-12-31T23:59:59Z");
    }

    #[test]
    fn a_star_is_as_short_as_it_can_be() {
        reads("*%Y%m%d", "20260131 20250131.x", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        reads("*_%Y%m%d", "a_b_20260131_20250131.x", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        reads("**%Y*%m*%d*", "cam 2026, 01, 31", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        does_not_read("*_%Y%m%d", "20260131.x");
    }

    #[test]
    fn a_star_goes_on_until_the_date_is_possible() {
        reads("*%Y%m%d", "12345678_20260230_20260131.x", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        reads("*%Y*%m%d", "2025_0229 2024_0229", "2024-02-29T00:00:00Z", "2024-02-29T23:59:59Z");
        reads("*%d*%m%Y", "31-022026 012026", "2026-01-31T00:00:00Z", "2026-01-31T23:59:59Z");
        reads("*c%Y%m%d*c%H%M", "cc20260131c99c2359", "2026-01-31T23:59:00Z", "2026-01-31T23:59:59Z");
        does_not_read("*%Y%m%d*c%H%M", "20260131_20250131c9999");
    }

    #[test]
    fn many_stars_do_not_explode() {
        let format = format!("{}%Y%m%d*x%H*x%M*x%S", "*0".repeat(40));
        does_not_read(&format, &"20260230x".repeat(28));
        does_not_read(&format, &"20260131x".repeat(28));
    }

    #[test]
    fn a_wrong_format_teaches_the_right_one() {
        refused("%y%m%d", "%y is not known; write %Y %m %d");
        refused("%Y%m%d_%\u{1b}", "%\\x1b is not known");
        refused("%Y%m%d%", "write %% for the character");
        refused("%Y/%m/%d", "has no slash");
        for format in ["", "*", "%Y", "%Y%m", "%m%d", "%j", "%d%Y", "%H%M%S", "%%s"] {
            refused(format, "no full date");
        }
        refused("%Y%m%d-%Y", "twice");
        refused("%s%H", "%s is the whole time");
        refused("%s*%f", "%s is the whole time");
        refused("%Y%m%d%j", "without %m and %d");
        refused("%Y%m%d%M", "%M needs %H");
        refused("%Y%m%d%H%S", "%S needs %M");
        refused("%Y%m%d%H%M%f", "%f needs %S");
        refused("%H%M%S%f%Y%m%d", "take all the digits");
        refused("%s0", "take all the digits");
    }

    #[test]
    fn a_format_is_shown_as_written() {
        assert_eq!(clock("**%%_%Y%m%d").to_string(), "**%%_%Y%m%d");
    }

    #[test]
    fn names_are_read_by_the_clock_of_the_zone() {
        in_berlin("name_clock::tests::names_are_read_by_the_clock_of_the_zone", || {
            let read = |format, name: &str| {
                let named = NameClock::new(format, Zone::Local).unwrap().read(name.as_bytes()).unwrap();
                (named.earliest, named.latest)
            };
            let second = |moment| (utc(moment), utc(moment));
            assert_eq!(read(USUAL, "20260715_120000"), second("2026-07-15T10:00:00Z"));
            assert_eq!(read(USUAL, "20261025_023000"), second("2026-10-25T01:30:00Z"));
            assert_eq!(read(USUAL, "20260329_023000"), second("2026-03-29T01:30:00Z"));
            assert_eq!(
                read("%Y%m%d", "20260329"),
                (utc("2026-03-28T23:00:00Z"), utc("2026-03-29T21:59:59Z"))
            );
            assert_eq!(read("%s", "1767225600"), second("2026-01-01T00:00:00Z"));
        });
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -60_000_000_000..250_000_000_000i64, nanos in 0..1_000_000_000u32, form in 0..4usize) {
            let shown = chrono::DateTime::from_timestamp(seconds, nanos).unwrap();
            let format = ["%Y%m%d_%H%M%S-%f", "%f.%S %M %H %d.%m.%Y", "x%Y-%j_%H%M%S*%f", "*_%d%%%m%Y %H%M%S,%f"][form];
            let name = format!("{}z.x", shown.format(&format.replace("%f", "%9f").replace('*', "ab")));
            let moment = Timestamp { seconds, nanos };
            prop_assert_eq!(clock(format).read(name.as_bytes()), Some(Named { earliest: moment, latest: moment }));
        }

        #[test]
        fn no_name_is_too_strange(name in "[0-3._x\\PC]{0,40}", noise in proptest::collection::vec(any::<u8>(), 0..40)) {
            for format in [USUAL, "*%Y*%m*%d", "%s", "*%Y%j*x*%H", "%Y%m%d%H%M%S*%f"] {
                for zone in [Zone::Local, Zone::Utc] {
                    let clock = NameClock::new(format, zone).unwrap();
                    for name in [name.as_bytes(), &noise] {
                        prop_assert!(clock.read(name).is_none_or(|named| named.earliest <= named.latest));
                    }
                }
            }
        }

        #[test]
        fn no_format_is_too_strange(format in "(%[YmdHMSjsf%]|[*0_é]){0,9}", name in "[0-3_é%]{0,24}") {
            if let Ok(clock) = NameClock::new(&format, Zone::Utc) {
                let _ = clock.read(name.as_bytes());
            }
        }
    }
}
