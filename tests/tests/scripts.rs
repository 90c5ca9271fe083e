//! The shipped scripts: which programs they start, in which order, with what, and what they exit with.

use maint_tests::{Mounted, Scratch, Tree, days};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

const SCRIPTS: [&str; 2] = ["emergency-cleanup", "quick-cleanup"];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn built(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().join(name)
}

/// The scripts installed in a folder, and nothing else.
fn installed(scratch: &Scratch) -> PathBuf {
    let bin = scratch.folder("a place/bin");
    for script in SCRIPTS {
        let text = fs::read_to_string(project().join("deploy/bin").join(script)).unwrap();
        scratch.program(bin.join(script), &text);
    }
    bin
}

/// The same with the built programs beside them.
fn with_programs(scratch: &Scratch) -> PathBuf {
    let bin = installed(scratch);
    for program in ["reclaim", "orphan-metadata", "prune-images"] {
        symlink(built(program), bin.join(program)).unwrap();
    }
    bin
}

/// A program that writes down how it was called and does what a line of shell says.
fn stub(scratch: &Scratch, at: &Path, name: &str, line: &str) {
    let log = scratch.path().join("log");
    let text = format!("#!/bin/sh\necho {name} \"$@\" >>'{}'\n{line}\n", log.display());
    scratch.program(at.join(name), &text);
}

fn called(scratch: &Scratch) -> String {
    let log = scratch.path().join("log");
    let text = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(log);
    text
}

/// From an empty environment, as `env -i` starts it.
fn script(bin: &Path, name: &str) -> Command {
    let mut command = Command::new(bin.join(name));
    command.env_clear().current_dir("/").stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

#[test]
fn each_is_short_and_plain() {
    for name in SCRIPTS {
        let path = project().join("deploy/bin").join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() < 40 && text.starts_with("#!/bin/sh\n"), "{name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755, "{name}");
    }
}

#[test]
fn the_worst_exit_code_counts() {
    let scratch = Scratch::new();
    let bin = installed(&scratch);
    for (first, second, worst) in [
        ("0", "0", 0),
        ("1", "0", 1),
        ("0", "1", 1),
        ("75", "0", 75),
        ("0", "75", 75),
        ("75", "1", 1),
        ("1", "4", 4),
        ("4", "1", 4),
        ("4", "2", 2),
        ("2", "4", 2),
        ("3", "0", 3),
        ("3", "2", 3),
        ("0", "3", 3),
        ("99", "0", 2),
    ] {
        stub(&scratch, &bin, "reclaim", &format!("exit {first}"));
        stub(&scratch, &bin, "orphan-metadata", "");
        stub(&scratch, &bin, "prune-images", &format!("exit {second}"));
        let (code, stdout, stderr) = run(script(&bin, "emergency-cleanup"));
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (worst, "", ""), "{first} and {second}");
        assert_eq!(
            called(&scratch),
            "reclaim --emergency\norphan-metadata --emergency\nprune-images --emergency\n",
            "each is tried"
        );
        let (code, ..) = run(script(&bin, "quick-cleanup"));
        assert_eq!(code, second.parse::<i32>().unwrap(), "{second}");
        assert_eq!(called(&scratch), "prune-images\n");
    }
    // Killed by somebody, such as a kernel without memory: a failure, and the next has its turn.
    stub(&scratch, &bin, "reclaim", "kill -9 $$");
    stub(&scratch, &bin, "prune-images", "exit 1");
    assert_eq!(run(script(&bin, "emergency-cleanup")).0, 2);
    assert_eq!(
        called(&scratch),
        "reclaim --emergency\norphan-metadata --emergency\nprune-images --emergency\n"
    );
}

#[test]
fn what_it_is_given_it_gives_on_word_by_word() {
    let scratch = Scratch::new();
    let bin = installed(&scratch);
    stub(&scratch, &bin, "reclaim", "for word; do echo \"<$word>\"; done");
    stub(&scratch, &bin, "orphan-metadata", "for word; do echo \"<$word>\"; done");
    stub(&scratch, &bin, "prune-images", "for word; do echo \"<$word>\"; done");
    let mut command = script(&bin, "emergency-cleanup");
    command.args(["--cron", "-c", "/a place/$HOME/*.toml", "--dry-run", ""]);
    let words = "<--emergency>\n<--cron>\n<-c>\n</a place/$HOME/*.toml>\n<--dry-run>\n<>\n";
    assert_eq!(run(command).1, words.repeat(3));
}

#[test]
fn programs_are_found_beside_it_or_in_the_path() {
    let scratch = Scratch::new();
    let bin = installed(&scratch);
    let (code, _, stderr) = run(script(&bin, "emergency-cleanup"));
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("reclaim: not found") && stderr.contains("prune-images: not found"), "{stderr}");
    let elsewhere = scratch.folder("elsewhere");
    stub(&scratch, &elsewhere, "reclaim", "");
    stub(&scratch, &elsewhere, "orphan-metadata", "");
    stub(&scratch, &elsewhere, "prune-images", "echo elsewhere");
    let in_path = |name: &str| {
        let mut command = script(&bin, name);
        command.env("PATH", format!("{}:/usr/bin:/bin", elsewhere.display()));
        run(command)
    };
    assert_eq!(in_path("emergency-cleanup"), (0, "elsewhere\n".to_owned(), String::new()));
    stub(&scratch, &bin, "prune-images", "echo beside");
    assert_eq!(in_path("quick-cleanup"), (0, "beside\n".to_owned(), String::new()));
    // However it is called, and wherever a cd would lead.
    for (folder, name) in [(bin.as_path(), "./quick-cleanup"), (bin.parent().unwrap(), "bin/quick-cleanup")] {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(name).env_clear().env("CDPATH", "/tmp:/").current_dir(folder);
        assert_eq!(run(command), (0, "beside\n".to_owned(), String::new()));
    }
    let mut command = Command::new("/bin/sh");
    // Where nobody says where it lies, what lies where one happens to stand is nothing to run.
    let path = format!("{}:/usr/bin:/bin", elsewhere.display());
    command.arg("quick-cleanup").env_clear().env("PATH", path).current_dir(&bin);
    assert_eq!(run(command).1, "elsewhere\n");
}

#[test]
fn a_quick_cleanup_says_when_it_was_not_enough() {
    let scratch = Scratch::new();
    let bin = installed(&scratch);
    stub(&scratch, &bin, "prune-images", "echo pruned");
    stub(
        &scratch,
        &bin,
        "check-disk",
        "[ \"$*\" = '--full-within 2h' ] && [ \"${MAINT_CONFIG-}\" = /etc/x.toml ]",
    );
    let quick = |words: &[&str]| {
        let mut command = script(&bin, "quick-cleanup");
        command.args(words).env("PATH", "/usr/bin:/bin");
        run(command)
    };
    let (code, stdout, stderr) = quick(&["-c", "/etc/x.toml"]);
    assert_eq!((code, stdout.as_str()), (1, "pruned\n"));
    assert_eq!(stderr, "full within two hours all the same; next: emergency-cleanup --dry-run\n");
    assert_eq!(quick(&[]), (0, "pruned\n".to_owned(), String::new()));
}

/// A full disk with something for either program.
fn full(scratch: &Scratch) -> (Mounted, Tree, PathBuf) {
    const MIB: usize = 1 << 20;
    // Not a tmpfs: what other tests lock on theirs could not be told from what is locked on this one.
    let ssd = Mounted::ext4(&scratch.folder("ssd"), 64);
    fs::write(ssd.at().join("cache"), vec![b'x'; MIB]).unwrap();
    let mut tree = Tree::at(&ssd.at().join("live"));
    for n in 0..48 {
        tree = tree.sized(format!("{n:02}.jpg"), days(0) + 3600 - n, MIB);
    }
    let config = scratch.config(&format!(
        "[volume.ssd]\npath = {:?}\nemergency = {{ at = '95%', until = '80%' }}\n{}[reclaim.cache]\ncommand = ['rm', '{}/cache']\n",
        ssd.at(),
        tree.section("live", "max-age = '1d'\nemergency = { keep-newest = 5 }"),
        ssd.at().display()
    ));
    (ssd, tree, config)
}

#[test]
fn in_an_emergency_what_costs_no_data_goes_first() {
    let scratch = Scratch::new();
    let bin = with_programs(&scratch);
    let (ssd, tree, config) = full(&scratch);
    let call = |words: &[&str]| {
        let mut command = script(&bin, "emergency-cleanup");
        command.arg("-c").arg(&config).args(words);
        run(command)
    };
    let (code, dry, _) = call(&["--dry-run"]);
    assert_eq!(code, 0, "{dry}");
    assert!(dry.contains("would run      rm ") && dry.contains("to be removed"), "{dry}");
    assert!(ssd.at().join("cache").exists() && tree.names().len() == 48);
    let (code, stdout, stderr) = call(&["--cron"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", ""));
    assert!(!ssd.at().join("cache").exists());
    // There is room for 50.2 MiB, 80 % of which are 40.2: of the 48 files eight must go, and no more.
    assert_eq!(tree.names().len(), 40);
    assert!(tree.has("47.jpg") && !tree.has("00.jpg"));
    let (code, json, _) = call(&["--json"]);
    let tools: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["tool"].to_string())
        .collect();
    assert_eq!((code, tools.join(" ").as_str()), (0, "\"reclaim\" \"orphan-metadata\" \"prune-images\""));
    assert_eq!(tree.names().len(), 40, "there is no emergency any more");
    // What only one of them knows is told by the other, and the emergency is met all the same.
    let (code, _, stderr) = call(&["--until-usage", "50%", "--limit", "1000"]);
    assert!(code == 3 && stderr.contains("unexpected argument '--limit'"), "{code} {stderr}");
    assert_eq!(tree.names().len(), 25);
}

#[test]
fn where_commands_are_enough_no_file_goes() {
    let scratch = Scratch::new();
    let bin = with_programs(&scratch);
    let (ssd, tree, config) = full(&scratch);
    fs::remove_file(tree.path("00.jpg")).unwrap();
    fs::write(ssd.at().join("cache"), vec![b'x'; 2 << 20]).unwrap();
    let mut command = script(&bin, "emergency-cleanup");
    command.arg("-c").arg(&config);
    let (code, said, _) = run(command);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("it is below 95% again, and no file needs to go"), "{said}");
    assert_eq!(tree.names().len(), 47);
}

#[test]
fn twice_at_once_does_no_harm() {
    let scratch = Scratch::new();
    let bin = with_programs(&scratch);
    let (ssd, tree, config) = full(&scratch);
    let mut both: Vec<_> =
        (0..2).map(|_| script(&bin, "emergency-cleanup").arg("-c").arg(&config).spawn().unwrap()).collect();
    let codes: Vec<Option<i32>> = both.iter_mut().map(|script| script.wait().unwrap().code()).collect();
    // Whoever came second found another at work, or nothing to do, or the file gone. Meanwhile his mark may
    // not have been reached.
    assert!(codes.iter().all(|code| [Some(0), Some(1), Some(2), Some(75)].contains(code)), "{codes:?}");
    assert!(!ssd.at().join("cache").exists() && tree.names().len() == 40, "{:?}", tree.names());
}

#[test]
fn a_signal_ends_the_program_at_work_and_starts_no_other() {
    let scratch = Scratch::new();
    let bin = with_programs(&scratch);
    let (ssd, tree, config) = full(&scratch);
    let pid = scratch.path().join("pid");
    let slow = format!(
        "[reclaim.slow]\ncommand = ['sh', '-c', 'echo $$ >{}; exec sleep 1000']\npriority = 1\n",
        pid.display()
    );
    let config = scratch.file("slow.toml", &(fs::read_to_string(&config).unwrap() + &slow));
    for (signal, whole_group) in [(Signal::SIGTERM, false), (Signal::SIGINT, true), (Signal::SIGTERM, true)] {
        let _ = fs::remove_file(&pid);
        let mut command = script(&bin, "emergency-cleanup");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut run = command.arg("-c").arg(&config).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never began");
            std::thread::sleep(Duration::from_millis(20));
        }
        let script = Pid::from_raw(i32::try_from(run.id()).unwrap());
        // A terminal's Ctrl-C meets all of its programs.
        kill(if whole_group { Pid::from_raw(-script.as_raw()) } else { script }, signal).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(128 + signal as i32), "{signal}");
        let sleep = fs::read_to_string(&pid).unwrap();
        assert!(!Path::new("/proc").join(sleep.trim()).exists(), "{signal}: the command goes on");
        assert!(
            ssd.at().join("cache").exists() && tree.names().len() == 48,
            "{signal}: nothing more is begun"
        );
    }
}

#[test]
fn quick_cleanup_does_now_what_the_next_hour_would() {
    let scratch = Scratch::new();
    let bin = with_programs(&scratch);
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9)).file("new", 3600);
    let config = scratch.config(&tree.section("live", "max-age = '1d'"));
    let call = |words: &[&str]| {
        let mut command = script(&bin, "quick-cleanup");
        command.arg("-c").arg(&config).args(words);
        run(command)
    };
    let (code, dry, _) = call(&["--dry-run"]);
    assert!(code == 0 && dry.contains("to be removed  1 file") && tree.has("old"), "{dry}");
    assert_eq!(call(&["--cron"]), (0, String::new(), String::new()));
    assert_eq!(tree.names(), ["new"]);
    assert_eq!(call(&["--no-such-option"]).0, 3);
}
