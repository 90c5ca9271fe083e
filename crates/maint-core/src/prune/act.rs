//! The second walk: each entry is looked at afresh, judged by the approved plan, and shown or removed.
//! [`Act`] is the one place where a dry run and a real one part.

use super::{Errors, Progress, look_at_each};
use crate::{
    entry::{Entry, Look},
    fs::{
        Block, ClaimHand, Claims, Folder, FsError, Lock, Root, Skipped, Taken, Visitor, Walk, Warrant,
        Workers, remove_empty_folder, remove_unclaimed,
    },
    plan::Approved,
    retention::{Condemned, Verdict},
    select::{Named, Select},
    survey::{Links, Tally},
};
use std::{
    ffi::CStr,
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What to carry out, and how.
pub struct CarryOut<'a> {
    /// Where.
    pub root: &'a Root,
    /// Which names.
    pub select: &'a Select,
    /// By which plan.
    pub plan: &'a Approved,
    /// Whether to show or to remove.
    pub act: Act<'a>,
    /// With how many threads.
    pub workers: Workers,
    /// When to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Who watches.
    pub progress: &'a Progress,
}

/// The one choice between a dry run and a real one.
pub enum Act<'a> {
    /// Name each file that would go.
    Show(&'a (dyn Fn(&[u8], &Doomed<'_>) + Sync)),
    /// Remove it.
    Remove {
        /// The right to, and the journal for after a kill.
        lock: &'a Lock,
        /// Where to claim; `None` removes after a last look.
        claims: Option<&'a Claims>,
        /// Where it is written down.
        ledger: &'a dyn Ledger,
        /// Whether folders that went empty go too.
        empty_folders: bool,
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
}

/// Files of one folder that go together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Their folder below the root.
    pub folder: &'a [u8],
    /// The files.
    pub files: &'a [Doomed<'a>],
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Gone; so many bytes are free for it.
    Removed {
        /// Bytes that came free.
        frees: u64,
    },
    /// It stays, or was gone already.
    Spared,
}

/// The record of removals. The intent comes before anything of a batch is touched; without it nothing is.
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
    pub removed: Tally,
    /// The same by reason, in the order of [`crate::retention::Policy::reasons`].
    pub by_reason: [u64; Condemned::KINDS],
    /// Folders that went with them.
    pub folders: u64,
    /// Condemned files that had changed when it came to them: they stay.
    pub changed: u64,
    /// Condemned files that somebody else had taken away by then.
    pub vanished: u64,
    /// Removed after a last look, without a claim.
    pub unclaimed: u64,
    /// What failed.
    pub errors: Errors,
    /// The ledger gave out: the rest was not touched.
    pub unrecorded: Option<LedgerError>,
}

/// Carries out an approved plan.
pub fn carry_out(what: &CarryOut<'_>) -> Outcome {
    let claimed = |worker| match &what.act {
        Act::Remove { claims: Some(claims), .. } => claims.hand(worker).ok(),
        _ => None,
    };
    let hands =
        (0..what.workers.get()).map(|worker| Hand { claim: claimed(worker), ..Hand::default() }).collect();
    let actor = Actor {
        what,
        links: Links::default(),
        allowance: AtomicU64::new(what.plan.most()),
        no_record: AtomicBool::new(false),
    };
    let stop = || {
        (what.stop)()
            || actor.no_record.load(Ordering::Relaxed)
            || actor.allowance.load(Ordering::Relaxed) == 0
    };
    let walk = Walk { root: what.root, stop: &stop, interrupted: what.stop };
    let hands = walk.run(&actor, hands);
    if let Act::Remove { lock, .. } = &what.act
        && (what.stop)()
    {
        lock.leave_unfinished();
    }
    hands.into_iter().fold(Outcome::default(), |mut all, hand| {
        let Outcome { removed, by_reason, folders, changed, vanished, unclaimed, errors, unrecorded } =
            hand.outcome;
        all.removed.merge(removed);
        all.by_reason.iter_mut().zip(by_reason).for_each(|(mine, theirs)| *mine += theirs);
        all.folders += folders;
        all.changed += changed;
        all.vanished += vanished;
        all.unclaimed += unclaimed;
        all.errors.merge(errors);
        all.unrecorded = all.unrecorded.or(unrecorded);
        all
    })
}

struct Actor<'a> {
    what: &'a CarryOut<'a>,
    links: Links,
    /// How many more may go.
    allowance: AtomicU64,
    no_record: AtomicBool,
}

#[derive(Default)]
struct Hand {
    outcome: Outcome,
    claim: Option<ClaimHand>,
    fates: Vec<Fate>,
    /// The folder that was last written into the lock's journal.
    touched: Option<Vec<u8>>,
}

impl Visitor for Actor<'_> {
    type Hand = Hand;

    fn sift(&self, _: &mut Hand, folder: &[u8], name: &[u8]) -> Option<u16> {
        match self.what.select.file(folder, name) {
            Named::Wanted(pattern) => Some(pattern),
            Named::Excluded(_) | Named::Foreign => None,
        }
    }

    fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.what.select.enters(folder, name, depth)
    }

    fn files(&self, hand: &mut Hand, folder: &Folder, block: Block<'_>) -> u64 {
        let mut doomed: Vec<Doomed<'_>> = Vec::new();
        let scanned = look_at_each(folder, block, &mut hand.outcome.errors, |name, _, look| {
            let entry = Entry { folder: folder.path(), name: name.to_bytes(), look };
            if let Verdict::Remove(why) = self.what.plan.judge(&entry) {
                doomed.push(Doomed { name, look, why });
            }
        });
        doomed.truncate(self.allowed(doomed.len()));
        let batch = Batch { folder: folder.path(), files: &doomed };
        let gone = if doomed.is_empty() { 0 } else { self.settle_batch(hand, folder, &batch) };
        self.what.progress.add(scanned, gone);
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
}

impl Actor<'_> {
    /// Takes up to `wanted` from the allowance.
    fn allowed(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let before = self
            .allowance
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| Some(left.saturating_sub(wanted)));
        usize::try_from(wanted.min(before.unwrap_or(0))).unwrap_or(0)
    }

    fn settle_batch(&self, hand: &mut Hand, folder: &Folder, batch: &Batch<'_>) -> u64 {
        match &self.what.act {
            Act::Show(show) => {
                for doomed in batch.files {
                    show(batch.folder, doomed);
                    hand.outcome.removed.add(&doomed.look, self.links.frees(&doomed.look));
                    hand.outcome.by_reason[doomed.why.kind()] += 1;
                }
                0
            }
            Act::Remove { lock, ledger, .. } => {
                if hand.touched.as_deref() != Some(batch.folder) {
                    lock.touch(batch.folder);
                    hand.touched = Some(batch.folder.to_vec());
                }
                let mut gone = 0;
                let recorded = ledger.intend(batch).and_then(|()| {
                    gone = self.remove(hand, lock.warrant(), folder, batch);
                    ledger.settle(batch, &hand.fates)
                });
                if let Err(error) = recorded {
                    self.no_record.store(true, Ordering::Relaxed);
                    hand.outcome.unrecorded = Some(error);
                }
                gone
            }
        }
    }

    fn remove(&self, hand: &mut Hand, warrant: Warrant<'_>, folder: &Folder, batch: &Batch<'_>) -> u64 {
        let Hand { outcome, claim, fates, .. } = hand;
        fates.clear();
        let names = || batch.files.iter().map(|doomed| doomed.name);
        let claim =
            claim.as_mut().and_then(|claim| claim.intend(batch.folder, names()).ok().map(|()| &*claim));
        let mut gone = 0;
        for (n, doomed) in batch.files.iter().enumerate() {
            if (self.what.stop)() {
                break;
            }
            let claimed = claim.map_or(Taken::Unclaimable, |claim| {
                claim.take(warrant, folder, n, doomed.name, &doomed.look)
            });
            let taken = match claimed {
                Taken::Unclaimable => {
                    let taken = remove_unclaimed(warrant, folder, doomed.name, &doomed.look);
                    outcome.unclaimed += u64::from(matches!(taken, Taken::Removed(_)));
                    taken
                }
                taken => taken,
            };
            fates.push(self.note(outcome, batch.folder, doomed, taken));
            gone += u64::from(fates.last() != Some(&Fate::Spared));
        }
        fates.resize(batch.files.len(), Fate::Spared);
        // What was allowed and stays may go to others.
        self.allowance.fetch_add(batch.files.len() as u64 - gone, Ordering::AcqRel);
        gone
    }

    fn note(&self, outcome: &mut Outcome, folder: &[u8], doomed: &Doomed<'_>, taken: Taken) -> Fate {
        match taken {
            Taken::Removed(last) => {
                let frees = self.links.frees(&last);
                outcome.removed.add(&last, frees);
                outcome.by_reason[doomed.why.kind()] += 1;
                return Fate::Removed { frees };
            }
            Taken::Changed => outcome.changed += 1,
            Taken::Vanished | Taken::Unclaimable => outcome.vanished += 1,
            Taken::Failed(error) => {
                outcome.errors.push(FsError::new("remove", folder, doomed.name.to_bytes(), error))
            }
        }
        Fate::Spared
    }
}
