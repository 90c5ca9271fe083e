//! Emergencies on disks without a block or an inode, beside writers, killed, and in the way of others.

use maint_tests::{
    FullDisk, Kills, Kind, Mounted, Random, Scratch, Space, Tool, Tree, alone, claimed, days,
    everything_below, fill, json_lines, scale, wait_until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::PathBuf,
    process::{Child, Command},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

const OWNER: u32 = 12_345;

/// What a run may still write on the disk itself: a new history and its like.
const OWN: u64 = 160 << 10;

#[test]
fn a_full_disk_falls_below_its_mark_and_the_least_valuable_goes_first() {
    let _alone = alone();
    for kind in Kind::ALL {
        for (user, all_on_it) in [(0, false), (OWNER, true)] {
            let disk = FullDisk::new(kind, user, "");
            let disk = if all_on_it { disk.with_all_on_it() } else { disk };
            if user == 0 {
                // Usually there has been a run before.
                disk.prune().exits(0).says("removed        0 files");
            }
            let disk = disk.filled();
            let before = disk.space();
            let done = disk.rescue().arg("--json").exits(0);
            let gone = disk.gone();
            assert_eq!(
                (gone[0], gone[1], gone[3], gone[4]),
                (60, 40, 0, 0),
                "{kind:?}, user {user}: {gone:?}"
            );
            assert!(gone[2] > 0, "{kind:?}, user {user}: {gone:?}");
            // The inodes of its own files are counted by the one, their blocks by size.
            let spare = if kind == Kind::Ext4Inodes { 1 + 8 } else { disk.file() + OWN };
            disk.assert_below(88, spare);
            let report = done.json();
            assert_eq!(report["totals"]["files_deleted"], gone.iter().sum::<usize>(), "{kind:?}");
            assert_eq!(
                (&report["mode"], &report["volumes"][0]["reached"]),
                (&"emergency".into(), &true.into())
            );
            println!(
                "{kind:?}, user {user}: {:.2}% → {:.2}%, {gone:?} files went",
                before.percent_of(kind),
                disk.space().percent_of(kind)
            );
            assert_accounts_are_whole(&disk, &gone);
        }
    }
}

/// Every file that went is in the audit log, once; the history knows the run, and the metrics the volume.
fn assert_accounts_are_whole(disk: &FullDisk, gone: &[usize]) {
    // What could not be written there at once is folded in by the next run.
    disk.prune().exits(0);
    let maint = disk.disk().at().join("maint");
    let lines = json_lines(&maint.join("audit.jsonl"));
    let removed = lines.iter().filter(|line| line["event"] == "removed" && line["mode"] == "emergency");
    let paths: Vec<&str> = removed.map(|line| line["path"].as_str().unwrap()).collect();
    let distinct: BTreeSet<&&str> = paths.iter().collect();
    let all: usize = gone.iter().sum();
    assert_eq!((paths.len(), distinct.len()), (all, all));
    disk.prune().arg("--history").exits(0).says("s  emergency").says("processed            60 files removed");
    let metrics = fs::read_to_string(maint.join("metrics/maint-prune-images.prom")).unwrap();
    assert!(
        metrics.contains("maint_emergency_reached{tool=\"prune-images\",volume=\"disk\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn the_owner_saves_a_disk_of_which_root_has_filled_the_reserve_too() {
    let _alone = alone();
    let disk = FullDisk::new(Kind::Ext4, OWNER, "").with_all_on_it().filled();
    fill(&disk.disk().at().join("others"), 0);
    assert_eq!(disk.space().available, 0);
    disk.rescue().exits(0);
    assert!(disk.gone()[2] > 0);
    disk.assert_below(88, 2 * disk.file() + OWN);
}

/// The calls of a run, one a line, with the paths of the handles they use.
fn calls(disk: &FullDisk, tool: impl FnOnce(Tool) -> Tool) -> Vec<String> {
    let trace = disk.scratch.path().join("trace");
    fs::write(&trace, "").unwrap();
    fs::set_permissions(&trace, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let strace = ["strace", "-f", "-y", "-s", "0", "-o", trace.to_str().unwrap()];
    tool(disk.prune_wrapped(&strace).arg("--emergency")).exits(0);
    fs::read_to_string(&trace).unwrap().lines().map(str::to_owned).collect()
}

/// Whether a call, as strace tells it, changed something; opening what is there already does not.
fn changes(call: &str, there: &[PathBuf]) -> bool {
    let words =
        ["write(", "write64(", "mkdir", "rename", "truncate(", "fallocate(", "symlink", " link", "O_CREAT"];
    let failed = call.contains(" = -1 ");
    let opened = call.rsplit_once('<').map(|(_, path)| PathBuf::from(path.trim_end_matches('>')));
    let made = call.contains("O_CREAT") && opened.is_some_and(|path| !there.contains(&path));
    !failed && (made || words[..words.len() - 1].iter().any(|word| call.contains(word)))
}

#[test]
fn on_a_full_disk_nothing_is_written_before_the_first_file_goes() {
    let _alone = alone();
    for kind in Kind::ALL {
        let disk = FullDisk::new(kind, 0, "");
        disk.prune().exits(0);
        let disk = disk.filled();
        let there = everything_below(disk.disk().at());
        let calls = calls(&disk, |tool| tool.args("--workers 2"));
        let on_disk: Vec<&String> =
            calls.iter().filter(|call| call.contains(disk.disk().at().to_str().unwrap())).collect();
        let first = on_disk.iter().position(|call| call.contains("unlinkat(") && call.ends_with("= 0"));
        let first = first.expect("nothing was removed");
        let early: Vec<_> = on_disk[..first].iter().filter(|call| changes(call, &there)).collect();
        assert!(early.is_empty(), "{kind:?}: before {} there is {early:#?}", on_disk[first]);
        assert!(on_disk[first..].iter().any(|call| call.contains("write(")), "{kind:?}: later there is room");
        assert!(!calls.iter().any(|call| call.contains("/proc/pressure")), "it waits for no disk");
    }
}

#[test]
fn what_could_not_be_written_waits_and_is_folded_in() {
    let _alone = alone();
    let disk = FullDisk::new(Kind::Ext4, 0, "");
    let state = Mounted::tmpfs(&disk.scratch.path().join("state"), 16);
    let (on_it, elsewhere) = (disk.disk().at().join("maint"), state.at().to_owned());
    let disk = disk
        .with_configuration(|text| text.replace(on_it.to_str().unwrap(), elsewhere.to_str().unwrap()))
        .filled();
    fill(state.at(), 0);
    disk.rescue().exits(0);
    let gone: usize = disk.gone().iter().sum();
    let run = |name: &str| disk.scratch.path().join("run").join(name);
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(run("report-prune-images.json")).unwrap()).unwrap();
    assert_eq!(report["totals"]["files_deleted"], gone);
    assert!(fs::metadata(run("maint-prune-images.prom")).unwrap().len() > 0);
    assert_eq!(json_lines(&run("history-prune-images.jsonl")).len(), 1);
    let grown = Command::new("mount").args(["-o", "remount,size=4m"]).arg(state.at()).status();
    assert!(grown.unwrap().success());
    fs::create_dir(state.at().join("metrics")).unwrap();
    disk.prune().exits(0);
    let removed = json_lines(&state.at().join("audit.jsonl"));
    assert_eq!(removed.iter().filter(|line| line["event"] == "removed").count(), gone);
    disk.prune().arg("--history").exits(0).says("s  emergency").says("processed            60 files removed");
    for waiting in ["history-prune-images.jsonl", "audit-prune-images.jsonl", "maint-prune-images.prom"] {
        assert_eq!(fs::metadata(run(waiting)).unwrap().len(), 0, "{waiting}");
    }
    drop(state);
}

/// Writes into a file piece by piece, so many bytes a second, for as long as it is wanted: what a camera
/// does. Counts what it wrote, and notes when there was no room for it.
struct Writer {
    written: u64,
    refused: u64,
    /// Pieces that found no room after one had found some.
    refused_again: u64,
}

fn write_beside(disk: &FullDisk, rate: u64, wanted: &AtomicBool) -> Writer {
    const PIECE: i64 = 32 << 10;
    let piece = vec![0x5a; 32 << 10];
    let mut writer = Writer { written: 0, refused: 0, refused_again: 0 };
    let path = disk.disk().at().join("others/camera");
    let mut file = File::create(&path).ok();
    let begun = Instant::now();
    let mut due = 0;
    while wanted.load(Ordering::Relaxed) {
        let until_now = begun.elapsed().as_micros() * u128::from(rate) / 1_000_000;
        if u128::from(due) > until_now {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        file = file.or_else(|| File::create(&path).ok());
        // What is only promised may be refused later: room is had when it is allocated.
        let at = i64::try_from(writer.written).unwrap();
        let wrote = file.as_ref().is_some_and(|file| {
            nix::fcntl::fallocate(file, nix::fcntl::FallocateFlags::empty(), at, PIECE).is_ok()
                && file.write_all_at(&piece, writer.written).is_ok()
        });
        due += PIECE.unsigned_abs();
        if wrote {
            writer.written += PIECE.unsigned_abs();
        } else {
            writer.refused += 1;
            writer.refused_again += u64::from(writer.written > 0);
        }
    }
    writer
}

/// A writer ends with whom it writes beside, however that ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A rescue in which each removal takes four milliseconds, and a writer beside it.
fn rescue_beside_a_writer(kind: Kind, rate: u64) -> (FullDisk, maint_tests::Done, Writer, Duration) {
    // So that there is enough for both.
    let disk = FullDisk::new(kind, OWNER, "").with_configuration(|text| text.replace("88%", "93%")).filled();
    let wanted = AtomicBool::new(true);
    let strace = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-o",
        "/dev/null",
        "-e",
        "trace=unlinkat",
        "-e",
        "inject=unlinkat:delay_exit=4000",
    ];
    let tool = disk.prune_wrapped(&strace).args("--emergency --workers 1 --json");
    let begun = Instant::now();
    let (done, writer) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_beside(&disk, rate, &wanted));
        let ends = Ends(&wanted);
        let done = tool.run();
        drop(ends);
        (done, writer.join().unwrap())
    });
    (disk, done, writer, begun.elapsed())
}

/// One that tells at once what came free, and one that does not; all of them if there is time.
fn writable_kinds() -> Vec<Kind> {
    [Kind::Ext4, Kind::Btrfs, Kind::Tmpfs, Kind::Xfs].into_iter().take(scale(2, 4)).collect()
}

#[test]
fn who_writes_more_slowly_than_we_free_has_room_from_then_on() {
    let _alone = alone();
    for kind in writable_kinds() {
        // A rehearsal tells how fast files go.
        let (_, done, _, took) = rescue_beside_a_writer(kind, 0);
        assert_eq!(done.code, Some(0), "{}", done.stdout);
        let freed = done.json()["totals"]["bytes_freed"].as_u64().unwrap();
        let ours = freed * 1_000_000 / u64::try_from(took.as_micros()).unwrap();
        for rate in [256 << 10, ours / 2] {
            let (disk, done, writer, took) = rescue_beside_a_writer(kind, rate);
            println!(
                "{kind:?}, {rate} B/s beside {ours} B/s: wrote {} in {took:?}, refused {} times, {} again; {:?}",
                writer.written,
                writer.refused,
                writer.refused_again,
                disk.gone()
            );
            assert_eq!(writer.refused_again, 0, "{kind:?}, {rate} B/s: {}", done.stdout);
            assert!(writer.written > 0);
            assert_eq!(done.code, Some(0), "{kind:?}, {rate} B/s: {}", done.stdout);
            assert!(disk.gone()[1] > 0);
            assert!(took < Duration::from_secs(20), "{took:?}");
        }
    }
}

#[test]
fn who_writes_faster_than_we_free_is_named_and_the_floors_hold() {
    let _alone = alone();
    for kind in writable_kinds() {
        let rate = FullDisk::new(kind, 0, "").file() * 1000;
        let (disk, done, writer, took) = rescue_beside_a_writer(kind, rate);
        println!(
            "{kind:?}, {rate} B/s: wrote {} in {took:?}; {}",
            writer.written,
            done.json()["volumes"][0]["notes"]
        );
        assert_eq!(done.code, Some(2), "{kind:?}: {}", done.stdout);
        let notes = done.json()["volumes"][0]["notes"].to_string();
        assert!(notes.contains("others wrote ") && notes.contains("stop the writer"), "{kind:?}: {notes}");
        assert!(disk.gone()[2] > 0);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}

/// Where the ballast of the disk lies.
fn ballast(disk: &FullDisk) -> PathBuf {
    disk.disk().at().join(".maint/ballast")
}

fn ballast_blocks(disk: &FullDisk) -> u64 {
    fs::metadata(ballast(disk)).map_or(0, |seen| seen.blocks() * 512)
}

#[test]
fn killed_anywhere_the_next_run_finishes_and_the_ballast_never_leaks() {
    let _alone = alone();
    let kills = scale(10, 200);
    let mut random = Random::seeded("kill an emergency");
    let (mut rounds, mut built_by_the_next) = (Kills::new(kills + 1), 0);
    // A rehearsal tells how long there is something to kill.
    let mut longest = 0;
    while let Some(round) = rounds.next_round() {
        let kind = *random.pick(&[Kind::Ext4, Kind::Tmpfs]);
        let disk = FullDisk::new(kind, 0, "ballast = '2MiB'");
        disk.prune().exits(0);
        assert_eq!(ballast_blocks(&disk), 2 << 20);
        let disk = disk.filled();
        let before = disk.space();
        let begun = Instant::now();
        let mut child = disk.rescue().start();
        if round == 0 {
            child.wait().unwrap();
            longest = usize::try_from(begun.elapsed().as_micros()).unwrap();
            continue;
        }
        std::thread::sleep(Duration::from_micros(random.below(longest) as u64));
        child.kill().unwrap();
        let was_killed = child.wait().unwrap().code().is_none();
        rounds.met(was_killed && disk.gone_or_claimed() > 0);
        // What is left may be below the mark at which an emergency begins.
        disk.prune().args("--until-usage 88%").exits(0);
        let when = format!("{kind:?}, round {round}");
        assert!(disk.gone_by_a_kill()[0] > 0, "{when}");
        assert!(disk.space().is_below(88, 0), "{when}: {:?} was {before:?}", disk.space());
        for target in ["processed", "snapshots", "live", "thumbs", "archive"] {
            assert_eq!(claimed(disk.target(target).root()), 0, "{when}: {target}");
        }
        built_by_the_next += usize::from(ballast_blocks(&disk) > 0);
        // A kill between the last removal and the ballast leaves that to an everyday run.
        disk.prune().exits(0);
        // Blocks that list its blocks may be among them.
        let held = ballast_blocks(&disk);
        assert!(held == 0 || (2 << 20..(2 << 20) + (16 << 10)).contains(&held), "{when}: {held}");
        // Once the whole is gone nothing is left of it.
        let with = disk.space();
        let disk = disk.with_configuration(|text| text.replace("ballast = '2MiB'", ""));
        disk.prune().exits(0);
        assert_eq!(ballast_blocks(&disk), 0, "{when}");
        let without = disk.space();
        assert!(with.used + (64 << 10) >= without.used + held, "{when}: {held} of {with:?}, {without:?}");
    }
    rounds.assert_enough();
    assert!(kills < 100 || built_by_the_next > 0);
}

#[test]
fn killed_at_each_removal_nothing_stays_claimed() {
    let _alone = alone();
    for step in (1..=200).step_by(scale(50, 3)) {
        let disk = FullDisk::new(Kind::Ext4, 0, "").filled();
        let inject = format!("inject=unlinkat:signal=SIGKILL:when={step}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", &inject];
        disk.prune_wrapped(&strace).arg("--emergency").run();
        let done = disk.prune().args("--until-usage 88% --json").exits(0);
        assert!(disk.gone_by_a_kill()[2] > 0);
        // What the killed one had claimed, at most 64 files, is finished first, and goes beside the need.
        disk.assert_below(88, 65 * disk.file() + OWN);
        let live = disk.target("live");
        assert_eq!(claimed(live.root()) + claimed(disk.target("processed").root()), 0, "{}", done.stdout);
        let audit = json_lines(&disk.disk().at().join("maint/audit.jsonl"));
        assert!(audit.iter().any(|line| line["event"] == "removed"));
    }
}

#[test]
fn where_removing_needs_room_a_file_with_one_name_is_emptied_first() {
    let _alone = alone();
    for (links, when) in [(1, "1"), (2, "1+")] {
        let scratch = Scratch::new();
        let disk = Mounted::memory(&scratch.path().join("disk"), 4000);
        let tree = Tree::at(&disk.at().join("tree")).sized("f", days(9), 1 << 20).sized("young", 0, 2 << 20);
        if links == 2 {
            fs::hard_link(tree.path("f"), tree.path("g")).unwrap();
        }
        let config = scratch.config(&tree.section("a", "max-age = '1y'\nemergency = { max-age = '1d' }"));
        let trace = scratch.path().join("trace");
        let inject = format!("inject=unlinkat:error=ENOSPC:when={when}");
        let strace = [
            "strace",
            "-f",
            "-y",
            "-o",
            trace.to_str().unwrap(),
            "-e",
            "trace=unlinkat,ftruncate",
            "-e",
            &inject,
        ];
        let tool = Tool::wrapped("prune-images", &strace).arg("-c").arg(&config);
        let done = tool.args("--until-usage 60% --workers 1 --json a").run();
        let calls = fs::read_to_string(&trace).unwrap();
        let emptied = format!("<{}>, 0) = 0", tree.path("f").display());
        let emptied = calls.split_once(&emptied).is_some_and(|(_, after)| after.contains("\"f\", 0) = 0"));
        if links == 1 {
            assert!(emptied && !tree.has("f"), "{calls}");
            assert_eq!(done.code, Some(0), "{}", done.stdout);
        } else {
            assert!(
                calls.contains("\"f\", 0) = -1 ENOSPC") && calls.contains("\"g\", 0) = -1 ENOSPC"),
                "{calls}"
            );
            assert!(!calls.contains(&format!("{}/", tree.root().display())), "nothing is emptied: {calls}");
            assert_eq!(fs::metadata(tree.path("g")).unwrap().len(), 1 << 20);
            assert_eq!(done.json()["errors"][0]["error"], "No space left on device (os error 28)");
            assert_eq!(done.code, Some(2), "{}", done.stdout);
        }
    }
}

/// A tree on a small disk with a run on it that takes its time: five files a second.
struct Slow {
    disk: Mounted,
    _scratch: Scratch,
    tree: Tree,
    config: PathBuf,
}

impl Slow {
    fn new(user: u32) -> Self {
        let scratch = Scratch::new();
        let disk = Mounted::memory(&scratch.path().join("disk"), 4000);
        let tree = Tree::at(&disk.at().join("tree"));
        let tree = (0..240).fold(tree, |tree, n| tree.sized(format!("f{n:03}"), days(9) - n, 16 << 10));
        let keys = "max-age = '1d'\nguard = { max-share = '100%' }\nlimit = { rate = '5/s' }\nemergency = { keep-newest = 20 }";
        let volume =
            format!("[volume.disk]\npath = {:?}\nemergency = {{ at = '90%', until = '50%' }}\n", disk.at());
        let config = scratch.config(&(volume + &tree.section("a", keys)));
        fs::create_dir(scratch.path().join("run")).unwrap();
        for path in [disk.at(), &scratch.path().join("run"), tree.root()] {
            std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
        }
        Self { disk, _scratch: scratch, tree, config }
    }

    /// Starts the slow run and waits until it is at work.
    fn start(&self) -> Running {
        let run = Running(Tool::prune(&self.config).args("--workers 1").start());
        wait_until("the slow run removes", || self.files() < 240);
        run
    }

    /// Starts an emergency run in which each removal takes so many microseconds, and waits until it is at
    /// work.
    fn start_rescue(&self, each: u32) -> Running {
        let inject = format!("inject=unlinkat:delay_exit={each}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", &inject];
        let tool = Tool::wrapped("prune-images", &strace).arg("-c").arg(&self.config);
        let run = Running(tool.args("--emergency --workers 1").start());
        wait_until("it removes", || self.files() < 235);
        run
    }

    fn rescue(&self) -> Tool {
        Tool::prune(&self.config).arg("--emergency")
    }

    /// Files in the tree; some may vanish while they are counted.
    fn files(&self) -> usize {
        fs::read_dir(self.tree.root())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name() != ".maint")
            .count()
    }
}

/// A run that ends with the test, whatever becomes of it.
struct Running(Child);

impl Running {
    fn code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    /// Sends a signal to the run, or to the one that runs under strace.
    fn signal(&self, signal: Signal) {
        let pid = self.0.id();
        let below = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let pid = below.split_whitespace().next().map_or(pid, |pid| pid.parse().unwrap());
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.signal(Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

#[test]
fn a_slow_run_gives_way() {
    let _alone = alone();
    let slow = Slow::new(0);
    let mut run = slow.start();
    let begun = Instant::now();
    slow.rescue().exits(0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(run.code(), Some(75), "it ends between two files and says so");
    assert!(Space::of(slow.disk.at()).is_below(50, 0));
    assert_eq!(claimed(slow.tree.root()), 0);
    Tool::prune(&slow.config).arg("--history").exits(0).says("busy").says("s  emergency");
}

#[test]
fn a_stopped_run_is_ended_after_ten_seconds() {
    let _alone = alone();
    let slow = Slow::new(0);
    let mut run = slow.start();
    run.signal(Signal::SIGSTOP);
    let begun = Instant::now();
    slow.rescue().exits(0).warns("did not give way within 10 s");
    let took = begun.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(16)).contains(&took), "{took:?}");
    assert_eq!(run.code(), None, "killed");
    assert!(Space::of(slow.disk.at()).is_below(50, 0));
    assert_eq!(claimed(slow.tree.root()), 0, "what the killed one had claimed is finished");
}

#[test]
fn a_run_of_another_user_cannot_be_asked_and_that_is_said() {
    let _alone = alone();
    let slow = Slow::new(OWNER);
    let mut run = slow.start();
    let files = slow.files();
    let done = Tool::as_user("prune-images", OWNER).arg("-c").arg(&slow.config).arg("--emergency").exits(2);
    done.says("another run is at work there");
    assert!(run.0.try_wait().unwrap().is_none(), "it goes on");
    assert!(slow.files() + 20 > files);
}

#[test]
fn an_emergency_run_takes_nothing_from_another() {
    let _alone = alone();
    let slow = Slow::new(0);
    let mut first = slow.start_rescue(20_000);
    let begun = Instant::now();
    let second = slow.rescue().run();
    assert!(begun.elapsed() < Duration::from_secs(3), "it does not wait: {:?}", begun.elapsed());
    second.says("it will tell what becomes of this volume");
    assert_eq!(second.code, Some(75), "the first one tells whether the mark was reached: {}", second.stdout);
    assert_eq!(first.code(), Some(0));
    assert!(Space::of(slow.disk.at()).is_below(50, 0));
}

#[test]
fn what_only_looks_like_a_run_is_not_ended() {
    let _alone = alone();
    let slow = Slow::new(0);
    let held = File::open(slow.tree.root()).unwrap();
    held.lock().unwrap();
    let done = slow.rescue().exits(2);
    done.says("which is no run that could be asked");
    assert_eq!(slow.tree.names().len(), 240);
    held.unlock().unwrap();
    slow.rescue().exits(0);
}

#[test]
fn a_signal_ends_an_emergency_between_two_files() {
    let _alone = alone();
    let slow = Slow::new(0);
    let mut run = slow.start_rescue(20_000);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.code(), Some(143));
    assert_eq!(claimed(slow.tree.root()), 0);
    assert!(slow.files() > 150);
    slow.rescue().exits(0);
    assert!(Space::of(slow.disk.at()).is_below(50, 0));
}
