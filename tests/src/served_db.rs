//! A PostgreSQL server with a database, and a section that backs it up.

use crate::{Postgres, Scratch, Tool};
use std::path::{Path, PathBuf};

/// A host with one section, `[database.main]`.
#[derive(Debug)]
pub struct ServedDb {
    /// The server.
    pub server: Postgres,
    /// Where all else lies.
    pub scratch: Scratch,
    /// The configuration.
    pub config: PathBuf,
}

impl ServedDb {
    /// A new server with a database `app`, filled by these statements.
    pub fn new(sql: &str) -> Self {
        Self::at(Postgres::start(), "app", sql, "")
    }

    /// The same at a server that is there, with another name, and with these keys in its section of backups.
    pub fn at(server: Postgres, database: &str, sql: &str, keys: &str) -> Self {
        server.create(database);
        server.script(database, sql);
        let scratch = Scratch::new();
        let config = configure(&server, &scratch, database, keys);
        Self { server, scratch, config }
    }

    /// Writes another configuration in the place of the first.
    pub fn configure(&self, database: &str, keys: &str) {
        configure(&self.server, &self.scratch, database, keys);
    }

    /// Where its backups lie.
    pub fn backups(&self) -> PathBuf {
        self.scratch.path().join("backups")
    }

    /// The newest backup.
    pub fn newest(&self) -> String {
        let listed = Tool::backup(&self.config).args("list --json").exits(0).json();
        listed["backups"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Makes one that is proved by restoring it.
    pub fn back_up(&self) -> String {
        let done = Tool::backup(&self.config).arg("--json").exits(0).json();
        assert_eq!(done["targets"][0]["verified"], "restore", "{done}");
        done["targets"][0]["id"].as_str().unwrap().to_owned()
    }
}

fn configure(server: &Postgres, scratch: &Scratch, database: &str, keys: &str) -> PathBuf {
    let (url, backups): (String, &Path) =
        (server.url(&database.replace('=', "%3d")), &scratch.path().join("backups"));
    scratch.config(&format!(
        "[database.main]\nurl = '{url}'\n[database.main.backup]\ndir = '{}'\nkeep = {{ last = 9 }}\n{keys}\n",
        backups.display()
    ))
}
