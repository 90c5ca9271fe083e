//! What is shipped works: the example host, the cron lines under a real cron, the logrotate file under a
//! real logrotate.

use maint_tests::{Postgres, Scratch, Tool, Tree, days, hours};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn shipped(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned()
}

/// The shipped incident recorder with its folders in a scratch place.
struct Recorder {
    scratch: Scratch,
    incidents: Tree,
    videos: Tree,
    config: PathBuf,
}

fn recorder() -> Recorder {
    let scratch = Scratch::new();
    let data = scratch.folder("data");
    let text = shipped("deploy/examples/incident-recorder/maint.toml")
        .replace("/srv/incident-recorder", data.to_str().unwrap());
    let text = text.replace("[host]\n", &scratch.host());
    scratch.folder("metrics");
    let config = scratch.file("etc/maint.toml", &text);
    scratch.file("etc/site.env", &shipped("deploy/examples/incident-recorder/site.env"));
    let mut incidents = Tree::at(&scratch.folder("data/offline_incidents")).file("README.txt", days(400));
    let mut videos = Tree::at(&scratch.folder("data/mock_sparse_ai_cloud")).file("model.bin", days(400));
    for day in 0..40 {
        // An hour past the day: 30 days and an hour has had its day, 29 days and an hour has not.
        let age = days(day) + hours(1);
        incidents = incidents.file(format!("offline_incident_{day}.txt"), age);
        videos = videos.file(format!("v{day}.mp4"), age).file(format!("v{day}.json"), age);
    }
    Recorder { scratch, incidents, videos, config }
}

impl Recorder {
    fn left(&self) -> (usize, usize) {
        let count = |tree: &Tree| {
            fs::read_dir(tree.root()).unwrap().filter(|f| f.as_ref().unwrap().file_name() != ".maint").count()
        };
        (count(&self.incidents), count(&self.videos))
    }
}

#[test]
fn the_incident_recorder_keeps_thirty_days() {
    let host = recorder();
    Tool::prune(&host.config).arg("--check-config").exits(0).says("older than 30d");
    let dry = Tool::prune(&host.config).arg("-n").exits(0);
    dry.says("found          40 files (offline_incident_*.txt 40)")
        .says("(*.mp4 40, *.json 40)")
        .says("to be removed  10 files");
    assert_eq!(host.left(), (41, 81));
    Tool::prune(&host.config).exits(0);
    assert_eq!(host.left(), (31, 61));
    assert!(
        host.incidents.has("README.txt") && host.videos.has("model.bin"),
        "other names are not its business"
    );
    assert!(host.incidents.has("offline_incident_29.txt") && !host.incidents.has("offline_incident_30.txt"));
    assert!(
        host.videos.has("v29.mp4")
            && host.videos.has("v29.json")
            && !host.videos.has("v30.mp4")
            && !host.videos.has("v30.json")
    );
}

#[test]
fn either_category_alone_by_name() {
    let host = recorder();
    Tool::prune(&host.config).arg("videos").exits(0);
    assert_eq!(host.left(), (41, 61));
    Tool::prune(&host.config).arg("incidents").exits(0);
    assert_eq!(host.left(), (31, 61));
}

#[test]
fn the_environment_says_how_long() {
    let host = recorder();
    Tool::prune(&host.config).env("INCIDENT_RETENTION_DAYS", "90").exits(0);
    assert_eq!(host.left(), (41, 81));
    Tool::prune(&host.config)
        .env("INCIDENT_RETENTION_DAYS", "")
        .exits(3)
        .warns("INCIDENT_RETENTION_DAYS is empty");
    Tool::prune(&host.config).env("INCIDENT_RETENTION_DAYS", "a week").exits(3).warns("is not a duration");
    assert_eq!(host.left(), (41, 81));
    host.scratch.file("etc/site.env", "INCIDENT_RETENTION_DAYS=7\n");
    Tool::prune(&host.config).exits(0);
    assert_eq!(host.left(), (8, 15));
    fs::remove_file(host.scratch.path().join("etc/site.env")).unwrap();
    Tool::prune(&host.config).exits(3).warns("env-file: ").warns("site.env: cannot be read");
}

#[test]
fn a_recorder_that_was_off_for_months_keeps_its_last_evidence() {
    let host = recorder();
    let videos = (0..200).fold(host.videos.clone(), |tree, n| tree.file(format!("late{n}.mp4"), days(45)));
    for day in 0..40 {
        maint_tests::set_age(&videos.path(format!("v{day}.mp4")), days(60));
        maint_tests::set_age(&videos.path(format!("v{day}.json")), days(60));
    }
    Tool::prune(&host.config)
        .arg("videos")
        .exits(4)
        .says("280 of 280 files would go")
        .says("--force max-share");
    assert!(videos.has("v39.mp4"));
}

/// The commands of a cron file, with the user that each runs as.
fn cron_lines(text: &str) -> Vec<(&str, &str, &str)> {
    let lines = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit() || c == '*'));
    lines
        .map(|line| {
            let at = line
                .match_indices(char::is_whitespace)
                .filter(|(at, _)| !line[at + 1..].starts_with(char::is_whitespace));
            let fifth = at.clone().nth(4).unwrap().0;
            let (user, command) = line[fifth..].trim_start().split_once(char::is_whitespace).unwrap();
            (&line[..fifth], user, command.trim_start())
        })
        .collect()
}

#[test]
fn every_cron_line_is_quiet_and_gentle() {
    for file in
        ["cron.d/maint", "deploy/examples/incident-recorder/cron", "deploy/examples/camera-station/cron"]
    {
        let text = shipped(file);
        assert!(
            text.ends_with('\n') && text.contains("\nSHELL=/bin/sh\n") && text.contains("\nPATH="),
            "{file}"
        );
        let lines = cron_lines(&text);
        assert!(!lines.is_empty());
        for (_, user, command) in lines {
            assert_eq!(user, "root");
            // Only an emergency waits for nobody.
            let is_gentle = command.starts_with("nice -n 10 ionice -c 3 ");
            assert!(command.contains("--cron"), "{file}: {command}");
            assert!(is_gentle != command.starts_with("emergency-cleanup"), "{file}: {command}");
            assert!(!command.contains('%'), "{file}: a percent sign is a newline to cron");
        }
    }
}

#[test]
fn a_look_for_an_emergency_every_quarter_of_an_hour() {
    for file in ["cron.d/maint", "deploy/examples/camera-station/cron"] {
        let text = shipped(file);
        let lines = cron_lines(&text);
        let looks = |(when, user, command): &(&str, &str, &str)| {
            (when.trim_end(), *user, *command) == ("*/15 * * * *", "root", "emergency-cleanup --cron")
        };
        assert!(lines.iter().any(looks), "{file}: {lines:?}");
    }
}

#[test]
fn what_the_camera_station_could_reclaim_is_its_owners_to_enable() {
    let config = project().join("deploy/examples/camera-station/maint.toml");
    let said = Tool::reclaim(&config).arg("--check-config").exits(0).stdout;
    for section in [
        "[reclaim.docker] docker system prune -f: at most 15min; priority 10; disabled",
        "[reclaim.apt] apt-get clean: at most 10min; priority 20; disabled",
        "[reclaim.journal] journalctl --vacuum-time=2d: at most 10min; priority 30; disabled",
    ] {
        assert!(said.contains(section), "no \"{section}\" in\n{said}");
    }
    assert!(!said.contains("WARNING"), "{said}");
    Tool::reclaim(&config).exits(0).says("all is disabled");
}

#[test]
fn a_real_cron_runs_the_shipped_line_and_has_nothing_to_mail() {
    let host = recorder();
    let mut text = shipped("deploy/examples/incident-recorder/cron");
    for (when, ..) in cron_lines(&text.clone()) {
        text = text.replacen(when, "* * * * *", 1);
    }
    let path = format!(
        "PATH={}:/usr/bin:/bin:/usr/sbin:/sbin\nMAINT_CONFIG={}",
        built().display(),
        host.config.display()
    );
    let text: String = text
        .lines()
        .map(|line| if line.starts_with("PATH=") { path.clone() } else { line.to_owned() } + "\n")
        .collect();
    host.scratch.file("cron.d/maint", &text);
    host.scratch.folder("spool");
    // A sendmail of our own shows what would have been mailed.
    let mail = host.scratch.path().join("mail");
    host.scratch.program("sendmail", &format!("#!/bin/sh\ncat >>{}\n", mail.display()));
    // In namespaces of its own: the machine's cron and its tables stay as they are.
    let script = format!(
        "mount --bind {0}/cron.d /etc/cron.d && mount -t tmpfs t /var/spool/cron && mkdir -p /var/spool/cron/crontabs && \
         mount -t tmpfs t /run && : >/run/empty && mount --bind /run/empty /etc/crontab && \
         if [ -e /usr/sbin/sendmail ]; then mount --bind {0}/sendmail /usr/sbin/sendmail; fi && exec cron -f",
        host.scratch.path().display()
    );
    let mut cron = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &script])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while host.left() != (31, 61) && begun.elapsed() < Duration::from_secs(75) {
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(Duration::from_millis(500));
    cron.kill().unwrap();
    cron.wait().unwrap();
    assert_eq!(host.left(), (31, 61), "cron ran it within a minute");
    assert_eq!(fs::read_to_string(&mail).unwrap_or_default(), "");
    let history = Tool::prune(&host.config).arg("--history").exits(0);
    history.says("cron");
}

#[test]
fn a_real_logrotate_takes_the_shipped_file() {
    let host = recorder();
    Tool::prune(&host.config).exits(0);
    let logs = host.scratch.folder("log");
    fs::copy(host.scratch.path().join("audit.jsonl"), logs.join("audit.jsonl")).unwrap();
    fs::write(logs.join("maint.log"), "a line\n").unwrap();
    let text = shipped("logrotate.d/maint").replace("/var/log/maint", logs.to_str().unwrap());
    let file = host.scratch.file("logrotate.conf", &text);
    let rotate = |options: &[&str]| {
        let done = Command::new("logrotate")
            .args(options)
            .arg("-s")
            .arg(host.scratch.path().join("state.lr"))
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success() && !said.contains("error"), "{said}");
    };
    rotate(&["-d"]);
    rotate(&["-f"]);
    assert!(logs.join("audit.jsonl.1").exists() && logs.join("maint.log.1").exists());
    assert_eq!(
        fs::metadata(logs.join("audit.jsonl")).unwrap().len(),
        0,
        "a new one is there for the next run"
    );
}

#[test]
fn the_try_out_shows_the_whole_job() {
    let done = Command::new(project().join("deploy/try")).env("MAINT_BIN", built()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    for words in [
        "DRY RUN: nothing has been changed.",
        "to be removed  434 files",
        "removed        434 files",
        "\"status\":\"ok\"",
        "442",
    ] {
        assert!(said.contains(words), "no \"{words}\" in\n{said}");
    }
}

#[test]
fn the_print_server_backs_up_its_database() {
    let scratch = Scratch::new();
    let (app, backups) = (scratch.folder("app/instance"), scratch.folder("backups"));
    let text = shipped("deploy/examples/print-server/maint.toml")
        .replace("/srv/print-server/instance", app.to_str().unwrap())
        .replace("/var/backups", backups.to_str().unwrap());
    let config = scratch.file("maint.toml", &format!("{}{text}", scratch.host()));
    let db = rusqlite::Connection::open(app.join("app.db")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = wal; CREATE TABLE jobs (id INTEGER PRIMARY KEY, status TEXT); INSERT INTO jobs (status) VALUES ('UPLOADED')",
    )
    .unwrap();
    Tool::backup(&config)
        .arg("--check-config")
        .exits(0)
        .says("14 daily, 8 weekly, 12 monthly proved by restoring");
    Tool::backup(&config).arg("--cron").exits(0).is_silent();
    Tool::backup(&config).args("--cron --every 24h").exits(0).is_silent();
    Tool::backup(&config).args("--cron verify").exits(0).is_silent();
    Tool::backup(&config).arg("list").exits(0).says("  restore  ");
    assert_eq!(fs::read_dir(backups.join("print-server")).unwrap().count(), 1);
    // At a time when something is wrong the cron says it.
    fs::write(app.join("app.db"), "").unwrap();
    Tool::backup(&config).arg("--cron").exits(2).says("is empty");
}

#[test]
fn the_telemetry_platform_is_proved_once_a_week() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.sql("postgres", "create role telemetry login createdb password 'telemetry'");
    server.sql("postgres", "create database telemetry owner telemetry");
    server.sql("telemetry", "create table agg_1m as select i, random() as p99 from generate_series(1, 1000) i; alter table agg_1m owner to telemetry");
    let backups = scratch.folder("backups");
    let password = scratch.file("password", "telemetry\n");
    Command::new("chmod").arg("600").arg(&password).status().unwrap();
    let text = shipped("deploy/examples/telemetry-platform/maint.toml")
        .replace("/etc/maint/telemetry.password", password.to_str().unwrap())
        .replace("/var/backups", backups.to_str().unwrap())
        .replace("[host]\n", &scratch.host());
    let config = scratch.file("maint.toml", &text);
    let run = || Tool::backup(&config).env("DB_PORT", server.port().to_string()).env("DB_HOST", "127.0.0.1");
    run().arg("--check-config").exits(0).says("a restore is tried when the last one is 7d old");
    run().exits(0).says("proved         restore").says("without their passwords");
    std::thread::sleep(Duration::from_millis(1100));
    run().exits(0).says("proved         checksum").says("and a restore is tried when that is 7d");
    run().arg("drill").exits(0).says("1 proved by restoring");
    run().env("DB_NAME", "nowhere").exits(2).says("nowhere");
}
