//! `backup-db` and real SQLite files: copied under their writers, proved, found out where anything is wrong, and
//! thinned out as the calendar says.

use maint_tests::{AppDb as Host, Mounted, Random, Scratch, Tool, dumped, scale};
use rusqlite::Connection;
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

/// Changes what a file says that it was made of, as if an application had made it with what only that knows.
fn bend(host: &Host, sql: &str) {
    let sql = format!("PRAGMA writable_schema = ON; {sql}");
    let done = Command::new("sqlite3").arg(&host.file).arg(sql).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn an_order_that_only_its_application_knows_hinders_no_proof() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let made = "CREATE TABLE p (a); CREATE TABLE k (x REFERENCES p (a)); INSERT INTO k VALUES (1); CREATE TABLE raw (a);
        CREATE TABLE own (t TEXT); CREATE INDEX own_t ON own (t COLLATE NOCASE);
        INSERT INTO own VALUES ('a'), ('B'), ('c'), ('D');
        CREATE TABLE keyed (t TEXT COLLATE NOCASE PRIMARY KEY, b) WITHOUT ROWID;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO keyed SELECT CASE i % 2 WHEN 0 THEN 'Key' ELSE 'kEY' END || i, i FROM n;";
    bend(
        &host,
        &format!("{made} UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'OURS');
            UPDATE sqlite_schema SET sql = CAST(x'435245415445205441424c45207261772822ff2229' AS TEXT) WHERE name = 'raw';"),
    );
    let done = Tool::backup(&host.config).exits(0);
    done.says("proved         restore")
        .says("only its application knows the order OURS: no index of it was checked against its table")
        .says("could not be checked (PRAGMA foreign_key_check)");
    let good = host.ids()[0].clone();
    let to = host.scratch.path().join("again.db");
    Tool::backup(&host.config).args(&format!("restore {good} --into")).arg(&to).exits(0);

    // Its pages are looked at all the same.
    std::thread::sleep(Duration::from_millis(1100));
    let page =
        "SELECT pageno FROM dbstat WHERE name = 'keyed' AND pagetype = 'leaf' ORDER BY 1 LIMIT 1 OFFSET 2";
    let page = Command::new("sqlite3").arg(&to).arg(page).output().unwrap().stdout;
    let page: u64 = String::from_utf8(page).unwrap().trim().parse().unwrap();
    // What came back is whole in one file; with a page of it gone it takes the original's place.
    let file = fs::OpenOptions::new().write(true).open(&to).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 4096], (page - 1) * 4096).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", host.file.display()));
    }
    fs::rename(&to, &host.file).unwrap();
    Tool::backup(&host.config).exits(2).says("it is damaged, was copied as it is, and counts for nothing");
    assert!(host.ids().contains(&good), "the last good one stays");
}

#[test]
fn what_only_its_application_can_read_is_copied_and_not_proved() {
    let host = Host::new("wal", "keep = { last = 1 }");
    bend(
        &host,
        "CREATE TABLE own (a, b GENERATED ALWAYS AS (abs(a))); INSERT INTO own VALUES (1);
         UPDATE sqlite_schema SET sql = replace(sql, 'abs', 'ours') WHERE name = 'own';",
    );
    let done = Tool::backup(&host.config).exits(1);
    done.says("proved         checksum")
        .says("table own is copied and was not counted")
        .says("cannot be proved");
    let to = host.scratch.path().join("again.db");
    let restore = Tool::backup(&host.config).args(&format!("restore {} --into", host.ids()[0])).arg(&to);
    restore.exits(0).says("table own is copied and was not counted");
    Tool::backup(&host.config).arg("drill").exits(1).says("cannot be proved");
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
