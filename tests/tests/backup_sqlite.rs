//! `backup-db` and real SQLite files: copied under their writers, proved, found out where anything is wrong, and
//! thinned out as the calendar says.

use maint_tests::{Mounted, Random, Scratch, Tool, json_lines, reseal, scale};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
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
struct Host {
    scratch: Scratch,
    file: PathBuf,
    config: PathBuf,
}

impl Host {
    fn new(mode: &str, keys: &str) -> Self {
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

    fn fill(&self, rows: usize, bytes: usize) {
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

    fn backups(&self) -> PathBuf {
        self.scratch.path().join("backups")
    }

    fn ids(&self) -> Vec<String> {
        let listed = Tool::backup(&self.config).args("list --json").run().json();
        listed["backups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|backup| backup["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn back_up_at(&self, now: i64) -> Value {
        Tool::backup_at(&self.config, now).arg("--json").run().json()
    }
}

/// What is in a file, as the shell of SQLite dumps it.
fn dumped(file: &Path) -> String {
    let done = Command::new("sqlite3")
        .arg("-readonly")
        .arg(file)
        .args([".dump", "PRAGMA user_version", "PRAGMA application_id", "PRAGMA journal_mode"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Somebody who commits pairs of rows at a steady rate.
struct Writer {
    stop: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    thread: JoinHandle<Duration>,
}

impl Writer {
    fn start(file: &Path, a_second: u32) -> Self {
        let db = Connection::open(file).unwrap();
        db.busy_timeout(Duration::from_secs(60)).unwrap();
        db.pragma_update(None, "synchronous", "NORMAL").unwrap();
        let (stop, commits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, committed) = (Arc::clone(&stop), Arc::clone(&commits));
        let thread = std::thread::spawn(move || {
            let (begun, mut worst) = (Instant::now(), Duration::ZERO);
            for n in 1_i64.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let since = Instant::now();
                db.execute_batch(&format!("BEGIN IMMEDIATE; INSERT INTO pairs_a VALUES ({n}, 't{n}'); INSERT INTO pairs_b VALUES ({n}, {n}.5); COMMIT")).unwrap();
                worst = worst.max(since.elapsed());
                committed.fetch_add(1, Ordering::Relaxed);
                let due = begun + Duration::from_secs(1) / a_second * u32::try_from(n).unwrap();
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            worst
        });
        Self { stop, commits, thread }
    }

    fn committed(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_file_of_every_awkward_thing_comes_back() {
    for mode in ["wal", "delete", "truncate", "persist"] {
        let host = Host::new(mode, "keep = { last = 3 }");
        host.fill(2000, 300);
        host.fill(2, scale(5_000_000, 100_000_000));
        let done = Tool::backup(&host.config).arg("--json").exits(0).json();
        assert_eq!(done["targets"][0]["verified"], "restore", "{done}");
        let to = host.scratch.path().join("again.db");
        Tool::backup(&host.config).args(&format!("restore {} --into", host.ids()[0])).arg(&to).exits(0);
        assert!(dumped(&host.file) == dumped(&to), "{mode}");
        let db = Connection::open(&to).unwrap();
        let found: i64 = db
            .query_row("SELECT count(*) FROM notes WHERE notes MATCH 'state'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, 2002);
    }
}

#[test]
fn beside_a_steady_writer_it_ends_and_is_consistent() {
    for (mode, rate) in [("wal", 200), ("wal", 2000), ("delete", 200)] {
        let host = Host::new(mode, "keep = { last = 3 }\nverify = 'restore'");
        host.fill(20_000, scale(2_000, 15_000));
        let writer = Writer::start(&host.file, rate);
        maint_tests::wait_until("he writes", || writer.committed() > 20);
        let (before, begun) = (writer.committed(), Instant::now());
        let done = Tool::backup(&host.config).arg("--json").run();
        let (after, took) = (writer.committed(), begun.elapsed());
        let worst = writer.end();
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        assert!(after > before + 5, "he wrote on: {before}, {after}");
        println!(
            "{mode}, {rate} commits a second: {took:?}, {} commits meanwhile, the worst waited {worst:?}",
            after - before
        );
        let to = host.scratch.path().join("again.db");
        Tool::backup(&host.config).args(&format!("restore {} --into", host.ids()[0])).arg(&to).exits(0);
        let db = Connection::open(&to).unwrap();
        let sound: (String, i64, i64, i64) = db
            .query_row(
                "SELECT (SELECT integrity_check FROM pragma_integrity_check), (SELECT count(*) FROM pairs_a), (SELECT count(*) FROM pairs_b), (SELECT max(id) FROM pairs_a)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        let (check, a, b, last) = sound;
        assert!(check == "ok" && a == b && a == last, "{check} {a} {b} {last}");
        let range = i64::try_from(before).unwrap()..=i64::try_from(after).unwrap() + 1;
        assert!(range.contains(&a), "a moment between {before} and {after}: {a}");
    }
}

#[test]
fn a_file_that_stays_locked_is_given_up() {
    let host = Host::new("delete", "keep = { last = 3 }");
    let text = fs::read_to_string(&host.config)
        .unwrap()
        .replace("[database.app]\n", "[database.app]\nbusy-timeout = '1s'\n");
    fs::write(&host.config, text).unwrap();
    let db = Connection::open(&host.file).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let done = Tool::backup(&host.config).exits(2);
    done.says("is locked by somebody").says("0 backups");
    db.execute_batch("ROLLBACK").unwrap();
    Tool::backup(&host.config).exits(0);
}

#[test]
fn what_is_no_database_makes_no_backup() {
    let host = Host::new("wal", "keep = { last = 3 }");
    Tool::backup(&host.config).exits(0);
    let before = host.ids();
    std::thread::sleep(Duration::from_millis(1100));
    for (content, says) in [
        (None, "app.db"),
        (Some(vec![b'x'; 50_000]), "is no SQLite database"),
        (Some(Vec::new()), "is empty"),
    ] {
        fs::remove_file(&host.file).unwrap();
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", host.file.display()));
        }
        if let Some(content) = &content {
            fs::write(&host.file, content).unwrap();
        }
        Tool::backup(&host.config).exits(2).says(says).says("0 backups");
        assert_eq!(host.file.exists(), content.is_some(), "none is made");
        fs::write(&host.file, "").unwrap();
        assert_eq!(host.ids(), before);
    }
}

#[test]
fn a_damaged_database_is_copied_and_counts_for_nothing() {
    let host = Host::new("delete", "keep = { last = 1 }\nmax-unproven = 1");
    host.fill(500, 500);
    host.back_up_at(1_800_000_000);
    let good = host.ids();
    // One page of a table is gone.
    let mut bytes = fs::read(&host.file).unwrap();
    bytes[30 * 4096..31 * 4096].fill(0xa5);
    fs::write(&host.file, bytes).unwrap();
    for n in 1..4 {
        let done = host.back_up_at(1_800_000_000 + n * 86_400);
        assert_eq!(done["exit_code"], 2, "{done}");
        let told = done["errors"].to_string();
        assert!(told.contains("it is damaged, was copied as it is, and counts for nothing"), "{done}");
        assert_eq!(done["targets"][0]["verified"], "none");
        assert!(host.ids().contains(&good[0]), "the good one stays");
        assert!(host.ids().len() <= 3, "{:?}", host.ids());
    }
    Tool::backup(&host.config).args("emergency-copy app").exits(1).says("copied as it is, and damaged");
}

#[test]
fn what_only_its_application_can_read_is_copied_and_told() {
    let host = Host::new("wal", "keep = { last = 3 }");
    let sql = "CREATE TABLE p (a); CREATE TABLE k (x REFERENCES p (a)); INSERT INTO k VALUES (1);
        CREATE TABLE own (t TEXT); CREATE INDEX own_t ON own (t COLLATE NOCASE); INSERT INTO own VALUES ('a'); CREATE TABLE raw (a);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'OURS') WHERE name = 'own_t';
        UPDATE sqlite_schema SET sql = CAST(x'435245415445205441424c45207261772822ff2229' AS TEXT) WHERE name = 'raw';";
    let done = Command::new("sqlite3").arg(&host.file).arg(sql).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done = Tool::backup(&host.config).exits(0);
    done.says("proved         restore")
        .says("its structure could not be checked: no such collation sequence: OURS")
        .says("could not be checked (PRAGMA foreign_key_check)");
    let to = host.scratch.path().join("again.db");
    Tool::backup(&host.config).args(&format!("restore {} --into", host.ids()[0])).arg(&to).exits(0);
}

#[test]
fn one_wrong_byte_anywhere_is_found() {
    let host = Host::new("wal", "keep = { last = 9 }");
    host.fill(300, 100);
    let day = 86_400;
    for n in 0..2 {
        host.back_up_at(1_800_000_000 + n * day);
    }
    let ids = host.ids();
    let folder = host.backups().join(&ids[0]);
    let verify = || Tool::backup(&host.config).arg("verify").run();
    assert_eq!(verify().code, Some(0));
    let mut random = Random::seeded("wrong bytes");
    for name in ["data.db.zst", "schema.txt", "manifest.json"] {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        for _ in 0..scale(25, 400) {
            let mut bytes = fs::read(&path).unwrap();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            fs::write(&path, &bytes).unwrap();
            let done = verify();
            assert_eq!(done.code, Some(2), "{name}, byte {at}: {}", done.stdout);
            let other = done.stdout.matches("CRITICAL").count();
            assert_eq!(other, 1, "the other one is whole: {}", done.stdout);
            fs::write(&path, &whole).unwrap();
            // What was found wrong is written down until it is looked at again.
            Tool::backup(&host.config).args(&format!("verify {}", ids[0])).exits(0);
        }
        let whole = fs::read(&path).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(verify().code, Some(2), "{name} of {cut} bytes");
        }
        fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
        assert_eq!(verify().code, Some(2), "{name} with a byte more");
        fs::remove_file(&path).unwrap();
        assert_eq!(verify().code, Some(2), "no {name}");
        fs::write(&path, &whole).unwrap();
        Tool::backup(&host.config).args(&format!("verify {}", ids[0])).exits(0);
        // That of the other backup in its place.
        let twin = fs::read(host.backups().join(&ids[1]).join(name)).unwrap();
        if twin != whole {
            fs::write(&path, &twin).unwrap();
            assert_eq!(verify().code, Some(2), "the {name} of another backup");
            fs::write(&path, &whole).unwrap();
            Tool::backup(&host.config).args(&format!("verify {}", ids[0])).exits(0);
        }
    }
    // One that is damaged is no backup that anything else could be removed for.
    fs::write(folder.join("manifest.json"), "{}").unwrap();
    Tool::backup(&host.config).args("list").exits(2).says("DAMAGED");
    let done = host.back_up_at(1_800_000_000 + 3 * day);
    assert_eq!(done["status"], "warning", "{done}");
    assert!(folder.exists(), "it stays, for a person to look at");
    Tool::backup(&host.config)
        .args(&format!("restore {} --into /tmp/x.db", ids[0]))
        .exits(2)
        .says("is damaged");
}

#[test]
fn fourteen_failing_nights_leave_the_last_good_one() {
    let host = Host::new("wal", "keep = { last = 1 }\nmax-unproven = 0");
    let day = 86_400;
    host.back_up_at(1_800_000_000);
    let good = host.ids();
    // Whatever fails: the file is away.
    let aside = host.scratch.path().join("aside.db");
    fs::rename(&host.file, &aside).unwrap();
    for night in 1..=14 {
        let done = host.back_up_at(1_800_000_000 + night * day);
        assert_eq!(done["exit_code"], 2, "{done}");
        assert_eq!(host.ids(), good);
    }
    fs::rename(&aside, &host.file).unwrap();
    let done = host.back_up_at(1_800_000_000 + 15 * day);
    assert_eq!(done["exit_code"], 0, "{done}");
    assert_eq!(host.ids().len(), 1);
    assert_ne!(host.ids(), good);
}

#[test]
fn what_is_kept_of_four_hundred_days_is_what_a_model_keeps() {
    let host = Host::new("wal", "keep = { daily = 7, weekly = 4, monthly = 6 }");
    let (day, start) = (86_400, 1_800_000_000_i64);
    let mut made: Vec<(i64, String)> = Vec::new();
    let mut random = Random::seeded("days");
    for n in 0..scale(90, 400) {
        let n = i64::try_from(n).unwrap();
        // Some days are missed, some have two.
        for _ in 0..[1, 1, 1, 1, 0, 2][random.below(6)] {
            let now = start + n * day + i64::try_from(random.below(86_000)).unwrap();
            if made.last().is_some_and(|(last, _)| *last >= now) {
                continue;
            }
            let done = Tool::backup_at(&host.config, now).env("TZ", "UTC").arg("--json").exits(0).json();
            made.push((now, done["targets"][0]["id"].as_str().unwrap().to_owned()));
            let there: BTreeSet<String> = fs::read_dir(host.backups())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let wanted = model(&made, now);
            assert_eq!(there, wanted, "day {n}");
            // What is gone is gone: it cannot win any more.
            made.retain(|(_, id)| wanted.contains(id));
        }
    }
    let removed = json_lines(&host.scratch.path().join("audit.jsonl"));
    assert!(removed.len() > 40 && removed.iter().all(|line| line["event"] == "backup-removed"));
}

/// Seven days, four weeks, six months: for each the newest of the newest, and while there are fewer the oldest.
fn model(made: &[(i64, String)], _now: i64) -> BTreeSet<String> {
    let number = |at: i64, format: &str| {
        let done = Command::new("date")
            .args(["-u", "-d", &format!("@{at}"), &format!("+{format}")])
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let mut keeps = BTreeSet::new();
    for (format, count) in [("%Y-%m-%d", 7), ("%G-%V", 4), ("%Y-%m", 6)] {
        let mut seen: Vec<String> = Vec::new();
        for (at, id) in made.iter().rev() {
            let period = number(*at, format);
            if seen.len() < count && !seen.contains(&period) {
                seen.push(period);
                keeps.insert(id.clone());
            }
        }
        if seen.len() < count {
            keeps.extend(made.first().map(|(_, id)| id.clone()));
        }
    }
    keeps
}

#[test]
fn a_second_disk_has_its_own_calendar_and_catches_up() {
    let host = Host::new("wal", "keep = { last = 2 }");
    let second = host.scratch.folder("second");
    let text = fs::read_to_string(&host.config).unwrap();
    let copy = format!(
        "copy-to = {{ dir = '{0}/copies', keep = {{ last = 4 }}, volume = 'second' }}\n[volume.second]\npath = '{0}'\n",
        second.display()
    );
    fs::write(&host.config, text + &copy).unwrap();
    let (day, start) = (86_400, 1_800_000_000_i64);
    let disk = Mounted::ext4(&second, 80);
    for n in 0..3 {
        assert_eq!(host.back_up_at(start + n * day)["exit_code"], 0);
    }
    let copies = || {
        let mut all: Vec<String> = fs::read_dir(second.join("copies"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        all
    };
    assert_eq!((copies().len(), host.ids().len()), (3, 3), "one lies on the second disk alone");
    disk.unmount();
    let done = host.back_up_at(start + 3 * day);
    assert_eq!(
        (done["exit_code"].as_u64(), done["targets"][0]["verified"].as_str()),
        (Some(1), Some("restore")),
        "{done}"
    );
    assert!(copies().is_empty(), "the disk below is not filled in its place");
    drop(disk);
    let disk = Mounted::ext4(&second, 80);
    assert_eq!(host.back_up_at(start + 4 * day)["exit_code"], 0);
    // A new disk: it gets both that are there.
    assert_eq!(copies().len(), 2);
    for id in copies() {
        for entry in fs::read_dir(second.join("copies").join(&id)).unwrap() {
            let path = entry.unwrap().path();
            let original = host.backups().join(&id).join(path.file_name().unwrap());
            assert!(fs::read(&path).unwrap() == fs::read(&original).unwrap(), "{}", path.display());
        }
    }
    // A copy can be restored when the original is gone.
    let id = host.ids()[0].clone();
    fs::remove_dir_all(host.backups()).unwrap();
    let to = host.scratch.path().join("again.db");
    Tool::backup(&host.config).args(&format!("restore {id} --into")).arg(&to).exits(0);
    assert!(dumped(&host.file) == dumped(&to));
    disk.unmount();
}

#[test]
fn a_manifest_that_somebody_wrote_leads_nowhere() {
    let host = Host::new("wal", "keep = { last = 1 }");
    host.back_up_at(1_800_000_000);
    let folder = host.backups().join(&host.ids()[0]);
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let secret = host.scratch.file("secret", "secret");
    for names in ["../../secret", "/etc/passwd", "", "manifest.json", "data.db.zst"] {
        // Whoever can write there can seal it, too.
        fs::write(&path, &text).unwrap();
        reseal(&path, |body| body.replace("\"name\": \"schema.txt\"", &format!("\"name\": {names:?}")));
        Tool::backup(&host.config).arg("verify").exits(2).says("which no backup has");
        host.back_up_at(1_800_086_400 + i64::try_from(names.len()).unwrap());
        assert!(secret.exists() && folder.join("data.db.zst").exists());
    }
}

#[test]
fn who_lost_his_data_keeps_the_backup_of_them() {
    let host = Host::new("wal", "keep = { last = 2 }");
    host.fill(500, 10);
    let (day, start) = (86_400, 1_800_000_000_i64);
    host.back_up_at(start);
    let full = host.ids()[0].clone();
    Connection::open(&host.file).unwrap().execute_batch("DELETE FROM jobs; DELETE FROM notes").unwrap();
    for night in 1..6 {
        let done = host.back_up_at(start + night * day);
        assert_eq!(done["exit_code"], 1, "{done}");
        assert!(done["targets"][0]["notes"].to_string().contains("it stays until --force shrink"), "{done}");
        assert!(host.ids().contains(&full) && host.ids().len() <= 3, "{:?}", host.ids());
    }
    let dry = Tool::backup_at(&host.config, start + 6 * day).arg("-n").exits(1);
    dry.says("it stays until --force shrink");
    assert!(!dry.stdout.contains("would go "), "{}", dry.stdout);
    Tool::backup_at(&host.config, start + 6 * day).args("--force shrink").exits(0);
    assert!(!host.ids().contains(&full) && host.ids().len() == 2);
    Tool::backup(&host.config).args("--force nonsense").exits(3).warns("shrink");
}

#[test]
fn a_history_is_not_lost_in_a_night_in_which_more_is_asked_for() {
    let host = Host::new("wal", "keep = { last = 14 }\nverify = 'checksum'");
    let (day, start) = (86_400, 1_800_000_000_i64);
    for n in 0..10 {
        host.back_up_at(start + n * day);
    }
    let text = fs::read_to_string(&host.config).unwrap().replace("'checksum'", "'restore'");
    fs::write(&host.config, text).unwrap();
    host.back_up_at(start + 10 * day);
    assert_eq!(host.ids().len(), 9, "two of those that count no more have gone, and one has come");
}

#[test]
fn another_machines_backups_stay() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let there = |now: i64| {
        Tool::wrapped_at(
            "backup-db",
            &["unshare", "-u", "sh", "-c", "hostname elsewhere && exec \"$0\" \"$@\""],
            now,
        )
        .arg("-c")
        .arg(&host.config)
        .run()
    };
    let (day, start) = (86_400, 1_800_000_000_i64);
    assert_eq!(there(start).code, Some(0));
    host.back_up_at(start + day);
    let done = there(start + 2 * day);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    done.says("of another machine lie here and stay");
    assert_eq!(host.ids().len(), 2, "one of each");
}

#[test]
fn a_clock_that_is_wrong_removes_nothing() {
    let host = Host::new("wal", "keep = { within = '14d' }");
    let (day, start) = (86_400, 1_800_000_000_i64);
    for n in 0..5 {
        host.back_up_at(start + n * day);
    }
    let done = Tool::backup_at(&host.config, start + 400 * day).env("MAINT_TEST_SYNCHRONISED", "no").exits(1);
    done.says("set the clock right: nothing was removed");
    assert_eq!(host.ids().len(), 6);
}

#[test]
fn a_copy_that_has_gone_bad_is_made_again() {
    let host = Host::new("wal", "keep = { last = 3 }");
    let text = fs::read_to_string(&host.config).unwrap();
    let copies = host.scratch.path().join("copies");
    fs::write(
        &host.config,
        format!("{text}copy-to = {{ dir = '{}', keep = {{ last = 3 }} }}\n", copies.display()),
    )
    .unwrap();
    host.back_up_at(1_800_000_000);
    let id = host.ids()[0].clone();
    let (original, copy) =
        (host.backups().join(&id).join("data.db.zst"), copies.join(&id).join("data.db.zst"));
    let mut bytes = fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    fs::write(&copy, &bytes).unwrap();
    Tool::backup(&host.config).arg("verify").exits(2);
    // Where the original is bad and the copy is whole, the copy is restored.
    host.back_up_at(1_800_086_400);
    assert!(fs::read(&original).unwrap() == fs::read(&copy).unwrap(), "it was made again");
    fs::write(&original, &bytes).unwrap();
    let to = host.scratch.path().join("again.db");
    Tool::backup(&host.config).args(&format!("restore {id} --into")).arg(&to).exits(0);
    fs::write(host.backups().join(&id).join("manifest.json"), "").unwrap();
    fs::remove_file(&to).unwrap();
    Tool::backup(&host.config).args(&format!("restore {id} --into")).arg(&to).exits(0);
    // A disk that is not there is not a disk without backups.
    fs::rename(host.backups(), host.scratch.path().join("away")).unwrap();
    Tool::backup(&host.config).arg("list").exits(1).warns("is not there");
    Tool::backup(&host.config).arg("verify").exits(1).says("it is not there");
}

#[test]
fn no_restore_takes_the_place_of_what_came_meanwhile() {
    let host = Host::new("wal", "keep = { last = 3 }");
    host.fill(2000, 2000);
    Tool::backup(&host.config).exits(0);
    let id = host.ids()[0].clone();
    let to = host.scratch.path().join("late.db");
    // Several to one place: one of them wins, and nobody is overwritten.
    let all: Vec<_> = (0..3)
        .map(|_| {
            let (config, id, to) = (host.config.clone(), id.clone(), to.clone());
            std::thread::spawn(move || {
                Tool::backup(&config).args(&format!("restore {id} --into")).arg(&to).run().code
            })
        })
        .collect();
    let codes: Vec<_> = all.into_iter().map(|run| run.join().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    // What lies beside a database that is gone must not get into the next one.
    let gone = host.scratch.path().join("gone.db");
    fs::write(format!("{}-wal", gone.display()), "a log of another database").unwrap();
    Tool::backup(&host.config)
        .args(&format!("restore {id} --into"))
        .arg(&gone)
        .exits(4)
        .says("add --replace to put it aside");
    Tool::backup(&host.config).args(&format!("restore {id} --replace --into")).arg(&gone).exits(0);
    assert!(!Path::new(&format!("{}-wal", gone.display())).exists());
    assert_eq!(dumped(&gone), dumped(&host.file));
    // Twice in the same second: what was put aside first is still there.
    let old = fs::read(&gone).unwrap();
    for _ in 0..3 {
        Tool::backup_at(&host.config, 1_800_000_000)
            .args(&format!("restore {id} --replace --into"))
            .arg(&gone)
            .exits(0);
    }
    let aside = fs::read_dir(host.scratch.path())
        .unwrap()
        .filter(|entry| {
            entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("gone.db.replaced-20")
        })
        .count();
    assert!(aside >= 4, "{aside}");
    assert!(fs::read(&gone).unwrap() == old);
    Tool::backup(&host.config)
        .args(&format!("restore {id} --into /nonexistent/x.db"))
        .exits(2)
        .says("/nonexistent");
}

#[test]
fn what_cannot_be_put_aside_whole_stays_where_it_is() {
    use std::os::unix::fs::MetadataExt as _;
    let host = Host::new("wal", "keep = { last = 3 }");
    Tool::backup(&host.config).exits(0);
    let disk = Mounted::ext4(&host.scratch.path().join("disk"), 40);
    let target = disk.at().join("app.db");
    fs::copy(&host.file, &target).unwrap();
    let log = disk.at().join("app.db-wal");
    fs::write(&log, "what nobody may touch").unwrap();
    let chattr = |flag: &str| assert!(Command::new("chattr").arg(flag).arg(&log).status().unwrap().success());
    chattr("+i");
    for _ in 0..2 {
        Tool::backup(&host.config)
            .args(&format!("restore {} --replace --into", host.ids()[0]))
            .arg(&target)
            .exits(2)
            .says("cannot be written");
        assert_eq!(fs::metadata(&target).unwrap().nlink(), 1, "one file under two names is no copy");
        let names: BTreeSet<_> = fs::read_dir(disk.at())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["app.db", "app.db-wal", "lost+found"].map(str::to_owned).into());
    }
    chattr("-i");
    Tool::backup(&host.config)
        .args(&format!("restore {} --replace --into", host.ids()[0]))
        .arg(&target)
        .exits(0);
    disk.unmount();
}

#[test]
fn who_owns_the_folder_gets_nothing_of_roots() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    let host = Host::new("wal", "keep = { last = 3 }");
    host.fill(3000, 3000);
    Tool::backup(&host.config).exits(0);
    let id = host.ids()[0].clone();
    let folder = host.scratch.folder("theirs");
    let victim = host.scratch.file("victim", "root's");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&folder, Some(12345), Some(12345)).unwrap();
    let target = folder.join("app.db");
    let stop = Arc::new(AtomicBool::new(false));
    let racer = {
        let (stop, folder, victim, target) =
            (Arc::clone(&stop), folder.clone(), victim.clone(), target.clone());
        std::thread::spawn(move || {
            // Whatever appears there is swapped for a link to what is root's.
            while !stop.load(Ordering::Relaxed) {
                for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                    if entry.path() != target && !entry.file_name().to_str().unwrap().contains(".replaced-") {
                        let _ = fs::rename(entry.path(), folder.join("../stolen"));
                        let _ = symlink(&victim, entry.path());
                    }
                }
            }
        })
    };
    for _ in 0..scale(6, 60) {
        fs::copy(&host.file, &target).unwrap();
        std::os::unix::fs::chown(&target, Some(12345), Some(12345)).unwrap();
        let done =
            Tool::backup(&host.config).args(&format!("restore {id} --replace --into")).arg(&target).run();
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        assert_eq!(fs::metadata(&target).unwrap().uid(), 12345);
    }
    stop.store(true, Ordering::Relaxed);
    racer.join().unwrap();
    let seen = fs::metadata(&victim).unwrap();
    assert_eq!(
        (seen.uid(), seen.mode() & 0o777, fs::read_to_string(&victim).unwrap().as_str()),
        (0, 0o600, "root's")
    );
}

#[test]
fn what_is_not_ours_stays() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let (day, start) = (86_400, 1_800_000_000_i64);
    host.back_up_at(start);
    let first = host.ids()[0].clone();
    let backups = host.backups();
    // Others' folders, others' backups, links, and a note that somebody has put beside a backup.
    fs::create_dir(backups.join("app-other")).unwrap();
    fs::write(backups.join("app-other/precious"), "x").unwrap();
    fs::create_dir(backups.join(".unfinished-")).unwrap();
    fs::write(backups.join("notes.txt"), "x").unwrap();
    fs::create_dir(host.scratch.path().join("outside")).unwrap();
    fs::write(host.scratch.path().join("outside/precious"), "x").unwrap();
    std::os::unix::fs::symlink(
        host.scratch.path().join("outside"),
        backups.join(".unfinished-app-20260101T000000Z"),
    )
    .unwrap();
    std::os::unix::fs::symlink(host.scratch.path().join("outside"), backups.join("app-20260101T000000Z"))
        .unwrap();
    fs::write(backups.join(&first).join("why-we-keep-this.txt"), "x").unwrap();
    let done = host.back_up_at(start + day);
    assert!(
        done["targets"][0]["notes"].to_string().contains("why-we-keep-this.txt, which is no part of it"),
        "{done}"
    );
    assert!(backups.join(&first).join("data.db.zst").exists());
    fs::remove_file(backups.join(&first).join("why-we-keep-this.txt")).unwrap();
    host.back_up_at(start + 2 * day);
    assert!(!backups.join(&first).exists(), "and then it goes");
    for path in
        ["backups/app-other/precious", "backups/notes.txt", "outside/precious", "backups/.unfinished-"]
    {
        assert!(host.scratch.path().join(path).exists(), "{path}");
    }
    // Another section with the same folder has backups of its own.
    let text = fs::read_to_string(&host.config).unwrap();
    let twin = host.scratch.path().join("twin.db");
    fs::copy(&host.file, &twin).unwrap();
    let more = text[text.find("[database.app]").unwrap()..]
        .replace("app", "app-prod")
        .replace(&host.file.display().to_string().replace("app", "app-prod"), &twin.display().to_string());
    fs::write(&host.config, format!("{text}{more}")).unwrap();
    host.back_up_at(start + 3 * day);
    let mut sections: Vec<String> = Tool::backup(&host.config).args("list --json").run().json()["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backup| backup["database"].as_str().unwrap().to_owned())
        .collect();
    sections.sort();
    assert_eq!(sections, ["app", "app-prod"]);
}

#[test]
fn a_hold_keeps_every_backup() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let (day, start) = (60, maint_tests::now());
    host.back_up_at(start);
    let shared = host.scratch.folder("state/shared");
    fs::write(shared.join("hold.app"), "6h\n").unwrap();
    let held = host.back_up_at(start + day);
    assert!(held["targets"][0]["notes"].to_string().contains("nothing was removed"), "{held}");
    assert_eq!(host.ids().len(), 2);
    fs::remove_file(shared.join("hold.app")).unwrap();
    host.back_up_at(start + 2 * day);
    assert_eq!(host.ids().len(), 1);
}

#[test]
fn killed_anywhere_nothing_half_counts() {
    let host = Host::new("wal", "keep = { last = 2 }");
    host.fill(3000, 1000);
    let mut since = Instant::now();
    host.back_up_at(1_800_000_000);
    let whole = since.elapsed();
    let (mut killed, rounds) = (0_usize, scale(40, 200));
    for n in 0..rounds {
        since = Instant::now();
        let mut run = Tool::backup_at(&host.config, 1_800_100_000 + i64::try_from(n).unwrap() * 10).start();
        let until =
            whole.mul_f64(f64::from(u32::try_from(n).unwrap()) / f64::from(u32::try_from(rounds).unwrap()));
        while since.elapsed() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
        if run.try_wait().unwrap().is_none() {
            run.kill().unwrap();
            killed += 1;
        }
        run.wait().unwrap();
        let done = Tool::backup(&host.config).arg("verify").run();
        assert_eq!(done.code, Some(0), "{}", done.stdout);
        assert!(!host.ids().is_empty(), "the last good one is there");
    }
    assert!(killed * 2 > rounds, "only {killed} of {rounds} were killed");
    host.back_up_at(1_900_000_000);
    let left: Vec<_> = fs::read_dir(host.backups())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.as_encoded_bytes()[0] == b'.')
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // Of those that were killed before they were proved two go in each run, until three are left.
    for n in 1..40 {
        host.back_up_at(1_900_000_000 + n);
    }
    assert_eq!(host.ids().len(), 2 + 3);
}

#[test]
fn a_disk_that_fills_up_costs_only_the_new_one() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 100);
    let file = scratch.path().join("app.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch("CREATE TABLE t (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT randomblob(3000) FROM n").unwrap();
    let config = scratch.config(&format!("[database.app]\nurl = 'sqlite://{}'\n[database.app.backup]\ndir = '{}/backups'\nkeep = {{ last = 1 }}\n", file.display(), disk.at().display()));
    Tool::backup(&config).exits(0);
    let before = fs::read_dir(disk.at().join("backups")).unwrap().count();
    maint_tests::fill(disk.at(), 0);
    std::thread::sleep(Duration::from_millis(1100));
    Tool::backup(&config).exits(2).says("there is no room in").says("are needed, and").says("0 backups");
    assert_eq!(fs::read_dir(disk.at().join("backups")).unwrap().count(), before);
    Tool::backup(&config).arg("verify").exits(0).says("1 backup");
    disk.unmount();
}

#[test]
fn an_emergency_copy_is_a_database() {
    for mode in ["wal", "delete"] {
        let host = Host::new(mode, "keep = { last = 3 }");
        host.fill(1000, 500);
        let writer = Writer::start(&host.file, 100);
        let done = Tool::backup(&host.config).args("emergency-copy app --json").exits(0).json();
        writer.end();
        let copy = PathBuf::from(done["targets"][0]["id"].as_str().unwrap());
        assert_eq!(copy.parent(), host.file.parent());
        let db = Connection::open(&copy).unwrap();
        let sound: (String, i64) = db
            .query_row(
                "SELECT integrity_check, (SELECT count(*) FROM jobs) FROM pragma_integrity_check",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(sound, ("ok".to_owned(), 1000));
    }
    let host = Host::new("wal", "keep = { last = 3 }");
    Tool::backup(&host.config).args("emergency-copy nobody").exits(3).warns("no section [database.nobody]");
}

#[test]
fn what_is_there_is_put_aside_and_never_lost() {
    let host = Host::new("wal", "keep = { last = 3 }");
    host.fill(10, 10);
    Tool::backup(&host.config).exits(0);
    let id = host.ids()[0].clone();
    let restore =
        |more: &str| Tool::backup(&host.config).args(&format!("restore {id} {more} --into")).arg(&host.file);
    restore("").exits(4).says("is there: name another file, or add --replace");
    // Somebody has it open, and something that is not in the file yet.
    let db = Connection::open(&host.file).unwrap();
    db.execute_batch("INSERT INTO kv VALUES ('later', 1)").unwrap();
    restore("--replace").exits(4).says("is open in process");
    std::mem::forget(
        db.execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO kv VALUES ('much later', 1)"),
    );
    let copy = host.scratch.path().join("crashed.db");
    for end in ["", "-wal"] {
        fs::copy(format!("{}{end}", host.file.display()), format!("{}{end}", copy.display())).unwrap();
    }
    drop(db);
    // As after a crash: what was written last stands in the log beside it, and must not get into what is restored.
    let replaced =
        Tool::backup(&host.config).args(&format!("restore {id} --replace --into")).arg(&copy).exits(0);
    replaced.says("what was there is now");
    let fresh = Connection::open(&copy).unwrap();
    let keys = |db: &Connection| {
        db.query_row("SELECT group_concat(k) FROM kv", [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(keys(&fresh), "a,b,c,d,é");
    let aside = fs::read_dir(host.scratch.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("crashed.db.replaced-") && !name.ends_with("-wal")
    });
    assert_eq!(keys(&Connection::open(aside.unwrap()).unwrap()), "a,b,c,d,later,much later,é");
}

#[test]
fn nothing_in_the_world_may_read_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::new("wal", "keep = { last = 3 }");
    Tool::backup(&host.config).exits(0);
    let folder = host.backups().join(&host.ids()[0]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let start = 1_700_000_000;
    host.back_up_at(start);
    host.back_up_at(start + 86_400);
    fs::remove_dir_all(host.scratch.path().join("state")).unwrap();
    let before = maint_tests::Picture::of(host.scratch.path());
    Tool::backup(&host.config).arg("-n").exits(0).says("DRY RUN").says("would be backed up");
    Tool::backup(&host.config).arg("list").exits(0);
    Tool::backup(&host.config).arg("--check-config").exits(0).says("keeps last 1 proved by restoring");
    before.assert_unchanged();
}
