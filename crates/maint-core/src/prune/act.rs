//! The last walk: each entry is looked at afresh, judged by the approved plan, and shown or let go.
//! [`Act`] is the one place where a dry run and a real one part.

use super::{
    Errors, Scope, Ties, Together,
    leave::{Leave, Leaving, Settled},
    look::spared,
};
use crate::{
    entry::Look,
    fs::{Block, ClaimHand, Claims, Folder, FsError, Lock, Skipped, Visitor, Walk, remove_empty_folder},
    plan::Approved,
    retention::{Condemned, Kept, Verdict},
    select::Named,
    spare::InUse,
    survey::{KeptTally, Links, Tally},
};
use std::{
    ffi::CStr,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What to carry out, and how.
pub struct CarryOut<'a> {
    /// Where.
    pub scope: Scope<'a>,
    /// By which plan.
    pub plan: &'a Approved,
    /// What was in use when the survey counted: it is not part of the plan.
    pub in_use: &'a InUse,
    /// Whether to show or to act.
    pub act: Act<'a>,
    /// Asked before each batch, with its files and bytes: it may wait, and what it answers no to stays.
    pub pace: &'a (dyn Fn(u64, u64) -> bool + Sync),
    /// So many files go between two questions, unless a bundle is larger.
    pub at_once: usize,
}

/// The one choice between a dry run and a real one.
pub enum Act<'a> {
    /// Name each file that would go.
    Show(&'a (dyn Fn(&[u8], &Doomed<'_>) + Sync)),
    /// Let it go.
    Remove {
        /// The right to, and the journal for after a kill.
        lock: &'a Lock,
        /// Where to claim; `None` goes on after a last look.
        claims: Option<&'a Claims>,
        /// Where it is written down.
        ledger: &'a dyn Ledger,
        /// Whether folders that went empty go too.
        empty_folders: bool,
        /// Where files go.
        leave: Leave<'a>,
    },
}

/// A file about to go.
#[derive(Debug, Clone, Copy)]
pub struct Doomed<'a> {
    /// Its name.
    pub name: &'a CStr,
    /// The look that condemned it.
    pub look: Look,
    /// Why.
    pub why: Condemned,
    /// It is the leader of its bundle, which ends with it.
    pub leads: bool,
}

/// Files of one folder that go at once, bundle by bundle.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Their folder below the root.
    pub folder: &'a [u8],
    /// The files.
    pub files: &'a [Doomed<'a>],
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Gone; so many bytes are free for it.
    Removed {
        /// Bytes that came free.
        frees: u64,
    },
    /// It lies elsewhere now.
    Moved {
        /// Its path below the destination.
        to: Vec<u8>,
        /// Bytes that came free.
        frees: u64,
    },
    /// It lies in an archive now.
    Archived {
        /// The archive's path below the destination.
        to: Vec<u8>,
        /// Bytes that came free.
        frees: u64,
    },
    /// It stays, or was gone already.
    Spared,
}

/// The record of what went. The intent comes before anything of a batch is touched; without it nothing is.
pub trait Ledger: Sync {
    /// These are about to go.
    fn intend(&self, batch: &Batch<'_>) -> Result<(), LedgerError>;
    /// This became of them, in the same order.
    fn settle(&self, batch: &Batch<'_>, fates: &[Fate]) -> Result<(), LedgerError>;
    /// `folders` folders that had gone empty, one in the other, are gone; the topmost was `name`.
    fn folders_removed(&self, parent: &[u8], name: &CStr, folders: u64);
    /// A file that a killed run had condemned and claimed is gone.
    fn recovered(&self, folder: &[u8], name: &CStr, last: &Look);
}

/// Nothing can be written down, so nothing may go.
#[derive(Debug, thiserror::Error)]
#[error("no removal can be written down: {0}")]
pub struct LedgerError(pub io::Error);

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files that went, or that would go in a dry run.
    pub gone: Tally,
    /// The same by reason, in the order of [`crate::retention::Policy::reasons`].
    pub by_reason: [u64; Condemned::KINDS],
    /// Folders that went with them.
    pub folders: u64,
    /// Condemned files that had changed when it came to them: they stay.
    pub changed: u64,
    /// Condemned files that somebody else had taken away by then.
    pub vanished: u64,
    /// Condemned files that were in use when it came to them.
    pub spared: KeptTally,
    /// Gone after a last look, without a claim.
    pub unclaimed: u64,
    /// What failed.
    pub errors: Errors,
    /// Why the whole stopped before its end.
    pub halted: Option<Halt>,
    /// The archive that was made, below the destination.
    pub archive: Option<Vec<u8>>,
}

/// Why nothing more was touched.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The ledger gave out.
    #[error(transparent)]
    Unrecorded(#[from] LedgerError),
    /// It is not known any more what is in use.
    #[error(transparent)]
    Unseen(#[from] crate::spare::UseError),
    /// There is no archive to put files into.
    #[error("nothing was archived, and so nothing removed: {0}")]
    NoArchive(String),
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        let Self { gone, by_reason, folders, changed, vanished, spared, unclaimed, errors, halted, archive } =
            other;
        self.gone.merge(gone);
        self.by_reason.iter_mut().zip(by_reason).for_each(|(mine, its)| *mine += its);
        self.folders += folders;
        self.changed += changed;
        self.vanished += vanished;
        self.spared.merge(&spared);
        self.unclaimed += unclaimed;
        self.errors.merge(errors);
        self.halted = self.halted.take().or(halted);
        self.archive = self.archive.take().or(archive);
    }
}

/// Carries out an approved plan.
pub fn carry_out(what: &CarryOut<'_>) -> Outcome {
    let hands = (0..what.scope.workers.get()).map(|worker| Hand::new(what, worker)).collect();
    let actor = Actor {
        what,
        links: Links::default(),
        allowance: Allowance::of(what.plan),
        halted: AtomicBool::new(false),
    };
    let stop = || (what.scope.stop)() || actor.is_done();
    let walk = Walk {
        root: what.scope.root,
        stop: &stop,
        interrupted: what.scope.stop,
        only: what.scope.ties.and_then(Ties::only),
    };
    let mut hands = walk.run(&actor, hands);
    if let Act::Remove { lock, leave, .. } = &what.act {
        if let (Leave::Archive(archive), Some(hand)) = (leave, hands.first_mut()) {
            actor.empty_into(archive, hand);
        }
        if (what.scope.stop)() {
            lock.leave_unfinished();
        }
    }
    hands.into_iter().fold(Outcome::default(), |mut all, hand| {
        all.merge(hand.outcome);
        all
    })
}

/// What may still go.
struct Allowance(Mutex<Left>);

struct Left {
    files: u64,
    bytes: u64,
    /// Nothing has been let go yet: what is larger than the whole limit may be the first.
    untouched: bool,
    spent: bool,
}

impl Allowance {
    fn of(plan: &Approved) -> Self {
        let (files, bytes) = plan.most();
        Self(Mutex::new(Left { files, bytes, untouched: true, spent: files == 0 }))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Left) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, files: u64, bytes: u64) -> bool {
        self.with(|left| {
            let fits = files <= left.files && bytes <= left.bytes;
            if left.spent || !(fits || left.untouched) {
                left.spent = true;
                return false;
            }
            left.untouched = false;
            left.files = left.files.saturating_sub(files);
            left.bytes = left.bytes.saturating_sub(bytes);
            left.spent = left.files == 0 || left.bytes == 0;
            true
        })
    }

    /// What was allowed and stays may go to others.
    fn give_back(&self, files: u64, bytes: u64) {
        self.with(|left| {
            left.files += files;
            left.bytes = left.bytes.saturating_add(bytes);
            left.spent = left.spent && files == 0;
        });
    }

    fn is_spent(&self) -> bool {
        self.with(|left| left.spent)
    }
}

pub(super) struct Actor<'a> {
    pub(super) what: &'a CarryOut<'a>,
    pub(super) links: Links,
    allowance: Allowance,
    halted: AtomicBool,
}

#[derive(Default)]
pub(super) struct Hand {
    pub(super) outcome: Outcome,
    pub(super) claim: Option<ClaimHand>,
    pub(super) in_use: InUse,
    /// Batches since the last look at who uses what.
    pub(super) looks_saved: u32,
    /// The folder that was last written into the lock's journal.
    touched: Option<Vec<u8>>,
}

impl Hand {
    fn new(what: &CarryOut<'_>, worker: usize) -> Self {
        let claim = match &what.act {
            Act::Remove { claims: Some(claims), .. } => claims.hand(worker).ok(),
            _ => None,
        };
        if let (Some(claim), 1..) = (&claim, what.plan.most().0) {
            claim.take_block();
        }
        Self { claim, ..Self::default() }
    }
}

impl Visitor for Actor<'_> {
    type Hand = Hand;

    fn sift(&self, _: &mut Hand, folder: &[u8], name: &[u8]) -> Option<u16> {
        let Scope { select, .. } = self.what.scope;
        match select.file(folder, name) {
            named if !select.with.is_empty() => named.code(),
            Named::Wanted(_) if self.what.plan.keeps_by_name(folder, name) => None,
            Named::Wanted(_) if self.what.scope.ties.is_some_and(|ties| !ties.has_chosen(folder, name)) => {
                None
            }
            named @ (Named::Wanted(_) | Named::Either(_)) => named.code(),
            Named::Companion(_) | Named::Excluded(_) | Named::Foreign => None,
        }
    }

    fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.what.scope.select.enters(folder, name, depth) && self.what.plan.enters(folder, name)
    }

    fn files(&self, hand: &mut Hand, folder: &Folder, block: Block<'_>) -> u64 {
        let mut doomed: Vec<Doomed<'_>> = Vec::new();
        let mut errors = Errors::default();
        let plan = self.what.plan;
        let scanned = self.what.scope.look_at_each(
            plan.rules(),
            folder,
            block,
            &[],
            &mut errors,
            |met: &Together<'_, '_>| {
                let files = met.files.iter().map(|seen| (seen.name, &seen.look));
                let Verdict::Remove(why) = plan.judge(&met.subject, files) else { return };
                let Some(why) = self.chosen(folder, met, why) else { return };
                if spared(self.what.in_use, &self.what.scope, folder, block, met).is_some() {
                    return;
                }
                let bytes = met.files.iter().map(|seen| seen.look.allocated).sum();
                if self.allowance.take(met.files.len() as u64, bytes) {
                    let (leader, companions) = (met.files.len() - 1, met.files.iter().enumerate());
                    doomed.extend(companions.map(|(n, seen)| Doomed {
                        name: seen.name,
                        look: seen.look,
                        why,
                        leads: n == leader,
                    }));
                }
            },
        );
        hand.outcome.errors.merge(errors);
        let mut gone = 0;
        let mut rest = doomed.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.cut(rest));
            rest = later;
            let batch = Batch { folder: folder.path(), files: now };
            let inodes = || block.inodes().collect();
            gone += self.settle_batch(
                hand,
                folder,
                &batch,
                Around { inodes: &inodes, signs: self.may_hold_signs(block) },
            );
        }
        self.what.scope.progress.add(scanned, gone);
        gone
    }

    fn emptied(&self, hand: &mut Hand, parent: &Folder, name: &CStr) -> bool {
        let Act::Remove { lock, empty_folders: true, .. } = &self.what.act else { return false };
        // A killed run must not leave the folder above empty without anybody knowing.
        lock.touch(parent.path());
        match remove_empty_folder(lock.warrant(), parent, name) {
            Ok(gone) => {
                hand.outcome.folders += u64::from(gone);
                gone
            }
            Err(error) => {
                hand.outcome.errors.push(FsError::new(
                    "remove the empty folder",
                    parent.path(),
                    name.to_bytes(),
                    error,
                ));
                false
            }
        }
    }

    fn folders_gone(&self, _: &mut Hand, parent: &[u8], name: &CStr, folders: u64) {
        if let Act::Remove { ledger, .. } = &self.what.act {
            ledger.folders_removed(parent, name, folders);
        }
    }

    fn trouble(&self, hand: &mut Hand, error: FsError) {
        hand.outcome.errors.push(error);
    }

    fn skipped(&self, _: &mut Hand, _: &[u8], _: Skipped) {}

    fn is_sign(&self, name: &[u8]) -> bool {
        self.what.scope.spare.is_lock_file(name)
    }

    fn key<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        self.what.scope.key(name)
    }
}

impl Actor<'_> {
    fn may_hold_signs(&self, block: Block<'_>) -> bool {
        let at_once = matches!(&self.what.act, Act::Remove { leave: Leave::Delete, .. });
        // What is not listed anew may have got one since the survey.
        let is_listed = self.what.scope.ties.and_then(Ties::only).is_none();
        block.may_hold_signs() || !at_once || !is_listed
    }

    /// Why all of these go, if what they belong to lets them.
    fn chosen(&self, folder: &Folder, met: &Together<'_, '_>, why: Condemned) -> Option<Condemned> {
        let Some(ties) = self.what.scope.ties else { return Some(why) };
        let mut files = met.files.iter();
        files.try_fold(why, |_, seen| ties.chosen(folder.path(), seen.name.to_bytes(), &seen.look))
    }

    fn is_done(&self) -> bool {
        self.halted.load(Ordering::Relaxed) || self.allowance.is_spent()
    }

    /// How many of these go at once: whole bundles.
    fn cut(&self, files: &[Doomed<'_>]) -> usize {
        let most = match &self.what.act {
            // A copy waits for its turn beside the original: one bundle at a time.
            Act::Remove { leave: Leave::Move(to), .. } if to.copies() => 1,
            _ => self.what.at_once.max(1),
        };
        let mut cut = 0;
        for bundle in files.split_inclusive(|doomed| doomed.leads) {
            if cut > 0 && cut + bundle.len() > most {
                break;
            }
            cut += bundle.len();
        }
        cut
    }

    /// Shows a batch or lets it go; answers how many are gone from the folder.
    fn settle_batch(&self, hand: &mut Hand, folder: &Folder, batch: &Batch<'_>, around: Around<'_>) -> u64 {
        let bytes = batch.files.iter().map(|doomed| doomed.look.allocated).sum();
        match &self.what.act {
            Act::Show(show) => {
                self.show(hand, batch, *show);
                0
            }
            Act::Remove { leave: Leave::Archive(archive), .. } => {
                if self.may_go(batch, bytes) {
                    archive
                        .add(hand, folder, batch, around, &self.what.scope)
                        .unwrap_or_else(|halt| self.halt(hand, halt));
                }
                0
            }
            Act::Remove { .. } if !self.may_go(batch, bytes) => 0,
            Act::Remove { .. } => self.let_go(hand, folder, batch, around),
        }
    }

    fn may_go(&self, batch: &Batch<'_>, bytes: u64) -> bool {
        let go = !self.halted.load(Ordering::Relaxed) && (self.what.pace)(batch.files.len() as u64, bytes);
        if !go {
            self.halted.store(true, Ordering::Relaxed);
        }
        go
    }

    fn settle_steps<'n>(&self, folder: &[u8], gone: impl Iterator<Item = &'n CStr>) {
        if let Some(steps) = self.what.plan.steps() {
            steps.settle(folder, gone);
        }
    }

    fn show(&self, hand: &mut Hand, batch: &Batch<'_>, show: &(dyn Fn(&[u8], &Doomed<'_>) + Sync)) {
        self.settle_steps(batch.folder, batch.files.iter().map(|doomed| doomed.name));
        for doomed in batch.files {
            show(batch.folder, doomed);
            hand.outcome.gone.add(&doomed.look, self.links.frees(&doomed.look));
            hand.outcome.by_reason[doomed.why.kind()] += 1;
        }
    }

    /// Writes down what is about to happen, does it, and writes down what did.
    pub(super) fn let_go(
        &self,
        hand: &mut Hand,
        folder: &Folder,
        batch: &Batch<'_>,
        around: Around<'_>,
    ) -> u64 {
        let Act::Remove { lock, ledger, leave, .. } = &self.what.act else { return 0 };
        if hand.touched.as_deref() != Some(batch.folder) {
            lock.touch(batch.folder);
            hand.touched = Some(batch.folder.to_vec());
        }
        if let Err(error) = ledger.intend(batch) {
            self.halt(hand, error.into());
            return 0;
        }
        let leaving = Leaving { actor: self, warrant: lock.warrant(), folder, batch, leave, around };
        let Settled { fates, halt } = leaving.settle(hand);
        let gone = batch.files.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Spared);
        self.settle_steps(batch.folder, gone.clone().map(|(doomed, _)| doomed.name));
        let (files, bytes) =
            gone.fold((0, 0), |(n, bytes), (doomed, _)| (n + 1, bytes + doomed.look.allocated));
        let all: u64 = batch.files.iter().map(|doomed| doomed.look.allocated).sum();
        self.allowance.give_back(batch.files.len() as u64 - files, all - bytes);
        if let Some(halt) = halt {
            self.halt(hand, halt);
        }
        if let Err(error) = ledger.settle(batch, &fates) {
            self.halt(hand, error.into());
        }
        files
    }

    fn halt(&self, hand: &mut Hand, why: Halt) {
        self.halted.store(true, Ordering::Relaxed);
        hand.outcome.halted.get_or_insert(why);
    }

    /// Refreshes what the hand knows of what others use.
    pub(super) fn look_who_uses(&self, hand: &mut Hand) -> Result<(), Halt> {
        hand.in_use = self.what.scope.spare.look(self.what.scope.root)?;
        Ok(())
    }
}

/// Why a bundle is spared, by what is known of others and by the lock files that lie there now.
pub(super) fn in_use(
    others: &InUse,
    spare: &crate::spare::Spare,
    folder: &Folder,
    bundle: &[Doomed<'_>],
    around: Around<'_>,
) -> Option<Kept> {
    let files = bundle.iter().map(|doomed| (doomed.name, &doomed.look));
    others.spares(spare, folder, files, around.inodes, around.signs)
}

/// What is known of a batch's folder.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The inodes of the folder and of those above it, up to the root.
    pub(super) inodes: &'a dyn Fn() -> Vec<u64>,
    /// Whether it may hold lock files: as listed a moment ago for what is removed at once, and for all
    /// that takes longer as it is then.
    pub(super) signs: bool,
}

/// Where the first bundle of these ends.
pub(super) fn bundle_end(files: &[Doomed<'_>]) -> usize {
    files.iter().position(|doomed| doomed.leads).map_or(files.len(), |leader| leader + 1)
}
