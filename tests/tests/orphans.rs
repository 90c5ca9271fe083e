//! Metadata goes when its image is gone, and never because somebody could not see the image.

use maint_tests::{
    Kills, Mounted, Picture, Random, Scratch, Tool, Tree, claimed, days, hours, json_lines, now, scale,
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// A camera's folders, and a configuration for them.
struct Station {
    scratch: Scratch,
    meta: Tree,
    live: Tree,
    processed: Tree,
}

const PARTNERS: &str = "partner = ['{stem}.jpg', '{stem}.jpeg', '{stem}.png']\n";

impl Station {
    fn new() -> Self {
        let scratch = Scratch::new();
        let [meta, live, processed] =
            ["disk/meta", "disk/live", "disk/processed"].map(|name| Tree::at(&scratch.folder(name)));
        Self { scratch, meta, live, processed }
    }

    /// Ten images in live, ten in processed, all with metadata, and five times metadata alone.
    fn filled() -> Self {
        let station = Self::new();
        station.fill();
        station
    }

    fn fill(&self) {
        for n in 0..25 {
            drop(self.meta.clone().file(format!("img{n}.json"), hours(3)));
            if n < 10 {
                drop(self.live.clone().file(format!("img{n}.jpg"), hours(3)));
            } else if n < 20 {
                drop(self.processed.clone().file(format!("img{n}.png"), hours(3)));
            }
        }
    }

    fn places(&self) -> String {
        format!(
            "[orphans.metadata]\nmetadata = {:?}\npartner-in = [{:?}, {:?}]\n",
            self.meta.root(),
            self.live.root(),
            self.processed.root()
        )
    }

    /// With more keys than where.
    fn with(&self, keys: &str) -> PathBuf {
        self.scratch.config(&(self.places() + keys))
    }

    fn config(&self) -> PathBuf {
        self.with(PARTNERS)
    }

    /// The names that are left of the five that are alone, and whether all others are there.
    fn left(&self) -> (usize, bool) {
        let has = |n: &usize| self.meta.has(format!("img{n}.json"));
        ((20..25).filter(has).count(), (0..20).all(|n| has(&n)))
    }
}

/// Half an hour and a moment later, so many times.
fn later(looks: i64) -> i64 {
    now() + looks * 1801
}

#[test]
fn an_orphan_goes_after_the_second_look_and_not_before() {
    let station = Station::filled();
    let config = station.config();
    let first = Tool::orphans_at(&config, later(0)).arg("--json").exits(0).json();
    assert_eq!(first["targets"][0]["orphans"], 5);
    assert_eq!(first["targets"][0]["files_kept"]["has-partner"], 20);
    assert_eq!(first["targets"][0]["files_kept"]["waiting"], 5);
    // Too soon after the first it does not count.
    Tool::orphans_at(&config, later(0) + 1700).exits(0).says("removed        0 files");
    assert_eq!(station.left(), (5, true));
    let second = Tool::orphans_at(&config, later(1)).exits(0);
    second.says("removed        5 files").says("5 without a partner");
    assert_eq!(station.left(), (0, true));
    let removed: Vec<String> = json_lines(&station.scratch.path().join("audit.jsonl"))
        .iter()
        .filter(|line| line["event"] == "removed")
        .map(|line| line["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(removed, ["an orphan, known for 30min"; 5]);
}

#[test]
fn what_only_looks_is_no_look() {
    let station = Station::filled();
    let config = station.config();
    for options in ["--dry-run", "--report", "--list", "--print0", "--dry-run --json"] {
        let picture = Picture::of(station.scratch.path());
        Tool::orphans_at(&config, later(0)).args(options).exits(0);
        picture.assert_unchanged();
    }
    Tool::orphans_at(&config, later(1)).exits(0).says("5 waiting");
    assert_eq!(station.left(), (5, true));
    // What would go is told without going.
    let list = Tool::orphans_at(&config, later(2)).arg("--list").exits(0);
    assert_eq!(list.stdout.lines().count(), 5);
    let report = Tool::orphans_at(&config, later(2)).args("--report --json").exits(0).json();
    let told = report["targets"][0]["orphans_found"].as_array().unwrap().clone();
    assert_eq!(told.len(), 5);
    assert_eq!(told[0]["path"], station.meta.path("img20.json").to_str().unwrap());
    assert!(told[0]["age_seconds"].as_u64().unwrap() >= 3 * 3600 && told[0]["due"] == true);
    assert_eq!(told[0]["known_seconds"], 1801);
    Tool::orphans_at(&config, later(2)).arg("--report").exits(0).says("1 look: may go");
    assert_eq!(station.left(), (5, true));
    Tool::orphans_at(&config, later(2)).exits(0).says("removed        5 files");
}

#[test]
fn three_looks_may_be_asked_for_and_one() {
    let station = Station::filled();
    let three = station.with(&format!("{PARTNERS}observations = 3\nobservations-apart = '1h'\n"));
    for look in [0, 3600, 7200] {
        assert_eq!(station.left(), (5, true), "at {look}");
        Tool::orphans_at(&three, now() + look + 60).exits(0);
    }
    assert_eq!(station.left(), (0, true));
    let station = Station::filled();
    Tool::orphans(&station.with(&format!("{PARTNERS}observations = 1\n"))).exits(0);
    assert_eq!(station.left(), (0, true));
}

#[test]
fn what_comes_back_or_is_written_anew_begins_anew() {
    let station = Station::filled();
    let config = station.config();
    Tool::orphans_at(&config, later(0)).exits(0);
    drop(station.live.clone().file("img20.jpg", 0));
    drop(station.meta.clone().sized("img21.json", hours(2), 77));
    Tool::orphans_at(&config, later(1)).exits(0).says("removed        3 files");
    assert!(station.meta.has("img20.json") && station.meta.has("img21.json"));
    fs::remove_file(station.live.path("img20.jpg")).unwrap();
    Tool::orphans_at(&config, later(2)).exits(0).says("removed        1 file");
    assert!(station.meta.has("img20.json"), "that its image was away before does not count any more");
    Tool::orphans_at(&config, later(3)).exits(0).says("removed        1 file");
}

#[test]
fn what_is_young_waits_for_its_image() {
    let station = Station::filled();
    let config = station.config();
    drop(station.meta.clone().file("young.json", 600));
    for look in 0..2 {
        Tool::orphans_at(&config, later(look)).exits(0);
    }
    assert!(station.meta.has("young.json"), "it was younger than an hour in the first look");
    for look in 2..4 {
        Tool::orphans_at(&config, later(look)).exits(0);
    }
    assert!(!station.meta.has("young.json"));
}

/// Something that keeps partners from being seen, undone when it is dropped.
type Undo = Box<dyn FnOnce()>;
/// What breaks the station, and what the refusal says of it.
type Harm = (&'static str, fn(&Station) -> Undo, &'static str);

fn renamed(station: &Station) -> Undo {
    let (from, to) = (station.live.root().to_owned(), station.scratch.path().join("elsewhere"));
    fs::rename(&from, &to).unwrap();
    Box::new(move || fs::rename(to, from).unwrap())
}

fn emptied(station: &Station) -> Undo {
    let (root, aside) = (station.live.root().to_owned(), station.scratch.folder("aside"));
    let move_all = |from: &Path, to: &Path| {
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            fs::rename(from.join(&name), to.join(&name)).unwrap();
        }
    };
    move_all(&root, &aside);
    Box::new(move || move_all(&aside, &root))
}

fn replaced_by_a_link(station: &Station) -> Undo {
    let (root, aside) = (station.live.root().to_owned(), station.scratch.path().join("real"));
    fs::rename(&root, &aside).unwrap();
    symlink(station.scratch.folder("nothing"), &root).unwrap();
    Box::new(move || {
        fs::remove_file(&root).unwrap();
        fs::rename(aside, root).unwrap();
    })
}

fn covered(station: &Station) -> Undo {
    let mounted = Mounted::tmpfs(station.live.root(), 64);
    fs::write(mounted.at().join("another.jpg"), "x").unwrap();
    Box::new(move || drop(mounted))
}

fn mounted_below(station: &Station) -> Undo {
    let mounted = Mounted::tmpfs(&station.live.path("2026"), 64);
    Box::new(move || drop(mounted))
}

fn linked_elsewhere(station: &Station) -> Undo {
    let link = station.live.path("2025");
    symlink(station.scratch.folder("archive"), &link).unwrap();
    Box::new(move || fs::remove_file(link).unwrap())
}

fn linked_nowhere(station: &Station) -> Undo {
    let link = station.live.path("2025");
    symlink("/nonexistent/archive", &link).unwrap();
    Box::new(move || fs::remove_file(link).unwrap())
}

const HARMS: [Harm; 7] = [
    ("renamed", renamed, "is not there"),
    ("emptied", emptied, "holds none of the 10 that it held at the last clean look"),
    ("replaced by a link", replaced_by_a_link, "is a link"),
    ("covered", covered, "and lay on what is mounted at"),
    ("mounted below", mounted_below, "another filesystem is mounted on"),
    ("linked elsewhere", linked_elsewhere, "which is none of the folders that are listed"),
    ("linked nowhere", linked_nowhere, "is a link that leads nowhere"),
];

#[test]
fn no_look_at_partners_that_are_not_whole_counts() {
    let rounds = scale(14, 203);
    for round in 0..rounds {
        let (what, harm, says) = HARMS[round % HARMS.len()];
        let station = Station::filled();
        let config = station.config();
        // Before the first look that counts nothing is known, and so not every harm shows.
        Tool::orphans_at(&config, later(0)).exits(0);
        let undo = harm(&station);
        for look in 1..4 {
            let done = Tool::orphans_at(&config, later(look)).exits(4);
            done.says(says).says("REFUSED");
            assert_eq!(station.left(), (5, true), "{what}");
        }
        undo();
        Tool::orphans_at(&config, later(4)).exits(0);
        assert_eq!(station.left(), (0, true), "{what}: the second clean look lets the true ones go");
    }
    println!("{rounds} rounds of {} harms: 0 wrong removals", HARMS.len());
}

#[test]
fn an_unmounted_volume_is_noticed_configured_or_not() {
    for volume in [false, true] {
        let scratch = Scratch::new();
        let disk = scratch.folder("disk");
        // What lies below the mount point looks almost like the volume.
        let below = Tree::at(&disk).file("meta/img1.json", days(3)).file("live/other.jpg", days(3));
        let mounted = Mounted::ext4(&disk, 16);
        let on_it = Tree::at(&disk).file("live/img1.jpg", days(3)).file("meta/img1.json", days(3));
        let section = format!(
            "[orphans.m]\nmetadata = '{0}/meta'\npartner = '{{stem}}.jpg'\npartner-in = '{0}/live'\n",
            disk.display()
        );
        let ssd = if volume { format!("[volume.ssd]\npath = {disk:?}\n") } else { String::new() };
        let config = scratch.config(&(ssd + &section));
        Tool::orphans_at(&config, later(0)).exits(0).says("1 has partner");
        drop(on_it);
        mounted.unmount();
        let says = if volume { "volume ssd is not mounted at" } else { "and lay on what is mounted at" };
        for look in 1..4 {
            Tool::orphans_at(&config, later(look)).exits(4).says(says);
            assert!(below.has("meta/img1.json"));
        }
    }
}

#[test]
fn a_folder_that_cannot_be_read_keeps_everything() {
    let station = Station::filled();
    drop(station.live.clone().file("2026/img20.jpg", days(1)));
    let config = station.config();
    for path in maint_tests::everything_below(station.scratch.path()) {
        std::os::unix::fs::lchown(path, Some(2000), Some(2000)).unwrap();
    }
    let look = |n: i64| {
        let user = ["setpriv", "--reuid=2000", "--regid=2000", "--clear-groups"];
        Tool::wrapped_at("orphan-metadata", &user, later(n)).arg("-c").arg(&config)
    };
    look(0).exits(0).says("4 waiting");
    let locked = station.live.path("2026");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    look(1).exits(4).says("2026: Permission denied");
    assert_eq!(station.left(), (5, true));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    look(2).exits(0).says("removed        4 files");
    assert!(station.meta.has("img20.json"));
}

#[test]
fn a_listing_that_fails_or_is_cut_short_keeps_everything() {
    let station = Station::new();
    let pairs = 4000;
    for n in 0..pairs {
        drop(station.meta.clone().sized(format!("img{n:05}.json"), hours(3), 1));
        drop(station.processed.clone().sized(format!("img{n:05}.jpg"), hours(3), 1));
    }
    drop(station.live.clone().file("today.jpg", 0));
    drop(station.meta.clone().file("alone.json", hours(3)));
    let config = station.config();
    let whole = station.meta.names().len();
    // A listing takes several calls; the last one tells that there is no more.
    for (fault, says) in [
        ("error=EIO:when=1", "Input/output error"),
        ("error=EIO:when=2", "Input/output error"),
        ("error=ENOENT:when=3", "No such file"),
        ("retval=0:when=2", "listings are cut short"),
        ("retval=0:when=2+", "listings are cut short"),
        ("retval=0:when=1+", "listings are cut short"),
    ] {
        let inject = format!("inject=getdents64:{fault}");
        let folder = station.processed.root().to_str().unwrap().to_owned();
        let strace = ["strace", "-f", "-o", "/dev/null", "-P", &folder, "-e", &inject];
        for look in 0..3 {
            let done = Tool::wrapped_at("orphan-metadata", &strace, later(look)).arg("-c").arg(&config).run();
            let left = station.meta.names();
            assert!(left.len() >= pairs, "{fault}: {}", done.stdout);
            // What is cut short only once is listed once more, and then the look is a clean one.
            assert!(left.len() == whole || fault == "retval=0:when=2", "{fault}: {}", done.stdout);
            if fault != "retval=0:when=2" {
                assert_eq!(done.code, Some(4), "{fault}: {}", done.stdout);
                done.says(says);
            }
        }
        fs::remove_dir_all(station.scratch.path().join("state")).unwrap();
        drop(station.meta.clone().file("alone.json", hours(3)));
    }
    Tool::orphans_at(&config, later(0)).exits(0);
    Tool::orphans_at(&config, later(1)).exits(0).says("removed        1 file");
    assert!(!station.meta.has("alone.json"));
}

#[test]
fn an_error_beside_keeps_everything_too() {
    let scratch = Scratch::new();
    let tree = (0..3000).fold(Tree::at(&scratch.folder("pairs")), |tree, n| {
        tree.sized(format!("d/img{n:05}.json"), hours(3), 1).sized(format!("d/img{n:05}.jpg"), hours(3), 1)
    });
    let tree = tree.file("d/alone.json", hours(3));
    let section = format!("[orphans.m]\nmetadata = {:?}\npartner = '{{stem}}.jpg'\n", tree.root());
    let config = scratch.config(&section);
    let folder = tree.path("d").to_str().unwrap().to_owned();
    for fault in ["error=EIO:when=2", "error=EIO:when=3", "retval=0:when=2", "retval=0:when=2+"] {
        let inject = format!("inject=getdents64:{fault}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-P", &folder, "-e", &inject];
        for look in 0..3 {
            Tool::wrapped_at("orphan-metadata", &strace, later(look)).arg("-c").arg(&config).run();
            let left = tree.names();
            // What is cut short only once is listed once more, and then the look is a clean one.
            assert!(
                left.len() == 6001 || (fault == "retval=0:when=2" && !tree.has("d/alone.json")),
                "{fault}"
            );
            assert!(left.len() >= 6000, "{fault}");
        }
        fs::remove_dir_all(scratch.path().join("state")).unwrap();
        drop(tree.clone().file("d/alone.json", hours(3)));
    }
    for look in 0..2 {
        Tool::orphans_at(&config, later(look)).exits(0);
    }
    assert_eq!(tree.names().len(), 6000);
}

#[test]
fn images_that_move_while_it_runs_are_not_missed() {
    const IMAGES: usize = 300;
    let rounds = scale(10, 60);
    let (mut steps, mut removed) = (0, 0);
    for round in 0..rounds {
        let station = Station::new();
        // In every other round they move into folders by day, where a name alone does not lead to them.
        let deep = round % 2 == 1;
        for n in 0..IMAGES {
            drop(station.meta.clone().file(format!("img{n}.json"), hours(3)));
            drop(station.live.clone().file(format!("img{n}.jpg"), hours(3)));
            drop(station.meta.clone().file(format!("alone{round}-{n}.json"), hours(3)));
        }
        drop(station.live.clone().file("stays.jpg", 0));
        drop(station.processed.clone().file("2026/stays.jpg", 0));
        let keys = format!("{PARTNERS}min-age = '1s'\nobservations-apart = '0s'\n");
        let config = station.with(&(keys + "guard.max-share = '100%'\n"));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let racer = scope.spawn(|| {
                let mut done: usize = 0;
                for n in (0..IMAGES).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let there = if deep { format!("2026/img{n}.jpg") } else { format!("img{n}.jpg") };
                    let (live, processed) =
                        (station.live.path(format!("img{n}.jpg")), station.processed.path(&there));
                    // One way, and once all have gone it, back.
                    let result = if (done / IMAGES).is_multiple_of(2) {
                        fs::rename(live, processed)
                    } else {
                        fs::rename(processed, live)
                    };
                    result.unwrap();
                    done += 1;
                    std::thread::sleep(Duration::from_micros(20));
                }
                done
            });
            for _ in 0..2 {
                Tool::orphans(&config).exits(0);
            }
            stop.store(true, Ordering::Relaxed);
            steps += racer.join().unwrap();
        });
        let left = station.meta.names();
        let wrong = (0..IMAGES).filter(|n| !left.contains(&format!("img{n}.json"))).count();
        assert_eq!(wrong, 0, "round {round}");
        removed += 2 * IMAGES - left.len();
    }
    println!("{rounds} rounds, {steps} moves, {removed} of {} true orphans removed", rounds * IMAGES);
    assert_eq!(removed, rounds * IMAGES, "each after the second look");
}

#[test]
fn a_writer_that_lands_metadata_first_loses_nothing() {
    let rounds = scale(5, 40);
    for _ in 0..rounds {
        let station = Station::new();
        drop(station.live.clone().file("before.jpg", 0));
        let config = station.with(&format!("{PARTNERS}min-age = '1s'\nobservations-apart = '0s'\n"));
        let stop = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    drop(station.meta.clone().file(format!("img{n}.json"), 0));
                    std::thread::sleep(Duration::from_millis(1));
                    drop(station.live.clone().file(format!("img{n}.jpg"), 0));
                    n += 1;
                }
                n
            });
            for _ in 0..6 {
                Tool::orphans(&config).exits(0);
                std::thread::sleep(Duration::from_millis(250));
            }
            stop.store(true, Ordering::Relaxed);
            writer.join().unwrap()
        });
        assert!(written > 100);
        assert!((0..written).all(|n| station.meta.has(format!("img{n}.json"))));
    }
}

/// Names with everything that names have.
fn odd_name(random: &mut Random, n: usize) -> Vec<u8> {
    let stem: Vec<u8> = match random.below(9) {
        0 => format!("cam.{}.{n}", random.below(3)).into_bytes(),
        1 => format!("IMG_{n}").into_bytes(),
        2 => format!("bild-\u{e4}\u{f6}{n}").into_bytes(),
        3 => format!("bild-a\u{308}o\u{308}{n}").into_bytes(),
        4 => [b"raw\xff\xfe".as_slice(), n.to_string().as_bytes()].concat(),
        5 => format!(".hidden{n}").into_bytes(),
        6 => format!("with space\n{n}").into_bytes(),
        7 => format!("-dash{n}.json").into_bytes(),
        _ => format!("img{n}").into_bytes(),
    };
    stem
}

fn below(folder: &str, name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder.as_bytes(), b"/", name].concat() }
}

#[test]
fn it_agrees_with_an_oracle_on_random_pairs() {
    let pairs = scale(6000, 200_000);
    let mut random = Random::seeded("pairs");
    let station = Station::new();
    let folders = ["", "a", "a/b", "2026.11"];
    let mut expected = BTreeSet::new();
    let mut images: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut metadata: Vec<(String, Vec<u8>)> = Vec::new();
    for n in 0..pairs {
        let stem = odd_name(&mut random, n);
        let folder = *random.pick(&folders);
        metadata.push((folder.to_owned(), stem.clone()));
        if random.below(10) > 0 {
            let end = *random.pick(&[".jpg", ".jpeg", ".png", ".JPG", ".gif", ".jpg.part", ".bak.jpg"]);
            let name = [stem.as_slice(), end.as_bytes()].concat();
            let there = if random.below(2) == 0 { &station.live } else { &station.processed };
            let path = below(folders[random.below(folders.len())], &name);
            drop(there.clone().sized(path, hours(2), 1));
            images.insert(name);
        }
    }
    for (folder, stem) in &metadata {
        let name = [stem.as_slice(), b".json"].concat();
        let path = below(folder, &name);
        drop(station.meta.clone().sized(&path, hours(2), 1));
        let ends = [".jpg", ".jpeg", ".png", ".JPG"];
        let has = |end: &str| images.contains(&[stem.as_slice(), end.as_bytes()].concat());
        if !ends.iter().any(|end| has(end)) {
            expected.insert(station.meta.path(&path));
        }
    }
    let before = maint_tests::files_older_than(station.meta.root(), &[], -1);
    let config = station.config();
    Tool::orphans_at(&config, later(0)).exits(0);
    assert_eq!(maint_tests::files_older_than(station.meta.root(), &[], -1), before);
    Tool::orphans_at(&config, later(1)).exits(0);
    let left = maint_tests::files_older_than(station.meta.root(), &[], -1);
    let gone: BTreeSet<PathBuf> = before.difference(&left).cloned().collect();
    println!("{pairs} pairs, {} orphans", expected.len());
    assert!(expected.len() > pairs / 10);
    let differ: Vec<&PathBuf> = gone.symmetric_difference(&expected).take(5).collect();
    assert!(differ.is_empty(), "{} differ: {differ:?}", gone.symmetric_difference(&expected).count());
}

#[test]
fn on_request_forms_and_cases_are_one() {
    let station = Station::new();
    for name in ["cafe\u{301}.json", "UPPER.json", "alone.json"] {
        drop(station.meta.clone().file(name, hours(3)));
    }
    drop(station.live.clone().file("caf\u{e9}.jpg", hours(3)).file("upper.jpg", hours(3)));
    drop(station.processed.clone().file("other.jpg", 0));
    let keys = format!("{PARTNERS}normalize = true\nignore-case = true\nobservations = 1\n");
    Tool::orphans(&station.with(&keys)).exits(0);
    assert_eq!(station.meta.names(), ["UPPER.json", "cafe\u{301}.json"]);
    Tool::orphans(&station.with(&format!("{PARTNERS}observations = 1\n"))).exits(0);
    assert!(station.meta.names().is_empty(), "exactly, both are alone");
}

#[test]
fn metadata_may_name_its_image() {
    let station = Station::new();
    let write = |name: &str, text: &str| {
        let path = station.meta.path(name);
        fs::write(&path, text).unwrap();
        maint_tests::set_age(&path, hours(3));
    };
    drop(station.live.clone().file("a.jpg", 0).file("day/deep.jpg", 0));
    drop(station.processed.clone().file("moved.jpg", 0));
    let elsewhere = station.scratch.file("elsewhere/other.jpg", "x");
    write("one.json", r#"{"image": {"path": "/app/live/a.jpg"}}"#);
    write("two.json", r#"{"image": {"path": "live/moved.jpg"}}"#);
    write("three.json", r#"{"image": {"path": "C:\\data\\live\\a.jpg"}}"#);
    write("four.json", &format!("{{\"image\": {{\"path\": {elsewhere:?}}}}}"));
    write("five.json", r#"{"image": {"path": "day/deep.jpg"}}"#);
    write("several.json", r#"{"image": [{"path": "gone.jpg"}, {"path": "a.jpg"}]}"#);
    write("gone.json", r#"{"image": {"path": "/app/live/gone.jpg"}}"#);
    write("none.json", r#"{"image": {}}"#);
    write("empty.json", "");
    write("cut.json", r#"{"image": {"path": "gone.jpg""#);
    write("text.json", "gone.jpg");
    let config = station.with("partner-field = 'image.path'\n");
    Tool::orphans_at(&config, later(0)).exits(0);
    let done = Tool::orphans_at(&config, later(1)).exits(0);
    done.says("removed        1 file").says("3 no json").says("1 names no partner");
    done.says("4 files kept that do not say what they belong to").says("/meta/");
    assert!(!station.meta.has("gone.json"));
    assert_eq!(station.meta.names().len(), 10);
}

#[test]
fn images_without_metadata_are_reported_and_go_only_on_request() {
    let station = Station::filled();
    drop(station.live.clone().file("alone.jpg", hours(3)).file("young.jpg", 60).file("notes.txt", days(9)));
    drop(station.processed.clone().file("alone too.PNG", hours(3)));
    let both = station.with(&format!("{PARTNERS}find = 'both'\n"));
    for look in 0..3 {
        let done = Tool::orphans_at(&both, later(look)).arg("--json").exits(0).json();
        let names: Vec<&str> =
            done["targets"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["metadata", "metadata:live", "metadata:processed"]);
        assert_eq!(done["targets"][1]["files_kept"]["reported"], if look < 2 { 1 } else { 2 });
    }
    assert!(station.live.has("alone.jpg") && station.live.has("young.jpg"));
    let config = station.with(&format!("{PARTNERS}find = 'files'\nremove-files = true\n"));
    Tool::orphans_at(&config, later(3)).exits(0);
    assert_eq!(station.live.names().len(), 11, "ten with metadata, and what is no image");
    assert!(station.live.has("notes.txt"));
    assert!(station.processed.has("alone too.PNG"), "the pattern of what may go is exact");
}

#[test]
fn images_stay_where_metadata_cannot_be_seen() {
    for (what, harm, says) in HARMS {
        let station = Station::filled();
        // The folders change their parts: what is broken is where the metadata lies.
        let swapped = Station { live: station.meta.clone(), meta: station.live.clone(), ..station };
        let config = swapped.scratch.config(&format!(
            "[orphans.m]\nmetadata = {:?}\n{PARTNERS}partner-in = {:?}\nfind = 'files'\nremove-files = true\n",
            swapped.live.root(),
            swapped.meta.root()
        ));
        drop(swapped.meta.clone().file("alone.jpg", hours(3)));
        Tool::orphans_at(&config, later(0)).exits(0);
        let undo = harm(&swapped);
        for look in 1..3 {
            let says = says.replace("10", "25");
            Tool::orphans_at(&config, later(look)).exits(4).says(&says);
            assert_eq!(swapped.meta.names().len(), 11, "{what}");
        }
        undo();
        Tool::orphans_at(&config, later(3)).exits(0);
        assert_eq!(swapped.meta.names().len(), 10, "{what}");
    }
}

#[test]
fn guards_limits_and_ways_to_leave_are_those_of_prune_images() {
    let station = Station::filled();
    for n in 0..200 {
        drop(station.meta.clone().file(format!("old{n}.json"), days(2)));
    }
    let archive = station.scratch.folder("old");
    let keys =
        format!("{PARTNERS}observations = 1\nguard.max-share = '50%'\nthen = {{ move-to = {archive:?} }}\n");
    let config = station.with(&keys);
    let done = Tool::orphans(&config).exits(4);
    done.says("205 of 225 files would go").says("orphan-metadata metadata --force max-share");
    assert_eq!(station.meta.names().len(), 225);
    Tool::orphans(&config)
        .args("metadata --force max-share --limit 100")
        .exits(0)
        .says("105 files for the next run");
    Tool::orphans(&config).args("--force max-share").exits(0).says("moved          105 files");
    assert_eq!(fs::read_dir(&archive).unwrap().count(), 205);
    assert_eq!(station.left(), (0, true));
    let lock = station.meta.path("locked.json");
    drop(station.meta.clone().file("locked.json", days(2)));
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    Tool::orphans(&config).exits(0).says("1 locked");
    assert!(lock.exists());
    Tool::prune(&config).args("--force partners").exits(3).warns("invalid value 'partners'");
}

#[test]
fn an_emptied_folder_can_be_said_to_be_right() {
    let station = Station::filled();
    let config = station.config();
    Tool::orphans_at(&config, later(0)).exits(0);
    for n in 0..10 {
        fs::remove_file(station.live.path(format!("img{n}.jpg"))).unwrap();
    }
    Tool::orphans_at(&config, later(1)).exits(4).says("once: orphan-metadata metadata --force partners");
    Tool::orphans_at(&config, later(1))
        .args("metadata --force partners")
        .exits(0)
        .says("removed        5 files");
    // From then on it is known to be empty.
    Tool::orphans_at(&config, later(2)).exits(0).says("removed        10 files");
    assert_eq!(station.meta.names().len(), 10);
    // Where nothing at all is left nothing can be told, known or not.
    fs::remove_dir_all(station.scratch.path().join("state")).unwrap();
    for n in 10..20 {
        fs::remove_file(station.processed.path(format!("img{n}.png"))).unwrap();
    }
    for look in 3..6 {
        Tool::orphans_at(&config, later(look)).exits(4).says("nothing that 10 files could belong to lies in");
    }
    assert_eq!(station.meta.names().len(), 10);
}

#[test]
fn in_an_emergency_one_look_is_enough_where_space_is_short() {
    let scratch = Scratch::new();
    let disk = Mounted::tmpfs(&scratch.folder("disk"), 4096);
    let meta = (0..60).fold(Tree::at(&disk.at().join("meta")), |tree, n| {
        let tree = tree.sized(format!("alone{n}.json"), hours(3), 40_000);
        tree.sized(format!("img{n}.json"), hours(3), 4000)
    });
    let meta = meta.sized("young.json", 60, 4000);
    let live = (0..60).fold(Tree::at(&disk.at().join("live")), |tree, n| tree.file(format!("img{n}.jpg"), 0));
    let sections = |emergency: &str| {
        format!(
            "[volume.disk]\npath = {:?}\nemergency = {{ at = '60%', until = '30%' }}\n[orphans.metadata]\nmetadata = {:?}\npartner = '{{stem}}.jpg'\npartner-in = {:?}\n{emergency}",
            disk.at(),
            meta.root(),
            live.root()
        )
    };
    let config = scratch.config(&sections("emergency = false\n"));
    Tool::orphans(&config).arg("--emergency").exits(0);
    assert_eq!(meta.names().len(), 121, "it does not want to");
    let config = scratch.config(&sections(""));
    Tool::orphans(&config).args("--emergency --dry-run").exits(0).says("metadata 2.3 MiB");
    assert_eq!(meta.names().len(), 121);
    fs::rename(live.root(), disk.at().join("away")).unwrap();
    Tool::orphans(&config).arg("--emergency").exits(4).says("is not there");
    assert_eq!(meta.names().len(), 121, "partners must be whole");
    fs::rename(disk.at().join("away"), live.root()).unwrap();
    let done = Tool::orphans(&config).arg("--emergency").exits(0);
    done.says("removed        60 files").says("emergency from 60% until 30%");
    assert!(meta.has("young.json") && (0..60).all(|n| meta.has(format!("img{n}.json"))));
    drop(meta.clone().sized("alone.json", hours(3), 40_000));
    Tool::orphans(&config).arg("--emergency").exits(0).says("nothing to do");
    assert!(meta.has("alone.json"), "below its mark nothing is waived");
}

#[test]
fn what_is_counted_is_told_everywhere() {
    let station = Station::filled();
    let watch = format!("[watch.metadata]\npath = {:?}\nmax-orphans = 4\n", station.meta.root());
    let config = station.scratch.config(&(watch + &station.places() + PARTNERS));
    Tool::check(&config).exits(3).says("orphan-metadata has not looked at metadata yet");
    Tool::orphans(&config).exits(0);
    let metrics =
        fs::read_to_string(station.scratch.path().join("metrics/maint-orphan-metadata.prom")).unwrap();
    assert!(metrics.contains("maint_orphans{tool=\"orphan-metadata\",target=\"metadata\"} 5"), "{metrics}");
    Tool::check(&config).exits(1).says("5 orphans").says("at most 4 expected");
    // A look that tells nothing changes nothing of what is known.
    fs::rename(station.live.root(), station.scratch.path().join("away")).unwrap();
    Tool::orphans(&config).exits(4);
    Tool::check(&config).exits(1).says("5 orphans");
    fs::rename(station.scratch.path().join("away"), station.live.root()).unwrap();
    Tool::orphans_at(&config, later(1)).exits(0);
    Tool::check(&config).exits(0).says("0 orphans");
    let other = format!("[watch.live]\npath = {:?}\nmax-orphans = 4\n", station.live.root());
    Tool::check(&station.scratch.config(&other)).exits(3).says("no [orphans.NAME] has");
}

#[test]
fn what_is_not_remembered_begins_anew() {
    let station = Station::filled();
    let config = station.config();
    let history = station.scratch.path().join("state/orphan-metadata/history.db");
    let damage: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "no database").unwrap(),
        |path| {
            let db = rusqlite::Connection::open(path).unwrap();
            db.execute("UPDATE memories SET value = x'00'", []).unwrap();
        },
    ];
    for (n, damage) in (0..).zip(damage) {
        Tool::orphans_at(&config, later(n)).exits(0).says("5 waiting");
        damage(&history);
        assert_eq!(station.left(), (5, true));
    }
    Tool::orphans_at(&config, later(3)).exits(0).says("5 waiting");
    Tool::orphans_at(&config, later(4)).exits(0).says("removed        5 files");
}

#[test]
fn a_clock_that_cannot_be_believed_counts_nothing() {
    let station = Station::filled();
    let config = station.config();
    let look = |at: i64, synchronised: &str| {
        Tool::orphans_at(&config, at).env("MAINT_TEST_SYNCHRONISED", synchronised)
    };
    look(now(), "yes").exits(0).says("5 waiting");
    // A year ahead, and the kernel does not vouch for it.
    look(now() + days(365), "no").exits(4).says("nothing goes by age");
    look(now() + days(366), "no").exits(4);
    assert_eq!(station.left(), (5, true));
}

#[test]
fn killed_anywhere_the_next_run_finishes() {
    let mut kills = Kills::new(scale(20, 200));
    let mut random = Random::seeded("kill");
    let mut wrong = 0;
    while let Some(round) = kills.next_round() {
        let station = Station::new();
        for n in 0..400 {
            drop(station.meta.clone().file(format!("d{}/img{n}.json", n % 7), hours(3)));
            if n % 2 == 0 {
                drop(station.live.clone().file(format!("img{n}.jpg"), hours(3)));
            }
        }
        drop(station.processed.clone().file("x.jpg", 0));
        let config = station.with(&format!("{PARTNERS}observations-apart = '0s'\n"));
        Tool::orphans(&config).exits(0).says("200 waiting");
        let mut child = Tool::orphans(&config).start();
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_micros(random.below(25_000) as u64));
        } else {
            let in_folder =
                |n: usize| fs::read_dir(station.meta.path(format!("d{n}"))).map_or(0, Iterator::count);
            while (0..7).map(in_folder).sum::<usize>() == 400 && child.try_wait().unwrap().is_none() {}
            std::thread::sleep(Duration::from_micros(random.below(4_000) as u64));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = station.meta.names().len();
        kills.met(left > 200 && left < 400);
        Tool::orphans(&config).exits(0);
        Tool::orphans(&config).exits(0);
        let names = station.meta.names();
        assert_eq!(claimed(station.meta.root()), 0, "round {round}");
        wrong +=
            (0..400).filter(|n| n % 2 == 0 && !names.contains(&format!("d{}/img{n}.json", n % 7))).count();
        assert_eq!(names.len(), 200, "round {round}");
    }
    assert_eq!(wrong, 0, "wrong removals");
    kills.assert_enough();
}

#[test]
fn two_at_once_and_holds_are_heeded() {
    let station = Station::filled();
    let config = station.config();
    Tool::orphans_at(&config, later(0)).exits(0);
    let root = fs::File::open(station.meta.root()).unwrap();
    root.lock().unwrap();
    Tool::orphans_at(&config, later(1)).exits(75);
    assert_eq!(station.left(), (5, true));
    drop(root);
    Tool::orphans_at(&config, later(1)).exits(0).says("removed        5 files");
}
