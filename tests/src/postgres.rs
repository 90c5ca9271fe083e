//! A real PostgreSQL of a test's own: on a private socket, run by somebody who is not root.

use crate::Scratch;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    scratch: Scratch,
    bin: PathBuf,
    server: Option<Child>,
    /// Settings beside the usual ones.
    extra: Vec<String>,
}

/// Whom the package has made for it.
const USER: &str = "postgres";

impl Postgres {
    /// A new cluster, started.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with settings, such as `ssl=on`.
    pub fn with(extra: &[&str]) -> Self {
        let scratch = Scratch::new();
        let mut server = Self {
            bin: newest_bin(),
            server: None,
            extra: extra.iter().map(|word| (*word).to_owned()).collect(),
            scratch,
        };
        let place = server.scratch.path().to_owned();
        assert!(Command::new("chown").arg(USER).arg(&place).status().unwrap().success());
        let made = server
            .as_its_user("initdb")
            .args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "-U", USER, "-D"])
            .arg(place.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.go();
        server
    }

    fn as_its_user(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--init-groups"]).arg(self.bin.join(program));
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts it again.
    pub fn go(&mut self) {
        let place = self.scratch.path().to_owned();
        let mut command = self.as_its_user("postgres");
        command.arg("-D").arg(place.join("data"));
        let settings = [
            "fsync=off".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "max_wal_size=2GB".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port()),
            format!("unix_socket_directories={}", place.display()),
        ];
        for setting in settings.iter().chain(&self.extra) {
            command.arg("-c").arg(setting);
        }
        let log = std::fs::File::options().append(true).create(true).open(place.join("log")).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.server = Some(child);
        let until = Instant::now() + Duration::from_secs(60);
        while !self.psql("postgres", "select 1").status.success() {
            assert!(Instant::now() < until, "{}", std::fs::read_to_string(place.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A port that no other test takes.
    pub fn port(&self) -> u32 {
        let name = self.scratch.path().file_name().unwrap().to_str().unwrap();
        let n: u32 = name.rsplit('-').next().unwrap().parse().unwrap();
        20_000 + (std::process::id() * 7 + n) % 20_000
    }

    /// Stops it at once, as a failing machine would.
    pub fn crash(&mut self) {
        let pid = std::fs::read_to_string(self.scratch.path().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        Command::new("kill").args(["-QUIT", &pid]).status().unwrap();
        if let Some(mut server) = self.server.take() {
            server.wait().unwrap();
        }
    }

    /// Where its socket is.
    pub fn socket(&self) -> &Path {
        self.scratch.path()
    }

    /// The folder with its programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// A URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@/{database}?host={}&port={}", self.socket().display(), self.port())
    }

    /// One of its programs, logged in.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("PGHOST", self.socket()).env("PGPORT", self.port().to_string()).env("PGUSER", USER);
        command.stdin(Stdio::null());
        command
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::Output {
        self.program("psql")
            .env("PGDATABASE", database)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap()
    }

    /// Somebody who runs SQL beside the test.
    pub fn beside(&self, database: &str, sql: &str) -> Child {
        self.program("psql")
            .args(["-X", "-q", "-d", database, "-c", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs SQL and gives what it prints.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let done = self.psql(database, sql);
        assert!(done.status.success(), "{sql}\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Runs a script, statement by statement.
    pub fn script(&self, database: &str, sql: &str) {
        let file = self.scratch.path().join("script.sql");
        std::fs::write(&file, sql).unwrap();
        let done = self
            .program("psql")
            .env("PGDATABASE", database)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Makes a database.
    pub fn create(&self, database: &str) {
        self.sql("postgres", &format!("create database \"{database}\""));
    }

    /// What is in a database, found out without any part of this project: each table by `COPY`, sorted, and all
    /// large objects.
    pub fn picture(&self, database: &str) -> String {
        let tables = self.sql(
            database,
            "select format('%I.%I', schemaname, tablename) from pg_tables
             where schemaname not in ('pg_catalog', 'information_schema') order by 1",
        );
        let mut picture = String::new();
        for table in tables.lines() {
            let mut rows: Vec<String> = self
                .sql(database, &format!("copy (select * from only {table}) to stdout"))
                .lines()
                .map(str::to_owned)
                .collect();
            rows.sort();
            picture += &format!("{table} {} {}\n", rows.len(), md5(&rows.join("\n")));
        }
        picture += &self.sql(
            database,
            "select coalesce(string_agg(oid || ':' || md5(lo_get(oid)), ',' order by oid), '') from pg_largeobject_metadata",
        );
        picture
    }

    /// All of a database but its data, as `pg_dump` tells it, without what differs from call to call.
    pub fn schema(&self, database: &str) -> String {
        let done = self.program("pg_dump").args(["--schema-only", "-d", database]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let told = |line: &&str| !line.starts_with("--") && !line.starts_with('\\') && !line.is_empty();
        text.lines().filter(told).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.crash();
        }
    }
}

/// The programs of the newest version that is installed.
pub fn newest_bin() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|all| all.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("no PostgreSQL server is installed: apt-get install postgresql")
}

/// A fingerprint by another program.
fn md5(text: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&done.stdout).split(' ').next().unwrap().to_owned()
}
