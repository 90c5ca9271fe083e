//! One backup: the room for it made sure of, dumped or copied beside the others, and given its name when it is whole.

use crate::{
    args::Case,
    dump::{Dumped, NotDumped, Origin},
    file, keep,
    proof::{self, Prover},
    store::{Keeper, Patience, Steps},
};
use maint_core::{text::shown_path, time::Timestamp, units::Span};
use maint_db::{
    address::Server,
    backup::{Manifest, SCHEMA, encoded},
    section::Databases as Which,
    server::Databases,
    sqlite::Source,
};
use maint_run::{clock, report::BackedUp};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// A table that is emptied or locked at the wrong moment is tried again, so often.
const TRIES: u32 = 5;
/// And after so long.
const BETWEEN_TRIES: Duration = Duration::from_millis(300);

/// What is to be backed up, and how much it is.
pub(crate) enum What<'a> {
    Database { server: &'a Server, databases: &'a Databases, name: String },
    File(&'a Path),
}

impl What<'_> {
    /// Where it is, in words for people.
    pub(crate) fn place(&self) -> String {
        match self {
            What::File(path) => shown_path(path),
            What::Database { server, name, .. } => server.with_database(name).shown(),
        }
    }
}

/// A complete backup, of which nothing is proved yet.
pub(crate) fn make(
    prover: &Prover<'_>,
    what: &What<'_>,
    database: &str,
    steps: &mut Steps,
    told: &mut BackedUp,
) -> Result<Manifest, String> {
    let (Case { run, section, .. }, keeper) = (prover.case, prover.keeper);
    let patience = Patience::new(section.backup.timeout);
    let several = section.backup.databases != Which::One;
    let stem = if several { format!("{}.{}", section.name, encoded(database)) } else { section.name.clone() };
    let source_bytes = match what {
        What::File(path) => Source::open(path, section.database.busy_timeout())
            .and_then(|source| source.bytes())
            .map_err(|error| error.to_string())?,
        What::Database { databases, name, .. } => databases.size_of(name)?,
    };
    let before =
        keep::of_database(run, &keeper.shelf(Some(&section.name))?.backups, database).into_iter().next();
    keeper.has_room(estimate(source_bytes, before.as_ref(), matches!(what, What::File(_))))?;

    let time = a_free_moment(keeper, &stem);
    let id = format!("{stem}-{}", clock::compact(time));
    let mut tries = 0;
    let (into, Dumped { kind, contents, files, remarks }) = loop {
        tries += 1;
        let into = keeper
            .depot()
            .begin(keeper.warrant(), &id)
            .map_err(|error| format!("{id} cannot be begun: {error}"))?;
        let dumped = match what {
            What::File(path) => file::back_up(section, path, &into, keeper.warrant(), &patience, steps)
                .map_err(NotDumped::Failed),
            What::Database { server, databases, name } => {
                Origin { section, server, databases }.dump(name, &into, &patience, steps)
            }
        };
        match dumped {
            Ok(dumped) => break (into, dumped),
            Err(error) => {
                into.give_up(keeper.warrant());
                match error {
                    NotDumped::Again(why) if tries < TRIES => {
                        log::info!("{database}: {why}; once more");
                        std::thread::sleep(BETWEEN_TRIES);
                    }
                    NotDumped::Again(why) | NotDumped::Failed(why) => return Err(why),
                }
            }
        }
    };
    told.found.extend(remarks);
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        id,
        section: section.name.clone(),
        database: database.to_owned(),
        source: what.place(),
        host: run.host().to_owned(),
        made_by: proof::SIGNED.to_owned(),
        time: time.seconds,
        started: clock::rfc3339(time),
        finished: clock::rfc3339(clock::now()),
        kind,
        source_bytes,
        files,
        contents,
        proofs: Vec::new(),
    };
    keeper.finish(into, &manifest)?;
    told.found.insert(0, proof::in_tables(&manifest));
    Ok(manifest)
}

/// A moment in which no other backup was begun: a second is soon over. Where the clock stands still, the next that is
/// free.
fn a_free_moment(keeper: &Keeper, stem: &str) -> Timestamp {
    const SOON: Duration = Duration::from_secs(2);
    const STEP: Duration = Duration::from_millis(50);
    let is_taken = |time| keeper.depot().open(&format!("{stem}-{}", clock::compact(time))).is_ok();
    let begun = Instant::now();
    let mut time = clock::now();
    while is_taken(time) && begun.elapsed() < SOON {
        std::thread::sleep(STEP);
        time = clock::now();
    }
    while is_taken(time) {
        time = time.plus(Span::from_seconds(1));
    }
    time
}

/// About what a backup will take: as the last one did, as much more as the database has grown, and a tenth.
pub(crate) fn estimate(source_bytes: u64, before: Option<&Manifest>, is_file: bool) -> u64 {
    let packed = match before {
        Some(last) if last.source_bytes > 0 => {
            let grown = u128::from(last.bytes()) * u128::from(source_bytes) / u128::from(last.source_bytes);
            u64::try_from(grown).unwrap_or(u64::MAX).max(last.bytes())
        }
        // Of a first one nothing is known: dumps are smaller than databases.
        _ => source_bytes / 2,
    };
    let copy = if is_file { source_bytes } else { 0 };
    packed.saturating_add(packed / 10).saturating_add(copy)
}
