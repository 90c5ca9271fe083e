//! `restore ID --into TO`: into a server or a file, whole and proved, or not at all.

use crate::{
    args::{BackupArgs, Section},
    dump::{ROLES, TABLESPACES},
    place,
    restoring::{NAME, NotRestored, Restoring, in_short, jobs},
    scratch::Scratch,
    store::{self, Found, Patience, Steps, Store},
    tools::Tools,
};
use maint_core::{text::shown_path, units::Span};
use maint_db::{
    address::{Server, Settings},
    backup::{BackedUp, Kind, Manifest},
    contents::Differences,
    server::{self, Properties, Session},
};
use maint_run::{
    Run, UsageError,
    exit::Status,
    report::{self, Target, Work},
};
use std::path::PathBuf;

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
    let Found { section, dir, manifest, remark } = places.swap_remove(whole.unwrap_or(0));
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
            crate::proof::tell(&manifest, &mut done, &mut told);
            told.found = remark.into_iter().chain(found.remarks).collect();
            if let Some(warning) = found.warning {
                done.note(Status::Warning, warning);
            }
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
pub(crate) type Restored = Result<Told, (Status, String)>;

/// What is told of a restore that came about.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) remarks: Vec<String>,
    /// What needs a look all the same.
    pub(crate) warning: Option<String>,
}

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
        let done = remarks.and_then(|mut remarks| {
            if let Some(old) = &goal.keeps {
                // Who wants no owners has made the database as he wants it.
                remarks.extend(old.settle_over(&goal.session, &fresh, &|| None).map_err(critical)?);
            }
            remarks.extend(goal.remarks.iter().cloned());
            if self.manifest.files.iter().any(|file| file.name == TABLESPACES) {
                remarks.push(
                    "its server had tablespaces: all that lay in one is in the default one now".to_owned(),
                );
            }
            let warning = goal.swap_in(&fresh, self.args.replace)?;
            Ok(Told { remarks, warning })
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
            if !properties.settings.is_empty() && !self.args.replace && !self.args.no_owner {
                return Err(refused(format!(
                    "the database {database} has settings of its own: add --no-owner to keep them, or --replace"
                )));
            }
            keeps = self.args.no_owner.then_some(properties);
        }
        Ok(Goal { server, session, tools, exists, keeps, remarks })
    }
}

impl Goal<'_> {
    /// Gives the new database the name it was meant to have, and lets the old one go. What was put into an empty one
    /// meanwhile is as dear as what was there before.
    fn swap_in(&self, fresh: &str, replaces: bool) -> Result<Option<String>, (Status, String)> {
        let (session, database) = (&self.session, self.server.database.as_str());
        // It is a matter of moments now, and half done would be worse than late.
        let wait = || None;
        if !self.exists {
            server::rename(session, &[(fresh, database)], &wait).map_err(critical)?;
            return Ok(None);
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
        if !replaces && !server::is_seen_empty(self.server, &aside, NAME, &wait) {
            server::rename(session, &[(database, fresh), (&aside, database)], &wait).map_err(|error| {
                critical(format!("{error}: what was in {database} is in {aside} now, look at both"))
            })?;
            return Err(refused(format!(
                "somebody has put something into {database} meanwhile: name another one, or add --replace"
            )));
        }
        match server::drop_database(session, &aside, &wait) {
            Ok(()) => Ok(None),
            Err(error) => Ok(Some(format!("it is restored; the old database stays as {aside}: {error}"))),
        }
    }
}
