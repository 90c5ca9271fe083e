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
    assert_eq!(prune(tree.root(), "--dry-run").exits(0).json()["totals"]["bytes_freed"], expect);
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
    done.says("2 folders with another filesystem mounted").says("\"mount-point\":1");
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
    let done =
        Tool::wrapped("prune-images", &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
            .env("HOME", &places)
            .args("--json --max-age 1d --path")
            .arg(tree.root())
            .exits(1);
    assert_eq!(deleted(&done), 2);
    done.says("\"operation\":\"open\"").says("Permission denied");
    assert_eq!(done.json()["errors"].as_array().unwrap().len(), 1, "told once, not once a walk");
    assert!(tree.has("b/old"));
    assert!(
        places.join(".local/state/maint/prune-images/history.db").exists(),
        "without root the XDG places serve"
    );
}
