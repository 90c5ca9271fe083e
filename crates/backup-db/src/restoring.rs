//! A dump restored into an empty database, and what comes out compared with what was backed up: the same for a proof and
//! for a restore.

use crate::{
    args::{BackupArgs, Section},
    credentials::Credentials,
    digest,
    dump::{DUMP, ROLES, SCHEMA, ended_well},
    scratch::Scratch,
    store::{Patience, Steps, Store},
    tools::Tools,
};
use maint_core::{text::count, units::Span};
use maint_db::{
    address::Server,
    backup::{BackedUp, Manifest},
    contents::{Contents, Differences},
    server::{self, DbError, Facts, Properties, Session},
};
use maint_run::command::{self, Spawn};
use std::{io::Read as _, path::PathBuf};

/// As which a restore shows itself at a server.
pub(crate) const NAME: &str = "maint/backup-db/restore";

/// Why a restore did not come about.
pub(crate) enum NotRestored {
    /// It could not even be tried: what is missing.
    Untried(String),
    /// It was tried, and failed, or what came out is something else.
    Failed(String),
}

/// A dump that is being restored.
pub(crate) struct Restoring<'a> {
    pub(crate) store: &'a Store,
    pub(crate) manifest: &'a Manifest,
    pub(crate) origin: &'a BackedUp,
    pub(crate) tools: &'a Tools,
    pub(crate) jobs: u32,
    /// Whether things belong to whom they belonged to.
    pub(crate) with_roles: bool,
    /// Whether the roles of the server are what they were, too.
    pub(crate) compares_roles: bool,
    pub(crate) patience: &'a Patience,
}

impl Restoring<'_> {
    /// The dump as it was before it was compressed: only a file can be read by several at once.
    fn unpacked(&self, scratch: &Scratch) -> Result<PathBuf, NotRestored> {
        let entry = self.manifest.files.iter().find(|entry| entry.name == DUMP);
        let entry = entry.ok_or_else(|| NotRestored::Failed(format!("it has no {DUMP}")))?;
        let from = self.store.file(&self.manifest.id, DUMP).map_err(NotRestored::Failed)?;
        let mut to = scratch.create("dump", 0o600).map_err(NotRestored::Untried)?;
        digest::expand(from, &mut to, entry, || self.patience.over()).map_err(|why| {
            match self.patience.over() {
                Some(why) => NotRestored::Untried(why),
                None => NotRestored::Failed(why),
            }
        })?;
        Ok(scratch.path().join("dump"))
    }

    /// Makes the roles that the server had. The first of them is there already.
    pub(crate) fn roles(&self, server: &Server) -> Result<(), NotRestored> {
        let roles = self.store.file(&self.manifest.id, ROLES).map_err(NotRestored::Failed)?;
        let credentials =
            Credentials::new(server, NAME).map_err(|error| NotRestored::Untried(error.to_string()))?;
        let program = self.tools.program("psql").map_err(NotRestored::Untried)?;
        let words = [
            &*program.to_string_lossy(),
            "--no-psqlrc",
            "--quiet",
            "--no-password",
            "--file=-",
            &credentials.word("template1"),
        ];
        let words: Vec<String> = words.map(str::to_owned).to_vec();
        let spawn = Spawn::new(&program, &words).with(credentials.environment()).reading(roles);
        let performed = command::perform(&spawn, Span::from_seconds(600), || self.patience.over());
        let performed =
            performed.map_err(|error| NotRestored::Untried(format!("psql cannot be started: {error}")))?;
        let known = format!("role \"{}\" already exists", self.origin.bootstrap);
        let error =
            performed.tail.lines().into_iter().find(|line| line.contains("ERROR:") && !line.contains(&known));
        match error {
            Some(error) => Err(NotRestored::Failed(format!("{ROLES} cannot be restored: {error}"))),
            None if !performed.ended.is_success() => {
                Err(NotRestored::Failed(format!("{ROLES} cannot be restored: {}", performed.ended)))
            }
            None => Ok(()),
        }
    }

    /// What the database was made of.
    fn facts(&self) -> Result<Facts, NotRestored> {
        let mut text = String::new();
        let schema = self.store.file(&self.manifest.id, SCHEMA).map_err(NotRestored::Failed)?;
        schema
            .take(1 << 30)
            .read_to_string(&mut text)
            .map_err(|error| NotRestored::Failed(format!("{SCHEMA} cannot be read: {error}")))?;
        Ok(Facts::of_text(&text))
    }

    /// Fills an empty database, and compares what came out with what was backed up.
    pub(crate) fn fill(
        &self,
        server: &Server,
        scratch: &Scratch,
        steps: &mut Steps,
    ) -> Result<Differences, NotRestored> {
        let was = self.facts()?;
        let dump = self.unpacked(scratch)?;
        steps.done("unpack");
        let asked = || self.patience.over();
        let untried = |error: DbError| NotRestored::Untried(error.to_string());
        let failed = |error: DbError| NotRestored::Failed(error.to_string());
        let session = Session::open(server, NAME, &asked).map_err(untried)?;
        if !was.has("schema public") {
            // Every new database has one, and no dump says that this one had not.
            session.execute(&asked, "DROP SCHEMA IF EXISTS public").map_err(untried)?;
        }
        let properties = &self.origin.properties;
        let unset = properties.set_up(&session, &server.database, self.with_roles, &asked).map_err(failed)?;
        drop(session);
        let credentials =
            Credentials::new(server, NAME).map_err(|error| NotRestored::Untried(error.to_string()))?;
        let program = self.tools.program("pg_restore").map_err(NotRestored::Untried)?;
        let mut words: Vec<String> = vec![
            program.to_string_lossy().into_owned(),
            credentials.word(&server.database),
            "--exit-on-error".to_owned(),
            "--no-password".to_owned(),
            "--no-tablespaces".to_owned(),
            format!("--jobs={}", self.jobs),
        ];
        if !self.with_roles {
            words.extend(["--no-owner".to_owned(), "--no-privileges".to_owned()]);
        }
        words.push(dump.to_string_lossy().into_owned());
        let spawn = Spawn::new(&program, &words).with(credentials.environment());
        let performed = command::perform(&spawn, AT_LAST, asked)
            .map_err(|error| NotRestored::Untried(format!("pg_restore cannot be started: {error}")))?;
        if let Some(why) = asked() {
            return Err(NotRestored::Untried(why));
        }
        ended_well("pg_restore", &performed).map_err(NotRestored::Failed)?;
        steps.done("restore");

        let session = Session::open(server, NAME, &asked).map_err(untried)?;
        properties.settle(&session, &server.database, self.with_roles, &asked).map_err(failed)?;
        let counted = self.manifest.contents.clone();
        let picture = session.run(&asked, move |client| {
            // What the database has been set to must not change how it is compared; a new session starts afresh.
            let version = server::server_of(client)?.version_number;
            let properties = Properties::read(client, version)?;
            let facts = Facts::read(client, &properties)?;
            let contents = server::before_the_dump(client)?;
            Ok((version, facts, server::large_objects_and_tables(client, contents, &counted)?))
        });
        let (version, facts, contents): (u32, Facts, Contents) = picture.map_err(|error| match error {
            DbError::Refused(_) => failed(error),
            error => untried(error),
        })?;
        steps.done("compare");
        let is = facts.without_role(&server.user);
        let (was, is) = match (self.with_roles, self.compares_roles) {
            (true, true) => (was, is),
            (true, false) => (was.without_role_lines(), is.without_role_lines()),
            (false, _) => (was.without_roles(), is.without_roles()),
        };
        let mut found = self.manifest.contents.differences(&contents);
        let differences = was.without_settings(&unset).differences(&is);
        found.remarks.extend(unset.iter().map(|setting| {
            format!("{} may not set {setting} of the database: it is as usual there", server.user)
        }));
        if version / 10_000 == self.origin.version_number / 10_000 {
            found.faults.extend(differences);
        } else if !differences.is_empty() {
            let lines = count(differences.len() as u64, "line");
            found.remarks.push(format!(
                "another version describes the schema in other words, in {lines}: {}",
                in_short(&differences)
            ));
        }
        Ok(found)
    }
}

/// The end of a restore is asked for all the time; this is only the outermost limit.
const AT_LAST: Span = Span::from_seconds(30 * 86_400);

/// How many tables are restored at once.
pub(crate) fn jobs(args: &BackupArgs, section: &Section) -> u32 {
    let processors =
        || std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
    args.jobs.or(section.backup.jobs).unwrap_or_else(processors)
}

/// Bytes that a server of its own, a restored database, what is logged of it and its unpacked dump need.
pub(crate) fn needs(manifest: &Manifest) -> u64 {
    const EMPTY_SERVER: u64 = 48 << 20;
    let database = manifest.source_bytes + manifest.source_bytes / 10;
    manifest.plain_bytes() + database + EMPTY_SERVER + MOST_LOGGED.min(2 * database)
}

/// A scratch server keeps about so much of its log.
pub(crate) const MOST_LOGGED: u64 = 192 << 20;

/// The first few of many.
pub(crate) fn in_short(faults: &[String]) -> String {
    const TOLD: usize = 4;
    let more = faults.len().saturating_sub(TOLD);
    let more =
        if more > 0 { format!("; and {} more", count(more as u64, "difference")) } else { String::new() };
    format!("{}{more}", faults[..faults.len().min(TOLD)].join("; "))
}
