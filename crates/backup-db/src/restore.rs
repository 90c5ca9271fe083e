//! Restoring: into a server or a file, whole and proved, or not at all.

use crate::{
    args::{BackupArgs, Section},
    credentials::Credentials,
    digest,
    dump::{DUMP, ROLES, SCHEMA, ended_well},
    place,
    scratch::Scratch,
    store::{self, Found, Patience, Steps, Store},
    tools::Tools,
};
use maint_core::{
    text::{count, shown_path},
    units::Span,
};
use maint_db::{
    address::{Server, Settings},
    backup::{BackedUp, Kind, Manifest},
    contents::{Contents, Differences},
    server::{self, DbError, Facts, Properties, Session},
};
use maint_run::{
    Run, UsageError,
    command::{self, Spawn},
    exit::Status,
    report::{self, Counter, Target, Work},
};
use std::{io::Read as _, path::PathBuf};

/// As which a restore shows itself at a server.
const NAME: &str = "maint/backup-db/restore";

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
        if !was.has("schema public") {
            // Every new database has one, and no dump says that this one had not.
            let session = Session::open(server, NAME, &asked).map_err(untried)?;
            session.execute(&asked, "DROP SCHEMA IF EXISTS public").map_err(untried)?;
        }
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
        self.origin.properties.settle(&session, &server.database, self.with_roles, &asked).map_err(failed)?;
        let counted = self.manifest.contents.clone();
        let picture = session.run(&asked, move |client| {
            // What the database has been set to must not change how it is compared; a new session starts afresh.
            let version = server::server_of(client)?.version_number;
            let properties = Properties::read(client, version)?;
            let facts = Facts::read(client, &properties)?;
            let contents = server::before_the_dump(client)?;
            Ok((version, facts, server::large_objects_and_tables(client, contents, Some(&counted))?))
        });
        let (version, facts, contents): (u32, Facts, Contents) = picture.map_err(|error| match error {
            DbError::Refused(_) => failed(error),
            error => untried(error),
        })?;
        steps.done("compare");
        let is = facts.without_role(crate::scratch::OURS);
        let (was, is) = match (self.with_roles, self.compares_roles) {
            (true, true) => (was, is),
            (true, false) => (was.without_role_lines(), is.without_role_lines()),
            (false, _) => (was.without_roles(), is.without_roles()),
        };
        let mut found = self.manifest.contents.differences(&contents);
        let differences = was.differences(&is);
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

/// Bytes that a restored database and its unpacked dump need.
pub(crate) fn needs(manifest: &Manifest) -> u64 {
    manifest.plain_bytes() + manifest.source_bytes + manifest.source_bytes / 10
}

/// The first few of many.
pub(crate) fn in_short(faults: &[String]) -> String {
    const TOLD: usize = 4;
    let more = faults.len().saturating_sub(TOLD);
    let more =
        if more > 0 { format!("; and {} more", count(more as u64, "difference")) } else { String::new() };
    format!("{}{more}", faults[..faults.len().min(TOLD)].join("; "))
}

/// `restore ID --into TO`.
pub(crate) fn run(run: &mut Run, args: &BackupArgs, id: &str, into: &str) -> Result<(), UsageError> {
    let mut places = store::find(run, id)?;
    let whole = places.iter().position(|found| {
        let store = Store::look(&found.dir).ok().flatten();
        let patience = Patience::new(found.section.backup.timeout);
        let checked =
            found.manifest.as_ref().ok().zip(store).map(|(manifest, store)| store.check(manifest, &patience));
        matches!(checked, Some(Ok(())))
    });
    // Where none is whole, the first one says why.
    let Found { section, dir, manifest } = places.swap_remove(whole.unwrap_or(0));
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(why) => {
            run.works_ad_hoc();
            let mut done = Target::new(id, shown_path(&dir), "restored".to_owned(), false);
            done.work = Work::Backup(report::BackedUp { verified: "none", ..report::BackedUp::default() });
            crate::job::fail(&mut done, "restore", id, format!("it is damaged: {why}"));
            run.record(done);
            return Ok(());
        }
    };
    // What cannot be meant is said before anything is begun.
    let to = match &manifest.kind {
        Kind::Postgresql(_) => {
            let wrong = |why: String| UsageError::new(format!("--into: {why}"));
            let settings = Settings::of_url(into).map_err(wrong)?;
            let settings = settings
                .map_err(|_| wrong(format!("{id} is of PostgreSQL: write postgres://user@host/database")))?;
            let server = settings.resolve(None, Span::from_seconds(10)).map_err(wrong)?;
            To::Server(server)
        }
        Kind::Sqlite { .. } => To::File(place::destination(into)?),
    };
    run.works_ad_hoc();
    let place = match &to {
        To::Server(server) => server.shown(),
        To::File(path) => shown_path(path),
    };
    let mut done = Target::new(id, place, format!("restored from {}", shown_path(&dir)), false);
    let mut steps = Steps::begin();
    let mut told = report::BackedUp {
        verified: manifest.level().word(),
        bytes: manifest.bytes(),
        ..report::BackedUp::default()
    };
    let outcome = match (Store::look(&dir), &to) {
        (Ok(Some(store)), To::Server(server)) => {
            let patience = Patience::new(section.backup.timeout);
            IntoServer {
                run,
                args,
                section: &section,
                store: &store,
                manifest: &manifest,
                patience: &patience,
            }
            .restore(server, &mut steps)
        }
        (Ok(Some(store)), To::File(path)) => {
            let patience = Patience::new(section.backup.timeout);
            let scratch = section.backup.scratch_dir.as_deref();
            place::restore(run, &store, &manifest, (path, args.replace), scratch, &patience, &mut steps)
        }
        (Ok(None), _) => Err((Status::Critical, format!("{} is not there", shown_path(&dir)))),
        (Err(why), _) => Err((Status::Critical, why)),
    };
    match outcome {
        Ok(found) => {
            told.id = Some(manifest.id.clone());
            told.found = found;
            done.counts.set(Counter::BackupRows, manifest.contents.rows());
            done.counts.set(Counter::DatabaseBytes, manifest.source_bytes);
        }
        Err((Status::Critical, why)) => crate::job::fail(&mut done, "restore", id, why),
        Err((status, why)) => done.note(status, why),
    }
    told.steps = steps.all;
    done.work = Work::Backup(told);
    run.record(done);
    Ok(())
}

enum To {
    Server(Server),
    File(PathBuf),
}

/// What was found out on the way; or how bad it is, and why.
pub(crate) type Restored = Result<Vec<String>, (Status, String)>;

pub(crate) fn critical(why: impl Into<String>) -> (Status, String) {
    (Status::Critical, why.into())
}

pub(crate) fn refused(why: impl Into<String>) -> (Status, String) {
    (Status::Refused, why.into())
}

/// A dump on its way into a server that is there.
struct IntoServer<'a> {
    run: &'a Run,
    args: &'a BackupArgs,
    section: &'a Section,
    store: &'a Store,
    manifest: &'a Manifest,
    patience: &'a Patience,
}

/// The database that a restore leads to.
struct Goal<'a> {
    server: &'a Server,
    session: Session,
    tools: Tools,
    exists: bool,
    /// What the database that is there is to keep.
    keeps: Option<Properties>,
    /// What was found on the way.
    remarks: Vec<String>,
}

impl IntoServer<'_> {
    fn restore(&self, server: &Server, steps: &mut Steps) -> Restored {
        let Kind::Postgresql(origin) = &self.manifest.kind else {
            return Err(critical("it is no dump of a server"));
        };
        let goal = self.look_at(server, origin)?;
        let scratch =
            Scratch::make(self.run, self.section.backup.scratch_dir.as_deref(), self.manifest.plain_bytes());
        let scratch = scratch.map_err(critical)?;
        // What is there stays until the new one is proved.
        let fresh = format!("maint_restore_{}", std::process::id());
        server::create(&goal.session, &fresh, &origin.properties, &|| self.patience.over())
            .map_err(critical)?;
        let restoring = Restoring {
            store: self.store,
            manifest: self.manifest,
            origin,
            tools: &goal.tools,
            jobs: jobs(self.args, self.section),
            with_roles: !self.args.no_owner,
            compares_roles: false,
            patience: self.patience,
        };
        let filled = restoring.fill(&server.with_database(&fresh), &scratch, steps);
        let remarks = match filled.map(Differences::faults_or_remarks) {
            Ok(Ok(remarks)) => Ok(remarks),
            Ok(Err(faults)) => {
                Err(critical(format!("what was restored is not what was backed up: {}", in_short(&faults))))
            }
            Err(NotRestored::Untried(why) | NotRestored::Failed(why)) => Err(critical(why)),
        };
        let done = remarks.and_then(|remarks| {
            if let Some(old) = &goal.keeps {
                // Who wants no owners has made the database as he wants it.
                old.settle(&goal.session, &fresh, true, &|| None).map_err(critical)?;
            }
            goal.swap_in(&fresh).map(|told| [remarks, told, goal.remarks.clone()].concat())
        });
        if done.is_err()
            // Nobody waits any more for what this run began; it is cleaned up all the same.
            && let Err(error) = server::drop_database(&goal.session, &fresh, &|| None)
        {
            log::error!("the half restored database {fresh} stays: {error}");
        }
        steps.done("swap");
        done
    }

    /// Looks whether a restore can come about, before anything is begun.
    fn look_at<'s>(&self, server: &'s Server, origin: &BackedUp) -> Result<Goal<'s>, (Status, String)> {
        let asked = || self.patience.over();
        let database = server.database.as_str();
        // Any database will do to make another; one of these is everywhere.
        let open = |name: &str| Session::open(&server.with_database(name), NAME, &asked);
        let session = match database {
            // Nobody may be in the one that is replaced.
            "postgres" => open("template1"),
            _ => open("postgres").or_else(|first| open("template1").map_err(|_| first)),
        };
        let session = session.map_err(critical)?;
        let there = session.run(&asked, server::server_of).map_err(critical)?;
        if there.major() < origin.version_number / 10_000 {
            let (older, newer) = (&there.version, &origin.version);
            return Err(refused(format!(
                "the server is PostgreSQL {older}, older than the {newer} that was backed up"
            )));
        }
        let tools = Tools::to_dump(there.major(), &there.version).map_err(critical)?;
        let roles = if self.args.no_owner { &origin.unavoidable_roles } else { &origin.roles }.clone();
        let missing =
            session.run(&asked, move |client| server::missing_roles(client, &roles)).map_err(critical)?;
        if !missing.is_empty() {
            let (missing, file) = (missing.join(", "), self.store.path().join(&self.manifest.id).join(ROLES));
            let more = if self.args.no_owner {
                ": policies or user mappings are about them"
            } else {
                ", or add --no-owner"
            };
            return Err(refused(format!(
                "the server does not know the roles {missing}: make them (psql -f {}){more}",
                shown_path(&file)
            )));
        }
        let name = database.to_owned();
        let known = session.run(&asked, move |client| server::known(client, &name)).map_err(critical)?;
        if let Some(known) = &known {
            if !known.is_open {
                return Err(refused(format!(
                    "the database {database} lets nobody in, or is a template: name another one"
                )));
            }
            if known.subscribes {
                return Err(refused(format!(
                    "the database {database} subscribes to another one, and cannot be dropped: drop the subscription first"
                )));
            }
            if known.sessions > 0 {
                let connected = if known.sessions == 1 {
                    "1 session is".to_owned()
                } else {
                    format!("{} sessions are", known.sessions)
                };
                return Err(refused(format!("{connected} connected to {database}: end them first")));
            }
        }
        let left = session.run(&asked, server::leftovers).map_err(critical)?;
        let remarks = left
            .iter()
            .map(|name| format!("a killed run has left the database {name}: look at it, then drop it"))
            .collect();
        let exists = known.is_some();
        let mut keeps = None;
        if exists {
            let inside = Session::open(server, NAME, &asked).map_err(critical)?;
            let version = there.version_number;
            let (is_empty, properties) = inside
                .run(&asked, move |client| {
                    Ok((server::is_empty(client)?, Properties::read(client, version)?))
                })
                .map_err(critical)?;
            if !is_empty && !self.args.replace {
                return Err(refused(format!(
                    "the database {database} is not empty: name another one, or add --replace"
                )));
            }
            keeps = self.args.no_owner.then_some(properties);
        }
        Ok(Goal { server, session, tools, exists, keeps, remarks })
    }
}

impl Goal<'_> {
    /// Gives the new database the name it was meant to have, and lets the old one go.
    fn swap_in(&self, fresh: &str) -> Restored {
        let (session, database) = (&self.session, self.server.database.as_str());
        // It is a matter of moments now, and half done would be worse than late.
        let wait = || None;
        if !self.exists {
            server::rename(session, &[(fresh, database)], &wait).map_err(critical)?;
            return Ok(Vec::new());
        }
        let aside = format!("maint_replaced_{}", std::process::id());
        // Both or neither: there is a database of this name at any moment.
        server::rename(session, &[(database, &aside), (fresh, database)], &wait).map_err(
            |error| match error.to_string() {
                why if why.contains("is being accessed by other users") => {
                    refused(format!("{why}: end them first"))
                }
                why => critical(why),
            },
        )?;
        match server::drop_database(session, &aside, &wait) {
            Ok(()) => Ok(Vec::new()),
            Err(error) => {
                Err((Status::Warning, format!("it is restored; the old database stays as {aside}: {error}")))
            }
        }
    }
}
