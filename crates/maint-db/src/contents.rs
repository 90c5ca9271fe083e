//! What is in a database, in numbers that can be compared: rows and a hash for each table.

use maint_core::text::grouped;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Tables, by name.
    pub tables: BTreeMap<String, Table>,
    /// What a dump fills anew when it is restored: compared by name, and told where it differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub materialized_views: BTreeMap<String, Table>,
    /// Sequences, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, Sequence>,
    /// Large objects, all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_objects: Option<Table>,
}

/// The rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// How many.
    pub rows: u64,
    /// What is in them.
    pub hash: String,
}

/// Where a sequence stood. It is no part of any snapshot, so there are two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Before the dump.
    pub from: i64,
    /// After it.
    pub to: i64,
    /// It starts again from its other end, so that nothing lies between.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cycles: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Sequence {
    fn can_be(&self, value: i64) -> bool {
        self.cycles || (self.from.min(self.to)..=self.from.max(self.to)).contains(&value)
    }
}

/// How a row is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it is.
    Record,
    /// As text.
    Text,
    /// The text of each column first.
    Columns,
}

impl Way {
    /// Stands before the hash of a table.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Record => "",
            Self::Text => "text ",
            Self::Columns => "columns ",
        }
    }
}

/// Where two differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// What must not be.
    pub faults: Vec<String>,
    /// What may be, and is worth a word.
    pub remarks: Vec<String>,
}

impl Differences {
    /// The remarks where there is no fault, and else the faults.
    pub fn faults_or_remarks(self) -> Result<Vec<String>, Vec<String>> {
        if self.faults.is_empty() { Ok(self.remarks) } else { Err(self.faults) }
    }
}

impl Contents {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).fold(0, u64::saturating_add)
    }

    /// How a table's rows were hashed.
    pub(crate) fn way_of(&self, name: &str) -> Option<Way> {
        let table = self.tables.get(name).or_else(|| self.materialized_views.get(name))?;
        [Way::Text, Way::Columns]
            .into_iter()
            .find(|way| table.hash.starts_with(way.word()))
            .or(Some(Way::Record))
    }

    /// Where another one differs from this.
    pub fn differences(&self, other: &Self) -> Differences {
        let mut found = Differences::default();
        let mut contents = Vec::new();
        compare("table", &self.tables, &other.tables, &mut found.faults, &mut contents);
        found.faults.extend(contents);
        for (name, sequence) in &self.sequences {
            match other.sequences.get(name) {
                None => found.faults.push(format!("sequence {name} is not there")),
                Some(there) if !sequence.can_be(there.from) => found.faults.push(format!(
                    "sequence {name} stands at {}, and stood from {} to {} while it was backed up",
                    there.from, sequence.from, sequence.to
                )),
                Some(_) => {}
            }
        }
        for name in other.sequences.keys().filter(|name| !self.sequences.contains_key(*name)) {
            found.faults.push(format!("sequence {name} is too many"));
        }
        // Filled anew from what was restored, one may hold what the original would after a refresh.
        let (mine, its) = (&self.materialized_views, &other.materialized_views);
        compare("materialized view", mine, its, &mut found.faults, &mut found.remarks);
        match (&self.large_objects, &other.large_objects) {
            (Some(mine), Some(there)) if mine != there => {
                found.faults.push(told("the large objects", mine, there))
            }
            (Some(mine), None) if mine.rows > 0 => {
                found.faults.push("the large objects are missing".to_owned())
            }
            _ => {}
        }
        found
    }
}

/// Notes which are missing or too many, and apart from that which hold something else.
fn compare(
    what: &str,
    mine: &BTreeMap<String, Table>,
    there: &BTreeMap<String, Table>,
    missing: &mut Vec<String>,
    others: &mut Vec<String>,
) {
    for (name, table) in mine {
        match there.get(name) {
            None => missing.push(format!("{what} {name} is not there")),
            Some(other) if other != table => others.push(told(&format!("{what} {name}"), table, other)),
            Some(_) => {}
        }
    }
    for name in there.keys().filter(|name| !mine.contains_key(*name)) {
        missing.push(format!("{what} {name} is too many"));
    }
}

fn told(what: &str, mine: &Table, there: &Table) -> String {
    if mine.rows == there.rows {
        format!("{what} has other content than was backed up, in as many rows ({})", grouped(mine.rows))
    } else {
        format!(
            "{what} has {} rows, and had {} when it was backed up",
            grouped(there.rows),
            grouped(mine.rows)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(rows: u64, hash: &str, sequence: i64) -> Contents {
        let table = Table { rows, hash: hash.to_owned() };
        Contents {
            tables: [("public.t".to_owned(), table.clone())].into(),
            sequences: [(
                "public.s".to_owned(),
                Sequence { from: sequence, to: sequence + 10, cycles: false },
            )]
            .into(),
            materialized_views: [("public.m".to_owned(), table.clone())].into(),
            large_objects: Some(table),
        }
    }

    #[test]
    fn what_is_the_same_is_the_same() {
        assert_eq!(contents(3, "a", 5).differences(&contents(3, "a", 15)), Differences::default());
    }

    #[test]
    fn every_difference_is_named() {
        let faults = |other: &Contents| contents(3, "a", 5).differences(other).faults.join("; ");
        assert!(faults(&contents(2, "b", 5)).contains("public.t has 2 rows, and had 3"));
        assert!(faults(&contents(3, "b", 5)).contains("public.t has other content"));
        assert!(faults(&contents(3, "a", 16)).contains("public.s stands at 16"));
        assert!(faults(&contents(3, "a", 4)).contains("public.s stands at 4"));
        let empty = faults(&Contents::default());
        for gone in [
            "table public.t is not there",
            "sequence public.s is not there",
            "materialized view public.m is not there",
            "large objects are missing",
        ] {
            assert!(empty.contains(gone), "{empty}");
        }
        assert!(Contents::default().differences(&contents(1, "a", 1)).faults.len() >= 3);
    }

    #[test]
    fn a_view_that_was_stale_is_worth_a_word() {
        let mut other = contents(3, "a", 5);
        other.materialized_views.get_mut("public.m").unwrap().rows = 9;
        let found = contents(3, "a", 5).differences(&other);
        assert_eq!((found.faults.len(), found.remarks.len()), (0, 1));
    }
}
