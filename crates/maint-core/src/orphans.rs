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
mod named;
mod others;
mod pairing;

pub use field::Field;
pub use memory::{Known, Memory};
pub use pairing::{By, Layout, Pairing, PartnerName, Side};

use crate::{
    entry::{Kind, Look},
    fs::{Folder, Only, Root, Workers},
    plan::Guard,
    prune::{Errors, Ties, Untold},
    retention::{Condemned, Kept},
    text::{count, joined},
    time::Timestamp,
    units::Span,
};
use field::NoName;
use hashes::Hashes;
use memory::Sighting;
use named::{Named, names_in};
use others::{Others, says_nothing_is_there, what_is_at};
use std::{
    collections::HashMap,
    ffi::CStr,
    io,
    path::Path,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What is asked of an orphan before it goes.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// So many looks; one in an emergency.
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
    others: Others<'a>,
    /// When the survey began.
    begun: Mutex<Option<Instant>>,
    alone: Mutex<Vec<Sighting>>,
    /// Those of them that may go, by name, as long as they are few.
    few: Mutex<Option<Only>>,
    /// By what keys their partners are known: file and key.
    keys: Mutex<Vec<(u64, u64)>>,
    /// What those of them that may go name as their partners.
    named: Mutex<HashMap<u64, Vec<Named>>>,
    /// Folders of the survey in which other runs have claims.
    private: Mutex<Vec<Vec<u8>>>,
    surveys: AtomicU64,
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

/// What the survey let go, by file.
struct Chosen {
    files: Hashes,
    sightings: Vec<Sighting>,
    few: Option<Only>,
    keys: Vec<(u64, u64)>,
    named: HashMap<u64, Vec<Named>>,
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

/// Where partners keep coming, what has come is struck out, and not surveyed anew for ever.
const MOST_SURVEYS: u64 = 3;

/// So many of what says nothing are told.
const MUTE: usize = 3;

impl<'a> Orphans<'a> {
    /// A look that has not begun.
    pub fn new(ask: Ask<'a>) -> Self {
        Self {
            ask,
            others: Others::new(ask),
            begun: Mutex::default(),
            alone: Mutex::default(),
            few: Mutex::default(),
            keys: Mutex::default(),
            named: Mutex::default(),
            private: Mutex::default(),
            surveys: AtomicU64::new(0),
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
    pub fn memory(&self, run: &str, rules: &str, gone: u64) -> Option<Memory> {
        let (chosen, others) = self.chosen.get().zip(self.others.first())?;
        let mut left = std::mem::take(&mut *lock(&self.alone));
        // Of some that stayed nobody knows here which, and to remember one that went costs little.
        if gone < chosen.sightings.len() as u64 {
            left.extend_from_slice(&chosen.sightings);
        }
        Some(Memory::new(run.to_owned(), rules.to_owned(), others.known.clone(), left))
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

    /// Looks for what belongs to a file by name, in the folders of the other side one after the other and back:
    /// what moves from one to another meanwhile is met on the way back.
    fn find_other(&self, folder: &[u8], names: &[Vec<u8>]) -> Found {
        let Ask { pairing, others: roots, .. } = self.ask;
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

    /// What metadata names.
    fn read_names(&self, field: &Field, folder: &Folder, name: &CStr) -> Result<Vec<Named>, Kept> {
        names_in(field, folder, name).map_err(|why| {
            let mut mute = lock(&self.mute);
            if mute.len() < MUTE {
                mute.push(joined(&[folder.path(), name.to_bytes()]));
            }
            match why {
                NoName::Unread(_) => Kept::Unread,
                NoName::NoJson => Kept::NoJson,
                NoName::NotNamed => Kept::NamesNoPartner,
            }
        })
    }

    fn keys_of_named(&self, named: &[Named]) -> Vec<u64> {
        let parts = named.iter().flat_map(Named::last_parts);
        parts.map(|part| self.ask.pairing.key_of_whole(&part)).collect()
    }

    /// Whether any of what was named is there: as it was listed, at the path that was named, or by its name where
    /// it might lie.
    fn find_named(&self, folder: &[u8], named: &[Named]) -> Result<bool, Kept> {
        if self.keys_of_named(named).into_iter().any(|key| self.others.has(key)) {
            return Ok(true);
        }
        for partner in named {
            let path = Path::new(&partner.0);
            if path.is_absolute() && is_present(path.symlink_metadata())? {
                return Ok(true);
            }
            let mut names = partner.last_parts();
            names.extend(path.is_relative().then(|| partner.0.clone().into_bytes()));
            match self.find_other(folder, &names) {
                Found::Nowhere => {}
                Found::At(..) => return Ok(true),
                Found::CannotTell => return Err(Kept::Unread),
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
                looks: memory.looks_at(file, Sighting::stamp(look)),
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

    /// Whether anything by which the partner of a file is known is there by now; the keys are in order.
    fn has_any_of(&self, keys: &[(u64, u64)], file: u64) -> bool {
        let first = keys.partition_point(|(known, _)| *known < file);
        keys[first..].iter().take_while(|(known, _)| *known == file).any(|(_, key)| self.others.has(*key))
    }

    /// Strikes out whatever has its partner after all; answers whether anything had.
    fn strike(&self) -> bool {
        let mut keys = lock(&self.keys);
        keys.sort_unstable();
        let mut alone = lock(&self.alone);
        let before = alone.len();
        alone.retain(|sighting| !self.has_any_of(&keys, sighting.place()));
        alone.len() < before
    }
}

impl Ties for Orphans<'_> {
    fn begin(&self) -> Result<(), Untold> {
        *lock(&self.begun) = Some(Instant::now());
        lock(&self.alone).clear();
        lock(&self.told).clear();
        lock(&self.late).clear();
        lock(&self.mute).clear();
        lock(&self.keys).clear();
        lock(&self.named).clear();
        lock(&self.private).clear();
        *lock(&self.few) = Some(Only::default());
        self.beside.store(0, Ordering::Relaxed);
        if self.is_beside() { Ok(()) } else { self.others.list_first() }
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

    fn private(&self, folder: &[u8]) {
        if !folder.is_empty() {
            lock(&self.private).push(folder.to_vec());
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
            let mut look =
                |key| has_other = has_other || beside.binary_search(&key).is_ok() || self.others.has(key);
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
            named = self.read_names(field, folder, name)?;
            if self.find_named(place, &named)? {
                return Err(Kept::HasPartner);
            }
        } else if self.looks_up() {
            match self.find_other(place, &pairing.others_of(side, place, bytes)) {
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
        let file = sighting.place();
        if !self.is_beside() {
            let mut keys = lock(&self.keys);
            keys.extend(self.keys_of_named(&named).into_iter().map(|key| (file, key)));
            pairing.keys(side, place, bytes, &mut |key| keys.push((file, key)));
        }
        if self.is_due(&sighting) {
            if !named.is_empty() {
                lock(&self.named).insert(file, named);
            }
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
            let took = lock(&self.begun).map_or(Duration::ZERO, |begun| begun.elapsed());
            let (files, is_odd) = (self.beside.load(Ordering::Relaxed), self.is_odd.load(Ordering::Relaxed));
            if self.others.gathered(files, is_odd, &lock(&self.private), took)? {
                return Ok(true);
            }
        }
        let surveys = self.surveys.fetch_add(1, Ordering::Relaxed);
        let Some(others) = self.others.first() else { return Ok(false) };
        let orphans = lock(&self.alone).len() as u64;
        let is_right = others.known.iter().all(|known| known.is_rightly_empty);
        if orphans > 0 && others.files == 0 && !is_right {
            let places: Vec<String> = self.ask.others.iter().map(Root::shown).collect();
            let why = format!(
                "nothing that {} could belong to lies in {}: that may be, or it is not what should be there",
                count(orphans, "file"),
                places.join(", ")
            );
            return Err(Untold { why, guard: Some(Guard::PARTNERS) });
        }
        // Beside, a name leads to its one place. Elsewhere files move, and only listings after the survey tell.
        let is_doubtful = (orphans > 0 && !others.is_exact) || !lock(&self.late).is_empty();
        if is_doubtful && (surveys == 0 || !self.is_beside()) {
            let is_more = self.others.list_until_still(&lock(&self.late))?;
            let is_struck = if self.is_beside() { is_more } else { self.strike() };
            if is_struck && surveys < MOST_SURVEYS {
                return Ok(true);
            }
        }
        // Nobody else sets it.
        let mut sightings: Vec<Sighting> =
            lock(&self.alone).extract_if(.., |sighting| self.is_due(sighting)).collect();
        sightings.sort_unstable();
        let _ = self.chosen.set(Chosen {
            files: Hashes::of(sightings.iter().map(Sighting::place).collect()),
            sightings,
            few: lock(&self.few).take(),
            keys: std::mem::take(&mut lock(&self.keys)),
            named: std::mem::take(&mut lock(&self.named)),
        });
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
        let Ask { pairing, side, .. } = self.ask;
        let file = Sighting::file(folder, name);
        let Some(chosen) = self.chosen.get().filter(|_| self.others.keep_up().is_ok()) else {
            return Some(Kept::Unread);
        };
        let mut has_come = self.has_any_of(&chosen.keys, file);
        if self.is_beside() {
            pairing.keys(side, folder, name, &mut |key| has_come = has_come || self.others.has(key));
        }
        if has_come {
            return Some(Kept::HasPartner);
        }
        if let Some(named) = chosen.named.get(&file) {
            return match self.find_named(folder, named) {
                Ok(is_there) => is_there.then_some(Kept::HasPartner),
                Err(why) => Some(why),
            };
        }
        let mut names = pairing.others_of(side, folder, name);
        names.extend(Pairing::in_other_cases(&names));
        match self.find_other(folder, &names) {
            Found::Nowhere => None,
            Found::At(..) => Some(Kept::HasPartner),
            Found::CannotTell => Some(Kept::Unread),
        }
    }
}

impl Chosen {
    fn of_file(&self, file: u64) -> Option<&Sighting> {
        let at = self.sightings.binary_search_by_key(&file, Sighting::place).ok()?;
        self.sightings.get(at)
    }
}

fn is_present<T>(looked: io::Result<T>) -> Result<bool, Kept> {
    match looked {
        Ok(_) => Ok(true),
        Err(error) if says_nothing_is_there(&error) => Ok(false),
        Err(_) => Err(Kept::Unread),
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
