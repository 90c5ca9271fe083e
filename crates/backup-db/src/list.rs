//! `list`: the backups that there are.

use crate::{
    args::Section,
    store::{Store, of_others},
    words,
};
use maint_core::{
    text::{count, printable, shown_path},
    units::ByteSize,
};
use maint_db::backup::{Kind, Manifest, Proof};
use maint_run::{Run, UsageError, args::Format, clock, exit::Status, screen};
use serde::Serialize;
use std::{fmt::Write as _, path::Path};

#[derive(Serialize)]
struct Listing {
    schema: &'static str,
    backups: Vec<Backup>,
    damaged: Vec<Damaged>,
    others: Vec<Others>,
}

#[derive(Serialize)]
struct Backup {
    id: String,
    database: String,
    dbname: String,
    /// The same for people.
    #[serde(skip)]
    shown: String,
    time: String,
    bytes: u64,
    verified: &'static str,
    verified_time: Option<String>,
    rows: u64,
    path: String,
    copies: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    path: String,
    verified: &'static str,
}

#[derive(Serialize)]
struct Damaged {
    id: String,
    database: String,
    path: String,
    error: String,
}

/// What a section left in a folder that is not, or no longer, its own.
#[derive(Serialize)]
struct Others {
    database: String,
    path: String,
    backups: u64,
    newest: String,
}

impl Backup {
    fn of(manifest: &Manifest, dir: &Path) -> Self {
        let proved =
            manifest.proofs.iter().rev().find(|proof: &&Proof| proof.held && proof.level == manifest.level());
        Self {
            id: manifest.id.clone(),
            database: manifest.section.clone(),
            dbname: manifest.database.clone(),
            shown: match manifest.kind {
                Kind::Sqlite { .. } => words::place(&manifest.database),
                Kind::Postgresql(_) => printable(manifest.database.as_bytes()),
            },
            time: clock::rfc3339(manifest.time()),
            bytes: manifest.bytes(),
            verified: manifest.level().word(),
            verified_time: proved.map(|proof| proof.at.clone()),
            rows: manifest.contents.rows(),
            path: shown_path(&dir.join(&manifest.id)),
            copies: Vec::new(),
        }
    }
}

/// Prints them, the newest first.
pub(crate) fn run(run: &mut Run) -> Result<(), UsageError> {
    let sections = Section::selected(run)?;
    let mut listing = Listing {
        schema: "maint.backups/1",
        backups: Vec::new(),
        damaged: Vec::new(),
        others: others(run, &sections)?,
    };
    let (mut faults, mut missing) = (Vec::new(), false);
    for section in &sections {
        for dir in section.dirs() {
            let shelf = match Store::look(dir) {
                Ok(Some(store)) => store.shelf(Some(&section.name)),
                Ok(None) => {
                    log::warn!("{}: {} is not there", section.name, shown_path(dir));
                    missing = true;
                    continue;
                }
                Err(why) => Err(why),
            };
            match shelf {
                Ok(shelf) => {
                    for manifest in &shelf.backups {
                        let backup = Backup::of(manifest, dir);
                        // A copy is no second backup; one whose original is gone is.
                        match listing.backups.iter_mut().find(|known| known.id == backup.id) {
                            Some(known) => {
                                known.copies.push(Place { path: backup.path, verified: backup.verified })
                            }
                            None => listing.backups.push(backup),
                        }
                    }
                    listing.damaged.extend(shelf.damaged.into_iter().map(|(id, error)| Damaged {
                        path: shown_path(&dir.join(&id)),
                        database: section.name.clone(),
                        id,
                        error,
                    }));
                }
                Err(why) => faults.push(format!("{}: {why}", section.name)),
            }
        }
    }
    listing.backups.sort_by(|one, other| (&other.time, &other.id).cmp(&(&one.time, &one.id)));
    let is_sound = listing.damaged.is_empty() && faults.is_empty();
    let text = match run.format() {
        Format::Json => serde_json::to_string(&listing).unwrap_or_default() + "\n",
        Format::Human | Format::Nagios => in_words(&listing),
    };
    for why in &faults {
        log::error!("{why}");
    }
    screen::result(&text)
        .map_err(|error| UsageError::new(format!("the list could not be printed: {error}")))?;
    run.answer(match (is_sound, missing) {
        (false, _) => Status::Critical,
        (true, true) => Status::Warning,
        (true, false) => Status::Ok,
    });
    Ok(())
}

/// Of each folder of these sections what others left there: it is not theirs, and can be restored all the same.
fn others(run: &Run, sections: &[Section]) -> Result<Vec<Others>, UsageError> {
    let all = Section::all(run)?;
    let mut dirs: Vec<_> = sections.iter().flat_map(Section::dirs).collect();
    dirs.sort_unstable();
    dirs.dedup();
    let mut others: Vec<Others> = Vec::new();
    for dir in dirs {
        let path = shown_path(dir);
        // The newest comes first.
        for Manifest { id, section, .. } in of_others(&all, dir) {
            match others.iter_mut().find(|known| known.path == path && known.database == section) {
                Some(known) => known.backups += 1,
                None => {
                    others.push(Others { database: section, path: path.clone(), backups: 1, newest: id });
                }
            }
        }
    }
    Ok(others)
}

fn in_words(listing: &Listing) -> String {
    let mut text = table(listing);
    for Others { database, path, backups, newest } in &listing.others {
        let (backups, database) = (count(*backups, "backup"), printable(database.as_bytes()));
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            text,
            "of [database.{database}], which has its place elsewhere or is no section now: {backups} in {path}, the newest {newest}"
        );
    }
    text
}

fn table(listing: &Listing) -> String {
    if listing.backups.is_empty() && listing.damaged.is_empty() {
        let yet = if listing.others.is_empty() { "yet" } else { "of these sections" };
        return format!("there is no backup {yet}\n");
    }
    let width = listing.backups.iter().map(|backup| backup.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Backup { id, shown, time, bytes, verified, path, copies, .. } in &listing.backups {
        let size = ByteSize::from_bytes(*bytes).to_string();
        let _ = writeln!(text, "{id:<width$}  {time}  {size:>10}  {verified:<8}  {shown}  {path}");
        for copy in copies {
            let Place { path, verified } = copy;
            let _ = writeln!(text, "{:<width$}  copy, {verified}: {path}", "");
        }
    }
    for Damaged { id, error, path, .. } in &listing.damaged {
        let _ = writeln!(text, "{id:<width$}  DAMAGED: {error}  {path}");
    }
    text
}
