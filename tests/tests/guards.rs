//! What must hold before anything goes: volume, marker, clock, holds, and a configuration without
//! targets that fight each other.

use maint_tests::{Mounted, Picture, Scratch, Tool, Tree, days, hours, now};
use std::{fs, time::Duration};

fn volume(at: &std::path::Path, uuid: &str) -> String {
    format!("[volume.ssd]\npath = {at:?}\n{uuid}\n")
}

#[test]
fn a_volume_must_be_mounted_and_the_right_one() {
    let scratch = Scratch::new();
    let at = scratch.folder("ssd");
    // What lies below the mount point is the memory card's, and none of our business.
    let below = Tree::at(&at).file("live/card", days(9));
    let keys = "max-age = '1d'\nguard = { volume = 'ssd' }";
    let mounted = Mounted::ext4(&at, 16);
    let uuid = mounted.uuid();
    let tree = Tree::at(&at.join("live")).file("a", days(9)).file("new", 0);
    let config = scratch
        .config(&(volume(&at, &format!("uuid = '{}'", uuid.to_uppercase())) + &tree.section("a", keys)));
    Tool::prune(&config).arg("-n").exits(0).says("1 file,");
    mounted.unmount();
    for options in ["", "-n", "--json", "--max-age 1h a"] {
        Tool::prune(&config).args(options).exits(4).says("volume ssd is not mounted at");
    }
    Tool::prune(&config).arg("--cron").exits(4);
    assert!(below.has("live/card"));

    let other = scratch.path().join("ssd.img");
    fs::remove_file(&other).unwrap();
    let replaced = Mounted::ext4(&at, 16);
    let theirs = Tree::at(&at).file("live/theirs", days(9));
    Tool::prune(&config).exits(4).says("is another one: its UUID is").says("--force volume");
    assert!(theirs.has("live/theirs"));
    let forced = Tool::prune(&config).args("a --force volume").exits(0);
    forced.says("removed        1 file");
    drop(replaced);
    assert!(below.has("live/card"));
}

#[test]
fn a_root_that_another_mount_covers_is_not_on_the_volume() {
    let scratch = Scratch::new();
    let ssd = Mounted::ext4(&scratch.folder("ssd"), 16);
    let live = scratch.folder("ssd/live");
    let covering = Mounted::tmpfs(&live, 512);
    let tree = Tree::at(covering.at()).file("old", days(9));
    let config =
        scratch.config(&(volume(ssd.at(), "") + &tree.section("a", "max-age = '1d'\nguard.volume = 'ssd'")));
    Tool::prune(&config).exits(4).says("does not lie on volume ssd");
    assert!(tree.has("old"));
}

#[test]
fn every_filesystem_tells_its_uuid() {
    for kind in ["xfs", "btrfs"] {
        let scratch = Scratch::new();
        let mounted = Mounted::of_kind(kind, &scratch.folder("ssd"), 320);
        let tree = Tree::at(&mounted.at().join("live")).file("old", days(9));
        let keys = tree.section("a", "max-age = '1d'\nguard.volume = 'ssd'");
        let right = volume(mounted.at(), &format!("uuid = '{}'", mounted.uuid()));
        let wrong = volume(mounted.at(), "uuid = '00000000-1111-2222-3333-444444444444'");
        Tool::prune(&scratch.config(&(wrong + &keys))).exits(4).says("is another one");
        assert!(tree.has("old"), "{kind}");
        Tool::prune(&scratch.config(&(right + &keys))).exits(0);
        assert!(!tree.has("old"), "{kind}");
    }
}

#[test]
fn a_read_only_volume_is_said_at_once() {
    let scratch = Scratch::new();
    let mounted = Mounted::ext4(&scratch.folder("ssd"), 16);
    let tree =
        (0..200).fold(Tree::at(&mounted.at().join("live")), |tree, n| tree.file(format!("{n}"), days(9)));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nguard.max-share = '100%'"));
    mounted.make_read_only();
    let done = Tool::prune(&config).exits(2);
    done.says("mounted read-only: nothing can leave it");
    assert_eq!(done.stdout.matches("Read-only file system").count(), 0, "once, and not for every file");
    assert_eq!(tree.names().len(), 200);
}

#[test]
fn a_volume_lost_half_way_costs_nothing_elsewhere() {
    let scratch = Scratch::new();
    let at = scratch.folder("ssd");
    let below = (0..300).fold(Tree::at(&at.join("live")), |tree, n| tree.file(format!("{n}"), days(9)));
    let picture = Picture::of(below.root());
    let mounted = Mounted::ext4(&at, 64);
    let tree = (0..8000).fold(Tree::at(&at.join("live")), |tree, n| tree.sized(format!("{n}"), days(9), 1));
    let keys = "max-age = '1d'\nlimit.rate = '4000/s'\nguard = { volume = 'ssd', max-share = '100%' }";
    let config = scratch.config(&(volume(&at, "") + &tree.section("a", keys)));
    let mut child = Tool::prune(&config).start();
    let all = || fs::read_dir(at.join("live")).map_or(0, Iterator::count);
    while all() > 7500 {
        std::thread::sleep(Duration::from_millis(2));
    }
    mounted.unmount();
    child.wait().unwrap();
    picture.assert_unchanged();
    Tool::prune(&config).exits(4);
    picture.assert_unchanged();
}

#[test]
fn a_root_that_is_not_there_refuses_where_a_volume_is_asked_for() {
    let scratch = Scratch::new();
    let at = scratch.folder("ssd");
    let tree = Tree::at(&at.join("nowhere"));
    let plain = scratch.config(&tree.section("a", "max-age = '1d'"));
    Tool::prune(&plain).exits(1).says("is not there: nothing was done");
    let guarded =
        scratch.config(&(volume(&at, "") + &tree.section("a", "max-age = '1d'\nguard.volume = 'ssd'")));
    Tool::prune(&guarded).exits(4).says("is not there");
}

#[test]
fn the_marker_must_lie_there_and_never_goes() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9)).file("sub/.ours", days(9));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nguard = { marker = '.ours' }"));
    Tool::prune(&config).exits(4).says("the marker .ours is not in").says("prune-images a --force marker");
    fs::create_dir(tree.path(".ours")).unwrap();
    Tool::prune(&config).exits(4).says("is not a file");
    fs::remove_dir(tree.path(".ours")).unwrap();
    assert!(tree.has("old"));
    let tree = tree.file(".ours", days(99));
    Tool::prune(&config).exits(0);
    assert_eq!(tree.names(), [".ours"], "one of that name further down is a file like any other");
}

#[test]
fn a_hold_stops_everything_and_always_ends() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9)).file("new", 0);
    let config = scratch.config(&tree.section("live", "max-age = '1d'"));
    let hold = |name: &str, text: &str| scratch.file(&format!("state/shared/{name}"), text);
    for (name, text) in [
        ("hold", "6h\n"),
        ("hold.live", "6h\n"),
        ("hold", "2099-01-01T00:00:00+01:00\n"),
        ("hold", "for ever"),
    ] {
        let file = hold(name, text);
        Tool::prune(&config).exits(1).says("held until").says("nothing was done");
        Tool::prune(&config).arg("--cron").exits(1).is_silent();
        Tool::prune(&config).arg("-n").exits(0).says("held until").says("to be removed  1 file");
        fs::remove_file(file).unwrap();
    }
    assert!(tree.has("old"));
    let expired = hold("hold", "6h");
    maint_tests::set_age(&expired, hours(7));
    hold("hold.other", "6h");
    hold("hold.live", "2020-01-01T00:00:00Z");
    Tool::prune(&config).exits(0);
    assert!(!tree.has("old"));
}

#[test]
fn a_hold_that_is_a_link_holds() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9)).file("new", 0);
    let config = scratch.config(&tree.section("live", "max-age = '1d'"));
    scratch.folder("state/shared");
    std::os::unix::fs::symlink("/dev/null", scratch.path().join("state/shared/hold")).unwrap();
    Tool::prune(&config).exits(1).says("held, because");
    assert!(tree.has("old"));
}

/// A tree with a file that is old by any clock, and fresh ones.
fn clocked(scratch: &Scratch) -> (Tree, std::path::PathBuf) {
    let tree = (0..5).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("fresh{n}"), 600));
    let tree = tree.file("old", days(30));
    let config = scratch.config(&tree.section("a", "max-age = '7d'"));
    (tree, config)
}

fn fresh(tree: &Tree) -> usize {
    tree.names().iter().filter(|name| name.starts_with("fresh")).count()
}

#[test]
fn a_clock_that_is_ahead_makes_nothing_old() {
    let scratch = Scratch::new();
    let (tree, config) = clocked(&scratch);
    for later in 1..=5 {
        Tool::prune_at(&config, now() + hours(later), false).exits(0);
    }
    for ahead in [days(365), days(42), days(8)] {
        let done = Tool::prune_at(&config, now() + ahead, false).exits(4);
        done.says("the kernel does not call its clock synchronised")
            .says("--force clock")
            .says("clock in doubt");
        Tool::prune_at(&config, now() + ahead, false).arg("-n").exits(4).says("would go       0 files");
        assert_eq!(fresh(&tree), 5, "{ahead}");
    }
    // A refused run moved no record: the right clock is believed at once.
    let tree = tree.file("old", days(30));
    Tool::prune_at(&config, now() + hours(6), false).exits(0);
    assert!(!tree.has("old"));
}

#[test]
fn a_clock_of_1970_or_yesterday_is_not_believed() {
    let scratch = Scratch::new();
    let (tree, config) = clocked(&scratch);
    Tool::prune_at(&config, now(), false).exits(0);
    let tree = tree.file("old", days(30));
    Tool::prune_at(&config, 0, false).exits(4).says("when this program was built");
    Tool::prune_at(&config, 0, true).exits(4);
    let floor = now() - 1;
    Tool::prune_at(&config, floor - 5, false).exits(4);
    assert!(tree.has("old") && fresh(&tree) == 5);
    Tool::prune_at(&config, now() + 60, false).exits(0);
    assert!(!tree.has("old"));
}

#[test]
fn a_clock_that_goes_back_a_day_is_not_believed_until_the_kernel_vouches() {
    let scratch = Scratch::new();
    let (tree, config) = clocked(&scratch);
    for ahead in [10, 11] {
        Tool::prune_at(&config, now() + hours(ahead), false).exits(0);
    }
    let tree = tree.file("old", days(30));
    Tool::prune_at(&config, now() + 60, false).exits(4).says("is behind");
    assert!(tree.has("old"));
    Tool::prune_at(&config, now() + 60, true).exits(0);
    assert!(!tree.has("old") && fresh(&tree) == 5);
}

#[test]
fn without_memory_the_data_speak_against_a_wrong_clock() {
    let scratch = Scratch::new();
    let (tree, config) = clocked(&scratch);
    Tool::prune_at(&config, now() + days(365), false).exits(4).says("no earlier run is remembered");
    assert_eq!(fresh(&tree), 5);
    assert!(tree.has("old"), "nothing goes by age");
    // State lost while the clock is wrong.
    Tool::prune_at(&config, now(), false).exits(0);
    fs::remove_dir_all(scratch.path().join("state")).unwrap();
    Tool::prune_at(&config, now() + days(365), false).exits(4);
    assert_eq!(fresh(&tree), 5);
    let forced = Tool::prune_at(&config, now() + days(365), false).args("a --force clock").exits(0);
    forced.says("removed        5 files");
}

#[test]
fn counting_goes_on_while_the_clock_is_in_doubt() {
    let scratch = Scratch::new();
    let tree =
        (0..10).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n}"), hours(n + 1)));
    let config = scratch.config(&tree.section("a", "max-age = '7d'\nmax-files = 4"));
    Tool::prune_at(&config, now() + days(365), false).exits(4).says("removed        6 files");
    assert_eq!(tree.names(), ["f0", "f1", "f2", "f3"]);
    let sizes = scratch.config(&tree.section("a", "max-files = 2"));
    Tool::prune_at(&sizes, now() + days(365), false).exits(0);
    assert_eq!(tree.names(), ["f0", "f1"]);
}

#[test]
fn a_machine_that_was_off_for_six_weeks_recovers_with_one_synchronised_run() {
    let scratch = Scratch::new();
    let tree =
        (0..150).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n}"), hours(n)));
    let config = scratch.config(&tree.section("a", "max-age = '30d'"));
    for later in 1..=5 {
        Tool::prune_at(&config, now() + hours(later), false).exits(0);
    }
    let back = now() + days(42);
    Tool::prune_at(&config, back, false).exits(4).says("not call its clock synchronised");
    // Everything is old by now, so the share is asked about, once.
    Tool::prune_at(&config, back + 3600, true).exits(4).says("--force max-share");
    Tool::prune_at(&config, back + 3700, false).exits(4).says("--force max-share");
    Tool::prune_at(&config, back + 7200, false).args("a --force max-share").exits(0);
    assert_eq!(tree.names().len(), 0);
    Tool::prune_at(&config, back + 10_800, false).exits(0);
}

#[test]
fn targets_that_would_fight_are_a_fault_of_the_configuration() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("data")).file("live/a.jpg", days(9));
    let picture = Picture::of(tree.root());
    let live = Tree::at(&tree.path("live"));
    let other = Tree::at(&scratch.folder("other"));
    let age = "max-age = '1d'";
    let to = |tree: &Tree| format!("{age}\nthen = {{ move-to = {:?} }}", tree.root());
    for (sections, says) in [
        (tree.section("a", age) + &tree.section("b", age), "judges the same files as [files.a]"),
        (tree.section("a", age) + &live.section("b", age), "judges the same files as [files.a]"),
        (
            live.section("a", age) + &tree.section("b", "max-age = '1d'\nmatch = ['*.jpg']"),
            "judges the same files",
        ),
        (tree.section("a", &to(&other)) + &other.section("b", &to(&tree)), "ring"),
        (tree.section("a", &to(&live)), "leads back into path"),
        (
            tree.section("a", "max-age = '9d'\nmatch = ['*.jpg']\nwith = ['{stem}.json']")
                + &tree.section("b", "max-age = '1d'\nmatch = ['*.json']"),
            "judges the same files",
        ),
        (
            tree.section("a", "max-age = '9d'\nmatch = ['*.jpg']\nwith = ['{stem}.json']")
                + &tree.section("b", "max-age = '9d'\nmatch = ['*.png']\nwith = ['{stem}.json']"),
            "judges the same files",
        ),
        (
            tree.section("a", &to(&Tree::at(&other.path("in"))))
                + &other.section("b", &to(&Tree::at(&tree.path("in")))),
            "ring",
        ),
        (tree.section("a", "max-age = '1d'\nguard.volume = 'ssd'"), "there is no [volume.ssd]"),
    ] {
        let config = scratch.config(&sections);
        let done = Tool::prune(&config).exits(3);
        done.warns(says).warns("maint.toml:");
        Tool::prune(&config).arg("--check-config").exits(3);
        Tool::prune(&config).arg("a").exits(3);
    }
    picture.assert_unchanged();
    for sections in [
        tree.section("a", "max-age = '1d'\nrecursive = false") + &live.section("b", age),
        tree.section("a", "max-age = '1d'\nexclude = ['live']") + &live.section("b", age),
        tree.section("a", "max-age = '1d'\nmatch = ['*.jpg']")
            + &tree.section("b", "max-age = '1d'\nmatch = ['*.png']"),
        tree.section("a", "max-age = '1d'\nmatch = ['*.jpg']")
            + &tree.section("b", "max-age = '1d'\nexclude = ['*.jpg']"),
        live.section("a", &to(&other)) + &other.section("b", age),
    ] {
        Tool::prune(&scratch.config(&sections)).arg("--check-config").exits(0);
    }
}

#[test]
fn two_names_of_one_folder_are_one_folder() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("data/live")).file("old", days(9));
    std::os::unix::fs::symlink(scratch.path().join("data"), scratch.path().join("link")).unwrap();
    let again = Tree::at(&scratch.path().join("link/live"));
    let config =
        scratch.config(&(tree.section("a", "max-age = '1d'") + &again.section("b", "max-age = '30d'")));
    Tool::prune(&config)
        .exits(3)
        .warns("by the folders that its paths lead to")
        .warns("judges the same files");
    Tool::prune(&config).arg("b").exits(3);
    assert!(tree.has("old"));
}

#[test]
fn a_chain_moves_a_file_one_step_a_run() {
    let scratch = Scratch::new();
    let [live, processed, old] = ["live", "processed", "old"].map(|name| Tree::at(&scratch.folder(name)));
    let live = live.file("a.jpg", days(9));
    let to = |tree: &Tree| format!("max-age = '1d'\nthen = {{ move-to = {:?} }}", tree.root());
    // Written in the order in which files go: the receivers run first all the same.
    let config = scratch.config(
        &(live.section("live", &to(&processed))
            + &processed.section("processed", &to(&old))
            + &old.section("old", "max-age = '1d'")),
    );
    for place in [&processed, &old] {
        Tool::prune(&config).exits(0);
        assert_eq!(place.names(), ["a.jpg"]);
    }
    Tool::prune(&config).exits(0);
    assert_eq!((live.names().len(), processed.names().len(), old.names().len()), (0, 0, 0));
}

#[test]
fn everything_goes_only_by_a_name_written_twice() {
    let scratch = Scratch::new();
    let tree =
        (0..150).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("{n}.jpg"), hours(2)));
    let tree = tree.file("note.txt", days(9)).file("busy.jpg", 0).file("ahead.jpg", -days(9));
    let keys = "match = ['*.jpg']\nmax-age = '30d'\nkeep-newest = 100\nguard = { marker = 'note.txt' }";
    let config = scratch.config(&(tree.section("a", keys) + "[files.b]\npath = '/srv'\nmax-age = '1d'\n"));
    for (words, says) in [
        ("--remove-all", "--confirm"),
        ("a --remove-all", "--confirm"),
        ("--remove-all --confirm a", "exactly one NAME"),
        ("a b --remove-all --confirm a", "exactly one NAME"),
        ("a --remove-all --confirm b", "must repeat the name"),
        ("a --confirm a", "--remove-all"),
        ("a --remove-all --confirm a --max-age 1d", "cannot be used with"),
    ] {
        Tool::prune(&config).args(words).exits(3).warns(says);
    }
    assert_eq!(tree.names().len(), 153);
    Tool::prune(&config).args("a --remove-all --confirm a -n").exits(0).says("everything was to go");
    Tool::prune(&config).args("a --remove-all --confirm a").exits(0);
    assert_eq!(tree.names(), ["ahead.jpg", "busy.jpg", "note.txt"], "what was just written stays");
    fs::remove_file(tree.path("note.txt")).unwrap();
    Tool::prune(&config).args("a --remove-all --confirm a").exits(4).says("marker");
}

#[test]
fn overrides_are_for_named_sections() {
    let scratch = Scratch::new();
    let tree =
        (0..10).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n}"), hours(n + 1)));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nkeep-newest = 8"));
    Tool::prune(&config).args("--keep-newest 1").exits(3).warns("needs a NAME");
    Tool::prune(&config).args("a --keep-newest 0").exits(3).warns("would keep nothing");
    Tool::prune(&config).args("a --max-age 2h").exits(0);
    assert_eq!(tree.names().len(), 8, "the floor of the section still holds");
    Tool::prune(&config).args("a --max-age 2h --keep-newest 5").exits(0);
    assert_eq!(tree.names(), ["f0", "f1", "f2", "f3", "f4"]);
}

#[test]
fn limits_end_a_run_and_the_next_goes_on() {
    let scratch = Scratch::new();
    let tree =
        (0..60).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("f{n}"), days(9), 5000));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nlimit = { files = 25 }"));
    Tool::prune(&config).arg("-n").exits(0).says("to be removed  25 files");
    Tool::prune(&config).exits(0).says("remaining      35 files");
    Tool::prune(&config).args("--limit 5").exits(0).says("remaining      30 files");
    let bytes = scratch.config(&tree.section("a", "max-age = '1d'\nlimit = { bytes = '40KiB' }"));
    Tool::prune(&bytes).exits(0).says("removed        5 files");
    let one = scratch.config(&tree.section("a", "max-age = '1d'\nlimit = { bytes = '1B' }"));
    Tool::prune(&one).exits(0).says("removed        1 file");
    assert_eq!(tree.names().len(), 24);
}

#[test]
fn a_rate_is_kept() {
    let scratch = Scratch::new();
    let tree = (0..30).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n}"), days(9)));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nlimit = { rate = '20/s' }"));
    let begun = std::time::Instant::now();
    Tool::prune(&config).exits(0);
    assert!(begun.elapsed() > Duration::from_secs(1), "thirty files at twenty a second");
    assert!(tree.names().is_empty());
}

#[test]
fn a_run_waits_while_others_wait_for_the_disk() {
    let scratch = Scratch::new();
    let tree = (0..30).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n}"), days(9)));
    let config = scratch.config(&tree.section("a", "max-age = '1d'\nlimit = { io-pressure = '40%' }"));
    let told = scratch.file("pressure", "some avg10=80.00 avg60=0.00 avg300=0.00 total=1\n");
    let script = format!("mount --bind {} /proc/pressure/io && exec \"$@\"", told.display());
    let mut child = Tool::wrapped("prune-images", &["unshare", "-m", "sh", "-c", &script, "sh"])
        .arg("-c")
        .arg(&config)
        .start();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(tree.names().len(), 30, "it waits");
    fs::write(&told, "some avg10=3.00 avg60=0.00 avg300=0.00 total=1\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(tree.names().is_empty());
}
