//! Trees that were not made by a friend. Every run here also has something of its own to remove, and
//! does.

use maint_tests::{Done, Mounted, Picture, Scratch, Tool, Tree, days, scale};
use nix::sys::stat::{Mode, mkdirat};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
};

fn prune(root: &Path, more: &str) -> Tool {
    Tool::new("prune-images").args("--json --max-age 1d --path").arg(root).args(more)
}

fn deleted(done: &Done) -> u64 {
    done.json()["totals"]["files_deleted"].as_u64().unwrap()
}

#[test]
fn every_name_a_filesystem_allows() {
    let names: [&[u8]; 14] = [
        b"new\nline.jpg",
        b"-rf",
        b"--force",
        b"\x1b[2Jescape",
        b"quote'\"`$(x)",
        b"back\\slash",
        b"\xff\xfe not utf-8",
        b" ",
        b"*",
        b"[",
        "right\u{202e}left".as_bytes(),
        b"\r",
        b"...",
        &[b'n'; 255],
    ];
    let scratch = Scratch::new();
    let mut tree = Tree::at(&scratch.folder("tree")).file("new", 0);
    for name in names {
        tree = tree.file(name, days(9)).file([b"in/".as_slice(), name].concat(), days(9));
    }
    let listing =
        Tool::new("prune-images").args("--max-age 1d --list --path").arg(tree.root()).exits(0).stdout;
    assert_eq!(listing.lines().count(), 2 * names.len(), "one line a name:\n{listing}");
    assert!(!listing.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{listing:?}");
    let raw = Tool::new("prune-images").args("--max-age 1d --print0 --path").arg(tree.root()).exits(0).raw;
    for name in raw.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        assert!(Path::new(OsStr::from_bytes(name)).exists(), "{name:?}");
    }
    let done = prune(tree.root(), "").exits(0);
    assert_eq!(deleted(&done), 2 * names.len() as u64);
    assert!(tree.has("new") && !tree.has("in"));
}

#[test]
fn ten_thousand_levels_deep() {
    let levels = scale(3_000, 10_000);
    let scratch = Scratch::new();
    let root = scratch.folder("tree");
    let flags = nix::fcntl::OFlag::O_DIRECTORY;
    let mut at = nix::fcntl::open(&root, flags, Mode::empty()).unwrap();
    for level in 0..levels {
        mkdirat(&at, "deeper", Mode::S_IRWXU).unwrap();
        at = nix::fcntl::openat(&at, "deeper", flags, Mode::empty()).unwrap();
        if level % 1000 == 999 {
            make_old(&at, "file");
        }
    }
    make_old(&at, "bottom");
    let done = prune(&root, "").exits(0);
    assert_eq!(deleted(&done), levels as u64 / 1000 + 1);
    assert_eq!(done.json()["totals"]["folders_deleted"], levels);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "only what is private is left");
}

fn make_old(at: &std::os::fd::OwnedFd, name: &str) {
    use nix::sys::{stat, time::TimeSpec};
    let flags = nix::fcntl::OFlag::O_CREAT | nix::fcntl::OFlag::O_WRONLY;
    nix::fcntl::openat(at, name, flags, Mode::S_IRUSR).unwrap();
    let then = TimeSpec::new(1_000_000_000, 0);
    stat::utimensat(at, name, &then, &then, stat::UtimensatFlags::NoFollowSymlink).unwrap();
}

#[test]
fn only_plain_files_go() {
    let scratch = Scratch::new();
    let outside = Tree::at(&scratch.folder("outside")).file("victim", days(9));
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    symlink(outside.path("victim"), tree.path("link")).unwrap();
    symlink(outside.root(), tree.path("folder-link")).unwrap();
    nix::unistd::mkfifo(&tree.path("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(tree.path("socket")).unwrap();
    nix::sys::stat::mknod(
        &tree.path("null"),
        nix::sys::stat::SFlag::S_IFCHR,
        Mode::S_IRWXU,
        nix::sys::stat::makedev(1, 3),
    )
    .unwrap();
    for name in ["link", "folder-link", "fifo", "socket", "null"] {
        maint_tests::set_age(&tree.path(name), days(9));
    }
    let before = Picture::of(outside.root());
    let done = prune(tree.root(), "").exits(0);
    assert_eq!(deleted(&done), 1);
    assert_eq!(done.json()["targets"][0]["files_kept"]["not-a-file"], 5);
    before.assert_unchanged();
    assert!(
        ["link", "folder-link", "fifo", "socket", "null"].iter().all(|name| tree.has(name))
            && !tree.has("old")
    );
}

#[test]
fn space_is_counted_in_blocks_and_once() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"));
    let tree =
        tree.sized("linked", days(9), 8192).sized("half-linked", days(9), 8192).sized("plain", days(9), 1);
    fs::hard_link(tree.path("linked"), tree.path("linked-too")).unwrap();
    fs::hard_link(tree.path("half-linked"), scratch.path().join("outside")).unwrap();
    let sparse = fs::File::create(tree.path("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    drop(sparse);
    maint_tests::set_age(&tree.path("sparse"), days(9));
    let blocks = |name: &str| tree.path(name).metadata().unwrap().blocks() * 512;
    let expect = blocks("linked") + blocks("plain") + blocks("sparse");
    assert!(expect < 1 << 20, "a sparse file has few blocks");
    assert_eq!(prune(tree.root(), "--dry-run").exits(0).json()["totals"]["bytes_to_free"], expect);
    let done = prune(tree.root(), "").exits(0);
    assert_eq!(done.json()["totals"]["bytes_freed"], expect);
    assert_eq!(deleted(&done), 5);
    assert!(scratch.path().join("outside").exists());
}

#[test]
fn nothing_below_another_mount_is_touched() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9)).file("file-mount", days(9));
    let other = Mounted::tmpfs(&tree.path("mounted"), 1024);
    let inside = Tree::at(other.at()).file("old", days(9));
    let elsewhere = Tree::at(&scratch.folder("elsewhere")).file("old", days(9)).file("f", days(9));
    let bound = Mounted::bind(elsewhere.root(), &tree.path("bound"));
    let file = elsewhere.path("f");
    let bound_file =
        std::process::Command::new("mount").arg("--bind").arg(&file).arg(tree.path("file-mount")).status();
    assert!(bound_file.unwrap().success());
    let done = prune(tree.root(), "").run();
    let unbound = std::process::Command::new("umount").arg(tree.path("file-mount")).status();
    assert!(unbound.unwrap().success());
    assert_eq!((done.code, deleted(&done)), (Some(0), 1), "{}", done.stdout);
    done.says("2 folders with another filesystem mounted on it left out").says("\"mount-point\":1");
    assert!(inside.has("old") && elsewhere.has("old") && tree.has("file-mount") && !tree.has("old"));
    drop((other, bound));
}

#[test]
fn a_root_that_is_a_link_is_refused() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let link = scratch.path().join("link");
    symlink(tree.root(), &link).unwrap();
    prune(&link, "").exits(4).says("is a link");
    assert!(tree.has("old"));
    // A link of root's on the way is an administrator's choice.
    let through = scratch.folder("way").join("to");
    symlink(scratch.path(), &through).unwrap();
    assert_eq!(deleted(&prune(&through.join("tree"), "").exits(0)), 1);
}

#[test]
fn a_way_that_others_can_bend_is_refused() {
    let scratch = Scratch::new();
    let open = scratch.folder("open");
    let tree = Tree::at(&open.join("tree")).file("old", days(9));
    let mode = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    prune(tree.root(), "").exits(4).says("anybody may write to");
    assert!(tree.has("old"));
    let foreign = scratch.path().join("foreign");
    symlink(&open, &foreign).unwrap();
    std::os::unix::fs::lchown(&foreign, Some(12345), None).unwrap();
    mode(0o755);
    prune(&foreign.join("tree"), "").exits(4).says("a link that another user made");
    assert!(tree.has("old"));
    mode(0o1777);
    assert_eq!(deleted(&prune(tree.root(), "").exits(0)), 1);
}

#[test]
fn the_systems_folders_and_homes_are_no_roots() {
    let scratch = Scratch::new();
    let home = scratch.folder("home");
    let in_home = Tree::at(&home).file("old", days(9));
    for path in [
        "/",
        "/etc",
        "/usr",
        "/usr/bin",
        "/usr/share/doc",
        "/var",
        "/var/log",
        "/home",
        "/root",
        "/proc/self",
        "/dev",
        "/boot",
    ] {
        prune(Path::new(path), "--dry-run").exits(4).says("\"status\":\"refused\"");
    }
    prune(&home, "").env("HOME", &home).exits(4).says("home folder");
    assert!(in_home.has("old"));
    for path in ["/var/lib/dpkg", "/usr/local/bin", "/home/somebody-elsewhere"] {
        if Path::new(path).exists() {
            prune(Path::new(path), "--dry-run").exits(4);
        }
    }
    // By another way it is the same folder.
    let bound = Mounted::bind(Path::new("/etc"), &scratch.path().join("innocent"));
    prune(bound.at(), "--dry-run").exits(4).says("belongs to /etc");
    drop(bound);
    let config = scratch.config(&format!("[files.a]\npath = {:?}\nmax-age = '1d'", in_home.root()));
    let text =
        fs::read_to_string(&config).unwrap().replace("[host]", "[host]\nallow-roots = ['/srv', '/usr']");
    let config = scratch.file("maint.toml", &text);
    Tool::prune(&config).exits(4).says("outside allow-roots (/srv, /usr)");
    assert!(in_home.has("old"));
}

#[test]
fn what_is_not_there_is_a_warning_and_no_folder_is_made() {
    let scratch = Scratch::new();
    let there = Tree::at(&scratch.folder("there")).file("old", days(9));
    let gone = scratch.path().join("gone");
    let config = scratch.config(&format!(
        "[files.gone]\npath = {gone:?}\nmax-age = '1d'\n[files.there]\npath = {:?}\nmax-age = '1d'",
        there.root()
    ));
    Tool::prune(&config).exits(1).says("is not there: nothing was done");
    assert!(!gone.exists() && !there.has("old"), "the others are done all the same");
    prune(&there.root().join("gone/further"), "").exits(1);
}

#[test]
fn one_unreadable_folder_does_not_stop_the_rest() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"))
        .file("a/old", days(9))
        .file("b/old", days(9))
        .file("c/old", days(9));
    for path in [tree.root().to_owned(), tree.path("a"), tree.path("b"), tree.path("c")] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    fs::set_permissions(tree.path("b"), fs::Permissions::from_mode(0o000)).unwrap();
    let places = scratch.folder("places");
    std::os::unix::fs::chown(&places, Some(65534), Some(65534)).unwrap();
    let done = Tool::as_user("prune-images", 65534)
        .env("HOME", &places)
        .args("--json --max-age 1d --path")
        .arg(tree.root())
        .exits(1);
    assert_eq!(deleted(&done), 2);
    done.says("\"operation\":\"open\"").says("Permission denied");
    let place = tree.path("b");
    assert_eq!(done.json()["errors"].as_array().unwrap().len(), 1, "told once, not once a walk");
    assert_eq!(
        (&done.json()["totals"]["errors"], &done.json()["errors"][0]["path"]),
        (&1.into(), &place.to_str().into())
    );
    assert!(tree.has("b/old"));
    assert!(
        places.join(".local/state/maint/prune-images/history.db").exists(),
        "without root the XDG places serve"
    );
}

#[test]
fn a_link_that_leads_up_and_over_is_still_outside() {
    let scratch = Scratch::new();
    let allowed = scratch.folder("allowed");
    let outside = Tree::at(&scratch.folder("other/x")).file("victim", days(9));
    symlink("../other", allowed.join("link")).unwrap();
    let section = |path: &Path| format!("[files.a]\npath = {path:?}\nmax-age = '1d'\n");
    let config = scratch.config(&section(&allowed.join("link/x")));
    let text = fs::read_to_string(config)
        .unwrap()
        .replace("[host]", &format!("[host]\nallow-roots = [{allowed:?}]"));
    let config = scratch.file("maint.toml", &text);
    Tool::prune(&config).exits(4).says("outside allow-roots");
    assert!(outside.has("victim"));
    // And a detour through a forbidden place does not forbid where it ends.
    let inside = Tree::at(&allowed.join("y")).file("old", days(9));
    symlink(format!("/etc/..{}", allowed.display()), scratch.path().join("detour")).unwrap();
    let config = scratch.file("maint.toml", &text.replace("allowed/link/x", "detour/y"));
    Tool::prune(&config).exits(0);
    assert!(!inside.has("old"));
}

#[test]
fn what_maint_remembers_is_no_root() {
    let scratch = Scratch::new();
    let state = Tree::at(&scratch.folder("state")).file("prune-images/old", days(9));
    for path in [state.root().to_owned(), state.path("prune-images"), scratch.folder("run")] {
        let config = scratch.config(&format!("[files.a]\npath = {path:?}\nmax-age = '1d'\n"));
        Tool::prune(&config).exits(4).says("maint itself");
    }
    assert!(state.has("prune-images/old"));
}

#[test]
fn few_open_files_are_enough() {
    let scratch = Scratch::new();
    let mut tree = Tree::at(&scratch.folder("tree"));
    for level in 0..120 {
        let folder = "d/".repeat(level);
        tree = tree.file(format!("{folder}old"), days(9)).file(format!("{folder}side/old"), days(9));
    }
    let limit = ["prlimit", "--nofile=64:64"];
    let done = Tool::wrapped("prune-images", &limit)
        .env("HOME", scratch.path())
        .env("MAINT_CONFIG", scratch.config(""));
    let done = done.args("--json --workers 2 --max-age 1d --path").arg(tree.root()).exits(0);
    assert_eq!(deleted(&done), 240);
}

#[test]
fn a_planted_private_folder_leads_nowhere() {
    let scratch = Scratch::new();
    let outside = scratch.folder("outside");
    let tree = Tree::at(&scratch.folder("tree")).file("old", days(9));
    let plant = |owner: u32| {
        let hand = tree.path(".maint/0");
        fs::create_dir_all(&hand).unwrap();
        fs::write(hand.join("intent"), b"maint-intent-1\x001\0\0../../outside/evil\0").unwrap();
        fs::write(hand.join("0-1-1-1-1"), "payload").unwrap();
        for path in [tree.path(".maint"), hand.clone(), hand.join("intent"), hand.join("0-1-1-1-1")] {
            std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
        }
        for path in [tree.path(".maint"), hand] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    };
    plant(12345);
    let done = prune(tree.root(), "").exits(1);
    done.says("another user's, or open to others");
    assert_eq!((deleted(&done), &done.json()["totals"]["unclaimed"]), (1, &1.into()));
    assert!(tree.has(".maint/0/0-1-1-1-1"), "what is not ours is left alone");
    // Even as our own it does not lead out, and nothing is lost.
    plant(0);
    prune(tree.root(), "").exits(1).says("nobody knows where it came from");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(tree.path(".maint/found")).unwrap().count(), 1);
    // Nothing to wait for, and nothing without end.
    fs::remove_file(tree.path(".maint/0/intent")).unwrap();
    nix::unistd::mkfifo(&tree.path(".maint/0/intent"), Mode::S_IRWXU).unwrap();
    let tree = tree.file("older", days(30));
    assert_eq!(deleted(&prune(tree.root(), "--workers 1").exits(1)), 1);
}
