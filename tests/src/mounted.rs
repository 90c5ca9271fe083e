//! Real filesystems for a test: a tmpfs of a size, or an image with a filesystem of its own.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A mounted filesystem, unmounted with the value.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// A tmpfs of so many KiB.
    pub fn tmpfs(at: &Path, kib: usize) -> Self {
        mount(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"], at)
    }

    /// The same, whose files have inodes that few others have.
    pub fn memory(at: &Path, kib: usize) -> Self {
        let mounted = Self::tmpfs(at, kib);
        burn_inodes(at);
        mounted
    }

    /// A tmpfs with so many inodes.
    pub fn with_inodes(at: &Path, inodes: usize) -> Self {
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("nr_inodes={inodes}"), "tmpfs"], at);
        burn_inodes(at);
        mounted
    }

    /// Whatever `mount` makes of these words.
    pub fn with(words: &[&str], at: &Path) -> Self {
        mount(words, at)
    }

    /// The folder `from` once more.
    pub fn bind(from: &Path, at: &Path) -> Self {
        mount(&["--bind", from.to_str().unwrap()], at)
    }

    /// A fresh ext4 of so many MiB in an image file beside `at`.
    pub fn ext4(at: &Path, mib: u64) -> Self {
        Self::ext4_with(at, mib, &[])
    }

    /// The same, made with more options of `mkfs.ext4`.
    pub fn ext4_with(at: &Path, mib: u64, options: &[&str]) -> Self {
        Self::made("ext4", &[&["-F"], options].concat(), at, mib)
    }

    /// A fresh filesystem of another kind, as `mkfs.KIND` makes it.
    pub fn of_kind(kind: &str, at: &Path, mib: u64) -> Self {
        let mounted = Self::made(kind, &["-f"], at, mib);
        if kind == "btrfs" {
            burn_inodes(at);
        }
        mounted
    }

    fn made(kind: &str, options: &[&str], at: &Path, mib: u64) -> Self {
        let image = at.with_extension("img");
        std::fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        // btrfs has news of its defaults to tell.
        run(Command::new(format!("mkfs.{kind}")).arg("-q").args(options).arg(&image).stdout(Stdio::null()));
        mount(&["-o", "loop", image.to_str().unwrap()], at)
    }

    /// Its UUID, as blkid says it.
    pub fn uuid(&self) -> String {
        let image = self.at.with_extension("img");
        let told = Command::new("blkid").args(["-o", "value", "-s", "UUID"]).arg(image).output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    }

    /// Takes it away now, even from under who uses it.
    pub fn unmount(&self) {
        run(Command::new("umount").arg("-l").arg(&self.at));
    }

    /// The number of its device, as `/sys/dev/block` names it.
    pub fn device(&self) -> String {
        let number = std::fs::metadata(&self.at).unwrap().dev();
        format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number))
    }

    /// Where.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Makes it read-only.
    pub fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.at));
    }
}

/// A mounted filesystem that answers no question, or only those of how it is.
#[derive(Debug)]
pub struct Hanging {
    mounted: Mounted,
    server: Child,
}

impl Hanging {
    /// Whoever touches it waits.
    pub fn at_once(at: &Path) -> Self {
        Self::serve(at, "nothing")
    }

    /// It looks well until somebody asks how full it is.
    pub fn at_statfs(at: &Path) -> Self {
        Self::serve(at, "getattr")
    }

    fn serve(at: &Path, answers: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let program = at.with_extension("hangs");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hangs.c");
        run(Command::new("cc").args(["-O1", "-Wall", "-Wextra", "-o"]).arg(&program).arg(source));
        let mut server = Command::new(&program).arg(at).arg(answers).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "this needs /dev/fuse");
        Self { mounted: Mounted { at: at.to_owned() }, server }
    }

    /// Where.
    pub fn at(&self) -> &Path {
        self.mounted.at()
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // With its server the connection ends, and all who wait get an error.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What is in use on some filesystems is known by its inode alone, and low numbers are given out by
/// everybody, other runs of the tests among them.
fn burn_inodes(at: &Path) {
    let burnt = at.join("inode");
    for _ in 0..1000 + std::process::id() % 3000 {
        std::fs::write(&burnt, "").and_then(|()| std::fs::remove_file(&burnt)).unwrap();
    }
}

fn mount(how: &[&str], at: &Path) -> Mounted {
    std::fs::create_dir_all(at).unwrap();
    run(Command::new("mount").args(how).arg(at));
    Mounted { at: at.to_owned() }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} failed: mounting needs root, util-linux and e2fsprogs");
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It may have been taken away before.
        let _ = Command::new("umount").arg("-l").arg(&self.at).stderr(Stdio::null()).status();
    }
}
