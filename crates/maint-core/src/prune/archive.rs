//! One archive for a run: condemned files go into it first; it is completed, read back and compared with
//! the originals; only then do they go, one bundle after the other as in any other run.
//!
//! The archive itself is the list of what went into it, so memory does not grow with it.

use super::{
    Batch, Doomed,
    act::{Actor, Halt, Hand, bundle_end, in_use},
};
use crate::{
    archive::{Added, Member, Writer, read},
    entry::{Kind, Look},
    fs::{ArchivePlace, Folder, FsError, Root, Warrant, attributes, have_same_content},
    retention::Condemned,
    spare::Spare,
    text::joined,
};
use std::{
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
    /// For each member why it may go, or nothing when it must stay.
    members: Vec<Option<Condemned>>,
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
        inodes: &dyn Fn() -> Vec<u64>,
        spare: &Spare,
    ) -> Result<(), Halt> {
        hand.in_use = spare.look()?;
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = batch.files;
        while !rest.is_empty() {
            let (bundle, later) = rest.split_at(bundle_end(rest));
            rest = later;
            if let Some(why) = in_use(&hand.in_use, spare, folder, bundle, inodes) {
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
                        making.members.push(Some(doomed.why));
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
            if !whole {
                making.members[first..].iter_mut().for_each(|member| *member = None);
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
    /// to read from, and for each member why its original may go.
    fn complete(
        &self,
        warrant: Warrant<'_>,
        root: &Root,
    ) -> io::Result<Option<(File, Vec<Option<Condemned>>)>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = making.writer.take() else { return Ok(None) };
        let mut members = std::mem::take(&mut making.members);
        let file = writer.finish()?;
        file.sync_all()?;
        let mut number = 0;
        let mut open: Option<Folder> = None;
        let read_back = read(file.try_clone()?, &mut |stored| {
            let may_go = members.get(number).is_some_and(Option::is_some);
            let (folder, name) = crate::fs::parent_and_name(stored.path);
            if may_go && !is_original(root, &mut open, folder, name, stored.member, stored.content) {
                members[number] = None;
            }
            number += 1;
            Ok(())
        })?;
        if read_back != members.len() as u64 {
            return Err(io::Error::other(format!("{read_back} of {} files can be read back", members.len())));
        }
        if members.iter().all(Option::is_none) {
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
) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    let mut compare = || {
        let folder = open_once(root, open, folder)?;
        let (mut original, now) = folder.open_file(&name)?;
        Ok::<bool, io::Error>(is_member(member, &now) && have_same_content(&mut original, content)?)
    };
    compare().unwrap_or(false)
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
}

impl Actor<'_> {
    /// Lets go what lies safe in the archive.
    pub(super) fn empty_into(&self, archive: &Archive, hand: &mut Hand) {
        let super::Act::Remove { lock, .. } = &self.what.act else { return };
        let root = self.what.scope.root;
        if hand.outcome.halted.is_some() || (self.what.scope.stop)() {
            return archive.place.give_up();
        }
        let (file, members) = match archive.complete(lock.warrant(), root) {
            Ok(Some(complete)) => complete,
            Ok(None) => return archive.place.give_up(),
            Err(error) => {
                archive.place.give_up();
                hand.outcome.halted = Some(Halt::NoArchive(archive.place.told(&error)));
                return;
            }
        };
        hand.outcome.archive = Some(archive.place().to_vec());
        let mut waiting: Vec<Leaver> = Vec::new();
        let mut number = 0;
        let mut open: Option<Folder> = None;
        let gone = read(file, &mut |stored| {
            let why = members.get(number).copied().flatten();
            number += 1;
            let (folder, name) = crate::fs::parent_and_name(stored.path);
            let is_next = waiting.last().is_some_and(|last| self.parts(last, folder, name, waiting.len()));
            if is_next {
                self.let_bundle_batch_go(hand, &mut waiting, &mut open);
            }
            let Some(why) = why else {
                hand.outcome.changed += 1;
                return Ok(());
            };
            if let (Ok(folder), Ok(name)) = (open_once(root, &mut open, folder), CString::new(name))
                && let Ok(look) = folder.look(&name)
            {
                if is_member(stored.member, &look) {
                    waiting.push(Leaver { folder: folder.path().to_vec(), name, look, why });
                } else {
                    hand.outcome.changed += 1;
                }
            }
            Ok(())
        });
        self.let_bundle_batch_go(hand, &mut waiting, &mut open);
        if let Err(error) = gone {
            hand.outcome.errors.push(FsError::new("read", archive.place(), b"", error));
        }
    }

    /// Whether a member begins a batch of its own: another folder, or enough are waiting and the last
    /// bundle is complete.
    fn parts(&self, last: &Leaver, folder: &[u8], name: &[u8], waiting: usize) -> bool {
        last.folder != folder || (waiting >= self.what.at_once.max(1) && self.leads(last, name))
    }

    fn leads(&self, last: &Leaver, next: &[u8]) -> bool {
        let with = &self.what.scope.select.with;
        with.is_empty() || with.key(last.name.to_bytes()) != with.key(next)
    }

    fn let_bundle_batch_go(&self, hand: &mut Hand, waiting: &mut Vec<Leaver>, open: &mut Option<Folder>) {
        let leavers = std::mem::take(waiting);
        let Some(first) = leavers.first() else { return };
        let Ok(folder) = open_once(self.what.scope.root, open, &first.folder) else { return };
        if (self.what.scope.stop)() {
            return;
        }
        let leads =
            |n: usize| leavers.get(n + 1).is_none_or(|next| self.leads(&leavers[n], next.name.to_bytes()));
        let files: Vec<Doomed<'_>> = leavers
            .iter()
            .enumerate()
            .map(|(n, leaver)| Doomed {
                name: leaver.name.as_c_str(),
                look: leaver.look,
                why: leaver.why,
                leads: leads(n),
            })
            .collect();
        self.let_go(hand, folder, &Batch { folder: &first.folder, files: &files }, &|| vec![folder.inode()]);
    }
}
