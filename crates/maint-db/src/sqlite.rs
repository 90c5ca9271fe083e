//! SQLite: a file copied under its writers, and what is in it.
//!
//! The textbook loop of small steps begins anew whenever somebody commits, and beside a steady writer it never
//! ends. Here the source is held in a read transaction, so that no commit is seen: in WAL mode writers do not
//! even notice, and the copy goes in steps. With a rollback journal a reader keeps writers from committing, so
//! there the copy is one step, as short as it can be.

use crate::contents::{Contents, Table};
use maint_core::{
    text::{hex, printable, shown_path},
    units::Span,
};
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
    types::ValueRef,
};
use sha2::{Digest as _, Sha256};
use std::{
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::{Duration, Instant},
};

/// Why something could not be done with a file.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// SQLite said no.
    #[error("{0}")]
    Said(String),
    /// It is damaged.
    #[error("{0}")]
    Corrupt(String),
    /// Nobody waits any more.
    #[error("{0}")]
    GaveUp(String),
}

impl From<SqliteError> for String {
    fn from(error: SqliteError) -> Self {
        error.to_string()
    }
}

/// How much is copied between two looks at whether to go on.
const STEP: i32 = 4_096;
/// Between two steps others have the disk.
const PAUSE: Duration = Duration::from_millis(1);
/// A file that somebody keeps locked is tried again after this.
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// A database that is only looked at.
pub struct Source {
    db: Connection,
    shown: String,
    is_wal: bool,
    busy_timeout: Span,
}

impl Source {
    /// Opens a file to read it.
    pub fn open(path: &Path, busy_timeout: Span) -> Result<Self, SqliteError> {
        let shown = shown_path(path);
        let seen = std::fs::metadata(path).map_err(|error| SqliteError::Said(format!("{shown}: {error}")))?;
        if !seen.is_file() {
            return Err(SqliteError::Said(format!("{shown} is not a file")));
        }
        // An empty file is an empty database to SQLite. To its owner it is a lost one.
        if seen.len() == 0 {
            return Err(SqliteError::Said(format!("{shown} is empty: not even a new database is")));
        }
        let said = |error: rusqlite::Error| SqliteError::Said(in_words(&shown, &error));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(said)?;
        db.busy_timeout(patience(busy_timeout)).map_err(said)?;
        let mode = db.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        let mode = match mode {
            Ok(mode) => mode,
            // Where nothing can be made beside it and nothing lies there, nothing can change it either.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                    && is_alone_on_a_read_only_disk(path) =>
            {
                return Self::open_alone(path);
            }
            Err(error) => return Err(said(error)),
        };
        // What is opened must be sound enough to be read, and nobody may bend what a name means.
        db.pragma_update(None, "trusted_schema", false).map_err(said)?;
        db.collation_needed(stand_in).map_err(said)?;
        Ok(Self { is_wal: mode == "wal", db, shown, busy_timeout })
    }

    /// Opens a file that nobody else has: nothing is made beside it.
    pub fn open_alone(path: &Path) -> Result<Self, SqliteError> {
        let shown = shown_path(path);
        let encode = |b: &u8| {
            if b.is_ascii_alphanumeric() || b"/-_.".contains(b) {
                char::from(*b).to_string()
            } else {
                format!("%{b:02X}")
            }
        };
        let name: String = path.as_os_str().as_bytes().iter().map(encode).collect();
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags);
        let said = |error: rusqlite::Error| SqliteError::Said(in_words(&shown, &error));
        let db = db.map_err(said)?;
        db.collation_needed(stand_in).map_err(said)?;
        Ok(Self { db, shown, is_wal: false, busy_timeout: Span::from_seconds(0) })
    }

    /// Whether writers go on while it is read.
    pub fn lets_writers_go_on(&self) -> bool {
        self.is_wal
    }

    /// From here on it does not change: what others commit is not seen.
    pub fn hold(&self) -> Result<(), SqliteError> {
        self.db.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(|error| self.said(&error))
    }

    /// Lets it go again.
    pub fn release(&self) -> Result<(), SqliteError> {
        self.db.execute_batch("ROLLBACK").map_err(|error| self.said(&error))
    }

    /// Copies it into a new file, page by page. It must be held where writers go on.
    pub fn copy_to(&self, path: &Path, give_up: &dyn Fn() -> Option<String>) -> Result<(), SqliteError> {
        let shown = shown_path(path);
        let said = |error: rusqlite::Error| SqliteError::Said(in_words(&shown, &error));
        let mut copy = Connection::open(path).map_err(said)?;
        // It is nobody's yet: what a power cut would leave of it is taken away by the next run.
        copy.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE",
        )
        .map_err(said)?;
        let backup = Backup::new(&self.db, &mut copy).map_err(said)?;
        let step = if self.is_wal { STEP } else { -1 };
        let until = Instant::now() + patience(self.busy_timeout);
        loop {
            match backup.step(step).map_err(|error| self.said(&error))? {
                StepResult::Done => break,
                StepResult::More => std::thread::sleep(PAUSE),
                _ if Instant::now() > until => {
                    return Err(SqliteError::Said(format!(
                        "{} is locked by somebody, for longer than {}",
                        self.shown, self.busy_timeout
                    )));
                }
                _ => std::thread::sleep(BETWEEN_TRIES),
            }
            if let Some(why) = give_up() {
                return Err(SqliteError::GaveUp(why));
            }
        }
        drop(backup);
        copy.close().map_err(|(_, error)| said(error))
    }

    /// Counts and hashes all tables, and lists what the schema says. A table that cannot be read without something
    /// that only its application has is told, and is not counted.
    pub fn contents(&self, give_up: &dyn Fn() -> Option<String>) -> Result<Looked, SqliteError> {
        let mut looked = Looked { schema: self.schema()?, ..Looked::default() };
        for name in self.tables()? {
            let table = match self.hashed(&name, give_up) {
                Ok(table) => table,
                Err(Unread::GaveUp(why)) => return Err(SqliteError::GaveUp(why)),
                Err(Unread::Error(error)) if needs_its_application(&error) => {
                    looked.uncounted.push(format!("table {name} is copied and was not counted: {error}"));
                    Table { rows: 0, hash: "not counted".to_owned() }
                }
                Err(Unread::Error(error)) => return Err(self.said(&error)),
            };
            looked.contents.tables.insert(name, table);
        }
        Ok(looked)
    }

    /// What `integrity_check` and `foreign_key_check` say. Where references lead nowhere is told, for that is the
    /// data's business; what cannot be checked without the application is too.
    pub fn check(&self) -> Result<Soundness, SqliteError> {
        const TOLD: usize = 5;
        let mut soundness = Soundness::default();
        let mut faults = match self.integrity(None) {
            Ok(faults) => faults,
            Err(error) if is_corrupt(&error) => vec![error.to_string()],
            Err(error) if needs_its_application(&error) => self.integrity_of_each(&mut soundness)?,
            Err(error) => return Err(self.said(&error)),
        };
        let orders = self.orders_of_others().map_err(|error| self.said(&error))?;
        if !orders.is_empty() {
            faults.retain(|fault| !is_about_order(fault));
            let orders = orders.join(", ");
            soundness.remarks.push(format!(
                "only its application knows the order {orders}: no index of it was checked against its table"
            ));
        }
        if !faults.is_empty() {
            faults.truncate(TOLD);
            soundness.fault = Some(faults.join("; ").replace('\n', " "));
        }
        soundness.dangling = self.dangling().ok();
        match soundness.dangling {
            Some(0) => {}
            Some(n) => {
                soundness.remarks.push(format!("{n} references lead nowhere (PRAGMA foreign_key_check)"))
            }
            None => soundness
                .remarks
                .push("its references could not be checked (PRAGMA foreign_key_check)".to_owned()),
        }
        Ok(soundness)
    }

    /// What is wrong with the structure, of one table or of all.
    fn integrity(&self, table: Option<&str>) -> rusqlite::Result<Vec<String>> {
        let of = table.map(|name| format!("({})", crate::quote::name(name))).unwrap_or_default();
        let mut query = self.db.prepare(&format!("PRAGMA integrity_check{of}"))?;
        let mut told: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        told.retain(|line| line != "ok");
        Ok(told)
    }

    /// The same table by table, where one of them keeps the rest from being checked.
    fn integrity_of_each(&self, soundness: &mut Soundness) -> Result<Vec<String>, SqliteError> {
        let mut faults = Vec::new();
        for name in self.tables()? {
            match self.integrity(Some(&name)) {
                Ok(told) => faults.extend(told),
                Err(error) if is_corrupt(&error) => faults.push(error.to_string()),
                Err(error) if needs_its_application(&error) => soundness
                    .unchecked
                    .push(format!("the structure of table {name} could not be checked: {error}")),
                Err(error) => return Err(self.said(&error)),
            }
        }
        Ok(faults)
    }

    /// The orders of sorting for which something stands in.
    fn orders_of_others(&self) -> rusqlite::Result<Vec<String>> {
        let query = "SELECT name FROM pragma_collation_list WHERE name NOT IN ('BINARY', 'NOCASE', 'RTRIM') ORDER BY 1";
        self.db.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    }

    fn dangling(&self) -> rusqlite::Result<u64> {
        let mut query = self.db.prepare("PRAGMA foreign_key_check")?;
        let mut rows = query.query([])?;
        let mut dangling = 0;
        while rows.next()?.is_some() {
            dangling += 1;
        }
        Ok(dangling)
    }

    /// Bytes of all its pages.
    pub fn bytes(&self) -> Result<u64, SqliteError> {
        let query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let bytes: i64 = self.db.query_row(query, [], |row| row.get(0)).map_err(|error| self.said(&error))?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    /// Those that hold rows of their own: what is virtual keeps its rows in others.
    fn tables(&self) -> Result<Vec<String>, SqliteError> {
        let query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') AND name <> 'sqlite_schema' ORDER BY name";
        let mut query = self.db.prepare(query).map_err(|error| self.said(&error))?;
        let names = query.query_map([], |row| row.get(0)).and_then(Iterator::collect);
        names.map_err(|error| self.said(&error))
    }

    fn hashed(&self, name: &str, give_up: &dyn Fn() -> Option<String>) -> Result<Table, Unread> {
        // In the order of their keys, which a copy keeps.
        let mut query =
            self.db.prepare(&format!("SELECT * FROM main.{} NOT INDEXED", crate::quote::name(name)))?;
        let columns = query.column_count();
        let mut rows = query.query([])?;
        let (mut hash, mut table, mut line) = (Sha256::new(), Table::default(), Vec::new());
        while let Some(row) = rows.next()? {
            table.rows += 1;
            for column in 0..columns {
                push(&mut line, row.get_ref(column)?);
            }
            if line.len() > 1 << 16 {
                hash.update(&line);
                line.clear();
                if let Some(why) = give_up() {
                    return Err(Unread::GaveUp(why));
                }
            }
        }
        hash.update(&line);
        table.hash = hex(&hash.finalize());
        Ok(table)
    }

    /// All that was made, as it was made, and the numbers that applications keep in the file's head.
    fn schema(&self) -> Result<String, SqliteError> {
        let query = "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
        let mut query = self.db.prepare(query).map_err(|error| self.said(&error))?;
        // A name may be anything, even what is no text.
        let line = |row: &rusqlite::Row<'_>| match row.get_ref(0)? {
            ValueRef::Text(text) => Ok(printable(text)),
            _ => Ok(String::new()),
        };
        let lines = query.query_map([], line).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        let mut lines = lines.map_err(|error| self.said(&error))?;
        for word in ["user_version", "application_id", "encoding", "page_size", "auto_vacuum"] {
            let value =
                self.db.query_row(&format!("SELECT CAST({word} AS TEXT) FROM pragma_{word}"), [], |row| {
                    row.get::<_, String>(0)
                });
            lines.push(format!("{word}: {}", value.map_err(|error| self.said(&error))?));
        }
        Ok(lines.join(
            "
",
        ) + "
")
    }

    fn said(&self, error: &rusqlite::Error) -> SqliteError {
        if is_corrupt(error) {
            return SqliteError::Corrupt(error.to_string());
        }
        SqliteError::Said(in_words(&self.shown, error))
    }
}

/// The version of SQLite that is compiled in.
pub fn version() -> &'static str {
    rusqlite::version()
}

/// What is in a file.
#[derive(Debug, Default)]
pub struct Looked {
    /// Rows and hashes.
    pub contents: Contents,
    /// What was made, and how.
    pub schema: String,
    /// Tables that could not be read without the application.
    pub uncounted: Vec<String>,
}

/// What SQLite's own checks say of a file.
#[derive(Debug, Clone, Default)]
pub struct Soundness {
    /// What is wrong with its structure.
    pub fault: Option<String>,
    /// References that lead nowhere, where that can be told.
    pub dangling: Option<u64>,
    /// What is worth a word.
    pub remarks: Vec<String>,
    /// What could not be checked without the application.
    pub unchecked: Vec<String>,
}

enum Unread {
    Error(rusqlite::Error),
    GaveUp(String),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Error(error)
    }
}

/// Stands in for an order of sorting that only an application knows: tables can be read and their pages be
/// checked with any. What is said of the order is wrong then.
fn stand_in(db: &Connection, name: &str) -> rusqlite::Result<()> {
    db.create_collation(name, |one: &str, other: &str| one.cmp(other))
}

/// Whether a fault says that something is not where its order would have it.
fn is_about_order(fault: &str) -> bool {
    ["missing from index", "non-unique entry in index", "not in PRIMARY KEY order"]
        .iter()
        .any(|words| fault.contains(words))
}

/// Whether something is missed that applications register: a function, an order of sorting, a way of searching.
fn needs_its_application(error: &rusqlite::Error) -> bool {
    let said = error.to_string();
    let missing = [
        "no such collation",
        "no such function",
        "no such tokenizer",
        "no such module",
        "no query solution",
        "unsafe use of",
    ];
    missing.iter().any(|word| said.contains(word))
        || matches!(error, rusqlite::Error::SqliteFailure(code, _) if code.code == ErrorCode::Unknown)
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

fn is_alone_on_a_read_only_disk(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let is_read_only = nix::sys::statvfs::statvfs(path)
        .is_ok_and(|seen| seen.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY));
    is_read_only && !Path::new(&log).exists()
}

/// SQLite counts milliseconds, and not for ever.
fn patience(busy_timeout: Span) -> Duration {
    const MOST: u64 = 20 * 86_400;
    Duration::from_secs(busy_timeout.seconds().min(MOST))
}

/// A value, so that no two look the same.
fn push(line: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut sized = |kind: u8, bytes: &[u8]| {
        line.push(kind);
        line.extend((bytes.len() as u64).to_le_bytes());
        line.extend(bytes);
    };
    match value {
        ValueRef::Null => line.push(0),
        ValueRef::Integer(number) => {
            line.push(1);
            line.extend(number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            line.push(2);
            line.extend(number.to_bits().to_le_bytes());
        }
        ValueRef::Text(text) => sized(3, text),
        ValueRef::Blob(bytes) => sized(4, bytes),
    }
}

/// Whether a transaction that was interrupted must be rolled back, and by somebody who may.
fn is_about_a_journal(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|failure| failure.extended_code);
    code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn in_words(shown: &str, error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{shown} is locked by somebody: {error}")
        }
        Some(ErrorCode::ReadOnly) if !is_about_a_journal(error) => format!(
            "{shown} cannot be read by this user: SQLite must write {shown}-shm beside it, and may not (run as its owner or as root): {error}"
        ),
        Some(ErrorCode::ReadOnly) => format!(
            "{shown} has an interrupted transaction beside it: start its application, or open it once with sqlite3, so that it is rolled back"
        ),
        Some(ErrorCode::NotADatabase) => format!("{shown} is no SQLite database, or an encrypted one"),
        Some(ErrorCode::CannotOpen) => format!("{shown} cannot be opened: {error}"),
        _ => format!("{shown}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_look_alike_are_told_apart() {
        let line = |value| {
            let mut line = Vec::new();
            push(&mut line, value);
            line
        };
        let all = [
            line(ValueRef::Null),
            line(ValueRef::Integer(1)),
            line(ValueRef::Real(1.0)),
            line(ValueRef::Text(b"1")),
            line(ValueRef::Blob(b"1")),
            line(ValueRef::Text(b"")),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all[..n].iter().all(|other| other != one));
        }
        // Two values are not one longer one.
        let mut two = line(ValueRef::Text(b"ab"));
        two.extend(line(ValueRef::Text(b"c")));
        let mut other = line(ValueRef::Text(b"a"));
        other.extend(line(ValueRef::Text(b"bc")));
        assert_ne!(two, other);
    }
}
