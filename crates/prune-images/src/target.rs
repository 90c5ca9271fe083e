//! One target from its root to its report.

use crate::{
    args::PruneArgs,
    conditions,
    saved::{self, Saving},
    words,
};
use maint_core::{
    calendar::Zone,
    emergency::Need,
    fs::{ArchivePlace, Claims, Destination, Lock, LockError, Mount, PRIVATE_FOLDER, Root, RootError, Usage},
    plan::{Approved, Guard, Limits, Plan},
    prune::{
        Act, Archive, CarryOut, Doomed, Errors, Halt, Leave, Looked, Outcome, Progress, Recovered, Scope,
        carry_out, look_over, rank, recover,
    },
    retention::{Kept, Policy, Present},
    saved::Steps,
    section::{EmptyFolders, FilesSection, ThenValue},
    select::Select,
    spare::{InUse, UseError},
    text::{count, joined, printable, shown_path},
};
use maint_run::{
    Doubt, Run, clock,
    config::Named,
    exit::Status,
    pace::Pace,
    progress::watch,
    report::{Counter, Leaves, Target, chain},
    screen::Stream,
    signals, volumes,
};
use std::{
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What the command line orders, and what it orders to be saved.
pub(crate) struct Orders<'a> {
    pub(crate) args: &'a PruneArgs,
    pub(crate) saving: Option<Saving>,
}

/// What a target is worked on for.
#[derive(Clone, Copy)]
pub(crate) enum Errand<'a> {
    /// What has had its day goes.
    Everyday,
    /// Space is needed.
    Emergency(&'a Asked<'a>),
    /// The steps of a saved plan go, once.
    Planned(&'a Mutex<Steps>),
}

/// What an emergency asks of a target.
pub(crate) struct Asked<'a> {
    /// So much, and no more.
    pub(crate) need: Need,
    /// No more files than this.
    pub(crate) most: Option<u64>,
    /// How often it has been asked before.
    pub(crate) round: u32,
    /// On this volume and no other.
    pub(crate) mount: &'a Mount,
    /// There is no room for anything, not even to claim a file.
    pub(crate) no_room: bool,
    /// Asked between two batches, with their files and bytes.
    pub(crate) go_on: &'a (dyn Fn(u64, u64) -> bool + Sync),
}

/// What a target has for an emergency.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offer {
    /// Of what was asked for.
    pub(crate) now: Need,
    /// Files that are.
    pub(crate) files: u64,
    /// Altogether.
    pub(crate) possible: Need,
    /// Condemned files that would free nothing.
    pub(crate) useless: u64,
}

/// Looks a target over, and shows what its policy, or a saved plan, lets go, or lets it go.
pub(crate) fn prune(
    run: &Run,
    orders: &Orders<'_>,
    target: &Named<FilesSection>,
    errand: Errand<'_>,
) -> Target {
    begin(run, orders, target, errand).0
}

/// The same for an emergency, with a section as it is in one; no offer means that nothing could be begun.
pub(crate) fn spend(
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
pub(crate) fn tidy(run: &Run, orders: &Orders<'_>, target: &Named<FilesSection>) -> Option<Target> {
    let section = &target.value;
    let root = Root::open(&section.root(), &run.borders()).ok().filter(Claims::has_any)?;
    if run.held(&target.name).is_some()
        || conditions::check(run, section, &root, &orders.args.removing.force).is_err()
    {
        return None;
    }
    let lock = run.lock_if_free(&root)?;
    let mut done = untouched(orders.args, target);
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
    let mut done = untouched(orders.args, target);
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
pub(crate) fn untouched(args: &PruneArgs, target: &Named<FilesSection>) -> Target {
    let section = &target.value;
    let dry_run = section.dry_run || args.shows_only();
    let mut done = Target::new(&target.name, shown_path(&section.root()), words::policy(section), dry_run);
    done.partial = args.is_partial();
    done.leaves = match section.then {
        ThenValue::Delete => Leaves::Removed,
        ThenValue::MoveTo(_) => Leaves::Moved,
        ThenValue::ArchiveTo(_) => Leaves::Archived,
    };
    done
}

/// Says why a target has no root.
pub(crate) fn note_no_root(done: &mut Target, section: &FilesSection, error: &RootError) {
    match error {
        RootError::Missing(_) if section.guard.volume.is_some() => {
            done.note(Status::Refused, format!("{error}, and so perhaps its volume is not"))
        }
        RootError::Missing(_) => done.note(Status::Warning, format!("{error}: nothing was done")),
        RootError::Refused { .. } => done.note(Status::Refused, error.to_string()),
        RootError::Failed(_) => done.note(Status::Critical, chain(error)),
    }
}

/// One open target on its way.
struct Job<'a> {
    run: &'a Run,
    args: &'a PruneArgs,
    section: &'a FilesSection,
    policy: Policy,
    select: Select,
    root: Root,
    pace: Pace,
    progress: Progress,
    errand: Errand<'a>,
    saving: Option<&'a Saving>,
    offer: Mutex<Option<Offer>>,
}

/// So many files go at once in an emergency, which may be over after any of them.
const FEW: usize = 64;

/// Why a target is done with early; what there was to say has been noted.
struct Ended;

impl<'a> Job<'a> {
    fn new(
        run: &'a Run,
        orders: &'a Orders<'a>,
        section: &'a FilesSection,
        root: Root,
        errand: Errand<'a>,
    ) -> Self {
        Self {
            run,
            args: orders.args,
            saving: orders.saving.as_ref(),
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

    fn asked(&self) -> Option<&'a Asked<'a>> {
        match self.errand {
            Errand::Emergency(asked) => Some(asked),
            Errand::Everyday | Errand::Planned(_) => None,
        }
    }

    fn start(&self, done: &mut Target) {
        let forced = &self.args.removing.force;
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
        let what = if self.args.is_ad_hoc() { "…".to_owned() } else { done.name.clone() };
        format!("prune-images {what} --force {guard}")
    }

    fn work(&self, done: &mut Target) -> Result<(), Ended> {
        if Mount::of(&self.root).is_ok_and(|mount| mount.read_only) {
            done.note(Status::Critical, "its filesystem is mounted read-only: nothing can leave it");
            return Err(Ended);
        }
        let lock = self.run.lock(&self.root, self.args.changing.lock_wait).map_err(|error| match error {
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
        let names = self.args.only_names().then(Stream::new);
        let unread = AtomicBool::new(false);
        let steps = Mutex::new(Vec::new());
        let print = |folder: &[u8], doomed: &Doomed<'_>| {
            if self.saving.is_some() {
                steps.lock().unwrap_or_else(PoisonError::into_inner).push(saved::step(folder, doomed));
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
        if let (Some(saving), Ok(())) = (self.saving, &shown) {
            let steps = steps.into_inner().unwrap_or_else(PoisonError::into_inner);
            saving.add(self.run, &self.root, done, steps);
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

    fn look_who_uses(&self, done: &mut Target) -> Result<InUse, Ended> {
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
        let workers = self.args.removing.workers(self.section.workers);
        Scope {
            root: &self.root,
            select: &self.select,
            spare: &self.section.spare,
            workers,
            stop,
            progress: &self.progress,
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
            Errand::Everyday | Errand::Emergency(_) => self.plan(done, in_use, frees)?,
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
            saved::note_left(done, &self.root, steps, in_use);
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
        let believes = self.args.removing.force.iter().any(|name| name == Guard::CLOCK);
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
        self.note_looked(done, &looked, frees);
        self.note_doubt(done, doubt);
        let forced = self.args.removing.force.iter();
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

    fn limits(&self) -> Limits {
        let Limits { files, bytes } = self.section.limits();
        let asked = match self.asked() {
            Some(asked) => asked.most,
            None => self.args.removing.limit,
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

/// Where files go, ready to take them.
enum Departure {
    Nowhere,
    Folder(Box<Destination>),
    Archive(Box<Archive>),
}

impl Departure {
    fn prepare(job: &Job<'_>, lock: &Lock, done: &mut Target) -> Result<Self, Ended> {
        let path = match &job.section.then {
            ThenValue::Delete => return Ok(Self::Nowhere),
            ThenValue::MoveTo(path) | ThenValue::ArchiveTo(path) => path,
        };
        let root = Self::open(job, path, done)?;
        let prepared = match &job.section.then {
            ThenValue::ArchiveTo(_) => {
                let part = job.asked().map_or(0, |asked| asked.round);
                let part = if part == 0 { String::new() } else { format!("-{}", part + 1) };
                let file = format!("{}-{}{part}.tar.zst", done.name, job.run.name());
                let month = clock::month(job.run.now);
                ArchivePlace::open(lock.warrant(), root, &job.root, &month, &file)
                    .map(|place| Self::Archive(Box::new(Archive::new(place))))
            }
            _ => Destination::open(lock.warrant(), root, &job.root).map(|to| Self::Folder(Box::new(to))),
        };
        prepared.map_err(|error| {
            done.note(Status::Critical, chain(&error));
            Ended
        })
    }

    fn open(job: &Job<'_>, path: &Path, done: &mut Target) -> Result<Root, Ended> {
        let shown = shown_path(path);
        if let Err(why) = volumes::may_write(job.run, path) {
            done.note(Status::Refused, format!("nothing is moved to {shown}: {why}"));
            return Err(Ended);
        }
        let borders = job.run.borders();
        let opened = match Root::open(path, &borders) {
            Err(RootError::Missing(_)) => Root::make(path, &borders),
            opened => opened,
        };
        if let Ok(to) = &opened
            && to.below(&job.root).is_some_and(|below| job.select.reaches(&below))
        {
            let why = "it is, or lies in, the folder that is pruned: files would come round again";
            done.note(Status::Refused, format!("nothing is moved to {shown}: {why}"));
            return Err(Ended);
        }
        opened.map_err(|error| {
            let status = match error {
                RootError::Missing(_) => Status::Warning,
                RootError::Refused { .. } => Status::Refused,
                RootError::Failed(_) => Status::Critical,
            };
            done.note(status, format!("nothing is moved to {shown}: {}", chain(&error)));
            Ended
        })
    }

    fn leave(&self) -> Leave<'_> {
        match self {
            Self::Nowhere => Leave::Delete,
            Self::Folder(to) => Leave::Move(to),
            Self::Archive(archive) => Leave::Archive(archive),
        }
    }

    fn frees(&self) -> bool {
        match self {
            Self::Nowhere | Self::Archive(_) => true,
            Self::Folder(to) => to.copies(),
        }
    }
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
