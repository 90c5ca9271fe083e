//! An SQLite database of every awkward thing, and its backups.

use crate::{Scratch, Tool};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const AWKWARD: &str = "
    CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT DEFAULT 'new' CHECK (status <> ''), at REAL, data BLOB, twice AS (at * 2) STORED, v AS (id + 1) VIRTUAL);
    CREATE TABLE kv (k TEXT PRIMARY KEY, v ANY) WITHOUT ROWID, STRICT;
    CREATE VIRTUAL TABLE notes USING fts5(body, tokenize = 'porter');
    CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
    CREATE TABLE child (id INTEGER PRIMARY KEY, job REFERENCES jobs (id) ON DELETE CASCADE);
    CREATE TABLE \"odd \"\" name\" (\"select\" INT, \"a b\"); INSERT INTO \"odd \"\" name\" VALUES (1, x'00ff'), (NULL, ''), (1e300, -0.0);
    CREATE INDEX by_status ON jobs (status) WHERE at > 5; CREATE INDEX by_expression ON jobs (lower(status), at DESC);
    CREATE VIEW recent AS SELECT * FROM jobs ORDER BY at DESC LIMIT 5;
    CREATE TRIGGER noting AFTER INSERT ON jobs BEGIN INSERT INTO notes (body) VALUES (new.status); END;
    CREATE TABLE pairs_a (id INTEGER PRIMARY KEY, t TEXT); CREATE TABLE pairs_b (id INTEGER PRIMARY KEY, n REAL);
    INSERT INTO kv VALUES ('a', 1), ('b', 'text'), ('c', x'00'), ('d', 1.5), ('é', NULL);
    PRAGMA user_version = 42; PRAGMA application_id = 4711;";

/// A host with one database, `app`.
#[derive(Debug)]
pub struct AppDb {
    /// Where it all lies.
    pub scratch: Scratch,
    /// The database.
    pub file: PathBuf,
    /// The configuration.
    pub config: PathBuf,
}

impl AppDb {
    /// A new one, with this journal, and these keys in its section of backups.
    pub fn new(mode: &str, keys: &str) -> Self {
        let scratch = Scratch::new();
        let file = scratch.path().join("app.db");
        let db = Connection::open(&file).unwrap();
        let now: String =
            db.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| row.get(0)).unwrap();
        assert_eq!(now, mode);
        db.execute_batch(AWKWARD).unwrap();
        let config = Self::configure(&scratch, &file, keys);
        Self { scratch, file, config }
    }

    fn configure(scratch: &Scratch, file: &Path, keys: &str) -> PathBuf {
        let backups = scratch.path().join("backups");
        scratch.config(&format!(
            "[database.app]\nurl = 'sqlite://{}'\n[database.app.backup]\ndir = '{}'\n{keys}\n",
            file.display(),
            backups.display()
        ))
    }

    /// Adds rows with so many bytes each.
    pub fn fill(&self, rows: usize, bytes: usize) {
        let mut db = Connection::open(&self.file).unwrap();
        db.busy_timeout(Duration::from_secs(30)).unwrap();
        let step = db.transaction().unwrap();
        for n in 0..rows {
            let n = i64::try_from(n).unwrap();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            step.execute(
                "INSERT INTO jobs (status, at, data) VALUES (?, ?, randomblob(?))",
                (format!("state {n}"), n as f64, i64::try_from(bytes).unwrap()),
            )
            .unwrap();
        }
        step.commit().unwrap();
    }

    /// Where its backups lie.
    pub fn backups(&self) -> PathBuf {
        self.scratch.path().join("backups")
    }

    /// Its backups, the newest first.
    pub fn ids(&self) -> Vec<String> {
        let listed = Tool::backup(&self.config).args("list --json").run().json();
        listed["backups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|backup| backup["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Backs it up at a moment, and gives the report.
    pub fn back_up_at(&self, now: i64) -> Value {
        Tool::backup_at(&self.config, now).arg("--json").run().json()
    }
}

/// What is in a file, as the shell of SQLite dumps it.
pub fn dumped(file: &Path) -> String {
    let done = Command::new("sqlite3")
        .arg("-readonly")
        .arg(file)
        .args([".dump", "PRAGMA user_version", "PRAGMA application_id", "PRAGMA journal_mode"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
