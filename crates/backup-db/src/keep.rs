//! Which backups stay, after a new one is safe.

use crate::{
    args::{Case, SHRINK},
    store::{Keeper, Shelf, Store, counts, standing},
};
use maint_core::{calendar::Zone, retention::Keep, text::count as words};
use maint_db::{
    backup::{Fate, Kept, Manifest, Wish, decide},
    section::Level,
};
use maint_run::{
    Run, clock,
    exit::Status,
    report::{BackedUp, Counter, Target},
};

/// Of those of which too little is proved so many go in one run: raising `verify` must not cost a history in a night.
const AT_ONCE: usize = 2;

/// What is there of one database and made on this machine, the newest first.
pub(crate) fn of_database(run: &Run, all: &[Manifest], database: &str) -> Vec<Manifest> {
    let is_ours = |manifest: &&Manifest| manifest.database == database && manifest.host == run.host();
    all.iter().filter(is_ours).cloned().collect()
}

/// What is there of a database, and which of it no rule keeps.
pub(crate) struct Judged {
    backups: Vec<Manifest>,
    fates: Vec<Fate>,
}

impl Judged {
    pub(crate) fn of(case: &Case<'_>, backups: Vec<Manifest>, keep: &Keep, newest: Option<&str>) -> Self {
        let backup = &case.section.backup;
        let lets_loss_go = case.args.forces(SHRINK);
        let wish = Wish { level: backup.verify, keep, max_unproven: backup.max_unproven, lets_loss_go };
        let all: Vec<_> = backups.iter().map(standing).collect();
        let fates = decide(&all, wish, newest, Zone::Local, clock::now());
        Self { backups, fates }
    }

    pub(crate) fn stays(&self) -> impl Iterator<Item = (&Manifest, Kept)> {
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
    tell_damaged(&shelf, "", done);
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

/// Says what of a place is no backup any more; `place` is how it is named behind them.
pub(crate) fn tell_damaged(shelf: &Shelf, place: &str, done: &mut Target) {
    for (id, why) in &shelf.damaged {
        done.note(Status::Warning, format!("{id}{place} is damaged, counts for nothing and stays: {why}"));
    }
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
    let (gone, later) = let_go(case, keeper, &judged, "", done);
    if later > 0 {
        told.found.push(format!("{} that are not proved go in the next runs", words(later as u64, "backup")));
    }
    let left: Vec<Manifest> =
        judged.backups.into_iter().filter(|manifest| !gone.contains(&manifest.id)).collect();
    told.removed.extend(gone);
    count(case, &left, told, done);
}

/// Takes away what no rule keeps, if anything may go now. Answers what went, and how many go later.
pub(crate) fn let_go(
    case: &Case<'_>,
    keeper: &Keeper,
    judged: &Judged,
    place: &str,
    done: &mut Target,
) -> (Vec<String>, usize) {
    let (going, later) = judged.going(case.section.backup.verify);
    if let Some(why) = objection(case).filter(|_| !going.is_empty()) {
        done.note(Status::Warning, format!("{why}: nothing was removed{place}"));
        return (Vec::new(), 0);
    }
    let mut gone = Vec::new();
    for manifest in going {
        match keeper.remove(case.run, &done.name, manifest) {
            Ok(()) => gone.push(manifest.id.clone()),
            Err(why) => done.note(Status::Warning, why),
        }
    }
    (gone, later)
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
