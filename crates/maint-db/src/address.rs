//! Where a database is, and how it is reached: what the configuration, a service file, a password file and
//! the environment say, put together as libpq does it.

use crate::{
    Secret,
    passfile::{self, Whom},
    service,
    url::{self, Url},
};
use maint_core::{
    text::{printable, shown_path},
    units::Span,
};
use nix::{
    fcntl::OFlag,
    unistd::{Uid, User},
};
use std::{
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At a server.
    Postgres(Server),
    /// In a file.
    Sqlite(PathBuf),
}

/// A PostgreSQL server and a database of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A name, an address, or the folder of a socket.
    pub host: String,
    /// The port, of a socket too.
    pub port: u16,
    /// Whom to log in as.
    pub user: String,
    /// The database.
    pub database: String,
    /// The password, where one is needed.
    pub password: Option<Secret>,
    /// Whether what is said is encrypted.
    pub tls: Tls,
    /// How long connecting may take.
    pub connect_timeout: Span,
}

/// Whether what is said is encrypted. If it is, the server's certificate is checked: who it is for, and
/// whether one of these has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// It is not.
    Off,
    /// By an authority in this file.
    Verified(PathBuf),
}

/// Whom the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where servers of Debian and of the source have their sockets.
const SOCKETS: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];
const SERVICE_FILES: [&str; 2] = ["/etc/postgresql-common/pg_service.conf", "/etc/pg_service.conf"];

/// The words of libpq that are heeded.
const WORDS: [&str; 11] = [
    "host",
    "port",
    "user",
    "dbname",
    "password",
    "passfile",
    "service",
    "servicefile",
    "sslmode",
    "sslrootcert",
    "connect_timeout",
];

/// Settings as they were given, word by word.
#[derive(Debug, Clone, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// What a URL says: settings of a server, or a file.
    pub fn of_url(url: &str) -> Result<Result<Self, PathBuf>, String> {
        Ok(match url::parse(url)? {
            Url::Sqlite(path) => Err(path),
            Url::Postgres(pairs) => {
                let mut settings = Self::default();
                for (word, value) in pairs {
                    settings.set(&word, value).map_err(|why| without_secrets(url, why))?;
                }
                Ok(settings)
            }
        })
    }

    /// Adds one; the first of a word counts.
    pub fn set(&mut self, word: &str, value: impl Into<String>) -> Result<(), String> {
        if !WORDS.contains(&word) {
            return Err(format!("unknown parameter `{word}`: known are {}", WORDS.join(" ")));
        }
        if self.get(word).is_none() {
            self.0.push((word.to_owned(), value.into()));
        }
        Ok(())
    }

    fn get(&self, word: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == word).map(|(_, value)| value.as_str())
    }

    /// What is wrong with them whatever files say.
    pub fn check(&self) -> Result<(), String> {
        self.port()?;
        self.timeout()?;
        self.tls("localhost").map(drop)
    }

    fn port(&self) -> Result<u16, String> {
        let port = self.get("port").unwrap_or("5432");
        port.parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
    }

    fn timeout(&self) -> Result<Option<Span>, String> {
        let seconds = self.get("connect_timeout").map(str::parse).transpose();
        seconds
            .map(|seconds| seconds.map(Span::from_seconds))
            .map_err(|_| "connect_timeout is a number of seconds".to_owned())
    }

    /// Without a word an unencrypted connection stays within the machine; across a network it is encrypted
    /// and the server's certificate is checked.
    fn tls(&self, host: &str) -> Result<Tls, String> {
        let verified = || Tls::Verified(self.get("sslrootcert").unwrap_or(SYSTEM_AUTHORITIES).into());
        match self.get("sslmode") {
            None | Some("prefer" | "allow") if is_here(host) => Ok(Tls::Off),
            Some("disable") => Ok(Tls::Off),
            None | Some("prefer" | "allow" | "require" | "verify-full") if !host.starts_with('/') => {
                Ok(verified())
            }
            Some("require" | "verify-full") => {
                Err("sslmode: nothing is encrypted on a socket; leave it out".to_owned())
            }
            _ => Err(
                "sslmode is disable or verify-full: where TLS is used, the server's certificate is checked"
                    .to_owned(),
            ),
        }
    }

    /// The server they lead to, with what files and the environment add.
    pub fn resolve(mut self, password_file: Option<&Path>, connect_timeout: Span) -> Result<Server, String> {
        self.add_service()?;
        let me = || User::from_uid(Uid::effective()).ok().flatten();
        let user = match self.get("user") {
            Some(user) => user.to_owned(),
            None => me().map(|user| user.name).ok_or("user: who is meant? This process has no name")?,
        };
        let host = self.get("host").map_or_else(usual_socket, str::to_owned);
        let (port, database) = (self.port()?, self.get("dbname").unwrap_or(&user).to_owned());
        let password = match (self.get("password"), password_file) {
            (Some(password), _) => Some(Secret::new(password)),
            (None, Some(file)) => Some(password_in(file)?),
            (None, None) => {
                let home = me().map(|user| user.dir);
                let named = self.get("passfile").map(PathBuf::from);
                let named = named.or_else(|| std::env::var_os("PGPASSFILE").map(PathBuf::from));
                let path = named.clone().or_else(|| home.map(|home| home.join(".pgpass")));
                let text = match path.as_deref().map(private_file) {
                    Some(Ok(text)) => Some(text),
                    // The usual one need not be there; as with libpq one that others may read is not used.
                    Some(Err(why)) if named.is_some() => return Err(why),
                    _ => None,
                };
                let port = port.to_string();
                let host = if host.starts_with('/') && SOCKETS.contains(&host.as_str()) {
                    "localhost"
                } else {
                    &host
                };
                let whom = Whom { host, port: &port, database: &database, user: &user };
                text.and_then(|text| passfile::find(&text, whom))
            }
        };
        let tls = self.tls(&host)?;
        Ok(Server {
            tls,
            port,
            user,
            database,
            password,
            host,
            connect_timeout: self.timeout()?.unwrap_or(connect_timeout),
        })
    }

    fn add_service(&mut self) -> Result<(), String> {
        let Some(name) = self.get("service").map(str::to_owned) else { return Ok(()) };
        let named = self
            .get("servicefile")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("PGSERVICEFILE").map(PathBuf::from));
        let home =
            User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir.join(".pg_service.conf"));
        let usual = home.into_iter().chain(SERVICE_FILES.map(PathBuf::from));
        let paths: Vec<PathBuf> = named.map_or_else(|| usual.collect(), |named| vec![named]);
        for path in &paths {
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let shown = shown_path(path);
            if let Some(settings) = service::find(&text, &name).map_err(|why| format!("{shown}: {why}"))? {
                for (word, value) in settings {
                    self.set(&word, value).map_err(|why| format!("{shown}: [{name}]: {why}"))?;
                }
                return Ok(());
            }
        }
        let looked: Vec<String> = paths.iter().map(|path| shown_path(path)).collect();
        Err(format!("there is no service {name} in {}", looked.join(", ")))
    }
}

impl Server {
    /// Where it is, for a person: no password.
    pub fn shown(&self) -> String {
        let Self { host, port, user, database, .. } = self;
        let shown = if host.starts_with('/') {
            format!("postgres://{user}@/{database}?host={host}&port={port}")
        } else {
            format!("postgres://{user}@{host}:{port}/{database}")
        };
        printable(shown.as_bytes())
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }
}

impl Address {
    /// Where it is, for a person: no password.
    pub fn shown(&self) -> String {
        match self {
            Self::Postgres(server) => server.shown(),
            Self::Sqlite(path) => shown_path(path),
        }
    }
}

/// What is said of an unknown parameter of a URL: what follows a `?` may be the rest of a password.
fn without_secrets(url: &str, why: String) -> String {
    match url.split_once('?') {
        Some((_, query)) if query.contains('@') => {
            "has an unknown parameter: in a user or a password ? is written %3F, and @ %40".to_owned()
        }
        _ => why,
    }
}

/// Whether nobody else can listen on the way to a host.
fn is_here(host: &str) -> bool {
    host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn usual_socket() -> String {
    let there = SOCKETS.iter().find(|folder| Path::new(folder).join(".s.PGSQL.5432").exists());
    (*there.unwrap_or(&SOCKETS[0])).to_owned()
}

/// A file that holds nothing but a password.
fn password_in(path: &Path) -> Result<Secret, String> {
    let text = private_file(path)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(format!("{}: its first line should be the password, and is empty", shown_path(path)));
    }
    Ok(Secret::new(password))
}

/// Reads what nobody but its owner can read, who is root or the caller.
fn private_file(path: &Path) -> Result<String, String> {
    let shown = shown_path(path);
    let wait_for_nobody = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = OpenOptions::new().read(true).custom_flags(wait_for_nobody.bits()).open(path);
    let file = open.map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    let seen = file.metadata().map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    if !seen.is_file() {
        return Err(format!("{shown}: is not a file"));
    }
    if seen.uid() != 0 && seen.uid() != Uid::effective().as_raw() {
        return Err(format!("{shown}: belongs to user {}: it must be root's or yours (chown)", seen.uid()));
    }
    if seen.mode() & 0o077 != 0 {
        return Err(format!(
            "{shown}: holds a password and others may read or write it: take that right away (chmod 600)"
        ));
    }
    let mut text = String::new();
    file.take(1 << 20)
        .read_to_string(&mut text)
        .map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, String> {
        Settings::of_url(url)?.unwrap().resolve(None, Span::from_seconds(10))
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        for (url, off) in [
            ("postgres://u@localhost/d", true),
            ("postgres://u@127.0.0.1/d", true),
            ("postgres://u@/d?host=/run/x", true),
            ("postgres://u@db.example/d", false),
            ("postgres://u@db.example/d?sslmode=disable", true),
            ("postgres://u@localhost/d?sslmode=verify-full", false),
            ("postgres://u@db.example/d?sslmode=prefer", false),
        ] {
            assert_eq!(server(url).unwrap().tls == Tls::Off, off, "{url}");
        }
        assert!(server("postgres://u@h/d?sslmode=verify-ca").unwrap_err().contains("verify-full"));
        assert!(server("postgres://u@/d?host=/run/x&sslmode=require").unwrap_err().contains("socket"));
    }

    #[test]
    fn it_is_shown_without_its_password() {
        let server = server("postgres://u:hunter2@localhost:5433/d").unwrap();
        assert_eq!(server.shown(), "postgres://u@localhost:5433/d");
        assert!(!format!("{server:?}").contains("hunter2"));
        assert_eq!(server.password.unwrap().reveal(), "hunter2");
    }

    #[test]
    fn unknown_words_are_named() {
        assert!(server("postgres://u@h/d?sslmod=x").unwrap_err().contains("unknown parameter `sslmod`"));
        assert!(!server("postgres://u:hun?ter2=x@h/d").unwrap_err().contains("ter2"));
        assert!(server("postgres://u@h:70000/d").unwrap_err().contains("65535"));
    }
}
