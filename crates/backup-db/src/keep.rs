//! Which backups stay, and the second place: both after a new one is safe.

use crate::{
    args::Section,
    digest,
    store::{Keeper, NoStore, Patience, Store, standing},
};
use maint_core::{calendar::Zone, retention::Keep, text::shown_path};
use maint_db::{
    backup::{Fate, Kept, Manifest, decide},
    section::{CopyTo, Level},
};
use maint_run::{
    Run,
    exit::Status,
    report::{BackedUp, Counter, Target},
};
use std::io::Write as _;

/// What is asked for in one place.
pub(crate) struct Rules<'a> {
    pub(crate) keep: &'a Keep,
    pub(crate) wanted: Level,
    pub(crate) max_unproven: u32,
}

impl<'a> Rules<'a> {
    /// Those of a section's own folder.
    pub(crate) fn of(section: &'a Section) -> Self {
        let backup = &section.backup;
        Self { keep: &backup.keep.0, wanted: backup.verify, max_unproven: backup.max_unproven }
    }

    fn judge(&self, run: &Run, backups: &[Manifest], newest: Option<&str>) -> Vec<Fate> {
        let all: Vec<_> = backups.iter().map(standing).collect();
        decide(&all, self.wanted, self.keep, self.max_unproven, newest, Zone::Local, run.now)
    }
}

/// What is there of one database, the newest first.
pub(crate) fn of_database(all: &[Manifest], database: &str) -> Vec<Manifest> {
    all.iter().filter(|manifest| manifest.database == database).cloned().collect()
}

/// What is there of a database, and which of it no rule keeps.
struct Judged {
    backups: Vec<Manifest>,
    going: Vec<String>,
}

fn judge(
    run: &Run,
    section: &Section,
    store: &Store,
    database: &str,
    newest: Option<&str>,
    done: &mut Target,
    told: &mut BackedUp,
) -> Result<Judged, String> {
    let shelf = store.shelf(Some(&section.name))?;
    for (id, why) in &shelf.damaged {
        done.note(Status::Warning, format!("{id} is damaged, counts for nothing and stays: {why}"));
    }
    let backups = of_database(&shelf.backups, database);
    let ahead = backups.iter().filter(|manifest| manifest.time() > run.now).count();
    if ahead > 0 {
        done.note(
            Status::Warning,
            format!("{ahead} of the backups come from the future: one of the clocks was wrong"),
        );
    }
    let fates = Rules::of(section).judge(run, &backups, newest);
    let mut going = Vec::new();
    for (manifest, fate) in backups.iter().zip(&fates) {
        match fate {
            Fate::Goes => going.push(manifest.id.clone()),
            Fate::Stays(why @ (Kept::LastGood | Kept::Unproven)) => {
                told.kept.push((manifest.id.clone(), why.to_string()))
            }
            Fate::Stays(Kept::ByCalendar(_) | Kept::Newest) => {}
        }
    }
    Ok(Judged { backups, going })
}

/// Says what no rule keeps.
pub(crate) fn preview(
    run: &Run,
    section: &Section,
    store: &Store,
    database: &str,
    done: &mut Target,
    told: &mut BackedUp,
) {
    match judge(run, section, store, database, None, done, told) {
        Ok(Judged { backups, going }) => {
            told.removed = going;
            count(section, &backups, told, done);
        }
        Err(why) => done.note(Status::Critical, why),
    }
}

/// Lets go what no rule keeps.
pub(crate) fn thin_out(
    run: &Run,
    section: &Section,
    keeper: &Keeper,
    database: &str,
    newest: Option<&str>,
    done: &mut Target,
    told: &mut BackedUp,
) {
    let Judged { mut backups, going } = match judge(run, section, keeper, database, newest, done, told) {
        Ok(judged) => judged,
        Err(why) => return done.note(Status::Warning, format!("nothing was removed: {why}")),
    };
    if let Some(held) = run.held(&section.name).filter(|_| !going.is_empty()) {
        done.note(Status::Warning, format!("{held}: nothing was removed"));
        return count(section, &backups, told, done);
    }
    for id in going {
        let Some(at) = backups.iter().position(|manifest| manifest.id == id) else { continue };
        match keeper.remove(run, &done.name, &backups[at]) {
            Ok(()) => {
                backups.remove(at);
                told.removed.push(id);
            }
            Err(why) => done.note(Status::Warning, why),
        }
    }
    count(section, &backups, told, done);
}

/// What is there now, in numbers.
pub(crate) fn count(section: &Section, backups: &[Manifest], told: &BackedUp, done: &mut Target) {
    let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
    let good = backups.iter().filter(|manifest| crate::store::counts(manifest, section.backup.verify));
    done.counts.set(Counter::BackupsKept, backups.len() as u64);
    done.counts.set(Counter::BackupsProven, good.clone().count() as u64);
    done.counts
        .set(Counter::BackupTime, backups.iter().map(|manifest| seconds(manifest.time)).max().unwrap_or(0));
    done.counts
        .set(Counter::BackupProvenTime, good.map(|manifest| seconds(manifest.time)).max().unwrap_or(0));
    done.counts.set(Counter::BackupsRemoved, if done.dry_run { 0 } else { told.removed.len() as u64 });
}

/// Copies what the second place is to keep and does not have, and lets go there what no rule keeps.
pub(crate) fn copy_on(
    run: &Run,
    section: &Section,
    to: &CopyTo,
    keeper: &Keeper,
    database: &str,
    done: &mut Target,
    told: &mut BackedUp,
) {
    let place = shown_path(&to.dir);
    let copies = match Keeper::open(run, &to.dir, to.volume.as_deref(), None) {
        Ok(copies) => copies,
        // The backup itself is safe: that its copy is not is worth a look, and no more.
        Err(NoStore { why, .. }) => return done.note(Status::Warning, format!("no copy in {place}: {why}")),
    };
    let shelves =
        keeper.shelf(Some(&section.name)).and_then(|here| Ok((here, copies.shelf(Some(&section.name))?)));
    let (here, there) = match shelves {
        Ok(shelves) => shelves,
        Err(why) => return done.note(Status::Warning, format!("no copy in {place}: {why}")),
    };
    for (id, why) in &there.damaged {
        done.note(
            Status::Warning,
            format!("{id} in {place} is damaged, counts for nothing and stays: {why}"),
        );
    }
    let (here, there) = (of_database(&here.backups, database), of_database(&there.backups, database));
    let rules =
        Rules { keep: &to.keep.0, wanted: section.backup.verify, max_unproven: section.backup.max_unproven };
    let mut both = there.clone();
    both.extend(here.iter().filter(|manifest| there.iter().all(|copy| copy.id != manifest.id)).cloned());
    let newest = here.first().map(|manifest| manifest.id.clone());
    let fates = rules.judge(run, &both, newest.as_deref());
    let mut copied = 0;
    for (manifest, _) in both.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Goes) {
        let Some(original) = here.iter().find(|original| original.id == manifest.id) else { continue };
        let made = match there.iter().find(|copy| copy.id == manifest.id) {
            None => copy(section, original, keeper, &copies).map(|()| copied += 1),
            // What has been proved of the original since holds for a copy of the same bytes.
            Some(copy) if copy.files == original.files && copy.proofs != original.proofs => {
                copies.rewrite(original)
            }
            Some(_) => Ok(()),
        };
        if let Err(why) = made {
            done.note(Status::Warning, format!("no copy of {} in {place}: {why}", manifest.id));
        }
    }
    if copied > 0 {
        told.found.push(format!(
            "{} to {place}",
            if copied == 1 { "copied".to_owned() } else { format!("{copied} copied") }
        ));
    }
    if run.held(&section.name).is_some() {
        return;
    }
    let there = match copies.shelf(Some(&section.name)) {
        Ok(shelf) => of_database(&shelf.backups, database),
        Err(why) => return done.note(Status::Warning, format!("nothing was removed from {place}: {why}")),
    };
    let fates = rules.judge(run, &there, newest.as_deref());
    for (manifest, _) in there.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Goes) {
        match copies.remove(run, &done.name, manifest) {
            Ok(()) => told.found.push(format!("{} removed from {place}", manifest.id)),
            Err(why) => done.note(Status::Warning, why),
        }
    }
}

/// One backup to a second place: read, written, read back there, and only then given its name.
fn copy(section: &Section, manifest: &Manifest, from: &Keeper, to: &Keeper) -> Result<(), String> {
    let patience = Patience::new(section.backup.timeout);
    to.has_room(manifest.bytes())?;
    let unfinished = to.depot().begin(to.warrant(), &manifest.id).map_err(|error| error.to_string())?;
    let copied = manifest.files.iter().try_for_each(|entry| {
        let failed = |error: std::io::Error| format!("{}: {error}", entry.name);
        let mut original = from.file(&manifest.id, &entry.name)?;
        let mut file = unfinished.create(&entry.name).map_err(failed)?;
        digest::copy(&mut original, &mut file, || patience.over()).map_err(failed)?;
        file.flush().and_then(|()| file.sync_all()).map_err(failed)?;
        let name = std::ffi::CString::new(entry.name.as_str()).map_err(|error| error.to_string())?;
        let (written, _) = unfinished.folder().open_file(&name).map_err(failed)?;
        digest::check(written, entry, || patience.over())
    });
    match copied {
        Ok(()) => to.finish(unfinished, manifest),
        Err(why) => {
            unfinished.give_up(to.warrant());
            Err(why)
        }
    }
}
