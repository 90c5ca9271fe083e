//! What is proved of a backup: that its files are what was written, and that what they hold, restored, is what
//! was backed up.

use crate::{
    args::{BackupArgs, Case, Section},
    file::{self, Unpacked},
    restoring::{NotRestored, Restoring, in_short, jobs, needs},
    scratch::Scratch,
    store::{self, Keeper, NoStore, PROOF_OF, Patience, Steps},
    tools::Tools,
    words,
};
use maint_core::text::{count, shown_path};
use maint_db::{
    address::{Address, Server},
    backup::{BackedUp, Kind, Manifest, Proof},
    section::{DatabaseSection, Level},
    server::{self, Session},
    sqlite,
};
use maint_run::{
    Run, UsageError, clock,
    config::Named,
    exit::Status,
    report::{self, Counter, Target, Work},
};
use std::{path::Path, time::Instant};

/// What came of trying to prove something.
pub(crate) enum Tried {
    /// It is proved, and this was remarkable.
    Holds(Vec<String>),
    /// It is not so.
    Fails(String),
    /// It is proved, and that could not be written down: nobody will know tomorrow.
    Unwritten(String),
    /// It could not be tried.
    Untried(String),
}

/// As what this program signs.
pub(crate) const SIGNED: &str = concat!("backup-db ", env!("CARGO_PKG_VERSION"));
const NAME: &str = "maint/backup-db/proof";

/// Where something is to be proved of a backup.
pub(crate) struct Prover<'a> {
    pub(crate) case: Case<'a>,
    pub(crate) keeper: &'a Keeper,
}

impl Prover<'_> {
    /// Proves something of a backup, and writes down what came of it.
    pub(crate) fn prove(&self, manifest: &mut Manifest, level: Level, steps: &mut Steps) -> Tried {
        let patience = Patience::new(self.case.section.backup.timeout);
        let begun = Instant::now();
        let mut by = SIGNED.to_owned();
        let tried = match (level, &manifest.kind) {
            (Level::None | Level::Checksum, _) => self.checksums(manifest, &patience),
            (Level::Restore, Kind::Sqlite { .. }) => {
                by += &[", restored by SQLite ", sqlite::version()].concat();
                self.in_a_file(manifest, &patience, steps)
            }
            (Level::Restore, Kind::Postgresql(origin)) => {
                let restoring = Trial { prover: self, manifest, origin, patience: &patience };
                let tried = match &self.case.section.backup.scratch {
                    None => restoring.beside(steps, &mut by),
                    Some(name) => restoring.elsewhere(name, steps, &mut by),
                };
                tried.unwrap_or_else(|error| match error {
                    NotRestored::Untried(why) => Tried::Untried(why),
                    NotRestored::Failed(why) => failed(why, &patience),
                })
            }
        };
        steps.done(if level == Level::Restore { "clean up" } else { "read back" });
        let (held, remarks) = match &tried {
            Tried::Untried(_) | Tried::Unwritten(_) => return tried,
            Tried::Holds(remarks) => (true, remarks.clone()),
            Tried::Fails(why) => (false, vec![why.clone()]),
        };
        let now = clock::now();
        let (time, at, seconds) = (now.seconds, clock::rfc3339(now), begun.elapsed().as_secs());
        let before = manifest.proofs.clone();
        manifest.add(Proof { level, held, time, at, by, seconds, remarks });
        let Err(why) = self.keeper.rewrite(manifest) else { return tried };
        // What is not written down will not be known tomorrow: it does not count today either.
        manifest.proofs = before;
        match tried {
            Tried::Holds(_) => {
                Tried::Unwritten(format!("it is proved by {level}, and that is not written down: {why}"))
            }
            tried => tried,
        }
    }

    fn checksums(&self, manifest: &Manifest, patience: &Patience) -> Tried {
        match self.keeper.check(manifest, patience) {
            Ok(()) => Tried::Holds(Vec::new()),
            Err(why) => failed(why, patience),
        }
    }

    fn in_a_file(&self, manifest: &Manifest, patience: &Patience, steps: &mut Steps) -> Tried {
        if let Err(why) = self.keeper.has_room(manifest.plain_bytes()) {
            return Tried::Untried(why);
        }
        let warrant = self.keeper.warrant();
        let place = match self.keeper.depot().begin(warrant, &format!("{PROOF_OF}{}", manifest.id)) {
            Ok(place) => place,
            Err(error) => return Tried::Untried(format!("no place to restore to: {error}")),
        };
        let unpacked = file::unpack(self.keeper, manifest, &place.path_of("restored.db"), patience);
        place.give_up(warrant);
        steps.done("restore, compare");
        match unpacked {
            Ok(Unpacked { unproved, .. }) if !unproved.is_empty() => Tried::Untried(format!(
                "{}: what needs its application cannot be proved, verify = \"checksum\" is all that can be asked for",
                in_short(&unproved)
            )),
            Ok(Unpacked { remarks, .. }) => Tried::Holds(remarks),
            Err(why) => failed(why, patience),
        }
    }
}

/// What a failure says of the backup: nothing where time or room ran out, or the scratch server fell over.
fn failed(why: String, patience: &Patience) -> Tried {
    const NOT_ITS_FAULT: [&str; 5] = [
        "No space left on device",
        "Disk quota exceeded",
        "File too large",
        "is in recovery mode",
        "because of crash of another server process",
    ];
    match patience.over() {
        Some(why) => Tried::Untried(why),
        None if NOT_ITS_FAULT.iter().any(|words| why.contains(words)) => Tried::Untried(why),
        None => Tried::Fails(why),
    }
}

fn untried(why: impl Into<String>) -> NotRestored {
    NotRestored::Untried(why.into())
}

/// A dump that is to be restored somewhere.
struct Trial<'a> {
    prover: &'a Prover<'a>,
    manifest: &'a Manifest,
    origin: &'a BackedUp,
    patience: &'a Patience,
}

impl Trial<'_> {
    fn restoring<'t>(&'t self, tools: &'t Tools, with_roles: bool, compares_roles: bool) -> Restoring<'t> {
        let jobs = jobs(self.prover.case.args, self.prover.case.section);
        let Self { prover, manifest, origin, patience } = self;
        Restoring {
            store: prover.keeper,
            manifest,
            origin,
            tools,
            jobs,
            with_roles,
            compares_roles,
            patience,
        }
    }

    fn scratch(&self, bytes: u64) -> Result<Scratch, NotRestored> {
        let place = self.prover.case.section.backup.scratch_dir.as_deref();
        Scratch::make(self.prover.case.run, place, bytes).map_err(NotRestored::Untried)
    }

    /// In a server of our own.
    fn beside(&self, steps: &mut Steps, by: &mut String) -> Result<Tried, NotRestored> {
        let origin = self.origin;
        let tools = Tools::to_serve(origin.version_number / 10_000).map_err(NotRestored::Untried)?;
        by.extend([", restored to a server of its own by the programs of ", &tools.version]);
        let mut scratch = self.scratch(needs(self.manifest))?;
        let server = scratch.serve(&tools, &origin.bootstrap, &origin.preloaded, self.patience);
        let server = server.map_err(NotRestored::Untried)?;
        steps.done("server");
        let restoring = self.restoring(&tools, true, true);
        restoring.roles(&server)?;
        let asked = || self.patience.over();
        let session = Session::open(&server, NAME, &asked).map_err(untried)?;
        // Nothing else is in this server: the database can have the name it had, unless every server has one of
        // that name.
        let name = match self.manifest.database.as_str() {
            "postgres" | "template0" | "template1" => "maint_proof",
            name => name,
        };
        server::create(&session, name, &origin.properties, &asked).map_err(untried)?;
        drop(session);
        Ok(judged(restoring.fill(&server.with_database(name), &scratch, steps)?.faults_or_remarks()))
    }

    /// In a database of a server that is there for this.
    fn elsewhere(&self, place: &str, steps: &mut Steps, by: &mut String) -> Result<Tried, NotRestored> {
        let server = scratch_server(self.prover.case.run, place).map_err(NotRestored::Untried)?;
        let asked = || self.patience.over();
        let session = Session::open(&server, NAME, &asked).map_err(untried)?;
        let there = session.run(&asked, server::server_of).map_err(untried)?;
        by.extend([", restored to ", place, ", PostgreSQL ", &there.version]);
        let tools = Tools::to_dump(there.major(), &there.version).map_err(NotRestored::Untried)?;
        let scratch = self.scratch(self.manifest.plain_bytes())?;
        let roles = self.origin.roles.clone();
        let missing =
            session.run(&asked, move |client| server::missing_roles(client, &roles)).map_err(untried)?;
        if let Some(role) = missing.iter().find(|role| self.origin.unavoidable_roles.contains(role)) {
            return Err(untried(format!(
                "{place} does not know the role {role}, which a policy or a user mapping is about"
            )));
        }
        let database = format!("maint_proof_{}", std::process::id());
        server::create(&session, &database, &self.origin.properties, &asked).map_err(untried)?;
        let restoring = self.restoring(&tools, missing.is_empty(), false);
        let filled = restoring.fill(&server.with_database(&database), &scratch, steps);
        if let Err(error) = server::drop_database(&session, &database, &|| None) {
            log::warn!("the database {database} of {place} stays: {error}");
        }
        let mut tried = judged(filled?.faults_or_remarks());
        if let Tried::Holds(remarks) = &mut tried
            && !missing.is_empty()
        {
            let roles = missing.join(", ");
            remarks.push(format!("{place} does not know the roles {roles}: who owns what is not proved"));
        }
        Ok(tried)
    }
}

fn judged(found: Result<Vec<String>, Vec<String>>) -> Tried {
    match found {
        Ok(remarks) => Tried::Holds(remarks),
        Err(faults) => {
            Tried::Fails(format!("what was restored is not what was backed up: {}", in_short(&faults)))
        }
    }
}

fn scratch_server(run: &Run, name: &str) -> Result<Server, String> {
    let all: Vec<Named<DatabaseSection>> = run.sections().map_err(|error| error.to_string())?;
    let named = all
        .into_iter()
        .find(|named| named.name == name)
        .ok_or_else(|| format!("there is no [database.{name}]"))?;
    match named.value.address()? {
        Address::Postgres(server) => Ok(server),
        Address::Sqlite(_) => Err(format!("scratch: [database.{name}] is an SQLite file and no server")),
    }
}

/// `verify [ID]…`: without one, all that there are.
pub(crate) fn run(run: &mut Run, args: &BackupArgs, ids: &[String]) -> Result<(), UsageError> {
    let level = args.level.unwrap_or(Level::Checksum);
    if level == Level::None {
        return Err(UsageError::new("--level is checksum or restore"));
    }
    let mut all = Vec::new();
    let mut trouble = Vec::new();
    for id in ids {
        let found = store::find(run, id)?.into_iter();
        all.extend(found.map(|found| (found.section, found.dir, id.clone(), found.remark)));
    }
    if ids.is_empty() {
        for section in Section::selected(run)? {
            for dir in section.dirs() {
                match store::Store::look(dir)
                    .and_then(|store| store.map(|store| store.shelf(Some(&section.name))).transpose())
                {
                    Ok(Some(shelf)) => {
                        let whole = shelf.backups.into_iter().map(|manifest| manifest.id);
                        let ids = whole.chain(shelf.damaged.into_iter().map(|(id, _)| id));
                        all.extend(ids.map(|id| (section.clone(), dir.clone(), id, None)));
                    }
                    Ok(None) => trouble.push((
                        section.name.clone(),
                        dir.clone(),
                        Status::Warning,
                        "it is not there".to_owned(),
                    )),
                    Err(why) => trouble.push((section.name.clone(), dir.clone(), Status::Critical, why)),
                }
            }
        }
        if all.is_empty() {
            run.explain_idleness("there is no backup to verify");
        }
    }
    for (name, dir, status, why) in trouble {
        let mut done = nothing(&name, &dir);
        done.note(status, why);
        run.record(done);
    }
    run.works_ad_hoc();
    for (section, dir, id, remark) in all {
        if maint_run::signals::asked_to_stop() {
            break;
        }
        let mut its = section;
        its.backup.dir = dir;
        let mut done = verify(run, args, &its, &id, level);
        if let Work::Backup(told) = &mut done.work {
            told.found.extend(remark);
        }
        run.record(done);
    }
    Ok(())
}

/// A section of which there is nothing to look at.
fn nothing(name: &str, dir: &Path) -> Target {
    let mut done = Target::new(name, shown_path(dir), "verified".to_owned(), false);
    done.work = Work::Backup(report::BackedUp { verified: "none", ..report::BackedUp::default() });
    done
}

/// `drill [NAME]…`: the newest of each is restored, as if it were needed.
pub(crate) fn drill(run: &mut Run, args: &BackupArgs) -> Result<(), UsageError> {
    let sections = Section::selected(run)?;
    run.works_ad_hoc();
    for section in sections {
        let shelf = store::Store::look(&section.backup.dir)
            .and_then(|store| store.map_or(Ok(None), |store| store.shelf(Some(&section.name)).map(Some)));
        let newest = match shelf {
            Ok(Some(shelf)) => newest_of_each(run, shelf.backups),
            Ok(None) => Vec::new(),
            Err(why) => {
                let mut done = nothing(&section.name, &section.backup.dir);
                done.note(Status::Critical, why);
                run.record(done);
                continue;
            }
        };
        if newest.is_empty() {
            let mut done = nothing(&section.name, &section.backup.dir);
            done.note(Status::Critical, "there is no backup that could be restored");
            run.record(done);
        }
        for id in newest {
            if maint_run::signals::asked_to_stop() {
                return Ok(());
            }
            let done = verify(run, args, &section, &id, Level::Restore);
            run.record(done);
        }
    }
    Ok(())
}

/// Of those that were made on this machine.
fn newest_of_each(run: &Run, backups: Vec<Manifest>) -> Vec<String> {
    let mut databases = Vec::new();
    let mut newest = Vec::new();
    // The newest comes first.
    for manifest in backups.into_iter().filter(|manifest| manifest.host == run.host()) {
        if !databases.contains(&manifest.database) {
            databases.push(manifest.database);
            newest.push(manifest.id);
        }
    }
    newest
}

/// One backup, whose section says where it lies.
fn verify(run: &Run, args: &BackupArgs, section: &Section, id: &str, level: Level) -> Target {
    let mut done = Target::new(id, shown_path(&section.backup.dir), format!("verified by {level}"), false);
    let mut told = report::BackedUp { verified: "none", ..report::BackedUp::default() };
    let mut steps = Steps::begin();
    match Keeper::open(run, &section.backup.dir, None, args.changing.lock_wait) {
        Err(NoStore { status, why }) => done.note(status, why),
        Ok(keeper) => match keeper.manifest(id) {
            Err(why) => crate::job::fail(&mut done, "prove", id, format!("it is damaged: {why}")),
            Ok(None) => crate::job::fail(&mut done, "prove", id, "it is no backup any more".to_owned()),
            Ok(Some(mut manifest)) => {
                let prover = Prover { case: Case { run, args, section }, keeper: &keeper };
                // No restore says more than its files do: they come first.
                let mut tried = prover.prove(&mut manifest, Level::Checksum, &mut steps);
                if level == Level::Restore && matches!(tried, Tried::Holds(_) | Tried::Unwritten(_)) {
                    tried = prover.prove(&mut manifest, Level::Restore, &mut steps);
                }
                match tried {
                    Tried::Holds(remarks) => told.found.extend(remarks),
                    // On a disk that takes nothing it is still worth knowing.
                    Tried::Unwritten(why) => told.found.push(why),
                    Tried::Fails(why) => crate::job::fail(&mut done, "prove", id, why),
                    Tried::Untried(why) => {
                        done.note(Status::Warning, format!("it could not be proved: {why}"))
                    }
                }
                tell(&manifest, &mut done, &mut told);
                told.found.insert(0, in_tables(&manifest));
            }
        },
    }
    told.steps = steps.all;
    done.work = Work::Backup(told);
    done
}

/// What a report says of a backup.
pub(crate) fn tell(manifest: &Manifest, done: &mut Target, told: &mut report::BackedUp) {
    told.id = Some(manifest.id.clone());
    told.bytes = manifest.bytes();
    told.verified = manifest.level().word();
    done.counts.set(Counter::BackupBytes, manifest.bytes());
    done.counts.set(Counter::DatabaseBytes, manifest.source_bytes);
    done.counts.set(Counter::BackupRows, manifest.contents.rows());
}

/// What a backup holds.
pub(crate) fn in_tables(manifest: &Manifest) -> String {
    let tables = count(manifest.contents.tables.len() as u64, "table");
    let objects = manifest.contents.large_objects.as_ref().map_or(0, |objects| objects.rows);
    let objects = if objects > 0 { format!(", {}", count(objects, "large object")) } else { String::new() };
    format!("{}: {tables}{objects}", words::place(&manifest.source))
}
