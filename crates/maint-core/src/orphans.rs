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
    fs::{Folder, Mount, Only, Root, Workers},
    plan::Guard,
    prune::{Errors, Ties, Untold},
    retention::{Condemned, Kept},
    text::{count, grouped, joined, shown_path},
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
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
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
    /// The other side once more, where a file of it may have moved meanwhile.
    again: OnceLock<Hashes>,
    alone: Mutex<Vec<Sighting>>,
    /// Those of them that may go, by name, as long as they are few.
    few: Mutex<Option<Only>>,
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
    At(usize, Vec<u8>),
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
            again: OnceLock::new(),
            alone: Mutex::default(),
            few: Mutex::default(),
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
        self.chosen.get().map(|_| lock(&self.alone).len() as u64)
    }

    /// What is to be remembered; `None` for a look that did not come to its end, which is none.
    pub fn memory(&self) -> Option<Memory> {
        let (_, others) = self.chosen.get().zip(self.others.get())?;
        Some(Memory::new(others.known.clone(), lock(&self.alone).clone()))
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
        Listing { pairing, side: side.other(), roots: others, workers, stop }
    }

    fn list_others(&self) -> Result<Others, Untold> {
        let Ask { pairing, side, others: roots, .. } = self.ask;
        let listing = self.listing();
        let mut all = Listed::default();
        let mut known = Vec::new();
        for root in roots {
            let listed = listing.list(root).map_err(Untold::of)?;
            known.push(self.known(root, listed.files)?);
            all.add(listed);
        }
        let is_exact =
            pairing.is_exact(side) && !all.is_odd && (pairing.layout == Layout::Same || !all.is_deep);
        Ok(Others { keys: Hashes::of(all.keys), files: all.files, is_exact, known })
    }

    /// The other side as it was gathered beside the files.
    fn gathered_others(&self) -> Result<Others, Untold> {
        let Ask { pairing, side, others: roots, .. } = self.ask;
        let files = self.beside.load(Ordering::Relaxed);
        let mut known = Vec::new();
        for root in roots {
            known.push(self.known(root, files)?);
        }
        let is_exact = pairing.is_exact(side) && !self.is_odd.load(Ordering::Relaxed);
        Ok(Others { keys: Hashes::default(), files, is_exact, known })
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
            || self.again.get().is_some_and(|again| again.has(key))
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
                match is_there(&roots[n], &path) {
                    Ok(true) => return Found::At(n, path),
                    Ok(false) => {}
                    Err(_) => return Found::CannotTell,
                }
            }
        }
        Found::Nowhere
    }

    /// Whether what metadata names is there.
    fn has_named(&self, field: &Field, folder: &Folder, name: &CStr) -> Result<bool, Kept> {
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
        for partner in named {
            if partner.last_parts().any(|part| self.has(self.ask.pairing.key_of_whole(part))) {
                return Ok(true);
            }
            let path = Path::new(&partner.0);
            let anywhere = path.is_absolute() && path.symlink_metadata().is_ok();
            let below = |root: &Root| is_there(root, partner.0.as_bytes()).map_err(|_| Kept::Unread);
            if anywhere || (path.is_relative() && any(self.ask.others, below)?) {
                return Ok(true);
            }
        }
        Ok(false)
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

    /// Lists the other side once more, from the other end. What was found by name must be in that listing, or
    /// the listing is not what is there. Answers whether anything is in it that was not in the first.
    fn list_again(&self, others: &Others) -> Result<bool, Untold> {
        let Ask { pairing, side, others: roots, .. } = self.ask;
        let listing = self.listing();
        let mut keys = Vec::new();
        for root in roots.iter().rev() {
            keys.extend(listing.list(root).map_err(Untold::of)?.keys);
        }
        let again = Hashes::of(keys);
        for (n, path) in lock(&self.late).iter() {
            let (folder, name) = crate::fs::parent_and_name(path);
            let mut is_listed = false;
            pairing.keys(side.other(), folder, name, &mut |key| is_listed |= again.has(key));
            if !is_listed && is_there(&roots[*n], path).unwrap_or(true) {
                let path = joined(&[roots[*n].path().as_os_str().as_bytes(), path]);
                let path = crate::text::printable(&path);
                return Err(Untold::of(format!(
                    "{path} is there and was not listed: listings are cut short"
                )));
            }
        }
        let is_more = again.iter().any(|key| !others.keys.has(key));
        // Nobody else sets it.
        let _ = self.again.set(again);
        Ok(is_more)
    }
}

impl Ties for Orphans<'_> {
    fn begin(&self) -> Result<(), Untold> {
        lock(&self.alone).clear();
        lock(&self.told).clear();
        lock(&self.late).clear();
        lock(&self.mute).clear();
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
        if !is_named {
            let mut look = |key| has_other = has_other || beside.binary_search(&key).is_ok() || self.has(key);
            pairing.keys(side, folder, name, &mut look);
        }
        has_other.then_some(Kept::HasPartner)
    }

    fn judge(&self, folder: &Folder, name: &CStr, look: &Look, signs: bool) -> Result<Condemned, Kept> {
        let Ask { pairing, side, .. } = self.ask;
        let (place, bytes) = (folder.path(), name.to_bytes());
        if let (Side::Metadata, By::Field(field)) = (side, &pairing.by) {
            if self.has_named(field, folder, name)? {
                return Err(Kept::HasPartner);
            }
        } else if self.looks_up() {
            match self.find_other(place, bytes) {
                Found::Nowhere => {}
                Found::CannotTell => return Err(Kept::Unread),
                Found::At(n, path) => {
                    let mut late = lock(&self.late);
                    if late.len() < LATE {
                        late.push((n, path));
                    }
                    return Err(Kept::HasPartner);
                }
            }
        }
        let sighting = self.note(place, bytes, look);
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
        let alone = lock(&self.alone);
        let due: Vec<Sighting> = alone.iter().filter(|sighting| self.is_due(sighting)).copied().collect();
        let orphans = alone.len() as u64;
        drop(alone);
        if orphans > 0 && others.files == 0 && !self.ask.rule.is_forced {
            let places: Vec<String> = self.ask.others.iter().map(Root::shown).collect();
            let why = format!(
                "nothing that {} could belong to lies in {}: that may be, or it is not what should be there",
                count(orphans, "file"),
                places.join(", ")
            );
            return Err(Untold { why, guard: Some(Guard::PARTNERS) });
        }
        let may_have_moved = !due.is_empty() && !others.is_exact;
        let is_doubtful = may_have_moved || !lock(&self.late).is_empty();
        if is_doubtful && self.again.get().is_none() && self.list_again(others)? && may_have_moved {
            return Ok(true);
        }
        // Nobody else sets it.
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
            Found::Nowhere => None,
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
    /// The name without folders; who wrote it may have parted them in another way than we do.
    fn last_parts(&self) -> impl Iterator<Item = &[u8]> {
        let parts = ['/', '\\'].into_iter().filter_map(|separator| self.0.rsplit(separator).next());
        parts.filter(|part| !part.is_empty()).map(str::as_bytes)
    }
}

/// What metadata names as its partners.
fn names_in(field: &Field, folder: &Folder, name: &CStr) -> Result<Vec<Named>, NoName> {
    let (file, look) = folder.open_file(name).map_err(NoName::Unread)?;
    if look.kind != Kind::File {
        return Err(NoName::NoJson);
    }
    let names = field.read(file.take(LONGEST_DOCUMENT))?;
    let names_nothing = |name: &String| matches!(name.rsplit('/').next(), None | Some("" | "." | ".."));
    if names.iter().any(names_nothing) {
        return Err(NoName::NotNamed);
    }
    Ok(names.into_iter().map(Named).collect())
}

/// Whether a path below a root is there, whatever it is.
fn is_there(root: &Root, path: &[u8]) -> io::Result<bool> {
    let Ok(path) = CString::new(path) else { return Ok(false) };
    let cannot_be = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::InvalidFilename];
    match root.top().look(&path) {
        Ok(_) => Ok(true),
        Err(error) if cannot_be.contains(&error.kind()) => Ok(false),
        Err(error) => Err(error),
    }
}

fn any<E>(roots: &[Root], is_so: impl Fn(&Root) -> Result<bool, E>) -> Result<bool, E> {
    for root in roots {
        if is_so(root)? {
            return Ok(true);
        }
    }
    Ok(false)
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
    (now.partners == 0 && before.partners > 0).then(|| {
        let all = if before.partners == 1 {
            "the one".to_owned()
        } else {
            format!("the {}", grouped(before.partners))
        };
        format!("{path} holds none of {all} that it held at the last look")
    })
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
