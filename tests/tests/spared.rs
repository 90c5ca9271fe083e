//! What others use stays: locked, held open, with a lock file beside, in a folder that is locked.

use maint_tests::{Scratch, Tool, Tree, days, scale};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    process::{Child, Command},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// A process that holds a file until it is killed.
struct Holder(Child);

impl Holder {
    fn start(words: &[&str], ready: impl Fn() -> bool) -> Self {
        let child = Command::new(words[0]).args(&words[1..]).spawn().unwrap();
        while !ready() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn locks() -> String {
    fs::read_to_string("/proc/locks").unwrap()
}

fn flocked(path: &std::path::Path, how: &str) -> Holder {
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    // `exec` keeps the lock in the one process that is killed at the end.
    let script = format!("exec 9<'{}'; flock {how} 9; exec sleep 60", path.display());
    Holder::start(&["sh", "-c", &script], || locks().contains(&inode))
}

#[test]
fn what_another_process_has_locked_stays_until_it_lets_go() {
    for how in ["-s", "-x"] {
        let scratch = Scratch::new();
        let tree = Tree::at(&scratch.folder("tree")).file("locked", days(9)).file("free", days(9));
        let config = scratch.config(&tree.section("a", "max-age = '1d'"));
        let holder = flocked(&tree.path("locked"), how);
        Tool::prune(&config).arg("-n").exits(0).says("1 file: 1 locked");
        Tool::prune(&config).exits(0).says("removed        1 file").says("kept           1 file: 1 locked");
        assert_eq!(tree.names(), ["locked"]);
        drop(holder);
        Tool::prune(&config).exits(0);
        assert!(tree.names().is_empty());
    }
}

#[test]
fn a_posix_lock_counts_too_and_ours_is_never_taken() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("locked", days(9)).file("free", days(9));
    let config = scratch.config(&tree.section("a", "max-age = '1d'"));
    let inode = format!(":{} ", fs::metadata(tree.path("locked")).unwrap().ino());
    let script = format!(
        "import fcntl, time\nf = open('{}', 'r+')\nfcntl.lockf(f, fcntl.LOCK_EX)\ntime.sleep(60)",
        tree.path("locked").display()
    );
    let _holder = Holder::start(&["python3", "-c", &script], || locks().contains(&inode));
    Tool::prune(&config).exits(0);
    assert_eq!(tree.names(), ["locked"]);
    let deaf = scratch.config(&tree.section("a", "max-age = '1d'\nspare = { locked = false }"));
    Tool::prune(&deaf).exits(0);
    assert!(tree.names().is_empty());
}

#[test]
fn a_locked_folder_keeps_all_below_it() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"))
        .file("job/old", days(9))
        .file("job/deep/er/old", days(9))
        .file("other/old", days(9));
    let config = scratch.config(&tree.section("a", "max-age = '1d'"));
    let holder = flocked(&tree.path("job"), "-s");
    Tool::prune(&config).exits(0).says("2 folder locked");
    assert_eq!(tree.names(), ["job/deep/er/old", "job/old"]);
    drop(holder);
    Tool::prune(&config).exits(0);
    assert!(!tree.has("job"));
}

#[test]
fn a_lock_file_beside_keeps() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"))
        .file("a.jpg", days(9))
        .file("a.jpg.lock", 0)
        .file("b.jpg", days(9))
        .file("b.busy", 0)
        .file("c.jpg", days(9));
    let usual = scratch.config(&tree.section("a", "match = ['*.jpg']\nmax-age = '1d'\nlimit.files = 1"));
    Tool::prune(&usual).arg("-n").exits(0).says("1 lock file");
    let both = scratch.config(&tree.section(
        "a",
        "match = ['*.jpg']\nmax-age = '1d'\nspare.lock-files = ['{name}.lock', '{stem}.busy']",
    ));
    Tool::prune(&both).exits(0).says("2 lock file");
    assert_eq!(tree.names(), ["a.jpg", "a.jpg.lock", "b.busy", "b.jpg"]);
    let none = scratch.config(&tree.section("a", "match = ['*.jpg']\nmax-age = '1d'\nspare.lock-files = []"));
    Tool::prune(&none).exits(0);
    assert_eq!(tree.names(), ["a.jpg.lock", "b.busy"]);
}

#[test]
fn a_lock_file_does_not_go_before_what_it_locks() {
    let scratch = Scratch::new();
    let tree =
        (0..20).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n:02}"), days(9)));
    let tree = tree.file("x.jpg", days(9)).file("x.jpg.lock", days(9)).file("gone.jpg.lock", days(9));
    let config = scratch.config(&tree.section("a", "max-age = '1d'"));
    let listed = Tool::prune(&config).arg("--list").exits(0).stdout.lines().count();
    for _ in 0..2 {
        Tool::prune(&config).exits(0);
        assert_eq!(tree.names(), ["x.jpg", "x.jpg.lock"]);
    }
    assert_eq!(listed, 21, "what is listed is what goes; the lock of nothing goes too");
}

#[test]
fn what_others_use_does_not_hold_back_the_rest() {
    let scratch = Scratch::new();
    let tree =
        (0..40).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n:02}"), days(9)));
    let config = scratch.config(&tree.section("a", "max-age = '1d'"));
    let held: Vec<_> = (0..20).map(|n| flocked(&tree.path(format!("f{n:02}")), "-s")).collect();
    Tool::prune(&config).exits(0).says("removed        20 files").says("kept           20 files: 20 locked");
    assert_eq!(tree.names().len(), 20);
    drop(held);
}

#[test]
fn what_is_held_open_stays_if_that_is_asked_for() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("open", days(9)).file("free", days(9));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nspare = { held-open = true }"));
    // In a process namespace of its own, where every process may be looked at.
    let script =
        format!("exec 9<'{}'; sleep 60 & \"$@\"; code=$?; kill $!; exit $code", tree.path("open").display());
    let inside = ["unshare", "-p", "-f", "--mount-proc", "sh", "-c", &script, "sh"];
    let done = Tool::wrapped("prune-images", &inside).arg("-c").arg(&config).exits(0);
    done.says("1 held open");
    assert_eq!(tree.names(), ["open"]);
}

#[test]
fn without_the_right_to_look_the_target_is_refused() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    for path in [scratch.path(), tree.root()] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nspare = { held-open = true }"));
    std::os::unix::fs::chown(&config, Some(65534), Some(65534)).unwrap();
    let done = Tool::as_user("prune-images", 65534).arg("-c").arg(&config).exits(4);
    done.says("what is held open cannot be seen");
    assert!(tree.has("old"));
}

#[test]
fn a_bundle_with_one_locked_member_stays_whole() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"))
        .file("a.jpg", days(9))
        .file("a.json", days(9))
        .file("b.jpg", days(9))
        .file("b.json", days(9));
    let config =
        scratch.config(&tree.section("a", "match = ['*.jpg']\nwith = ['{stem}.json']\nmax-age = '1d'"));
    let _holder = flocked(&tree.path("a.json"), "-x");
    Tool::prune(&config).exits(0).says("2 locked");
    assert_eq!(tree.names(), ["a.jpg", "a.json"]);
}

/// For a moment a file may be claimed; what is locked is put back.
fn comes_back(path: &std::path::Path) -> bool {
    (0..200).any(|_| {
        path.exists() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }
    })
}

/// Who locks a file and then finds it still under its name may rely on it until the lock is let go.
#[test]
fn a_lock_that_was_had_in_time_is_a_promise() {
    let files = scale(6_000, 30_000);
    let scratch = Scratch::new();
    let tree =
        (0..files).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("{n}"), days(9), 1));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nguard.max-share = '100%'"));
    let (kept, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for start in [0, files / 2] {
            let (tree, kept, done) = (&tree, &kept, &done);
            scope.spawn(move || {
                let mut held = Vec::new();
                for n in (start..files).rev() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let path = tree.path(format!("{n}"));
                    let Ok(file) = File::open(&path) else { continue };
                    let inode = file.metadata().unwrap().ino();
                    let Ok(lock) = Flock::lock(file, FlockArg::LockSharedNonblock) else { continue };
                    if fs::metadata(&path).is_ok_and(|seen| seen.ino() == inode) {
                        held.push((path, lock));
                    }
                    if held.len() >= 200 {
                        for (path, _) in &held {
                            assert!(comes_back(path), "{} went while it was locked", path.display());
                        }
                        kept.fetch_add(held.len() as u64, Ordering::Relaxed);
                        held.clear();
                    }
                }
            });
        }
        let removed =
            Tool::prune(&config).arg("--json").run().json()["totals"]["files_deleted"].as_u64().unwrap();
        done.store(true, Ordering::Relaxed);
        println!("{removed} removed, {} locks held beside", kept.load(Ordering::Relaxed));
        assert!(removed > 500);
    });
    assert!(kept.load(Ordering::Relaxed) > 200);
}
