//! Values of `[files.NAME]` that are more than one word: a number or a table, a word or a table.

use crate::{
    calendar::{Period, Zone},
    emergency::Mark,
    grouping::Per,
    name_clock::NameClock,
    pattern::Pattern,
    retention::{AgeBy, Keep, KeepNewest, Thin, Thinning},
    units::{ByteSize, Share, Span, UnitError},
};
use serde::{
    Deserialize,
    de::{self, Deserializer, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};
use std::{fmt, marker::PhantomData, path::PathBuf, str::FromStr};

/// A list of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(pub Vec<Pattern>);

/// `age-by = "mtime"`, `"name:%Y%m%d"`, `{ name = "%Y%m%d", utc = true }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeByValue(pub AgeBy);

/// `keep-newest = 25`, `{ count = 25, per = "folder" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepNewestValue(pub KeepNewest);

/// `keep = { daily = 7, within = "2d" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepValue(pub Keep);

/// `thin = [{ older-than = "1d", keep = "hourly" }]`, or a table with these `steps` and a `per`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThinValue(pub Thinning);

/// `then = "delete"`, `{ move-to = "/path" }`, `{ archive-to = "/path" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ThenValue {
    /// Files are removed.
    #[default]
    Delete,
    /// Files go to this folder.
    MoveTo(PathBuf),
    /// Files go into archives in this folder.
    ArchiveTo(PathBuf),
}

/// `limit = { files = 10000, bytes = "10GiB", rate = "500/s", io-pressure = "40%" }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LimitValue {
    /// So many files a run.
    pub files: Option<u64>,
    /// So many bytes a run.
    pub bytes: Option<ByteSize>,
    /// So many files or bytes a second.
    pub rate: Option<Rate>,
    /// Wait while tasks wait for the disk for more than this share of the time.
    pub io_pressure: Option<Share>,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many files a second.
    Files(u64),
    /// So many bytes a second.
    Bytes(u64),
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let spelling = "write files a second, such as \"500/s\", or bytes, such as \"20MB/s\"";
        let wrong = || UnitError::new(text, "a rate", spelling);
        let number = text.strip_suffix("/s").ok_or_else(wrong)?;
        let rate = match number.parse() {
            Ok(files) => Self::Files(files),
            Err(_) => Self::Bytes(number.parse::<ByteSize>().map_err(|_| wrong())?.bytes()),
        };
        if matches!(rate, Self::Files(0) | Self::Bytes(0)) { Err(wrong()) } else { Ok(rate) }
    }
}

crate::units::deserialize_from_str!(Rate, "a rate such as \"500/s\" or \"20MB/s\"");

/// One value in several spellings: what each type of TOML means is a function, and what is expected is a
/// sentence.
struct Spellings<T, Table, List> {
    expecting: &'static str,
    word: fn(&str) -> Result<T, String>,
    number: fn(u64) -> Option<T>,
    table: fn(Table) -> Result<T, String>,
    list: fn(List) -> Result<T, String>,
}

/// What a value is never spelled as.
#[derive(Deserialize)]
enum Never {}

fn no_word<T>(_: &str) -> Result<T, String> {
    Err(String::new())
}

fn no_number<T>(_: u64) -> Option<T> {
    None
}

#[expect(clippy::needless_pass_by_value, reason = "it is a function of the one value there cannot be")]
fn never<T>(never: Never) -> Result<T, String> {
    match never {}
}

struct Reader<'s, T, Table, List>(&'s Spellings<T, Table, List>, PhantomData<T>);

impl<'de, T, Table: Deserialize<'de>, List: Deserialize<'de>> de::Visitor<'de>
    for Reader<'_, T, Table, List>
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0.word)(text).map_err(|why| match why.as_str() {
            "" => E::invalid_type(de::Unexpected::Str(text), &self),
            why => E::custom(why),
        })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(self.0.number);
        value.ok_or_else(|| E::invalid_type(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.0.number)(number).ok_or_else(|| E::invalid_type(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        (self.0.table)(table).map_err(de::Error::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        let list = List::deserialize(SeqAccessDeserializer::new(items))?;
        (self.0.list)(list).map_err(de::Error::custom)
    }
}

impl<T, Table, List> Spellings<T, Table, List> {
    fn read<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<T, D::Error>
    where
        Table: Deserialize<'de>,
        List: Deserialize<'de>,
    {
        deserializer.deserialize_any(Reader(self, PhantomData))
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spellings::<Self, Never, Vec<Pattern>> {
            expecting: "a list of patterns, such as [\"*.jpg\", \"*.png\"]",
            word: no_word,
            number: no_number,
            table: never,
            list: |patterns| Ok(Self(patterns)),
        }
        .read(deserializer)
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: FromStr<Err: fmt::Display> + Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spellings::<Self, Never, Vec<T>> {
            expecting: "a text, or a list of texts",
            word: |text| text.parse().map(|one| Self(vec![one])).map_err(|error: T::Err| error.to_string()),
            number: no_number,
            table: never,
            list: |all| {
                let nothing = "an empty list says nothing: leave the key out".to_owned();
                if all.is_empty() { Err(nothing) } else { Ok(Self(all)) }
            },
        }
        .read(deserializer)
    }
}

/// The patterns of `match`: an empty list is not "every file".
pub(super) fn at_least_one_pattern<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Pattern>, D::Error> {
    let Patterns(patterns) = Patterns::deserialize(deserializer)?;
    if patterns.is_empty() {
        return Err(de::Error::custom("an empty list matches nothing: leave the key out to mean every file"));
    }
    Ok(patterns)
}

impl Default for AgeByValue {
    fn default() -> Self {
        Self(AgeBy::Mtime)
    }
}

impl<'de> Deserialize<'de> for AgeByValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            name: String,
            #[serde(default)]
            utc: bool,
        }
        Spellings::<Self, Table, Never> {
            expecting: "a clock: \"mtime\", \"atime\", \"ctime\", \"btime\", \"newest\", \"name:%Y%m%d_%H%M%S\" or { name = \"%Y%m%d_%H%M%S\", utc = true }",
            word: |text| text.parse(),
            number: no_number,
            table: |Table { name, utc }| {
                let zone = if utc { Zone::Utc } else { Zone::Local };
                NameClock::new(&name, zone).map(|clock| Self(AgeBy::Name(clock))).map_err(|error| error.to_string())
            },
            list: never,
        }
        .read(deserializer)
    }
}

impl FromStr for AgeByValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "mtime" => AgeBy::Mtime,
            "atime" => AgeBy::Atime,
            "ctime" => AgeBy::Ctime,
            "btime" => AgeBy::Btime,
            "newest" => AgeBy::Newest,
            _ => {
                let Some(format) = text.strip_prefix("name:") else {
                    let why = "write one of mtime ctime atime btime newest, or name: and the format of the time in the name";
                    return Err(UnitError::new(text, "a clock to age by", why).to_string());
                };
                AgeBy::Name(NameClock::new(format, Zone::Local).map_err(|error| error.to_string())?)
            }
        }))
    }
}

impl FromStr for Mark {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if let Ok(share) = text.parse() {
            return Ok(Self::share(share));
        }
        let spelling = "write a used share, such as \"95%\", or free space, such as \"2GiB\"";
        text.parse().map(Self::free).map_err(|_| UnitError::new(text, "a mark", spelling))
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            used: Option<Share>,
            free: Option<ByteSize>,
            inodes: Option<Share>,
        }
        Spellings::<Self, Table, Never> {
            expecting: "a mark: \"95%\" used, \"2GiB\" free, or { used = \"95%\", free = \"2GiB\", inodes = \"90%\" }",
            word: |text| text.parse().map_err(|error: UnitError| error.to_string()),
            number: no_number,
            table: |Table { used, free, inodes }| {
                let mark = Self { used, free, inodes };
                let nothing = "it marks nothing: write used, free or inodes".to_owned();
                if mark == Self::default() { Err(nothing) } else { Ok(mark) }
            },
            list: never,
        }
        .read(deserializer)
    }
}

impl<'de> Deserialize<'de> for KeepNewestValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            count: u64,
            #[serde(default)]
            per: Per,
        }
        Spellings::<Self, Table, Never> {
            expecting: "for keep-newest a number such as 25, or { count = 25, per = \"folder\" }",
            word: no_word,
            number: |count| Some(Self(KeepNewest { count, per: Per::Target })),
            table: |Table { count, per }| Ok(Self(KeepNewest { count, per })),
            list: never,
        }
        .read(deserializer)
    }
}

impl<'de> Deserialize<'de> for KeepValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            last: Option<u64>,
            hourly: Option<u64>,
            daily: Option<u64>,
            weekly: Option<u64>,
            monthly: Option<u64>,
            yearly: Option<u64>,
            within: Option<Span>,
            #[serde(default)]
            per: Per,
        }
        Spellings::<Self, Table, Never> {
            expecting: "a table of counts, such as { daily = 7, weekly = 4, within = \"2d\" }",
            word: no_word,
            number: no_number,
            table: |table| {
                let counts = [
                    (Period::Hour, table.hourly),
                    (Period::Day, table.daily),
                    (Period::Week, table.weekly),
                    (Period::Month, table.monthly),
                    (Period::Year, table.yearly),
                ];
                let periods: Vec<_> =
                    counts.into_iter().filter_map(|(period, n)| Some((period, n?))).collect();
                if periods.iter().any(|(_, n)| *n == 0) || table.last == Some(0) {
                    return Err("a count is 1 or more: leave the others out".to_owned());
                }
                let keep = Keep { last: table.last, periods, within: table.within, per: table.per };
                if keep.last.is_none() && keep.periods.is_empty() && keep.within.is_none() {
                    return Err(
                        "it names no count: write last, hourly, daily, weekly, monthly, yearly or within"
                            .to_owned(),
                    );
                }
                Ok(Self(keep))
            },
            list: never,
        }
        .read(deserializer)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ThinStep {
    older_than: Span,
    keep: Period,
}

fn thinning(steps: Vec<ThinStep>, per: Per) -> Result<ThinValue, String> {
    if steps.is_empty() {
        return Err(
            "it needs at least one step, such as { older-than = \"1d\", keep = \"hourly\" }".to_owned()
        );
    }
    let steps = steps.into_iter().map(|step| Thin { older_than: step.older_than, keep: step.keep }).collect();
    Ok(ThinValue(Thinning { steps, per }))
}

impl<'de> Deserialize<'de> for ThinValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            steps: Vec<ThinStep>,
            #[serde(default)]
            per: Per,
        }
        Spellings::<Self, Table, Vec<ThinStep>> {
            expecting: "a list of steps, such as [{ older-than = \"1d\", keep = \"hourly\" }], or { steps = […], per = \"folder\" }",
            word: no_word,
            number: no_number,
            table: |Table { steps, per }| thinning(steps, per),
            list: |steps| thinning(steps, Per::Target),
        }
        .read(deserializer)
    }
}

impl<'de> Deserialize<'de> for ThenValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Table {
            move_to: Option<PathBuf>,
            archive_to: Option<PathBuf>,
        }
        const EXPECTING: &str = "\"delete\", { move-to = \"/path\" } or { archive-to = \"/path\" }";
        Spellings::<Self, Table, Never> {
            expecting: EXPECTING,
            word: |text| match text {
                "delete" => Ok(Self::Delete),
                _ => Err(UnitError::new(text, "a way to leave", format!("write {EXPECTING}")).to_string()),
            },
            number: no_number,
            table: |table| match table {
                Table { move_to: Some(path), archive_to: None } => Ok(Self::MoveTo(path)),
                Table { move_to: None, archive_to: Some(path) } => Ok(Self::ArchiveTo(path)),
                _ => Err(format!("a file leaves in one way: write {EXPECTING}")),
            },
            list: never,
        }
        .read(deserializer)
    }
}
