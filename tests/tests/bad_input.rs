//! Whatever is wrong with what was asked for: exit 3, a place, what would be right, and nothing touched.

use maint_tests::{Done, Picture, Scratch, Tool, Tree, days};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

/// A section's text in which the second line is wrong, the column of the fault, and the words to expect.
const KEYS: [(&str, usize, &str); 64] = [
    ("path = 'relative'", 8, "is not absolute"),
    ("path = '/srv/../etc'", 8, "write the path out"),
    ("path = 7", 8, "invalid type: integer `7`"),
    ("match = '*.jpg'", 9, "expected a list of patterns, such as [\"*.jpg\", \"*.png\"]"),
    ("match = []", 9, "leave the key out to mean every file"),
    ("match = ['']", 10, "it is empty and matches nothing"),
    ("match = ['*.{jpg,png}']", 10, "braces are not expanded"),
    ("match = ['[a']", 10, "is not closed"),
    ("match = ['a**']", 10, "** stands alone between slashes"),
    ("match = ['../x']", 10, "no part .., or"),
    ("match = [3]", 10, "expected a pattern such as \"*.jpg\""),
    ("exclude = 'x'", 11, "expected a list of patterns"),
    ("exclude = ['x/']", 12, "to exclude a folder write its name"),
    ("max-age = 30", 11, "expected a duration such as \"90s\""),
    ("max-age = '30'", 11, "write a whole number and a unit: 90s, 15min, 24h, 7d, 2w, 6mo or 1y"),
    ("max-age = '5m'", 11, "write 5min for minutes or 5mo for months"),
    ("max-age = '-1d'", 11, "is not a duration"),
    ("max-age = '99999999999999y'", 11, "more than 1000 years"),
    ("max-age = ''", 11, "is not a duration"),
    ("max-aeg = '1d'", 1, "unknown field `max-aeg`, expected one of `path`, `match`, `exclude`, `with`"),
    ("with = ['*.json']", 9, "write {stem} or {name} once, such as \"{stem}.json\""),
    ("with = ['{stem}.json']", 8, "needs match"),
    ("age-by = 'size'", 10, "write one of mtime ctime atime btime newest, or name:"),
    ("age-by = 'name:%y%m%d'", 10, "%y"),
    ("age-by = { name = '%Y' }", 10, "no full date"),
    ("age-by = { format = '%Y' }", 12, "unknown field `format`, expected `name` or `utc`"),
    ("max-files = 0", 13, "0 would keep nothing"),
    ("max-size = '5k'", 12, "write a whole number and a unit"),
    ("keep-newest = '5'", 15, "a number such as 25, or { count = 25, per = \"folder\" }"),
    ("keep-newest = 0", 15, "0 would keep nothing"),
    ("keep-newest = { count = 5, per = 'cam' }", 34, "a pattern with a word in braces"),
    ("keep = {}", 8, "it names no count"),
    ("keep = { dayly = 7 }", 10, "unknown field `dayly`, expected one of `last`, `hourly`"),
    ("thin = []", 8, "at least one step"),
    (
        "thin = [{ older-than = '1d', keep = 'minutely' }]",
        37,
        "write one of hourly daily weekly monthly yearly",
    ),
    ("then = 'burn'", 8, "\"delete\", { move-to = \"/path\" } or { archive-to = \"/path\" }"),
    ("then = { move-to = '/a', archive-to = '/b' }", 8, "a file leaves in one way"),
    ("then = { move-to = 'here' }", 8, "is not absolute"),
    ("spare = { lock-files = ['x.lock'] }", 25, "write {stem} or {name} once"),
    (
        "spare = { open = true }",
        11,
        "unknown field `open`, expected one of `locked`, `held-open`, `lock-files`",
    ),
    ("limit = { files = 0 }", 9, "0 would let nothing go, ever"),
    ("limit = { rate = 'fast' }", 18, "write files a second, such as \"500/s\""),
    ("limit = { io-pressure = 40 }", 25, "such as \"85%\""),
    ("workers = 0", 11, "somebody must do the work"),
    ("guard = { volume = 'nix' }", 9, "there is no [volume.nix]"),
    ("guard = { marker = 'a/b' }", 9, "is a name, not a path"),
    ("settle = 'soon'", 10, "is not a duration"),
    ("settle-by = 'atime'", 13, "write one of mtime ctime"),
    ("recursive = 'yes'", 13, "expected a boolean"),
    ("max-depth = 0", 13, "1 is the folder itself"),
    ("max-depth = -1", 13, "expected u32"),
    ("max-depth = 1.5", 13, "expected u32"),
    ("empty-folders = 'burn'", 17, "write one of remove keep"),
    ("empty-folders = true", 17, "one of the words \"remove\" \"keep\""),
    ("private = 1", 11, "expected a boolean"),
    ("dry-run = 'no'", 11, "expected a boolean"),
    ("guard = 5", 9, "invalid type: integer `5`"),
    ("guard = { max-share = '101%' }", 23, "write a number from 0 to 100 and a percent sign: 85% or 92.5%"),
    ("guard = { max-share = 95 }", 23, "expected a share such as \"85%\""),
    (
        "guard = { maxshare = '9%' }",
        11,
        "unknown field `maxshare`, expected one of `volume`, `marker`, `max-share`",
    ),
    ("max-age = '1d'\nmax-age = '2d'", 1, "duplicate key"),
    ("max-age = '${NOT_SET_ANYWHERE}'", 11, "NOT_SET_ANYWHERE is not set"),
    ("max-age = '${EMPTY_ONE:-1d}'", 11, "EMPTY_ONE is empty"),
    ("max-age = '1d", 1, "invalid"),
];

/// It said where and what, and nothing else.
fn assert_blames(done: &Done, fault: &str, place: &str, says: &str) {
    assert_eq!(done.stdout, "", "{fault}");
    assert!(done.stderr.contains(place), "{fault}: no {place} in\n{}", done.stderr);
    assert!(done.stderr.contains(says), "{fault}: no \"{says}\" in\n{}", done.stderr);
}

/// The column of a fault in a section, in whichever of its lines; with 0 the line of its heading.
fn place_of(config: &Path, heading: &str, column: usize) -> String {
    if column > 0 {
        return format!(":{column}: [{heading}]: ");
    }
    let text = fs::read_to_string(config).unwrap();
    let line = text.lines().position(|line| line == format!("[{heading}]")).unwrap() + 1;
    format!("maint.toml:{line}:")
}

#[test]
fn every_key() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let picture = Picture::of(tree.root());
    for (fault, column, says) in KEYS {
        let line = 1 + fault.lines().count();
        let mut rest = String::new();
        for (key, value) in [("path", format!("{:?}", tree.root())), ("max-age", "'1d'".to_owned())] {
            if !fault.starts_with(key) {
                rest += &format!("{key} = {value}\n");
            }
        }
        let config = scratch.file("c.toml", &format!("[files.a]\n{fault}\n{rest}"));
        let done = Tool::prune(&config).env("EMPTY_ONE", "").exits(3);
        // Where a string is not closed the parser points at its end.
        let place = format!("{}:{line}:", config.display());
        if says != "invalid" {
            assert!(
                done.stderr.contains(&format!("{place}{column}: ")),
                "{fault}: column {column} in\n{}",
                done.stderr
            );
        }
        let says = if says == "no part .., or" { "no .." } else { says };
        assert_blames(&done, fault, &place, says);
        Tool::prune(&config).env("EMPTY_ONE", "").arg("--check-config").exits(3);
        Tool::prune(&config).env("EMPTY_ONE", "").arg("--cron").exits(3).warns(says);
    }
    picture.assert_unchanged();
}

/// The same for a command.
const COMMANDS: [(&str, usize, &str); 20] = [
    (
        "command = 'docker system prune'",
        11,
        "expected a list of words, such as [\"docker\", \"system\", \"prune\", \"-f\"]",
    ),
    ("command = []", 11, "names no program"),
    ("command = ['']", 11, "names no program"),
    ("command = ['docker system prune']", 11, "write [\"docker\", \"system\", \"prune\"]"),
    ("command = ['./clean']", 11, "depends on where one stands"),
    ("command = ['../clean', 'x']", 11, "depends on where one stands"),
    ("command = ['rm', 7]", 18, "invalid type: integer `7`"),
    ("command = ['rm', \"a\\u0000b\"]", 11, "no argument can hold a NUL"),
    (
        "comand = ['true']",
        1,
        "unknown field `comand`, expected one of `command`, `timeout`, `priority`, `volume`",
    ),
    ("timeout = 30", 11, "expected a duration"),
    ("timeout = '5m'", 11, "5min"),
    ("timeout = '0s'", 11, "0 would stop it before it began"),
    ("timout = '5s'", 1, "unknown field `timout`"),
    ("priority = -1", 12, "expected u32"),
    ("priority = 'first'", 12, "expected u32"),
    ("volume = 'nix'", 10, "there is no [volume.nix]"),
    ("volume = 5", 10, "expected a string"),
    ("enabled = 'no'", 11, "expected a boolean"),
    ("dry-run = 1", 11, "expected a boolean"),
    ("shell = true", 1, "unknown field `shell`"),
];

#[test]
fn every_key_of_a_command() {
    let scratch = Scratch::new();
    let ran = scratch.path().join("ran");
    for (fault, column, says) in COMMANDS {
        let command = format!("command = ['touch', {ran:?}]\n");
        let rest = if fault.starts_with("command") { "" } else { command.as_str() };
        let config = scratch.file("c.toml", &format!("[reclaim.a]\n{fault}\n{rest}"));
        let place = format!("{}:2:{column}: ", config.display());
        assert_blames(&Tool::reclaim(&config).exits(3), fault, &place, says);
        for words in ["--check-config", "--cron", "--emergency"] {
            Tool::reclaim(&config).arg(words).exits(3).warns(says);
        }
    }
    let config = scratch.config(&format!("[reclaim.a]\ncommand = ['touch', {ran:?}]\n"));
    for (words, says) in [
        ("nosuch", "no section [reclaim.nosuch]: known are a"),
        ("--emergency --every 1h", "never done before its time"),
        ("--until-usage 85", "a percent sign"),
        ("--until-usage 85% --until-free 1GiB", "cannot be used with"),
        ("--limit 5", "unexpected argument"),
        ("--workers 2", "unexpected argument"),
        ("--force volume", "unexpected argument"),
        ("--list", "unexpected argument"),
        ("--path /tmp", "unexpected argument"),
    ] {
        Tool::reclaim(&config).args(words).exits(3).warns(says);
    }
    assert!(!ran.exists());
}

/// The same of what `check-disk` reads: a heading, the line below it, the column of the fault, the words. A
/// column of 0 is the heading itself.
const CHECKED: [(&str, &str, usize, &str); 45] = [
    ("volume.a", "path = 'relative'", 8, "is not absolute"),
    ("volume.a", "pth = '/x'", 1, "unknown field `pth`, expected one of `path`, `uuid`, `warn`, `crit`"),
    ("volume.a", "uuid = 'sda1'", 8, "is no UUID: copy what blkid or lsblk -f prints"),
    ("volume.a", "wran = '85%'", 1, "unknown field `wran`"),
    ("volume.a", "warn = 85", 8, "85"),
    ("volume.a", "warn = '85'", 8, ""),
    ("volume.a", "warn = '101%'", 8, ""),
    ("volume.a", "warn = {}", 8, ""),
    ("volume.a", "warn = { usd = '5%' }", 10, "unknown field `usd`"),
    ("volume.a", "warn = { used = '5' }", 17, ""),
    ("volume.a", "warn = { inodes = '5GiB' }", 19, ""),
    ("volume.a", "crit = 'full'", 8, ""),
    ("volume.a", "warn = '95%'\ncrit = '85%'", 8, "begins at 95%, which is no earlier than crit, 85%"),
    ("volume.a", "warn = '85%'\ncrit = '85%'", 8, "no earlier than crit"),
    ("volume.a", "warn = '1GiB'\ncrit = '2GiB'", 8, "no earlier than crit"),
    (
        "volume.a",
        "warn = { used = '5%', inodes = '90%' }\ncrit = { used = '9%', inodes = '80%' }",
        8,
        "no earlier than crit",
    ),
    ("volume.a", "forecast = { warn = '1d', crit = '7d' }", 12, "warn looks no further ahead than crit"),
    ("volume.a", "forecast = { wran = '1d' }", 14, "unknown field `wran`, expected `warn` or `crit`"),
    ("volume.a", "forecast = { warn = '5m' }", 21, "write 5min for minutes or 5mo for months"),
    ("volume.a", "forecast = '7d'", 12, "invalid type"),
    ("volume.a", "endurance = 5", 13, ""),
    ("volume.a", "endurance = '5 years'", 13, "write a whole number and a unit"),
    ("volume.a", "endurence = '5TB'", 1, "unknown field `endurence`"),
    ("watch.a", "path = 'relative'", 8, "is not absolute"),
    (
        "watch.a",
        "# nothing",
        0,
        "expects nothing: add max-files, max-orphans, max-file-size, max-size, fresh or promise",
    ),
    ("watch.a", "max-depth = 1", 0, "expects nothing"),
    ("watch.a", "max-file = 5", 1, "unknown field `max-file`, expected one of `path`, `match`"),
    ("watch.a", "max-files = '5'", 13, "expected u64"),
    ("watch.a", "max-files = -1", 13, "expected u64"),
    ("watch.a", "max-file-size = 50", 17, ""),
    ("watch.a", "max-file-size = '50'", 17, "write a whole number and a unit"),
    ("watch.a", "max-file-szie = '50MB'", 1, "unknown field `max-file-szie`"),
    ("watch.a", "max-size = 'big'", 12, "write a whole number and a unit"),
    ("watch.a", "fresh = '10m'", 9, "write 10min for minutes or 10mo for months"),
    ("watch.a", "fresh = 10", 9, "expected a duration"),
    ("watch.a", "promise = 'nosuch'", 11, "there is no [files.nosuch]"),
    ("watch.a", "severity = 'fatal'", 12, "write one of warning critical"),
    ("watch.a", "max-files = 5\nmax-depth = 0", 13, "1 is the folder itself"),
    ("watch.a", "match = []", 9, "leave the key out to mean every file"),
    ("watch.a", "match = ['*.{jpg,png}']", 10, "braces are not expanded"),
    ("watch.a", "exclude = 'x'", 11, "expected a list of patterns"),
    ("check.a", "command = []", 11, "names no program"),
    ("check.a", "command = 'check_load'", 11, "invalid type"),
    ("check.a", "command = ['x']\ntimeout = '0s'", 11, "leaves no time at all"),
    ("check.a", "commands = ['x']", 1, "unknown field `commands`, expected `command` or `timeout`"),
];

#[test]
fn every_key_of_what_is_checked() {
    let scratch = Scratch::new();
    for (heading, fault, column, says) in CHECKED {
        let path = if heading.starts_with("check") || fault.contains("path") { "" } else { "path = '/'\n" };
        let config = scratch.config(&format!("[{heading}]\n{fault}\n{path}"));
        let place = place_of(&config, heading, column);
        for words in ["", "--check-config", "--cron", "--format nagios", "--below 5%"] {
            assert_blames(&Tool::check(&config).args(words).exits(3), fault, &place, says);
        }
        assert!(!scratch.path().join("state").exists() && !scratch.path().join("run").exists(), "{fault}");
    }
    // What prunes is another tool's to judge, and the other way round.
    let config =
        scratch.config("[files.a]\nnonsense = 5\n[volume.root]\npath = '/'\nwarn = '99.9%'\ncrit = '100%'\n");
    Tool::check(&config).exits(0);
    let tree = Tree::at(&scratch.folder("tree"));
    let config =
        scratch.config(&(tree.section("a", "max-age = '1d'") + "[watch.w]\nnonsense = 5\n[check.c]\n"));
    Tool::prune(&config).exits(0);
}

/// Sections of `orphan-metadata`: what is wrong, in which column (0: the heading), and what is said of it.
const ALONE: [(&str, usize, &str); 24] = [
    ("# nothing", 0, "partner = [\"{stem}.jpg\"]"),
    ("partner = []", 11, "leave the key out"),
    ("partner = '*.jpg'", 11, "write {stem}, {name} or {star} once"),
    ("partner = 5", 11, "expected a text, or a list of texts"),
    ("partner = ['{stem}.jpg', 'x']", 26, "write {stem}, {name} or {star} once"),
    ("partner = 'live/{stem}.jpg'", 11, "no slash"),
    ("partner = '{stem}.json'", 11, "always there"),
    ("partner = '{star}.jpg'\nmatch = ['a*b*c']", 11, "exactly one"),
    ("partner-field = 'a..b'", 17, "such as \"image.path\""),
    ("partner = '{stem}.jpg'\npartner-field = 'a'", 17, "leave one of the two out"),
    ("partner = '{stem}.jpg'\npartner-in = 'live'", 14, "is not absolute"),
    ("partner = '{stem}.jpg'\npartner-layout = 'same'", 18, "which is missing"),
    ("partner = '{stem}.jpg'\npartner-in = '/a'\npartner-layout = 'x'", 18, "write one of any same"),
    ("partner = '{stem}.jpg'\nmin-age = '5m'", 11, "write 5min for minutes or 5mo for months"),
    ("partner = '{stem}.jpg'\nmin-age = 5", 11, "expected a duration"),
    ("partner = '{stem}.jpg'\nobservations = 0", 16, "1 or more"),
    ("partner = '{stem}.jpg'\nobservations = -1", 16, "expected u32"),
    ("partner = '{stem}.jpg'\nobservations-apart = 30", 22, "expected a duration"),
    ("partner = '{stem}.jpg'\nfind = 'images'", 8, "write one of metadata files both"),
    ("partner = '{stem}.jpg'\nremove-files = true", 16, "add that, or leave this out"),
    ("partner = '{stem}.jpg'\nmatch = []", 9, "leave the key out to mean every file"),
    ("partner = '{stem}.jpg'\nguard = { volume = 'x' }", 9, "there is no [volume.x]"),
    ("partner = '{stem}.jpg'\nmax-age = '1d'", 1, "unknown field `max-age`, expected one of `metadata`"),
    ("partner = '{stem}.jpg'\nmetadata = 'm'", 12, "is not absolute"),
];

#[test]
fn every_key_of_orphans() {
    let scratch = Scratch::new();
    for (fault, column, says) in ALONE {
        let path = if fault.contains("metadata =") { "" } else { "metadata = '/srv/m'\n" };
        let config = scratch.config(&format!("[orphans.a]\n{fault}\n{path}"));
        let place = place_of(&config, "orphans.a", column);
        for words in ["", "--check-config", "--cron", "--emergency"] {
            assert_blames(&Tool::orphans(&config).args(words).exits(3), fault, &place, says);
        }
        assert!(!scratch.path().join("state").exists() && !scratch.path().join("run").exists(), "{fault}");
    }
    let section = |name: &str| format!("[orphans.{name}]\nmetadata = '/srv/m'\npartner = '{{stem}}.jpg'\n");
    let twice = scratch.config(&(section("a") + &section("b")));
    Tool::orphans(&twice).exits(3).warns("judges the same metadata as [orphans.a]");
    let config = scratch.config(&section("a"));
    for (words, says) in [
        ("nosuch", "no section [orphans.nosuch]: known are a"),
        ("--force everything", "[possible values: partners, max-share, clock, marker, volume]"),
        ("--report --list", "cannot be used with"),
        ("--emergency", "no [volume.NAME] says when an emergency begins"),
        ("--emergency --every 1h", "an emergency is never done before its time"),
        ("--max-age 5d", "unexpected argument"),
        ("--format nagios", "for what checks"),
    ] {
        Tool::orphans(&config).args(words).exits(3).warns(says);
    }
}

#[test]
fn the_command_line_of_check_disk() {
    let scratch = Scratch::new();
    let config = scratch.config("[volume.root]\npath = '/'\n[watch.w]\npath = '/'\nmax-files = 5\n");
    for (words, says) in [
        ("nosuch", "no volume, watch or check nosuch: known are root, w"),
        ("root nosuch", "no volume, watch or check nosuch"),
        ("--format xml", "[possible values: human, json, nagios]"),
        ("--format", "a value is required"),
        ("--json --format nagios", "cannot be used with"),
        ("--below", "a value is required"),
        ("--below half", "85%"),
        ("--below 85% --json", "cannot be used with"),
        ("--below 85% --full-within 2h", "cannot be used with"),
        ("--full-within 2", "is not a duration"),
        ("--below 85% w", "there is no [volume.NAME] to ask about"),
        ("--check-config root", "cannot be used with"),
        ("--dry-run", "unexpected argument"),
        ("--emergency", "unexpected argument"),
    ] {
        let done = Tool::check(&config).args(words).exits(3);
        done.warns(says);
        assert_eq!(done.stdout, "", "{words}");
    }
    Tool::check(&scratch.path().join("none.toml")).exits(3).warns("none.toml: cannot be read");
    let usual = Tool::wrapped(
        "check-disk",
        &["unshare", "--mount", "sh", "-c", "mount -t tmpfs t /etc; exec \"$@\"", "sh"],
    );
    usual.exits(3).warns("there is no configuration at /etc/maint/maint.toml");
}

#[test]
fn host_and_log() {
    let scratch = Scratch::new();
    for (text, place, says) in [
        ("[host]\nstate-dir = 'here'", "2:13", "is not absolute"),
        ("[host]\nstatedir = '/x'", "2:1", "unknown field `statedir`"),
        ("[host]\nallow-roots = '/x'", "2:15", "invalid type"),
        ("[host]\nallow-roots = ['x']", "2:15", "is not absolute"),
        ("[host]\nenv-file = ['missing.env']", "2:12", "cannot be read"),
        (
            "[log]\nlevel = 'loud'",
            "2:9",
            "unknown variant `loud`, expected one of `error`, `warn`, `info`, `debug`",
        ),
        ("[log]\nfile = 'x.log'", "2:8", "is not absolute"),
        ("[log]\nsyslog = 'yes'", "2:10", "expected a boolean"),
        ("[flies.live]\npath = '/x'", "1:2", "unknown section `flies`, expected one of `host`, `log`"),
        ("[maint]\nstate-dir = '/x'", "2:1", "unknown section `maint`, expected one of `host`, `log`"),
        (
            "state-dir = '/x'",
            "1:1",
            "state-dir stands in no section: its heading, such as [host], belongs above it",
        ),
        ("host = 5", "1:1", "where a table [host] belongs"),
        ("files = 5", "1:1", "where a table [files.NAME] belongs"),
        ("[files]\nmax-age = '1d'", "2:1", "give the section a name, as in [files.NAME]"),
        ("[files.'a b']\npath = '/x'", "1:8", "is no name"),
        ("[files.a]\npath = '/x'", "1:8", "add max-age"),
        ("[files.a]\nmax-age = '1d'", "1:8", "missing field `path`"),
        (
            "[files.a]\npath = '/x'\nmax-age = '1d'\nrecursive = false\nmax-depth = 3",
            "5:13",
            "contradicts recursive = false",
        ),
        ("[files.a\npath", "1:", "invalid"),
    ] {
        let config = scratch.file("c.toml", text);
        let done = Tool::prune(&config).exits(3);
        assert!(done.stderr.contains(&format!("c.toml:{place}")), "{text}: no {place} in\n{}", done.stderr);
        if says != "invalid" {
            done.warns(says);
        }
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let scratch = Scratch::new();
    let config = scratch.file(
        "c.toml",
        "[files.a]\npath = '/x'\n[files.b]\nmax-age = '1d'\n[files.c]\npath = '/x'\nmax-age = '3'\n",
    );
    let done = Tool::prune(&config).exits(3);
    assert_eq!(done.stderr.matches("c.toml:").count(), 3, "{}", done.stderr);
}

#[test]
fn the_command_line() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    let picture = Picture::of(tree.root());
    for (words, says) in [
        ("--path", "a value is required"),
        ("--path /tmp/x", "--max-age"),
        ("--path /tmp/x --max-age 5m", "5min"),
        ("--path /tmp/x --max-age 1d --match [a", "is not closed"),
        ("--path /tmp/x --max-age 1d a", "cannot be used with"),
        ("--path /tmp/../etc --max-age 1d", "write the path out"),
        ("--match *.jpg", "--path"),
        ("--max-age 1d", "never meant for all sections"),
        ("nosuch", "no section [files.nosuch]: known are a"),
        ("--history a", "cannot be used with"),
        ("--check-config a", "cannot be used with"),
        ("a --force nothing", "[possible values: max-share, clock, marker, volume]"),
        ("a --workers 0", "0 is not in 1..=64"),
        ("a --limit many", "invalid digit"),
        ("a --format xml", "[possible values: human, json, nagios]"),
        ("a --format nagios", "--format nagios is for what checks"),
        ("a --list --json", "cannot be used with"),
        ("a --nosuch", "unexpected argument"),
        ("a --every 5", "is not a duration"),
        ("a -q -v", "cannot be used with"),
    ] {
        Tool::prune(&config).args(words).exits(3).warns(says);
    }
    Tool::new("prune-images")
        .env("MAINT_CONFIG", "/nonexistent/c.toml")
        .exits(3)
        .warns("/nonexistent/c.toml: cannot be read");
    picture.assert_unchanged();
}

#[test]
fn a_configuration_that_others_can_write_is_refused() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    let mode = |mode| fs::set_permissions(&config, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o646);
    Tool::prune(&config).exits(3).warns("chmod o-w");
    mode(0o664);
    Tool::prune(&config).exits(3).warns("chmod g-w");
    mode(0o644);
    chown(&config, Some(12345), None).unwrap();
    Tool::prune(&config).exits(3).warns("belongs to user 12345");
    chown(&config, Some(0), None).unwrap();
    let text = fs::read_to_string(&config).unwrap();
    let secret =
        scratch.file("maint.toml", &format!("{text}[database.x]\nurl = 'postgres://a:secret@h/d'\n"));
    let done = Tool::prune(&secret).exits(3);
    done.warns("holds a password");
    assert!(!done.stderr.contains("secret"));
    mode(0o640);
    assert!(tree.has("old"));
    Tool::prune(&secret).exits(0);
    assert!(!tree.has("old"));
}

#[test]
fn drop_ins_add_tables_and_never_replace_one() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("a/old", days(9)).file("b/old", days(9));
    let section = |name: &str| format!("[files.{name}]\npath = {:?}\nmax-age = '1d'\n", tree.path(name));
    let config = scratch.config(&section("a"));
    scratch.file("conf.d/20-b.toml", &section("b"));
    scratch.file("conf.d/README", "not read");
    scratch.file("conf.d/.hidden.toml", "not = read");
    Tool::prune(&config)
        .arg("--check-config")
        .exits(0)
        .says("[files.a]")
        .says("[files.b]")
        .says("20-b.toml: correct");
    scratch.file("conf.d/30-again.toml", &section("a"));
    let done = Tool::prune(&config).exits(3);
    done.warns("conf.d/30-again.toml:1:8: [files.a] is already in").warns("maint.toml:");
    assert!(tree.has("a/old") && tree.has("b/old"));
    fs::remove_file(scratch.path().join("conf.d/30-again.toml")).unwrap();
    Tool::prune(&config).exits(0);
    assert!(!tree.has("a/old") && !tree.has("b/old"));
}

#[test]
fn a_configuration_that_never_ends_is_not_waited_for() {
    let scratch = Scratch::new();
    let config = scratch.config("");
    nix::unistd::mkfifo(&scratch.folder("conf.d").join("x.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    Tool::prune(&config).exits(3).warns("x.toml: is not a file");
    fs::remove_file(scratch.path().join("conf.d/x.toml")).unwrap();
    scratch.file("conf.d/x.toml", &format!("#{}\n[files.late]\n", "x".repeat(5 << 20)));
    Tool::prune(&config).exits(3).warns("no configuration needs more");
}

#[test]
fn another_tools_section_stops_nobody() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let other = "[rows.seen]\ntable = 5\nno-such-key = '${UNSET}'\n[volume.ssd]\npath = '/mnt'\n";
    let config = scratch.config(&format!("{other}[files.a]\npath = {:?}\nmax-age = '1d'\n", tree.root()));
    Tool::prune(&config).exits(0);
    assert!(!tree.has("old"));
    let nothing = scratch.config(other);
    Tool::prune(&nothing).exits(0).says("there is no section [files.NAME] and nothing to do");
}

#[test]
fn an_env_file_is_read_first_and_its_faults_have_lines() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let text = format!(
        "{}env-file = ['site.env']\n[files.a]\npath = {:?}\nmax-age = '${{DAYS}}d'\n",
        scratch.host(),
        tree.root()
    );
    let config = scratch.file("maint.toml", &text);
    let own = text.replace("[files.a]", "[log]\nfile = '${LOG_DIR}/maint.log'\n[files.a]");
    scratch.file("site.env", &format!("DAYS=3\nLOG_DIR={}\n", scratch.path().display()));
    Tool::prune(&scratch.file("own.toml", &own)).arg("-n").exits(0);
    let state = text.replace(&format!("{}/state", scratch.path().display()), "${MY_STATE}");
    scratch.file("site.env", &format!("DAYS=100\nMY_STATE={}/elsewhere\n", scratch.path().display()));
    Tool::prune(&scratch.file("state.toml", &state)).exits(0);
    assert!(
        scratch.path().join("elsewhere/prune-images/history.db").exists(),
        "[host] may use its own env-file"
    );
    scratch.file("site.env", "A=1\nDAYS = 3\n");
    Tool::prune(&config).exits(3).warns("site.env:2: \"DAYS \" is no name of a variable");
    let env = scratch.file("site.env", "export DAYS='10'\n");
    Tool::prune(&config).exits(0);
    assert!(tree.has("old"));
    fs::set_permissions(&env, fs::Permissions::from_mode(0o666)).unwrap();
    Tool::prune(&config).exits(3).warns("chmod o-w");
    fs::set_permissions(&env, fs::Permissions::from_mode(0o644)).unwrap();
    // The caller's own environment comes before the file.
    Tool::prune(&config).env("DAYS", "2").exits(0);
    assert!(!tree.has("old"));
}
