//! The second place: what is to be kept there is copied, proved byte by byte, and thinned out by rules of its own.

use crate::{
    args::Case,
    digest,
    keep::{Judged, let_go, of_database, tell_damaged},
    store::{Keeper, NoStore, Patience},
};
use maint_core::{
    fs::Root,
    text::{count as words, shown_path},
};
use maint_db::{backup::Manifest, section::CopyTo};
use maint_run::{
    exit::Status,
    report::{BackedUp, Target},
};
use std::{io::Write as _, path::Path};

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
    if is_same_folder(keeper.depot().root(), &to.dir) {
        let here = shown_path(keeper.path());
        let why = format!("no copy in {place}: it is the same folder as dir, {here}, by another way");
        return done.note(Status::Warning, why);
    }
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
    tell_damaged(&there, &format!(" in {place}"), done);
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
        told.found.push(format!("{} to {place}", words(copied, "copy")));
    }
    let there = match copies.shelf(Some(&section.name)) {
        Ok(shelf) => of_database(run, &shelf.backups, database),
        Err(why) => {
            return done.note(Status::Warning, format!("nothing was removed from {place}: {why}"));
        }
    };
    let judged = Judged::of(case, there, &to.keep.0, newest.as_deref());
    let (gone, _) = let_go(case, &copies, &judged, &format!(" from {place}"), done);
    told.found.extend(gone.iter().map(|id| format!("{id} removed from {place}")));
}

/// Through a link or a bind mount one folder has two names.
fn is_same_folder(here: &Root, there: &Path) -> bool {
    Root::to_look(there).is_ok_and(|there| there.below(here).is_some_and(|path| path.is_empty()))
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
                let is_bad_news = original.level() < copy.level();
                if is_bad_news && from.check(original, &patience).is_err() {
                    // It is about bytes that the copy does not have.
                    return Ok(false);
                }
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
