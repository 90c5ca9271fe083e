//! Files whose partner is gone: metadata without its image, or an image without its metadata.
//!
//! The one side is listed whole before the other is judged, and again where a file may have moved meanwhile;
//! whatever keeps a listing from being whole keeps everything. What is found to be alone is remembered from look
//! to look ([`Memory`]) and goes when it was seen often enough. Right before it goes its partner is looked for once
//! more, by name.

mod field;
mod hashes;
mod listing;
mod memory;
mod pairing;

pub use field::Field;
pub use memory::{Known, Memory};
pub use pairing::{By, Layout, Pairing, PartnerName, Side};

use crate::{
    entry::{Kind, Look},
    fs::{Folder, Mount, Only, Root, Workers, parent_and_name},
    plan::Guard,
    prune::{Errors, Ties, Untold},
    retention::{Condemned, Kept},
    text::{count, grouped, joined, printable, shown_path},
    time::Timestamp,
    units::Span,
};
use field::NoName;
use hashes::Hashes;
use listing::{Listed, Listing};
use memory::Sighting;
use std::{
    ffi::{CStr, CString},
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What is asked of an orphan before it goes.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// So many looks; none in an emergency.
    pub observations: u32,
    /// At least so far apart.
    pub apart: Span,
    /// It is never let go, only reported.
    pub only_reported: bool,
    /// That a folder has gone empty, or lies elsewhere, is right this time.
    pub is_forced: bool,
}

/// One look at a folder: whose files they are, and where what belongs to them may lie.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// What belongs together.
    pub pairing: &'a Pairing,
    /// Which side the files are of.
    pub side: Side,
    /// The folders of the other side.
    pub others: &'a [Root],
    /// They are the folders of the files themselves.
    pub is_beside: bool,
    /// What is remembered.
    pub memory: &'a Memory,
    /// What is asked.
    pub rule: Rule,
    /// The moment of the look.
    pub now: Timestamp,
    /// With how many threads folders are listed.
    pub workers: Workers,
    /// When to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Whether each orphan is to be told.
    pub tells: bool,
}

/// An orphan, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its path below the folder.
    pub path: Vec<u8>,
    /// Its length.
    pub size: u64,
    /// How old it is.
    pub age: Span,
    /// For how long it has been known to be one.
    pub known: Span,
    /// How many looks at it counted.
    pub looks: u32,
    /// It may go now.
    pub is_due: bool,
}

/// The orphans of one folder, look by look.
pub struct Orphans<'a> {
    ask: Ask<'a>,
    others: OnceLock<Others>,
    /// What was found of the other side in later listings.
    more: RwLock<Hashes>,
    has_more: AtomicBool,
    /// When the survey began.
    begun: Mutex<Option<Instant>>,
    /// When it was last listed, and how long that took.
    listed: Mutex<Option<(Instant, Duration)>>,
    is_confirmed: AtomicBool,
    alone: Mutex<Vec<Sighting>>,
    /// Those of them that may go, by name, as long as they are few.
    few: Mutex<Option<Only>>,
    /// What those of them that may go name as their partners: file and key.
    named: Mutex<Vec<(u64, u64)>>,
    /// Of the other side what was gathered on the survey itself, and whether any of it is odd.
    beside: AtomicU64,
    is_odd: AtomicBool,
    /// Of the other side what was found by name, but had not been listed: which folder, and where in it.
    late: Mutex<Vec<(usize, Vec<u8>)>>,
    chosen: OnceLock<Chosen>,
    told: Mutex<Vec<Orphan>>,
    /// The first of what does not say what it belongs to.
    mute: Mutex<Vec<Vec<u8>>>,
}

/// The other side as it was listed.
struct Others {
    keys: Hashes,
    files: u64,
    /// Whoever belongs to a file can be looked for by name.
    is_exact: bool,
    known: Vec<Known>,
}

/// What the survey let go, by file.
struct Chosen {
    files: Hashes,
    sightings: Vec<Sighting>,
    few: Option<Only>,
}

/// Whether something is where it should be.
enum Found {
    Nowhere,
    At(usize, Vec<u8>, Kind),
    CannotTell,
}

/// Of more that was found late than this the rest is like the first.
const LATE: usize = 1000;

/// Names that take more memory than this are not kept; the folders are listed once more instead.
const MOST_NAMES: usize = 8 << 20;

/// So many orphans are looked up each in a survey that nothing can move out of, and of more one in so many: what
/// is cut short shows in a few.
const LOOKED_UP: usize = 1000;
const ONE_IN: usize = 16;

/// Whatever still comes and goes after so many listings cannot be told from what is gone.
const MOST_LISTINGS: u32 = 8;

/// While files go the other side is listed from time to time, but takes no more than a twentieth of it.
const PAUSES: u32 = 20;
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// So many of what says nothing are told.
const MUTE: usize = 3;

/// A longer document is none that describes an image.
const LONGEST_DOCUMENT: u64 = 16 << 20;

impl<'a> Orphans<'a> {
    /// A look that has not begun.
    pub fn new(ask: Ask<'a>) -> Self {
        Self {
            ask,
            others: OnceLock::new(),
            more: RwLock::default(),
            has_more: AtomicBool::new(false),
            begun: Mutex::default(),
            listed: Mutex::default(),
            is_confirmed: AtomicBool::new(false),
            alone: Mutex::default(),
            few: Mutex::default(),
            named: Mutex::default(),
            beside: AtomicU64::new(0),
            is_odd: AtomicBool::new(false),
            late: Mutex::default(),
            chosen: OnceLock::new(),
            told: Mutex::default(),
            mute: Mutex::default(),
        }
    }

    /// How many there are, those included that may not go yet; `None` for a look that did not come to its end.
    pub fn count(&self) -> Option<u64> {
        self.chosen.get().map(|chosen| (lock(&self.alone).len() + chosen.sightings.len()) as u64)
    }

    /// What is to be remembered when so many files went; `None` for a look that did not come to its end, which is
    /// none.
    pub fn memory(&self, run: &str, gone: u64) -> Option<Memory> {
        let (chosen, others) = self.chosen.get().zip(self.others.get())?;
        let mut left = std::mem::take(&mut *lock(&self.alone));
        // Of some that stayed nobody knows here which, and to remember one that went costs little.
        if gone < chosen.sightings.len() as u64 {
            left.extend_from_slice(&chosen.sightings);
        }
        Some(Memory::new(run.to_owned(), others.known.clone(), left))
    }

    /// Each of them, in order.
    pub fn told(&self) -> Vec<Orphan> {
        let mut told = std::mem::take(&mut *lock(&self.told));
        told.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        told
    }

    /// The first of what does not say what it belongs to, by their paths below the folder.
    pub fn mute(&self) -> Vec<Vec<u8>> {
        lock(&self.mute).clone()
    }

    fn listing(&self) -> Listing<'a> {
        let Ask { pairing, side, others, workers, stop, .. } = self.ask;
        Listing { pairing, side: side.other(), is_beside: self.ask.is_beside, roots: others, workers, stop }
    }

    /// Lists all folders of the other side, forwards or backwards.
    fn list(
        &self,
        backwards: bool,
        each: &mut dyn FnMut(&Root, &Listed) -> Result<(), Untold>,
    ) -> Result<Listed, Untold> {
        let begun = Instant::now();
        let listing = self.listing();
        let mut all = Listed::default();
        let mut roots: Vec<&Root> = self.ask.others.iter().collect();
        if backwards {
            roots.reverse();
        }
        for root in roots {
            let listed = listing.list(root).map_err(Untold::of)?;
            each(root, &listed)?;
            all.add(listed);
        }
        *lock(&self.listed) = Some((Instant::now(), begun.elapsed()));
        Ok(all)
    }

    fn list_others(&self) -> Result<Others, Untold> {
        let mut known = Vec::new();
        let all = self.list(false, &mut |root, listed| {
            known.push(self.known(root, listed.files)?);
            Ok(())
        })?;
        let is_exact = self.ask.pairing.is_exact() && !all.is_odd;
        Ok(Others { keys: Hashes::of(all.keys), files: all.files, is_exact, known })
    }

    /// The other side as it was gathered beside the files.
    fn gathered_others(&self) -> Result<Others, Untold> {
        let Ask { pairing, others: roots, .. } = self.ask;
        let files = self.beside.load(Ordering::Relaxed);
        let mut known = Vec::new();
        let mut claimed = Listed::default();
        for root in roots {
            known.push(self.known(root, files)?);
            self.listing().list_claimed_above(root, &mut claimed);
        }
        if let Some(flaw) = claimed.first_flaw() {
            return Err(Untold::of(flaw.to_owned()));
        }
        // The survey was the listing.
        let took = lock(&self.begun).map_or(Duration::ZERO, |begun| begun.elapsed());
        *lock(&self.listed) = Some((Instant::now(), took));
        let is_exact = pairing.is_exact() && !self.is_odd.load(Ordering::Relaxed);
        Ok(Others { keys: Hashes::of(claimed.keys), files, is_exact, known })
    }

    /// A folder of the other side as it is, if it is what it was.
    fn known(&self, root: &Root, files: u64) -> Result<Known, Untold> {
        let Ask { memory, rule, now, .. } = self.ask;
        let seen = known_of(root, files, now).map_err(Untold::of)?;
        let unlike = memory.folder(&seen.path).and_then(|before| unlike(before, &seen));
        match unlike.filter(|_| !rule.is_forced) {
            Some(why) => Err(Untold { why, guard: Some(Guard::PARTNERS) }),
            None => Ok(seen),
        }
    }

    fn has(&self, key: u64) -> bool {
        self.others.get().is_some_and(|others| others.keys.has(key))
            || (self.has_more.load(Ordering::Relaxed)
                && self.more.read().unwrap_or_else(PoisonError::into_inner).has(key))
    }

    /// Looks for what belongs to a file by name, in the folders of the other side one after the other and back:
    /// what moves from one to another meanwhile is met on the way back.
    fn find_other(&self, folder: &[u8], name: &[u8]) -> Found {
        let Ask { pairing, side, others: roots, .. } = self.ask;
        let names = pairing.others_of(side, folder, name);
        let back = (0..roots.len().saturating_sub(1)).rev();
        for n in (0..roots.len()).chain(back) {
            let paths = names.iter().flat_map(|other| pairing::paths(pairing.layout, folder, other));
            for path in paths {
                match what_is_at(&roots[n], &path) {
                    Ok(Some(kind)) => return Found::At(n, path, kind),
                    Ok(None) => {}
                    Err(_) => return Found::CannotTell,
                }
            }
        }
        Found::Nowhere
    }

    /// Whether what metadata names is there; if not, the keys of what it names.
    fn find_named(&self, field: &Field, folder: &Folder, name: &CStr) -> Result<Result<(), Vec<u64>>, Kept> {
        let named = names_in(field, folder, name).map_err(|why| {
            let mut mute = lock(&self.mute);
            if mute.len() < MUTE {
                mute.push(joined(&[folder.path(), name.to_bytes()]));
            }
            match why {
                NoName::Unread(_) => Kept::Unread,
                NoName::NoJson => Kept::NoJson,
                NoName::NotNamed => Kept::NamesNoPartner,
            }
        })?;
        let mut keys = Vec::new();
        for partner in named {
            let parts = partner.last_parts();
            keys.extend(parts.iter().map(|part| self.ask.pairing.key_of_whole(part)));
            let path = Path::new(&partner.0);
            let is_anywhere = path.is_absolute() && is_present(path.symlink_metadata())?;
            let below = |root: &Root| what_is_at(root, partner.0.as_bytes()).map_err(|_| Kept::Unread);
            let mut is_here = is_anywhere || keys.iter().any(|key| self.has(*key));
            if path.is_relative() {
                for root in self.ask.others {
                    is_here = is_here || below(root)?.is_some();
                }
            }
            if is_here {
                return Ok(Ok(()));
            }
        }
        Ok(Err(keys))
    }

    fn note(&self, folder: &[u8], name: &[u8], look: &Look) -> Sighting {
        let Ask { memory, rule, now, tells, .. } = self.ask;
        let file = Sighting::file(folder, name);
        let sighting = Sighting::after(memory.of(file), file, Sighting::stamp(look), now, rule.apart);
        lock(&self.alone).push(sighting);
        if tells {
            lock(&self.told).push(Orphan {
                path: joined(&[folder, name]),
                size: look.size,
                age: now.since(look.modified),
                known: sighting.since(now),
                looks: sighting.looks(),
                is_due: self.is_due(&sighting),
            });
        }
        sighting
    }

    /// Whether the next one found alone is looked up by name. What can move from folder to folder always is.
    fn looks_up(&self) -> bool {
        let Ask { pairing, others, .. } = self.ask;
        if others.len() > 1 || pairing.layout == Layout::Any {
            return true;
        }
        let so_far = lock(&self.alone).len();
        so_far < LOOKED_UP || so_far.is_multiple_of(ONE_IN)
    }

    fn is_due(&self, sighting: &Sighting) -> bool {
        let Rule { observations, only_reported, .. } = self.ask.rule;
        sighting.looks() >= observations && !only_reported
    }

    /// What is new in one more listing.
    fn list_more(&self, backwards: bool) -> Result<bool, Untold> {
        let listed = Hashes::of(self.list(backwards, &mut |_, _| Ok(()))?.keys);
        let is_new = listed.iter().any(|key| !self.has(key));
        if is_new {
            let mut more = self.more.write().unwrap_or_else(PoisonError::into_inner);
            *more = more.joined(&listed);
            self.has_more.store(true, Ordering::Relaxed);
        }
        Ok(is_new)
    }

    /// Lists the other side again until that brings nothing new. What was found by name must have been listed by
    /// then, or listings are not what is there. Answers whether there was anything new.
    fn list_until_still(&self) -> Result<bool, Untold> {
        let Ask { pairing, side, others: roots, .. } = self.ask;
        let mut listings = 0;
        while self.list_more(listings % 2 == 0)? {
            listings += 1;
            if listings == MOST_LISTINGS {
                return Err(Untold::of("files come and go faster than they can be listed".to_owned()));
            }
        }
        for (n, path) in lock(&self.late).iter() {
            let (folder, name) = parent_and_name(path);
            let mut is_listed = false;
            pairing.keys(side.other(), folder, name, &mut |key| is_listed = is_listed || self.has(key));
            if !is_listed && what_is_at(&roots[*n], path).is_ok_and(|kind| kind.is_some()) {
                let path = printable(&joined(&[roots[*n].path().as_os_str().as_bytes(), path]));
                return Err(Untold::of(format!(
                    "{path} is there and was not listed: listings are cut short"
                )));
            }
        }
        Ok(listings > 0)
    }

    /// Whether something that has come since belongs to a file, which takes a listing from time to time.
    fn has_come(&self, folder: &[u8], name: &[u8]) -> Result<bool, Untold> {
        let listed = lock(&self.listed);
        let is_due = listed.is_some_and(|(at, took)| at.elapsed() > (took * PAUSES).max(LEAST_PAUSE));
        drop(listed);
        if is_due {
            self.list_more(false)?;
        }
        if !self.has_more.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let Ask { pairing, side, .. } = self.ask;
        let file = Sighting::file(folder, name);
        let named = lock(&self.named);
        let first = named.partition_point(|(named, _)| *named < file);
        let its = named[first..].iter().take_while(|(named, _)| *named == file);
        let mut has_come = its.map(|(_, key)| *key).any(|key| self.has(key));
        drop(named);
        pairing.keys(side, folder, name, &mut |key| has_come = has_come || self.has(key));
        Ok(has_come)
    }
}

impl Ties for Orphans<'_> {
    fn begin(&self) -> Result<(), Untold> {
        *lock(&self.begun) = Some(Instant::now());
        lock(&self.alone).clear();
        lock(&self.told).clear();
        lock(&self.late).clear();
        lock(&self.mute).clear();
        lock(&self.named).clear();
        *lock(&self.few) = Some(Only::default());
        self.beside.store(0, Ordering::Relaxed);
        if self.others.get().is_none() && !self.is_beside() {
            // Nobody else sets it.
            let _ = self.others.set(self.list_others()?);
        }
        Ok(())
    }

    fn is_beside(&self) -> bool {
        self.ask.is_beside && matches!(self.ask.pairing.by, By::Names(_))
    }

    fn gather(&self, folder: &[u8], name: &[u8], keys: &mut Vec<u64>) {
        let Ask { pairing, side, .. } = self.ask;
        if side == Side::Partner && !pairing.is_of(Side::Metadata, folder, name) {
            return;
        }
        if pairing.keys(side.other(), folder, name, &mut |key| keys.push(key)) {
            self.is_odd.store(true, Ordering::Relaxed);
        }
    }

    fn gathered(&self, keys: u64) {
        self.beside.fetch_add(keys, Ordering::Relaxed);
    }

    fn keeps(&self, folder: &[u8], name: &[u8], beside: &[u64]) -> Option<Kept> {
        let Ask { pairing, side, .. } = self.ask;
        let mut has_other = false;
        let is_named = matches!((side, &pairing.by), (Side::Metadata, By::Field(_)));
        let is_foreign = || side == Side::Partner && pairing.others_of(side, folder, name).is_empty();
        if !is_named {
            let mut look = |key| has_other = has_other || beside.binary_search(&key).is_ok() || self.has(key);
            pairing.keys(side, folder, name, &mut look);
        }
        if has_other {
            Some(Kept::HasPartner)
        } else {
            // What none of this metadata could belong to has its own somewhere else, or needs none.
            (matches!(pairing.by, By::Names(_)) && is_foreign()).then_some(Kept::Foreign)
        }
    }

    fn judge(&self, folder: &Folder, name: &CStr, look: &Look, signs: bool) -> Result<Condemned, Kept> {
        let Ask { pairing, side, .. } = self.ask;
        let (place, bytes) = (folder.path(), name.to_bytes());
        let mut named = Vec::new();
        if let (Side::Metadata, By::Field(field)) = (side, &pairing.by) {
            match self.find_named(field, folder, name)? {
                Ok(()) => return Err(Kept::HasPartner),
                Err(keys) => named = keys,
            }
        } else if self.looks_up() {
            match self.find_other(place, bytes) {
                Found::Nowhere => {}
                Found::CannotTell => return Err(Kept::Unread),
                Found::At(n, path, kind) => {
                    let mut late = lock(&self.late);
                    // Names of folders are not listed.
                    if late.len() < LATE && kind != Kind::Folder {
                        late.push((n, path));
                    }
                    return Err(Kept::HasPartner);
                }
            }
        }
        let sighting = self.note(place, bytes, look);
        if self.is_due(&sighting) {
            lock(&self.named).extend(named.into_iter().map(|key| (sighting.place(), key)));
        }
        if self.is_due(&sighting) {
            let mut few = lock(&self.few);
            if let Some(names) = few.as_mut() {
                names.push(place, name, look.inode, signs);
            }
            if few.as_ref().is_some_and(|names| names.bytes() > MOST_NAMES) {
                *few = None;
            }
            Ok(Condemned::Orphaned { since: sighting.since(self.ask.now) })
        } else {
            Err(if self.ask.rule.only_reported { Kept::Reported } else { Kept::Waiting })
        }
    }

    fn confirm(&self, unread: &Errors) -> Result<bool, Untold> {
        if self.is_beside() {
            if let Some(error) = unread.iter().next() {
                let why = format!("not all of it could be seen: {}: {}", error, error.source);
                return Err(Untold::of(why));
            }
            // The survey may be the second one; the first has said the same.
            let _ = self.others.set(self.gathered_others()?);
        }
        let Some(others) = self.others.get() else { return Ok(false) };
        let orphans = lock(&self.alone).len() as u64;
        if orphans > 0 && others.files == 0 && !self.ask.rule.is_forced {
            let places: Vec<String> = self.ask.others.iter().map(Root::shown).collect();
            let why = format!(
                "nothing that {} could belong to lies in {}: that may be, or it is not what should be there",
                count(orphans, "file"),
                places.join(", ")
            );
            return Err(Untold { why, guard: Some(Guard::PARTNERS) });
        }
        // A name that leads to a file leads to it where it was when it was listed; elsewhere only listings tell.
        let is_doubtful = (orphans > 0 && !others.is_exact) || !lock(&self.late).is_empty();
        let is_first = !self.is_confirmed.swap(true, Ordering::Relaxed);
        if is_doubtful && is_first && self.list_until_still()? {
            return Ok(true);
        }
        lock(&self.named).sort_unstable();
        // Nobody else sets it.
        let due = lock(&self.alone).extract_if(.., |sighting| self.is_due(sighting)).collect();
        let _ = self.chosen.set(Chosen::of(due, lock(&self.few).take()));
        Ok(false)
    }

    fn only(&self) -> Option<&Only> {
        self.chosen.get()?.few.as_ref()
    }

    fn has_chosen(&self, folder: &[u8], name: &[u8]) -> bool {
        self.chosen.get().is_some_and(|chosen| chosen.files.has(Sighting::file(folder, name)))
    }

    fn chosen(&self, folder: &[u8], name: &[u8], look: &Look) -> Option<Condemned> {
        let sighting = self.chosen.get()?.of_file(Sighting::file(folder, name))?;
        sighting.is_of(look).then(|| Condemned::Orphaned { since: sighting.since(self.ask.now) })
    }

    fn holds(&self, folder: &[u8], name: &[u8]) -> Option<Kept> {
        match self.find_other(folder, name) {
            Found::Nowhere => match self.has_come(folder, name) {
                Ok(false) => None,
                Ok(true) => Some(Kept::HasPartner),
                Err(_) => Some(Kept::Unread),
            },
            Found::At(..) => Some(Kept::HasPartner),
            Found::CannotTell => Some(Kept::Unread),
        }
    }
}

impl Chosen {
    fn of(mut sightings: Vec<Sighting>, few: Option<Only>) -> Self {
        sightings.sort_unstable();
        Self { files: Hashes::of(sightings.iter().map(Sighting::place).collect()), sightings, few }
    }

    fn of_file(&self, file: u64) -> Option<&Sighting> {
        let at = self.sightings.binary_search_by_key(&file, Sighting::place).ok()?;
        self.sightings.get(at)
    }
}

/// What metadata names as its partner.
struct Named(String);

impl Named {
    /// The name without folders, in the ways in which whoever wrote it may have parted and written it.
    fn last_parts(&self) -> Vec<Vec<u8>> {
        let parts = ['/', '\\'].into_iter().filter_map(|separator| self.0.rsplit(separator).next());
        let mut all: Vec<Vec<u8>> = parts.map(|part| part.as_bytes().to_vec()).collect();
        for plain in all.clone() {
            let asked = plain.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(plain.len());
            all.push(unescaped(&plain[..asked]));
        }
        all.retain(|part| !part.is_empty());
        all.dedup();
        all
    }

    /// Whether it can be the name of a file at all.
    fn is_one(&self) -> bool {
        let last = self.0.rsplit(['/', '\\']).next().unwrap_or_default();
        !matches!(last, "" | "." | "..") && last.trim() == last && !last.contains(char::is_control)
    }
}

/// With `%2e` and its like as the bytes that they stand for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    plain
}

/// What metadata names as its partners.
fn names_in(field: &Field, folder: &Folder, name: &CStr) -> Result<Vec<Named>, NoName> {
    let (file, look) = folder.open_file(name).map_err(NoName::Unread)?;
    if look.kind != Kind::File {
        return Err(NoName::NoJson);
    }
    let names: Vec<Named> = field.read(file.take(LONGEST_DOCUMENT))?.into_iter().map(Named).collect();
    if names.iter().all(Named::is_one) { Ok(names) } else { Err(NoName::NotNamed) }
}

/// What is at a path below a root.
fn what_is_at(root: &Root, path: &[u8]) -> io::Result<Option<Kind>> {
    let Ok(path) = CString::new(path) else { return Ok(None) };
    match root.top().look(&path) {
        Ok(look) => Ok(Some(look.kind)),
        Err(error) if says_nothing_is_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_present<T>(looked: io::Result<T>) -> Result<bool, Kept> {
    match looked {
        Ok(_) => Ok(true),
        Err(error) if says_nothing_is_there(&error) => Ok(false),
        Err(_) => Err(Kept::Unread),
    }
}

fn says_nothing_is_there(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    // A path with a NUL is none.
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
}

fn known_of(root: &Root, partners: u64, now: Timestamp) -> Result<Known, String> {
    let mount = Mount::of(root)
        .map_err(|error| format!("on which filesystem {} lies cannot be told: {error}", root.shown()))?;
    Ok(Known {
        path: root.shown(),
        partners,
        at: now.seconds,
        mounted: shown_path(&mount.point),
        filesystem: mount.uuid().map(|uuid| uuid.to_string()).unwrap_or_default(),
        inode: if mount.has_lasting_inodes() { root.top().inode() } else { 0 },
    })
}

/// What is not any more as it was in a way that empties folders without anybody having emptied them.
fn unlike(before: &Known, now: &Known) -> Option<String> {
    let path = &now.path;
    if before.mounted != now.mounted {
        return Some(format!(
            "{path} lies on what is mounted at {}, and lay on what is mounted at {}",
            now.mounted, before.mounted
        ));
    }
    let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
    if differ(&before.filesystem, &now.filesystem) {
        return Some(format!(
            "{path} lies on another filesystem ({}) than before ({})",
            now.filesystem, before.filesystem
        ));
    }
    if before.inode != 0 && now.inode != 0 && before.inode != now.inode {
        return Some(format!("{path} is another folder than at the last clean look"));
    }
    let ago = Timestamp::from_seconds(now.at).since(Timestamp::from_seconds(before.at)).roughly();
    (now.partners == 0 && before.partners > 0).then(|| {
        let all = if before.partners == 1 {
            "the one".to_owned()
        } else {
            format!("the {}", grouped(before.partners))
        };
        format!("{path} holds none of {all} that it held at the last clean look, {ago} before")
    })
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
