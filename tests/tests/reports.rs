//! One value, four renderings: the screen, JSON, the history and the metrics; and when a run is silent.

use maint_tests::{Scratch, Tool, Tree, days};
use std::{fs, path::PathBuf, process::Stdio};

fn host(scratch: &Scratch, files: usize, old: usize) -> (Tree, PathBuf) {
    let mut tree = Tree::at(&scratch.folder("tree"));
    for n in 0..files {
        tree = tree.file(format!("{n}.jpg"), if n < old { days(9) } else { 0 });
    }
    let config = scratch
        .config(&format!("[files.live]\npath = {:?}\nmatch = ['*.jpg']\nmax-age = '1d'\n", tree.root()));
    (tree, config)
}

#[test]
fn too_large_a_share_is_refused_until_it_is_forced_once() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 200, 195);
    let refused = Tool::prune(&config).exits(4);
    refused
        .says("195 of 200 files would go, more than max-share 95%")
        .says("if that is right, once: prune-images live --force max-share");
    Tool::prune(&config).arg("-n").exits(4).says("REFUSED");
    assert_eq!(refused.stderr, "", "the report says it, and says it once");
    let listed = Tool::prune(&config).arg("--list").exits(4);
    listed.warns("more than max-share 95%");
    assert_eq!(listed.stdout, "");
    assert!(tree.has("0.jpg"));
    assert!(Tool::prune(&config).arg("--cron").exits(4).stdout.contains("max-share"), "cron hears of it");
    Tool::prune(&config).args("live --force max-share").exits(0).says("195 files");
    assert!(!tree.has("0.jpg") && tree.has("199.jpg"));
    // Who names a folder at a prompt is not asked.
    let other =
        (0..150).fold(Tree::at(&scratch.folder("other")), |tree, n| tree.file(format!("{n}"), days(9)));
    Tool::new("prune-images").args("--max-age 1d --path").arg(other.root()).exits(0);
    assert!(!other.has("0"));
}

#[test]
fn json_is_what_the_contract_says() {
    let scratch = Scratch::new();
    let (_, config) = host(&scratch, 10, 4);
    let report = Tool::prune(&config).arg("--json").exits(0).json();
    assert_eq!(report["schema"], "maint.report/1");
    assert_eq!(report["tool"], "prune-images");
    assert_eq!(
        (&report["trigger"], &report["mode"], &report["dry_run"]),
        (&"script".into(), &"normal".into(), &false.into())
    );
    assert_eq!((&report["status"], &report["exit_code"]), (&"ok".into(), &0.into()));
    let target = &report["targets"][0];
    let number = |key: &str| target[key].as_u64().unwrap();
    assert_eq!(
        ["files_scanned", "files_selected", "files_deleted", "files_moved", "files_archived", "remaining"]
            .map(number),
        [10, 4, 4, 0, 0, 0]
    );
    assert_eq!(target["files_kept"], serde_json::json!({"settling": 6}));
    assert_eq!(target["by_pattern"], serde_json::json!({"*.jpg": 10}));
    assert_eq!(target["reasons"], serde_json::json!({"older than 24h": 4}));
    assert!(target["storage_before_percent"].is_number() && target["storage_after_percent"].is_number());
    assert!(report["start_time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(report["errors"], serde_json::json!([]));
}

#[test]
fn cron_is_quiet_when_all_is_well() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 10, 4);
    Tool::prune(&config).arg("--cron").exits(0).is_silent();
    assert!(!tree.has("0.jpg"));
    fs::remove_dir_all(tree.root()).unwrap();
    Tool::prune(&config).arg("--cron").exits(1).is_silent();
    let db = rusqlite::Connection::open(scratch.path().join("state/prune-images/history.db")).unwrap();
    let triggers: Vec<(String, i64)> = db
        .prepare("SELECT trigger, exit_code FROM runs ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(triggers, [("cron".to_owned(), 0), ("cron".to_owned(), 1)]);
}

#[test]
fn every_runs_only_what_is_due() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 10, 4);
    Tool::prune(&config).args("--every 1h").exits(0).says("4 files");
    let tree = tree.file("another.jpg", days(9));
    Tool::prune(&config).args("--every 1h").exits(0).is_silent();
    assert!(tree.has("another.jpg"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    Tool::prune(&config).args("--every 1s").exits(0);
    assert!(!tree.has("another.jpg"));
    // What was not done successfully is due.
    let tree = tree.file("third.jpg", days(9));
    let db = rusqlite::Connection::open(scratch.path().join("state/prune-images/history.db")).unwrap();
    db.execute("UPDATE targets SET succeeded = 0", []).unwrap();
    Tool::prune(&config).args("--every 1h").exits(0);
    assert!(!tree.has("third.jpg"));
    // A limit or another age is not the whole policy.
    db.execute("UPDATE targets SET succeeded = 0", []).unwrap();
    let tree = tree.file("fourth.jpg", days(9)).file("fifth.jpg", days(9));
    Tool::prune(&config).args("live --limit 1").exits(0);
    Tool::prune(&config).args("live --max-age 900d").exits(0);
    Tool::prune(&config).args("--every 1h").exits(0);
    assert!(!tree.has("fourth.jpg") && !tree.has("fifth.jpg"));
}

#[test]
fn a_dry_run_is_not_remembered() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 10, 4);
    Tool::prune(&config).arg("-n").exits(0);
    assert!(!scratch.path().join("state").exists() && !scratch.path().join("run").exists());
    assert!(!scratch.path().join("audit.jsonl").exists() && !tree.has(".maint"));
    Tool::prune(&config).arg("--history").exits(0).says("has not run yet");
}

#[test]
fn a_report_that_does_not_arrive_is_no_success() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 20, 10);
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("prune-images");
    let to_full = |more: &str| {
        let shell = format!("\"$0\" -c \"$1\" {more} >/dev/full");
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(shell)
            .arg(&program)
            .arg(&config)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (words, code) in
        [("--list", 2), ("--print0", 2), ("-n", 1), ("--json -n", 1), ("--check-config", 1), ("--version", 1)]
    {
        let (exit, said) = to_full(words);
        assert_eq!(exit, Some(code), "{words}: {said}");
        assert!(said.contains("No space left on device"), "{words}: {said}");
    }
    assert!(tree.has("0.jpg"));
    assert_eq!(to_full("").0, Some(1));
    assert!(!tree.has("0.jpg"), "a run that cannot report still does its work");
}

#[test]
fn a_dry_section_among_real_ones_is_told_apart() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"))
        .file("real/old", days(9))
        .file("dry/old", days(9))
        .file("dry/old2", days(9));
    let section = |name: &str| format!("[files.{name}]\npath = {:?}\nmax-age = '1d'\n", tree.path(name));
    let config = scratch.config(&format!("{}dry-run = true\n{}", section("dry"), section("real")));
    let done = Tool::prune(&config).exits(0);
    done.says("1 of 1 file removed, 4.0 KiB freed; dry: 2 of 2 files would go, 8.0 KiB would come free");
    assert!(!done.stdout.contains("nothing has been changed"), "{}", done.stdout);
    assert!(tree.has("dry/old") && !tree.has("real/old"));
}

#[test]
fn what_failed_is_told_wherever_somebody_looks() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 20, 10);
    let log = scratch.path().join("maint.log");
    let text = fs::read_to_string(&config).unwrap() + &format!("[log]\nfile = {log:?}\n");
    let config = scratch.file("maint.toml", &text);
    let immutable = |sign: &str| {
        let chattr =
            std::process::Command::new("chattr").arg(format!("{sign}i")).arg(tree.path("3.jpg")).status();
        assert!(chattr.unwrap().success());
    };
    immutable("+");
    Tool::prune(&config).arg("--cron").exits(1).is_silent();
    immutable("-");
    let lines = fs::read_to_string(&log).unwrap();
    assert!(
        lines.contains(&format!("warn: live: cannot remove {}", tree.path("3.jpg").display())),
        "{lines}"
    );
    assert!(lines.contains("info: live: warning, 9 files removed"), "{lines}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let scratch = Scratch::new();
    let (tree, _) = host(&scratch, 3000, 3000);
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("prune-images");
    let shell = "\"$0\" --path \"$1\" --max-age 1d --list | head -n 1";
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(shell)
        .arg(program)
        .arg(tree.root())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_log_goes_where_it_is_told_to() {
    let scratch = Scratch::new();
    let (_, config) = host(&scratch, 10, 4);
    let log = scratch.path().join("maint.log");
    let text = fs::read_to_string(&config).unwrap() + &format!("[log]\nfile = {log:?}\nlevel = 'debug'\n");
    let config = scratch.file("maint.toml", &text);
    let quiet = Tool::prune(&config).exits(0);
    assert_eq!(quiet.stderr, "");
    let lines = fs::read_to_string(&log).unwrap();
    assert_eq!(lines.matches("debug: removed ").count(), 4, "{lines}");
    assert_eq!(lines.matches("older than 24h by 8d").count(), 4, "one line for each decision");
    assert!(lines.contains("info: live: ok, 4 files removed"));
    Tool::prune(&config).arg("-v").exits(0).warns("prune-images: info: live: ok, 0 files removed");
    let broken = scratch.file("maint.toml", &text.replace("maint.log", "no/such/folder/x.log"));
    Tool::prune(&broken).exits(0).warns("no log lines in");
}

#[test]
fn help_and_version_are_results() {
    let done = Tool::new("prune-images").arg("--version").exits(0);
    assert_eq!(done.stdout, Tool::new("prune-images").args("-V a").exits(0).stdout);
    assert!(done.stdout.starts_with("prune-images ") && done.stderr.is_empty());
    let help = Tool::new("prune-images").arg("--help").exits(0);
    help.says("--dry-run").says("--path <DIR>").says("--cron");
}

#[test]
fn a_named_section_takes_another_age_for_once() {
    let scratch = Scratch::new();
    let (tree, config) = host(&scratch, 10, 4);
    Tool::prune(&config).args("live --max-age 30d").exits(0).says("removed        0 files");
    assert!(tree.has("0.jpg"));
    Tool::prune(&config).args("live --max-age 8d").exits(0).says("removed        4 files");
}

#[test]
fn a_terminal_sees_how_far_it_has_come() {
    let scratch = Scratch::new();
    let tree = (0..60_000)
        .fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("{}/{n}", n % 50), days(9), 0));
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("prune-images");
    let on_a_terminal = |more: &str| {
        let command =
            format!("{} --path {} --max-age 1d --workers 1 {more}", program.display(), tree.root().display());
        let mut script = std::process::Command::new("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .env("MAINT_CONFIG", scratch.config(""))
            .stdin(Stdio::null());
        String::from_utf8_lossy(&script.output().unwrap().stdout).into_owned()
    };
    let limited = on_a_terminal("--limit 10 --no-progress");
    assert!(!limited.contains("looked at") && limited.contains("10 files"), "{limited}");
    let shown = on_a_terminal("");
    assert!(shown.contains("looked at, "), "{shown}");
}
