//! One target from its root to its report.

use crate::args::PruneArgs;
use maint_core::{
    fs::{Claims, LockError, Root, RootError, Usage},
    plan::{Approved, Guard, Plan},
    prune::{
        Act, CarryOut, Doomed, LookOver, Looked, Outcome, Progress, Recovered, carry_out, look_over, recover,
    },
    retention::Policy,
    section::{EmptyFolders, FilesSection},
    select::Select,
    text::{count, printable},
};
use maint_run::{
    Run,
    config::Named,
    exit::Status,
    progress::watch,
    report::{Counter, Failure, Target, chain},
    screen, signals,
};
use std::{
    os::unix::ffi::OsStrExt as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// What a section means, in a line.
pub(crate) fn describe(target: &Named<FilesSection>) -> String {
    let section = &target.value;
    let guard = section
        .guard()
        .max_share
        .map(|share| format!("; refused above max-share {share}"))
        .unwrap_or_default();
    format!(
        "[files.{}] {}: {}{guard}",
        target.name,
        printable(section.path.as_os_str().as_bytes()),
        words(section)
    )
}

/// The policy in a person's words.
fn words(section: &FilesSection) -> String {
    let policy = section.policy().map(|policy| policy.describe()).unwrap_or_default();
    let patterns = section.select().headings().join(", ");
    let not: Vec<String> = section.exclude.iter().map(ToString::to_string).collect();
    let not = if not.is_empty() { String::new() } else { format!(" but not {}", not.join(", ")) };
    format!("{patterns}{not}, {policy}")
}

/// Looks a target over, and shows or removes what its policy lets go.
pub(crate) fn prune(run: &Run, args: &PruneArgs, target: &Named<FilesSection>) -> Target {
    let section = &target.value;
    let dry_run = section.dry_run || args.removing.dry_run || args.only_names();
    let shown = printable(section.path.as_os_str().as_bytes());
    let mut done = Target::new(&target.name, shown, words(section), dry_run);
    match Root::open(&section.path, &run.borders()) {
        Ok(root) => Job { run, args, section, root, progress: Progress::default() }.work(&mut done),
        Err(error @ RootError::Missing(_)) => {
            done.note(Status::Warning, format!("{error}: nothing was done"))
        }
        Err(error @ RootError::Refused { .. }) => done.note(Status::Refused, error.to_string()),
        Err(error @ RootError::Failed(_)) => done.note(Status::Critical, chain(&error)),
    }
    done
}

/// One open target on its way.
struct Job<'a> {
    run: &'a Run,
    args: &'a PruneArgs,
    section: &'a FilesSection,
    root: Root,
    progress: Progress,
}

impl Job<'_> {
    fn work(&self, done: &mut Target) {
        // A section without a policy does not get past the configuration's check.
        let Some(policy) = self.section.policy() else { return };
        if done.dry_run {
            return self.show(&policy, done);
        }
        let lock = match self.run.lock(&self.root, self.args.removing.lock_wait) {
            Ok(lock) => lock,
            Err(error @ LockError::Busy(_)) => return done.note(Status::Busy, error.to_string()),
            Err(error) => return done.note(Status::Critical, chain(&error)),
        };
        let claims = self.claims(&lock);
        let tidies = self.section.empty_folders == EmptyFolders::Remove;
        note_recovered(done, recover(&self.root, &lock, claims.as_ref(), tidies));

        let before = Usage::of(&self.root).ok();
        let (select, plan) = (self.section.select(), self.survey(&policy, done));
        let Some(plan) = self.approve(plan, done) else { return };
        let ledger = done.clone();
        let ledger = self.run.audit().ledger(&ledger, self.root.path());
        let act =
            Act::Remove { lock: &lock, claims: claims.as_ref(), ledger: &ledger, empty_folders: tidies };
        let outcome = self.carry_out(&select, &plan, act, &signals::asked_to_stop);
        note_outcome(done, &plan, outcome);
        let after = Usage::of(&self.root).ok();
        done.storage = before.zip(after).map(|(before, after)| (before.percent(), after.percent()));
    }

    /// The dry run: the same survey, plan and guard, and where names are asked for the same second walk.
    fn show(&self, policy: &Policy, done: &mut Target) {
        let (select, plan) = (self.section.select(), self.survey(policy, done));
        let frees = plan.totals().frees;
        let before = Usage::of(&self.root).ok();
        done.storage = before.map(|before| (before.percent(), before.without(frees).percent()));
        let Some(plan) = self.approve(plan, done) else { return };
        if self.args.only_names() {
            let unread = AtomicBool::new(false);
            let print = |folder: &[u8], doomed: &Doomed<'_>| {
                if !screen::raw(&self.line(folder, doomed)) {
                    unread.store(true, Ordering::Relaxed);
                }
            };
            let stop = || signals::asked_to_stop() || unread.load(Ordering::Relaxed);
            let outcome = self.carry_out(&select, &plan, Act::Show(&print), &stop);
            note_errors(done, &outcome.errors);
        }
    }

    fn claims(&self, lock: &maint_core::fs::Lock) -> Option<Claims> {
        if self.section.private {
            return None;
        }
        let opened = Claims::open(lock.warrant(), &self.root);
        opened
            .map_err(|error| log::info!("{} has no private folder for claims: {error}", self.root.shown()))
            .ok()
    }

    fn survey(&self, policy: &Policy, done: &mut Target) -> Plan {
        let select = self.section.select();
        let rules = policy.at(self.run.now);
        let what = LookOver {
            root: &self.root,
            select: &select,
            rules: &rules,
            workers: self.args.removing.workers(),
            stop: &signals::asked_to_stop,
            progress: &self.progress,
        };
        let looked = self.watched(|| look_over(&what));
        note_looked(done, &select, policy, &looked);
        Plan::new(rules, &looked.survey)
    }

    fn approve(&self, plan: Plan, done: &mut Target) -> Option<Approved> {
        let lifted = self.args.removing.forces(Guard::MAX_SHARE);
        let guard = if lifted { Guard { max_share: None } } else { self.section.guard() };
        match guard.approve(plan, self.args.removing.limit) {
            Ok(approved) => {
                done.counts.set(Counter::Remaining, approved.totals().files - approved.most());
                Some(approved)
            }
            Err(refusal) => {
                let once = format!("--force {}", refusal.guard());
                done.note(Status::Refused, format!("{refusal}; if that is right, run once with {once}"));
                done.counts.set(Counter::Remaining, done.counts.get(Counter::FilesSelected));
                None
            }
        }
    }

    fn carry_out(
        &self,
        select: &Select,
        plan: &Approved,
        act: Act<'_>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Outcome {
        let workers = self.args.removing.workers();
        let what = CarryOut { root: &self.root, select, plan, act, workers, stop, progress: &self.progress };
        self.watched(|| carry_out(&what))
    }

    fn watched<R>(&self, work: impl FnOnce() -> R) -> R {
        let wanted = self.run.may_show_progress() && !self.args.removing.no_progress;
        watch(wanted, &self.root.shown(), &self.progress, work)
    }

    /// A name for `--list`, safe to show, or for `--print0`, as it is.
    fn line(&self, folder: &[u8], doomed: &Doomed<'_>) -> Vec<u8> {
        let parts = [self.root.path().as_os_str().as_bytes(), folder, doomed.name.to_bytes()];
        let path = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/');
        if self.args.files.print0 {
            [path.as_slice(), b"\0"].concat()
        } else {
            (printable(&path) + "\n").into_bytes()
        }
    }
}

fn note_recovered(done: &mut Target, recovered: Recovered) {
    let Recovered { claims, folders } = recovered;
    done.counts.set(Counter::Recovered, claims.removed.files + claims.restored);
    done.counts.set(Counter::FoldersDeleted, folders);
    for error in &claims.errors {
        done.worsen(Status::Warning);
        done.errors.push(Failure::from(error));
    }
    done.counts.set(Counter::Errors, claims.errors.len() as u64);
}

fn note_looked(done: &mut Target, select: &Select, policy: &Policy, looked: &Looked) {
    let survey = &looked.survey;
    done.counts.set(Counter::FilesScanned, survey.found.files);
    done.counts.set(Counter::FilesSelected, survey.condemned.files);
    done.counts.set(Counter::BytesSelected, survey.condemned.size);
    if done.dry_run {
        done.counts.set(Counter::BytesFreed, survey.condemned.frees);
    }
    done.kept = survey.kept.iter().map(|(why, n)| (why.word(), n)).collect();
    done.by_pattern = select.headings().into_iter().zip(survey.by_pattern.iter().copied()).collect();
    done.span = survey.oldest.zip(survey.newest);
    if survey.condemned.files > 0 {
        done.reasons = vec![(policy.describe(), survey.condemned.files)];
    }
    if looked.other_mounts > 0 {
        done.notes.push(format!(
            "{} with another filesystem mounted on it was left out",
            count(looked.other_mounts, "folder")
        ));
    }
    note_errors(done, &looked.errors);
}

fn note_outcome(done: &mut Target, plan: &Approved, outcome: Outcome) {
    done.counts.set(Counter::FilesDeleted, outcome.removed.files);
    done.counts.set(Counter::BytesFreed, outcome.removed.frees);
    done.counts.set(Counter::FoldersDeleted, done.counts.get(Counter::FoldersDeleted) + outcome.folders);
    done.counts.set(Counter::FilesChanged, outcome.changed);
    done.counts.set(Counter::Unclaimed, outcome.unclaimed);
    let settled = outcome.removed.files + outcome.changed + outcome.vanished;
    done.counts.set(Counter::Remaining, plan.totals().files.saturating_sub(settled));
    note_errors(done, &outcome.errors);
    if let Some(error) = outcome.unrecorded {
        done.note(Status::Refused, format!("{error}; nothing goes that cannot be accounted for"));
    }
}

fn note_errors(done: &mut Target, errors: &maint_core::prune::Errors) {
    if errors.total() == 0 {
        return;
    }
    done.worsen(Status::Warning);
    done.counts.set(Counter::Errors, done.counts.get(Counter::Errors) + errors.total());
    // Both walks meet the same unreadable folder; it is told once.
    for failure in errors.iter().map(Failure::from) {
        if !done.errors.iter().any(|told| told.path == failure.path && told.operation == failure.operation) {
            done.errors.push(failure);
        }
    }
}
