//! Documents are true: their console blocks are executed, the map of the code names every file, and every
//! invariant names a test that is there.

use maint_tests::Scratch;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a folder with one of these endings.
fn files(folder: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "target" && name != ".git" {
            all.extend(files(&path, ends));
        } else if ends.iter().any(|end| name.ends_with(end)) {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// The commands of a document's console blocks with what each should print.
fn transcripts(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(command), _) => all.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => *output += &format!("{line}\n"),
                (None, None) => panic!("output before a command: {line}"),
            },
            _ => {}
        }
    }
    all
}

/// `[..]` stands for anything within a line, a line `...` for any lines.
fn looks_like(pattern: &[&str], lines: &[&str]) -> bool {
    match (pattern, lines) {
        ([], lines) => lines.is_empty(),
        (["...", rest @ ..], lines) => (0..=lines.len()).any(|n| looks_like(rest, &lines[n..])),
        ([first, rest @ ..], [line, lines @ ..]) => line_looks_like(first, line) && looks_like(rest, lines),
        _ => false,
    }
}

fn line_looks_like(pattern: &str, line: &str) -> bool {
    match pattern.split_once("[..]") {
        None => pattern == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|after| {
            (0..=after.len())
                .filter(|n| after.is_char_boundary(*n))
                .any(|n| line_looks_like(rest, &after[n..]))
        }),
    }
}

#[test]
fn every_console_block_prints_what_it_says() {
    let bin = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    let mut ran = 0;
    for document in files(&project(), &[".md"]) {
        let scratch = Scratch::new();
        let config = scratch.config("");
        let work = scratch.folder("work");
        for (command, expected) in transcripts(&fs::read_to_string(&document).unwrap()) {
            let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", bin.display());
            let done = Command::new("bash")
                .args(["-c", &format!("{command} 2>&1")])
                .current_dir(&work)
                .env_clear()
                .env("PATH", path)
                .env("MAINT_BIN", &bin)
                .env("MAINT_CONFIG", &config)
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&done.stdout).into_owned();
            let (pattern, lines): (Vec<&str>, Vec<&str>) =
                (expected.lines().collect(), printed.lines().collect());
            assert!(
                looks_like(&pattern, &lines),
                "{}: $ {command}\nsays\n{expected}\nprints\n{printed}",
                document.display()
            );
            ran += 1;
        }
    }
    assert!(ran >= 5, "only {ran} commands in all documents");
}

#[test]
fn the_map_names_every_source_file_and_no_other() {
    let map = fs::read_to_string(project().join("docs/architecture.md")).unwrap();
    let sources: Vec<PathBuf> = files(&project().join("crates"), &[".rs"])
        .into_iter()
        .chain(files(&project().join("tests"), &[".rs"]))
        .collect();
    for source in &sources {
        let name = source.strip_prefix(project()).unwrap().to_str().unwrap();
        assert!(map.contains(&format!("`{name}`")), "docs/architecture.md does not name `{name}`");
    }
    for word in map.split('`').filter(|word| word.starts_with("crates/") || word.starts_with("tests/")) {
        assert!(project().join(word).exists(), "docs/architecture.md names `{word}`, which is not there");
    }
}

#[test]
fn every_invariant_names_a_test_that_is_there() {
    let map = fs::read_to_string(project().join("docs/architecture.md")).unwrap();
    let sources = files(&project().join("crates"), &[".rs"])
        .into_iter()
        .chain(files(&project().join("tests"), &[".rs"]));
    let code: String = sources.map(|path| fs::read_to_string(path).unwrap()).collect();
    let held: Vec<&str> =
        map.lines().filter_map(|line| line.split_once("held by ").map(|(_, rest)| rest)).collect();
    assert!(held.len() >= 10, "only {} invariants", held.len());
    for name in held.iter().flat_map(|rest| rest.split('`').skip(1).step_by(2)) {
        let test = name.rsplit("::").next().unwrap();
        let known = code.contains(&format!("fn {test}("))
            || test.contains("compile_fail")
            || test.starts_with("clippy");
        assert!(known, "docs/architecture.md names the test `{name}`, which is not there");
    }
}

#[test]
fn every_shipped_configuration_is_correct() {
    for example in files(&project().join("deploy"), &[".toml"]) {
        for tool in [
            maint_tests::Tool::prune(&example),
            maint_tests::Tool::check(&example),
            maint_tests::Tool::reclaim(&example),
            maint_tests::Tool::orphans(&example),
            maint_tests::Tool::backup(&example),
        ] {
            tool.arg("--check-config").exits(0);
        }
    }
}
