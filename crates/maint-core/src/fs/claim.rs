//! Removing exactly the file that was judged.
//!
//! There is no "unlink if it is still this inode". So a condemned file is first renamed into a private
//! folder where nobody else can reach it; what arrived there is looked at; only if it is the file that
//! was condemned does it go. Anything else, such as a fresh file that a producer renamed over the old
//! name a moment ago, is put back.
//!
//! Members of a bundle are claimed before any of them goes, the leader last, and they go the leader last.
//! So after a kill the leader's claim tells whether all had been claimed: if so the rest goes too, if not
//! all are put back. What was not to be removed but to go elsewhere is always put back: the next run
//! starts it anew.
//!
//! ```text
//! ROOT/.maint/            0700, locked by the run, made while there is room and left for the next run
//!   0/ 1/ …               one for each worker
//!     intent              the folder and names of the batch under way, to put things back after a kill
//!     3-4-r-1f2e-400-…    a claim: number in the batch, its leader's number, whether it is to be
//!                         removed, and what was condemned: inode, size, time
//!   found/                what could neither go nor be put back; a person decides
//! ```
#![expect(clippy::disallowed_methods, reason = "claiming is renaming, and this is the module that may")]

use super::{
    Folder, FsError, PRIVATE_FOLDER, Root, Warrant,
    folder::{look_at, quietly},
    remove::{Taken, unlink},
};
use crate::{
    entry::{Kind, Look},
    survey::Tally,
    text::printable,
    time::Timestamp,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, RenameFlags, openat, renameat2},
    sys::stat::{Mode, mkdirat},
    unistd::geteuid,
};
use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

const INTENT: &CStr = c"intent";
const FOUND: &CStr = c"found";
/// The first word of an intent; another word is another version and is not read.
const INTENT_VERSION: &[u8] = b"maint-intent-1";

/// A root's private folder. Whoever holds the root's lock is alone in it.
#[derive(Debug)]
pub struct Claims {
    folder: OwnedFd,
}

/// One worker's part of it.
#[derive(Debug)]
pub struct ClaimHand {
    folder: OwnedFd,
    /// The private folder itself, in which `found` is made when it is first needed.
    claims: OwnedFd,
    intent: File,
    /// A claim could be neither finished nor moved out of the way: nothing may take its number.
    stuck: AtomicBool,
}

/// A file's place in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub number: usize,
    /// The number of its bundle's leader; its own if it leads or is alone.
    pub leader: usize,
    /// What is to become of it.
    pub then: Then,
}

/// What is to become of a claimed file, and so what the next run does with it after a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It goes: the next run finishes that.
    Remove,
    /// It goes elsewhere: the next run puts it back.
    Leave,
}

/// A claimed file: whoever looks for it by its name does not find it.
#[derive(Debug)]
pub struct Claimed {
    claim: CString,
}

/// What came of a claim.
#[derive(Debug)]
pub enum Grip {
    /// It is claimed.
    Held(Claimed),
    /// It stays, or is gone already.
    Lost(Taken),
    /// Nothing can be claimed here; the caller may go on after a last look.
    Unclaimable,
}

/// What a killed run had left, and what became of it.
#[derive(Debug, Default)]
pub struct Finished {
    /// Files that were condemned and are gone now.
    pub removed: Tally,
    /// Files that are back where they were.
    pub restored: u64,
    /// What could not be dealt with.
    pub errors: Vec<FsError>,
}

/// Knows what is in use.
pub type Spares<'a> = &'a dyn Fn(&Look) -> bool;

/// Hears of each claim that was finished: folder, name, last look.
pub type Gone<'a> = &'a dyn Fn(&[u8], &CStr, &Look);

impl Claims {
    /// Opens the private folder, making it if there is none. An error means that this run must do
    /// without: no room, no right, or another user's.
    pub fn open(_: Warrant<'_>, root: &Root) -> io::Result<Self> {
        Ok(Self { folder: private_folder(root.top().handle(), &private_name())? })
    }

    /// Opens the private folder if there is one, to finish what lies in it.
    pub fn open_existing(_: Warrant<'_>, root: &Root) -> io::Result<Option<Self>> {
        match open_private(root.top().handle(), &private_name()) {
            Ok(folder) => Ok(Some(Self { folder })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether anything is claimed below a root, as far as can be seen.
    pub fn has_any(root: &Root) -> bool {
        let Ok(folder) = open_private(root.top().handle(), &private_name()) else { return false };
        let hands = names_in(folder.as_fd()).unwrap_or_default();
        hands.iter().filter(|name| name.to_bytes().iter().all(u8::is_ascii_digit)).any(|name| {
            let names = open_private(folder.as_fd(), name).and_then(|hand| names_in(hand.as_fd()));
            names.is_ok_and(|names| names.iter().any(|name| name.as_c_str() != INTENT))
        })
    }

    /// Where files were that anybody has claimed below a folder and not let go of yet: folder below it, and name.
    /// All of a batch of which anything is claimed. Of what waits for a person nobody knows the folder any more.
    pub fn held_below(folder: &Path) -> io::Result<Vec<(Option<Vec<u8>>, CString)>> {
        let open = |at: BorrowedFd<'_>, name: &CStr| quietly(|flags| openat(at, name, flags, Mode::empty()));
        let private =
            match quietly(|flags| nix::fcntl::open(&folder.join(PRIVATE_FOLDER), flags, Mode::empty())) {
                Ok(private) => private,
                Err(error) => {
                    let nothing = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP].map(|errno| errno as i32);
                    let is_none = error.raw_os_error().is_some_and(|errno| nothing.contains(&errno));
                    return if is_none { Ok(Vec::new()) } else { Err(error) };
                }
            };
        let mut held = Vec::new();
        let hands = names_in(private.as_fd())?;
        if hands.iter().any(|name| name.as_c_str() == FOUND) {
            for kept in names_in(open(private.as_fd(), FOUND)?.as_fd())? {
                let name = kept.to_bytes().splitn(2, |b| *b == b'-').nth(1).unwrap_or_default();
                held.push((None, CString::new(name)?));
            }
        }
        for name in hands.iter().filter(|name| name.to_bytes().iter().all(u8::is_ascii_digit)) {
            let hand = match open(private.as_fd(), name) {
                Ok(hand) => hand,
                // Its run has ended meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut tries = 0;
            while names_in(hand.as_fd())?.iter().any(|name| name.as_c_str() != INTENT) {
                let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
                let mut text = Vec::new();
                let intent = File::from(openat(&hand, INTENT, flags, Mode::empty())?);
                intent.take(LONGEST_INTENT).read_to_end(&mut text)?;
                if let Some((folder, names)) = parse_intent(&text) {
                    held.extend(names.into_iter().map(|name| (Some(folder.clone()), name)));
                    break;
                }
                // It is being written just now, or is none.
                tries += 1;
                if tries == 5 {
                    return Err(io::Error::other("nobody knows where what is claimed there came from"));
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        Ok(held)
    }

    /// A worker's hand; each number is for one worker at a time.
    pub fn hand(&self, worker: usize) -> io::Result<ClaimHand> {
        let name = CString::new(worker.to_string())?;
        let hand = ClaimHand::open(self.folder.as_fd(), &name)?;
        // What could not be finished keeps its intent, and its numbers.
        if hand.claims_in_it()?.is_empty() { Ok(hand) } else { Err(io::ErrorKind::AlreadyExists.into()) }
    }

    /// Deals with what a killed run had claimed: what was condemned goes, and `gone` is told its folder,
    /// name and last look; what was not, and what `spares` knows to be in use, is put back.
    pub fn finish(&self, warrant: Warrant<'_>, root: &Root, spares: Spares<'_>, gone: Gone<'_>) -> Finished {
        let mut finished = Finished::default();
        let names = match names_in(self.folder.as_fd()) {
            Ok(names) => names,
            Err(error) => {
                finished.errors.push(FsError::new("list", PRIVATE_FOLDER.as_bytes(), b"", error));
                return finished;
            }
        };
        for name in names.iter().filter(|name| name.to_bytes().iter().all(u8::is_ascii_digit)) {
            match ClaimHand::open(self.folder.as_fd(), name) {
                Ok(hand) => hand.finish(warrant, root, spares, gone, &mut finished),
                Err(error) => finished.errors.push(FsError::new(
                    "open",
                    PRIVATE_FOLDER.as_bytes(),
                    name.to_bytes(),
                    error,
                )),
            }
        }
        finished
    }
}

impl ClaimHand {
    fn open(claims: BorrowedFd<'_>, name: &CStr) -> io::Result<Self> {
        let folder = private_folder(claims, name)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let intent = File::from(openat(&folder, INTENT, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let seen = intent.metadata()?;
        if !seen.is_file() || seen.uid() != geteuid().as_raw() || seen.nlink() != 1 {
            return Err(not_ours());
        }
        Ok(Self { folder, claims: claims.try_clone_to_owned()?, intent, stuck: AtomicBool::new(false) })
    }

    /// Takes the block of the first intent before anything is measured: taken between two removals, it
    /// would look like a removal that freed nothing, and more would go.
    pub fn take_block(&self) {
        if self.intent.metadata().is_ok_and(|seen| seen.len() == 0) {
            let _ = self.intent.write_at(&[0], 0);
        }
    }

    fn claims_in_it(&self) -> io::Result<Vec<CString>> {
        let mut names = names_in(self.folder.as_fd())?;
        names.retain(|name| name.as_c_str() != INTENT);
        Ok(names)
    }

    /// Writes down what is about to be claimed, so that the next run can put it back. Without this on
    /// disk nothing is claimed.
    pub fn intend<'n>(
        &mut self,
        folder: &[u8],
        names: impl ExactSizeIterator<Item = &'n CStr>,
    ) -> io::Result<()> {
        let mut text = [INTENT_VERSION, names.len().to_string().as_bytes(), folder, b""].join(&0);
        for name in names {
            text.extend_from_slice(name.to_bytes_with_nul());
        }
        if self.stuck.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.intent.write_all_at(&text, 0)
    }

    /// Claims a file of the intent, whatever it is by now.
    pub fn claim(&self, _: Warrant<'_>, from: &Folder, place: Place, name: &CStr, condemned: &Look) -> Grip {
        let claim = claim_name(place, condemned);
        match renameat2(from.handle(), name, &self.folder, claim.as_c_str(), RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => Grip::Held(Claimed { claim }),
            Err(Errno::ENOENT) => Grip::Lost(Taken::Vanished),
            Err(
                Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS | Errno::ENOSPC | Errno::EDQUOT | Errno::EMLINK,
            ) => Grip::Unclaimable,
            Err(errno) => Grip::Lost(Taken::Failed(errno.into())),
        }
    }

    /// Removes a claimed file that `look` has just seen, or puts it back when that fails.
    pub fn remove(
        &self,
        warrant: Warrant<'_>,
        from: &Folder,
        name: &CStr,
        claimed: &Claimed,
        look: Look,
    ) -> Taken {
        match unlink(warrant, self.folder.as_fd(), &claimed.claim, &look) {
            Ok(()) => Taken::Removed(look),
            Err(error) => Taken::Failed(self.put_back(from, name, &claimed.claim).err().unwrap_or(error)),
        }
    }

    /// What was claimed.
    pub fn look(&self, claimed: &Claimed) -> io::Result<Look> {
        look_at(self.folder.as_fd(), &claimed.claim)
    }

    /// Puts a claimed file back.
    pub fn release(&self, from: &Folder, name: &CStr, claimed: &Claimed) -> io::Result<()> {
        self.put_back(from, name, &claimed.claim)
    }

    /// The folder and name under which a claimed file lies now.
    pub(super) fn whereabouts<'c>(&'c self, claimed: &'c Claimed) -> (BorrowedFd<'c>, &'c CStr) {
        (self.folder.as_fd(), &claimed.claim)
    }

    /// Puts a claimed file back. A newer file of its name wins the name; but what was not condemned is
    /// never removed: the claimed one then waits in `.maint/found`.
    fn put_back(&self, to: &Folder, name: &CStr, claim: &CStr) -> io::Result<()> {
        let why = match renameat2(&self.folder, claim, to.handle(), name, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EEXIST) => io::Error::other("its name is taken"),
            Err(errno) => errno.into(),
        };
        match self.set_aside(name, claim) {
            Ok(kept) => {
                let kept = printable(kept.to_bytes());
                Err(io::Error::other(format!("{why}; it waits as {PRIVATE_FOLDER}/found/{kept}")))
            }
            Err(error) => {
                self.stuck.store(true, Ordering::Relaxed);
                Err(io::Error::other(format!("{why}, and it cannot be moved out of the way: {error}")))
            }
        }
    }

    fn set_aside(&self, name: &CStr, claim: &CStr) -> io::Result<CString> {
        let found = private_folder(self.claims.as_fd(), FOUND)?;
        let room = 255 - 24;
        let stem = &name.to_bytes()[..name.to_bytes().len().min(room)];
        for n in 0..10_000_u32 {
            let mut kept = format!("{n}-").into_bytes();
            kept.extend_from_slice(stem);
            let kept = CString::new(kept)?;
            match renameat2(&self.folder, claim, &found, kept.as_c_str(), RenameFlags::RENAME_NOREPLACE) {
                Ok(()) => return Ok(kept),
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn finish(
        &self,
        warrant: Warrant<'_>,
        root: &Root,
        spares: Spares<'_>,
        gone: Gone<'_>,
        finished: &mut Finished,
    ) {
        let trouble = |operation, name: &CStr, error: io::Error| {
            FsError::new(operation, PRIVATE_FOLDER.as_bytes(), name.to_bytes(), error)
        };
        let claims = match self.claims_in_it() {
            Ok(claims) => claims,
            Err(error) => return finished.errors.push(trouble("list", c"", error)),
        };
        let (folder, names) = self.read_intent().unwrap_or_default();
        let mut looked = Vec::new();
        for claim in &claims {
            match look_at(self.folder.as_fd(), claim) {
                Ok(look) => looked.push((claim, look, parse_claim(claim))),
                Err(error) => finished.errors.push(trouble("look at", claim, error)),
            }
        }
        // The leader last, as the run itself would have done it.
        looked.sort_by_key(|(.., parsed)| parsed.as_ref().map(|(place, _)| place.number));
        let committed = |leader: usize| {
            let members = || {
                looked
                    .iter()
                    .filter_map(|(_, look, parsed)| Some((look, parsed.as_ref()?)))
                    .filter(|(_, (place, _))| place.leader == leader)
            };
            let whole = members().any(|(_, (place, _))| place.number == leader);
            whole
                && members().all(|(look, (place, condemned))| {
                    place.then == Then::Remove && condemned.is_of(look) && !spares(look)
                })
        };
        for (claim, look, parsed) in &looked {
            let name = parsed.as_ref().and_then(|(place, _)| names.get(place.number));
            if parsed.as_ref().is_some_and(|(place, _)| committed(place.leader)) {
                match unlink(warrant, self.folder.as_fd(), claim, look) {
                    Ok(()) => {
                        finished.removed.add(look, if look.links <= 1 { look.allocated } else { 0 });
                        gone(&folder, name.unwrap_or(claim), look);
                    }
                    Err(error) => finished.errors.push(trouble("remove", claim, error)),
                }
                continue;
            }
            match self.restore(root, &folder, name, claim) {
                Ok(()) => finished.restored += 1,
                Err(error) => {
                    finished.errors.push(FsError::new(
                        "put back",
                        &folder,
                        name.unwrap_or(claim).to_bytes(),
                        error,
                    ));
                }
            }
        }
    }

    /// Puts a claim back to where the intent says it came from; what has no home any more waits in `found`.
    fn restore(&self, root: &Root, folder: &[u8], name: Option<&CString>, claim: &CStr) -> io::Result<()> {
        let why = match name.map(|name| (name, root.top().open_below(folder))) {
            Some((name, Ok(folder))) => return self.put_back(&folder, name, claim),
            Some((_, Err(error))) => error.to_string(),
            None => "nobody knows where it came from".to_owned(),
        };
        let kept = self.set_aside(name.map_or(claim, CString::as_c_str), claim)?;
        Err(io::Error::other(format!(
            "{why}; it waits as {PRIVATE_FOLDER}/found/{}",
            printable(kept.to_bytes())
        )))
    }

    /// The folder and the names of the batch that was under way.
    fn read_intent(&self) -> Option<(Vec<u8>, Vec<CString>)> {
        let mut text = Vec::new();
        (&self.intent).take(LONGEST_INTENT).read_to_end(&mut text).ok()?;
        parse_intent(&text)
    }
}

/// A batch of 256 names of 255 bytes, and a path of ten thousand folders with such names.
const LONGEST_INTENT: u64 = 4 << 20;

fn parse_intent(text: &[u8]) -> Option<(Vec<u8>, Vec<CString>)> {
    let mut fields = text.split(|b| *b == 0);
    (fields.next()? == INTENT_VERSION).then_some(())?;
    let count: usize = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let folder = fields.next()?.to_vec();
    // An older, longer intent may follow: only `count` names are of this one.
    let names: Option<Vec<CString>> = fields.take(count).map(|name| CString::new(name).ok()).collect();
    let names = names?;
    (names.len() == count && names.iter().all(|name| is_plain(name.to_bytes()))).then_some((folder, names))
}

/// One name of one folder, and no way out of it.
fn is_plain(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/')
}

/// What a claim's name says of the file that was condemned.
#[derive(Debug, PartialEq, Eq)]
struct Condemned {
    inode: u64,
    size: u64,
    modified: Timestamp,
}

impl Condemned {
    fn is_of(&self, look: &Look) -> bool {
        let same = (self.inode, self.size, self.modified) == (look.inode, look.size, look.modified);
        same && look.kind == Kind::File
    }
}

/// The identity is in the name, so that it survives whatever the intent does not.
fn claim_name(place: Place, look: &Look) -> CString {
    let Place { number, leader, then } = place;
    let then = if then == Then::Remove { 'r' } else { 'l' };
    let Timestamp { seconds, nanos } = look.modified;
    let (inode, size, seconds) = (look.inode, look.size, seconds.cast_unsigned());
    let name = format!("{number:x}-{leader:x}-{then}-{inode:x}-{size:x}-{seconds:x}-{nanos:x}");
    CString::new(name).unwrap_or_default()
}

fn parse_claim(name: &CStr) -> Option<(Place, Condemned)> {
    let mut words = name.to_str().ok()?.split('-');
    let mut next = || words.next();
    let hex = |word: &str| u64::from_str_radix(word, 16).ok();
    let number = usize::try_from(hex(next()?)?).ok()?;
    let leader = usize::try_from(hex(next()?)?).ok()?;
    let then = match next()? {
        "r" => Then::Remove,
        "l" => Then::Leave,
        _ => return None,
    };
    let (inode, size, seconds) = (hex(next()?)?, hex(next()?)?, hex(next()?)?.cast_signed());
    let modified = Timestamp { seconds, nanos: u32::try_from(hex(next()?)?).ok()? };
    Some((Place { number, leader, then }, Condemned { inode, size, modified }))
}

pub(super) fn private_name() -> CString {
    CString::new(PRIVATE_FOLDER).unwrap_or_default()
}

/// Opens a folder of ours, making it if there is none.
pub(super) fn private_folder(at: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    match mkdirat(at, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        // No room for a new one does not matter where there is one.
        Err(errno) => return open_private(at, name).map_err(|_| errno.into()),
    }
    open_private(at, name)
}

/// Opens a folder that belongs to the caller and to nobody else: what another user could have put in it
/// would be followed by us.
pub(super) fn open_private(at: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let folder = quietly(|flags| openat(at, name, flags, Mode::empty()))?;
    let seen = rustix::fs::fstat(&folder).map_err(io::Error::from)?;
    if seen.st_uid != geteuid().as_raw() || seen.st_mode & 0o077 != 0 {
        return Err(not_ours());
    }
    Ok(folder)
}

fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's, or open to others")
}

pub(super) fn names_in(folder: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    // `.` of the handle, for a position of its own.
    let again = quietly(|flags| openat(folder, c".", flags, Mode::empty()))?;
    let mut buffer: Vec<u8> = Vec::with_capacity(super::folder::LISTING_BUFFER);
    let mut listing = rustix::fs::RawDir::new(again, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = listing.next() {
        let name = entry.map_err(io::Error::from)?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        let modified = Timestamp { seconds: -5, nanos: 999_999_999 };
        Look { inode: u64::MAX, size: 77, allocated: 512, ..Look::of_file(modified) }
    }

    #[test]
    fn a_claim_remembers_what_was_condemned() {
        let place = Place { number: 255, leader: 7, then: Then::Leave };
        let name = claim_name(place, &look());
        let (read, condemned) = parse_claim(&name).unwrap();
        assert_eq!(read, place);
        assert!(condemned.is_of(&look()));
        assert!(!condemned.is_of(&Look { inode: 1, ..look() }));
        assert!(!condemned.is_of(&Look { size: 78, ..look() }));
        assert!(!condemned.is_of(&Look { kind: Kind::Folder, ..look() }));
    }

    #[test]
    fn names_that_are_no_claims_are_not_read_as_such() {
        for name in [c"", c"intent", c"1-2-r-3", c"1-2-r-3-4-5-fffffffff", c"x-1-r-1-1-1-1", c"1-1-d-1-1-1-1"]
        {
            assert_eq!(parse_claim(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_shorter_intent_over_a_longer_one_is_read_alone() {
        let old = b"maint-intent-1\x003\0some/folder\0aaaa\0bbbb\0cccc\0".to_vec();
        let new = b"maint-intent-1\x001\0x\0y\0";
        let mut file = old.clone();
        file[..new.len()].copy_from_slice(new);
        assert_eq!(parse_intent(&file), Some((b"x".to_vec(), vec![c"y".to_owned()])));
        assert_eq!(parse_intent(&old).unwrap().1.len(), 3);
        assert_eq!(parse_intent(b""), None);
        assert_eq!(parse_intent(b"maint-intent-2\x000\0\0"), None);
        assert_eq!(parse_intent(b"maint-intent-1\x002\0x\0y\0"), None, "cut short");
    }

    #[test]
    fn an_intent_that_leads_elsewhere_is_no_intent() {
        for name in ["", ".", "..", "../x", "/etc/x", "a/b"] {
            assert_eq!(parse_intent(format!("maint-intent-1\x001\0\0{name}\0").as_bytes()), None, "{name}");
        }
    }
}
