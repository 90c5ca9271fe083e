//! The server's own programs, in the version that fits.

use maint_core::units::Span;
use maint_run::command::{self, Spawn};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

/// A folder with programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tools {
    folder: PathBuf,
    /// What they call themselves.
    pub(crate) version: String,
    major: u32,
}

/// Where versions lie side by side …
const VERSIONED: [&str; 2] = ["/usr/lib/postgresql", "/usr"];
/// … and where there is one.
const SINGLE: [&str; 3] = ["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"];

/// A version is told at once.
const PATIENCE: Span = Span::from_seconds(20);

impl Tools {
    /// Those that lie side by side; asking each of the others costs a start of it, so they come only if need be.
    fn versioned() -> Vec<Self> {
        let folders =
            VERSIONED.iter().flat_map(|above| std::fs::read_dir(above).into_iter().flatten().flatten());
        let named = folders.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // Debian's `15`, and `pgsql-15` of others.
            let major: u32 = name.strip_prefix("pgsql-").unwrap_or(&name).parse().ok()?;
            Some((major, entry.path().join("bin")))
        });
        named
            .filter_map(|(major, folder)| Self::in_folder(&folder).filter(|tools| tools.major == major))
            .collect()
    }

    fn single() -> Vec<Self> {
        SINGLE.iter().filter_map(|folder| Self::in_folder(Path::new(folder))).collect()
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let program = folder.join("pg_dump");
        if !program.is_file() {
            return None;
        }
        let version = ask(&program, &["pg_dump".to_owned(), "--version".to_owned()]).ok()?;
        let major = major_of(&version)?;
        Some(Self { folder: folder.to_owned(), version, major })
    }

    /// Those that can dump a server: of its version, or of the next one that there is.
    pub(crate) fn to_dump(server: u32, server_version: &str) -> Result<Self, String> {
        let mut newest = None;
        for all in [Self::versioned, Self::single] {
            let all = all();
            newest = newest.max(all.iter().map(|tools| tools.major).max());
            let fitting =
                all.into_iter().filter(|tools| tools.major >= server).min_by_key(|tools| tools.major);
            if let Some(tools) = fitting {
                return Ok(tools);
            }
        }
        let here = newest
            .map_or_else(|| "there is none here".to_owned(), |newest| format!("the newest here is {newest}"));
        Err(format!(
            "the server is PostgreSQL {server_version}, and of its programs {here}: install postgresql-client-{server}"
        ))
    }

    /// Those with a server of just this version.
    pub(crate) fn to_serve(server: u32) -> Result<Self, String> {
        let fits = |tools: &Self| {
            tools.major == server
                && ["initdb", "postgres", "pg_restore", "psql"]
                    .iter()
                    .all(|name| tools.folder.join(name).is_file())
        };
        [Self::versioned, Self::single].iter().find_map(|all| all().into_iter().find(fits)).ok_or_else(|| {
            format!(
                "there is no PostgreSQL {server} here to start: install postgresql-{server}, or name a scratch server"
            )
        })
    }

    /// One of them, that nobody else could have put there.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        command::find(&path.to_string_lossy()).map_err(|error| error.to_string())
    }
}

/// What a program prints that prints little.
pub(crate) fn ask(program: &Path, words: &[String]) -> Result<String, String> {
    let spawn = Spawn::new(program, words);
    let read = |mut pipe: std::io::PipeReader| {
        let mut text = String::new();
        pipe.by_ref().take(4096).read_to_string(&mut text).map(|_| text)
    };
    let (performed, text) =
        command::stream(&spawn, PATIENCE, || None, read).map_err(|error| error.to_string())?;
    if !performed.ended.is_success() {
        let said = performed.tail.lines().join(" ");
        return Err(format!("{}: {said}", performed.ended));
    }
    text.map(|text| text.trim().to_owned()).map_err(|error| error.to_string())
}

/// Of `pg_dump (PostgreSQL) 15.18 (Debian …)` the 15.
pub(crate) fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major_of("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("pg_dump (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major_of("nonsense"), None);
    }
}
