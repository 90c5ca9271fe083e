//! The built programs, started as a cron or an operator would.

use crate::{Scratch, space::as_user};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
};

/// A program with its arguments, in an almost empty environment.
#[derive(Debug)]
pub struct Tool {
    command: Command,
}

/// What it left behind.
#[derive(Debug)]
pub struct Done {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// The same, as it came.
    pub raw: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Tool {
    /// A program of this workspace. Unless a test says otherwise its state is not the machine's.
    pub fn new(name: &str) -> Self {
        static ELSEWHERE: LazyLock<PathBuf> = LazyLock::new(|| {
            let scratch = Scratch::new();
            let config = scratch.config("");
            std::mem::forget(scratch);
            config
        });
        Self::wrapped(name, &[]).env("MAINT_CONFIG", &*ELSEWHERE)
    }

    /// The same, started by another program: `strace …`, `setpriv …`.
    pub fn wrapped(name: &str, wrapper: &[&str]) -> Self {
        let program = built(name);
        let mut words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
        words.push(program.as_os_str());
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .stdin(Stdio::null());
        Self { command }
    }

    /// The same, as another user.
    pub fn as_user(name: &str, user: u32) -> Self {
        let words = as_user(user);
        Self::wrapped(name, &words.iter().map(String::as_str).collect::<Vec<&str>>())
    }

    /// `prune-images` with a configuration.
    pub fn prune(config: &Path) -> Self {
        Self::new("prune-images").arg("-c").arg(config)
    }

    /// `reclaim` with a configuration.
    pub fn reclaim(config: &Path) -> Self {
        Self::new("reclaim").arg("-c").arg(config)
    }

    /// `prune-images` at another moment: the build that takes its time from the environment. `tests/run`
    /// makes it.
    pub fn prune_at(config: &Path, now: i64, synchronised: bool) -> Self {
        Self::wrapped("injected/prune-images", &[])
            .env("MAINT_TEST_NOW", now.to_string())
            .env("MAINT_TEST_SYNCHRONISED", if synchronised { "yes" } else { "no" })
            .arg("-c")
            .arg(config)
    }

    /// `orphan-metadata` with a configuration.
    pub fn orphans(config: &Path) -> Self {
        Self::new("orphan-metadata").arg("-c").arg(config)
    }

    /// `orphan-metadata` at another moment, as [`Tool::prune_at`].
    pub fn orphans_at(config: &Path, now: i64) -> Self {
        Self::wrapped_at("orphan-metadata", &[], now).arg("-c").arg(config)
    }

    /// `check-disk` with a configuration.
    pub fn check(config: &Path) -> Self {
        Self::new("check-disk").arg("-c").arg(config)
    }

    /// `check-disk` at another moment, as [`Tool::prune_at`].
    pub fn check_at(config: &Path, now: i64) -> Self {
        Self::wrapped_at("check-disk", &[], now).arg("-c").arg(config)
    }

    /// `backup-db` with a configuration.
    pub fn backup(config: &Path) -> Self {
        Self::new("backup-db").arg("-c").arg(config)
    }

    /// `backup-db` at another moment, as [`Tool::prune_at`].
    pub fn backup_at(config: &Path, now: i64) -> Self {
        Self::wrapped_at("backup-db", &[], now).arg("-c").arg(config)
    }

    /// Any program at another moment, started by another one.
    pub fn wrapped_at(name: &str, wrapper: &[&str], now: i64) -> Self {
        Self::wrapped(&format!("injected/{name}"), wrapper)
            .env("MAINT_TEST_NOW", now.to_string())
            .env("MAINT_TEST_SYNCHRONISED", "yes")
    }

    /// One more word.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    /// More words, apart by spaces.
    #[must_use]
    pub fn args(mut self, words: &str) -> Self {
        self.command.args(words.split_whitespace());
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// In this folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Done {
        Done::from(self.command.output().unwrap_or_else(|error| panic!("{:?}: {error}", self.command)))
    }

    /// Runs it and expects this exit code.
    pub fn exits(self, code: i32) -> Done {
        let words = format!("{:?}", self.command);
        let done = self.run();
        assert_eq!(done.code, Some(code), "{words}\n{}\n{}", done.stdout, done.stderr);
        done
    }

    /// Starts it, its output thrown away.
    pub fn start(mut self) -> Child {
        self.command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

impl Done {
    /// The JSON on standard output.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Expects these words on standard output.
    pub fn says(&self, words: &str) -> &Self {
        assert!(self.stdout.contains(words), "no \"{words}\" in\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Expects these words on standard error.
    pub fn warns(&self, words: &str) -> &Self {
        assert!(self.stderr.contains(words), "no \"{words}\" in\n{}\n{}", self.stderr, self.stdout);
        self
    }

    /// Expects silence.
    pub fn is_silent(&self) {
        assert_eq!((self.stdout.as_str(), self.stderr.as_str()), ("", ""));
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            raw: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Changes the manifest of a backup, and seals it as whoever can write there could.
pub fn reseal(manifest: &Path, edit: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(manifest).unwrap();
    let body = edit(&text[..text.rfind(",\n  \"sha256\"").unwrap()]);
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut sum.stdin.take().unwrap(), body.as_bytes()).unwrap();
    let sum = String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap();
    std::fs::write(manifest, format!("{body},\n  \"sha256\": \"{}\"\n}}\n", &sum[..64])).unwrap();
}

/// What a file of JSON lines says.
pub fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Beside the running test's own folder: both come from one `cargo build --workspace`.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        program.exists(),
        "{} is not built: run tests/run, or cargo build --workspace first",
        program.display()
    );
    program
}
