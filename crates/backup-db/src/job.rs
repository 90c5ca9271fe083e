//! One section from its start to its report: back up, prove, thin out, copy on.

use crate::{
    args::{BackupArgs, Case, Section},
    copies, keep,
    make::{What, estimate, make},
    proof,
    store::{Keeper, NoStore, Patience, Steps, Store},
    words,
};
use maint_core::{
    text::{printable, shown_path},
    units::ByteSize,
};
use maint_db::{
    address::{Address, Server},
    backup::{Kind, Manifest},
    section::{Databases as Which, Level},
    server::{self, Databases, DbError, Session},
};
use maint_run::{
    Run, UsageError,
    config::Named,
    exit::Status,
    report::{BackedUp, Counter, Failure, Target, Work},
    signals,
};
use proof::{Prover, Tried};

/// Makes the backups of all sections that were selected.
pub(crate) fn run(run: &mut Run, args: &BackupArgs) -> Result<(), UsageError> {
    let sections: Vec<Named<Section>> = Section::selected(run)?
        .into_iter()
        .map(|section| Named { name: section.name.clone(), value: section, place: String::new() })
        .collect();
    run.each(&sections, |run, section| back_up(run, args, &section.value));
    Ok(())
}

fn back_up(run: &Run, args: &BackupArgs, section: &Section) -> Vec<Target> {
    let case = Case { run, args, section };
    let dry_run = section.backup.dry_run || args.changing.dry_run;
    let failed = |status: Status, why: String| {
        let mut done = target(section, &section.name, String::new(), dry_run);
        // What is there already is told all the same: how old it is by now matters most when nothing new comes.
        if let Ok(Some(store)) = Store::look(&section.backup.dir)
            && let Ok(shelf) = store.shelf(Some(&section.name))
        {
            let ours: Vec<Manifest> =
                shelf.backups.into_iter().filter(|manifest| manifest.host == run.host()).collect();
            keep::count(&case, &ours, &BackedUp::default(), &mut done);
        }
        if status == Status::Critical {
            let place = shown_path(&section.backup.dir);
            fail(&mut done, "back up to", &place, why);
        } else {
            done.note(status, why);
        }
        vec![done]
    };
    let address = match section.database.address() {
        Ok(address) => address,
        Err(why) => return failed(Status::Critical, why),
    };
    let store = if dry_run {
        None
    } else {
        match Keeper::open(
            run,
            &section.backup.dir,
            section.backup.volume.as_deref(),
            args.changing.lock_wait,
        ) {
            Ok(keeper) => Some(keeper),
            Err(NoStore { status, why }) => return failed(status, format!("{why}: nothing was backed up")),
        }
    };
    match &address {
        Address::Sqlite(path) => {
            vec![one(&case, store.as_ref(), &What::File(path), &section.name)]
        }
        Address::Postgres(server) => match databases_of(section, server) {
            Ok((databases, names, without)) => {
                let many = section.backup.databases != Which::One;
                let mut all = Vec::new();
                for name in names {
                    if signals::asked_to_stop() {
                        break;
                    }
                    let target = if many {
                        format!("{}:{}", section.name, printable(name.as_bytes()))
                    } else {
                        section.name.clone()
                    };
                    let what = What::Database { server, databases: &databases, name };
                    all.push(one(&case, store.as_ref(), &what, &target));
                }
                if let Some(first) = all.first_mut() {
                    note_forgotten(run, section, server, &without, first);
                }
                all
            }
            Err(why) => failed(Status::Critical, why),
        },
    }
}

fn target(section: &Section, name: &str, place: String, dry_run: bool) -> Target {
    let place = if place.is_empty() { shown_path(&section.backup.dir) } else { place };
    let mut done = Target::new(name, place, words::policy(&section.backup), dry_run);
    done.work = Work::Backup(BackedUp { verified: "none", ..BackedUp::default() });
    done
}

/// The server, the databases that are backed up, and those that nobody thought of.
fn databases_of(
    section: &Section,
    server: &Server,
) -> Result<(Databases, Vec<String>, Vec<Forgotten>), String> {
    let patience = Patience::new(section.backup.timeout);
    let asked = || patience.over();
    let session =
        Session::open(server, &words::application(section), &asked).map_err(|error| error.to_string())?;
    let found: Databases =
        session.run(&asked, server::server_of).map_err(|error: DbError| error.to_string())?;
    let backup = &section.backup;
    let usual = || found.all.iter().map(|(name, _)| name.clone());
    let names = match &backup.databases {
        Which::One => vec![server.database.clone()],
        Which::These(names) => names.clone(),
        Which::All => usual().filter(|name| !backup.except.contains(name)).collect(),
    };
    let is_left = |name: &String| !names.contains(name) && !backup.except.contains(name);
    let templates = found.templates.iter().map(|(name, _)| Forgotten::Template(name.clone()));
    let closed = found.closed.iter().cloned().map(Forgotten::Closed);
    let without = usual().map(Forgotten::Usual).chain(templates).chain(closed);
    let without = without.filter(|forgotten| is_left(forgotten.name())).collect();
    Ok((found, names, without))
}

/// A database of a server that a section leaves out.
enum Forgotten {
    Usual(String),
    /// A pattern for others: `databases = "all"` does not mean it.
    Template(String),
    /// One that lets nobody in.
    Closed(String),
}

impl Forgotten {
    fn name(&self) -> &String {
        match self {
            Self::Usual(name) | Self::Template(name) | Self::Closed(name) => name,
        }
    }

    /// Whether a section means it.
    fn is_meant_by(&self, section: &Section, its: &Server) -> bool {
        match &section.backup.databases {
            Which::One => its.database == *self.name(),
            Which::These(names) => names.contains(self.name()),
            Which::All => matches!(self, Self::Usual(_)) || section.backup.except.contains(self.name()),
        }
    }

    fn in_words(&self) -> String {
        let (why, what) = match self {
            Self::Usual(_) => ("", "add databases = \"all\", or a section for it"),
            Self::Template(_) => (", for it is a template", "name it in databases, or in a section for it"),
            Self::Closed(_) => (", for it lets nobody in", "let connections in"),
        };
        let name = printable(self.name().as_bytes());
        format!("the database {name} of this server has no backup{why}: {what}, or leave it out with except")
    }
}

/// Tells of databases of the server that no section backs up. One in which nothing is needs no backup.
fn note_forgotten(run: &Run, section: &Section, server: &Server, without: &[Forgotten], done: &mut Target) {
    let all = Section::all(run).unwrap_or_default();
    let is_anybodys = |forgotten: &&Forgotten| {
        all.iter().any(|other| {
            let Ok(Address::Postgres(its)) = other.database.address() else { return false };
            let same = (&its.host, its.port) == (&server.host, server.port);
            same && forgotten.is_meant_by(other, &its)
        })
    };
    let patience = Patience::new(section.backup.lock_wait);
    let is_empty = |forgotten: &&Forgotten| {
        server::is_seen_empty(server, forgotten.name(), &words::application(section), &|| patience.over())
    };
    for forgotten in without.iter().filter(|one| !is_anybodys(one)).filter(|one| !is_empty(one)) {
        done.note(Status::Warning, forgotten.in_words());
    }
}

/// One database.
fn one(case: &Case<'_>, keeper: Option<&Keeper>, what: &What<'_>, name: &str) -> Target {
    let Case { run, section, .. } = *case;
    let place = what.place();
    let database = match what {
        What::File(_) => place.clone(),
        What::Database { name, .. } => name.clone(),
    };
    let mut done = target(section, name, place.clone(), keeper.is_none());
    let mut told = BackedUp { verified: "none", ..BackedUp::default() };
    let Some(keeper) = keeper else {
        show(case, what, &database, &mut done, &mut told);
        done.work = Work::Backup(told);
        return done;
    };
    let mut steps = Steps::begin();
    let prover = Prover { case: *case, keeper };
    let made = make(&prover, what, &database, &mut steps, &mut told);
    let mut newest = None;
    match made {
        Err(why) if signals::asked_to_stop() => {
            done.note(Status::Warning, format!("no backup was made: {why}"))
        }
        Err(why) => fail(&mut done, "back up", &place, why),
        Ok(mut manifest) => {
            prove(&prover, &mut manifest, &mut steps, &mut done, &mut told);
            if let Kind::Sqlite { fault: Some(fault), .. } = &manifest.kind {
                let why = format!("it is damaged, was copied as it is, and counts for nothing: {fault}");
                fail(&mut done, "check", &place, why);
            }
            proof::tell(&manifest, &mut done, &mut told);
            newest = Some(manifest.id);
        }
    }
    if newest.is_some() && !signals::asked_to_stop() {
        keep::thin_out(case, keeper, &database, newest.as_deref(), &mut done, &mut told);
        if let Some(to) = &section.backup.copy_to {
            copies::copy_on(case, to, keeper, &database, &mut done, &mut told);
            steps.done("copy on");
        }
    } else if let Ok(shelf) = keeper.shelf(Some(&section.name)) {
        // Where nothing new came nothing old goes.
        keep::count(case, &keep::of_database(run, &shelf.backups, &database), &told, &mut done);
    }
    told.steps = steps.all;
    done.work = Work::Backup(told);
    done
}

/// The job is not done, and this is why.
pub(crate) fn fail(done: &mut Target, operation: &str, path: &str, error: String) {
    done.errors.push(Failure { path: path.to_owned(), operation: operation.to_owned(), error });
    done.counts.add(Counter::Errors, 1);
    done.worsen(Status::Critical);
}

/// A dry run: what would come, what there is, and what would go.
fn show(case: &Case<'_>, what: &What<'_>, database: &str, done: &mut Target, told: &mut BackedUp) {
    let section = case.section;
    // A file is not even opened: SQLite would make files beside it.
    let source_bytes = match what {
        What::File(path) => std::fs::metadata(path).map(|seen| seen.len()).map_err(|error| error.to_string()),
        What::Database { databases, name, .. } => databases.size_of(name),
    };
    let (store, last) = match Store::look(&section.backup.dir) {
        Ok(store) => {
            let shelf = store.as_ref().and_then(|store| store.shelf(Some(&section.name)).ok());
            let backups = shelf.map(|shelf| keep::of_database(case.run, &shelf.backups, database));
            (store, backups.unwrap_or_default().into_iter().next())
        }
        Err(why) => return done.note(Status::Critical, why),
    };
    match source_bytes {
        Err(why) => fail(done, "back up", database, why),
        Ok(bytes) => {
            let needs = estimate(bytes, last.as_ref(), matches!(what, What::File(_)));
            let (size, needs_words) = (ByteSize::from_bytes(bytes), ByteSize::from_bytes(needs));
            told.found.push(format!("{size} would be backed up, with about {needs_words} of room"));
            if let Some(Err(why)) = store.as_ref().map(|store| store.has_room(needs)) {
                done.note(Status::Critical, why);
            }
        }
    }
    match store {
        Some(store) => keep::preview(case, &store, database, done, told),
        None => told.found.push(format!("{} is not there yet", shown_path(&section.backup.dir))),
    }
}

/// Proves of a new backup what its section asks for, as often as it asks.
fn prove(
    prover: &Prover<'_>,
    manifest: &mut Manifest,
    steps: &mut Steps,
    done: &mut Target,
    told: &mut BackedUp,
) {
    let mut levels = vec![Level::Checksum];
    if prover.case.section.backup.verify == Level::Restore {
        match not_due(prover, &manifest.database) {
            None => levels.push(Level::Restore),
            Some(why) => told.found.push(why),
        }
    }
    for level in levels {
        match prover.prove(manifest, level, steps) {
            Tried::Holds(remarks) => told.found.extend(remarks),
            Tried::Fails(why) => {
                fail(done, "prove", &manifest.id, why);
                return;
            }
            Tried::Unwritten(why) => return done.note(Status::Warning, format!("{}: {why}", manifest.id)),
            Tried::Untried(why) => {
                done.note(Status::Warning, format!("{} is complete, and not proved: {why}", manifest.id));
                return;
            }
        }
    }
}

/// Why a restore need not be tried today.
fn not_due(prover: &Prover<'_>, database: &str) -> Option<String> {
    let Case { run, section, .. } = prover.case;
    let every = section.backup.verify_every?;
    let backups = keep::of_database(run, &prover.keeper.shelf(Some(&section.name)).ok()?.backups, database);
    let tried = backups
        .iter()
        .flat_map(|manifest| manifest.proofs.iter().filter(|proof| proof.level == Level::Restore));
    // After one that failed none is put off.
    if !tried.max_by_key(|proof| proof.time)?.held {
        return None;
    }
    // How old the data are of which it is known, whenever that was found out.
    let newest = backups.iter().filter(|manifest| manifest.restored().is_some()).map(Manifest::time).max()?;
    // One ahead of the clock says nothing about how long ago it was.
    let age = (newest <= run.now).then(|| run.now.since(newest))?;
    (age < every).then(|| {
        format!(
            "the newest backup that was restored is {} old, and a restore is tried when that is {every}",
            age.roughly()
        )
    })
}
