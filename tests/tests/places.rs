//! State, metrics, audit log and runtime folder may be missing, read-only, full or corrupt: the work is
//! done, and the trouble is said once.

use maint_tests::{Mounted, Scratch, Tool, Tree, days, json_lines};
use std::{
    fs,
    path::{Path, PathBuf},
};

struct Host {
    scratch: Scratch,
    tree: Tree,
    config: PathBuf,
}

/// A tree with one old file, and a configuration whose places can be spoilt.
fn host() -> Host {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("d/old", days(9)).file("new", 0);
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    Host { scratch, tree, config }
}

impl Host {
    fn place(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn does_its_work(&self) -> maint_tests::Done {
        let done = Tool::prune(&self.config).exits(0);
        assert!(!self.tree.has("d/old") && self.tree.has("new"));
        done
    }

    fn does_its_work_and_says_once(&self, words: &str) {
        let done = self.does_its_work();
        assert_eq!(done.stderr.matches(words).count(), 1, "{words} in {}", done.stderr);
    }
}

/// A filesystem without a free byte.
fn full(at: &Path) -> Mounted {
    let mounted = Mounted::tmpfs(at, 16);
    let _ = fs::write(at.join("filler"), vec![0; 1 << 20]);
    mounted
}

fn read_only(at: &Path) -> Mounted {
    let mounted = Mounted::tmpfs(at, 64);
    mounted.make_read_only();
    mounted
}

#[test]
fn all_is_well() {
    let host = host();
    assert_eq!(host.does_its_work().stderr, "");
    let audit = json_lines(&host.place("audit.jsonl"));
    let events: Vec<&str> = audit.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["intent", "removed", "folder-removed"]);
    let metrics = fs::read_to_string(host.place("metrics/maint-prune-images.prom")).unwrap();
    assert!(metrics.contains("maint_files_deleted{tool=\"prune-images\",target=\"a\"} 1\n"), "{metrics}");
    let db = rusqlite::Connection::open(host.place("state/prune-images/history.db")).unwrap();
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let deleted: f64 =
        db.query_row("SELECT value FROM numbers WHERE word = 'files_deleted'", [], |row| row.get(0)).unwrap();
    assert_eq!((version, deleted), (4, 1.0));
}

#[test]
fn state_folder() {
    for spoil in [full, read_only] {
        let host = host();
        let spoilt = spoil(&host.place("state"));
        host.does_its_work_and_says_once("this run is not in the history");
        drop(spoilt);
    }
    let host = host();
    fs::write(host.place("state"), "a file where a folder should be").unwrap();
    host.does_its_work_and_says_once("this run is not in the history");
}

#[test]
fn a_corrupt_history_is_set_aside() {
    for junk in [
        b"this is no database, and long enough to be looked at as one by anybody".repeat(40),
        vec![0xff; 8192],
    ] {
        let host = host();
        let folder = host.scratch.folder("state/prune-images");
        fs::write(folder.join("history.db"), junk).unwrap();
        host.does_its_work_and_says_once("is corrupt: it is kept as");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "the corrupt one and the new one");
        Tool::prune(&host.config).arg("--history").exits(0).says("1 file removed");
    }
}

#[test]
fn a_history_that_is_damaged_further_in_is_set_aside_too() {
    let host = host();
    Tool::prune(&host.config).exits(0);
    let path = host.place("state/prune-images/history.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let _ = host.tree.clone().file("d/old", days(9));
    host.does_its_work_and_says_once("is corrupt: it is kept as");
    Tool::prune(&host.config).arg("--history").exits(0).says("1 file removed");
}

#[test]
fn others_may_look_at_the_history_and_change_nothing() {
    let host = host();
    Tool::prune(&host.config).exits(0);
    let path = host.place("state/prune-images/history.db");
    let before = fs::read(&path).unwrap();
    for folder in ["state", "state/prune-images"] {
        fs::set_permissions(host.place(folder), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let look = || Tool::as_user("prune-images", 65534).arg("-c").arg(&host.config).arg("--history");
    look().exits(3).warns("cannot be read");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    look().exits(0).says("1 file removed");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_history_of_a_newer_version_is_left_alone() {
    let host = host();
    let path = host.scratch.folder("state/prune-images").join("history.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    host.does_its_work_and_says_once("has version 99");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn metrics_folder() {
    for spoil in [full, read_only] {
        let host = host();
        let spoilt = spoil(&host.place("metrics"));
        host.does_its_work_and_says_once("no metrics in");
        let left: Vec<_> = fs::read_dir(spoilt.at()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "filler"), "no half file is left: {left:?}");
    }
    let host = host();
    fs::remove_dir(host.place("metrics")).unwrap();
    host.does_its_work_and_says_once("no metrics in");
    assert!(!host.place("metrics").exists(), "a missing metrics folder means no metrics");
}

#[test]
fn a_run_for_one_section_keeps_the_metrics_of_the_others() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("a/old", days(9)).file("b/old", days(9));
    let sections =
        ["a", "b"].map(|name| format!("[files.{name}]\npath = {:?}\nmax-age = '1d'\n", tree.path(name)));
    let config = scratch.config(&sections.concat());
    Tool::prune(&config).exits(0);
    Tool::prune(&config).arg("b").exits(0);
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-prune-images.prom")).unwrap();
    assert!(metrics.contains("maint_files_deleted{tool=\"prune-images\",target=\"a\"} 1\n"), "{metrics}");
    assert!(metrics.contains("maint_files_deleted{tool=\"prune-images\",target=\"b\"} 0\n"), "{metrics}");
    assert_eq!(metrics.matches("# TYPE maint_files_deleted gauge").count(), 1);
}

#[test]
fn the_audit_log_takes_refuge_and_is_folded_in_later() {
    for spoil in [full, read_only] {
        let host = host();
        let text = fs::read_to_string(&host.config).unwrap().replace("audit.jsonl", "audit/audit.jsonl");
        let config = host.scratch.file("maint.toml", &text);
        let spoilt = spoil(&host.place("audit"));
        host.does_its_work_and_says_once("they go to");
        let refuge = host.place("run/audit-prune-images.jsonl");
        assert!(fs::read_to_string(&refuge).unwrap().contains("\"event\":\"removed\""));
        drop(spoilt);

        let tree = host.tree.clone().file("d/older", days(30));
        Tool::prune(&config).exits(0);
        let log = fs::read_to_string(host.place("audit/audit.jsonl")).unwrap();
        assert!(log.contains("d/old\"") && log.contains("d/older\""), "{log}");
        assert_eq!(fs::read(&refuge).unwrap().len(), 0);
        drop(tree);
    }
}

#[test]
fn an_audit_log_that_fills_up_in_mid_line_stays_readable() {
    let host = host();
    let text = fs::read_to_string(&host.config).unwrap().replace("audit.jsonl", "audit/audit.jsonl");
    let config = host.scratch.file("maint.toml", &text);
    let disk = Mounted::tmpfs(&host.place("audit"), 16);
    let tree = (0..100).fold(host.tree.clone(), |tree, n| tree.file(format!("d{}/f{n}", n % 10), days(9)));
    Tool::prune(&config).args("a --workers 1 --force max-share").exits(0);
    let grown = std::process::Command::new("mount").args(["-o", "remount,size=1m"]).arg(disk.at()).status();
    assert!(grown.unwrap().success());
    let tree = tree.file("late", days(9));
    Tool::prune(&config).exits(0);
    let events = json_lines(&host.place("audit/audit.jsonl"));
    let removed: Vec<&str> =
        events.iter().filter(|e| e["event"] == "removed").map(|e| e["path"].as_str().unwrap()).collect();
    let distinct: std::collections::HashSet<&&str> = removed.iter().collect();
    assert_eq!((removed.len(), distinct.len()), (102, 102), "each file once");
    drop((disk, tree));
}

#[test]
fn nothing_goes_that_cannot_be_accounted_for() {
    let host = host();
    let text = fs::read_to_string(&host.config).unwrap().replace("audit.jsonl", "audit/audit.jsonl");
    let config = host.scratch.file("maint.toml", &text);
    let spoilt = (full(&host.place("audit")), read_only(&host.place("run")));
    let done = Tool::prune(&config).exits(4);
    done.says("nothing goes that cannot be accounted for");
    assert!(host.tree.has("d/old"));
    drop(spoilt);
    host.does_its_work();
}

#[test]
fn without_a_runtime_folder_the_root_itself_is_locked() {
    let host = host();
    let spoilt = read_only(&host.place("run"));
    let held = fs::File::open(host.tree.root()).unwrap();
    held.lock().unwrap();
    Tool::prune(&host.config).exits(75);
    assert!(host.tree.has("d/old"));
    held.unlock().unwrap();
    host.does_its_work();
    drop(spoilt);
}

#[test]
fn a_full_runtime_folder_stops_nobody() {
    let host = host();
    let spoilt = full(&host.place("run"));
    host.does_its_work();
    drop(spoilt);
}

#[test]
fn a_private_folder_that_is_not_private_is_not_used() {
    let host = host();
    fs::create_dir(host.tree.path(".maint")).unwrap();
    std::os::unix::fs::chown(host.tree.path(".maint"), Some(12345), None).unwrap();
    let done = Tool::prune(&host.config).arg("--json").exits(1);
    assert_eq!(done.json()["totals"]["unclaimed"], 1);
    assert!(!host.tree.has("d/old"));
    assert_eq!(fs::read_dir(host.tree.path(".maint")).unwrap().count(), 0);
}

#[test]
fn a_full_filesystem_is_pruned_all_the_same() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 16);
    let mut tree = Tree::at(&disk.at().join("tree"));
    for n in 0..40 {
        tree = tree.sized(format!("d/old{n}"), days(9), 64 << 10);
    }
    let _ = fs::write(disk.at().join("filler"), vec![0; 16 << 20]);
    for n in 0.. {
        if fs::write(disk.at().join(format!("filler{n}")), [0; 4096]).is_err() {
            break;
        }
    }
    let place = |name: &str| disk.at().join(name).display().to_string();
    // State, audit log and tree on the full disk; only the runtime folder lies elsewhere.
    let host = format!(
        "[host]\nstate-dir = '{}'\naudit-log = '{}'\nruntime-dir = '{}'\n",
        place("state"),
        place("audit.jsonl"),
        scratch.folder("run").display()
    );
    let config =
        scratch.file("c.toml", &format!("{host}[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    let done = Tool::prune(&config).arg("--json").exits(0);
    assert_eq!(done.json()["totals"]["files_deleted"], 40);
    assert!(!tree.has("d"));
    drop(disk);
}

#[test]
fn old_kernels_and_strict_sandboxes_have_a_way() {
    for fault in
        ["openat2:error=ENOSYS", "openat2:error=EPERM", "renameat2:error=EINVAL", "renameat2:error=ENOSYS"]
    {
        let host = host();
        let other = Mounted::tmpfs(&host.tree.path("mounted"), 64);
        let inside = Tree::at(other.at()).file("old", days(9));
        std::os::unix::fs::symlink(inside.root(), host.tree.path("link")).unwrap();
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &format!("inject={fault}")];
        let done = Tool::wrapped("prune-images", &strace).arg("-c").arg(&host.config).arg("--json").exits(0);
        assert_eq!(done.json()["totals"]["files_deleted"], 1, "{fault}");
        let unclaimed = u64::from(fault.starts_with("renameat2"));
        assert_eq!(done.json()["totals"]["unclaimed"], unclaimed, "{fault}");
        assert!(inside.has("old") && !host.tree.has("d/old"), "{fault}");
        drop(other);
    }
}
