//! One open target on its way: looked over, planned, approved, and shown or carried out.

use super::{Asked, Errand, Offer, Orders, conditions, departure::Departure};
use crate::{
    Doubt, Run,
    exit::Status,
    pace::Pace,
    progress::watch,
    report::{Counter, Target, chain},
    screen::Stream,
    signals,
};
use maint_core::{
    calendar::Zone,
    emergency::Need,
    fs::{Claims, Lock, LockError, Mount, PRIVATE_FOLDER, Root, Usage},
    plan::{Approved, Guard, Limits, Plan},
    prune::{
        Act, CarryOut, Doomed, Errors, Halt, Looked, Outcome, Progress, Recovered, Scope, Ties, Untold,
        carry_out, look_over, rank, recover,
    },
    retention::{Kept, Policy, Present},
    saved::{StepLine, Steps},
    section::{EmptyFolders, FilesSection, ThenValue},
    select::Select,
    spare::{InUse, UseError},
    text::{count, joined, printable},
    units::ByteSize,
};
use std::{
    ffi::CString,
    io,
    os::unix::ffi::OsStrExt as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// One open target on its way.
pub(super) struct Job<'a> {
    pub(super) run: &'a Run,
    orders: &'a Orders<'a>,
    pub(super) section: &'a FilesSection,
    policy: Policy,
    pub(super) select: Select,
    pub(super) root: Root,
    pace: Pace,
    progress: Progress,
    errand: Errand<'a>,
    pub(super) offer: Mutex<Option<Offer>>,
}

/// So many files go at once in an emergency, which may be over after any of them.
const FEW: usize = 64;

/// Why a target is done with early; what there was to say has been noted.
pub(super) struct Ended;

impl<'a> Job<'a> {
    pub(super) fn new(
        run: &'a Run,
        orders: &'a Orders<'a>,
        section: &'a FilesSection,
        root: Root,
        errand: Errand<'a>,
    ) -> Self {
        Self {
            run,
            orders,
            section,
            policy: section.policy(),
            select: section.select(),
            root,
            pace: Pace::of(&section.limit),
            progress: Progress::default(),
            errand,
            offer: Mutex::default(),
        }
    }

    pub(super) fn asked(&self) -> Option<&'a Asked<'a>> {
        match self.errand {
            Errand::Emergency(asked) => Some(asked),
            Errand::Everyday | Errand::Planned(_) | Errand::Tied(_) => None,
        }
    }

    fn ties(&self) -> Option<&'a dyn Ties> {
        match self.errand {
            Errand::Tied(ties) => Some(ties),
            Errand::Everyday | Errand::Planned(_) | Errand::Emergency(_) => None,
        }
    }

    pub(super) fn start(&self, done: &mut Target) {
        let forced = &self.orders.removing.force;
        // What there was to say has been noted either way.
        if let Some(asked) = self.asked()
            && !Mount::of(&self.root).is_ok_and(|mount| mount.is_of_same_filesystem(asked.mount))
        {
            done.note(Status::Critical, "it does not lie on its volume any more: nothing was done");
            return;
        }
        let _ = match conditions::check(self.run, self.section, &self.root, forced) {
            Err(unmet) => {
                let once = self.once(done, unmet.guard);
                done.note(Status::Refused, format!("{}; if that is right, once: {once}", unmet.why));
                Err(Ended)
            }
            Ok(()) if done.dry_run => self.show(done),
            Ok(()) => self.work(done),
        };
    }

    fn once(&self, done: &Target, guard: &str) -> String {
        let what = if self.orders.is_ad_hoc { "…".to_owned() } else { done.name.clone() };
        format!("{} {what} --force {guard}", self.run.tool())
    }

    fn work(&self, done: &mut Target) -> Result<(), Ended> {
        if Mount::of(&self.root).is_ok_and(|mount| mount.read_only) {
            done.note(Status::Critical, "its filesystem is mounted read-only: nothing can leave it");
            return Err(Ended);
        }
        let lock = self.run.lock(&self.root, self.orders.changing.lock_wait).map_err(|error| match error {
            LockError::Busy(_) => done.note(Status::Busy, error.to_string()),
            LockError::Immovable(_) => done.note(Status::Critical, error.to_string()),
            LockError::Failed(_) => done.note(Status::Critical, chain(&error)),
        });
        let lock = lock.map_err(|()| Ended)?;
        let in_use = self.look_who_uses(done)?;
        let name = done.name.clone();
        let destination = self.section.destination();
        let ledger = self.run.audit().ledger(&name, self.root.path(), destination.as_deref());
        let claims = self.claims(&lock, done);
        let empty_folders = self.section.empty_folders == EmptyFolders::Remove;
        let recovered = recover(&self.root, &lock, claims.as_ref(), empty_folders, &in_use, &ledger);
        self.note_recovered(done, recovered);
        let leave = Departure::prepare(self, &lock, done)?;

        let before = Usage::of(&self.root).ok();
        let no_room = self.asked().is_some_and(|asked| asked.no_room);
        let claims = claims.as_ref().filter(|_| !self.section.private && !no_room);
        let act = Act::Remove { lock: &lock, claims, ledger: &ledger, empty_folders, leave: leave.leave() };
        self.plan_and_carry_out(done, &in_use, act, leave.frees(), &|| true)?;
        if let Departure::Archive(archive) = &leave {
            let freed = done.counts.get(Counter::BytesFreed);
            done.counts.set(Counter::BytesFreed, freed.saturating_sub(archive.costs()));
        }
        let after = Usage::of(&self.root).ok();
        done.storage = before.zip(after).map(|(before, after)| (before.percent(), after.percent()));
        Ok(())
    }

    /// The dry run: the same survey, plan, guard and last walk, which names what it meets.
    fn show(&self, done: &mut Target) -> Result<(), Ended> {
        let in_use = self.look_who_uses(done)?;
        let names = self.orders.files.only_names().then(Stream::new);
        let unread = AtomicBool::new(false);
        let steps = Mutex::new(Vec::new());
        let print = |folder: &[u8], doomed: &Doomed<'_>| {
            if self.orders.steps.is_some() {
                steps.lock().unwrap_or_else(PoisonError::into_inner).push(StepLine::of(folder, doomed));
            }
            if names.as_ref().is_some_and(|names| !names.push(&self.line(folder, doomed))) {
                unread.store(true, Ordering::Relaxed);
            }
        };
        let shown = self.plan_and_carry_out(done, &in_use, Act::Show(&print), self.would_free(), &|| {
            !unread.load(Ordering::Relaxed)
        });
        let before = Mount::of(&self.root).and_then(|mount| Usage::of_mount(&mount)).ok();
        let after = before.map(|before| before.without(done.counts.get(Counter::BytesToFree)));
        done.storage = before.zip(after).map(|(before, after)| (before.percent(), after.percent()));
        if let Some(Err(error)) = names.map(Stream::finish) {
            done.note(Status::Critical, format!("the list is not complete: {error}"));
        }
        if let (Some(keeper), Ok(())) = (self.orders.steps, &shown) {
            let steps = steps.into_inner().unwrap_or_else(PoisonError::into_inner);
            keeper.keep(self.run, &self.root, done, steps);
        }
        shown
    }

    /// Whether space would come free here; of an archive nobody knows how much it takes.
    fn would_free(&self) -> bool {
        let ThenValue::MoveTo(path) = &self.section.then else { return true };
        let there = path.ancestors().find_map(|path| std::fs::metadata(path).ok());
        let here = std::fs::metadata(self.root.path()).ok();
        let device = |seen: std::fs::Metadata| std::os::unix::fs::MetadataExt::dev(&seen);
        there.map(device) != here.map(device)
    }

    pub(super) fn look_who_uses(&self, done: &mut Target) -> Result<InUse, Ended> {
        if self.asked().is_some() && !self.section.spare.held_open {
            // What others hold open frees nothing when it goes; what cannot be seen of it shows afterwards.
            match self.section.spare.look_as_far_as_visible(&self.root) {
                Err(UseError::Open(error)) => log::info!("{}: {}", done.name, chain(&error)),
                looked => return looked.map_err(|error| cannot_see(done, &error)),
            }
        }
        self.section.spare.look(&self.root).map_err(|error| cannot_see(done, &error))
    }

    fn scope<'s>(&'s self, stop: &'s (dyn Fn() -> bool + Sync)) -> Scope<'s> {
        let workers = self.orders.removing.workers(self.section.workers);
        Scope {
            root: &self.root,
            select: &self.select,
            spare: &self.section.spare,
            workers,
            stop,
            progress: &self.progress,
            ties: self.ties(),
        }
    }

    fn plan_and_carry_out(
        &self,
        done: &mut Target,
        in_use: &InUse,
        act: Act<'_>,
        frees: bool,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Ended> {
        let plan = match self.errand {
            Errand::Planned(steps) => self.planned(done, steps),
            Errand::Everyday | Errand::Emergency(_) | Errand::Tied(_) => self.plan(done, in_use, frees)?,
        };
        self.progress.begin_again();
        let stop = || signals::asked_to_stop() || !go_on();
        let pace = |files, bytes| match self.asked() {
            Some(asked) => (asked.go_on)(files, bytes),
            None => self.pace.wait(files, bytes),
        };
        let at_once = if self.asked().is_some() { FEW } else { self.pace.at_once() };
        let scope = self.scope(&stop);
        let what = CarryOut { scope, plan: &plan, in_use, act, pace: &pace, at_once };
        let outcome = self.watched(|| carry_out(&what));
        self.note_outcome(done, &plan, outcome, frees);
        if let Some(steps) = plan.steps() {
            note_left(done, &self.root, steps, in_use);
        }
        note_interruption(done);
        Ok(())
    }

    /// The saved steps as a plan: nobody is asked but the files themselves.
    fn planned(&self, done: &mut Target, steps: &Mutex<Steps>) -> Approved {
        let steps = std::mem::take(&mut *steps.lock().unwrap_or_else(PoisonError::into_inner));
        let totals = steps.totals();
        done.counts.set(Counter::FilesScanned, totals.files);
        done.counts.set(Counter::FilesSelected, totals.files);
        done.counts.set(Counter::BytesSelected, totals.size);
        done.by_pattern = vec![("steps of the saved plan".to_owned(), totals.files)];
        let present = Present { now: self.run.now, zone: Zone::Local, clock_in_doubt: false };
        Approved::saved(self.policy.at(present), steps)
    }

    /// Surveys, plans, and asks the guards.
    fn plan(&self, done: &mut Target, in_use: &InUse, frees: bool) -> Result<Approved, Ended> {
        let witnesses = self.run.witnesses();
        let believes = self.orders.removing.force.iter().any(|name| name == Guard::CLOCK);
        let doubt = witnesses.doubt(self.run.now).filter(|_| !believes);
        let (mut plan, mut looked) = self.survey(done, in_use, doubt.is_some())?;
        let latest = looked.survey.latest_change.max(self.run.configured());
        let doubt = match doubt {
            None if !believes => {
                let doubt = witnesses.doubt_by_data(self.run.now, latest);
                if doubt.is_some() {
                    (plan, looked) = self.survey(done, in_use, true)?;
                }
                doubt
            }
            doubt => doubt,
        };
        if let (None, Some(ties)) = (&doubt, self.ties()) {
            let untold = |done: &mut Target, untold| self.note_untold(done, untold);
            if ties.confirm(&looked.errors).map_err(|why| untold(done, why))? {
                (plan, looked) = self.survey(done, in_use, false)?;
                ties.confirm(&looked.errors).map_err(|why| untold(done, why))?;
            }
        }
        self.note_looked(done, &looked, frees);
        self.note_doubt(done, doubt);
        let forced = self.orders.removing.force.iter();
        let guard = forced.fold(self.section.guard(), |guard, name| guard.without(name));
        guard.approve(plan, self.limits()).map_err(|refusal| {
            let once = self.once(done, refusal.guard());
            done.note(Status::Refused, format!("{refusal}; if that is right, once: {once}"));
            done.counts.set(Counter::Remaining, done.counts.get(Counter::FilesSelected));
            Ended
        })
    }

    fn survey(
        &self,
        done: &mut Target,
        in_use: &InUse,
        clock_in_doubt: bool,
    ) -> Result<(Plan, Looked), Ended> {
        let scope = self.scope(&signals::asked_to_stop);
        let mut rules = self.policy.at(Present { now: self.run.now, zone: Zone::Local, clock_in_doubt });
        if rules.need_ranking() {
            self.progress.begin_again();
            rules = self.watched(|| rank(&scope, &rules));
        }
        self.ties().map_or(Ok(()), Ties::begin).map_err(|untold| self.note_untold(done, untold))?;
        self.progress.begin_again();
        let need = self.asked().map(|asked| (asked.need, asked.most));
        let mut looked = self.watched(|| look_over(&scope, &rules, in_use, need));
        if note_interruption(done) {
            return Err(Ended);
        }
        let plan = Plan::new(rules, &looked.survey);
        let Some(spending) = looked.spending.take() else { return Ok((plan, looked)) };
        let spent = spending.settle();
        let condemned = std::mem::replace(&mut looked.survey.condemned, spent.tally());
        let not_needed = condemned.files.saturating_sub(spent.tally().files + spent.useless());
        looked.survey.kept.add_many(Kept::NotNeeded, not_needed);
        looked.survey.kept.add_many(Kept::FreesNothing, spent.useless());
        let files = condemned.files.saturating_sub(spent.useless());
        let possible = Need { bytes: condemned.frees, inodes: files };
        let offer =
            Offer { now: spent.frees(), files: spent.tally().files, possible, useless: spent.useless() };
        *self.offer.lock().unwrap_or_else(PoisonError::into_inner) = Some(offer);
        Ok((plan.spending(spent), looked))
    }

    fn note_untold(&self, done: &mut Target, untold: Untold) -> Ended {
        let Untold { why, guard } = untold;
        let once = guard.map(|guard| format!("; if that is right, once: {}", self.once(done, guard)));
        done.note(Status::Refused, format!("{why}{}", once.unwrap_or_default()));
        Ended
    }

    fn limits(&self) -> Limits {
        let Limits { files, bytes } = self.section.limits();
        let asked = match self.asked() {
            Some(asked) => asked.most,
            None => self.orders.removing.limit,
        };
        Limits { files: files.into_iter().chain(asked).min(), bytes }
    }

    /// The private folder, to claim in or only to finish what lies there.
    fn claims(&self, lock: &Lock, done: &mut Target) -> Option<Claims> {
        let opened = if self.section.private || self.asked().is_some_and(|asked| asked.no_room) {
            Claims::open_existing(lock.warrant(), &self.root)
        } else {
            Claims::open(lock.warrant(), &self.root).map(Some)
        };
        opened.unwrap_or_else(|error| {
            let why = format!(
                "{PRIVATE_FOLDER} cannot be used ({error}): files go after a last look, without a claim"
            );
            // No room is no fault; somebody else's folder is worth a look.
            if error.kind() == io::ErrorKind::PermissionDenied {
                done.note(Status::Warning, why);
            } else {
                log::info!("{}: {why}", done.name);
            }
            None
        })
    }

    fn watched<R>(&self, work: impl FnOnce() -> R) -> R {
        let wanted = self.run.may_show_progress() && !self.orders.removing.no_progress;
        watch(wanted, &self.root.shown(), &self.progress, work)
    }

    /// A name for `--list`, safe to show, or for `--print0`, as it is.
    fn line(&self, folder: &[u8], doomed: &Doomed<'_>) -> Vec<u8> {
        let path = joined(&[self.root.path().as_os_str().as_bytes(), folder, doomed.name.to_bytes()]);
        if self.orders.files.print0 {
            [path.as_slice(), b"\0"].concat()
        } else {
            (printable(&path) + "\n").into_bytes()
        }
    }

    pub(super) fn note_recovered(&self, done: &mut Target, recovered: Recovered) {
        let Recovered { claims, folders } = recovered;
        done.counts.set(Counter::Recovered, claims.removed.files + claims.restored);
        done.counts.set(Counter::BytesFreed, claims.removed.frees);
        done.counts.set(Counter::FoldersDeleted, folders);
        done.fail(&self.root.shown(), &Errors::of(claims.errors));
    }

    fn note_doubt(&self, done: &mut Target, doubt: Option<Doubt>) {
        let Some(doubt) = doubt else { return };
        self.run.doubt_clock();
        if self.policy.ages() {
            let once = self.once(done, Guard::CLOCK);
            done.note(
                Status::Refused,
                format!("{doubt}: nothing goes by age; if the clock is right, once: {once}"),
            );
        }
    }

    fn note_looked(&self, done: &mut Target, looked: &Looked, frees: bool) {
        let survey = &looked.survey;
        done.counts.set(Counter::FilesScanned, survey.found.files);
        done.counts.set(Counter::FilesSelected, survey.condemned.files);
        done.counts.set(Counter::BytesSelected, survey.condemned.size);
        done.counts.set(Counter::BytesToFree, if frees { survey.condemned.frees } else { 0 });
        done.kept = survey.kept.iter().map(|(why, n)| (why.word(), n)).collect();
        let counts = self.select.headings().into_iter().zip(survey.by_pattern.iter().copied());
        // A companion may match a pattern of its own and is counted there.
        let patterns = self.section.patterns.len().max(1);
        done.by_pattern = counts
            .enumerate()
            .filter(|(n, (_, files))| *n < patterns || *files > 0)
            .map(|(_, count)| count)
            .collect();
        done.span = survey.oldest.zip(survey.newest);
        if looked.other_mounts > 0 {
            let folders = count(looked.other_mounts, "folder");
            done.notes.push(format!("{folders} with another filesystem mounted on it left out"));
        }
        let unread = [Kept::NoTimeInName, Kept::Implausible].map(|why| survey.kept.get(why));
        if unread != [0, 0] {
            done.notes.push(format!(
                "{} kept whose name tells no time, or none that can be",
                count(unread.iter().sum(), "file")
            ));
        }
        done.fail(&self.root.shown(), &looked.errors);
    }

    fn note_outcome(&self, done: &mut Target, plan: &Approved, outcome: Outcome, frees: bool) {
        let reasons = self.policy.reasons().into_iter().zip(outcome.by_reason);
        done.reasons = reasons.filter(|(_, files)| *files > 0).collect();
        if done.dry_run {
            done.counts.set(Counter::BytesSelected, outcome.gone.size);
            done.counts.set(Counter::BytesToFree, if frees { outcome.gone.frees } else { 0 });
        } else {
            done.counts.set(done.leaves.counter(), outcome.gone.files);
            done.counts.add(Counter::BytesFreed, outcome.gone.frees);
        }
        done.counts.add(Counter::FoldersDeleted, outcome.folders);
        done.counts.set(Counter::FilesChanged, outcome.changed);
        done.counts.set(Counter::Unclaimed, outcome.unclaimed);
        let mut settled = outcome.gone.files + outcome.changed + outcome.vanished;
        for (why, files) in outcome.spared.iter() {
            settled += files;
            done.keep(why.word(), files);
        }
        done.counts.set(Counter::Remaining, plan.totals().files.saturating_sub(settled));
        done.fail(&self.root.shown(), &outcome.errors);
        if let (Some(archive), Some(to)) = (&outcome.archive, self.section.destination()) {
            let path = joined(&[to.as_os_str().as_bytes(), archive]);
            done.notes.push(format!("the archive is {}", printable(&path)));
        }
        if let Some(halt) = outcome.halted {
            match halt {
                Halt::NoArchive(_) => done.note(Status::Critical, halt.to_string()),
                Halt::Unrecorded(_) => {
                    done.note(Status::Refused, format!("{halt}; nothing goes that cannot be accounted for"))
                }
                Halt::Unseen(_) => done.note(Status::Refused, halt.to_string()),
            }
        }
        if self.pace.gave_up() {
            done.notes
                .push("others waited for the disk for too long: what remains is for the next run".to_owned());
        }
    }
}

fn cannot_see(done: &mut Target, error: &UseError) -> Ended {
    done.note(Status::Refused, chain(error));
    Ended
}

/// Says so when a signal cut the work short; what was counted by then is not the whole.
fn note_interruption(done: &mut Target) -> bool {
    let asked = signals::asked_to_stop();
    if signals::gives_way() {
        let why = "this gave way to an emergency run: the numbers are those of a part";
        done.note(Status::Busy, why);
    } else if asked {
        done.note(Status::Warning, "a signal ended this early: the numbers are those of a part");
    }
    asked
}

/// Names every step that was not carried out, and says why.
fn note_left(done: &mut Target, root: &Root, steps: &Steps, in_use: &InUse) {
    let (mut gone, mut changed, mut stayed) = (0, 0, 0);
    let mut notes = Vec::new();
    for (folder, name, step) in steps.left() {
        let look = root.top().open_below(folder).and_then(|folder| folder.look(&CString::new(name)?));
        let why = match look {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                gone += 1;
                continue;
            }
            Err(error) => {
                stayed += 1;
                format!("cannot be looked at: {error}")
            }
            Ok(look) if !step.is_of(&look) => {
                changed += 1;
                let [before, now] = [step.size(), look.size].map(ByteSize::from_bytes);
                format!("has changed since the plan was saved ({before} then, {now} now)")
            }
            Ok(look) => {
                stayed += 1;
                in_use.keeps(&look).map_or_else(
                    || "stayed: it is in use, or what belongs to it has changed".to_owned(),
                    |why| format!("stayed: {}", why.word().replace('-', " ")),
                )
            }
        };
        let path = joined(&[root.path().as_os_str().as_bytes(), folder, name]);
        notes.push(format!("{} {why}", printable(&path)));
    }
    if gone > 0 {
        done.notes.push(format!("{} of the plan gone already", count(gone, "file")));
    }
    if changed + stayed > 0 {
        done.note(Status::Warning, format!("{} of the plan kept:", count(changed + stayed, "file")));
    }
    done.notes.extend(notes);
    done.kept = [("changed", changed), ("in-use", stayed)].into_iter().filter(|(_, n)| *n > 0).collect();
    if done.dry_run {
        let selected = done.counts.get(Counter::FilesSelected);
        done.counts.set(Counter::FilesSelected, selected.saturating_sub(gone + changed + stayed));
        done.counts.set(Counter::Remaining, 0);
    } else {
        done.counts.set(Counter::FilesChanged, 0);
        done.counts.set(Counter::Remaining, stayed);
    }
}
