//! A saved plan is carried out exactly, or less: each file must be the one that was looked at, on the same
//! machine, filesystem and configuration.

use maint_tests::{Done, Kills, Mounted, Picture, Random, Scratch, Tool, Tree, days, now, scale, set_age};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// A tree, its configuration, and the plan of what its policy lets go.
struct Planned {
    scratch: Scratch,
    tree: Tree,
    config: PathBuf,
    plan: PathBuf,
}

const OLD: &str = "max-age = '1d'\nguard = { max-share = '100%' }\nempty-folders = 'keep'\n";

impl Planned {
    fn of(fill: impl FnOnce(Tree) -> Tree, keys: &str) -> Self {
        let scratch = Scratch::new();
        let tree = fill(Tree::at(&scratch.folder("tree")));
        let config = scratch.config(&tree.section("a", &format!("{OLD}{keys}")));
        let plan = scratch.path().join("plan.jsonl");
        let planned = Self { scratch, tree, config, plan };
        planned.save().exits(0);
        planned
    }

    fn save(&self) -> Tool {
        Tool::prune(&self.config).arg("--save-plan").arg(&self.plan)
    }

    fn apply(&self) -> Tool {
        Tool::prune(&self.config).arg("--apply").arg(&self.plan)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.plan).unwrap()
    }

    /// Edits the plan as somebody would who knows how its checksum is made.
    fn forge(&self, from: &str, to: &str) {
        let text = self.text();
        let (body, last) = text.trim_end().rsplit_once('\n').unwrap();
        let body = format!("{body}\n").replacen(from, to, 1);
        assert!(body.contains(to), "{from} is not in {body}");
        let mut child =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let sum = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let mut last: serde_json::Value = serde_json::from_str(last).unwrap();
        last["sha256"] = sum.split(' ').next().unwrap().into();
        fs::write(&self.plan, format!("{body}{last}\n")).unwrap();
    }

    fn is_refused(&self, why: &str) {
        let before = Picture::of(self.tree.root());
        self.apply().exits(4).says(why).says("REFUSED");
        before.assert_unchanged();
    }
}

fn three_old(tree: Tree) -> Tree {
    tree.file("x/a", days(9)).file("x/b", days(9)).file("c", days(9)).file("new", 0)
}

#[test]
fn a_plan_is_what_is_listed_and_what_goes() {
    let names = ["d/plain", "d/two\nlines", "d/\"quoted\\", "ü/ä.jpg"];
    let raw: [&[u8]; 2] = [b"d/not \xff text", b"\xfe\xff/x"];
    let planned = Planned::of(
        |tree| {
            let tree = names.iter().fold(tree, |tree, name| tree.file(name, days(9)));
            raw.iter().fold(tree, |tree, name| tree.file(name, days(9))).file("d/new", 0)
        },
        "",
    );
    let before = Picture::of(planned.tree.root());
    planned.save().exits(0).says("6 steps saved in").says("to be removed  6 files");
    before.assert_unchanged();
    assert_eq!(fs::metadata(&planned.plan).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = Tool::prune(&planned.config).arg("--list").exits(0);
    assert_eq!(listed.stdout.lines().count(), 6);
    assert!(planned.text().contains("\"reason\":\"older than 24h by 8d\""), "{}", planned.text());

    planned.apply().arg("--dry-run").exits(0).says("to be removed  6 files").says("DRY RUN");
    before.assert_unchanged();
    let done = planned.apply().arg("--json").exits(0).json();
    assert_eq!(done["totals"]["files_deleted"], 6);
    assert_eq!(planned.tree.names(), ["d/new"]);
    let audit = fs::read_to_string(planned.scratch.path().join("audit.jsonl")).unwrap();
    assert_eq!(audit.matches("\"event\":\"removed\"").count(), 6);
    planned.apply().exits(0).says("removed        0 files").says("6 files of the plan gone already");
}

#[test]
fn what_has_changed_in_between_is_kept_and_named() {
    let (files, changed) = (scale(4_000, 100_000), scale(40, 1_000));
    let planned = Planned::of(
        |tree| {
            for n in 0..100 {
                fs::create_dir(tree.path(format!("d{n}"))).unwrap();
            }
            (0..files).fold(tree, |tree, n| tree.file(format!("d{}/f{n}", n % 100), days(9)))
        },
        "",
    );
    let mut random = Random::seeded("plan");
    let step = files / changed;
    let names: Vec<String> =
        (0..changed).map(|n| n * step + random.below(step)).map(|n| format!("d{}/f{n}", n % 100)).collect();
    for (n, name) in names.iter().enumerate() {
        let path = planned.tree.path(name);
        match n % 6 {
            // Grown, or as long as before and as old.
            0 => writeln!(File::options().append(true).open(&path).unwrap(), "more").unwrap(),
            1 => {
                fs::write(&path, [b'y'; 10]).unwrap();
                set_age(&path, days(9));
            }
            // Another file in its place.
            2 => {
                fs::write(path.with_extension("tmp"), [b'x'; 10]).unwrap();
                set_age(&path.with_extension("tmp"), days(9));
                fs::rename(path.with_extension("tmp"), &path).unwrap();
            }
            3 => fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap(),
            4 => fs::hard_link(&path, planned.scratch.path().join(format!("other-name-{n}"))).unwrap(),
            _ => set_age(&path, days(8)),
        }
    }
    let done = planned.apply().exits(1);
    assert_eq!(planned.tree.names().len(), changed);
    done.says(&format!("{changed} changed").replace("1000 changed", "1,000 changed"));
    for name in &names {
        assert!(planned.tree.has(name), "{name} was kept");
        done.says(&format!("{} has changed since the plan was saved", planned.tree.path(name).display()));
    }
    println!("{} of {files} removed, {changed} kept and named", files - changed);
}

#[test]
fn nothing_but_the_steps_goes() {
    let planned = Planned::of(three_old, "");
    // Just as old, and just as condemned: but nobody has seen them.
    let tree = Tree::at(planned.tree.root()).file("x/later", days(9)).file("y/later", days(9));
    planned.apply().exits(0).says("removed        3 files");
    assert_eq!(tree.names(), ["new", "x/later", "y/later"]);
}

#[test]
fn fewer_go_when_some_are_gone_or_in_use() {
    let planned = Planned::of(three_old, "");
    fs::remove_file(planned.tree.path("c")).unwrap();
    let lock = Flock::lock(File::open(planned.tree.path("x/a")).unwrap(), FlockArg::LockShared).unwrap();
    planned.apply().exits(1).says("x/a stayed: locked").says("1 file of the plan gone already");
    assert_eq!(planned.tree.names(), ["new", "x/a"]);
    drop(lock);
    planned.apply().exits(0).says("removed        1 file");
}

#[test]
fn a_bundle_that_is_not_what_was_planned_stays_whole() {
    let bundles = |tree: Tree| {
        ["a.mp4", "a.json", "b.mp4", "b.json", "c.mp4"]
            .iter()
            .fold(tree, |tree, name| tree.file(name, days(9)))
    };
    let planned = Planned::of(bundles, "match = ['*.mp4']\nwith = ['{stem}.json']");
    fs::write(planned.tree.path("a.json"), "{}").unwrap();
    // A companion that came later was not seen, so the whole waits.
    let tree = Tree::at(planned.tree.root()).file("c.json", days(9));
    planned.apply().exits(1).says("a.json has changed").says("c.mp4 stayed");
    assert_eq!(tree.names(), ["a.json", "a.mp4", "c.json", "c.mp4"]);
}

#[test]
fn a_plan_of_elsewhere_is_refused() {
    let planned = Planned::of(three_old, "");
    let text = planned.text();
    let again = || fs::write(&planned.plan, &text).unwrap();
    let machine = text.split("\"machine\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    planned.forge(&machine, &machine.chars().rev().collect::<String>());
    planned.is_refused("not here");
    again();
    planned.forge("\"version\":\"", "\"version\":\"9.");
    planned.is_refused("was made by version 9.");
    again();
    planned.forge("\"tool\":\"prune-images\"", "\"tool\":\"another\"");
    planned.is_refused("is one of another");
    again();
    planned.forge("\"target\":\"a\"", "\"target\":\"b\"");
    planned.is_refused("there is no such section any more");
    again();
    planned.forge("\"filesystem\":\"", "\"filesystem\":\"0");
    planned.is_refused("another filesystem");
    again();
    planned.forge("\"root\":", "\"root\":1");
    planned.is_refused("another folder is in its place");
    again();
    // What leads out of the root is nothing in it.
    planned.forge("\"folder\":\"x\"", "\"folder\":\"../x\"");
    planned.apply().run();
    assert!(planned.tree.has("x/a") || planned.tree.has("x/b"), "a forged step is none");
}

#[test]
fn a_plan_that_was_edited_is_refused() {
    let planned = Planned::of(three_old, "");
    let text = planned.text();
    let lines: Vec<&str> = text.lines().collect();
    let edited = [
        text.replacen("\"name\":\"a\"", "\"name\":\"new\"", 1),
        text.replacen("\"size\":10", "\"size\":11", 1),
        lines[..lines.len() - 1].join("\n") + "\n",
        text[..text.len() - 10].to_owned(),
        text.trim_end().to_owned(),
        [&lines[..3], &lines[4..]].concat().join("\n") + "\n",
        text.clone() + lines[2] + "\n",
        text.replace('\n', "\r\n"),
    ];
    for text in edited {
        fs::write(&planned.plan, text).unwrap();
        planned.is_refused("is not as it was saved");
    }
}

#[test]
fn a_plan_is_refused_when_the_configuration_has_changed() {
    let planned = Planned::of(three_old, "");
    let config = fs::read_to_string(&planned.config).unwrap();
    for (from, to) in [("'1d'", "'2d'"), ("[files.a]", "[files.b]"), ("'keep'", "'remove'")] {
        fs::write(&planned.config, config.replacen(from, to, 1)).unwrap();
        let why = if to == "[files.b]" { "no such section" } else { "the configuration has changed" };
        planned.is_refused(why);
    }
    // What another section says is no concern.
    fs::write(
        &planned.config,
        format!("{config}# a remark\n[files.z]\npath = '/nonexistent'\nmax-age = '1d'\n"),
    )
    .unwrap();
    planned.apply().exits(0).says("removed        3 files");
}

#[test]
fn a_plan_lasts_a_day() {
    let planned = Planned::of(three_old, "");
    let at = |moment: i64| Tool::prune_at(&planned.config, moment, true).arg("--apply").arg(&planned.plan);
    at(now() + days(1) + 60).exits(4).says("and one lasts 24h");
    at(now() - 3600).exits(4).says("was made in the future");
    assert_eq!(planned.tree.names().len(), 4);
    at(now() + days(1) - 600).exits(0).says("removed        3 files");
}

#[test]
fn another_folder_or_filesystem_in_its_place_is_refused() {
    let planned = Planned::of(three_old, "");
    let (root, aside) = (planned.tree.root().to_owned(), planned.scratch.path().join("aside"));
    fs::rename(&root, &aside).unwrap();
    three_old(Tree::at(&planned.scratch.folder("tree")));
    planned.is_refused("another folder is in its place");
    fs::remove_dir_all(&root).unwrap();
    fs::create_dir(&root).unwrap();
    let other = Mounted::ext4(&root, 8);
    three_old(Tree::at(&root));
    planned.is_refused("another filesystem");
    drop(other);
    fs::remove_dir(&root).unwrap();
    planned.apply().exits(1).says("is not there");
    fs::rename(&aside, &root).unwrap();
    planned.apply().exits(0).says("removed        3 files");
}

#[test]
fn where_inode_numbers_do_not_last_no_plan_is_saved() {
    let scratch = Scratch::new();
    let lower = Tree::at(&scratch.folder("lower"));
    three_old(lower);
    let (upper, work, merged) = (scratch.folder("upper"), scratch.folder("work"), scratch.folder("merged"));
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        scratch.path().join("lower").display(),
        upper.display(),
        work.display()
    );
    let _overlay = Mounted::with(&["-t", "overlay", "-o", &options, "overlay"], &merged);
    let tree = Tree::at(&merged);
    let config = scratch.config(&tree.section("a", OLD));
    let plan = scratch.path().join("plan");
    Tool::prune(&config).arg("--save-plan").arg(&plan).exits(4).says("is overlay, where an inode number");
    Tool::prune(&config).arg("--apply").arg(&plan).exits(0);
    assert_eq!(tree.names().len(), 4);
}

#[test]
fn a_plan_that_others_could_have_written_is_not_read() {
    let planned = Planned::of(three_old, "");
    fs::set_permissions(&planned.plan, fs::Permissions::from_mode(0o622)).unwrap();
    planned.apply().exits(3).warns("others may write to it");
    fs::set_permissions(&planned.plan, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&planned.plan, Some(1234), None).unwrap();
    planned.apply().exits(3).warns("belongs neither to you nor to root");
    fs::remove_file(&planned.plan).unwrap();
    planned.apply().exits(3).warns("No such file");
    fs::create_dir(&planned.plan).unwrap();
    planned.apply().exits(3).warns("is not a file");
    for text in ["", "hello\n", "{}\n", "{\"schema\":\"maint.plan/2\"}\n"] {
        let _ = fs::remove_dir(&planned.plan);
        fs::write(&planned.plan, text).unwrap();
        planned.apply().exits(3).warns("is no saved plan");
    }
    assert_eq!(planned.tree.names().len(), 4);
}

#[test]
fn what_makes_no_sense_is_said() {
    let planned = Planned::of(three_old, "");
    let refuses = |words: &str| {
        let done = Tool::prune(&planned.config).args(words).exits(3);
        assert!(!done.stderr.is_empty());
    };
    for words in
        ["--save-plan", "--apply", "--save-plan x --list", "--save-plan x --apply y", "--apply x --emergency"]
    {
        refuses(words);
    }
    Tool::prune(&planned.config)
        .args("--save-plan /nonexistent/x")
        .exits(3)
        .warns("cannot be saved in /nonexistent/x");
    planned.apply().arg("b").exits(3).warns("no section [files.b]");
    assert_eq!(planned.tree.names().len(), 4);
}

#[test]
fn a_plan_without_a_configuration_is_applied_with_the_same_words() {
    let scratch = Scratch::new();
    let tree = three_old(Tree::at(&scratch.folder("tree")));
    let plan = scratch.path().join("plan");
    let words =
        |age: &str| Tool::new("prune-images").arg("--path").arg(tree.root()).arg("--max-age").arg(age);
    words("1d").arg("--save-plan").arg(&plan).exits(0).says("3 steps saved");
    words("2d").arg("--apply").arg(&plan).exits(4).says("the configuration has changed");
    words("1d").arg("--apply").arg(&plan).exits(0).says("removed        3 files");
}

#[test]
fn a_plan_killed_half_way_is_finished_by_the_next() {
    let mut kills = Kills::new(scale(15, 60));
    let mut random = Random::seeded("plan kill");
    while let Some(round) = kills.next_round() {
        let planned = Planned::of(
            |tree| {
                (0..400).fold(tree, |tree, n| tree.file(format!("d{}/f{n}", n % 9), days(9))).file("new", 0)
            },
            "",
        );
        let mut child = planned.apply().start();
        std::thread::sleep(Duration::from_micros(random.below(25_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = planned.tree.names().len() - 1;
        kills.met(left > 0 && left < 400);
        planned.apply().exits(0);
        assert_eq!(planned.tree.names(), ["new"], "round {round}");
    }
    kills.assert_enough();
}

#[test]
fn an_interrupted_look_saves_nothing() {
    let planned = Planned::of(three_old, "");
    let path = planned.scratch.path().join("other");
    fs::write(&path, "as it was").unwrap();
    // Not even half a plan takes the place of an older file.
    Tool::prune(&planned.config).args("--save-plan").arg(&path).arg("nonexistent").exits(3);
    assert_eq!(fs::read_to_string(&path).unwrap(), "as it was");
}

#[test]
fn the_plan_of_an_emergency_is_spent_exactly() {
    let scratch = Scratch::new();
    let mounted = Mounted::ext4(&scratch.folder("disk"), 32);
    let mut tree = Tree::at(&mounted.at().join("images"));
    for n in 0..20 {
        tree = tree.sized(format!("{n:02}.jpg"), days(30) - n * 3600, 1 << 20);
    }
    let config = scratch.config(&format!(
        "[volume.disk]\npath = {:?}\nemergency = {{ at = '50%', until = '40%' }}\n{}",
        mounted.at(),
        tree.section("a", "max-age = '90d'\nemergency = { keep-newest = 3 }")
    ));
    let plan = scratch.path().join("plan");
    let saved = Tool::prune(&config).arg("--emergency").arg("--save-plan").arg(&plan).exits(0);
    saved.says("→ 40% needs");
    let steps = fs::read_to_string(&plan).unwrap().matches("\"inode\"").count();
    assert!((5..17).contains(&steps), "{steps}");
    let done: Done = Tool::prune(&config).arg("--apply").arg(&plan).arg("--json").exits(0);
    assert_eq!(done.json()["mode"], "emergency");
    let kept: Vec<String> = (steps..20).map(|n| format!("{n:02}.jpg")).collect();
    assert_eq!(tree.names(), kept, "the oldest went");
    Tool::prune(&config).arg("--emergency").exits(0).says("nothing to do");
}

#[test]
fn names_are_written_so_that_they_come_back() {
    let planned = Planned::of(|tree| tree.file(b"\xff", days(9)), "");
    assert!(planned.text().contains("{\"hex\":\"ff\"}"), "{}", planned.text());
    planned.apply().exits(0);
    assert!(planned.tree.names().is_empty());
}
