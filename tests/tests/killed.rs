//! SIGKILL at any point leaves the old or the new state, and the next run finishes.

use maint_tests::{Kills, Random, Scratch, Tool, Tree, claimed, days, files_older_than, scale, wait_until};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn folders(root: &Path) -> usize {
    fs::read_dir(root).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != ".maint").count()
}

/// Twelve folders, of which half lose everything and the others keep their new files, and a configuration.
fn half_old(scratch: &Scratch) -> (Tree, PathBuf) {
    let tree = (0..600).fold(Tree::at(&scratch.folder("tree")), |tree, n| {
        let tree = tree.file(format!("d{}/old{n}", n % 12), days(9));
        if n % 12 < 6 { tree.file(format!("d{}/new{n}", n % 12), 0) } else { tree }
    });
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    (tree, config)
}

#[test]
fn the_next_run_finishes_what_a_killed_one_began() {
    let mut kills = Kills::new(scale(40, 200));
    let mut random = Random::seeded("kill");
    let mut claims_met = 0;
    while let Some(round) = kills.next_round() {
        let scratch = Scratch::new();
        let (tree, config) = half_old(&scratch);
        let mut child = Tool::prune(&config).start();
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_micros(random.below(25_000) as u64));
        } else {
            // Where the machine is slow to begin or to end, most of these would miss the work itself.
            while !tree.has(".maint") && child.try_wait().unwrap().is_none() {}
            std::thread::sleep(Duration::from_micros(random.below(8_000) as u64));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = files_older_than(tree.root(), &[], days(1)).len();
        let waiting = claimed(tree.root());
        kills.met(left > 0 && left < 600);
        claims_met += waiting;

        let done = Tool::prune(&config).arg("--json").exits(0).json();
        assert!(files_older_than(tree.root(), &[], days(1)).is_empty(), "round {round}");
        assert_eq!(claimed(tree.root()), 0, "round {round}: nothing stays claimed");
        assert_eq!(
            files_older_than(tree.root(), &[], -1).len(),
            300,
            "round {round}: every new file is there"
        );
        assert_eq!(
            folders(tree.root()),
            6,
            "round {round}: emptied folders are gone, killed in between or not"
        );
        assert_eq!(done["totals"]["recovered"], waiting, "round {round}");
    }
    println!("{claims_met} claims found by the next run");
    kills.assert_enough();
}

#[test]
fn a_claim_that_was_not_condemned_is_put_back() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("d/old", days(9)).file("d/kept", 0);
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    Tool::prune(&config).exits(0);
    // As a kill would leave it between the claim and the look: a fresh file under a condemned claim.
    let hand = tree.path(".maint/0");
    fs::write(hand.join("intent"), b"maint-intent-1\x002\0d\0other\0fresh\0").unwrap();
    fs::write(hand.join("1-1-r-abc-5-10-0"), "fresh").unwrap();
    // And one whose origin nobody knows: it is kept for a person.
    fs::write(hand.join("77-77-r-abc-5-10-0"), "whose").unwrap();
    let done = Tool::prune(&config).arg("--json").exits(1);
    assert_eq!(fs::read_to_string(tree.path("d/fresh")).unwrap(), "fresh");
    done.says("nobody knows where it came from");
    let found: Vec<_> = fs::read_dir(tree.path(".maint/found"))
        .unwrap()
        .map(|f| fs::read_to_string(f.unwrap().path()).unwrap())
        .collect();
    assert_eq!(found, ["whose"]);
    Tool::prune(&config).exits(0);
}

#[test]
fn a_claim_gives_way_to_a_newer_file_of_its_name_and_is_not_lost() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("d/kept", 0);
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    Tool::prune(&config).exits(0);
    let hand = tree.path(".maint/0");
    fs::write(hand.join("intent"), b"maint-intent-1\x001\0d\0name\0").unwrap();
    fs::write(hand.join("0-0-r-abc-5-10-0"), "claimed").unwrap();
    fs::write(tree.path("d/name"), "newer").unwrap();
    Tool::prune(&config).exits(1).says("its name is taken; it waits as .maint/found/0-name");
    assert_eq!(fs::read_to_string(tree.path("d/name")).unwrap(), "newer");
    assert_eq!(fs::read_to_string(tree.path(".maint/found/0-name")).unwrap(), "claimed");
}

#[test]
fn claims_are_finished_whatever_the_section_says_now() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("d/kept", 0);
    let section = format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root());
    Tool::prune(&scratch.config(&section)).exits(0);
    fs::write(tree.path(".maint/0/intent"), b"maint-intent-1\x001\0d\0fresh\0").unwrap();
    fs::write(tree.path(".maint/0/0-0-r-abc-5-10-0"), "fresh").unwrap();
    Tool::prune(&scratch.config(&(section + "private = true\n"))).exits(0).says("recovered");
    assert_eq!(fs::read_to_string(tree.path("d/fresh")).unwrap(), "fresh");
}

#[test]
fn killed_between_a_folder_and_the_one_above_the_next_run_goes_on_upwards() {
    for step in 1..=6 {
        let scratch = Scratch::new();
        let tree = Tree::at(&scratch.folder("tree"))
            .file("a/b/c/1", days(9))
            .file("a/b/c/2", days(9))
            .file("new", 0);
        let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
        let inject = format!("inject=unlinkat:signal=SIGKILL:when={step}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
        Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).args("--workers 1").run();
        Tool::prune(&config).exits(0);
        assert!(!tree.has("a") && tree.has("new"), "killed at unlinkat {step}");
        let audit = fs::read_to_string(scratch.path().join("audit.jsonl")).unwrap();
        let events = audit.matches("\"event\":\"removed\"").count();
        assert!(events >= 1, "step {step}: {audit}");
        assert!(audit.contains("folder-removed"), "step {step}: {audit}");
    }
}

#[test]
fn an_interrupted_run_is_no_success() {
    let scratch = Scratch::new();
    let tree =
        (0..20_000).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("{n}"), days(9), 0));
    let other = Tree::at(&scratch.folder("other")).file("old", days(9));
    let section = |name: &str, tree: &Tree| {
        format!(
            "[files.{name}]\npath = {:?}\nmax-age = '1d'\nguard = {{ max-share = '100%' }}\n",
            tree.root()
        )
    };
    let config = scratch.config(&(section("z", &tree) + &section("a", &other)));
    let mut child = Tool::prune(&config).args("--workers 1").start();
    until_it_removes(tree.root(), 17_000);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(other.has("old"), "sections run in the order of the file, and none after the signal");
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-prune-images.prom")).unwrap();
    assert!(!metrics.contains("success_timestamp"), "{metrics}");
    Tool::prune(&config).args("--every 1d").exits(0).says("2 sections");
    assert!(files_older_than(tree.root(), &[], days(1)).is_empty() && !other.has("old"));
}

#[test]
fn two_users_of_one_root_meet_each_other() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    std::os::unix::fs::chown(tree.root(), Some(65534), Some(65534)).unwrap();
    let home = scratch.folder("home");
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let held = fs::File::open(tree.root()).unwrap();
    held.lock().unwrap();
    for user in [0, 65534] {
        let run = Tool::as_user("prune-images", user).env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
        run.env("MAINT_CONFIG", "").args("--max-age 1d --path").arg(tree.root()).exits(75);
    }
    assert!(tree.has("old"));
}

/// Waits until a run has taken so many that fewer than `files` are left: more than one batch.
fn until_it_removes(root: &Path, files: usize) {
    wait_until("it removes", || folders(root) < files);
}

#[test]
fn a_signal_ends_a_run_between_two_files() {
    for (signal, code) in [(nix::sys::signal::Signal::SIGTERM, 143), (nix::sys::signal::Signal::SIGINT, 130)]
    {
        let scratch = Scratch::new();
        let tree = (0..20_000)
            .fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("{n}"), days(9), 0));
        let config = scratch.config(&format!(
            "[files.a]\npath = {:?}\nmax-age = '1d'\nguard = {{ max-share = '100%' }}",
            tree.root()
        ));
        let mut child = Tool::prune(&config).args("--workers 1").start();
        until_it_removes(tree.root(), 17_000);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), signal)
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code), "{signal}");
        let left = files_older_than(tree.root(), &[], days(1)).len();
        assert!(left > 0, "it was stopped, not finished");
        assert_eq!(claimed(tree.root()), 0, "{signal} leaves nothing claimed");
        let removed = maint_core::text::count(20_000 - left as u64, "file");
        Tool::prune(&config).arg("--history").exits(0).says(&format!("{removed} removed"));
        Tool::prune(&config).exits(0);
        assert!(files_older_than(tree.root(), &[], days(1)).is_empty());
    }
}

#[test]
fn of_two_at_once_one_works_and_the_other_says_busy() {
    let scratch = Scratch::new();
    let tree =
        (0..30_000).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.sized(format!("{n}"), days(9), 0));
    let config = scratch.config(&format!(
        "[files.a]\npath = {:?}\nmax-age = '1d'\nguard = {{ max-share = '100%' }}",
        tree.root()
    ));
    let mut first = Tool::prune(&config).args("--workers 1").start();
    until_it_removes(tree.root(), 27_000);
    let busy = Tool::prune(&config).exits(75);
    busy.says("another run is at work there: prune-images, pid").says("BUSY");
    Tool::prune(&config).arg("--cron").exits(75).is_silent();
    // A dry run changes nothing and so waits for nobody.
    Tool::prune(&config).arg("-n").exits(0);
    Tool::prune(&config).args("--lock-wait 1min").exits(0);
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert!(files_older_than(tree.root(), &[], days(1)).is_empty());
}
