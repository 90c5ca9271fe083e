//! Each policy through the built program, on real trees, against plain models that share no code with it.

use maint_tests::{Random, Scratch, Tool, Tree, days, hours, now, scale};
use nix::sys::{stat, time::TimeSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
};

/// Random files in folders: name → age in seconds, all different; the content's size varies.
fn random_tree(root: &Path, random: &mut Random, files: usize) -> (Tree, BTreeMap<String, i64>) {
    let mut ages = BTreeMap::new();
    let mut tree = Tree::at(root);
    for n in 0..files {
        let folder = ["", "a/", "a/b/", "c/"][random.below(4)];
        let camera = ["north", "south", "quiet"][if n % 40 == 0 { 2 } else { random.below(2) }];
        let name = format!("{folder}{camera}_{n:04}.jpg");
        let age = 300 + i64::try_from(n).unwrap() * 4001 + i64::try_from(random.below(3000)).unwrap();
        tree = tree.sized(&name, age, random.below(20_000));
        ages.insert(name, age);
    }
    (tree, ages)
}

fn left(tree: &Tree) -> BTreeSet<String> {
    tree.names().into_iter().collect()
}

/// The youngest `count` of each group.
fn newest(ages: &BTreeMap<String, i64>, count: usize, group: impl Fn(&str) -> String) -> BTreeSet<String> {
    let mut by_age: Vec<(&String, &i64)> = ages.iter().collect();
    by_age.sort_by_key(|(_, age)| **age);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept = BTreeSet::new();
    for (name, _) in by_age {
        let n = seen.entry(group(name)).or_default();
        *n += 1;
        if *n <= count {
            kept.insert(name.clone());
        }
    }
    kept
}

fn camera(name: &str) -> String {
    name.rsplit('/').next().unwrap().split('_').next().unwrap().to_owned()
}

fn folder(name: &str) -> String {
    name.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned())
}

#[test]
fn counts_sizes_and_floors_are_those_of_a_sorted_list() {
    let mut random = Random::seeded("policies");
    for round in 0..scale(6, 40) {
        let scratch = Scratch::new();
        let files = 50 + random.below(250);
        let (tree, ages) = random_tree(&scratch.folder("tree"), &mut random, files);
        let count = 1 + random.below(files);
        let limit = hours(1 + i64::try_from(random.below(200)).unwrap());
        let young = |age: &i64| *age <= limit;
        let blocks: BTreeMap<String, u64> = ages
            .keys()
            .map(|name| (name.clone(), fs::metadata(tree.path(name)).unwrap().blocks() * 512))
            .collect();
        let size = blocks.values().sum::<u64>() / (1 + u64::try_from(random.below(6)).unwrap());
        let (keys, kept): (String, BTreeSet<String>) = match round % 6 {
            0 => (format!("keep-newest = {count}"), newest(&ages, count, |_| String::new())),
            1 => (format!("max-files = {count}"), newest(&ages, count, |_| String::new())),
            2 => {
                let mut sorted: Vec<&String> = ages.keys().collect();
                sorted.sort_by_key(|name| ages[*name]);
                let mut sum = 0;
                let fits = |name: &&&String| {
                    sum += blocks[**name];
                    sum <= size
                };
                let mut kept: BTreeSet<String> =
                    sorted.iter().take_while(fits).map(|name| (*name).clone()).collect();
                kept.insert(sorted[0].clone());
                (format!("max-size = '{size}B'"), kept)
            }
            3 => {
                let floor = newest(&ages, 7, camera);
                let kept = ages
                    .iter()
                    .filter(|(name, age)| young(age) || floor.contains(*name))
                    .map(|(name, _)| name.clone());
                (
                    format!("max-age = '{limit}s'\nkeep-newest = {{ count = 7, per = '{{camera}}_*' }}"),
                    kept.collect(),
                )
            }
            4 => {
                let floor = newest(&ages, 3, folder);
                let kept = ages
                    .iter()
                    .filter(|(name, age)| young(age) || floor.contains(*name))
                    .map(|(name, _)| name.clone());
                (
                    format!("max-age = '{limit}s'\nkeep-newest = {{ count = 3, per = 'folder' }}"),
                    kept.collect(),
                )
            }
            _ => {
                let few = newest(&ages, count, |_| String::new());
                let floor = newest(&ages, 5, |_| String::new());
                let kept = ages
                    .iter()
                    .filter(|(name, age)| (young(age) && few.contains(*name)) || floor.contains(*name));
                let kept = kept.map(|(name, _)| name.clone()).collect();
                (format!("max-age = '{limit}s'\nmax-files = {count}\nkeep-newest = 5"), kept)
            }
        };
        let config = scratch.config(&tree.section("a", &(keys.clone() + "\nguard.max-share = '100%'")));
        let listed = Tool::prune(&config).arg("--list").exits(0).stdout.lines().count();
        assert_eq!(listed, files - kept.len(), "{keys}");
        Tool::prune(&config).exits(0);
        assert_eq!(left(&tree), kept, "{keys}");
        Tool::prune(&config).exits(0).says("removed        0 files");
    }
}

/// The calendar as GNU date knows it.
fn periods(format: &str, moments: &[i64], zone: &str) -> Vec<String> {
    let lines = moments.iter().map(|at| format!("@{at}")).collect::<Vec<_>>().join("\n");
    let scratch = Scratch::new();
    let file = scratch.file("moments", &lines);
    let told =
        Command::new("date").env("TZ", zone).arg(format!("+{format}")).arg("-f").arg(file).output().unwrap();
    String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_calendar_keeps_what_date_says() {
    // Across the end of daylight saving time, whatever the machine's own zone.
    for zone in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
        let scratch = Scratch::new();
        let step = 5 * 3600 + 17 * 60;
        let at: Vec<i64> = (0..250).map(|n| now() - 400 - n * step).collect();
        let tree = at
            .iter()
            .fold(Tree::at(&scratch.folder("tree")), |tree, at| tree.file(format!("{at}"), now() - at));
        let rules = [
            ("hourly", "%Y-%m-%d %H", 10),
            ("daily", "%F", 12),
            ("weekly", "%G-%V", 5),
            ("monthly", "%Y-%m", 2),
        ];
        let mut kept = BTreeSet::new();
        for (_, format, count) in rules {
            let mut seen = BTreeSet::new();
            for (at, period) in at.iter().zip(periods(format, &at, zone)) {
                if seen.len() < count && seen.insert(period) {
                    kept.insert(format!("{at}"));
                }
            }
            assert_eq!(seen.len(), count, "{zone} {format}: enough periods");
        }
        let keys: Vec<String> = rules.iter().map(|(word, _, count)| format!("{word} = {count}")).collect();
        let keys = format!("keep = {{ {} }}\nguard.max-share = '100%'", keys.join(", "));
        let config = scratch.config(&tree.section("a", &keys));
        Tool::prune(&config).env("TZ", zone).exits(0);
        assert_eq!(left(&tree), kept, "{zone}");
    }
}

#[test]
fn every_clock_is_read_where_it_is() {
    let scratch = Scratch::new();
    let ages = |path: &Path, accessed: i64, modified: i64| {
        let at = |age: i64| TimeSpec::new(now() - age, 0);
        let follow = stat::UtimensatFlags::NoFollowSymlink;
        stat::utimensat(nix::fcntl::AT_FDCWD, path, &at(accessed), &at(modified), follow).unwrap();
    };
    for (clock, goes) in [
        ("mtime", vec!["read"]),
        ("atime", vec!["written"]),
        ("ctime", vec![]),
        ("btime", vec![]),
        ("newest", vec![]),
    ] {
        let tree = Tree::at(&scratch.folder(clock)).file("read", 0).file("written", 0);
        ages(&tree.path("read"), days(1), days(9));
        ages(&tree.path("written"), days(9), days(1));
        let config = scratch.config(&tree.section("a", &format!("max-age = '5d'\nage-by = '{clock}'")));
        let listed = Tool::prune(&config).arg("--list").exits(0).stdout;
        let names: Vec<&str> = listed.lines().map(|line| line.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, goes, "{clock}");
    }
}

#[test]
fn a_birth_time_counts_where_there_is_one() {
    let scratch = Scratch::new();
    let at = scratch.folder("proc");
    let tree = Tree::at(&at).file("old", days(9));
    let config = scratch.config(&tree.section("a", "max-age = '1s'\nsettle = '0s'\nage-by = 'btime'"));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    // The birth is as old as the test, whatever the other times say.
    Tool::prune(&config).exits(0).says("removed        1 file");
}

#[test]
fn the_time_in_the_name_is_read_in_its_zone() {
    let scratch = Scratch::new();
    for (key, zone, goes) in [
        ("'name:%Y%m%d_%H%M%S'", "UTC", 2),
        // The same digits mean a moment eleven hours earlier, or ten later.
        ("'name:%Y%m%d_%H%M%S'", "Pacific/Noumea", 3),
        ("'name:%Y%m%d_%H%M%S'", "Pacific/Honolulu", 1),
        ("{ name = '%Y%m%d_%H%M%S', utc = true }", "Pacific/Honolulu", 2),
    ] {
        let root = scratch.path().join("tree");
        let _ = fs::remove_dir_all(&root);
        let mut tree = Tree::at(&scratch.folder("tree"));
        for hours_ago in [50, 30, 18, 12] {
            let at = now() - hours(hours_ago);
            let name = periods("%Y%m%d_%H%M%S", &[at], "UTC").remove(0) + "_cam.jpg";
            tree = tree.file(&name, hours(hours_ago));
        }
        tree = tree.file("holiday.jpg", days(99));
        let config = scratch.config(&tree.section("a", &format!("max-age = '1d'\nage-by = {key}")));
        let done = Tool::prune(&config).env("TZ", zone).arg("-n").exits(0);
        done.says(&format!("to be removed  {goes} file"))
            .says("1 no time in name")
            .says("1 file kept whose name tells no time");
    }
}

#[test]
fn what_its_name_keeps_is_not_looked_at() {
    let scratch = Scratch::new();
    let mut tree = Tree::at(&scratch.folder("tree"));
    let moments: Vec<i64> = (0..200).map(|n| now() - 600 - 7 * n).collect();
    for name in periods("%Y%m%d_%H%M%S", &moments, "UTC") {
        tree = tree.file(name + ".jpg", 300);
    }
    let trace = scratch.path().join("trace");
    let strace = ["strace", "-f", "-e", "statx", "-o", trace.to_str().unwrap()];
    let config =
        scratch.config(&tree.section("a", "max-age = '1d'\nage-by = { name = '%Y%m%d_%H%M%S', utc = true }"));
    Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).exits(0).says("200 too new");
    let looks = fs::read_to_string(&trace).unwrap().matches(".jpg").count();
    assert_eq!(looks, 0, "no name that keeps is looked at");
}

#[test]
fn the_quiet_camera_keeps_its_last_images() {
    let scratch = Scratch::new();
    let mut tree = Tree::at(&scratch.folder("tree"));
    for n in 0..100 {
        tree = tree.file(format!("busy_{n:03}.jpg"), hours(n));
    }
    for n in 0..5 {
        tree = tree.file(format!("quiet_{n:03}.jpg"), days(20) + hours(n));
    }
    let keys = "max-age = '1d'\nkeep-newest = { count = 3, per = '{camera}_*' }";
    Tool::prune(&scratch.config(&tree.section("a", keys))).exits(0);
    let names = left(&tree);
    assert_eq!(names.iter().filter(|name| name.starts_with("quiet")).count(), 3);
    assert!(names.contains("quiet_000.jpg") && !names.contains("quiet_003.jpg"));
}
