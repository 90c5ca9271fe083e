//! The manifest of a backup: what it is of, which files it has, what was in it, and what has been proved.

use crate::{contents::Contents, section::Level, server::Properties};
use maint_core::{saved::fingerprint, sealed, text::printable, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Its file.
pub const MANIFEST: &str = "manifest.json";
/// The schema of this version.
pub const SCHEMA: &str = "maint.backup/1";

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `maint.backup/1`.
    pub schema: String,
    /// Its name, which is that of its folder.
    pub id: String,
    /// The section that it was made for.
    pub section: String,
    /// The database, or the file.
    pub database: String,
    /// Where that was, without any password.
    pub source: String,
    /// The machine it was made on.
    pub host: String,
    /// Which version of this program made it.
    pub made_by: String,
    /// When it was begun, in seconds since 1970, and as a person reads it.
    pub time: i64,
    /// The same, as a person reads it.
    pub started: String,
    /// When it was complete.
    pub finished: String,
    /// What kind of database.
    #[serde(flatten)]
    pub kind: Kind,
    /// Bytes of the database itself.
    pub source_bytes: u64,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// What was in it.
    pub contents: Contents,
    /// What has been proved, the newest last.
    pub proofs: Vec<Proof>,
}

/// What kind of database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// A server's.
    Postgresql(Box<BackedUp>),
    /// A file.
    Sqlite {
        /// The version of SQLite that copied it.
        version: String,
        /// How writers went on meanwhile: `wal`, or another journal.
        wal: bool,
        /// References that led nowhere in the original, where that could be told.
        dangling: Option<u64>,
        /// What is wrong with the original: a copy of it is no good backup, and better than none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
}

/// What must be known of a server to restore a dump of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// `15.18 (Debian …)`.
    pub version: String,
    /// 150018.
    pub version_number: u32,
    /// `pg_dump (PostgreSQL) 15.18`.
    pub dumped_by: String,
    /// The first role there ever was.
    pub bootstrap: String,
    /// What makes the database what it is.
    pub properties: Properties,
    /// Roles that things in it belong to, or may be used by.
    pub roles: Vec<String>,
    /// Those of them that must be there even where nothing is to belong to anybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavoidable_roles: Vec<String>,
    /// Whether the passwords of roles are there.
    pub passwords: bool,
    /// Libraries that the server loads when it starts: extensions may need them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preloaded: String,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Of its bytes.
    pub sha256: String,
    /// Its length once it is not compressed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_bytes: Option<u64>,
}

/// One thing that was proved, or that could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What was tried.
    pub level: Level,
    /// Whether it held.
    pub held: bool,
    /// When.
    pub time: i64,
    /// The same, as a person reads it.
    pub at: String,
    /// By what: the program, and the server it was restored to.
    pub by: String,
    /// How long it took.
    pub seconds: u64,
    /// What was remarkable, or why it did not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

impl Manifest {
    /// As a file.
    pub fn to_text(&self) -> String {
        // Every key is a string: this cannot fail.
        sealed::seal(&serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// From a file; `id` is the name of its folder.
    pub fn of_text(text: &str, id: &str) -> Result<Self, String> {
        if !sealed::is_intact(text) {
            return Err(format!("{MANIFEST} is not what was written"));
        }
        let manifest: Self = serde_json::from_str(text)
            .map_err(|error| format!("{MANIFEST} cannot be understood: {error}"))?;
        if manifest.schema != SCHEMA {
            return Err(format!(
                "{MANIFEST} has the schema {}, and this program knows {SCHEMA}",
                manifest.schema
            ));
        }
        manifest.check_files()?;
        if manifest.id != id {
            let other = printable(manifest.id.as_bytes());
            return Err(format!("{MANIFEST} is that of another backup, {other}"));
        }
        Ok(manifest)
    }

    /// Names of files are names: a manifest that somebody has written must lead nowhere else.
    fn check_files(&self) -> Result<(), String> {
        let names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        let needed: &[&str] = match &self.kind {
            Kind::Postgresql(_) => &["dump.zst", "roles.sql", "schema.txt"],
            Kind::Sqlite { .. } => &["data.db.zst", "schema.txt"],
        };
        let allowed = |name: &&str| needed.contains(name) || **name == *"tablespaces.sql";
        let is_once = |name: &&str| names.iter().filter(|other| *other == name).count() == 1;
        match names.iter().find(|name| !allowed(name) || !is_once(name)) {
            Some(name) => {
                Err(format!("{MANIFEST} names the file {}, which no backup has", printable(name.as_bytes())))
            }
            None if needed.iter().all(|name| names.contains(name)) => Ok(()),
            None => Err(format!("{MANIFEST} does not name all files of a backup")),
        }
    }

    /// When it was made.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_seconds(self.time)
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of what they hold, once it is not compressed any more.
    pub fn plain_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.plain_bytes).fold(0, u64::saturating_add)
    }

    /// What is proved of it: the last try counts where it failed.
    pub fn level(&self) -> Level {
        if let Kind::Sqlite { fault: Some(_), .. } = &self.kind {
            return Level::None;
        }
        match self.proofs.last() {
            // A restore that did not come out says nothing about its files, unless they are what failed.
            None | Some(Proof { held: false, level: Level::Checksum, .. }) => Level::None,
            Some(Proof { held: false, .. }) => Level::Checksum,
            Some(_) => {
                let since = self.proofs.iter().rposition(|proof| !proof.held).map_or(0, |at| at + 1);
                self.proofs[since..].iter().map(|proof| proof.level).max().unwrap_or(Level::None)
            }
        }
    }

    /// When a restore was last proved.
    pub fn restored(&self) -> Option<Timestamp> {
        let proof = self.proofs.iter().rev().find(|proof| proof.held && proof.level == Level::Restore)?;
        Some(Timestamp::from_seconds(proof.time))
    }

    /// Adds a proof. Of many of one kind the first and the last tell enough.
    pub fn add(&mut self, proof: Proof) {
        let is_same = |known: &Proof| known.level == proof.level && known.held == proof.held;
        if self.proofs.len() > 1 && self.proofs.iter().rev().take(2).all(is_same) {
            self.proofs.pop();
        }
        self.proofs.push(proof);
    }
}

/// More than this of a name is told by a fingerprint of it.
const LONGEST: usize = 100;

/// A name as a part of a folder's name: what is not plain is written as `%` and two digits.
pub fn encoded(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let text: String = name
        .bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02x}") })
        .collect();
    if text.len() <= LONGEST {
        return text;
    }
    // Two that begin alike must not be called alike.
    format!("{}%{}", text.chars().take(LONGEST).collect::<String>(), &fingerprint(name)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            schema: SCHEMA.to_owned(),
            id: "app-1".to_owned(),
            section: "app".to_owned(),
            database: "app.db".to_owned(),
            source: "/srv/app.db".to_owned(),
            host: "h".to_owned(),
            made_by: "maint 0.1.0".to_owned(),
            time: 0,
            started: String::new(),
            finished: String::new(),
            kind: Kind::Sqlite { version: "3".to_owned(), wal: true, dangling: Some(0), fault: None },
            source_bytes: 1,
            files: ["data.db.zst", "schema.txt"].map(file).to_vec(),
            contents: Contents::default(),
            proofs: Vec::new(),
        }
    }

    fn file(name: &str) -> FileEntry {
        FileEntry {
            name: name.to_owned(),
            bytes: u64::MAX,
            sha256: String::new(),
            plain_bytes: Some(u64::MAX),
        }
    }

    #[test]
    fn its_files_are_those_of_a_backup() {
        let check = |names: &[&str]| {
            let manifest = Manifest { files: names.iter().map(|name| file(name)).collect(), ..manifest() };
            Manifest::of_text(&manifest.to_text(), "app-1")
                .map(|manifest| (manifest.bytes(), manifest.plain_bytes()))
        };
        assert_eq!(check(&["data.db.zst", "schema.txt"]), Ok((u64::MAX, u64::MAX)));
        for wrong in [
            &["data.db.zst", "schema.txt", "../../etc/passwd"][..],
            &["data.db.zst", "schema.txt", ""],
            &["data.db.zst", "schema.txt", "manifest.json"],
            &["data.db.zst", "schema.txt", "schema.txt"],
            &["data.db.zst"],
            &[],
        ] {
            check(wrong).unwrap_err();
        }
    }

    fn proof(level: Level, held: bool, time: i64) -> Proof {
        Proof { level, held, time, at: String::new(), by: String::new(), seconds: 0, remarks: Vec::new() }
    }

    #[test]
    fn it_is_what_was_written_or_nothing() {
        let manifest = manifest();
        let text = manifest.to_text();
        assert_eq!(Manifest::of_text(&text, "app-1").unwrap(), manifest);
        assert!(Manifest::of_text(&text, "app-2").unwrap_err().contains("another backup"));
        assert!(Manifest::of_text(&text.replace("app.db", "cpp.db"), "app-1").is_err());
        assert!(Manifest::of_text(&text[..text.len() / 2], "app-1").is_err());
        assert!(Manifest::of_text("", "app-1").is_err());
    }

    #[test]
    fn the_last_try_counts() {
        let mut manifest = manifest();
        assert_eq!(manifest.level(), Level::None);
        manifest.add(proof(Level::Checksum, true, 1));
        assert_eq!(manifest.level(), Level::Checksum);
        manifest.add(proof(Level::Restore, true, 2));
        manifest.add(proof(Level::Checksum, true, 3));
        assert_eq!(manifest.level(), Level::Restore, "a later and lesser proof takes nothing away");
        assert_eq!(manifest.restored(), Some(Timestamp::from_seconds(2)));
        manifest.add(proof(Level::Restore, false, 4));
        assert_eq!(manifest.level(), Level::Checksum);
        manifest.add(proof(Level::Checksum, false, 5));
        assert_eq!(manifest.level(), Level::None);
        manifest.add(proof(Level::Checksum, true, 6));
        assert_eq!(manifest.level(), Level::Checksum);
    }

    #[test]
    fn proofs_do_not_pile_up() {
        let mut manifest = manifest();
        for day in 0..100 {
            manifest.add(proof(Level::Checksum, true, day));
        }
        assert_eq!(manifest.proofs.iter().map(|proof| proof.time).collect::<Vec<_>>(), [0, 99]);
    }

    #[test]
    fn names_of_databases_become_names_of_folders() {
        assert_eq!(encoded("camera_1"), "camera_1");
        assert_eq!(encoded("a/b-c ."), "a%2fb%2dc%20%2e");
    }
}
