//! Commands that give space back: what each really freed is measured, and none of them can hold up, outlive
//! or deceive the run.

use maint_tests::{Mounted, Picture, Scratch, Tool};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MIB: usize = 1 << 20;

/// `[reclaim.NAME]` for a line of shell.
fn shell(name: &str, line: &str, keys: &str) -> String {
    format!("[reclaim.{name}]\ncommand = ['sh', '-c', '''{line}''']\n{keys}\n")
}

fn volume(name: &str, at: &Path, marks: &str) -> String {
    format!("[volume.{name}]\npath = {at:?}\n{marks}\n")
}

/// A volume of so many KiB, and a file on it that may go.
fn with_junk(scratch: &Scratch, name: &str, kib: usize, junk: usize) -> Mounted {
    let mounted = Mounted::tmpfs(&scratch.folder(name), kib);
    fs::write(mounted.at().join("junk"), vec![b'x'; junk]).unwrap();
    mounted
}

/// What a command of a test writes its own number to, and whether that process still runs.
struct Alive(PathBuf);

impl Alive {
    fn at(scratch: &Scratch, name: &str) -> Self {
        Self(scratch.path().join(name))
    }

    fn pid(&self) -> Pid {
        let begun = Instant::now();
        loop {
            if let Some(pid) = fs::read_to_string(&self.0).ok().and_then(|text| text.trim().parse().ok()) {
                return Pid::from_raw(pid);
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?} was never written", self.0);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn runs(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
    }

    fn ends(&self) {
        let begun = Instant::now();
        while self.runs() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?} still runs", self.0);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn audit(scratch: &Scratch) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(scratch.path().join("audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_really_came_free_is_measured_and_told_everywhere() {
    let scratch = Scratch::new();
    let ssd = with_junk(&scratch, "ssd", 16 << 10, 8 * MIB);
    let config = scratch.config(
        &(volume("ssd", ssd.at(), "")
            + &shell("junk", &format!("rm {}/junk", ssd.at().display()), "volume = 'ssd'")
            + &shell("idle", "echo I freed 5 GiB", "volume = 'ssd'")),
    );
    let report = Tool::reclaim(&config).arg("--json").exits(0).json();
    let [junk, idle] = [&report["targets"][0], &report["targets"][1]];
    assert_eq!((&report["tool"], &report["schema"]), (&"reclaim".into(), &"maint.report/1".into()));
    assert_eq!((&junk["name"], &junk["bytes_freed"]), (&"junk".into(), &(8 * MIB).into()));
    assert_eq!(junk["command"]["exit_code"], 0);
    assert_eq!(junk["command"]["freed"], serde_json::json!({"ssd": 8 * MIB}));
    assert_eq!(
        (junk["storage_before_percent"].as_f64(), junk["storage_after_percent"].as_f64()),
        (Some(50.0), Some(0.0))
    );
    assert_eq!(
        (&idle["bytes_freed"], &idle["status"]),
        (&0.into(), &"ok".into()),
        "what it says is no proof"
    );
    assert_eq!(report["totals"]["commands_run"], 2);
    let lines = audit(&scratch);
    assert_eq!(
        lines.iter().map(|line| line["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["command-begins", "command-ended", "command-begins", "command-ended"]
    );
    assert_eq!((&lines[1]["user"], &lines[1]["ended"]), (&"root".into(), &"exit code 0".into()));
    assert_eq!(lines[1]["freed"], 8 * MIB);
    assert_eq!(lines[1]["command"][0], "sh");
    Tool::reclaim(&config)
        .arg("--history")
        .exits(0)
        .says("junk                 1 command run, 8.0 MiB freed");
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-reclaim.prom")).unwrap();
    assert!(metrics.contains("maint_bytes_freed{tool=\"reclaim\",target=\"junk\"} 8388608"), "{metrics}");
    assert!(metrics.contains("maint_commands_run{tool=\"reclaim\",target=\"idle\"} 1"), "{metrics}");
}

#[test]
fn a_dry_run_runs_nothing() {
    let scratch = Scratch::new();
    let place = scratch.folder("place");
    let config = scratch.config(
        &(shell("late", &format!("touch {}/late", place.display()), "")
            + &shell("early", &format!("touch {}/early", place.display()), "priority = 10")
            + &shell("shown", &format!("touch {}/shown", place.display()), "dry-run = true")),
    );
    let picture = Picture::of(&place);
    let done = Tool::reclaim(&config).arg("-n").exits(0);
    done.says("DRY RUN").says("3 commands would run").says("would run      sh -c");
    assert!(done.stdout.find("early:") < done.stdout.find("late:"), "{}", done.stdout);
    picture.assert_unchanged();
    assert!(!scratch.path().join("state").exists() && !scratch.path().join("audit.jsonl").exists());
    Tool::reclaim(&config).exits(0).says("2 commands run").says("dry: 1 command would run");
    assert!(place.join("late").exists() && place.join("early").exists() && !place.join("shown").exists());
}

#[test]
fn the_lower_priority_runs_first_and_ties_in_the_order_of_the_file() {
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let note = |name: &str, keys: &str| shell(name, &format!("echo {name} >>{}", log.display()), keys);
    let config = scratch.config(
        &(note("z", "")
            + &note("last", "priority = 51")
            + &note("a", "")
            + &note("first", "priority = 0")
            + &note("never", "enabled = false")),
    );
    Tool::reclaim(&config).exits(0);
    assert_eq!(fs::read_to_string(&log).unwrap(), "first\nz\na\nlast\n");
    Tool::reclaim(&config).args("a z").exits(0);
    assert_eq!(fs::read_to_string(&log).unwrap(), "first\nz\na\nlast\nz\na\n");
    Tool::reclaim(&config).arg("never").exits(3).warns("[reclaim.never] says enabled = false");
}

#[test]
fn what_hangs_is_stopped_with_all_that_it_started() {
    let scratch = Scratch::new();
    let pid = |name: &str| scratch.path().join(name).display().to_string();
    let one_second = "timeout = '1s'";
    let config = scratch.config(
        &(shell("sleeps", &format!("echo $$ >{}; sleep 1000", pid("sleeps")), one_second)
            + &shell(
                "stubborn",
                &format!("trap \"\" TERM; echo $$ >{}; while :; do sleep 1; done", pid("stubborn")),
                one_second,
            )
            + &shell(
                "grandchild",
                &format!(
                    "(trap \"\" TERM; echo $$ >/dev/null; while :; do sleep 1; done) & echo $! >{}; wait",
                    pid("grandchild")
                ),
                one_second,
            )
            + &shell(
                "elsewhere",
                &format!("setsid sleep 1000 & echo $! >{}; wait", pid("elsewhere")),
                one_second,
            )
            + &shell(
                "orphan",
                &format!("(setsid sh -c \"echo \\$\\$ >{}; exec sleep 1000\" &) ; sleep 1000", pid("orphan")),
                one_second,
            )
            + &shell("halted", &format!("echo $$ >{}; kill -STOP $$", pid("halted")), one_second)
            + &shell("after", "echo here", "")),
    );
    let report = Tool::reclaim(&config).arg("--json").exits(1).json();
    for name in ["sleeps", "stubborn", "grandchild", "elsewhere", "orphan", "halted"] {
        assert!(!Alive::at(&scratch, name).runs(), "{name}");
        let target = report["targets"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap();
        let ended = target["command"]["ended"].as_str().unwrap();
        assert!(ended.starts_with("stopped, because it took longer than 1s"), "{name}: {ended}");
        assert_eq!(
            ended.contains("was killed"),
            ["stubborn", "grandchild"].contains(&name),
            "{name}: {ended}"
        );
        assert_eq!(target["status"], "warning");
    }
    assert_eq!(
        report["targets"][6]["command"]["ended"], "exit code 0",
        "one bad command never stops the rest"
    );
}

#[test]
fn what_a_command_leaves_running_is_not_waited_for() {
    let scratch = Scratch::new();
    let config = scratch.config(
        &(shell("pipe", &format!("sleep 1000 & echo $! >{}/pipe; echo done", scratch.path().display()), "")
            + &shell(
                "daemon",
                &format!(
                    "(setsid sh -c \"exec >/dev/null 2>&1 </dev/null; echo \\$\\$ >{}/daemon; exec sleep 1000\" &); while [ ! -s {}/daemon ]; do sleep 0.1; done",
                    scratch.path().display(),
                    scratch.path().display()
                ),
                "",
            )),
    );
    let begun = Instant::now();
    let done = Tool::reclaim(&config).exits(0);
    assert!(begun.elapsed() < Duration::from_secs(60));
    for name in ["pipe", "daemon"] {
        let left = Alive::at(&scratch, name);
        assert!(left.runs(), "{name} ended by itself in order: what it left may be meant");
        done.says("what comes free later is not counted: ").says(&format!(" ({})", left.pid()));
        kill(left.pid(), Signal::SIGKILL).unwrap();
    }
}

#[test]
fn what_fails_says_how_and_what_it_said_last() {
    let scratch = Scratch::new();
    let script = |name: &str, text: &str, mode: u32| {
        let path = scratch.program(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        format!("[reclaim.{}]\ncommand = [{path:?}]\n", name.replace('/', "-"))
    };
    let config = scratch.config(
        &(shell("fails", "echo on stdout; echo \"broken \\033[31m\" >&2; exit 7", "")
            + &shell("killed", "kill -9 $$", "")
            + "[reclaim.missing]\ncommand = ['no-such-program', 'x']\n"
            + "[reclaim.nowhere]\ncommand = ['/no/such/program']\n"
            + &script("no-interpreter", "#!/no/such/interpreter\n", 0o755)
            + &script("no-program", "#!/bin/sh\n", 0o644)
            + &script("anybody", "#!/bin/sh\n", 0o757)
            + &shell("floods", "yes a flood", "timeout = '1s'")
            + &shell("asks", "read answer </dev/tty || read answer || echo nobody answers; exit 1", "")),
    );
    let done = Tool::reclaim(&config).exits(4);
    for words in [
        "exit code 7; freed nothing",
        "it said: on stdout",
        "it said: broken \\x1b[31m",
        "failed         run sh: exit code 7",
        "killed by signal 9",
        "there is no program no-such-program in /usr/local/sbin:",
        "there is no program /no/such/program: nothing was done",
        "no-interpreter cannot be run: No such file or directory",
        "no-program: nothing was done",
        "anybody: take that right away (chmod o-w)",
        "it said: a flood [2",
        "it said: nobody answers",
    ] {
        done.says(words);
    }
    assert!(!done.stdout.contains('\x1b'));
    assert!(done.stdout.len() < 20_000, "a flood is not passed on");
    Tool::reclaim(&config).args("--cron fails killed missing").exits(1).is_silent();
}

#[test]
fn a_command_gets_nothing_from_the_caller() {
    let scratch = Scratch::new();
    let planted = scratch.folder("planted");
    for name in ["sh", "env", "ls"] {
        scratch.program(format!("planted/{name}"), "#!/bin/sh\necho planted\n");
    }
    let config = scratch.config(
        &("[reclaim.env]\ncommand = ['env', 'false']\n".to_owned()
            + &shell(
                "shown",
                "env; pwd; tty; readlink /proc/self/fd/0; grep SigBlk /proc/self/status; exit 1",
                "",
            )),
    );
    let done = Tool::reclaim(&config)
        .env("PATH", format!("{}:/usr/bin:/bin", planted.display()))
        .env("SECRET", "hunter2")
        .env("LD_PRELOAD", "/no/such.so")
        .within(&planted)
        .exits(1);
    done.says("it said: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin")
        .says("it said: LANG=C.UTF-8")
        .says("it said: HOME=/root")
        .says("it said: /dev/null")
        .says("it said: not a tty")
        .says("it said: SigBlk:\\x090000000000000000");
    for never in ["hunter2", "planted", "LD_PRELOAD"] {
        assert!(!done.stdout.contains(never), "{never} in\n{}", done.stdout);
    }
}

#[test]
fn a_command_under_which_the_disk_fills_up_is_stopped() {
    let scratch = Scratch::new();
    let ssd = Mounted::tmpfs(&scratch.folder("ssd"), 32 << 10);
    let at = ssd.at().display();
    let pid = scratch.path().join("fills").display().to_string();
    let fills = format!("echo $$ >{pid}; while :; do cat /dev/zero >>{at}/fill 2>/dev/null; sleep 0.1; done");
    let config = scratch.config(&(volume("ssd", ssd.at(), "") + &shell("fills", &fills, "volume = 'ssd'")));
    let done = Tool::reclaim(&config).exits(1);
    done.says("stopped, because ssd ran out of space: 32.0 MiB more than before were in use")
        .says("it made things worse: 32.0 MiB more than before are in use on ssd");
    assert!(!Alive::at(&scratch, "fills").runs());
    // One that finds a full disk is just what is wanted.
    let frees = format!("sleep 2.5; rm {at}/fill");
    let config = scratch.config(&(volume("ssd", ssd.at(), "") + &shell("frees", &frees, "volume = 'ssd'")));
    Tool::reclaim(&config).exits(0).says("32.0 MiB freed");
}

#[test]
fn a_command_that_makes_it_worse_is_told() {
    let scratch = Scratch::new();
    let ssd = Mounted::tmpfs(&scratch.folder("ssd"), 32 << 10);
    let worse = format!("head -c 8388608 /dev/zero >{}/more", ssd.at().display());
    let config = scratch.config(&(volume("ssd", ssd.at(), "") + &shell("worse", &worse, "volume = 'ssd'")));
    Tool::reclaim(&config)
        .exits(1)
        .says("it made things worse: 8.0 MiB more than before are in use on ssd, unless others wrote that");
}

#[test]
fn a_signal_ends_the_command_too() {
    let scratch = Scratch::new();
    let alive = Alive::at(&scratch, "long");
    let line = format!(
        "trap \"echo ended in order; exit 1\" TERM; echo $$ >{}/long; while :; do sleep 0.1; done",
        scratch.path().display()
    );
    let config = scratch.config(
        &(shell("long", &line, "") + &shell("next", &format!("touch {}/next", scratch.path().display()), "")),
    );
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let _ = fs::remove_file(scratch.path().join("long"));
        let mut run = Tool::reclaim(&config).start();
        alive.pid();
        kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), signal).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(128 + signal as i32));
        assert!(!alive.runs() && !scratch.path().join("next").exists());
    }
    let last = audit(&scratch).pop().unwrap();
    assert_eq!(
        (&last["event"], &last["ended"]),
        (&"command-ended".into(), &"stopped, because this run was asked to end".into())
    );
    // A killed run cannot end anything, and still nothing goes on unwatched.
    let _ = fs::remove_file(scratch.path().join("long"));
    let mut run = Tool::reclaim(&config).start();
    alive.pid();
    run.kill().unwrap();
    run.wait().unwrap();
    alive.ends();
    let lines = audit(&scratch);
    assert_eq!(
        lines.last().unwrap()["event"],
        "command-begins",
        "a beginning without an end is a killed run"
    );
}

#[test]
fn of_two_at_once_one_works_and_the_other_says_busy() {
    let scratch = Scratch::new();
    let go = scratch.path().join("go");
    let line = format!(
        "echo $$ >{}/first; while [ ! -e {} ]; do sleep 0.1; done",
        scratch.path().display(),
        go.display()
    );
    let config = scratch.config(&shell("slow", &line, ""));
    let mut first = Tool::reclaim(&config).start();
    Alive::at(&scratch, "first").pid();
    let busy = Tool::reclaim(&config).exits(75);
    busy.says("another run is at work: reclaim, pid ").says("BUSY");
    Tool::reclaim(&config).arg("--cron").exits(75).is_silent();
    Tool::reclaim(&config).args("--until-usage 0% --cron").exits(75).is_silent();
    Tool::reclaim(&config).arg("-n").exits(0).says("1 command would run");
    let waiting = Tool::reclaim(&config).args("--lock-wait 1min").start();
    fs::write(&go, "").unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!({ waiting }.wait().unwrap().code(), Some(0));
    // Without a runtime folder the lock is none, and the work is done.
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace(&format!("{}/run", scratch.path().display()), "/proc/no/such");
    Tool::reclaim(&scratch.file("other.toml", &text))
        .exits(0)
        .warns("whether another run is at work is not known");
}

#[test]
fn nothing_is_run_where_there_is_no_emergency() {
    let scratch = Scratch::new();
    let ssd = with_junk(&scratch, "ssd", 16 << 10, 8 * MIB);
    let rm = shell("junk", &format!("rm {}/junk", ssd.at().display()), "");
    let marks = "emergency = { at = '95%', until = '85%' }";
    let config = scratch.config(&(volume("ssd", ssd.at(), marks) + &rm));
    Tool::reclaim(&config).arg("--emergency").exits(0).says("50.0% used: nothing to do");
    Tool::reclaim(&config).args("--emergency --cron").exits(0).is_silent();
    assert!(ssd.at().join("junk").exists() && audit(&scratch).is_empty());
    let disabled = scratch.config(&(volume("ssd", ssd.at(), marks) + &rm + "enabled = false\n"));
    Tool::reclaim(&disabled).args("--emergency").exits(0).says("all is disabled ([reclaim.junk])");
    let none = scratch.config(&volume("ssd", ssd.at(), marks));
    Tool::reclaim(&none).args("--emergency").exits(0).says("there is no section [reclaim.NAME]");
    let unmarked = scratch.config(&(volume("ssd", ssd.at(), "") + &rm));
    Tool::reclaim(&unmarked)
        .args("--emergency")
        .exits(3)
        .warns("no [volume.NAME] says when an emergency begins");
    Tool::reclaim(&config).args("--emergency --every 1h").exits(3).warns("never done before its time");
    assert!(ssd.at().join("junk").exists());
}

#[test]
fn in_an_emergency_commands_run_until_the_mark_holds() {
    let scratch = Scratch::new();
    let ssd = with_junk(&scratch, "ssd", 16 << 10, 8 * MIB);
    fs::write(ssd.at().join("more"), vec![b'x'; 8 * MIB]).unwrap();
    let card = with_junk(&scratch, "card", 16 << 10, MIB);
    let rm = |name: &str, file: &Path, keys: &str| shell(name, &format!("rm {}", file.display()), keys);
    let marks = "emergency = { at = '95%', until = '85%' }";
    let volumes = volume("ssd", ssd.at(), marks) + &volume("card", card.at(), marks);
    let config = scratch.config(
        &(volumes.clone()
            + &rm("not-needed", &ssd.at().join("more"), "priority = 60")
            + &rm("elsewhere", &card.at().join("junk"), "priority = 5\nvolume = 'card'")
            + &shell("fails", "exit 1", "priority = 6")
            + &rm("junk", &ssd.at().join("junk"), "priority = 10\nvolume = 'ssd'")),
    );
    let dry = Tool::reclaim(&config).args("--emergency -n").exits(0);
    dry.says("100.0% → 85% needs 2.4 MiB: fails, junk, not-needed")
        .says("what comes free only the commands know");
    assert!(!dry.stdout.contains("not reached") && ssd.at().join("junk").exists());
    let report = Tool::reclaim(&config).args("--emergency --json").exits(1).json();
    let names: Vec<&str> =
        report["targets"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["fails", "junk"],
        "the volume that has no need is left alone, and so is what is not needed"
    );
    assert_eq!(report["mode"], "emergency");
    let volume = &report["volumes"][0];
    assert_eq!(
        (&volume["name"], &volume["reached"], &volume["bytes_freed"]),
        (&"ssd".into(), &true.into(), &(8 * MIB).into())
    );
    assert_eq!((&volume["ladder"][0]["target"], &volume["ladder"][0]["bytes"]), (&"fails".into(), &0.into()));
    assert_eq!(
        (&report["volumes"][1]["name"], &report["volumes"][1]["acted"]),
        (&"card".into(), &false.into())
    );
    assert!(ssd.at().join("more").exists() && card.at().join("junk").exists());
    assert_eq!(audit(&scratch)[0]["mode"], "emergency");
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-reclaim.prom")).unwrap();
    assert!(
        metrics.contains("maint_emergency_bytes_freed{tool=\"reclaim\",volume=\"ssd\"} 8388608"),
        "{metrics}"
    );
    // A mark that is given replaces those of all.
    Tool::reclaim(&config).args("elsewhere --until-free 16MiB").exits(0).says("card");
    assert!(!card.at().join("junk").exists() && ssd.at().join("more").exists());
}

#[test]
fn a_mark_that_commands_do_not_reach_is_for_the_files() {
    let scratch = Scratch::new();
    let ssd = with_junk(&scratch, "ssd", 16 << 10, 16 * MIB);
    let config = scratch.config(
        &(volume("ssd", ssd.at(), "emergency = { at = '95%', until = '85%' }") + &shell("idle", "true", "")),
    );
    let done = Tool::reclaim(&config).arg("--emergency").exits(0);
    done.says("100.0% → 85% needs 2.4 MiB: idle nothing")
        .says("not reached    85% was not reached: 2.4 MiB missing")
        .says("for the missing 2.4 MiB: prune-images --emergency");
}

#[test]
fn on_a_full_disk_it_works_and_accounts_for_it_later() {
    let scratch = Scratch::new();
    let ssd = Mounted::tmpfs(&scratch.folder("ssd"), 16 << 10);
    let host = scratch.host().replace(&scratch.path().display().to_string(), &ssd.at().display().to_string());
    let rm = shell("junk", &format!("rm {}/junk", ssd.at().display()), "");
    let marks = "emergency = { at = '95%', until = '85%' }";
    let config = scratch.file("maint.toml", &(host + &volume("ssd", ssd.at(), marks) + &rm));
    let full = fs::write(ssd.at().join("junk"), vec![b'x'; 17 * MIB]);
    assert!(full.is_err(), "the disk is full");
    Tool::reclaim(&config).arg("--emergency").exits(0).says("now ");
    assert!(!ssd.at().join("junk").exists());
    let lines = fs::read_to_string(ssd.at().join("audit.jsonl")).unwrap();
    assert_eq!(lines.matches("\"event\":\"command-").count(), 2, "{lines}");
    Tool::reclaim(&config).arg("--history").exits(0).says("emergency").says("1 command run");
}

#[test]
fn volumes_of_containers_are_never_removed_unnoticed() {
    let scratch = Scratch::new();
    let docker = scratch.program("docker", "#!/bin/sh\nexit 0\n");
    let section =
        |more: &str| format!("[reclaim.docker]\ncommand = [{docker:?}, 'system', 'prune', '-f'{more}]\n");
    let config = scratch.config(&section(""));
    for words in ["--check-config", "-n", "-q"] {
        let done = Tool::reclaim(&config).arg(words).exits(0);
        assert!(!done.stdout.contains("databases"), "{}", done.stdout);
    }
    let config = scratch.config(&section(", '--volumes'"));
    for words in ["--check-config", "-n", "-q"] {
        Tool::reclaim(&config)
            .arg(words)
            .exits(0)
            .says("WARNING: this removes the volumes")
            .says("databases have been lost");
    }
}

#[test]
fn holds_turns_and_volumes_are_heeded() {
    let scratch = Scratch::new();
    let log = scratch.path().join("log");
    let note = shell("note", &format!("echo ran >>{}", log.display()), "");
    let config = scratch.config(&note);
    let runs = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    Tool::reclaim(&config).args("--every 1h").exits(0);
    Tool::reclaim(&config).args("--every 1h").exits(0).is_silent();
    assert_eq!(runs(), 1);
    let hold = scratch.folder("state/shared").join("hold.note");
    fs::write(&hold, "1h").unwrap();
    Tool::reclaim(&config).exits(1).says("held until").says("nothing was done");
    assert_eq!(runs(), 1);
    fs::remove_file(&hold).unwrap();
    let gone = scratch.folder("gone");
    let config = scratch.config(&(volume("gone", &gone, "") + &note + "volume = 'gone'\n"));
    Tool::reclaim(&config).exits(4).says("volume gone is not mounted at");
    assert_eq!(runs(), 1);
}

#[test]
fn where_nothing_can_be_written_down_nothing_is_run() {
    let scratch = Scratch::new();
    let text = scratch.host().replace("audit.jsonl", "no/such/audit.jsonl").replace(
        &format!("runtime-dir = '{}/run'", scratch.path().display()),
        "runtime-dir = '/proc/no/such'",
    );
    let note = shell("note", &format!("touch {}/ran", scratch.path().display()), "");
    let config = scratch.file("maint.toml", &(text + &note));
    Tool::reclaim(&config).exits(4).says("nothing is run that cannot be accounted for");
    assert!(!scratch.path().join("ran").exists());
}
