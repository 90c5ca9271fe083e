//! The shipped camera station, played: two weeks of its hourly runs beside a model that knows nothing of
//! the tools, and the other way of counting in its processed folder, with change times that really pass.

use maint_tests::{Mounted, Scratch, Tool, Tree, hours, scale, set_age};
use nix::sys::{stat, time::TimeSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const LIVE: &str = "camera_capture/live";
const PROCESSED: &str = "camera_capture/processed";
const SNAPSHOTS: &str = "periodic_snapshots";
const AI: &str = "ai_camera_images";
const PROCESSED_AI: &str = "ai_camera_processed";
const FOLDERS: [&str; 5] = [LIVE, PROCESSED, SNAPSHOTS, AI, PROCESSED_AI];

/// What the station is set to: hours as live, until they go from processed, and as snapshots; and the
/// floors.
const IMAGE: i64 = hours(24);
const UNTIL: i64 = hours(48);
const SNAPSHOT: i64 = hours(168);
const LAST_IMAGES: usize = 25;
const LAST_SNAPSHOTS: usize = 5;

/// The shipped station with an SSD of its own, unmounted before its scratch place goes.
struct Station {
    ssd: Mounted,
    scratch: Scratch,
    config: PathBuf,
}

fn shipped(name: &str) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let file = project.join("deploy/examples/camera-station").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A text with something in place of something that must be in it.
fn instead(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the shipped configuration has no {old}");
    text.replace(old, new)
}

/// The shipped configuration, for a station in a scratch place.
fn configuration(scratch: &Scratch) -> String {
    let at = scratch.path().join("ssd");
    let text = instead(&shipped("maint.toml"), "/mnt/storage", at.to_str().unwrap());
    let text = instead(&text, "[host]\n", &scratch.host());
    scratch.folder("metrics");
    // The machine that tests is busy with other things too: a run would wait for them.
    instead(&text, "io-pressure = \"40%\"", "io-pressure = \"100%\"")
}

fn station(mib: u64) -> Station {
    let scratch = Scratch::new();
    let config = scratch.file("etc/maint.toml", &configuration(&scratch));
    let ssd = Mounted::ext4(&scratch.path().join("ssd"), mib);
    for folder in FOLDERS {
        fs::create_dir_all(ssd.at().join(folder)).unwrap();
    }
    Station { ssd, scratch, config }
}

/// The words behind `prune-images` in the shipped cron line that begins so.
fn cron_words(when: &str) -> String {
    let text = shipped("cron");
    let line = text.lines().find(|line| line.starts_with(when));
    let line = line.unwrap_or_else(|| panic!("the shipped cron has no line for {when}"));
    line.split_once("prune-images").unwrap().1.to_owned()
}

impl Station {
    /// What lies where. The tools' own folder is left out.
    fn found(&self) -> BTreeSet<(&'static str, String)> {
        let names = |folder: &'static str| {
            let entries = fs::read_dir(self.ssd.at().join(folder)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name != ".maint").map(move |name| (folder, name)).collect::<Vec<_>>()
        };
        FOLDERS.into_iter().flat_map(names).collect()
    }

    fn path(&self, (folder, name): &(&'static str, String)) -> PathBuf {
        self.ssd.at().join(folder).join(name)
    }

    /// An hour passes: every file there is was written an hour earlier.
    fn an_hour_passes(&self) {
        for path in self.found().iter().map(|file| self.path(file)) {
            let seen = path.symlink_metadata().unwrap();
            let then = TimeSpec::new(seen.mtime() - hours(1), seen.mtime_nsec());
            let follow = stat::UtimensatFlags::NoFollowSymlink;
            stat::utimensat(nix::fcntl::AT_FDCWD, &path, &then, &then, follow).unwrap();
        }
    }

    /// Runs what cron would, which says nothing when all is well.
    fn cron_runs(&self, words: &str) {
        Tool::prune(&self.config).args(words).exits(0).is_silent();
    }

    /// How many events of a kind the audit log has.
    fn events(&self, event: &str) -> usize {
        let log = fs::read_to_string(self.scratch.path().join("audit.jsonl")).unwrap();
        log.matches(&format!("\"event\":\"{event}\"")).count()
    }
}

#[test]
fn metadata_follows_its_image_from_live_to_processed_and_out() {
    let station = station(64);
    let metadata = Tree::at(&station.ssd.at().join("camera_capture/metadata"));
    fs::create_dir_all(metadata.root()).unwrap();
    let tree = |folder: &str| Tree::at(&station.ssd.at().join(folder));
    // An image an hour for three days; a young one has its metadata already and is still to come.
    for hour in 0..72 {
        drop(tree(LIVE).file(format!("north_{hour:03}.jpg"), hours(hour) + 60));
        drop(metadata.clone().file(format!("north_{hour:03}.json"), hours(hour) + 60));
    }
    drop(metadata.clone().file("north_soon.json", 60));
    drop(metadata.clone().file("README.txt", hours(999)));
    let image_of = |name: &str| name.replace(".json", ".jpg");
    let is_alone = |name: &String| {
        let image = image_of(name);
        name.starts_with("north_") && !tree(LIVE).has(&image) && !tree(PROCESSED).has(&image)
    };
    let begun = maint_tests::now();
    for hour in 0..6 {
        // What cron does in this hour, and what only its second look may let go.
        station.cron_runs(&cron_words("7 *"));
        let alone: Vec<String> = metadata.names().into_iter().filter(is_alone).collect();
        let look = Tool::orphans_at(&station.config, begun + hours(hour)).args("--cron --lock-wait 5min");
        look.exits(0).is_silent();
        let left: Vec<String> = metadata.names().into_iter().filter(is_alone).collect();
        let gone: Vec<&String> = alone.iter().filter(|name| !left.contains(name)).collect();
        println!("hour {hour}: {} alone, {} gone", alone.len(), gone.len());
        assert!(hour > 0 || gone.is_empty(), "no first look lets anything go");
    }
    let left: Vec<String> = metadata.names().into_iter().filter(is_alone).collect();
    assert!(left.len() <= 1, "{left:?}");
    assert!(metadata.has("README.txt"));
    let images = tree(LIVE).names().len() + tree(PROCESSED).names().len();
    let described =
        metadata.names().iter().filter(|name| name.starts_with("north_") && !is_alone(name)).count();
    assert_eq!(described, images, "each image that is left has its metadata");
    assert!(images < 72, "some images must have gone");
}

/// What the model knows of a file. Times are seconds of the play, which begins at 0.
struct Known {
    folder: &'static str,
    captured: i64,
}

/// The station as it should be: names, where they lie and when they were written; who holds what; and
/// the rules in a few plain lines.
#[derive(Default)]
struct Model {
    now: i64,
    files: BTreeMap<String, Known>,
    /// Stems that a container works on.
    in_use: BTreeSet<String>,
    /// What is nobody's business.
    others: BTreeSet<(&'static str, String)>,
    /// How many files left which folder.
    left: BTreeMap<&'static str, usize>,
    /// Old images that only a floor kept, and old ones that only their container did; summed over runs.
    kept_by_floor: usize,
    kept_by_use: usize,
}

fn stem_of(name: &str) -> &str {
    name.rsplit_once('.').unwrap().0
}

fn camera_of(name: &str) -> &str {
    name.split_once('_').unwrap().0
}

impl Model {
    /// What the hourly run does, receivers first: what has just come is not looked at in the same run.
    fn run(&mut self) {
        self.leave(PROCESSED, UNTIL, 0, None);
        self.leave(LIVE, IMAGE, LAST_IMAGES, Some(PROCESSED));
        self.leave(SNAPSHOTS, SNAPSHOT, LAST_SNAPSHOTS, None);
        self.leave(PROCESSED_AI, UNTIL, 0, None);
        self.leave(AI, IMAGE, LAST_IMAGES, Some(PROCESSED_AI));
    }

    fn leave(&mut self, folder: &'static str, age: i64, floor: usize, to: Option<&'static str>) {
        // An image and its JSON are one, as young as the younger of the two.
        let mut pairs: BTreeMap<&str, i64> = BTreeMap::new();
        for (name, known) in self.files.iter().filter(|(_, known)| known.folder == folder) {
            let at = pairs.entry(stem_of(name)).or_insert(known.captured);
            *at = known.captured.max(*at);
        }
        let mut cameras: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
        for (stem, at) in pairs {
            cameras.entry(camera_of(stem)).or_default().push((at, stem));
        }
        let mut goes = BTreeSet::new();
        for newest_last in cameras.values_mut() {
            newest_last.sort_unstable();
            let old = newest_last.iter().filter(|(at, _)| self.now - at > age).count();
            let may = old.min(newest_last.len().saturating_sub(floor));
            self.kept_by_floor += old - may;
            for (_, stem) in &newest_last[..may] {
                if self.in_use.contains(*stem) {
                    self.kept_by_use += 1;
                } else {
                    goes.insert((*stem).to_owned());
                }
            }
        }
        let leaves = |name: &str, known: &Known| known.folder == folder && goes.contains(stem_of(name));
        let before = self.files.len();
        let mut moved = 0;
        match to {
            None => self.files.retain(|name, known| !leaves(name, known)),
            Some(to) => {
                for (name, known) in &mut self.files {
                    if leaves(name, known) {
                        known.folder = to;
                        moved += 1;
                    }
                }
            }
        }
        *self.left.entry(folder).or_default() += before - self.files.len() + moved;
    }

    fn expected(&self) -> BTreeSet<(&'static str, String)> {
        let known = self.files.iter().map(|(name, known)| (known.folder, name.clone()));
        known.chain(self.others.iter().cloned()).collect()
    }

    fn left(&self, folder: &str) -> usize {
        self.left.get(folder).copied().unwrap_or(0)
    }
}

/// The play: the station and its model side by side.
struct Play {
    station: Station,
    model: Model,
    held: Option<File>,
}

impl Play {
    /// A file that was written so many seconds ago.
    fn write(&mut self, folder: &'static str, name: &str, age: i64) {
        let path = self.station.path(&(folder, name.to_owned()));
        fs::write(&path, name).unwrap();
        set_age(&path, age);
        let known = Known { folder, captured: self.model.now - age };
        assert!(self.model.files.insert(name.to_owned(), known).is_none(), "{name} twice");
    }

    /// A file that is nobody's business.
    fn write_other(&mut self, folder: &'static str, name: &str, age: i64) {
        let file = (folder, name.to_owned());
        let path = self.station.path(&file);
        fs::write(&path, name).unwrap();
        set_age(&path, age);
        self.model.others.insert(file);
    }

    /// What an hour brings. All of it lies minutes back, so that it has settled, and less than forty, so
    /// that a test that takes its time stays on the same side of every full hour.
    fn images_arrive(&mut self, hour: i64) {
        for n in 0..4 {
            let age = 120 + 570 * n;
            self.write(LIVE, &format!("north_{hour:04}_{n}.jpg"), age);
            if n % 2 == 0 {
                self.write(LIVE, &format!("north_{hour:04}_{n}.json"), age - 2);
            }
        }
        // For a day and a half of each week this one sees nothing.
        if !(10..46).contains(&(hour % 168)) {
            for n in 0..3 {
                self.write(LIVE, &format!("south_{hour:04}_{n}.jpeg"), 150 + 700 * n);
            }
            self.write(LIVE, &format!("south_{hour:04}_2.json"), 150 + 700 * 2 - 3);
        }
        for n in 0..2 {
            self.write(AI, &format!("gate_{hour:04}_{n}.png"), 200 + 900 * n);
            self.write(AI, &format!("gate_{hour:04}_{n}.json"), 190 + 900 * n);
        }
        self.snapshots_arrive(hour);
    }

    fn snapshots_arrive(&mut self, hour: i64) {
        for n in 0..3 {
            for (camera, late) in [("north", 0), ("south", 7)] {
                let age = self.model.now - hours(hour) + 100 + 1200 * n - late;
                self.write(SNAPSHOTS, &format!("{camera}_{:04}_{n}.jpg", hour + 1000), age);
            }
        }
    }

    /// Containers take their time: one marks its image with a lock file, one locks the image itself.
    fn containers_work(&mut self, hour: i64) {
        let lock_file = (LIVE, "north_0003_0.lock".to_owned());
        match hour {
            4 => {
                fs::write(self.station.path(&lock_file), "").unwrap();
                self.model.in_use.insert("north_0003_0".to_owned());
                self.model.others.insert(lock_file);
                let image = File::open(self.station.path(&(AI, "gate_0004_1.png".to_owned()))).unwrap();
                image.lock().unwrap();
                self.held = Some(image);
                self.model.in_use.insert("gate_0004_1".to_owned());
            }
            40 => {
                fs::remove_file(self.station.path(&lock_file)).unwrap();
                self.model.others.remove(&lock_file);
                self.held = None;
                self.model.in_use.clear();
            }
            _ => {}
        }
    }

    /// Holds the station beside the model.
    fn compare(&self, hour: i64) {
        let (found, expected) = (self.station.found(), self.model.expected());
        let odd: Vec<String> = found
            .symmetric_difference(&expected)
            .take(8)
            .map(|file| format!("{} {file:?}", if found.contains(file) { "still there" } else { "missing" }))
            .collect();
        assert!(odd.is_empty(), "after hour {hour}:\n{}", odd.join("\n"));
    }

    /// Every JSON lies beside its image, and every image that came with one beside it.
    fn assert_no_pair_is_split(&self, hour: i64) {
        let found = self.station.found();
        let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut of_pair: BTreeMap<&str, usize> = BTreeMap::new();
        for (folder, name) in found.iter().filter(|file| !self.model.others.contains(file)) {
            places.entry(stem_of(name)).or_default().insert(folder);
            *of_pair.entry(stem_of(name)).or_default() += 1;
        }
        for (_, name) in found.iter().filter(|file| !self.model.others.contains(file)) {
            let stem = stem_of(name);
            assert_eq!(places[stem].len(), 1, "after hour {hour} {stem} lies in {:?}", places[stem]);
            if Path::new(name).extension().is_some_and(|end| end == "json") {
                assert_eq!(of_pair[stem], 2, "after hour {hour} {name} is alone");
            }
        }
        let south = found.iter().filter(|(folder, name)| *folder == LIVE && name.starts_with("south_"));
        let south: BTreeSet<&str> = south.map(|(_, name)| stem_of(name)).collect();
        assert!(hour < 10 || south.len() >= LAST_IMAGES, "after hour {hour} a dead camera shows too little");
    }
}

#[test]
fn the_station_is_checked_against_its_marks() {
    let station = station(64);
    fs::create_dir(station.ssd.at().join("logs")).unwrap();
    let live = station.ssd.at().join(LIVE);
    for n in 0..1000 {
        fs::write(live.join(format!("north_{n}.jpg")), "x").unwrap();
    }
    let check = |name: &str, code: Option<i32>| {
        let done = Tool::check(&station.config).arg("--json").arg(name).run();
        assert!(code.is_none_or(|code| done.code == Some(code)), "{name}: {}{}", done.stdout, done.stderr);
        done.json()["checks"].as_array().unwrap().clone()
    };
    // How full the machine is that tests is its own affair: the marks are those of the card.
    let system = check("system", None);
    let space = system.iter().find(|check| check["name"] == "system space").unwrap();
    let [warn, crit] = ["warn", "crit"].map(|key| space[key].as_f64().unwrap());
    assert!((crit / warn - 90.0 / 80.0).abs() < 1e-6, "{space}");
    check("ssd", Some(0));
    check("live", Some(0));
    check("logs", Some(0));
    fs::write(live.join("south_1.jpg"), "x").unwrap();
    fs::write(live.join("south_1.json"), "metadata are no image").unwrap();
    let files = check("live", Some(1));
    assert!(files[0]["message"].as_str().unwrap().starts_with("1,001 files in "), "{files:?}");
    for path in fs::read_dir(&live).unwrap() {
        set_age(&path.unwrap().path(), 660);
    }
    let fresh = check("live", Some(1));
    assert!(fresh[1]["message"].as_str().unwrap().starts_with("the newest is 11min old"), "{fresh:?}");
    File::create(station.ssd.at().join("logs/app.log")).unwrap().set_len(50_000_001).unwrap();
    let logs = check("logs", Some(1));
    assert!(logs[0]["message"].as_str().unwrap().contains("logs/app.log is the largest"), "{logs:?}");
    // 85 % of the SSD.
    fs::write(station.ssd.at().join("fill"), vec![1; 44 << 20]).unwrap();
    Command::new("sync").arg("-f").arg(station.ssd.at()).status().unwrap();
    check("ssd", Some(1));
    // What cron runs says nothing of what can wait.
    let words =
        shipped("cron").lines().find_map(|line| Some(line.split_once("check-disk")?.1.to_owned())).unwrap();
    Tool::check(&station.config).args(&words).arg("ssd").exits(1).is_silent();
    station.ssd.unmount();
    check("ssd", Some(2));
}

#[test]
fn two_weeks_of_hourly_runs_leave_what_a_plain_model_says() {
    let station = station(48);
    let (hourly, nightly, monthly) =
        (cron_words("7 * * * *"), cron_words("0 1 * * *"), cron_words("0 4 1 * *"));
    let mut play = Play { station, model: Model::default(), held: None };
    play.write_other(LIVE, "README.txt", hours(9000));
    play.write_other(LIVE, "lost_0001.json", hours(900));
    play.write_other(SNAPSHOTS, "index.html", hours(9000));
    // There have been snapshots for six days, and a camera that is no more.
    (-150..0).for_each(|hour| play.snapshots_arrive(hour));
    (0..8).for_each(|n| play.write(SNAPSHOTS, &format!("gone_{n:04}.jpg"), hours(160 + n) + 300));
    let begun = Instant::now();
    let end = i64::try_from(scale(60, 336)).unwrap();
    for hour in 0..end {
        if hour > 0 {
            play.model.now += hours(1);
            play.station.an_hour_passes();
        }
        play.images_arrive(hour);
        play.containers_work(hour);
        play.station.cron_runs(&hourly);
        play.model.run();
        if hour % 24 == 1 {
            play.compare(hour);
            play.station.cron_runs(&nightly);
            play.model.run();
        }
        if hour % 168 == 52 {
            play.station.cron_runs(&monthly);
            play.model.run();
        }
        play.compare(hour);
        play.assert_no_pair_is_split(hour);
        assert!(begun.elapsed() < Duration::from_secs(900), "too slow: real time would count as well");
    }
    let model = &play.model;
    for folder in FOLDERS {
        println!("{folder}: {} files left it", model.left(folder));
        assert!(model.left(folder) > 0, "nothing ever left {folder}");
    }
    println!(
        "{end} hours in {:?}, {} files at the end; kept by a floor {}, by a container {}",
        begun.elapsed(),
        model.files.len(),
        model.kept_by_floor,
        model.kept_by_use
    );
    assert!(model.kept_by_floor > 0 && model.kept_by_use > 0);
    // The tools' own account is the same.
    let moved = model.left(LIVE) + model.left(AI);
    let removed = model.left(PROCESSED) + model.left(PROCESSED_AI) + model.left(SNAPSHOTS);
    assert_eq!((play.station.events("moved"), play.station.events("removed")), (moved, removed));
}

/// Time passes for whole inodes: unmounts the SSD, turns back the times in the image of its filesystem,
/// change times too, which no system call sets, and mounts it again.
fn time_passes(station: &Station, seconds: i64) {
    let mut script = String::new();
    for path in station.found().iter().map(|file| station.path(file)) {
        let seen = path.symlink_metadata().unwrap();
        for (field, at) in [("mtime", seen.mtime()), ("ctime", seen.ctime()), ("atime", seen.atime())] {
            script += &format!("set_inode_field <{}> {field} @{}\n", seen.ino(), at - seconds);
        }
    }
    let at = station.ssd.at();
    let image = at.with_extension("img");
    let script = station.scratch.file("debugfs", &script);
    run(Command::new("umount").arg(at));
    // A namespace that another program made meanwhile may hold it a while longer.
    let begun = Instant::now();
    while !run(Command::new("losetup").arg("-j").arg(&image)).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(100), "the image stays in use");
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = run(Command::new("debugfs").arg("-w").arg("-f").arg(&script).arg(&image));
    assert!(!said.contains("rror"), "{said}");
    run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at));
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn by_arrival_an_image_stays_two_days_in_processed_whenever_it_was_taken() {
    const STEP: i64 = hours(12) + 60;
    let station = station(16);
    // Few files and no floor to speak of: what is shown is how old they get.
    let by_capture = instead(&configuration(&station.scratch), "count = 25", "count = 1");
    let by_arrival = instead(&by_capture, "\nage-by = \"mtime\"", "");
    let by_arrival = instead(&by_arrival, "\n# age-by = \"ctime\"", "\nage-by = \"ctime\"");
    station.scratch.file("etc/maint.toml", &by_arrival);
    let other = station.scratch.file("capture/maint.toml", &by_capture);
    Tool::prune(&station.config).arg("--check-config").exits(0).says("by ctime");

    // The model: a name, when it was taken, and when it came to processed.
    let mut model: BTreeMap<String, (i64, Option<i64>)> = BTreeMap::new();
    let (mut removed, mut spared_by_arrival) = (0, 0);
    for step in 0..8 {
        let time = STEP * step;
        if step > 0 {
            time_passes(&station, STEP);
        }
        // Every step brings a fresh image, and one that lay in a camera for a day and a half.
        for (camera, age) in [("fresh", 300), ("late", hours(36))] {
            let name = format!("{camera}_{step}.jpg");
            let path = station.path(&(LIVE, name.clone()));
            fs::write(&path, "").unwrap();
            set_age(&path, age);
            model.insert(name, (time - age, None));
        }
        let newest = |camera: &str, name: &str| name == format!("{camera}_{step}.jpg");
        station.cron_runs("--cron");
        let before = model.len();
        model.retain(|_, (_, came)| came.is_none_or(|came| time - came < UNTIL));
        removed += before - model.len();
        for (name, (taken, came)) in &mut model {
            let kept = newest("fresh", name) || newest("late", name);
            if came.is_none() && !kept && time - *taken > IMAGE {
                *came = Some(time);
            }
        }
        let place = |came: Option<i64>| if came.is_some() { PROCESSED } else { LIVE };
        let expected: BTreeSet<_> =
            model.iter().map(|(name, (_, came))| (place(*came), name.clone())).collect();
        assert_eq!(station.found(), expected, "after {step} steps of twelve hours");
        // By capture the same folder would be without all that were taken two days ago.
        let would_go = Tool::prune(&other).args("--list processed").exits(0).stdout.lines().count();
        let past = model.values().filter(|(taken, came)| came.is_some() && time - taken > UNTIL).count();
        assert_eq!(would_go, past, "after {step} steps, by capture");
        spared_by_arrival += past;
    }
    println!(
        "by arrival: {removed} removed, {spared_by_arrival} times one stayed that capture had condemned"
    );
    assert!(removed > 0 && spared_by_arrival > 0);
}

#[test]
fn without_the_ssd_nothing_is_touched() {
    let scratch = Scratch::new();
    let config = scratch.file("etc/maint.toml", &configuration(&scratch));
    let below: Vec<Tree> = FOLDERS
        .map(|folder| Tree::at(&scratch.folder(&format!("ssd/{folder}"))).file("a_1.jpg", hours(9000)))
        .into();
    let done = Tool::prune(&config).args(&cron_words("7 * * * *")).exits(4);
    assert!(done.stdout.contains("volume ssd is not mounted"), "{}\n{}", done.stdout, done.stderr);
    assert!(below.iter().all(|tree| tree.has("a_1.jpg") && !tree.has(".maint")));
}

#[test]
fn what_stands_in_comments_is_correct_too() {
    let scratch = Scratch::new();
    scratch.file("etc/site.env", "IMAGE_HOURS=12\nPROCESSED_HOURS=36\nSNAPSHOT_HOURS=72\n");
    let text = instead(&configuration(&scratch), "\n# env-file = ", "\nenv-file = ");
    let text = instead(&text, "\n# uuid = ", "\nuuid = ");
    let config = scratch.file("etc/maint.toml", &text);
    let done = Tool::prune(&config).arg("--check-config").exits(0);
    done.says("older than 12h").says("older than 36h").says("older than 3d");
    let text = instead(&text, "\nmax-age = \"${SNAPSHOT_HOURS:-168}h\"", "");
    let text = instead(&text, "\n# max-age = \"1y\"", "\nmax-age = \"1y\"");
    let text = instead(&text, "\n# thin = ", "\nthin = ");
    scratch.file("etc/maint.toml", &text);
    let done = Tool::prune(&config).arg("--check-config").exits(0);
    done.says("older than 365d; thinned hourly after 24h, daily after 7d");
}
