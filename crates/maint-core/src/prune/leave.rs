//! How files leave: removed, or moved to another folder. Bundles leave whole or not at all.

use super::{
    Archive, Batch, Doomed, Fate,
    act::{Actor, Halt, Hand, bundle_end, in_use},
};
use crate::{
    bundle::stem,
    fs::{
        Claimed, Destination, Folder, FsError, Grip, Original, Place, StageError, Staged, Taken, Then,
        Warrant, numbered, remove_unclaimed,
    },
    retention::Kept,
    text::joined,
};
use std::{ffi::CStr, io};

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
    pub(super) inodes: &'l dyn Fn() -> Vec<u64>,
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

/// One bundle of a batch, from `start` on.
#[derive(Clone, Copy)]
struct Bundle<'b> {
    files: &'b [Doomed<'b>],
    start: usize,
}

impl Leaving<'_, '_> {
    pub(super) fn settle(&self, hand: &mut Hand) -> Settled {
        let files = self.batch.files;
        let staged = self.stage();
        let mut held = self.claim_all(hand, &staged);
        // Seen after the claims: who finds the file under its name and locks it is seen in time, and who
        // comes later does not find it.
        let halt = self.actor.look_who_uses(hand).err();
        let mut fates = vec![Fate::Spared; files.len()];
        let mut start = 0;
        while start < files.len() {
            let end = start + bundle_end(&files[start..]);
            let bundle = Bundle { files: &files[start..end], start };
            let may_go = if halt.is_some() || (self.actor.what.scope.stop)() {
                Err(Stays::Stopped)
            } else {
                self.is_unchanged(hand, bundle, &staged, &mut held)
            };
            let gone = may_go.and_then(|()| match self.leave {
                Leave::Move(to) => self.move_bundle(hand, to, bundle, &staged, &mut held, &mut fates),
                Leave::Delete | Leave::Archive(_) => self.remove_bundle(hand, bundle, &mut held, &mut fates),
            });
            if let Err(stays) = gone {
                self.give_back(hand, bundle, &mut held, &fates, &stays);
            }
            start = end;
        }
        if let Leave::Move(to) = self.leave {
            staged.iter().flatten().for_each(|staged| to.unstage(staged));
        }
        Settled { fates, halt }
    }

    /// Copies what must be copied before anything is touched.
    fn stage(&self) -> Vec<Result<Staged, StageError>> {
        let by_rename = || self.batch.files.iter().map(|_| Ok(Staged::ByRename)).collect();
        let Leave::Move(to) = self.leave else { return by_rename() };
        if !to.copies() {
            return by_rename();
        }
        match self.folder_in(to) {
            Ok(there) => {
                let each = |doomed: &Doomed<'_>| {
                    to.stage(self.warrant, self.folder, doomed.name, &doomed.look, &there)
                };
                self.batch.files.iter().map(each).collect()
            }
            Err(error) => {
                let same = || io::Error::new(error.kind(), error.to_string());
                self.batch.files.iter().map(|_| Err(StageError::Failed(same()))).collect()
            }
        }
    }

    fn folder_in(&self, to: &Destination) -> io::Result<Folder> {
        to.folder_for(self.warrant, self.actor.what.scope.root, self.batch.folder)
    }

    fn claim_all(&self, hand: &mut Hand, staged: &[Result<Staged, StageError>]) -> Vec<Held> {
        let files = self.batch.files;
        let names = || files.iter().map(|doomed| doomed.name);
        let Hand { claim, outcome, .. } = hand;
        let ready = claim.as_mut().is_some_and(|claim| claim.intend(self.batch.folder, names()).is_ok());
        let Some(claim) = claim.as_ref().filter(|_| ready) else {
            return files.iter().map(|_| Held::InPlace).collect();
        };
        let then = if let Leave::Move(_) = self.leave { Then::Leave } else { Then::Remove };
        let mut held = Vec::with_capacity(files.len());
        while held.len() < files.len() {
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
        held
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
        let spare = self.actor.what.scope.spare;
        in_use(&hand.in_use, spare, self.folder, bundle.files, self.inodes)
            .map_or(Ok(()), |why| Err(Stays::InUse(why)))
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

    /// Gives a bundle its place at the destination, the leader last.
    fn move_bundle(
        &self,
        hand: &mut Hand,
        to: &Destination,
        bundle: Bundle<'_>,
        staged: &[Result<Staged, StageError>],
        held: &mut [Held],
        fates: &mut [Fate],
    ) -> Result<(), Stays> {
        let there = self
            .folder_in(to)
            .map_err(|error| self.failed(hand, "make the folder for", &bundle.files[0], error))?;
        let names: Vec<(&CStr, usize)> = (bundle.start..)
            .zip(bundle.files)
            .filter(|(n, _)| !matches!(held[*n], Held::Lost) && !matches!(staged[*n], Ok(Staged::There(_))))
            .map(|(_, doomed)| (doomed.name, self.key_end(doomed.name.to_bytes())))
            .collect();
        let number = to
            .free_number(&there, &names)
            .map_err(|error| self.failed(hand, "find a free name for", &bundle.files[0], error))?;
        for (n, doomed) in (bundle.start..).zip(bundle.files) {
            let Ok(staged) = &staged[n] else { continue };
            let name = match staged {
                Staged::There(name) => name.clone(),
                Staged::ByRename | Staged::Copied(_) => {
                    numbered(doomed.name, self.key_end(doomed.name.to_bytes()), number)
                        .map_err(|error| self.failed(hand, "name", doomed, error))?
                }
            };
            let frees = match self.place(hand, to, staged, doomed, &mut held[n], (&there, name.as_c_str())) {
                Ok(None) => continue,
                Ok(Some(frees)) => frees,
                Err(stays) => return Err(stays),
            };
            fates[n] = Fate::Moved { to: joined(&[self.batch.folder, name.to_bytes()]), frees };
            Self::count(hand, doomed, frees);
        }
        Ok(())
    }

    /// Puts one file in its place; after a copy the original goes. Gives the bytes that came free, or
    /// nothing when the file has gone by itself.
    fn place(
        &self,
        hand: &mut Hand,
        to: &Destination,
        staged: &Staged,
        doomed: &Doomed<'_>,
        held: &mut Held,
        (there, name): (&Folder, &CStr),
    ) -> Result<Option<u64>, Stays> {
        let original = match (&*held, &hand.claim) {
            (Held::Claimed(claimed), Some(claim)) => Original::Claimed(claim, claimed),
            (Held::InPlace, _) => Original::Named(self.folder, doomed.name),
            (Held::Claimed(_) | Held::Lost, _) => return Ok(None),
        };
        let placed = to.place(self.warrant, staged, original, there, name, &doomed.look);
        match placed {
            Ok(true) => {}
            Ok(false) => return Err(Stays::Changed),
            Err(error) => return Err(self.failed(hand, "move", doomed, error)),
        }
        if let Staged::ByRename = staged {
            hand.outcome.unclaimed += u64::from(matches!(held, Held::InPlace));
            *held = Held::Lost;
            return Ok(Some(0));
        }
        self.take(hand, doomed, held)
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
