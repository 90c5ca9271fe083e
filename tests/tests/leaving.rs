//! Files that leave for another folder or an archive: no original goes without its verified copy.

use maint_tests::{Kills, Mounted, Random, Scratch, Tool, Tree, days, scale, set_age};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// The content that belongs to a name.
fn content(name: &str, size: usize) -> Vec<u8> {
    name.bytes().cycle().take(size).collect()
}

fn put(tree: &Tree, name: &str, age: i64, size: usize) {
    let path = tree.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content(name, size)).unwrap();
    set_age(&path, age);
}

fn put_all(tree: &Tree, names: &[String], size: usize) {
    for name in names {
        put(tree, name, days(9), size);
    }
}

fn to(then: &str, place: &Path) -> String {
    format!("max-age = '1d'\nthen = {{ {then} = {place:?} }}\n")
}

/// Everything in all archives below a folder, by name, as plain `tar` unpacks it.
fn unpacked(archives: &Path, scratch: &Scratch) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let found = Command::new("find")
        .arg(archives)
        .args(["-name", "*.tar.zst", "-not", "-path", "*/.maint/*"])
        .output()
        .unwrap();
    for (n, archive) in String::from_utf8(found.stdout).unwrap().lines().enumerate() {
        let into = scratch.folder(&format!("unpacked-{n}-{}", all.len()));
        let tar = Command::new("tar")
            .args(["--zstd", "--warning=no-timestamp", "-xf", archive, "-C"])
            .arg(&into)
            .output()
            .unwrap();
        assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
        let tree = Tree::at(&into);
        for name in tree.names() {
            let content = fs::read(tree.path(&name)).unwrap();
            if let Some(before) = all.insert(name.clone(), content.clone()) {
                assert_eq!(before, content, "{name} twice, and different");
            }
        }
        fs::remove_dir_all(into).unwrap();
    }
    all
}

/// Where files go to: the same filesystem, or another one.
fn destination(scratch: &Scratch, other: bool) -> (PathBuf, Option<Mounted>) {
    let at = scratch.folder("there");
    let mounted = other.then(|| Mounted::ext4(&at, 48));
    (at.join("to"), mounted)
}

#[test]
fn a_moved_file_is_the_same_file() {
    for other in [false, true] {
        let scratch = Scratch::new();
        let (place, _mounted) = destination(&scratch, other);
        let tree = Tree::at(&scratch.folder("tree")).file("new", 0);
        put(&tree, "in/old.jpg", days(9), 300_000);
        let old = tree.path("in/old.jpg");
        fs::set_permissions(&old, fs::Permissions::from_mode(0o4751)).unwrap();
        std::os::unix::fs::chown(&old, Some(1234), Some(4321)).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o4751)).unwrap();
        let script = format!("import os; os.setxattr('{}', 'user.camera', b'front=1\\0x')", old.display());
        assert!(Command::new("python3").args(["-c", &script]).status().unwrap().success());
        fs::set_permissions(tree.path("in"), fs::Permissions::from_mode(0o2775)).unwrap();
        let sparse = tree.path("in/sparse");
        fs::File::create(&sparse).unwrap().set_len(20 << 20).unwrap();
        set_age(&sparse, days(9));
        set_age(&old, days(9));
        let before = fs::metadata(&old).unwrap();

        let config = scratch.config(&tree.section("a", &to("move-to", &place)));
        Tool::prune(&config).arg("-n").exits(0).says("to be moved    2 files");
        let done = Tool::prune(&config).exits(0);
        done.says("moved          2 files");
        assert_eq!(done.stdout.contains("freed 0 B"), !other, "a rename frees nothing");
        let there = Tree::at(&place);
        assert_eq!(there.names(), ["in/old.jpg", "in/sparse"]);
        assert_eq!(tree.names(), ["new"]);
        let after = fs::metadata(there.path("in/old.jpg")).unwrap();
        let of = |seen: &fs::Metadata| {
            (seen.len(), seen.mode(), seen.uid(), seen.gid(), seen.mtime(), seen.mtime_nsec())
        };
        assert_eq!(of(&after), of(&before));
        assert_eq!(fs::read(there.path("in/old.jpg")).unwrap(), content("in/old.jpg", 300_000));
        let script = format!(
            "import os; assert os.getxattr('{}', 'user.camera') == b'front=1\\0x'",
            there.path("in/old.jpg").display()
        );
        assert!(Command::new("python3").args(["-c", &script]).status().unwrap().success());
        assert_eq!(fs::metadata(there.path("in")).unwrap().mode() & 0o7777, 0o2775);
        let sparse = fs::metadata(there.path("in/sparse")).unwrap();
        assert_eq!((sparse.len(), sparse.blocks() < 2048), (20 << 20, true), "holes stay holes");
        let audit = fs::read_to_string(scratch.path().join("audit.jsonl")).unwrap();
        assert!(audit.contains("\"event\":\"moved\"") && audit.contains("there/to/in/old.jpg"), "{audit}");
    }
}

#[test]
fn what_is_there_already_is_never_replaced() {
    for other in [false, true] {
        let scratch = Scratch::new();
        let (place, _mounted) = destination(&scratch, other);
        let there = Tree::at(&place).sized("a.jpg", days(1), 3).sized("a-1.json", days(1), 4).sized(
            "b.json",
            days(1),
            5,
        );
        let tree = Tree::at(&scratch.folder("tree"));
        for name in ["a.jpg", "a.json", "b.jpg", "b.json"] {
            put(&tree, name, days(9), 100);
        }
        let keys = to("move-to", &place) + "match = ['*.jpg']\nwith = ['{stem}.json']";
        Tool::prune(&scratch.config(&tree.section("a", &keys))).exits(0);
        // Both members of a bundle get the same number, the first that is free for both.
        assert_eq!(
            there.names(),
            ["a-1.json", "a-2.jpg", "a-2.json", "a.jpg", "b-1.jpg", "b-1.json", "b.json"]
        );
        assert_eq!(fs::read(there.path("a-2.jpg")).unwrap(), content("a.jpg", 100));
        assert_eq!(fs::read(there.path("a.jpg")).unwrap().len(), 3);
    }
}

#[test]
fn a_destination_that_cannot_be_is_said_and_costs_nothing() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let run = |place: &Path, host: &str| {
        let sections = tree.section("a", &to("move-to", place));
        Tool::prune(&scratch.file("maint.toml", &(scratch.host() + host + &sections))).run()
    };
    let no_parent = run(&scratch.path().join("no/where"), "");
    assert_eq!(no_parent.code, Some(1), "{}", no_parent.stdout);
    no_parent.says("nothing is moved to").says("is not there");
    let inside = format!("allow-roots = [{:?}]\n", tree.root());
    let outside = run(&scratch.path().join("outside"), &inside);
    assert_eq!(outside.code, Some(4), "{}", outside.stdout);
    outside.says("lies outside allow-roots");
    assert!(!scratch.path().join("outside").exists(), "nor is anything made there");
    let file = run(&scratch.file("file", "x"), "");
    assert_eq!(file.code, Some(4));
    let volume = format!("[volume.ssd]\npath = {:?}\n", scratch.folder("ssd"));
    let unmounted = run(&scratch.path().join("ssd/to"), &volume);
    assert_eq!(unmounted.code, Some(4));
    unmounted.says("volume ssd is not mounted");
    assert!(!scratch.path().join("ssd/to").exists(), "an unmounted disk is not filled in on the one below");
    assert!(tree.has("old"));
}

/// Every file is whole in one place or the other, and nothing half done is visible.
fn all_there(names: &[String], sizes: usize, tree: &Tree, there: &Tree, when: &str) {
    for name in names {
        let whole = |path: PathBuf| fs::read(path).is_ok_and(|read| read == content(name, sizes));
        assert!(whole(tree.path(name)) || whole(there.path(name)), "{when}: {name} is lost");
    }
    for name in there.names() {
        let original = name.replace("-1.", ".");
        let read = fs::read(there.path(&name)).unwrap();
        assert_eq!(read, content(&original, sizes), "{when}: {name} is half there");
    }
}

#[test]
fn a_full_destination_costs_nothing_and_the_rest_goes_on_later() {
    let scratch = Scratch::new();
    let there = Mounted::tmpfs(&scratch.folder("there"), 700);
    let tree = Tree::at(&scratch.folder("tree"));
    let names: Vec<String> = (0..20).map(|n| format!("f{n:02}")).collect();
    put_all(&tree, &names, 50_000);
    let place = there.at().join("to");
    let config = scratch.config(&tree.section("a", &to("move-to", &place)));
    let done = Tool::prune(&config).exits(1);
    done.says("No space left on device");
    let moved = Tree::at(&place);
    all_there(&names, 50_000, &tree, &moved, "full");
    assert!(moved.names().len() > 5 && tree.names().len() > 3, "{:?}", moved.names());
    drop(there);
    let _there = Mounted::tmpfs(&scratch.folder("there"), 4000);
    Tool::prune(&config).exits(0);
    assert!(tree.names().is_empty());
}

#[test]
fn an_error_at_every_step_loses_nothing() {
    let calls =
        "write,pwrite64,fsync,fdatasync,ftruncate,renameat2,fchown,fchmod,utimensat,openat,linkat,unlinkat";
    let (mut failed, mut worked) = (0, 0);
    for (then, error) in
        [("move-to", "ENOSPC"), ("move-to", "EIO"), ("archive-to", "ENOSPC"), ("archive-to", "EIO")]
    {
        let mut step = 1;
        loop {
            let scratch = Scratch::new();
            let (place, _mounted) = destination(&scratch, true);
            fs::create_dir_all(&place).unwrap();
            let tree = Tree::at(&scratch.folder("tree"));
            let names: Vec<String> =
                ["a.jpg", "a.json", "b.jpg", "b.json", "c.jpg"].map(str::to_owned).into();
            put_all(&tree, &names, 40_000);
            let keys = to(then, &place) + "match = ['*.jpg']\nwith = ['{stem}.json']";
            let config = scratch.config(&tree.section("a", &keys));
            let inject = format!("inject={calls}:error={error}:when={step}");
            let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
            let done =
                Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).args("--workers 1").run();
            let when = format!("{then}, {error} at call {step}");
            let kept = if then == "move-to" { Tree::at(&place) } else { archived(&place, &scratch) };
            all_there(&names, 40_000, &tree, &kept, &when);
            no_half_bundle(&tree, &when);
            worked += usize::from(done.code == Some(0));
            failed += usize::from(done.code != Some(0));
            Tool::prune(&config).exits(0);
            assert!(tree.names().is_empty(), "{when}: the next run finishes, left {:?}", tree.names());
            let kept = if then == "move-to" { Tree::at(&place) } else { archived(&place, &scratch) };
            all_there(&names, 40_000, &tree, &kept, &when);
            step += scale(7, 1);
            if step > 400 || (done.code == Some(0) && step > 150) {
                break;
            }
        }
    }
    println!("{failed} runs failed at some step, {worked} were not hurt");
    assert!(failed > 10);
}

#[test]
fn a_rename_that_fails_splits_no_bundle() {
    let mut failed = 0;
    for step in 1..=12 {
        let scratch = Scratch::new();
        let (place, _) = destination(&scratch, false);
        let tree = Tree::at(&scratch.folder("tree"));
        for name in ["a.jpg", "a.json", "b.jpg", "b.json"] {
            put(&tree, name, days(9), 100);
        }
        let keys = to("move-to", &place) + "match = ['*.jpg']\nwith = ['{stem}.json']";
        let config = scratch.config(&tree.section("a", &keys));
        let inject = format!("inject=renameat2:error=ENOSPC:when={step}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
        let done = Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).args("--workers 1").run();
        failed += usize::from(done.code != Some(0));
        for stem in ["a", "b"] {
            let (image, json) = (tree.has(format!("{stem}.jpg")), tree.has(format!("{stem}.json")));
            assert_eq!(image, json, "renameat2 {step} failed: {:?}", tree.names());
        }
        Tool::prune(&config).exits(0);
        assert_eq!(Tree::at(&place).names(), ["a.jpg", "a.json", "b.jpg", "b.json"], "{step}");
    }
    assert!(failed > 2, "{failed}");
}

/// What the archives hold, as a tree of its own.
fn archived(place: &Path, scratch: &Scratch) -> Tree {
    let kept = Tree::at(&scratch.folder("kept"));
    for (name, content) in unpacked(place, scratch) {
        fs::create_dir_all(kept.path(&name).parent().unwrap()).unwrap();
        fs::write(kept.path(&name), content).unwrap();
    }
    kept
}

fn no_half_bundle(tree: &Tree, when: &str) {
    let names = tree.names();
    for stem in ["a", "b"] {
        let json = names.contains(&format!("{stem}.json"));
        let image = names.contains(&format!("{stem}.jpg"));
        // An image without its companion is finished by the next run; the other way round nobody would.
        assert!(image || !json, "{when}: {stem}.json lies there alone");
    }
}

#[test]
fn killed_anywhere_nothing_is_lost_and_the_next_run_finishes() {
    let mut random = Random::seeded("kill while leaving");
    for then in ["move-to", "archive-to"] {
        let mut kills = Kills::new(scale(12, 100));
        while let Some(round) = kills.next_round() {
            let scratch = Scratch::new();
            let (place, _mounted) = destination(&scratch, true);
            let tree = Tree::at(&scratch.folder("tree"));
            let names: Vec<String> = (0..120)
                .flat_map(|n| [format!("d{}/{n:03}.jpg", n % 3), format!("d{}/{n:03}.json", n % 3)])
                .collect();
            put_all(&tree, &names, 3_000);
            let keys =
                to(then, &place) + "match = ['*.jpg']\nwith = ['{stem}.json']\nguard.max-share = '100%'";
            let config = scratch.config(&tree.section("a", &keys));
            let mut child = Tool::prune(&config).start();
            std::thread::sleep(Duration::from_micros(random.below(if then == "move-to" {
                150_000
            } else {
                40_000
            }) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
            let left = tree.names().len();
            // Of an archive all files go in a moment.
            kills.met(then == "archive-to" || (1..names.len()).contains(&left));
            let when = format!("{then}, round {round}");
            // What is claimed lies in `.maint` for now; the next run brings it back or takes it on.
            Tool::prune(&config).exits(0);
            assert!(tree.names().is_empty(), "{when}: left {:?}", tree.names());
            let kept = if then == "move-to" { Tree::at(&place) } else { archived(&place, &scratch) };
            all_there(&names, 3_000, &tree, &kept, &when);
            let twice = kept.names().len() - names.len();
            assert_eq!(twice, 0, "{when}: moved twice");
        }
        kills.assert_enough();
    }
}

#[test]
fn an_archive_is_what_went() {
    for other in [false, true] {
        let scratch = Scratch::new();
        let (place, _mounted) = destination(&scratch, other);
        let tree = Tree::at(&scratch.folder("tree")).file("new", 0);
        for n in 0..400 {
            put(&tree, &format!("d{}/{n}.jpg", n % 7), days(2 + n % 50), 200 + usize::try_from(n).unwrap());
        }
        let before: BTreeMap<String, Vec<u8>> = tree
            .names()
            .into_iter()
            .filter(|name| name != "new")
            .map(|name| (name.clone(), fs::read(tree.path(&name)).unwrap()))
            .collect();
        let config =
            scratch.config(&tree.section("a", &(to("archive-to", &place) + "guard.max-share = '100%'")));
        let done = Tool::prune(&config).exits(0);
        done.says("archived       400 files").says("the archive is ");
        assert_eq!(tree.names(), ["new"]);
        assert_eq!(unpacked(&place, &scratch), before);
        Tool::prune(&config).exits(0).says("archived       0 files");
        let month = fs::read_dir(&place)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name() != ".maint")
            .count();
        assert_eq!(month, 1, "nothing to archive makes no archive");
        let audit = fs::read_to_string(scratch.path().join("audit.jsonl")).unwrap();
        assert_eq!(audit.matches("\"event\":\"archived\"").count(), 400);
    }
}

#[test]
fn a_destination_that_is_the_root_by_another_name_is_refused() {
    for then in ["move-to", "archive-to"] {
        let scratch = Scratch::new();
        let tree = Tree::at(&scratch.folder("data/live")).file("old", days(9)).file("sub/old", days(9));
        let other_door = Mounted::bind(tree.root(), &scratch.folder("door"));
        std::os::unix::fs::symlink(scratch.path().join("data"), scratch.path().join("link")).unwrap();
        let linked = scratch.path().join("link/live");
        for place in
            [other_door.at().to_owned(), other_door.at().join("sub"), linked.clone(), linked.join("new")]
        {
            let config = scratch.config(&tree.section("a", &to(then, &place)));
            let done = Tool::prune(&config).run();
            assert!(matches!(done.code, Some(3 | 4)), "{}: {}{}", place.display(), done.stdout, done.stderr);
            assert!(tree.has("old") && tree.has("sub/old"), "{}", place.display());
        }
    }
}

#[test]
fn an_unmounted_volume_is_not_filled_through_a_link() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let volume = scratch.folder("volume");
    std::os::unix::fs::symlink(&volume, scratch.path().join("link")).unwrap();
    let sections = format!("[volume.ssd]\npath = {volume:?}\n")
        + &tree.section("a", &to("move-to", &scratch.path().join("link/to")));
    Tool::prune(&scratch.config(&sections)).exits(4).says("volume ssd is not mounted");
    assert!(tree.has("old") && fs::read_dir(&volume).unwrap().next().is_none());
}

/// Runs with every fsync slowed down, and appends to a file while it waits.
fn appended_meanwhile(then: &str, keys: &str, names: &[&str]) -> (Scratch, Tree, Option<Mounted>) {
    let scratch = Scratch::new();
    let (place, mounted) = destination(&scratch, true);
    let tree = Tree::at(&scratch.folder("tree"));
    for name in names {
        put(&tree, name, days(9), 1000);
    }
    let config = scratch.config(&tree.section("a", &(to(then, &place) + keys)));
    let mut open = fs::OpenOptions::new().append(true).open(tree.path(names[0])).unwrap();
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:delay_enter=700000"];
    let mut child = Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).args("--workers 1").start();
    std::thread::sleep(Duration::from_millis(1200));
    std::io::Write::write_all(&mut open, b"FRESH").unwrap();
    child.wait().unwrap();
    (scratch, tree, mounted)
}

#[test]
fn what_is_appended_while_a_copy_is_made_durable_stays() {
    for then in ["move-to", "archive-to"] {
        let (_scratch, tree, _mounted) = appended_meanwhile(then, "", &["a.jpg"]);
        let stayed = fs::read(tree.path("a.jpg")).unwrap_or_default();
        assert!(stayed.ends_with(b"FRESH"), "{then}");
    }
}

#[test]
fn a_bundle_of_which_one_file_changed_is_not_split() {
    for then in ["move-to", "archive-to"] {
        let keys = "match = ['*.jpg']\nwith = ['{stem}.json']";
        let (_scratch, tree, _mounted) =
            appended_meanwhile(then, keys, &["a.jpg", "a.json", "b.jpg", "b.json"]);
        assert!(tree.has("a.jpg") && tree.has("a.json"), "{then}: {:?}", tree.names());
    }
}

#[test]
fn a_numbered_copy_is_not_made_twice_after_a_kill() {
    for step in 1..=3 {
        let scratch = Scratch::new();
        let (place, _mounted) = destination(&scratch, true);
        let there = Tree::at(&place).sized("a.jpg", days(1), 3).sized("a.json", days(1), 4);
        let tree = Tree::at(&scratch.folder("tree"));
        for name in ["a.jpg", "a.json"] {
            put(&tree, name, days(9), 1000);
        }
        let keys = to("move-to", &place) + "match = ['*.jpg']\nwith = ['{stem}.json']";
        let config = scratch.config(&tree.section("a", &keys));
        let inject = format!("inject=unlinkat:signal=SIGKILL:when={step}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
        Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).run();
        Tool::prune(&config).exits(0);
        assert_eq!(there.names(), ["a-1.jpg", "a-1.json", "a.jpg", "a.json"], "killed at unlink {step}");
        assert!(tree.names().is_empty());
    }
}

#[test]
fn the_longest_name_finds_a_free_one_too() {
    let scratch = Scratch::new();
    let (place, _mounted) = destination(&scratch, false);
    let long = "n".repeat(251) + ".jpg";
    let there = Tree::at(&place).sized(&long, days(1), 3);
    let tree = Tree::at(&scratch.folder("tree"));
    put(&tree, &long, days(9), 10);
    Tool::prune(&scratch.config(&tree.section("a", &to("move-to", &place)))).exits(0);
    assert_eq!(there.names(), ["n".repeat(249) + "-1.jpg", long]);
}

#[test]
fn folders_that_an_archive_emptied_go_too() {
    let scratch = Scratch::new();
    let (place, _mounted) = destination(&scratch, false);
    let tree =
        Tree::at(&scratch.folder("tree")).file("a/b/old", days(9)).file("a/c/old", days(9)).file("new", 0);
    Tool::prune(&scratch.config(&tree.section("a", &to("archive-to", &place))))
        .exits(0)
        .says("3 empty folders");
    assert!(!tree.has("a"));
}

#[test]
fn a_full_disk_makes_no_archive_and_costs_nothing() {
    let scratch = Scratch::new();
    let there = Mounted::tmpfs(&scratch.folder("there"), 300);
    let tree = Tree::at(&scratch.folder("tree"));
    let mut random = Random::seeded("noise");
    for n in 0..10 {
        let noise: Vec<u8> = (0..60_000).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        fs::write(tree.path(format!("{n}")), noise).unwrap();
        set_age(&tree.path(format!("{n}")), days(9));
    }
    let config = scratch.config(&tree.section("a", &to("archive-to", &there.at().join("to"))));
    Tool::prune(&config).exits(2).says("nothing was archived, and so nothing removed");
    assert_eq!(tree.names().len(), 10);
    let left = Command::new("find").arg(there.at()).args(["-type", "f"]).output().unwrap();
    assert_eq!(String::from_utf8(left.stdout).unwrap(), "", "and leaves nothing behind");
}

#[test]
fn without_an_inode_left_files_still_go_and_none_is_lost() {
    let scratch = Scratch::new();
    let from = Mounted::with_inodes(&scratch.folder("from"), 60);
    let there = Mounted::with_inodes(&scratch.folder("there"), 12);
    let tree = Tree::at(&from.at().join("tree"));
    let names: Vec<String> = (0..30).map(|n| format!("f{n:02}")).collect();
    fs::create_dir(tree.root()).unwrap();
    put_all(&tree, &names, 100);
    // The last inodes of the source are taken, so that no private folder can be made.
    let mut fillers = 0;
    while fs::write(from.at().join(format!("filler{fillers}")), "").is_ok() {
        fillers += 1;
    }
    let place = there.at().join("to");
    let config = scratch.config(&tree.section("a", &to("move-to", &place)));
    Tool::prune(&config).exits(1).says("No space left on device").says("unclaimed");
    let moved = Tree::at(&place);
    all_there(&names, 100, &tree, &moved, "no inode");
    assert!(moved.names().len() > 3 && !tree.names().is_empty(), "{:?}", moved.names());
    let config = scratch.config(&tree.section("a", "max-age = '1d'"));
    Tool::prune(&config).exits(0);
    assert!(tree.names().is_empty());
}

/// A producer appends to, replaces, renames and touches files while they leave.
#[test]
fn what_a_writer_does_meanwhile_is_not_lost() {
    for then in ["delete", "move-to", "archive-to"] {
        let files = scale(1_500, 6_000);
        let scratch = Scratch::new();
        let (place, _mounted) = destination(&scratch, then != "delete");
        let tree = (0..files)
            .fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("f{n}"), days(9), 50));
        let keys = if then == "delete" { "max-age = '1d'".to_owned() } else { to(then, &place) };
        let config = scratch.config(&tree.section("a", &(keys + "\nguard.max-share = '100%'")));
        let staging = scratch.folder("staging");
        let (stop, fresh_count) = (AtomicBool::new(false), AtomicU64::new(0));
        let fresh = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut fresh = Vec::new();
                for n in (0..files).rev() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if then != "delete" {
                        // A verified copy takes longer than a removal: both are to meet in the middle.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    let path = tree.path(format!("f{n}"));
                    let mark = format!("fresh {n}");
                    let wrote = match n % 3 {
                        0 => {
                            let temporary = staging.join("new");
                            fs::write(&temporary, &mark).unwrap();
                            path.exists() && fs::rename(&temporary, &path).is_ok()
                        }
                        1 => {
                            let renamed = tree.path(format!("r{n}"));
                            fs::rename(&path, &renamed).is_ok() && fs::write(&renamed, &mark).is_ok()
                        }
                        _ => fs::OpenOptions::new().write(true).truncate(true).open(&path).is_ok_and(
                            |mut file| {
                                std::io::Write::write_all(&mut file, mark.as_bytes()).unwrap();
                                // Only what still lies under its name was written in time.
                                path.symlink_metadata()
                                    .is_ok_and(|seen| seen.ino() == file.metadata().unwrap().ino())
                            },
                        ),
                    };
                    if wrote {
                        fresh.push((n, mark));
                        fresh_count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                fresh
            });
            while fresh_count.load(Ordering::Relaxed) < 20 {
                std::thread::yield_now();
            }
            let done = Tool::prune(&config).run();
            stop.store(true, Ordering::Relaxed);
            assert!(matches!(done.code, Some(0 | 1)), "{}\n{}", done.stdout, done.stderr);
            writer.join().unwrap()
        });
        let gone = (0..files).filter(|n| !tree.has(format!("f{n}")) && !tree.has(format!("r{n}"))).count();
        let found = fs::read_dir(tree.path(".maint/found")).map_or(0, Iterator::count);
        for (n, mark) in &fresh {
            let held = [format!("f{n}"), format!("r{n}")]
                .iter()
                .any(|name| fs::read_to_string(tree.path(name)).is_ok_and(|text| text == *mark));
            let aside = fs::read_dir(tree.path(".maint/found"))
                .into_iter()
                .flatten()
                .any(|kept| fs::read_to_string(kept.unwrap().path()).is_ok_and(|text| text == *mark));
            assert!(held || aside, "{then}: {mark} is lost");
        }
        println!("{then}: {} fresh, {gone} gone, {found} set aside", fresh.len());
        assert!(
            gone > 50 && fresh.len() > 20,
            "{then}: both must get to their work: {} fresh, {gone} gone",
            fresh.len()
        );
    }
}

#[test]
fn bundles_leave_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"));
    for (name, age) in [
        ("old.jpg", 9),
        ("old.json", 9),
        ("young.jpg", 9),
        ("young.json", 0),
        ("two.jpg", 9),
        ("two.png", 0),
        ("two.json", 9),
        ("lone.json", 9),
        ("dots.in.name.jpg", 9),
        ("dots.in.name.json", 9),
        ("kept.jpg", 9),
        ("kept.json", 9),
        ("link.jpg", 9),
    ] {
        put(&tree, name, days(age), 10);
    }
    std::os::unix::fs::symlink("old.jpg", tree.path("link.json")).unwrap();
    let keys = "match = ['*.jpg', '*.png']\nwith = ['{stem}.json']\nmax-age = '1d'\nexclude = ['kept.json']";
    let config = scratch.config(&tree.section("a", keys));
    Tool::prune(&config).args("--limit 1").exits(0);
    let pairs =
        |tree: &Tree| ["old", "dots.in.name"].iter().filter(|stem| tree.has(format!("{stem}.jpg"))).count();
    assert_eq!(pairs(&tree), 1, "a bundle larger than the limit goes alone, and whole");
    Tool::prune(&config).exits(0);
    assert_eq!(
        tree.names(),
        [
            "kept.jpg",
            "kept.json",
            "link.jpg",
            "lone.json",
            "two.jpg",
            "two.json",
            "two.png",
            "young.jpg",
            "young.json"
        ]
    );
    assert!(tree.has("link.json"));
}
