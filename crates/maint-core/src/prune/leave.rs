//! How files leave: removed, or moved to another folder. Bundles leave whole or not at all.

use super::{
    Archive, Batch, Doomed, Fate,
    act::{Actor, Around, Halt, Hand, bundle_end, in_use},
};
use crate::{
    bundle::stem,
    fs::{
        Arriving, Claimed, Destination, Folder, FsError, Grip, Original, Place, StageError, Staged, Taken,
        Then, Warrant, remove_unclaimed,
    },
    retention::Kept,
    text::joined,
};
use std::{
    ffi::{CStr, CString},
    io,
};

/// Where files go.
pub enum Leave<'a> {
    /// Nowhere: they are removed.
    Delete,
    /// To another folder.
    Move(&'a Destination),
    /// Into one archive, and then they are removed.
    Archive(&'a Archive),
}

/// One batch on its way out.
pub(super) struct Leaving<'l, 'a> {
    pub(super) actor: &'l Actor<'a>,
    pub(super) warrant: Warrant<'l>,
    pub(super) folder: &'l Folder,
    pub(super) batch: &'l Batch<'l>,
    pub(super) leave: &'l Leave<'a>,
    pub(super) around: Around<'l>,
}

/// Copies that wait, and the names they are to have; of what is not copied there are none.
struct Staging {
    staged: Vec<Result<Staged, StageError>>,
    names: Vec<(CString, bool)>,
}

/// What became of a batch.
pub(super) struct Settled {
    pub(super) fates: Vec<Fate>,
    pub(super) halt: Option<Halt>,
}

/// A file between being condemned and being gone.
enum Held {
    Claimed(Claimed),
    /// Still under its own name, because nothing can be claimed.
    InPlace,
    /// Not ours to touch any more.
    Lost,
}

/// Why a bundle stays.
enum Stays {
    Changed,
    Vanished,
    InUse(Kept),
    /// One of its files failed; that has been told.
    Failed,
    /// The run ends.
    Stopped,
}

/// So many files are claimed before the first of them goes: a private folder that stays small is quick,
/// and each look at who uses what serves them all.
const GROUP: usize = 64;

/// Of so many batches that are not claimed one has a look of its own at who uses what.
const LOOKS_SAVED: u32 = 8;

/// One bundle of a batch, from `start` on.
#[derive(Clone, Copy)]
struct Bundle<'b> {
    files: &'b [Doomed<'b>],
    start: usize,
}

impl Leaving<'_, '_> {
    pub(super) fn settle(&self, hand: &mut Hand) -> Settled {
        let files = self.batch.files;
        let staging = self.stage();
        let names = files.iter().map(|doomed| doomed.name);
        let may_claim =
            hand.claim.as_mut().is_some_and(|claim| claim.intend(self.batch.folder, names).is_ok());
        let mut fates = vec![Fate::Spared; files.len()];
        let mut held = Vec::with_capacity(files.len());
        let mut halt = None;
        while held.len() < files.len() && halt.is_none() && !(self.actor.what.scope.stop)() {
            let start = held.len();
            if may_claim {
                self.claim_group(hand, &staging.staged, &mut held);
            } else {
                held.extend(files.iter().map(|_| Held::InPlace));
            }
            // Seen after the claims: who finds the file under its name and locks it is seen in time, and who
            // comes later does not find it.
            halt = self.look_who_uses(hand, may_claim).err();
            self.settle_group(hand, start, halt.is_some(), &staging, &mut held, &mut fates);
        }
        if let Leave::Move(to) = self.leave {
            staging.staged.iter().flatten().for_each(|staged| to.unstage(staged));
        }
        Settled { fates, halt }
    }

    /// Without claims there is no moment at which a look is exact, so not every batch has its own.
    fn look_who_uses(&self, hand: &mut Hand, claimed: bool) -> Result<(), Halt> {
        let is_due = claimed || hand.looks_saved == 0;
        hand.looks_saved = (hand.looks_saved + 1) % LOOKS_SAVED;
        if is_due { self.actor.look_who_uses(hand) } else { Ok(()) }
    }

    /// Lets go, or gives back, what is held from `start` on.
    fn settle_group(
        &self,
        hand: &mut Hand,
        mut start: usize,
        halted: bool,
        staging: &Staging,
        held: &mut [Held],
        fates: &mut [Fate],
    ) {
        let files = self.batch.files;
        while start < held.len() {
            let end = start + bundle_end(&files[start..]);
            let bundle = Bundle { files: &files[start..end], start };
            let may_go = if halted || (self.actor.what.scope.stop)() {
                Err(Stays::Stopped)
            } else {
                self.is_unchanged(hand, bundle, &staging.staged, held)
            };
            let gone = may_go.and_then(|()| match self.leave {
                Leave::Move(to) if to.copies() => self.place_copies(hand, to, bundle, staging, held, fates),
                Leave::Move(to) => self.rename_bundle(hand, to, bundle, held, fates),
                Leave::Delete | Leave::Archive(_) => self.remove_bundle(hand, bundle, held, fates),
            });
            if let Err(stays) = gone {
                self.give_back(hand, bundle, held, fates, &stays);
            }
            start = end;
        }
    }

    /// Copies what must be copied before anything is touched. A batch that is copied is one bundle.
    fn stage(&self) -> Staging {
        let all = |one: &dyn Fn() -> Result<Staged, StageError>| Staging {
            staged: self.batch.files.iter().map(|_| one()).collect(),
            names: Vec::new(),
        };
        match self.leave {
            Leave::Move(to) if to.copies() => self.copy_all(to).unwrap_or_else(|error| {
                all(&|| Err(StageError::Failed(io::Error::new(error.kind(), error.to_string()))))
            }),
            Leave::Move(_) | Leave::Delete | Leave::Archive(_) => all(&|| Ok(Staged::ByRename)),
        }
    }

    fn copy_all(&self, to: &Destination) -> io::Result<Staging> {
        let there = self.folder_in(to)?;
        let names = to.arrange(self.folder, &self.arriving(self.batch.files), &there)?;
        let each = |(doomed, (_, is_there)): (&Doomed<'_>, &(_, bool))| {
            if *is_there {
                Ok(Staged::There)
            } else {
                to.stage(self.warrant, self.folder, doomed.name, &doomed.look)
            }
        };
        let staged = self.batch.files.iter().zip(&names).map(each).collect();
        Ok(Staging { staged, names })
    }

    fn arriving<'d>(&self, files: &'d [Doomed<'d>]) -> Vec<Arriving<'d>> {
        let one = |doomed: &'d Doomed<'d>| Arriving {
            name: doomed.name,
            key_end: self.key_end(doomed.name.to_bytes()),
            look: &doomed.look,
        };
        files.iter().map(one).collect()
    }

    fn folder_in(&self, to: &Destination) -> io::Result<Folder> {
        to.folder_for(self.warrant, self.actor.what.scope.root, self.batch.folder)
    }

    /// Claims the next bundles, a few files of them.
    fn claim_group(&self, hand: &mut Hand, staged: &[Result<Staged, StageError>], held: &mut Vec<Held>) {
        let files = self.batch.files;
        let Hand { claim: Some(claim), outcome, .. } = hand else { return };
        // What went only because something else was gone is asked about again after a kill.
        let is_tied = self.actor.what.scope.ties.is_some();
        let then = if is_tied || matches!(self.leave, Leave::Move(_)) { Then::Leave } else { Then::Remove };
        let enough = held.len() + GROUP;
        while held.len() < files.len().min(enough) {
            let start = held.len();
            let end = start + bundle_end(&files[start..]);
            // What could not be copied stays, and so does all that belongs to it.
            let mut lost = staged[start..end].iter().any(Result::is_err);
            for (number, Doomed { name, look, .. }) in (start..).zip(&files[start..end]) {
                if lost {
                    held.push(Held::Lost);
                    continue;
                }
                let place = Place { number, leader: end - 1, then };
                held.push(match claim.claim(self.warrant, self.folder, place, name, look) {
                    Grip::Held(claimed) => Held::Claimed(claimed),
                    Grip::Unclaimable => Held::InPlace,
                    Grip::Lost(taken) => {
                        // Of a bundle only what has gone by itself may be missing, and not its leader.
                        lost = number + 1 < end && !matches!(taken, Taken::Vanished);
                        if let Taken::Failed(error) = taken {
                            outcome.errors.push(self.error("remove", name, error));
                            lost = true;
                        }
                        Held::Lost
                    }
                });
            }
        }
    }

    /// The last look at every file of a bundle: it may only go as what was condemned, and unused.
    fn is_unchanged(
        &self,
        hand: &mut Hand,
        bundle: Bundle<'_>,
        staged: &[Result<Staged, StageError>],
        held: &mut [Held],
    ) -> Result<(), Stays> {
        for (n, doomed) in (bundle.start..).zip(bundle.files) {
            match &staged[n] {
                Ok(_) => {}
                Err(StageError::Changed) => return Err(Stays::Changed),
                Err(StageError::Vanished) => return Err(Stays::Vanished),
                Err(StageError::Failed(error)) => {
                    let error = io::Error::new(error.kind(), error.to_string());
                    return Err(self.failed(hand, "move", doomed, error));
                }
            }
        }
        self.is_same(hand, bundle, held)?;
        let spare = self.actor.what.scope.spare;
        in_use(&hand.in_use, spare, self.folder, bundle.files, self.around)
            .or_else(|| self.tie_of(bundle))
            .map_or(Ok(()), |why| Err(Stays::InUse(why)))
    }

    /// Why a bundle is not without ties any more.
    fn tie_of(&self, bundle: Bundle<'_>) -> Option<Kept> {
        let ties = self.actor.what.scope.ties?;
        bundle.files.iter().find_map(|doomed| ties.holds(self.folder.path(), doomed.name.to_bytes()))
    }

    /// Whether every file of a bundle is still what was condemned.
    fn is_same(&self, hand: &mut Hand, bundle: Bundle<'_>, held: &mut [Held]) -> Result<(), Stays> {
        for (n, doomed) in (bundle.start..).zip(bundle.files) {
            let look = match (&held[n], &hand.claim) {
                (Held::Claimed(claimed), Some(claim)) => claim.look(claimed),
                (Held::InPlace, _) => self.folder.look(doomed.name),
                (Held::Claimed(_) | Held::Lost, _) => Err(io::ErrorKind::NotFound.into()),
            };
            match look {
                Ok(look) if look.is_same_file(&doomed.look) => {}
                Ok(_) => return Err(Stays::Changed),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    held[n] = Held::Lost;
                    if doomed.leads {
                        return Err(Stays::Vanished);
                    }
                }
                Err(error) => return Err(self.failed(hand, "look at", doomed, error)),
            }
        }
        Ok(())
    }

    /// Removes a bundle, the leader last.
    fn remove_bundle(
        &self,
        hand: &mut Hand,
        bundle: Bundle<'_>,
        held: &mut [Held],
        fates: &mut [Fate],
    ) -> Result<(), Stays> {
        for (n, doomed) in (bundle.start..).zip(bundle.files) {
            if let Some(frees) = self.take(hand, doomed, &mut held[n])? {
                fates[n] = match self.leave {
                    Leave::Archive(archive) => Fate::Archived { to: archive.place().to_vec(), frees },
                    Leave::Delete | Leave::Move(_) => Fate::Removed { frees },
                };
                Self::count(hand, doomed, frees);
            }
        }
        Ok(())
    }

    /// Renames a bundle to its place at the destination, the leader last; all of it or nothing.
    fn rename_bundle(
        &self,
        hand: &mut Hand,
        to: &Destination,
        bundle: Bundle<'_>,
        held: &mut [Held],
        fates: &mut [Fate],
    ) -> Result<(), Stays> {
        let first = &bundle.files[0];
        let there =
            self.folder_in(to).map_err(|error| self.failed(hand, "make the folder for", first, error))?;
        // What has gone by itself needs no name.
        let present: Vec<(usize, &Doomed<'_>)> =
            (bundle.start..).zip(bundle.files).filter(|(n, _)| !matches!(held[*n], Held::Lost)).collect();
        let files: Vec<Doomed<'_>> = present.iter().map(|(_, doomed)| **doomed).collect();
        let names = to.arrange(self.folder, &self.arriving(&files), &there);
        let names = names.map_err(|error| self.failed(hand, "find a free name for", first, error))?;
        for (done, ((n, doomed), (name, _))) in present.iter().zip(&names).enumerate() {
            if let Err(stays) = self.rename(hand, (to, &there), doomed, &mut held[*n], name) {
                for ((n, doomed), (name, _)) in present[..done].iter().zip(&names) {
                    fates[*n] = Fate::Spared;
                    if let Err(error) = to.rename_back(self.warrant, &there, name, self.folder, doomed.name) {
                        hand.outcome.errors.push(self.error("put back", doomed.name, error));
                    }
                }
                return Err(stays);
            }
            fates[*n] = Fate::Moved { to: joined(&[self.batch.folder, name.to_bytes()]), frees: 0 };
        }
        for (_, doomed) in present {
            Self::count(hand, doomed, 0);
        }
        Ok(())
    }

    fn rename(
        &self,
        hand: &mut Hand,
        (to, there): (&Destination, &Folder),
        doomed: &Doomed<'_>,
        held: &mut Held,
        name: &CStr,
    ) -> Result<(), Stays> {
        let original = match (&*held, &hand.claim) {
            (Held::Claimed(claimed), Some(claim)) => Original::Claimed(claim, claimed),
            _ => Original::Named(self.folder, doomed.name),
        };
        match to.rename(self.warrant, original, there, name, &doomed.look) {
            Ok(true) => {
                hand.outcome.unclaimed += u64::from(matches!(held, Held::InPlace));
                *held = Held::Lost;
                Ok(())
            }
            Ok(false) => Err(Stays::Changed),
            Err(error) => Err(self.failed(hand, "move", doomed, error)),
        }
    }

    /// Gives all copies of a bundle their places, makes that durable, looks at the originals once more, and
    /// only then lets them go.
    fn place_copies(
        &self,
        hand: &mut Hand,
        to: &Destination,
        bundle: Bundle<'_>,
        staging: &Staging,
        held: &mut [Held],
        fates: &mut [Fate],
    ) -> Result<(), Stays> {
        let Bundle { files, start } = bundle;
        let there = &self
            .folder_in(to)
            .map_err(|error| self.failed(hand, "open the folder for", &files[0], error))?;
        let all = start..start + files.len();
        let staged: Vec<&Staged> = staging.staged[all.clone()].iter().flatten().collect();
        let names = &staging.names[all];
        let mut placed = 0;
        let mut result = Ok(());
        for ((doomed, copy), (name, _)) in files.iter().zip(&staged).zip(names) {
            if let Err(error) = to.place(self.warrant, copy, there, name) {
                result = Err(self.failed(hand, "move", doomed, error));
                break;
            }
            placed += 1;
        }
        let result = result
            .and_then(|()| {
                to.confirm(there, names).map_err(|error| self.failed(hand, "move", &files[0], error))
            })
            .and_then(|()| self.is_same(hand, bundle, held));
        if let Err(stays) = result {
            for (copy, (name, _)) in staged.iter().zip(names).take(placed) {
                to.displace(self.warrant, copy, there, name);
            }
            return Err(stays);
        }
        for ((n, doomed), (name, _)) in (start..).zip(files).zip(names) {
            if let Some(frees) = self.take(hand, doomed, &mut held[n])? {
                fates[n] = Fate::Moved { to: joined(&[self.batch.folder, name.to_bytes()]), frees };
                Self::count(hand, doomed, frees);
            }
        }
        Ok(())
    }

    /// Takes one file away: the bytes that come free, or nothing when it has gone by itself.
    fn take(&self, hand: &mut Hand, doomed: &Doomed<'_>, held: &mut Held) -> Result<Option<u64>, Stays> {
        let taken = match (std::mem::replace(held, Held::Lost), &hand.claim) {
            (Held::Claimed(claimed), Some(claim)) => {
                claim.remove(self.warrant, self.folder, doomed.name, &claimed, doomed.look)
            }
            (Held::InPlace, _) => {
                let taken = remove_unclaimed(self.warrant, self.folder, doomed.name, &doomed.look);
                hand.outcome.unclaimed += u64::from(matches!(taken, Taken::Removed(_)));
                taken
            }
            (Held::Claimed(_) | Held::Lost, _) => return Ok(None),
        };
        match taken {
            Taken::Removed(last) => Ok(Some(self.actor.links.frees(&last))),
            Taken::Vanished => Ok(None),
            Taken::Changed => Err(Stays::Changed),
            Taken::Failed(error) => Err(self.failed(hand, "remove", doomed, error)),
        }
    }

    /// Puts back what was claimed of a bundle, and counts why.
    fn give_back(
        &self,
        hand: &mut Hand,
        bundle: Bundle<'_>,
        held: &mut [Held],
        fates: &[Fate],
        stays: &Stays,
    ) {
        for (n, doomed) in (bundle.start..).zip(bundle.files) {
            if fates[n] != Fate::Spared {
                continue;
            }
            let outcome = &mut hand.outcome;
            match stays {
                Stays::Changed => outcome.changed += 1,
                Stays::Vanished => outcome.vanished += 1,
                Stays::InUse(why) => outcome.spared.add(*why),
                Stays::Failed | Stays::Stopped => {}
            }
            if let (Held::Claimed(claimed), Some(claim)) =
                (std::mem::replace(&mut held[n], Held::Lost), &hand.claim)
                && let Err(error) = claim.release(self.folder, doomed.name, &claimed)
            {
                hand.outcome.errors.push(self.error("put back", doomed.name, error));
            }
        }
    }

    fn count(hand: &mut Hand, doomed: &Doomed<'_>, frees: u64) {
        hand.outcome.gone.add(&doomed.look, frees);
        hand.outcome.by_reason[doomed.why.kind()] += 1;
    }

    /// Where the part ends that all names of a bundle share.
    fn key_end(&self, name: &[u8]) -> usize {
        let with = &self.actor.what.scope.select.with;
        let key = if with.is_empty() { stem(name) } else { with.key(name) };
        // The key is a piece of the name itself.
        key.as_ptr().addr() - name.as_ptr().addr() + key.len()
    }

    fn failed(
        &self,
        hand: &mut Hand,
        operation: &'static str,
        doomed: &Doomed<'_>,
        error: io::Error,
    ) -> Stays {
        hand.outcome.errors.push(self.error(operation, doomed.name, error));
        Stays::Failed
    }

    fn error(&self, operation: &'static str, name: &CStr, error: io::Error) -> FsError {
        FsError::new(operation, self.batch.folder, name.to_bytes(), error)
    }
}
