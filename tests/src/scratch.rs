//! A folder of a test's own, gone with it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// A temporary folder. Other programs' permissions do not matter below it: it is 0755.
#[derive(Debug)]
pub struct Scratch(PathBuf);

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Scratch {
    /// A new one.
    pub fn new() -> Self {
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("maint-test-{}-{n}", std::process::id()));
            match fs::create_dir(&path) {
                // What a killed run of the same number left behind.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => break made.map(|()| Self(path.canonicalize().unwrap())).unwrap(),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder in it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A configuration with a `[host]` of its own, all of it in here.
    pub fn config(&self, sections: &str) -> PathBuf {
        self.folder("metrics");
        self.file("maint.toml", &format!("{}\n{sections}", self.host()))
    }

    /// `[host]` with every place in here.
    pub fn host(&self) -> String {
        let place = |name: &str| self.0.join(name).display().to_string();
        format!(
            "[host]\nstate-dir = '{}'\nruntime-dir = '{}'\naudit-log = '{}'\nmetrics-dir = '{}'\n",
            place("state"),
            place("run"),
            place("audit.jsonl"),
            place("metrics")
        )
    }

    /// A file in it that a program may trust as its configuration.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        chmod(&path, 0o644);
        path
    }

    /// A program in it that anybody may run. Another process writes it: while this one had it open, a process
    /// that some other test starts at that moment could hold it too, and it would be "busy" when it is run.
    pub fn program(&self, name: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // `rm` copes with depths that a recursion in here would not.
        let _ = Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

/// Gives a file or a folder this mode.
pub fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
