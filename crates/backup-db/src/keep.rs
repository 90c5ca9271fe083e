//! Which backups stay, and the second place: both after a new one is safe.

use crate::{
    args::{Case, SHRINK},
    digest,
    store::{Keeper, NoStore, Patience, Store, counts, standing},
};
use maint_core::{
    calendar::Zone,
    retention::Keep,
    text::{count as words, shown_path},
};
use maint_db::{
    backup::{Fate, Kept, Manifest, Wish, decide},
    section::{CopyTo, Level},
};
use maint_run::{
    Run, clock,
    exit::Status,
    report::{BackedUp, Counter, Target},
};
use std::io::Write as _;

/// Of those of which too little is proved so many go in one run: raising `verify` must not cost a history in a night.
const AT_ONCE: usize = 2;

/// What is there of one database and made on this machine, the newest first.
pub(crate) fn of_database(run: &Run, all: &[Manifest], database: &str) -> Vec<Manifest> {
    let is_ours = |manifest: &&Manifest| manifest.database == database && manifest.host == run.host();
    all.iter().filter(is_ours).cloned().collect()
}

/// What is there of a database, and which of it no rule keeps.
struct Judged {
    backups: Vec<Manifest>,
    fates: Vec<Fate>,
}

impl Judged {
    fn of(case: &Case<'_>, backups: Vec<Manifest>, keep: &Keep, newest: Option<&str>) -> Self {
        let backup = &case.section.backup;
        let lets_loss_go = case.args.forces(SHRINK);
        let wish = Wish { level: backup.verify, keep, max_unproven: backup.max_unproven, lets_loss_go };
        let all: Vec<_> = backups.iter().map(standing).collect();
        let fates = decide(&all, wish, newest, Zone::Local, clock::now());
        Self { backups, fates }
    }

    fn stays(&self) -> impl Iterator<Item = (&Manifest, Kept)> {
        self.backups.iter().zip(&self.fates).filter_map(|(manifest, fate)| match fate {
            Fate::Stays(why) => Some((manifest, *why)),
            Fate::Goes => None,
        })
    }

    /// Those that go now, the oldest first, and how many that are not proved go later.
    fn going(&self, wanted: Level) -> (Vec<&Manifest>, usize) {
        let all = self.backups.iter().zip(&self.fates).rev().filter(|(_, fate)| **fate == Fate::Goes);
        let (proven, unproven): (Vec<_>, Vec<_>) =
            all.map(|(manifest, _)| manifest).partition(|manifest| counts(manifest, wanted));
        let later = unproven.len().saturating_sub(AT_ONCE);
        (proven.into_iter().chain(unproven.into_iter().take(AT_ONCE)).collect(), later)
    }
}

fn judge(
    case: &Case<'_>,
    store: &Store,
    database: &str,
    newest: Option<&str>,
    done: &mut Target,
    told: &mut BackedUp,
) -> Result<Judged, String> {
    let Case { run, section, .. } = *case;
    let shelf = store.shelf(Some(&section.name))?;
    for (id, why) in &shelf.damaged {
        done.note(Status::Warning, format!("{id} is damaged, counts for nothing and stays: {why}"));
    }
    let backups = of_database(run, &shelf.backups, database);
    let others =
        shelf.backups.iter().filter(|manifest| manifest.database == database).count() - backups.len();
    if others > 0 {
        let others = words(others as u64, "backup");
        done.note(Status::Warning, format!("{others} of another machine lie here and stay: give it a folder, or this section a name, of its own"));
    }
    let ahead = backups.iter().filter(|manifest| manifest.time() > clock::now()).count();
    if ahead > 0 {
        done.note(
            Status::Warning,
            format!("{ahead} of the backups come from the future: one of the clocks was wrong"),
        );
    }
    let judged = Judged::of(case, backups, &section.backup.keep.0, newest);
    for (manifest, why) in judged.stays() {
        match why {
            Kept::BeforeLoss => {
                let why = format!(
                    "{} holds {}, more than twice as many as now: it stays until --force {SHRINK}",
                    manifest.id,
                    words(manifest.contents.rows(), "row")
                );
                done.note(Status::Warning, why);
            }
            Kept::LastGood | Kept::Unproven => told.kept.push((manifest.id.clone(), why.to_string())),
            Kept::ByCalendar(_) | Kept::Newest => {}
        }
    }
    Ok(judged)
}

/// Why nothing may go now.
fn objection(case: &Case<'_>) -> Option<String> {
    let Case { run, section, .. } = *case;
    let doubt = run.witnesses().doubt(run.now);
    if let Some(doubt) = &doubt {
        run.doubt_clock();
        return Some(format!("{doubt}: set the clock right"));
    }
    run.held(&section.name)
}

/// Says what no rule keeps.
pub(crate) fn preview(
    case: &Case<'_>,
    store: &Store,
    database: &str,
    done: &mut Target,
    told: &mut BackedUp,
) {
    match judge(case, store, database, None, done, told) {
        Ok(judged) => {
            told.removed = judged
                .going(case.section.backup.verify)
                .0
                .iter()
                .map(|manifest| manifest.id.clone())
                .collect();
            count(case, &judged.backups, told, done);
        }
        Err(why) => done.note(Status::Critical, why),
    }
}

/// Lets go what no rule keeps.
pub(crate) fn thin_out(
    case: &Case<'_>,
    keeper: &Keeper,
    database: &str,
    newest: Option<&str>,
    done: &mut Target,
    told: &mut BackedUp,
) {
    let judged = match judge(case, keeper, database, newest, done, told) {
        Ok(judged) => judged,
        Err(why) => return done.note(Status::Warning, format!("nothing was removed: {why}")),
    };
    let (going, later) = judged.going(case.section.backup.verify);
    let mut left = judged.backups.clone();
    if let Some(why) = objection(case).filter(|_| !going.is_empty()) {
        done.note(Status::Warning, format!("{why}: nothing was removed"));
        return count(case, &left, told, done);
    }
    for manifest in going {
        match keeper.remove(case.run, &done.name, manifest) {
            Ok(()) => {
                left.retain(|other| other.id != manifest.id);
                told.removed.push(manifest.id.clone());
            }
            Err(why) => done.note(Status::Warning, why),
        }
    }
    if later > 0 {
        told.found.push(format!("{} that are not proved go in the next runs", words(later as u64, "backup")));
    }
    count(case, &left, told, done);
}

/// What is there now, in numbers.
pub(crate) fn count(case: &Case<'_>, backups: &[Manifest], told: &BackedUp, done: &mut Target) {
    let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
    let good = backups.iter().filter(|manifest| counts(manifest, case.section.backup.verify));
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
    case: &Case<'_>,
    to: &CopyTo,
    keeper: &Keeper,
    database: &str,
    done: &mut Target,
    told: &mut BackedUp,
) {
    let Case { run, section, .. } = *case;
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
    let is_damaged = |id: &str| there.damaged.iter().any(|(damaged, _)| damaged == id);
    let (here, known) =
        (of_database(run, &here.backups, database), of_database(run, &there.backups, database));
    let mut both = known.clone();
    both.extend(here.iter().filter(|manifest| known.iter().all(|copy| copy.id != manifest.id)).cloned());
    both.sort_by(|one, other| (other.time, &other.id).cmp(&(one.time, &one.id)));
    let newest = here.first().map(|manifest| manifest.id.clone());
    let wanted = Judged::of(case, both, &to.keep.0, newest.as_deref());
    let mut copied = 0;
    for (manifest, _) in wanted.stays().filter(|(manifest, _)| !is_damaged(&manifest.id)) {
        let Some(original) = here.iter().find(|original| original.id == manifest.id) else { continue };
        let copy = known.iter().find(|copy| copy.id == manifest.id);
        match bring(case, original, copy, keeper, &copies, &done.name) {
            Ok(is_new) => copied += u64::from(is_new),
            Err(why) => done.note(Status::Warning, format!("no copy of {} in {place}: {why}", manifest.id)),
        }
    }
    if copied > 0 {
        told.found.push(format!("{} to {place}", words(copied, "copy").replace("copys", "copies")));
    }
    if objection(case).is_some() {
        return;
    }
    let there = match copies.shelf(Some(&section.name)) {
        Ok(shelf) => of_database(run, &shelf.backups, database),
        Err(why) => {
            return done.note(Status::Warning, format!("nothing was removed from {place}: {why}"));
        }
    };
    let judged = Judged::of(case, there, &to.keep.0, newest.as_deref());
    for manifest in judged.going(section.backup.verify).0 {
        match copies.remove(run, &done.name, manifest) {
            Ok(()) => told.found.push(format!("{} removed from {place}", manifest.id)),
            Err(why) => done.note(Status::Warning, why),
        }
    }
}

/// Makes sure that a copy is there and is what its original is. Answers whether it was made.
fn bring(
    case: &Case<'_>,
    original: &Manifest,
    copy: Option<&Manifest>,
    from: &Keeper,
    to: &Keeper,
    target: &str,
) -> Result<bool, String> {
    match copy {
        None => copy_one(case, original, from, to).map(|()| true),
        Some(copy) if copy.proofs == original.proofs => Ok(false),
        Some(copy) => {
            // What has been proved of the original since holds for a copy that has the same bytes, and for no other.
            let patience = Patience::new(case.section.backup.timeout);
            if copy.files == original.files && to.check(copy, &patience).is_ok() {
                return to.rewrite(original).map(|()| false);
            }
            from.check(original, &patience)?;
            to.remove(case.run, target, copy)?;
            copy_one(case, original, from, to).map(|()| true)
        }
    }
}

/// One backup to a second place: read, written, read back there, and only then given its name.
fn copy_one(case: &Case<'_>, manifest: &Manifest, from: &Keeper, to: &Keeper) -> Result<(), String> {
    let patience = Patience::new(case.section.backup.timeout);
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
