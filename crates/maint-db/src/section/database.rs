//! `[database.NAME]`: where a database is and how it is reached.

use super::BackupSection;
use crate::address::{Address, Settings};
use maint_core::{
    section::{Fault, Section},
    units::Span,
};
use std::{fmt, path::PathBuf};

/// The keys of `[database.NAME]`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DatabaseSection {
    /// Where it is: `postgres://user@host/database` or `sqlite:///path`.
    url: Option<Url>,
    /// Or the name of an entry of a service file.
    service: Option<String>,
    /// Or in parts: the host, or the folder of its socket.
    host: Option<String>,
    /// The port.
    port: Option<u16>,
    /// Whom to log in as.
    user: Option<String>,
    /// The database.
    dbname: Option<String>,
    /// Whether what is said is encrypted.
    sslmode: Option<String>,
    /// Whose signature on the server's certificate counts.
    sslrootcert: Option<PathBuf>,
    /// A file with nothing but the password.
    password_file: Option<PathBuf>,
    /// How long connecting may take.
    #[serde(default = "ten_seconds")]
    connect_timeout: Span,
    /// How long a locked SQLite file is waited for.
    #[serde(default = "half_a_minute")]
    busy_timeout: Span,
    /// What stands before the server's own programs, such as `docker exec -i postgres`.
    #[serde(default)]
    pub command_prefix: Vec<String>,
    /// Its backups.
    pub backup: Option<BackupSection>,
}

fn ten_seconds() -> Span {
    Span::from_seconds(10)
}

fn half_a_minute() -> Span {
    Span::from_seconds(30)
}

/// A URL, with what must not be seen.
#[derive(Clone, serde::Deserialize)]
struct Url(String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn fault(key: &'static str, message: impl Into<String>) -> Fault {
    Fault { key: Some(key), message: message.into() }
}

impl DatabaseSection {
    /// How long a locked file is waited for.
    pub fn busy_timeout(&self) -> Span {
        self.busy_timeout
    }

    /// Where it is, with what files and the environment say.
    pub fn address(&self) -> Result<Address, String> {
        match self.settings().map_err(|fault| fault.message)? {
            Err(path) => Ok(Address::Sqlite(path)),
            Ok(settings) => {
                settings.resolve(self.password_file.as_deref(), self.connect_timeout).map(Address::Postgres)
            }
        }
    }

    /// The file of an SQLite database.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        self.settings().ok().and_then(Result::err)
    }

    fn parts(&self) -> Vec<(&'static str, String)> {
        let parts = [
            ("service", self.service.clone()),
            ("host", self.host.clone()),
            ("port", self.port.map(|port| port.to_string())),
            ("user", self.user.clone()),
            ("dbname", self.dbname.clone()),
            ("sslmode", self.sslmode.clone()),
            ("sslrootcert", self.sslrootcert.as_ref().map(|path| path.to_string_lossy().into_owned())),
        ];
        parts.into_iter().filter_map(|(word, value)| Some((word, value?))).collect()
    }

    fn settings(&self) -> Result<Result<Settings, PathBuf>, Fault> {
        let mut settings = match &self.url {
            None => Settings::default(),
            Some(Url(url)) => match Settings::of_url(url).map_err(|why| fault("url", why))? {
                Err(path) => return Ok(Err(path)),
                Ok(settings) => settings,
            },
        };
        for (word, value) in self.parts() {
            settings.set(word, value).map_err(|why| fault(word, why))?;
        }
        Ok(Ok(settings))
    }
}

/// Names that mean something else on the command line.
const WORDS: [&str; 5] = ["list", "verify", "restore", "drill", "emergency-copy"];

/// A name of a section is a part of that of each backup, and of folders' names.
const LONGEST: usize = 60;

impl Section for DatabaseSection {
    fn check(&self) -> Result<(), Fault> {
        let parts = self.parts();
        if self.url.is_none() && parts.is_empty() {
            let message = "does not say where the database is: add url = \"postgres://user@host/database\" or \"sqlite:///path\", or service, or host, user and dbname";
            return Err(Fault { key: None, message: message.to_owned() });
        }
        if self.url.is_some()
            && let Some((word, _)) =
                parts.iter().find(|(word, _)| !matches!(*word, "sslmode" | "sslrootcert"))
        {
            return Err(fault(word, "stands beside url, which says it too: write one of the two"));
        }
        match self.settings()? {
            Ok(settings) => {
                let key = if self.url.is_some() { "url" } else { "sslmode" };
                settings.check().map_err(|why| {
                    fault(if why.contains("port") && self.port.is_some() { "port" } else { key }, why)
                })?;
            }
            Err(_) => {
                for (key, is_there) in [
                    ("password-file", self.password_file.is_some()),
                    ("command-prefix", !self.command_prefix.is_empty()),
                    ("sslmode", self.sslmode.is_some()),
                    ("sslrootcert", self.sslrootcert.is_some()),
                ] {
                    if is_there {
                        return Err(fault(key, "is for PostgreSQL: a file has no server"));
                    }
                }
            }
        }
        for (key, path) in [("password-file", &self.password_file), ("sslrootcert", &self.sslrootcert)] {
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                return Err(fault(key, "is not absolute: a path begins with a slash"));
            }
        }
        if self.connect_timeout.seconds() == 0 {
            return Err(fault("connect-timeout", "0 would give up before it began"));
        }
        self.backup.as_ref().map_or(Ok(()), |backup| backup.check(self.sqlite_file().is_some()))
    }

    fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        self.backup.as_ref().map(BackupSection::refers_to).unwrap_or_default()
    }

    fn check_together(sections: &[(&str, &Self)]) -> Result<(), (usize, Fault)> {
        for (n, (name, section)) in sections.iter().enumerate() {
            if WORDS.contains(name) {
                let message =
                    format!("is called {name}, which is a command of backup-db: give it another name");
                return Err((n, Fault { key: None, message }));
            }
            if name.len() > LONGEST && section.backup.is_some() {
                let message =
                    format!("is too long a name for what backups are called: {LONGEST} letters are enough");
                return Err((n, Fault { key: None, message }));
            }
            if section.backup.as_ref().is_some_and(|backup| backup.scratch.as_deref() == Some(*name)) {
                return Err((
                    n,
                    fault(
                        "backup.scratch",
                        "names this very section: what is to be proved is not its own proof",
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Fault> {
        toml::from_str::<DatabaseSection>(text).unwrap().check()
    }

    fn refuse(text: &str, key: Option<&str>, says: &str) {
        let fault = check(text).unwrap_err();
        assert_eq!(fault.key, key, "{text}: {}", fault.message);
        assert!(fault.message.contains(says), "{text}: {}", fault.message);
    }

    #[test]
    fn it_must_be_clear_where_a_database_is() {
        check("url = 'postgres://u@localhost/d'").unwrap();
        check("url = 'sqlite:///srv/app.db'").unwrap();
        check("service = 'camera'").unwrap();
        check("host = 'localhost'\nuser = 'u'\ndbname = 'd'\nport = 5433").unwrap();
        refuse("", None, "does not say where");
        refuse("url = 'mysql://u:hunter2@h/d'", Some("url"), "no URL of a database");
        refuse("url = 'postgres://u@h/d'\nhost = 'x'", Some("host"), "beside url");
        refuse("url = 'sqlite:///x.db'\npassword-file = '/x'", Some("password-file"), "has no server");
        refuse("url = 'postgres://u@h/d?sslmode=verify-ca'", Some("url"), "verify-full");
        refuse("host = 'h'\nsslmode = 'no'", Some("sslmode"), "verify-full");
        refuse("host = 'h'\nport = 0", Some("port"), "65535");
    }

    #[test]
    fn debugging_tells_no_secret() {
        let section: DatabaseSection = toml::from_str("url = 'postgres://u:hunter2@h/d'").unwrap();
        assert!(!format!("{section:?}").contains("hunter2"));
    }
}
