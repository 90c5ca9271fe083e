//! One target from its root to its report.

use crate::args::PruneArgs;
use maint_core::{
    fs::{Claims, Lock, LockError, PRIVATE_FOLDER, Root, RootError, Usage},
    plan::{Approved, Guard, Plan},
    prune::{
        Act, CarryOut, Doomed, Errors, LookOver, Looked, Outcome, Progress, Recovered, carry_out, look_over,
        recover,
    },
    retention::{Policy, SettleBy},
    section::{EmptyFolders, FilesSection},
    select::Select,
    text::{count, joined, printable, shown_path},
};
use maint_run::{
    Run,
    config::Named,
    exit::Status,
    progress::watch,
    report::{Counter, Target, chain},
    screen::Stream,
    signals,
};
use std::{
    os::unix::ffi::OsStrExt as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// What a section means, in a line.
pub(crate) fn describe(target: &Named<FilesSection>) -> String {
    let section = &target.value;
    let mut notes = Vec::new();
    let mut note = |when: bool, what: String| notes.extend(when.then_some(what));
    note(section.settle != FilesSection::SETTLE, format!("settles {}", section.settle));
    note(section.settle_by == SettleBy::Ctime, "settles by ctime".to_owned());
    let depth = section.select().max_depth;
    note(depth.is_some(), format!("levels entered: {}", depth.unwrap_or(0)));
    note(section.empty_folders == EmptyFolders::Keep, "keeps empty folders".to_owned());
    note(section.private, "private, without claims".to_owned());
    note(section.dry_run, "only ever shown".to_owned());
    if let Some(share) = section.guard().max_share {
        notes.push(format!("of more than {} files refused above max-share {share}", Guard::SMALL));
    }
    let place = shown_path(&section.root());
    format!("[files.{}] {place}: {}; {}", target.name, words(section), notes.join("; "))
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
    let place = section.root();
    let shown = shown_path(&place);
    let dry_run = section.dry_run || args.removing.dry_run || args.only_names();
    let mut done = Target::new(&target.name, shown, words(section), dry_run);
    done.partial = args.is_partial();
    // A section without a policy does not get past the configuration's check.
    let Some(policy) = section.policy() else { return done };
    match Root::open(&place, &run.borders()) {
        Ok(root) => {
            let select = section.select();
            Job { run, args, section, policy, select, root, progress: Progress::default() }.work(&mut done);
        }
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
    policy: Policy,
    select: Select,
    root: Root,
    progress: Progress,
}

impl Job<'_> {
    fn work(&self, done: &mut Target) {
        if done.dry_run {
            return self.show(done);
        }
        let lock = match self.run.lock(&self.root, self.args.removing.lock_wait) {
            Ok(lock) => lock,
            Err(error @ LockError::Busy(_)) => return done.note(Status::Busy, error.to_string()),
            Err(error) => return done.note(Status::Critical, chain(&error)),
        };
        let name = done.name.clone();
        let ledger = self.run.audit().ledger(&name, self.root.path());
        let claims = self.claims(&lock, done);
        let empty_folders = self.section.empty_folders == EmptyFolders::Remove;
        self.note_recovered(done, recover(&self.root, &lock, claims.as_ref(), empty_folders, &ledger));

        let before = Usage::of(&self.root).ok();
        let claims = claims.as_ref().filter(|_| !self.section.private);
        self.plan_and_carry_out(
            done,
            Act::Remove { lock: &lock, claims, ledger: &ledger, empty_folders },
            &|| true,
        );
        let after = Usage::of(&self.root).ok();
        done.storage = before.zip(after).map(|(before, after)| (before.percent(), after.percent()));
    }

    /// The dry run: the same survey, plan, guard and second walk, which names what it meets.
    fn show(&self, done: &mut Target) {
        let names = self.args.only_names().then(Stream::new);
        let unread = AtomicBool::new(false);
        let print = |folder: &[u8], doomed: &Doomed<'_>| {
            if names.as_ref().is_some_and(|names| !names.push(&self.line(folder, doomed))) {
                unread.store(true, Ordering::Relaxed);
            }
        };
        self.plan_and_carry_out(done, Act::Show(&print), &|| !unread.load(Ordering::Relaxed));
        let before = Usage::of(&self.root).ok();
        let after = before.map(|before| before.without(done.counts.get(Counter::BytesToFree)));
        done.storage = before.zip(after).map(|(before, after)| (before.percent(), after.percent()));
        if let Some(Err(error)) = names.map(Stream::finish) {
            done.note(Status::Critical, format!("the list is not complete: {error}"));
        }
    }

    fn plan_and_carry_out(&self, done: &mut Target, act: Act<'_>, go_on: &(dyn Fn() -> bool + Sync)) {
        let Some(plan) = self.plan(done) else { return };
        self.progress.begin_again();
        let stop = || signals::asked_to_stop() || !go_on();
        let workers = self.args.removing.workers();
        let (root, select, progress) = (&self.root, &self.select, &self.progress);
        let what = CarryOut { root, select, plan: &plan, act, workers, stop: &stop, progress };
        let outcome = self.watched(|| carry_out(&what));
        self.note_outcome(done, &plan, outcome);
        note_interruption(done);
    }

    /// Surveys, plans, and asks the guard.
    fn plan(&self, done: &mut Target) -> Option<Approved> {
        let rules = self.policy.at(self.run.now);
        let what = LookOver {
            root: &self.root,
            select: &self.select,
            rules: &rules,
            workers: self.args.removing.workers(),
            stop: &signals::asked_to_stop,
            progress: &self.progress,
        };
        let looked = self.watched(|| look_over(&what));
        self.note_looked(done, &looked);
        if note_interruption(done) {
            return None;
        }
        let forced = self.args.removing.force.iter();
        let guard = forced.fold(self.section.guard(), |guard, name| guard.without(name));
        match guard.approve(Plan::new(rules, &looked.survey), self.args.removing.limit) {
            Ok(approved) => Some(approved),
            Err(refusal) => {
                let once = format!("prune-images {} --force {}", done.name, refusal.guard());
                done.note(Status::Refused, format!("{refusal}; if that is right, once: {once}"));
                done.counts.set(Counter::Remaining, done.counts.get(Counter::FilesSelected));
                None
            }
        }
    }

    /// The private folder, to claim in or only to finish what lies there.
    fn claims(&self, lock: &Lock, done: &mut Target) -> Option<Claims> {
        let opened = if self.section.private {
            Claims::open_existing(lock.warrant(), &self.root)
        } else {
            Claims::open(lock.warrant(), &self.root).map(Some)
        };
        opened.unwrap_or_else(|error| {
            let why = format!(
                "{PRIVATE_FOLDER} cannot be used ({error}): files go after a last look, without a claim"
            );
            // No room is no fault; somebody else's folder is worth a look.
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                done.note(Status::Warning, why);
            } else {
                log::info!("{}: {why}", done.name);
            }
            None
        })
    }

    fn watched<R>(&self, work: impl FnOnce() -> R) -> R {
        let wanted = self.run.may_show_progress() && !self.args.removing.no_progress;
        watch(wanted, &self.root.shown(), &self.progress, work)
    }

    /// A name for `--list`, safe to show, or for `--print0`, as it is.
    fn line(&self, folder: &[u8], doomed: &Doomed<'_>) -> Vec<u8> {
        let path = joined(&[self.root.path().as_os_str().as_bytes(), folder, doomed.name.to_bytes()]);
        if self.args.files.print0 {
            [path.as_slice(), b"\0"].concat()
        } else {
            (printable(&path) + "\n").into_bytes()
        }
    }

    fn note_recovered(&self, done: &mut Target, recovered: Recovered) {
        let Recovered { claims, folders } = recovered;
        done.counts.set(Counter::Recovered, claims.removed.files + claims.restored);
        done.counts.set(Counter::BytesFreed, claims.removed.frees);
        done.counts.set(Counter::FoldersDeleted, folders);
        done.fail(&self.root.shown(), &Errors::of(claims.errors));
    }

    fn note_looked(&self, done: &mut Target, looked: &Looked) {
        let survey = &looked.survey;
        done.counts.set(Counter::FilesScanned, survey.found.files);
        done.counts.set(Counter::FilesSelected, survey.condemned.files);
        done.counts.set(Counter::BytesSelected, survey.condemned.size);
        done.counts.set(Counter::BytesToFree, survey.condemned.frees);
        done.kept = survey.kept.iter().map(|(why, n)| (why.word(), n)).collect();
        done.by_pattern = self.select.headings().into_iter().zip(survey.by_pattern.iter().copied()).collect();
        done.span = survey.oldest.zip(survey.newest);
        if looked.other_mounts > 0 {
            let folders = count(looked.other_mounts, "folder");
            done.notes.push(format!("{folders} with another filesystem mounted on it left out"));
        }
        done.fail(&self.root.shown(), &looked.errors);
    }

    fn note_outcome(&self, done: &mut Target, plan: &Approved, outcome: Outcome) {
        let reasons = self.policy.reasons().into_iter().zip(outcome.by_reason);
        done.reasons = reasons.filter(|(_, files)| *files > 0).collect();
        if done.dry_run {
            done.counts.set(Counter::BytesSelected, outcome.removed.size);
            done.counts.set(Counter::BytesToFree, outcome.removed.frees);
        } else {
            done.counts.set(Counter::FilesDeleted, outcome.removed.files);
            done.counts.add(Counter::BytesFreed, outcome.removed.frees);
        }
        done.counts.add(Counter::FoldersDeleted, outcome.folders);
        done.counts.set(Counter::FilesChanged, outcome.changed);
        done.counts.set(Counter::Unclaimed, outcome.unclaimed);
        let settled = outcome.removed.files + outcome.changed + outcome.vanished;
        done.counts.set(Counter::Remaining, plan.totals().files.saturating_sub(settled));
        done.fail(&self.root.shown(), &outcome.errors);
        if let Some(error) = outcome.unrecorded {
            done.note(Status::Refused, format!("{error}; nothing goes that cannot be accounted for"));
        }
    }
}

/// Says so when a signal cut the work short; what was counted by then is not the whole.
fn note_interruption(done: &mut Target) -> bool {
    let asked = signals::asked_to_stop();
    if asked {
        done.note(Status::Warning, "a signal ended this early: the numbers are those of a part");
    }
    asked
}
