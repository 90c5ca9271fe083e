//! `backup-db` when things go wrong at a real server: exit 2, the reason in a line, nothing that looks like a
//! backup, and the older ones as they were.

use maint_tests::{Mounted, Postgres, Scratch, Space, Tool, wait_until};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Somebody who holds a lock, as long as this value lives.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with a backup already made, and a table that somebody has locked.
struct Host {
    server: Postgres,
    scratch: Scratch,
    config: PathBuf,
    backups: PathBuf,
    before: BTreeMap<PathBuf, Vec<u8>>,
}

impl Host {
    fn new(keys: &str) -> Self {
        let (server, scratch) = (Postgres::start(), Scratch::new());
        let backups = scratch.path().join("backups");
        Self::at(server, scratch, &backups, keys)
    }

    fn at(server: Postgres, scratch: Scratch, backups: &Path, keys: &str) -> Self {
        server.create("app");
        server.script("app", "create table t as select i, md5(i::text) || md5((i * 7)::text) as m from generate_series(1, 100000) i; create table zz as select 1 as a");
        let config = scratch.config(&format!(
            "[database.main]\nurl = '{}'\n[database.main.backup]\ndir = '{}'\nkeep = {{ last = 5 }}\n{keys}\n",
            server.url("app"),
            backups.display()
        ));
        Tool::backup(&config).exits(0);
        let before = files_below(backups);
        assert!(before.len() >= 4, "{before:?}");
        Self { server, scratch, config, backups: backups.to_owned(), before }
    }

    /// Holds the last table that is dumped, so that everything waits.
    fn hold(&self, sql: &str) -> Held {
        let sql = format!("begin; {sql}; select pg_sleep(600)");
        let held = self.server.beside("app", &sql);
        wait_until("the table is locked", || {
            self.count(
                "pg_locks where relation = 'zz'::regclass and mode = 'AccessExclusiveLock' and granted",
            ) > 0
        });
        Held(held)
    }

    /// Lets go of it: who has lost his client goes on, and the server must end him.
    fn release(&self, held: Held) {
        drop(held);
        let others = "query like '%pg_sleep(600)%' and pid <> pg_backend_pid()";
        self.server.sql(
            "postgres",
            &format!("select pg_terminate_backend(pid, 30000) from pg_stat_activity where {others}"),
        );
    }

    fn count(&self, what: &str) -> u32 {
        self.server.sql("app", &format!("select count(*) from {what}")).parse().unwrap()
    }

    fn begin(&self) -> Child {
        let program = Command::new(
            std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("backup-db"),
        )
        .arg("-c")
        .arg(&self.config)
        .arg("--json")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        wait_until("it waits", || {
            let waiting = self
                .server
                .sql("app", "select count(*) from pg_stat_activity where wait_event_type = 'Lock'");
            waiting != "0"
        });
        program
    }

    /// Expects that nothing came of it, and that everybody is told why.
    fn failed(&self, child: Child, says: &str) {
        let done = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        assert_eq!(done.status.code(), Some(2), "{text}{}", String::from_utf8_lossy(&done.stderr));
        let report: Value = serde_json::from_str(&text).unwrap();
        self.is_told(&report, says);
    }

    fn is_told(&self, report: &Value, says: &str) {
        let why = report["errors"][0]["error"].as_str().unwrap_or_default();
        assert!(why.contains(says) && !why.contains('\n'), "{report}");
        assert_eq!(
            (report["status"].as_str(), report["targets"][0]["id"].as_str()),
            (Some("critical"), None)
        );
        assert_eq!(report["targets"][0]["backups"], 1, "the older one is still counted: {report}");
        let metrics = fs::read_to_string(self.scratch.path().join("metrics/maint-backup-db.prom")).unwrap();
        assert!(
            metrics.contains("maint_target_status{tool=\"backup-db\",target=\"main\",status=\"critical\"} 1"),
            "{metrics}"
        );
        assert!(metrics.contains("maint_backups{tool=\"backup-db\",target=\"main\"} 1"), "{metrics}");
        Tool::backup(&self.config).arg("--history").exits(0).says("critical").says("no backup, 0 removed");
        self.is_as_before();
    }

    /// Nothing is new, and nothing changed.
    fn is_as_before(&self) {
        let now = files_below(&self.backups);
        let names = |all: &BTreeMap<PathBuf, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&now), names(&self.before));
        assert!(now == self.before, "something has changed");
    }

    /// And afterwards it works again.
    fn recovers(&self) {
        std::thread::sleep(std::time::Duration::from_millis(1100));
        Tool::backup(&self.config).exits(0).says("proved         restore");
    }
}

fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "lost+found" {
            all.extend(files_below(&path));
            all.entry(path.join(".")).or_default();
        } else if path.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn a_killed_dump_is_no_backup() {
    let host = Host::new("");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    assert!(
        Command::new("pkill")
            .args(["-9", "-P", &run.id().to_string(), "pg_dump"])
            .status()
            .unwrap()
            .success()
    );
    host.failed(run, "killed by signal 9");
    host.release(held);
    host.recovers();
}

#[test]
fn a_server_that_stops_costs_only_the_new_one() {
    let mut host = Host::new("");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    host.server.crash();
    host.failed(run, "");
    drop(held);
    // Neither is it there the next time.
    let done = Tool::backup(&host.config).arg("--json").exits(2).json();
    host.is_told(&done, "cannot be reached");
    host.server.go();
    host.recovers();
}

#[test]
fn a_cut_connection_is_noticed() {
    for victim in ["state = 'idle in transaction'", "query like 'LOCK TABLE%'"] {
        let host = Host::new("");
        let held = host.hold("lock table zz in access exclusive mode");
        let run = host.begin();
        wait_until("he is there", || {
            let ours = "application_name = 'maint/backup-db/main'";
            let cut = format!(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where {ours} and {victim}"
            );
            host.server.sql("postgres", &cut) != "0"
        });
        host.release(held);
        host.failed(run, "connection");
    }
}

#[test]
fn a_table_that_goes_away_meanwhile_is_noticed() {
    let host = Host::new("");
    let sql = "begin; drop table zz; select pg_sleep(3); commit";
    let mut dropping = host.server.beside("app", sql);
    wait_until("it is about to go", || {
        host.count("pg_locks where mode = 'AccessExclusiveLock' and granted") > 0
    });
    let run = host.begin();
    dropping.wait().unwrap();
    host.failed(run, "");
    host.recovers();
}

#[test]
fn a_table_that_somebody_locks_is_not_waited_for_for_ever() {
    let host = Host::new("lock-wait = '2s'");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    host.failed(run, "lock");
    drop(held);
}

#[test]
fn what_takes_too_long_is_ended() {
    let host = Host::new("timeout = '10s'");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    host.failed(run, "longer than 10s");
    drop(held);
}

#[test]
fn a_server_that_hangs_does_not_hang_the_run() {
    let host = Host::new("timeout = '10s'");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    let pids = Command::new("pgrep")
        .args(["-u", "postgres", "-f", &host.server.socket().display().to_string()])
        .output()
        .unwrap();
    let mut all: Vec<String> = String::from_utf8_lossy(&pids.stdout).lines().map(str::to_owned).collect();
    let children = Command::new("pgrep").arg("-P").arg(all.join(",")).output().unwrap();
    all.extend(String::from_utf8_lossy(&children.stdout).lines().map(str::to_owned));
    let signal = |signal: &str| drop(Command::new("kill").arg(signal).args(&all).status());
    signal("-STOP");
    let begun = std::time::Instant::now();
    let done = run.wait_with_output().unwrap();
    let took = begun.elapsed().as_secs();
    signal("-CONT");
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(took < 40, "it took {took} s");
    drop(held);
}

#[test]
fn who_may_not_read_everything_makes_no_backup() {
    let host = Host::new("");
    host.server
        .script("app", "create role weak login; revoke all on t from public; grant select on zz to weak");
    let url = host.server.url("app");
    let text = fs::read_to_string(&host.config).unwrap().replace(&url, &url.replace("postgres@", "weak@"));
    fs::write(&host.config, text).unwrap();
    let done = Tool::backup(&host.config).arg("--json").exits(2).json();
    host.is_told(&done, "permission denied for table t");
    // Rows that a policy hides are no reason to back up the others.
    host.server.script("app", "grant select on t to weak; alter table t enable row level security");
    let done = Tool::backup(&host.config).arg("--json").exits(2).json();
    host.is_told(&done, "row-level security");
    host.server.script("app", "alter table t disable row level security");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    Tool::backup(&host.config).exits(0).says("is no superuser").says("proved         restore");
}

#[test]
fn a_disk_that_fills_up_under_it_costs_only_the_new_one() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    let disk = Mounted::ext4(&scratch.path().join("disk"), 120);
    let host = Host::at(server, scratch, &disk.at().join("backups"), "");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    maint_tests::fill(disk.at(), 0);
    host.release(held);
    host.failed(run, "No space left on device");
    // The next one does not even begin.
    let done = Tool::backup(&host.config).arg("--json").exits(2).json();
    host.is_told(&done, "there is no room");
    assert!(Space::of(disk.at()).available < 1 << 20);
    disk.unmount();
}

#[test]
fn a_trial_that_runs_out_of_room_takes_no_proof_away() {
    let scratch = Scratch::new();
    let small = Mounted::ext4(&scratch.path().join("small"), 600);
    let host = Host::new(&format!("scratch-dir = '{}'", small.at().display()));
    // Somebody fills the disk as soon as the scratch server stands.
    let folder = small.at().to_owned();
    let filling = std::thread::spawn(move || {
        maint_tests::wait_until("a server", || {
            maint_tests::everything_below(&folder).iter().any(|path| path.ends_with("ident.conf"))
        });
        let all = Space::of(&folder).available.to_string();
        let done = Command::new("fallocate").args(["-l", &all]).arg(folder.join("filler")).status();
        assert!(done.unwrap().success());
    });
    let done = Tool::backup(&host.config).args("verify --level restore").run();
    filling.join().unwrap();
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    done.says("it could not be proved");
    let listed = Tool::backup(&host.config).args("list --json").exits(0).json();
    assert_eq!(listed["backups"][0]["verified"], "restore", "{listed}");
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let host = Host::new("");
    let held = host.hold("lock table zz in access exclusive mode");
    let run = host.begin();
    Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
    let done = run.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(143), "{}", String::from_utf8_lossy(&done.stdout));
    host.is_as_before();
    drop(held);
}

#[test]
fn a_volume_that_is_not_mounted_gets_no_backup() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.create("app");
    let at = scratch.folder("ssd");
    let config = scratch.config(&format!(
        "[volume.ssd]\npath = '{0}'\n[database.main]\nurl = '{1}'\n[database.main.backup]\ndir = '{0}/backups'\nvolume = 'ssd'\nkeep = {{ last = 5 }}\n",
        at.display(),
        server.url("app")
    ));
    Tool::backup(&config).exits(4).says("volume ssd is not mounted");
    assert!(!at.join("backups").exists());
    let disk = Mounted::ext4(&at, 80);
    Tool::backup(&config).exits(0);
    drop(disk);
}

#[test]
fn killed_anywhere_nothing_half_counts_and_the_next_run_tidies() {
    let host = Host::new("");
    let mut took = std::time::Instant::now();
    Tool::backup_at(&host.config, 1_800_000_000).exits(0);
    let whole = took.elapsed();
    let (mut killed, rounds) = (0, maint_tests::scale(12, 200));
    for n in 0..rounds {
        took = std::time::Instant::now();
        let mut run = Tool::backup_at(&host.config, 1_800_100_000 + i64::try_from(n).unwrap() * 10).start();
        let until =
            whole.mul_f64(f64::from(u32::try_from(n).unwrap()) / f64::from(u32::try_from(rounds).unwrap()));
        while took.elapsed() < until {
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
        if run.try_wait().unwrap().is_none() {
            run.kill().unwrap();
            killed += 1;
        }
        run.wait().unwrap();
        // Whatever has a name is whole.
        let listed = Tool::backup(&host.config).args("list --json").exits(0).json();
        assert_eq!(listed["damaged"].as_array().unwrap().len(), 0, "{listed}");
        if n % 8 == 0 {
            Tool::backup(&host.config).arg("verify").exits(0);
        }
    }
    assert!(killed * 2 > rounds, "only {killed} of {rounds} were killed");
    Tool::backup_at(&host.config, 1_900_000_000).exits(0);
    let left: Vec<String> = fs::read_dir(host.scratch.path().join("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
