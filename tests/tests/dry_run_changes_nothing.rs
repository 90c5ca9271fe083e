//! A dry run changes nothing, and what it lists is what a run removes; both are what an oracle says that
//! knows nothing of the code.

use maint_tests::{Picture, Random, Scratch, Tool, Tree, days, files_older_than, scale};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

const ENDS: [&str; 4] = [".jpg", ".png", ".json", ".tmp"];

/// Files of random ages in random folders, three levels deep; none within a minute of the limit.
fn random_tree(root: &Path, random: &mut Random, files: usize) -> Tree {
    let mut tree = Tree::at(root);
    for n in 0..files {
        let mut name = String::new();
        for _ in 0..random.below(4) {
            name += &format!("f{}/", random.below(5));
        }
        name += &format!("{n}{}", random.pick(&ENDS));
        let age = i64::try_from(random.below(60)).unwrap() * days(1) + 600;
        tree = tree.file(name, age);
    }
    tree
}

fn listed(raw: &[u8]) -> BTreeSet<PathBuf> {
    raw.split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsStr::from_bytes(name).into())
        .collect()
}

#[test]
fn what_is_listed_is_what_goes_and_what_the_oracle_says() {
    let mut random = Random::seeded("oracle");
    for round in 0..scale(6, 60) {
        let scratch = Scratch::new();
        let tree = random_tree(&scratch.folder("tree"), &mut random, 300);
        let prune = |more: &str| {
            Tool::new("prune-images")
                .env("HOME", scratch.path())
                .args("--match *.jpg --match *.json --max-age 30d --path")
                .arg(tree.root())
                .args(more)
        };
        let oracle = files_older_than(tree.root(), &[".jpg", ".json"], days(30));

        let before = Picture::of(tree.root());
        let dry = prune("--dry-run --json").exits(0).json();
        let list = listed(&prune("--print0").exits(0).raw);
        let lines = prune("--list").exits(0).stdout.lines().count();
        prune("-n").exits(0);
        before.assert_unchanged();

        assert_eq!(list, oracle, "round {round}");
        assert_eq!(lines, oracle.len());
        assert_eq!(dry["totals"]["files_selected"], oracle.len());
        assert_eq!(dry["totals"]["files_deleted"], 0);

        let all: BTreeSet<PathBuf> = files_older_than(tree.root(), &[], 0);
        let done = prune("--json").exits(0).json();
        assert_eq!(done["totals"]["files_deleted"], oracle.len());
        assert_eq!(done["totals"]["bytes_freed"], dry["totals"]["bytes_to_free"]);
        assert_eq!(dry["totals"]["bytes_freed"], 0);
        let left = files_older_than(tree.root(), &[], 0);
        assert_eq!(left, all.difference(&oracle).cloned().collect(), "round {round}");
        prune("--json").exits(0).says("\"files_selected\":0");
    }
}

#[test]
fn no_thread_count_changes_the_result() {
    for workers in [1, 2, 7, 64] {
        let scratch = Scratch::new();
        let mut random = Random::seeded("workers");
        let tree = random_tree(&scratch.folder("tree"), &mut random, 1500);
        let oracle = files_older_than(tree.root(), &[], days(30));
        let done = Tool::new("prune-images")
            .args("--json --max-age 30d --path")
            .arg(tree.root())
            .args(&format!("--workers {workers}"));
        assert_eq!(done.exits(0).json()["totals"]["files_deleted"], oracle.len(), "{workers} workers");
        assert!(files_older_than(tree.root(), &[], days(30)).is_empty());
    }
}

#[test]
fn a_section_that_says_dry_run_is_never_carried_out() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("a", days(9));
    let config = scratch
        .file("c.toml", &format!("[files.a]\npath = {:?}\nmax-age = '1d'\ndry-run = true\n", tree.root()));
    let before = Picture::of(tree.root());
    Tool::prune(&config).exits(0).says("DRY RUN");
    Tool::prune(&config).args("--force max-share a").exits(0).says("to be removed  1 file");
    before.assert_unchanged();
}

#[test]
fn a_folder_that_went_empty_goes_and_the_root_never_does() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("day/hour/a", days(9)).file("kept/b", 0);
    std::fs::create_dir(tree.path("was-empty")).unwrap();
    let root = tree.root().to_owned();
    let prune = |more: &str| Tool::new("prune-images").args("--max-age 1d --path").arg(&root).args(more);
    prune("").exits(0);
    assert!(!tree.has("day") && tree.has("kept/b") && tree.has("was-empty"));
    let tree = tree.file("again/a", days(9));
    prune("--keep-empty-folders").exits(0);
    assert!(tree.has("again") && !tree.has("again/a"));
    std::fs::remove_file(tree.path("kept/b")).unwrap();
    let tree = tree.file("kept/b", days(9));
    prune("").exits(0);
    assert!(tree.root().is_dir() && !tree.has("kept"));
}

#[test]
fn a_limit_is_kept_and_the_next_run_goes_on() {
    let scratch = Scratch::new();
    let tree = (0..50)
        .fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("d{}/{n}", n % 7), days(9)));
    let prune =
        |more: &str| Tool::new("prune-images").args("--json --max-age 1d --path").arg(tree.root()).args(more);
    let first = prune("--limit 20 --workers 4").exits(0).json();
    assert_eq!((&first["totals"]["files_deleted"], &first["totals"]["remaining"]), (&20.into(), &30.into()));
    assert_eq!(files_older_than(tree.root(), &[], days(1)).len(), 30);
    let second = prune("").exits(0).json();
    assert_eq!((&second["totals"]["files_deleted"], &second["totals"]["remaining"]), (&30.into(), &0.into()));
    assert_eq!(tree.clone().file("x", days(9)).root(), tree.root());
    prune("--limit 0 -n").exits(0).says("\"bytes_to_free\":0").says("\"remaining\":1");
    assert_eq!(prune("--limit 0").exits(0).json()["totals"]["files_deleted"], 0);
}
