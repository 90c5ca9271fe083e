//! What earlier runs did: one SQLite file for each tool. It is written after the work is done; only
//! `--every` has to look at it before.
//!
//! A history that cannot be written costs a warning, never the run: the entry waits in the runtime folder,
//! which lies in memory, for the next run that can write one.

mod entry;
mod waiting;

pub(crate) use entry::{Entry, KEPT_PREFIX, Known, Memories, PastTarget, PastVolume, numbers_of, volumes_of};
pub(crate) use waiting::Waiting;

use crate::{clock, places::make_folder};
use maint_core::{text::shown_path, time::Timestamp, units::Span};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// An open history.
pub(crate) struct History {
    db: Connection,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The folder or file cannot be made.
    #[error("cannot open {0}")]
    Open(String, #[source] io::Error),
    /// SQLite says no.
    #[error("cannot use {0}")]
    Sqlite(String, #[source] rusqlite::Error),
    /// A newer version of this tool wrote it.
    #[error("{0} has version {1}, and this program knows up to {newest}: it is left alone", newest = NEWEST)]
    TooNew(String, u32),
}

/// Each entry brings the file from the version of its index to the next.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        started INTEGER NOT NULL,
        seconds REAL NOT NULL,
        trigger TEXT NOT NULL,
        mode TEXT NOT NULL,
        status TEXT NOT NULL,
        exit_code INTEGER NOT NULL
    );
    CREATE INDEX runs_by_start ON runs (started);
    CREATE TABLE targets (
        id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        succeeded INTEGER NOT NULL,
        ended INTEGER NOT NULL
    );
    CREATE INDEX targets_by_name ON targets (name, run_id);
    CREATE INDEX targets_by_run ON targets (run_id);
    CREATE TABLE numbers (
        target_id INTEGER NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
        word TEXT NOT NULL,
        value REAL NOT NULL,
        PRIMARY KEY (target_id, word)
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE runs ADD COLUMN clock_in_doubt INTEGER NOT NULL DEFAULT 0;
",
    "
    CREATE TABLE volumes (
        id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        ended INTEGER NOT NULL,
        before_percent REAL NOT NULL,
        after_percent REAL NOT NULL,
        bytes_needed REAL NOT NULL,
        bytes_freed REAL NOT NULL,
        reached INTEGER NOT NULL
    );
    CREATE INDEX volumes_by_name ON volumes (name, run_id);
    CREATE INDEX volumes_by_run ON volumes (run_id);
",
    "
    CREATE TABLE memories (
        section TEXT PRIMARY KEY,
        value BLOB NOT NULL
    );
",
];

/// The version that this program writes.
#[expect(clippy::cast_possible_truncation, reason = "there will not be four billion migrations")]
const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Runs older than this are forgotten: a year, and enough to compare this month with the same of last year.
const KEPT: Span = Span::from_seconds(400 * 86_400);

/// How long another run's entry is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// How a section was looked after by the last runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Care {
    /// When it was last done without any fault.
    pub succeeded: Option<Timestamp>,
    /// How often it is done.
    pub every: Option<Span>,
    /// How many runs in a row, up to the last, let nothing go although something was due.
    pub fruitless: u32,
}

/// What a history remembers of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastRun {
    /// When it began.
    pub(crate) started: Timestamp,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Who called.
    pub(crate) trigger: String,
    /// How it ended.
    pub(crate) status: String,
    /// What for.
    pub(crate) mode: String,
    /// Its sections.
    pub(crate) targets: Vec<PastWork>,
}

/// What a run did to a section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastWork {
    /// Its name.
    pub(crate) name: String,
    /// Files removed, moved and archived.
    pub(crate) gone: [u64; 3],
    /// Commands run.
    pub(crate) commands: u64,
    /// Bytes that came free.
    pub(crate) freed: u64,
    /// Of a database: bytes of its backup, and backups removed.
    pub(crate) backup: Option<(u64, u64)>,
}

impl History {
    /// Whether nothing has been written for an hour.
    pub(crate) fn is_stale(folder: &Path, now: Timestamp) -> bool {
        const HOUR: u64 = 3600;
        let written = std::fs::metadata(file_in(folder)).map(|seen| Timestamp::from_seconds(seen.mtime()));
        written.map_or(true, |written| written > now || now.since(written).seconds() >= HOUR)
    }

    /// Whether a tool has one.
    pub(crate) fn exists(folder: &Path) -> bool {
        file_in(folder).exists()
    }

    /// Opens the history of a tool to look at it: nothing is made, migrated or set aside. `None` when the
    /// tool has not run yet.
    pub(crate) fn look(folder: &Path) -> Result<Option<Self>, HistoryError> {
        let path = file_in(folder);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HistoryError::Open(shown_path(&path), error)),
            Ok(_) => {}
        }
        let failed = |source| HistoryError::Sqlite(shown_path(&path), source);
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        db.busy_timeout(BUSY).map_err(failed)?;
        Ok(Some(Self { db }))
    }

    /// Adds runs to the history of a tool, and gives what it knows of every section. The file is made or
    /// migrated; one that is no sound database any more is set aside, with a warning.
    pub(crate) fn add(folder: &Path, entries: &[Entry], memories: &Memories) -> Result<Known, HistoryError> {
        match Self::try_add(folder, entries, memories) {
            Err(HistoryError::Sqlite(shown, error)) if is_corrupt(&error) => {
                let aside =
                    set_aside(&file_in(folder)).map_err(|error| HistoryError::Open(shown.clone(), error))?;
                log::warn!(
                    "{shown} is corrupt: it is kept as {}, and a new history begins",
                    shown_path(&aside)
                );
                Self::try_add(folder, entries, memories)
            }
            added => added,
        }
    }

    fn try_add(folder: &Path, entries: &[Entry], memories: &Memories) -> Result<Known, HistoryError> {
        let path = file_in(folder);
        let failed = |source| HistoryError::Open(shown_path(&path), source);
        make_folder(folder).map_err(failed)?;
        // Made here and not by SQLite, for its mode: the group may read what happened.
        OpenOptions::new().append(true).create(true).mode(0o640).open(&path).map_err(failed)?;
        let mut history = Self::open_file(&path)?;
        let wrong = |source| HistoryError::Sqlite(shown_path(&path), source);
        history.insert(entries, memories).map_err(wrong)?;
        let known = |history: &Self| {
            Ok(Known { targets: history.last_of_each()?, volumes: history.last_of_volumes()? })
        };
        known(&history).map_err(wrong)
    }

    fn open_file(path: &Path) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Sqlite(shown_path(path), source);
        let mut db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(BUSY).map_err(failed)?;
        db.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        // Fewer fsyncs on a memory card; a power cut may cost the last run's entry, not the file.
        db.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0));
        let found = version(&db).map_err(failed)?;
        if found > NEWEST {
            return Err(HistoryError::TooNew(shown_path(path), found));
        }
        if found < NEWEST {
            // Another run may be at it: the version counts once nobody else can write.
            let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            let found = version(&step).map_err(failed)?;
            for (to, migration) in (1..).zip(MIGRATIONS).filter(|(to, _)| *to > found) {
                step.execute_batch(migration).map_err(failed)?;
                step.pragma_update(None, "user_version", to).map_err(failed)?;
            }
            step.commit().map_err(failed)?;
        }
        Ok(Self { db })
    }

    /// Adds runs and what is remembered of sections, and forgets the oldest.
    fn insert(&mut self, entries: &[Entry], memories: &Memories) -> rusqlite::Result<()> {
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for entry in entries {
            // After a kill between this and what waited being cleared it is here already.
            let known = "SELECT count(*) FROM runs WHERE run = ? AND started = ?";
            let known: u32 = step.query_row(known, params![entry.run, entry.started], |row| row.get(0))?;
            if known > 0 {
                continue;
            }
            step.execute(
                "INSERT INTO runs (run, started, seconds, trigger, mode, status, exit_code, clock_in_doubt) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    entry.run,
                    entry.started,
                    entry.seconds,
                    entry.trigger,
                    entry.mode,
                    entry.status,
                    entry.exit_code,
                    entry.clock_in_doubt
                ],
            )?;
            let run = step.last_insert_rowid();
            for target in &entry.targets {
                step.execute(
                    "INSERT INTO targets (run_id, name, status, succeeded, ended) VALUES (?, ?, ?, ?, ?)",
                    params![run, target.name, target.status, target.succeeded, target.ended],
                )?;
                let id = step.last_insert_rowid();
                let mut insert =
                    step.prepare("INSERT INTO numbers (target_id, word, value) VALUES (?, ?, ?)")?;
                for (word, value) in &target.numbers {
                    insert.execute(params![id, word, value])?;
                }
            }
            for PastVolume { name, status, ended, percent, needed, freed, reached } in &entry.volumes {
                step.execute(
                    "INSERT INTO volumes (run_id, name, status, ended, before_percent, after_percent, bytes_needed, bytes_freed, reached) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    params![run, name, status, ended, percent.0, percent.1, needed, freed, reached],
                )?;
            }
        }
        for (section, value) in memories {
            step.execute(
                "INSERT OR REPLACE INTO memories (section, value) VALUES (?, ?)",
                params![section, value],
            )?;
        }
        if let Some(last) = entries.last() {
            let oldest = Timestamp::from_seconds(last.started).minus(KEPT).seconds;
            step.execute("DELETE FROM runs WHERE started < ?", [oldest])?;
        }
        step.commit()
    }

    /// The last runs, the newest first.
    pub(crate) fn last(&self, runs: u32) -> rusqlite::Result<Vec<PastRun>> {
        let mut query = self.db.prepare(
            "SELECT id, started, seconds, trigger, status, mode FROM runs ORDER BY id DESC LIMIT ?",
        )?;
        let numbers = [
            "files_deleted",
            "files_moved",
            "files_archived",
            "commands_run",
            "bytes_freed",
            "backup_bytes",
            "backups_removed",
        ];
        let numbers = numbers.map(number).join(", ");
        let mut targets = self.db.prepare(&format!(
            "SELECT name, {numbers}, EXISTS (SELECT 1 FROM numbers WHERE target_id = t.id AND word = 'backup_bytes')
             FROM targets t WHERE run_id = ? ORDER BY id"
        ))?;
        let rows = query.query_map([runs], |row| {
            let run: i64 = row.get(0)?;
            Ok((
                run,
                PastRun {
                    started: Timestamp::from_seconds(row.get(1)?),
                    seconds: row.get(2)?,
                    trigger: row.get(3)?,
                    status: row.get(4)?,
                    mode: row.get(5)?,
                    targets: Vec::new(),
                },
            ))
        })?;
        rows.map(|row| {
            let (run, mut past) = row?;
            let of_run = targets.query_map([run], |row| {
                let gone = [whole(row.get(1)?), whole(row.get(2)?), whole(row.get(3)?)];
                let (commands, freed) = (whole(row.get(4)?), whole(row.get(5)?));
                let backup = (whole(row.get(6)?), whole(row.get(7)?));
                let backup = row.get::<_, bool>(8)?.then_some(backup);
                Ok(PastWork { name: row.get(0)?, gone, commands, freed, backup })
            })?;
            past.targets = of_run.collect::<rusqlite::Result<_>>()?;
            Ok(past)
        })
        .collect()
    }

    /// When the last so many runs began whose clock was believed, the newest first.
    pub(crate) fn believed_starts(&self, runs: u32) -> rusqlite::Result<Vec<Timestamp>> {
        let version: u32 = self.db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let believed = if version >= 2 { "WHERE NOT clock_in_doubt" } else { "" };
        let mut query =
            self.db.prepare(&format!("SELECT started FROM runs {believed} ORDER BY id DESC LIMIT ?"))?;
        let starts = query.query_map([runs], |row| Ok(Timestamp::from_seconds(row.get(0)?)))?;
        starts.collect()
    }

    /// What is remembered of a section.
    pub(crate) fn memory(&self, section: &str) -> rusqlite::Result<Option<Vec<u8>>> {
        let version: u32 = self.db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < 4 {
            return Ok(None);
        }
        let query = "SELECT value FROM memories WHERE section = ?";
        self.db.query_row(query, [section], |row| row.get(0)).optional()
    }

    /// When a section last had a clean look, and how many orphans were left.
    pub(crate) fn orphans_left(&self, section: &str) -> rusqlite::Result<Option<(Timestamp, u64)>> {
        let [orphans, gone @ ..] = ["orphans", "files_deleted", "files_moved", "files_archived"].map(number);
        let query = format!(
            "SELECT ended, max({orphans} - {}, 0) FROM targets t
             WHERE name = ? AND EXISTS (SELECT 1 FROM numbers WHERE target_id = t.id AND word = 'orphans')
             ORDER BY id DESC LIMIT 1",
            gone.join(" - ")
        );
        let row = |row: &rusqlite::Row<'_>| Ok((Timestamp::from_seconds(row.get(0)?), whole(row.get(1)?)));
        self.db.query_row(&query, [section], row).optional()
    }

    /// When a section was last done to its end without any fault.
    pub(crate) fn last_success(&self, name: &str) -> rusqlite::Result<Option<Timestamp>> {
        let query = "SELECT max(ended) FROM targets
                     WHERE (name = ?1 OR substr(name, 1, length(?1) + 1) = ?1 || ':') AND succeeded";
        let ended: Option<i64> = self.db.query_row(query, [name], |row| row.get(0))?;
        Ok(ended.map(Timestamp::from_seconds))
    }

    /// The last emergency of every volume that is remembered.
    fn last_of_volumes(&self) -> rusqlite::Result<Vec<PastVolume>> {
        let mut query = self.db.prepare(
            "SELECT name, status, ended, before_percent, after_percent, bytes_needed, bytes_freed, reached
             FROM volumes v WHERE v.id = (SELECT max(id) FROM volumes o WHERE o.name = v.name) ORDER BY name",
        )?;
        let rows = query.query_map([], |row| {
            Ok(PastVolume {
                name: row.get(0)?,
                status: row.get(1)?,
                ended: row.get(2)?,
                percent: (row.get(3)?, row.get(4)?),
                needed: row.get(5)?,
                freed: row.get(6)?,
                reached: row.get(7)?,
            })
        })?;
        rows.collect()
    }

    /// How a section was looked after.
    pub(crate) fn care(&self, name: &str) -> rusqlite::Result<Care> {
        const RUNS: u32 = 12;
        let gone = ["files_deleted", "files_moved", "files_archived"].map(number).join(" + ");
        let mut query = self.db.prepare(&format!(
            "SELECT ended, {} > 0 AND {gone} = 0 FROM targets t WHERE name = ? ORDER BY id DESC LIMIT ?",
            number("files_selected")
        ))?;
        let rows = query
            .query_map(params![name, RUNS], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))?;
        let runs: Vec<(i64, bool)> = rows.collect::<rusqlite::Result<_>>()?;
        let mut gaps: Vec<u64> =
            runs.windows(2).filter_map(|pair| u64::try_from(pair[0].0 - pair[1].0).ok()).collect();
        gaps.sort_unstable();
        let fruitless = runs.iter().take_while(|(_, fruitless)| *fruitless).count();
        Ok(Care {
            succeeded: self.last_success(name)?,
            every: gaps.get(gaps.len() / 2).map(|gap| Span::from_seconds(*gap)),
            fruitless: u32::try_from(fruitless).unwrap_or(RUNS),
        })
    }

    /// The last state of every section that is remembered.
    fn last_of_each(&self) -> rusqlite::Result<Vec<PastTarget>> {
        let mut query = self.db.prepare(
            "SELECT t.id, t.name, t.status, t.ended,
                    (SELECT max(ended) FROM targets g WHERE g.name = t.name AND g.succeeded)
             FROM targets t WHERE t.id = (SELECT max(id) FROM targets o WHERE o.name = t.name) ORDER BY t.name",
        )?;
        let mut numbers =
            self.db.prepare("SELECT word, value FROM numbers WHERE target_id = ? ORDER BY word")?;
        let rows = query.query_map([], |row| {
            let id: i64 = row.get(0)?;
            let past = PastTarget {
                name: row.get(1)?,
                status: row.get(2)?,
                ended: row.get(3)?,
                succeeded: row.get(4)?,
                numbers: Vec::new(),
            };
            Ok((id, past))
        })?;
        rows.map(|row| {
            let (id, mut past) = row?;
            let of_target = numbers.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            past.numbers = of_target.collect::<rusqlite::Result<_>>()?;
            Ok(past)
        })
        .collect()
    }
}

/// A number of a target `t`, as an expression.
fn number(word: &str) -> String {
    format!("coalesce((SELECT value FROM numbers WHERE target_id = t.id AND word = '{word}'), 0)")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was a whole number when it was stored"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".corrupt-{}", clock::compact(clock::now())));
    let aside = PathBuf::from(name);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("history.db")
}
