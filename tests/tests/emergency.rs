//! Getting space back: when it begins and ends, in which order, what it spares, and what it says.

use maint_tests::{
    FullDisk, Kind, Mounted, Picture, Scratch, Space, Tool, Tree, alone, days, fill, json_lines,
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

const PAGE: u64 = 4096;

/// A host with small volumes in memory, each of a thousand pages.
struct Host {
    volumes: Vec<Mounted>,
    scratch: Scratch,
    text: String,
}

impl Host {
    fn new() -> Self {
        let scratch = Scratch::new();
        let text = scratch.host();
        fs::create_dir(scratch.path().join("metrics")).unwrap();
        Self { volumes: Vec::new(), scratch, text }
    }

    fn at(&self, volume: &str) -> PathBuf {
        self.scratch.path().join(volume)
    }

    /// A volume with what its section says.
    fn volume(mut self, name: &str, keys: &str) -> Self {
        self.volumes.push(Mounted::memory(&self.at(name), 4000));
        self.text += &format!("[volume.{name}]\npath = {:?}\n{keys}\n", self.at(name));
        self
    }

    /// A target with so many files of one page on a volume, `f000` the oldest; the section has its name.
    fn target(mut self, volume: &str, name: &str, files: i64, keys: &str) -> Self {
        let tree = Tree::at(&self.at(volume).join(name));
        fs::create_dir(tree.root()).unwrap();
        for n in (0..files).rev() {
            let _ = tree.clone().sized(format!("f{n:03}"), days(20) - n * 60, 4096);
        }
        self.text += &tree.section(name, &format!("max-age = '1y'\n{keys}"));
        self
    }

    /// Something of nobody's on a volume, until so many pages are used.
    fn used(self, volume: &str, pages: u64) -> Self {
        let pad = self.at(volume).join("pad");
        let _ = fs::remove_file(&pad);
        let now = self.pages(volume);
        let file = File::create(pad).unwrap();
        let size = i64::try_from((pages - now) * PAGE).unwrap();
        nix::fcntl::fallocate(&file, nix::fcntl::FallocateFlags::empty(), 0, size).unwrap();
        assert_eq!(self.pages(volume), pages);
        self
    }

    fn pages(&self, volume: &str) -> u64 {
        Space::of(&self.at(volume)).used / PAGE
    }

    fn tree(&self, volume: &str, target: &str) -> Tree {
        Tree::at(&self.at(volume).join(target))
    }

    /// So many files are left of a target, and they are the newest.
    fn assert_left(&self, volume: &str, target: &str, of: usize, left: usize) {
        let names: Vec<String> = (of - left..of).map(|n| format!("f{n:03}")).collect();
        assert_eq!(self.tree(volume, target).names(), names, "{target}");
    }

    fn prune(&self) -> Tool {
        Tool::prune(&self.scratch.file("maint.toml", &self.text))
    }

    fn rescue(&self) -> Tool {
        self.prune().arg("--emergency")
    }
}

const MARKS: &str = "emergency = { at = '95%', until = '90%' }";
const ALL: &str = "emergency = { remove-all = true }";

#[test]
fn it_begins_exactly_at_one_mark_and_ends_exactly_at_the_other() {
    let _alone = alone();
    for (marks, begins, ends) in [
        ("{ at = '95%', until = '90%' }", 950, 900),
        ("{ at = '95.05%', until = '90.05%' }", 951, 900),
        ("{ at = { used = '95%' }, until = { used = '92.5%' } }", 950, 925),
        ("{ at = '200KiB', until = '400KiB' }", 950, 900),
        ("{ at = { free = '201KiB' }, until = { free = '401KiB' } }", 950, 899),
        ("{ at = { used = '99%', free = '200KiB' }, until = { used = '95%', free = '400KiB' } }", 950, 900),
        ("{ at = { used = '95%', free = '4KiB' }, until = { used = '90%', free = '8KiB' } }", 950, 900),
    ] {
        let host = Host::new().volume("disk", &format!("emergency = {marks}")).target("disk", "a", 100, ALL);
        let host = host.used("disk", begins - 1);
        host.rescue().exits(0).says("nothing to do");
        assert_eq!(host.pages("disk"), begins - 1, "{marks}");
        fs::write(host.at("disk").join("one"), [0; 4096]).unwrap();
        host.rescue().exits(0);
        assert_eq!(host.pages("disk"), ends, "{marks}");
        host.assert_left("disk", "a", 100, 100 - usize::try_from(begins - ends).unwrap());
        host.rescue().exits(0).says("nothing to do");
    }
}

#[test]
fn inodes_are_a_mark_of_their_own() {
    let _alone = alone();
    let used = "emergency = { at = { used = '95%' }, until = { used = '90%' } }";
    for (marks, acts) in [
        ("emergency = { at = { inodes = '95%' }, until = { inodes = '90%' } }", true),
        (MARKS, true),
        (used, false),
    ] {
        let scratch = Scratch::new();
        let disk = Mounted::with_inodes(&scratch.path().join("disk"), 1000);
        let tree = (0..100).fold(Tree::at(&disk.at().join("a")), |tree, n| {
            tree.sized(format!("f{n:03}"), days(20) - n * 60, 0)
        });
        let mut fillers = 0;
        while Space::of(disk.at()).inodes < 950 {
            fs::write(disk.at().join(format!("filler{fillers}")), "").unwrap();
            fillers += 1;
        }
        let volume = format!("[volume.disk]\npath = {:?}\n{marks}\n", disk.at());
        let config = scratch.config(&(volume + &tree.section("a", &format!("max-age = '1y'\n{ALL}"))));
        Tool::prune(&config).arg("--emergency").exits(0).says(if acts {
            "% of the inodes"
        } else {
            "nothing to do"
        });
        let space = Space::of(disk.at());
        assert_eq!(space.inodes, if acts { 900 } else { 950 }, "{marks}");
        assert_eq!(tree.has("f049"), !acts);
        assert!(tree.has("f055"), "a few go beside for the inodes of the private folder, no others");
    }
}

#[test]
fn each_volume_goes_to_its_own_mark_and_the_lower_priority_first() {
    let _alone = alone();
    let host = Host::new()
        .volume("one", MARKS)
        .volume("two", "emergency = { at = '98%', until = '80%' }")
        .volume("three", MARKS)
        .volume("four", "")
        .target("one", "later", 60, &format!("priority = 60\n{ALL}"))
        .target("one", "usual", 60, ALL)
        .target("one", "usual-too", 60, ALL)
        .target("one", "first", 10, &format!("priority = 10\n{ALL}"))
        .target("two", "a", 300, ALL)
        .target("three", "b", 100, ALL)
        .target("four", "c", 100, ALL)
        .used("one", 1000)
        .used("two", 985)
        .used("three", 949)
        .used("four", 1000);
    host.rescue().exits(0);
    assert_eq!(["one", "two", "three", "four"].map(|name| host.pages(name)), [900, 800, 949, 1000]);
    host.assert_left("one", "first", 10, 0);
    // Of equal ones the first in the file.
    host.assert_left("one", "usual", 60, 0);
    host.assert_left("one", "usual-too", 60, 30);
    host.assert_left("one", "later", 60, 60);
}

#[test]
fn only_the_named_are_spent() {
    let _alone = alone();
    let host = Host::new()
        .volume("one", MARKS)
        .volume("two", MARKS)
        .target("one", "a", 50, &format!("priority = 10\n{ALL}"))
        .target("one", "b", 200, ALL)
        .target("two", "c", 200, ALL)
        .used("one", 960)
        .used("two", 960);
    let done = host.rescue().args("b --json").exits(0).json();
    assert_eq!((host.pages("one"), host.pages("two")), (900, 960));
    host.assert_left("one", "a", 50, 50);
    assert_eq!(done["volumes"].as_array().unwrap().len(), 1, "{done}");
    host.rescue().arg("nosuch").exits(3).warns("no section [files.nosuch]");
}

#[test]
fn one_mark_for_this_run_replaces_all_others_and_needs_none() {
    let _alone = alone();
    let host = Host::new()
        .volume("one", MARKS)
        .target("one", "a", 300, ALL)
        .volume("two", "")
        .target("two", "b", 300, ALL)
        .used("one", 500)
        .used("two", 500);
    host.prune().args("--until-usage 40% a").exits(0);
    assert_eq!((host.pages("one"), host.pages("two")), (400, 500));
    host.prune().args("--until-usage 40%").exits(0);
    assert_eq!((host.pages("one"), host.pages("two")), (400, 400));
    host.prune().args("--emergency --until-free 2800KiB b").exits(0);
    assert_eq!((host.pages("one"), host.pages("two")), (400, 300));
    host.prune().args("--until-free 1MiB").exits(0).says("nothing to do");

    // Without any [volume] it holds for the filesystem of each target.
    let plain = host.scratch.config(&host.tree("two", "b").section("b", &format!("max-age = '1y'\n{ALL}")));
    Tool::prune(&plain).arg("--emergency").exits(3).warns("no [volume.NAME] says when an emergency begins");
    Tool::prune(&plain).args("--until-usage 25%").exits(0);
    assert_eq!(host.pages("two"), 250);
    // And without any configuration.
    let host = host.used("two", 120);
    let ad_hoc =
        |words: &str| Tool::new("prune-images").args(words).arg("--path").arg(host.tree("two", "b").root());
    ad_hoc("--until-free 3600KiB --keep-newest 20 -n").exits(0);
    assert_eq!(host.pages("two"), 120, "shown only");
    ad_hoc("--until-free 3600KiB --keep-newest 20").exits(0);
    assert_eq!(host.pages("two"), 100);
    ad_hoc("--until-free 3960KiB --keep-newest 20").exits(2).says("was not reached");
    assert_eq!(host.tree("two", "b").names().len(), 20);
}

#[test]
fn an_unmounted_volume_is_refused_and_nothing_is_touched_on_the_disk_below() {
    let _alone = alone();
    // What lies below the mount point is on the volume above it, which has a mark of its own.
    let host = Host::new()
        .volume("below", MARKS)
        .volume("below/ssd", MARKS)
        .target("below/ssd", "live", 100, ALL)
        .target("below", "own", 150, ALL);
    let host = Host { text: host.text.replace("[volume.below/ssd]", "[volume.ssd]"), ..host };
    host.volumes[1].unmount();
    let stale = (0..100)
        .fold(host.tree("below/ssd", "live"), |tree, n| tree.sized(format!("stale{n}"), days(30), 4096));
    let host = host.used("below", 1000);
    let done = host.rescue().exits(4);
    done.says("volume ssd is not mounted").says("REFUSED");
    assert_eq!(stale.names().len(), 100, "{}", done.stdout);
    host.assert_left("below", "own", 150, 50);
    let done = host.prune().args("--until-usage 50% live").exits(4);
    done.says("volume ssd is not mounted");
    assert_eq!(stale.names().len(), 100, "{}", done.stdout);
    host.rescue().arg("-n").exits(4);
    host.prune().args("--until-usage 50% -n --list").run();
    assert_eq!(stale.names().len(), 100);
    // A disk that is another one is no better.
    let other = Mounted::memory(&host.at("below/ssd"), 4000);
    let named = Host {
        text: host
            .text
            .replace("[volume.ssd]", "[volume.ssd]\nuuid = '0a1b2c3d-0000-4000-8000-000000000000'"),
        ..host
    };
    let inside = (0..900)
        .fold(Tree::at(&other.at().join("live")), |tree, n| tree.sized(format!("f{n}"), days(30), 4096));
    fs::write(other.at().join("pad"), vec![0; 99 << 12]).unwrap();
    named.rescue().exits(4);
    named.prune().args("--until-usage 50% live").exits(4);
    assert_eq!(inside.names().len(), 900);
}

#[test]
fn what_has_no_emergency_policy_is_held_or_only_shown_is_untouched() {
    let _alone = alone();
    let host = Host::new()
        .volume("disk", MARKS)
        .target("disk", "none", 50, "priority = 1")
        .target("disk", "held", 50, &format!("priority = 2\n{ALL}"))
        .target("disk", "shown", 50, &format!("priority = 3\ndry-run = true\n{ALL}"))
        .target("disk", "marked", 50, &format!("priority = 4\nguard = {{ marker = 'yes' }}\n{ALL}"))
        .target("disk", "other", 100, ALL)
        .used("disk", 960);
    host.scratch.file("state/shared/hold.held", "6h\n");
    let done = host.rescue().run();
    assert_eq!(host.pages("disk"), 900, "{}", done.stdout);
    for name in ["none", "held", "shown", "marked"] {
        host.assert_left("disk", name, 50, 50);
    }
    assert_eq!(done.code, Some(4), "the guard said no to one of them: {}", done.stdout);
    done.says("has no emergency policy and keeps all").says("held until");
    host.scratch.file("state/shared/hold", "6h\n");
    let host = host.used("disk", 960);
    host.rescue().exits(2).says("held until");
    assert_eq!(host.pages("disk"), 960);
}

#[test]
fn the_floors_of_the_emergency_and_of_the_section_hold() {
    let _alone = alone();
    let host = Host::new()
        .volume("disk", "emergency = { at = '90%', until = '10%' }")
        .target("disk", "newest", 50, "emergency = { keep-newest = 7 }")
        .target("disk", "inherited", 50, "keep-newest = 9\nemergency = { max-age = '1d' }")
        .target("disk", "lowered", 50, "keep-newest = 30\nemergency = { keep-newest = 3 }")
        .target("disk", "all", 50, "keep-newest = 30\nemergency = { remove-all = true }")
        .target("disk", "aged", 50, &format!("emergency = {{ max-age = '{}min' }}", 20 * 24 * 60 - 30))
        .target("disk", "counted", 50, "emergency = { max-files = 11 }")
        .target("disk", "sized", 50, "emergency = { max-size = '52KiB' }")
        .target("disk", "settled", 50, "emergency = { remove-all = true, settle = '30d' }")
        .target("disk", "calendar", 50, "emergency = { keep = { last = 6 } }")
        .used("disk", 950);
    let fresh = host.tree("disk", "all").sized("fresh", 0, 4096);
    host.rescue().exits(2).says("all that the emergency policies let go is gone").says("keeps its 7 newest");
    for (name, left) in [
        ("newest", 7),
        ("inherited", 9),
        ("lowered", 3),
        ("counted", 11),
        ("sized", 13),
        ("settled", 50),
        ("calendar", 6),
    ] {
        host.assert_left("disk", name, 50, left);
    }
    assert_eq!(fresh.names(), ["fresh"], "what was just touched is not there to be spent");
    let aged = host.tree("disk", "aged").names();
    assert!((19..=21).contains(&aged.len()), "{aged:?}");
}

#[test]
fn the_list_of_a_dry_run_is_what_then_goes_and_it_changes_nothing() {
    let _alone = alone();
    for words in ["--emergency", "--until-usage 88%", "--until-free 4MiB"] {
        for kind in [Kind::Ext4, Kind::Ext4Inodes] {
            if kind == Kind::Ext4Inodes && words != "--emergency" {
                continue;
            }
            let disk = FullDisk::new(kind, 0, "ballast = '1MiB'");
            disk.prune().exits(0);
            let disk = disk.filled();
            let picture = Picture::of(disk.disk().at());
            let listed = disk.prune().args(words).arg("--list").exits(0).stdout;
            let listed: BTreeSet<PathBuf> = listed.lines().map(PathBuf::from).collect();
            let shown = disk.prune().args(words).args("-n --json").exits(0).json();
            disk.prune().args(words).arg("-n").exits(0).says("DRY RUN").says("would be").says("needs ");
            picture.assert_unchanged();
            let before: BTreeSet<PathBuf> = files(disk.disk().at());
            let done = disk.prune().args(words).arg("--json").exits(0).json();
            let gone: BTreeSet<PathBuf> = before.difference(&files(disk.disk().at())).cloned().collect();
            assert!(gone.len() > 90, "{kind:?} {words}: {}", gone.len());
            // What is measured on the way may ask for a file more or less than what was predicted.
            let differ: Vec<&PathBuf> = gone.symmetric_difference(&listed).collect();
            assert!(
                differ.len() <= 2,
                "{kind:?} {words}: {} listed, {} gone, {differ:?}",
                listed.len(),
                gone.len()
            );
            assert_eq!(shown["volumes"][0]["bytes_needed"], done["volumes"][0]["bytes_needed"]);
            assert_eq!(shown["totals"]["files_selected"], listed.len());
            assert!(shown["volumes"][0]["reached"].as_bool().unwrap());
        }
    }
}

fn files(root: &Path) -> BTreeSet<PathBuf> {
    let all = maint_tests::everything_below(root).into_iter().filter(|path| path.is_file());
    all.filter(|path| {
        !path.components().any(|part| part.as_os_str() == "maint" || part.as_os_str() == ".maint")
    })
    .collect()
}

#[test]
fn a_dry_run_in_pages_is_exact() {
    let _alone = alone();
    let host = Host::new()
        .volume("disk", MARKS)
        .target("disk", "a", 30, &format!("priority = 1\n{ALL}"))
        .target("disk", "b", 100, "emergency = { keep-newest = 40 }")
        .used("disk", 960);
    let listed = host.rescue().arg("--list").exits(0).stdout;
    assert_eq!(listed.lines().count(), 60);
    let raw = host.rescue().arg("--print0").exits(0).raw;
    assert_eq!(raw.split(|byte| *byte == 0).filter(|name| !name.is_empty()).count(), 60);
    host.rescue().arg("-n").exits(0).says("96.0% → 90% needs 240.0 KiB: a 120.0 KiB, b 120.0 KiB of 240.0 KiB; b keeps its 40 newest; about a second").says("96.0% used, would be 90.0%");
    assert_eq!(host.pages("disk"), 960);
    let named: BTreeSet<&str> = listed.lines().collect();
    host.rescue().exits(0).says("now 90.0%");
    assert!(named.iter().all(|path| !Path::new(path).exists()));
    assert_eq!(host.pages("disk"), 900);
}

#[test]
fn a_mark_that_cannot_be_reached_is_said_and_what_else_is_large_is_named() {
    let _alone = alone();
    let host = Host::new().volume("disk", MARKS).target("disk", "a", 30, "emergency = { keep-newest = 20 }");
    fs::create_dir_all(host.at("disk").join("others/videos/deep")).unwrap();
    fs::write(host.at("disk").join("others/videos/deep/film"), vec![1; 1 << 20]).unwrap();
    let host = host.used("disk", 1000);
    for words in ["-n", ""] {
        let will = if words.is_empty() { "was not" } else { "cannot be" };
        let done = host.rescue().args(words).exits(2);
        done.says(&format!("90% {will} reached: 360.0 KiB missing")).says("large and of no target: ");
        done.says("/disk/pad 2.8 MiB, ").says("/disk/others/videos 1.0 MiB").says("CRITICAL");
    }
    host.assert_left("disk", "a", 30, 20);
}

#[test]
fn bundles_go_whole_and_companions_count() {
    let _alone = alone();
    let host = Host::new().volume("disk", MARKS);
    let tree = host.tree("disk", "a");
    fs::create_dir(tree.root()).unwrap();
    let tree = (0..40).fold(tree, |tree, n| {
        tree.sized(format!("f{n:02}.jpg"), days(9) - n * 60, 4096).sized(
            format!("f{n:02}.json"),
            days(9) - n * 60,
            2 * 4096,
        )
    });
    let text = host.text.clone()
        + &tree.section("a", &format!("max-age = '1y'\nmatch = ['*.jpg']\nwith = ['{{stem}}.json']\n{ALL}"));
    let host = Host { text, ..host }.used("disk", 950);
    host.rescue().exits(0);
    // Fifty pages are seventeen bundles of three.
    assert_eq!(host.pages("disk"), 899);
    let left: Vec<String> =
        (17..40).flat_map(|n| [format!("f{n:02}.jpg"), format!("f{n:02}.json")]).collect();
    assert_eq!(tree.names(), left);
}

#[test]
fn what_would_free_nothing_stays_and_is_said() {
    let _alone = alone();
    let host = Host::new().volume("disk", MARKS).target("disk", "a", 100, ALL).used("disk", 950);
    let tree = host.tree("disk", "a");
    // The oldest: ten with another name outside, ten with both names inside, five held open, one empty.
    let outside = host.at("disk").join("outside");
    fs::create_dir(&outside).unwrap();
    for n in 0..10 {
        fs::hard_link(tree.path(format!("f{n:03}")), outside.join(format!("{n}"))).unwrap();
    }
    for n in 10..20 {
        fs::hard_link(tree.path(format!("f{n:03}")), tree.path(format!("f{n:03}-too"))).unwrap();
    }
    let held: Vec<File> = (20..25).map(|n| File::open(tree.path(format!("f{n:03}"))).unwrap()).collect();
    let _ = tree.clone().sized("empty", days(30), 0);
    let done = host.rescue().exits(0);
    done.says("free nothing").says("held open");
    assert_eq!(host.pages("disk"), 900);
    let has = |n: usize| tree.has(format!("f{n:03}"));
    assert!((0..10).all(has) && (20..25).all(has) && tree.has("empty"), "{}", done.stdout);
    assert!(
        !(10..20).any(has) && !tree.has("f010-too"),
        "both names of a file are one file: {}",
        done.stdout
    );
    assert!(!(25..65).any(has) && (65..100).all(has), "{}", done.stdout);
    drop(held);
}

#[test]
fn a_snapshot_costs_each_target_a_first_part_and_no_writer_is_blamed() {
    let _alone = alone();
    let scratch = Scratch::new();
    let disk = Mounted::of_kind("btrfs", &scratch.path().join("disk"), 300);
    let mut sections = String::new();
    for name in ["a", "b"] {
        let tree = (0..60).fold(Tree::at(&disk.at().join(name)), |tree, n| {
            tree.sized(format!("f{n:03}"), days(20) - n * 60, 1 << 20)
        });
        sections += &tree.section(name, &format!("max-age = '1y'\n{ALL}"));
    }
    let snapshot = Command::new("btrfs")
        .args(["subvolume", "snapshot", "-r"])
        .arg(disk.at())
        .arg(disk.at().join("snapshot"))
        .output()
        .unwrap();
    assert!(snapshot.status.success());
    let config = scratch.config(&sections);
    let whole = Space::of(disk.at()).whole() >> 20;
    let done = Tool::prune(&config).args("--until-free").arg(format!("{}MiB", whole - 80)).exits(2);
    done.says("went and only ").says("a snapshot still has them");
    assert!(!done.stdout.contains("others wrote"), "{}", done.stdout);
    for name in ["a", "b"] {
        let left = Tree::at(&disk.at().join(name)).names();
        assert!((45..60).contains(&left.len()), "{name}: {} of 60 are left\n{}", left.len(), done.stdout);
        assert_eq!(left.last().map(String::as_str), Some("f059"));
    }
    // Without it the same is enough.
    let removed = Command::new("btrfs")
        .args(["subvolume", "delete", "-c"])
        .arg(disk.at().join("snapshot"))
        .output()
        .unwrap();
    assert!(removed.status.success());
    Tool::prune(&config).args("--until-free").arg(format!("{}MiB", whole - 80)).exits(0);
}

#[test]
fn files_go_to_another_volume_where_the_section_says_so() {
    let _alone = alone();
    for (there, moves) in [("other", true), ("disk", false)] {
        let host = Host::new().volume("disk", MARKS).volume("other", "");
        let to = host.at(there).join("to");
        let host =
            host.target("disk", "a", 100, &format!("then = {{ move-to = {to:?} }}\n{ALL}")).used("disk", 950);
        host.rescue().arg("-n").exits(0);
        let done = host.rescue().arg("--json").exits(0).json();
        assert_eq!(host.pages("disk"), 900, "{there}");
        host.assert_left("disk", "a", 100, 50);
        let arrived = if moves { Tree::at(&to).names().len() } else { 0 };
        assert_eq!((arrived, to.exists()), (if moves { 50 } else { 0 }, moves), "{there}");
        assert_eq!(done["totals"]["files_moved"], arrived);
        assert_eq!(done["totals"]["files_deleted"], 50 - arrived);
        assert_eq!(done["volumes"][0]["ladder"][0]["files"], 50);
    }
}

#[test]
fn a_full_destination_loses_nothing_and_the_next_target_goes_on() {
    let _alone = alone();
    let host = Host::new().volume("disk", MARKS).volume("other", "");
    let to = host.at("other").join("to");
    let host = host
        .target("disk", "a", 100, &format!("priority = 1\nthen = {{ move-to = {to:?} }}\n{ALL}"))
        .target("disk", "b", 100, ALL)
        .used("disk", 960)
        .used("other", 980);
    let done = host.rescue().run();
    assert!(matches!(done.code, Some(1 | 2)), "{}", done.stdout);
    assert_eq!(host.pages("disk"), 900, "{}", done.stdout);
    let arrived = Tree::at(&to).names().len();
    assert!(arrived > 5 && arrived + host.tree("disk", "a").names().len() == 100, "{arrived}");
    assert_eq!(host.tree("disk", "b").names().len(), 40 + arrived);
}

/// The ballast of a volume: its blocks, if there is one.
fn ballast(volume: &Path) -> Option<u64> {
    fs::symlink_metadata(volume.join(".maint/ballast")).ok().map(|seen| seen.blocks() * 512)
}

#[test]
fn the_ballast_takes_its_blocks_goes_first_and_comes_back() {
    let _alone = alone();
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Btrfs, Kind::Tmpfs] {
        let disk = FullDisk::new(kind, 0, "ballast = '2MiB'");
        let before = disk.space();
        // Neither looking nor a dry run builds it.
        disk.prune().arg("-n").exits(0);
        disk.prune().arg("--check-config").exits(0);
        assert_eq!(ballast(disk.disk().at()), None);
        disk.prune().exits(0);
        let blocks = ballast(disk.disk().at()).unwrap();
        assert!((2 << 20..3 << 20).contains(&blocks), "{kind:?}: {blocks}");
        assert!(disk.space().used >= before.used + (2 << 20), "{kind:?}: really taken");
        let seen = fs::metadata(disk.disk().at().join(".maint/ballast")).unwrap();
        assert_eq!(seen.mode() & 0o777, 0o600);
        let disk = disk.filled();
        // It is on loan: what went is enough for it to be there again below the mark.
        disk.rescue().exits(0);
        assert!(disk.gone()[0] > 0);
        assert!(disk.space().is_below(88, 0), "{kind:?}: {:?}", disk.space());
        let blocks = ballast(disk.disk().at()).unwrap();
        assert!((2 << 20..3 << 20).contains(&blocks), "{kind:?}: {blocks} after the rescue");
        // Out of the configuration it is given up.
        let disk = disk.with_configuration(|text| text.replace("ballast = '2MiB'", ""));
        let before = disk.space();
        disk.prune().exits(0);
        assert_eq!(ballast(disk.disk().at()).unwrap_or_default(), 0, "{kind:?}");
        assert!(
            disk.space().used + (2 << 20) <= before.used + (256 << 10),
            "{kind:?}: {before:?} {:?}",
            disk.space()
        );
    }
}

#[test]
fn the_ballast_alone_may_be_enough_for_a_while_and_is_given_up_first() {
    let _alone = alone();
    let host = Host::new().volume("disk", &format!("{MARKS}\nballast = '200KiB'")).target(
        "disk",
        "a",
        20,
        "emergency = { keep-newest = 10 }",
    );
    host.prune().exits(0);
    assert_eq!(ballast(&host.at("disk")), Some(50 * PAGE));
    let host = host.used("disk", 955);
    let done = host.rescue().run();
    // Ten files and fifty pages of ballast: the mark is reached, but not with the ballast back.
    assert_eq!(host.pages("disk"), 895, "{}", done.stdout);
    host.assert_left("disk", "a", 20, 10);
    assert_eq!(done.code, Some(0), "{}", done.stdout);
    assert_eq!(ballast(&host.at("disk")), Some(0));
    // Nor does an everyday run build it above the mark.
    host.prune().exits(0);
    assert_eq!(ballast(&host.at("disk")), Some(0));
    fs::remove_file(host.at("disk").join("pad")).unwrap();
    host.rescue().exits(0).says("nothing to do");
    assert_eq!(ballast(&host.at("disk")), Some(50 * PAGE), "there is room again");
}

#[test]
fn where_there_is_no_room_for_a_ballast_there_is_none() {
    let _alone = alone();
    let host = Host::new()
        .volume("disk", &format!("{MARKS}\nballast = '200KiB'"))
        .target("disk", "a", 20, ALL)
        .used("disk", 870);
    host.prune().exits(0);
    assert_eq!(ballast(&host.at("disk")).unwrap_or_default(), 0);
    assert_eq!(host.pages("disk"), 870);
    let host = Host { text: host.text.replace("200KiB", "1GiB"), ..host };
    host.prune().exits(0);
    assert_eq!(host.pages("disk"), 870);
}

#[test]
fn what_is_planted_in_the_place_of_a_ballast_is_left_alone() {
    let _alone = alone();
    for planted in ["link", "folder link", "hard link", "another's", "folder", "fifo"] {
        let host =
            Host::new().volume("disk", &format!("{MARKS}\nballast = '200KiB'")).target("disk", "a", 200, ALL);
        let precious = host.at("disk").join("precious");
        fs::write(&precious, vec![7; 8192]).unwrap();
        let private = host.at("disk").join(".maint");
        let place = private.join("ballast");
        let elsewhere = host.scratch.folder("elsewhere");
        fs::write(elsewhere.join("ballast"), "theirs").unwrap();
        if planted == "folder link" {
            symlink(&elsewhere, &private).unwrap();
        } else {
            fs::create_dir(&private).unwrap();
            fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        match planted {
            "link" => symlink(&precious, &place).unwrap(),
            "hard link" => fs::hard_link(&precious, &place).unwrap(),
            "another's" => {
                fs::write(&place, "theirs").unwrap();
                chown(&place, Some(12_345), None).unwrap();
            }
            "folder" => fs::create_dir(&place).unwrap(),
            "fifo" => nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            _ => {}
        }
        host.prune().exits(0);
        let host = host.used("disk", 960);
        let done = host.rescue().run();
        assert_eq!(host.pages("disk"), 900, "{planted}: {}", done.stdout);
        assert!(matches!(done.code, Some(0 | 1)), "{planted}: {}", done.stdout);
        assert_eq!(fs::read(&precious).unwrap(), vec![7; 8192], "{planted}");
        assert_eq!(fs::read_to_string(elsewhere.join("ballast")).unwrap(), "theirs", "{planted}");
        if planted == "another's" {
            assert_eq!(fs::read_to_string(&place).unwrap(), "theirs");
        }
    }
}

#[test]
fn another_users_ballast_is_not_given_up() {
    let _alone = alone();
    let disk = FullDisk::new(Kind::Ext4, 12_345, "ballast = '2MiB'");
    disk.prune().exits(0);
    let blocks = ballast(disk.disk().at()).unwrap();
    assert!(blocks >= 2 << 20);
    let disk = disk.filled();
    let root = || Tool::prune(&disk.config());
    let done = root().arg("--emergency").run();
    assert!(matches!(done.code, Some(0 | 1)), "{}{}", done.stdout, done.stderr);
    assert_eq!(ballast(disk.disk().at()), Some(blocks));
    disk.with_configuration(|text| text.replace("ballast = '2MiB'", "")).prune().exits(0);
}

#[test]
fn killed_while_it_is_built_the_ballast_is_whole_or_made_anew() {
    let _alone = alone();
    for call in ["fallocate", "fsync", "ftruncate", "mkdirat", "openat"] {
        for step in [1, 2] {
            let disk = FullDisk::new(Kind::Ext4, 0, "ballast = '2MiB'");
            let inject = format!("inject={call}:signal=SIGKILL:when={step}");
            let at = disk.disk().at().to_str().unwrap().to_owned();
            let strace = [
                "strace",
                "-f",
                "-o",
                "/dev/null",
                "-P",
                &at,
                "-P",
                &format!("{at}/.maint"),
                "-P",
                &format!("{at}/.maint/ballast"),
                "-e",
                &inject,
            ];
            disk.prune_wrapped(&strace).run();
            let between = ballast(disk.disk().at()).unwrap_or_default();
            disk.prune().exits(0);
            let blocks = ballast(disk.disk().at()).unwrap();
            assert!((2 << 20..3 << 20).contains(&blocks), "{call} {step}: {between}, then {blocks}");
        }
    }
}

#[test]
fn the_report_the_history_and_the_metrics_tell_of_it() {
    let _alone = alone();
    let host = Host::new()
        .volume("disk", MARKS)
        .target("disk", "a", 100, "emergency = { keep-newest = 25 }")
        .used("disk", 960);
    let done = host.rescue().arg("--json").exits(0).json();
    let volume = &done["volumes"][0];
    assert_eq!(done["mode"], "emergency");
    for (key, value) in [
        ("name", serde_json::json!("disk")),
        ("at", "95%".into()),
        ("until", "90%".into()),
        ("status", "ok".into()),
        ("acted", true.into()),
        ("reached", true.into()),
        ("dry_run", false.into()),
        ("storage_before_percent", 96.0.into()),
        ("storage_after_percent", 90.0.into()),
        ("bytes_available", (100 * PAGE).into()),
        ("bytes_needed", (60 * PAGE).into()),
        ("bytes_freed", (60 * PAGE).into()),
        ("inodes_freed", 60.into()),
        (
            "ladder",
            serde_json::json!([{"target": "a", "files": 60, "bytes": 60 * PAGE, "bytes_possible": 75 * PAGE, "inodes": 60, "inodes_possible": 75, "keeps": "keeps its 25 newest"}]),
        ),
    ] {
        assert_eq!(volume[key], value, "{key} in {volume}");
    }
    let target = &done["targets"][0];
    assert_eq!(
        (&target["files_deleted"], &target["files_kept"]["newest"], &target["files_kept"]["not-needed"]),
        (&60.into(), &25.into(), &15.into())
    );
    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(host.scratch.path().join("run/report-prune-images.json")).unwrap())
            .unwrap();
    assert_eq!(kept["run"], done["run"]);
    let audit = json_lines(&host.scratch.path().join("audit.jsonl"));
    assert!(audit.iter().all(|line| line["mode"] == "emergency"), "{audit:?}");
    assert_eq!(audit.iter().filter(|line| line["event"] == "removed").count(), 60);
    host.prune().arg("--history").exits(0).says("s  emergency").says("60 files removed");
    let db = rusqlite::Connection::open(host.scratch.path().join("state/prune-images/history.db")).unwrap();
    let row: (String, f64, f64, bool) = db
        .query_row("SELECT name, before_percent, after_percent, reached FROM volumes", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(row, ("disk".to_owned(), 96.0, 90.0, true));
    // What is remembered of a volume outlives everyday runs.
    host.prune().exits(0);
    let metrics = fs::read_to_string(host.scratch.path().join("metrics/maint-prune-images.prom")).unwrap();
    for line in [
        "emergency_reached{tool=\"prune-images\",volume=\"disk\"} 1",
        "emergency_bytes_needed{tool=\"prune-images\",volume=\"disk\"} 245760",
        "emergency_after_used_ratio{tool=\"prune-images\",volume=\"disk\"} 0.9",
    ] {
        assert!(metrics.contains(&format!("maint_{line}\n")), "{line}: {metrics}");
    }
    // An emergency is not what --every waits for.
    host.prune().args("--every 1d a").exits(0);
    // Under --cron a rescue that worked is quiet, and one that did not is not.
    let host = host.used("disk", 960);
    host.rescue().arg("--cron").exits(2).says("was not reached");
    let host = Host { text: host.text.replace("= { keep-newest = 25 }", "= { remove-all = true }"), ..host };
    let host = host.used("disk", 950);
    host.rescue().args("--cron --until-usage 93%").exits(0).is_silent();
    assert_eq!(host.pages("disk"), 930);
}

#[test]
fn bad_input_is_said_and_nothing_is_begun() {
    let _alone = alone();
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let picture = Picture::of(tree.root());
    let section = |keys: &str| tree.section("a", &format!("max-age = '1y'\n{keys}"));
    let volume = |keys: &str| format!("[volume.v]\npath = '/'\n{keys}\n{}", section(ALL));
    for (text, says) in [
        (volume("emergency = { at = '85%', until = '95%' }"), "it would never end"),
        (volume("emergency = { at = '85%', until = '85%' }"), "it would never end"),
        (volume("emergency = { at = '2GiB', until = '1GiB' }"), "it would never end"),
        (volume("emergency = { at = '2GiB', until = '2GiB' }"), "it would never end"),
        (volume("emergency = { at = { inodes = '90%' }, until = { inodes = '95%' } }"), "it would never end"),
        (volume("emergency = { at = '95%', until = { inodes = '85%' } }"), "says nothing of the space"),
        (volume("emergency = { at = '95%' }"), "missing field `until`"),
        (volume("emergency = { until = '85%' }"), "missing field `at`"),
        (volume("emergency = {}"), "missing field"),
        (volume("emergency = '95%'"), "invalid type"),
        (volume("emergency = { at = '101%', until = '85%' }"), "is not a mark"),
        (volume("emergency = { at = 95, until = 85 }"), "a mark: \"95%\" used"),
        (volume("emergency = { at = {}, until = '85%' }"), "it marks nothing"),
        (volume("emergency = { at = '95%', until = '85%', from = '1%' }"), "unknown field `from`"),
        (
            volume("emergency = { at = { use = '9%' }, until = '5%' }"),
            "unknown field `use`, expected one of `used`, `free`, `inodes`",
        ),
        (volume("ballast = '64MiB'"), "is for an emergency, and there is none"),
        (volume("emergency = { at = '95%', until = '85%' }\nballast = '0MiB'"), "would hold nothing back"),
        (volume("emergency = { at = '95%', until = '85%' }\nballast = 64"), "invalid type"),
        (volume("balast = '64MiB'"), "unknown field `balast`"),
        (section("emergency = {}"), "says nothing about what may go"),
        (section("emergency = { settle = '1h' }"), "says nothing about what may go"),
        (section("emergency = { remove-all = false }"), "says nothing about what may go"),
        (
            section("emergency = { remove-all = true, keep-newest = 5 }"),
            "leaves nothing for the others to say",
        ),
        (section("emergency = { keep-newest = 0 }"), "that is remove-all = true"),
        (section("emergency = { max-files = 0 }"), "that is remove-all = true"),
        (section("emergency = { max-size = '0KiB' }"), "that is remove-all = true"),
        (section("emergency = { then = 'delete' }"), "unknown field `then`"),
        (section("emergency = { thin = [] }"), "unknown field `thin`"),
        (section("emergency = true"), "invalid type"),
        (section("emergency = { max-age = 3 }"), "expected a duration"),
        (section("priority = -1"), "expected u32"),
        (section("priority = 'low'"), "expected u32"),
    ] {
        let config = scratch.config(&text);
        for words in ["--emergency", "--check-config", "-n"] {
            Tool::prune(&config).args(words).exits(3).warns(says);
        }
    }
    let marked = scratch.config(&volume("emergency = { at = '99.99%', until = '99.98%' }"));
    for (words, says) in [
        ("--until-usage 101%", "a share"),
        ("--until-usage 50", "a share"),
        ("--until-free 5", "write a whole number and a unit"),
        ("--until-usage 50% --until-free 1MiB", "cannot be used with"),
        ("--emergency --every 1d", "never done before its time"),
        ("--emergency --max-age 1d", "--max-age needs a NAME or --path"),
        ("--emergency a --max-age 1d", "the emergency policy of each section says what may go"),
        ("--emergency a --keep-newest 5", "the emergency policy of each section says what may go"),
        ("--emergency a --remove-all --confirm a", "the emergency policy of each section says what may go"),
        ("--emergency --path /tmp/x --max-age 1d", "needs --until-usage or --until-free"),
        ("--until-usage 50% --path /tmp/x", "needs --max-age"),
    ] {
        Tool::prune(&marked).args(words).exits(3).warns(says);
    }
    Tool::prune(&scratch.config(&section(ALL)))
        .arg("--emergency")
        .exits(3)
        .warns("no [volume.NAME] says when");
    picture.assert_unchanged();
}

#[test]
fn what_may_go_in_an_emergency_is_described() {
    let _alone = alone();
    let host = Host::new().volume("disk", MARKS).target(
        "disk",
        "a",
        1,
        "priority = 30\nemergency = { keep-newest = 25 }",
    );
    let done = host.prune().arg("--check-config").exits(0);
    done.says("in an emergency keeps the newest 25, priority 30");
}

#[test]
fn limits_and_shares_do_not_hold_back_an_emergency() {
    let _alone = alone();
    let keys = format!(
        "limit = {{ files = 3, bytes = '4KiB', rate = '1/s' }}\nguard = {{ max-share = '1%' }}\n{ALL}"
    );
    let host = Host::new().volume("disk", MARKS).target("disk", "a", 200, &keys).used("disk", 1000);
    let begun = std::time::Instant::now();
    host.rescue().exits(0);
    assert_eq!(host.pages("disk"), 900);
    assert!(begun.elapsed().as_secs() < 10);
}

#[test]
fn an_owner_rescues_by_the_system_configuration_too() {
    let _alone = alone();
    let host = Host::new().volume("disk", MARKS).target("disk", "a", 200, ALL);
    for path in maint_tests::everything_below(&host.at("disk")) {
        chown(path, Some(12_345), Some(12_345)).unwrap();
    }
    fill(&host.at("disk"), 12_345);
    assert_eq!(host.pages("disk"), 1000);
    let config = host.scratch.file("maint.toml", &host.text);
    // None of the places of the configuration can be written by this user.
    let done = Tool::as_user("prune-images", 12_345).arg("-c").arg(config).arg("--emergency").run();
    assert_eq!(host.pages("disk"), 900, "{}{}", done.stdout, done.stderr);
    assert!(matches!(done.code, Some(0 | 1)), "{}{}", done.stdout, done.stderr);
}

/// A small volume with two sections, the first worth less, and 30 files of a MiB in each, the oldest first.
fn two_sections(more: &str, first: &str, until: &str) -> (Scratch, Mounted, Tree, Tree, PathBuf) {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.folder("disk"), 96);
    let fill = |name: &str| {
        let tree = Tree::at(&disk.at().join(name));
        (0..30).fold(tree, |tree, n| tree.sized(format!("f{n:02}"), days(30) - n * 3600, 1 << 20))
    };
    let (low, high) = (fill("low"), fill("high"));
    // It is filled to about 70 %.
    let at = if until > "60%" { "95%" } else { "60%" };
    let config = scratch.config(&format!(
        "[volume.disk]\npath = {:?}\nemergency = {{ at = '{at}', until = '{until}' }}\n{more}{}{}",
        disk.at(),
        low.section(
            "low",
            &format!("max-age = '1y'\nemergency = {{ keep-newest = 2 }}\npriority = 1\n{first}")
        ),
        high.section("high", "max-age = '1y'\nemergency = { keep-newest = 2 }\npriority = 9\n"),
    ));
    (scratch, disk, low, high, config)
}

#[test]
fn a_limit_keeps_the_order_and_spends_nothing_of_more_worth() {
    let (_scratch, _disk, low, high, config) = two_sections("", "", "20%");
    let listed = Tool::prune(&config).args("--emergency --limit 5 --list").run().stdout;
    let done = Tool::prune(&config).args("--emergency --limit 5 --json").exits(2).json();
    assert_eq!(low.names().first().map(String::as_str), Some("f05"), "the five oldest went");
    assert_eq!((low.names().len(), high.names().len()), (25, 30));
    assert_eq!(listed.lines().filter(|line| line.contains("/low/")).count(), 5);
    assert!(done["volumes"][0]["notes"].to_string().contains("--limit ended this"), "{done}");
}

#[test]
fn an_archive_elsewhere_takes_all_rounds() {
    let scratch = Scratch::new();
    let there = Mounted::ext4(&scratch.folder("there"), 64);
    let then = format!("then = {{ archive-to = {:?} }}\n", there.at().join("archive"));
    let (_own, _disk, low, high, config) = two_sections("", &then, "50%");
    Tool::prune(&config).arg("--emergency").exits(0);
    assert!((5..30).contains(&low.names().len()) && high.names().len() == 30, "{:?}", low.names());
}

#[test]
fn another_volume_is_not_filled_to_rescue_one() {
    let scratch = Scratch::new();
    let there = Mounted::ext4(&scratch.folder("there"), 24);
    let then = format!("then = {{ move-to = {:?} }}\n", there.at().join("moved"));
    let more =
        format!("[volume.there]\npath = {:?}\nemergency = {{ at = '60%', until = '50%' }}\n", there.at());
    let (_own, _disk, low, high, config) = two_sections(&more, &then, "30%");
    let done = Tool::prune(&config).args("--emergency disk low high --json").run();
    let done =
        if done.code == Some(3) { Tool::prune(&config).args("--emergency --json").run() } else { done };
    done.says("there is no room where its files would go");
    assert!(Space::of(there.at()).is_below(56, 0), "{:?}", Space::of(there.at()));
    assert!(
        low.names().len() > 2 && high.names().len() < 30,
        "what cannot go elsewhere stays, the next goes"
    );
}

#[test]
fn a_ballast_that_is_too_large_by_now_costs_no_file() {
    let (_scratch, disk, low, high, config) = two_sections("", "", "90%");
    let text = fs::read_to_string(&config).unwrap();
    let with = |ballast: &str| {
        fs::write(&config, text.replace("until = '90%' }\n", &format!("until = '90%' }}\n{ballast}\n")))
            .unwrap();
    };
    with("ballast = '6MiB'");
    Tool::prune(&config).exits(0);
    let full = Space::of(disk.at());
    with("");
    Tool::prune(&config).args("--emergency --until-usage 80%").exits(0);
    assert!(Space::of(disk.at()).used + (5 << 20) < full.used);
    assert_eq!((low.names().len(), high.names().len()), (30, 30), "what was held back was enough");
}

#[test]
fn a_mark_beyond_the_disk_costs_nothing() {
    let (_scratch, _disk, low, high, config) = two_sections("", "", "20%");
    Tool::prune(&config)
        .args("--until-free 10TiB")
        .exits(2)
        .says("more than there is on it: nothing was done");
    assert_eq!((low.names().len(), high.names().len()), (30, 30));
}

#[test]
fn one_filesystem_under_two_names_is_rescued_once() {
    let (scratch, disk, low, _high, config) = two_sections("", "", "30%");
    let bound = Mounted::bind(disk.at(), &scratch.folder("bound"));
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("at = '60%', until = '30%'", "at = '99%', until = '98%'");
    let more = format!("[volume.b]\npath = {:?}\nemergency = {{ at = '50%', until = '40%' }}\n", bound.at());
    fs::write(&config, text + &more).unwrap();
    Tool::prune(&config).arg("--emergency").exits(0).says("are one filesystem");
    assert!(low.names().len() < 30 && Space::of(disk.at()).is_below(40, 0));
}

#[test]
fn a_volume_that_goes_away_takes_nothing_on_the_disk_below_with_it() {
    let scratch = Scratch::new();
    let at = scratch.folder("disk");
    let below = (0..20).fold(Tree::at(&at.join("low")), |tree, n| tree.file(format!("below{n}"), days(30)));
    let disk = Mounted::ext4(&at, 96);
    let low = (0..4000).fold(Tree::at(&at.join("low")), |tree, n| {
        tree.sized(format!("d{}/f{n:04}", n % 40), days(30) - n, 16 << 10)
    });
    let config = scratch.config(&format!(
        "[volume.disk]\npath = {at:?}\nemergency = {{ at = '40%', until = '10%' }}\n{}",
        low.section("low", "max-age = '1y'\nemergency = { keep-newest = 2 }")
    ));
    let mut child = Tool::prune(&config).arg("--emergency").start();
    while low.has("d0/f0000") {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    disk.unmount();
    let code = child.wait().unwrap().code();
    assert_eq!(below.names().len(), 20, "nothing below went; exit {code:?}");
    assert_ne!(code, Some(0));
}

#[test]
fn what_is_large_elsewhere_is_never_a_target_or_the_ballast() {
    let (scratch, disk, _low, _high, config) = two_sections("", "", "82%");
    let text = fs::read_to_string(&config).unwrap();
    let bound = Mounted::bind(&disk.at().join("low"), &scratch.folder("bound-low"));
    let low = disk.at().join("low").display().to_string();
    let text = text.replace(&format!("path = \"{low}\""), &format!("path = {:?}", bound.at()));
    fs::write(&config, text.replace("until = '82%' }\n", "until = '82%' }\nballast = '8MiB'\n")).unwrap();
    fs::write(disk.at().join("other"), vec![1; 4 << 20]).unwrap();
    Tool::prune(&config).exits(0);
    let done = Tool::prune(&config).args("--until-usage 5% -n").run();
    done.says("large and of no target: ").says("/other");
    let told = done.stdout.lines().find(|line| line.contains("large and of no target")).unwrap();
    assert!(!told.contains(".maint") && !told.contains("/low"), "{told}");
}
