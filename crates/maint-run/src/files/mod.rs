//! Files and what may leave a folder: one target from its root to its report, for every tool that removes
//! files. A tool says what it works on ([`Orders`]) and what for ([`Errand`]); the rest is the same for all.

mod conditions;
mod departure;
mod job;

use crate::{
    Run,
    args::{Changing, Removing, RemovingFiles},
    config::Named,
    exit::Status,
    report::{Leaves, Target, chain},
};
use job::Job;
use maint_core::{
    emergency::Need,
    fs::{Claims, Mount, Root, RootError},
    prune::{Ties, recover},
    saved::{StepLine, Steps},
    section::{FilesSection, ThenValue},
    text::shown_path,
};
use std::sync::{Mutex, PoisonError};

/// What the command line orders of all targets.
pub struct Orders<'a> {
    /// What holds for all that changes things.
    pub changing: &'a Changing,
    /// What holds for all that removes.
    pub removing: &'a Removing,
    /// How names are asked for.
    pub files: &'a RemovingFiles,
    /// Nothing is to be changed.
    pub shows_only: bool,
    /// The folder comes from the command line.
    pub is_ad_hoc: bool,
    /// Less than each section's own policy is asked for.
    pub is_partial: bool,
    /// Who wants to have the steps of what is shown.
    pub steps: Option<&'a dyn KeepSteps>,
}

/// Keeps the steps of a dry run.
pub trait KeepSteps: Sync {
    /// Those of a target.
    fn keep(&self, run: &Run, root: &Root, done: &mut Target, steps: Vec<StepLine>);
}

/// What a target is worked on for.
#[derive(Clone, Copy)]
pub enum Errand<'a> {
    /// What has had its day goes.
    Everyday,
    /// Space is needed.
    Emergency(&'a Asked<'a>),
    /// The steps of a saved plan go, once.
    Planned(&'a Mutex<Steps>),
    /// What has had its day goes if what it belongs to lets it.
    Tied(&'a dyn Ties),
}

/// What an emergency asks of a target.
pub struct Asked<'a> {
    /// So much, and no more.
    pub need: Need,
    /// No more files than this.
    pub most: Option<u64>,
    /// How often it has been asked before.
    pub round: u32,
    /// On this volume and no other.
    pub mount: &'a Mount,
    /// There is no room for anything, not even to claim a file.
    pub no_room: bool,
    /// Asked between two batches, with their files and bytes.
    pub go_on: &'a (dyn Fn(u64, u64) -> bool + Sync),
}

/// What a target has for an emergency.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offer {
    /// Of what was asked for.
    pub now: Need,
    /// Files that are.
    pub files: u64,
    /// Altogether.
    pub possible: Need,
    /// Condemned files that would free nothing.
    pub useless: u64,
}

/// Looks a target over, and shows what its policy, or a saved plan, lets go, or lets it go.
pub fn work_on(run: &Run, orders: &Orders<'_>, target: &Named<FilesSection>, errand: Errand<'_>) -> Target {
    begin(run, orders, target, errand).0
}

/// The same for an emergency, with a section as it is in one; no offer means that nothing could be begun.
pub fn spend(
    run: &Run,
    orders: &Orders<'_>,
    target: &Named<FilesSection>,
    asked: &Asked<'_>,
) -> (Target, Option<Offer>) {
    let (mut done, offer) = begin(run, orders, target, Errand::Emergency(asked));
    done.partial = true;
    (done, offer)
}

/// Finishes what a killed run had claimed, if nobody else is at work there; nothing is said where there was
/// nothing.
pub fn tidy(run: &Run, orders: &Orders<'_>, target: &Named<FilesSection>) -> Option<Target> {
    let section = &target.value;
    let root = Root::open(&section.root(), &run.borders()).ok().filter(Claims::has_any)?;
    if run.held(&target.name).is_some()
        || conditions::check(run, section, &root, &orders.removing.force).is_err()
    {
        return None;
    }
    let lock = run.lock_if_free(&root)?;
    let mut done = untouched(orders, target);
    done.partial = true;
    let job = Job::new(run, orders, section, root, Errand::Everyday);
    let in_use = job.look_who_uses(&mut done).ok()?;
    let ledger = run.audit().ledger(&target.name, job.root.path(), None);
    let claims = Claims::open_existing(lock.warrant(), &job.root).ok().flatten();
    let recovered = recover(&job.root, &lock, claims.as_ref(), false, &in_use, &ledger);
    job.note_recovered(&mut done, recovered);
    Some(done)
}

fn begin(
    run: &Run,
    orders: &Orders<'_>,
    target: &Named<FilesSection>,
    errand: Errand<'_>,
) -> (Target, Option<Offer>) {
    let section = &target.value;
    let place = section.root();
    let mut done = untouched(orders, target);
    let dry_run = done.dry_run;
    if let Some(held) = run.held(&target.name) {
        if !dry_run {
            done.note(Status::Warning, format!("{held}: nothing was done"));
            return (done, None);
        }
        done.notes.push(held);
    }
    let mut offer = None;
    match Root::open(&place, &run.borders()) {
        Ok(root) => {
            let job = Job::new(run, orders, section, root, errand);
            job.start(&mut done);
            offer = job.offer.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        Err(error) => note_no_root(&mut done, section, &error),
    }
    (done, offer)
}

/// A target on which nothing has been done yet.
pub fn untouched(orders: &Orders<'_>, target: &Named<FilesSection>) -> Target {
    let section = &target.value;
    let dry_run = section.dry_run || orders.shows_only;
    let mut done = Target::new(&target.name, shown_path(&section.root()), section.describe(), dry_run);
    done.partial = orders.is_partial;
    done.leaves = match section.then {
        ThenValue::Delete => Leaves::Removed,
        ThenValue::MoveTo(_) => Leaves::Moved,
        ThenValue::ArchiveTo(_) => Leaves::Archived,
    };
    done
}

/// Says why a target has no root.
pub fn note_no_root(done: &mut Target, section: &FilesSection, error: &RootError) {
    match error {
        RootError::Missing(_) if section.guard.volume.is_some() => {
            done.note(Status::Refused, format!("{error}, and so perhaps its volume is not"))
        }
        RootError::Missing(_) => done.note(Status::Warning, format!("{error}: nothing was done")),
        RootError::Refused { .. } => done.note(Status::Refused, error.to_string()),
        RootError::Failed(_) => done.note(Status::Critical, chain(error)),
    }
}
