//! One archive for a run: condemned files go into it first; it is completed, read back and compared with
//! the originals; only then do they go, one bundle after the other as in any other run.
//!
//! The archive itself is the list of what went into it, so memory does not grow with it.

use super::{
    Batch, Doomed, Scope,
    act::{Actor, Around, Halt, Hand, in_use},
    fold_up,
};
use crate::{
    archive::{Added, Member, Writer, read},
    entry::{Kind, Look},
    fs::{ArchivePlace, Folder, FsError, Root, Warrant, attributes, have_same_content},
    retention::Condemned,
    text::joined,
};
use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    sync::{Mutex, PoisonError},
};

/// An archive that is being made.
pub struct Archive {
    place: ArchivePlace,
    making: Mutex<Making>,
}

struct Making {
    writer: Option<Writer>,
    members: Vec<Recorded>,
}

/// A member, in the order of the archive.
#[derive(Clone, Copy)]
struct Recorded {
    /// Why it may go, or nothing when it must stay.
    why: Option<Condemned>,
    /// Its bundle ends with it.
    ends: bool,
}

/// As zstd has it by default: little time for most of the gain.
const LEVEL: i32 = 3;

impl Archive {
    /// An archive at its place; the file is made with the first member.
    pub fn new(place: ArchivePlace) -> Self {
        Self { place, making: Mutex::new(Making { writer: None, members: Vec::new() }) }
    }

    /// Its path below the destination.
    pub fn place(&self) -> &[u8] {
        self.place.name()
    }

    /// Bytes that it takes where the originals were.
    pub fn costs(&self) -> u64 {
        self.place.costs()
    }

    /// Adds a batch. Nothing of it is touched.
    pub(super) fn add(
        &self,
        hand: &mut Hand,
        folder: &Folder,
        batch: &Batch<'_>,
        around: Around<'_>,
        scope: &Scope<'_>,
    ) -> Result<(), Halt> {
        let spare = scope.spare;
        hand.in_use = spare.look(scope.root)?;
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        for bundle in batch.files.split_inclusive(|doomed| doomed.leads) {
            if let Some(why) = in_use(&hand.in_use, spare, folder, bundle, around) {
                hand.outcome.spared.add_many(why, bundle.len() as u64);
                continue;
            }
            let first = making.members.len();
            let mut whole = true;
            for doomed in bundle {
                if !whole {
                    break;
                }
                match self.add_file(&mut making, folder, doomed) {
                    Ok(added) => {
                        if let Added::Unreadable(error) = &added {
                            let error = io::Error::new(error.kind(), error.to_string());
                            hand.outcome.errors.push(FsError::new(
                                "read",
                                folder.path(),
                                doomed.name.to_bytes(),
                                error,
                            ));
                        }
                        whole = matches!(added, Added::Whole);
                        making.members.push(Recorded { why: Some(doomed.why), ends: false });
                    }
                    Err(AddError::Original(error)) if error.kind() == io::ErrorKind::NotFound => {
                        whole = false
                    }
                    Err(AddError::Original(error)) => {
                        hand.outcome.errors.push(FsError::new(
                            "read",
                            folder.path(),
                            doomed.name.to_bytes(),
                            error,
                        ));
                        whole = false;
                    }
                    Err(AddError::Archive(error)) => {
                        making.writer = None;
                        return Err(Halt::NoArchive(self.place.told(&error)));
                    }
                }
            }
            for member in &mut making.members[first..] {
                member.why = member.why.filter(|_| whole);
            }
            if let Some(last) = making.members[first..].last_mut() {
                last.ends = true;
            }
        }
        Ok(())
    }

    fn add_file(&self, making: &mut Making, folder: &Folder, doomed: &Doomed<'_>) -> Result<Added, AddError> {
        let (mut file, now) = folder.open_file(doomed.name).map_err(AddError::Original)?;
        let xattrs = attributes(&file).map_err(AddError::Original)?;
        let model = file.metadata().map_err(AddError::Original)?;
        let (mode, uid, gid) = (model.mode(), model.uid(), model.gid());
        if !now.is_same_file(&doomed.look) {
            return Err(AddError::Original(io::ErrorKind::NotFound.into()));
        }
        let member =
            Member { inode: now.inode, size: now.size, modified: now.modified, mode, uid, gid, xattrs };
        if making.writer.is_none() {
            let file = self.place.make().map_err(AddError::Archive)?;
            making.writer = Some(Writer::new(file, LEVEL).map_err(AddError::Archive)?);
        }
        let path = joined(&[folder.path(), doomed.name.to_bytes()]);
        let Some(writer) = &mut making.writer else {
            return Err(AddError::Archive(io::ErrorKind::NotFound.into()));
        };
        writer.add(&path, &mut file, &member).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => AddError::Original(error),
            _ => AddError::Archive(error),
        })
    }

    /// Completes the archive, reads it back beside the originals, and gives it its name. Gives the file
    /// to read from, and for each member whether its original may go.
    fn complete(
        &self,
        warrant: Warrant<'_>,
        root: &Root,
        hand: &mut Hand,
    ) -> io::Result<Option<(File, Vec<Recorded>)>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = making.writer.take() else { return Ok(None) };
        let mut members = std::mem::take(&mut making.members);
        let file = writer.finish()?;
        file.sync_all()?;
        let mut numbers = 0..;
        let mut open: Option<Folder> = None;
        let read_back = read(file.try_clone()?, &mut |stored| {
            let (folder, name) = crate::fs::parent_and_name(stored.path);
            if let Some(member) =
                numbers.next().and_then(|n: usize| members.get_mut(n)).filter(|member| member.why.is_some())
            {
                let same = is_original(root, &mut open, folder, name, stored.member, stored.content);
                member.why = member.why.filter(|_| *same.as_ref().unwrap_or(&false));
                if let Err(error) = same
                    && error.kind() != io::ErrorKind::NotFound
                {
                    hand.outcome.errors.push(FsError::new("read", folder, name, error));
                }
            }
            Ok(())
        })?;
        if read_back != members.len() as u64 {
            return Err(io::Error::other(format!("{read_back} of {} files can be read back", members.len())));
        }
        // A bundle goes whole or not at all.
        for bundle in members.split_inclusive_mut(|member| member.ends) {
            let whole = bundle.iter().all(|member| member.why.is_some());
            for member in bundle {
                member.why = member.why.filter(|_| whole);
            }
        }
        if members.iter().all(|member| member.why.is_none()) {
            hand.outcome.changed += members.len() as u64;
            return Ok(None);
        }
        self.place.finish(warrant)?;
        Ok(Some((file, members)))
    }
}

enum AddError {
    Original(io::Error),
    Archive(io::Error),
}

/// Whether the original still is, byte for byte, what the archive holds.
fn is_original(
    root: &Root,
    open: &mut Option<Folder>,
    folder: &[u8],
    name: &[u8],
    member: &Member,
    content: &mut dyn io::Read,
) -> io::Result<bool> {
    let folder = open_once(root, open, folder)?;
    let (mut original, now) = folder.open_file(&CString::new(name)?)?;
    Ok(is_member(member, &now) && have_same_content(&mut original, content)?)
}

fn is_member(member: &Member, look: &Look) -> bool {
    look.kind == Kind::File
        && (member.inode, member.size, member.modified) == (look.inode, look.size, look.modified)
}

/// The folder of this path; the one before is kept open, because its files follow each other.
fn open_once<'f>(root: &Root, open: &'f mut Option<Folder>, path: &[u8]) -> io::Result<&'f Folder> {
    if open.as_ref().is_none_or(|folder| folder.path() != path) {
        *open = Some(root.top().open_below(path)?);
    }
    open.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A member on its way out.
struct Leaver {
    folder: Vec<u8>,
    name: CString,
    look: Look,
    why: Condemned,
    ends: bool,
}

impl Actor<'_> {
    /// Lets go what lies safe in the archive.
    pub(super) fn empty_into(&self, archive: &Archive, hand: &mut Hand) {
        let super::Act::Remove { lock, ledger, empty_folders, .. } = &self.what.act else { return };
        let root = self.what.scope.root;
        if hand.outcome.halted.is_some() || (self.what.scope.stop)() {
            return archive.place.give_up();
        }
        let (file, members) = match archive.complete(lock.warrant(), root, hand) {
            Ok(Some(complete)) => complete,
            Ok(None) => return archive.place.give_up(),
            Err(error) => {
                archive.place.give_up();
                hand.outcome.halted = Some(Halt::NoArchive(archive.place.told(&error)));
                return;
            }
        };
        hand.outcome.archive = Some(archive.place().to_vec());
        let mut exit =
            Exit { waiting: Vec::new(), complete: 0, changed: false, folders: BTreeSet::new(), open: None };
        let mut numbers = 0..;
        let gone = read(file, &mut |stored| {
            let Some(member) = numbers.next().and_then(|n: usize| members.get(n)) else { return Ok(()) };
            let (folder, name) = crate::fs::parent_and_name(stored.path);
            if exit.is_due(folder, self.what.at_once) {
                self.let_batch_go(hand, &mut exit);
            }
            exit.queue(root, folder, name, stored.member, *member, hand);
            Ok(())
        });
        self.let_batch_go(hand, &mut exit);
        if let Err(error) = gone {
            hand.outcome.errors.push(FsError::new("read", archive.place(), b"", error));
        }
        if *empty_folders && !(self.what.scope.stop)() {
            let folders = exit.folders.iter().map(Vec::as_slice);
            hand.outcome.folders += fold_up(root, lock, folders, *ledger);
        }
    }

    /// Lets all complete bundles that wait go; they lie in one folder.
    fn let_batch_go(&self, hand: &mut Hand, exit: &mut Exit) {
        let rest = exit.waiting.split_off(exit.complete.min(exit.waiting.len()));
        let leavers = std::mem::replace(&mut exit.waiting, rest);
        exit.complete = 0;
        let Some(first) = leavers.first() else { return };
        let root = self.what.scope.root;
        let Ok(folder) = open_once(root, &mut exit.open, &first.folder) else { return };
        if (self.what.scope.stop)() {
            return;
        }
        let doomed = |leaver| {
            let Leaver { name, look, why, ends, .. }: &Leaver = leaver;
            Doomed { name: name.as_c_str(), look: *look, why: *why, leads: *ends }
        };
        let files: Vec<Doomed<'_>> = leavers.iter().map(doomed).collect();
        let inodes = || inodes_up(root, &first.folder);
        let around = Around { inodes: &inodes, signs: true };
        if self.let_go(hand, folder, &Batch { folder: &first.folder, files: &files }, around) > 0 {
            exit.folders.insert(first.folder.clone());
        }
    }
}

/// What waits to leave, in the order of the archive.
struct Exit {
    waiting: Vec<Leaver>,
    /// So many of these are of complete bundles.
    complete: usize,
    /// Something of the bundle that is not complete yet has changed.
    changed: bool,
    /// Folders that lost something.
    folders: BTreeSet<Vec<u8>>,
    open: Option<Folder>,
}

impl Exit {
    fn queue(
        &mut self,
        root: &Root,
        folder: &[u8],
        name: &[u8],
        stored: &Member,
        member: Recorded,
        hand: &mut Hand,
    ) {
        let Some(why) = member.why else {
            hand.outcome.changed += 1;
            return;
        };
        let mut look = || {
            let name = CString::new(name)?;
            let look = open_once(root, &mut self.open, folder)?.look(&name)?;
            Ok::<_, io::Error>((name, look))
        };
        match look() {
            Ok((name, look)) if is_member(stored, &look) => {
                self.waiting.push(Leaver { folder: folder.to_vec(), name, look, why, ends: member.ends });
            }
            // What has gone by itself is missed by nobody but the leader's bundle, which stays then.
            _ => {
                hand.outcome.changed += 1;
                self.changed = true;
            }
        }
        if member.ends {
            if std::mem::take(&mut self.changed) {
                hand.outcome.changed += (self.waiting.len() - self.complete) as u64;
                self.waiting.truncate(self.complete);
            }
            self.complete = self.waiting.len();
        }
    }

    /// Whether what waits is enough for a batch, or what comes next lies in another folder.
    fn is_due(&self, next: &[u8], at_once: usize) -> bool {
        let parts = self.waiting.first().is_some_and(|first| first.folder != next);
        self.complete > 0 && (parts || self.complete >= at_once.max(1))
    }
}

/// The inodes of a folder and of those above it, up to the root.
fn inodes_up(root: &Root, folder: &[u8]) -> Vec<u64> {
    let ends = folder.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(n, _)| n);
    let paths = std::iter::once(0).chain(ends).chain([folder.len()]).map(|end| &folder[..end]);
    paths.filter_map(|path| Some(root.top().open_below(path).ok()?.inode())).collect()
}
