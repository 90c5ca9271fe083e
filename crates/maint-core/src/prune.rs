//! The walks of a target: [`rank`] compares where the policy asks for it, [`look_over`] counts, and
//! [`carry_out`] looks at each entry afresh, judges it by the approved plan, and shows it or lets it go.

mod act;
mod archive;
mod leave;
mod look;
mod recover;

pub use act::{Act, Batch, CarryOut, Doomed, Fate, Halt, Ledger, LedgerError, Outcome, carry_out};
pub use archive::Archive;
pub use leave::Leave;
pub use look::{Looked, look_over, rank};
use recover::fold_up;
pub use recover::{Recovered, recover};

use crate::{
    entry::{Entry, Look, Subject},
    fs::{Block, Folder, FsError, Only, Root, Workers},
    retention::{Condemned, Kept, Rules},
    select::{Named, Select},
    spare::Spare,
};
use std::{
    ffi::CStr,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

/// Where the walks of a target go and what they heed.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Where.
    pub root: &'a Root,
    /// Which names.
    pub select: &'a Select,
    /// What is in use.
    pub spare: &'a Spare,
    /// With how many threads.
    pub workers: Workers,
    /// When to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Who watches.
    pub progress: &'a Progress,
    /// What else has a say.
    pub ties: Option<&'a dyn Ties>,
}

/// What a file belongs to, where that decides whether it goes: asked of what the rules let go.
pub trait Ties: Sync {
    /// A survey begins: the other side is looked at. An error says why nothing can be told.
    fn begin(&self) -> Result<(), Untold>;
    /// Whether the other side lies in the very folders that are surveyed.
    fn is_beside(&self) -> bool;
    /// What a name of the survey says of the other side, where it lies beside.
    fn gather(&self, folder: &[u8], name: &[u8], keys: &mut Vec<u64>);
    /// A folder that is surveyed holds a private one.
    fn private(&self, folder: &[u8]);
    /// A whole folder has said so much of the other side.
    fn gathered(&self, keys: u64);
    /// Why the name alone is enough to keep a file, in the survey; `beside` is what was gathered of its folder.
    fn keeps(&self, folder: &[u8], name: &[u8], beside: &[u64]) -> Option<Kept>;
    /// What becomes of a file that was looked at, in the survey; its folder may hold lock files.
    fn judge(&self, folder: &Folder, name: &CStr, look: &Look, signs: bool) -> Result<Condemned, Kept>;
    /// The survey has ended, and this could not be read. Answers whether it must be done again, with what has
    /// been learnt since.
    fn confirm(&self, unread: &Errors) -> Result<bool, Untold>;
    /// All that the survey let go, where it is little enough to be known by name.
    fn only(&self) -> Option<&Only>;
    /// Whether the survey let a file of this name go.
    fn has_chosen(&self, folder: &[u8], name: &[u8]) -> bool;
    /// Why the survey let this very file go, if it did.
    fn chosen(&self, folder: &[u8], name: &[u8], look: &Look) -> Option<Condemned>;
    /// Why a file stays after all, at the last moment.
    fn holds(&self, folder: &[u8], name: &[u8]) -> Option<Kept>;
}

/// Why nothing can be told of what files belong to.
#[derive(Debug)]
pub struct Untold {
    /// In words.
    pub why: String,
    /// The guard that can be lifted if that is right.
    pub guard: Option<&'static str>,
}

impl Untold {
    /// For a reason that nobody can lift.
    pub fn of(why: String) -> Self {
        Self { why, guard: None }
    }
}

/// How far a walk has come, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    scanned: AtomicU64,
    removed: AtomicU64,
}

impl Progress {
    /// Files looked at.
    pub fn scanned(&self) -> u64 {
        self.scanned.load(Ordering::Relaxed)
    }

    /// Files removed.
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    /// Another walk begins.
    pub fn begin_again(&self) {
        self.scanned.store(0, Ordering::Relaxed);
    }

    fn add(&self, scanned: u64, removed: u64) {
        self.scanned.fetch_add(scanned, Ordering::Relaxed);
        self.removed.fetch_add(removed, Ordering::Relaxed);
    }
}

/// Errors of a walk: the first are kept whole, the others counted, so that a million of them do not fill
/// the memory.
#[derive(Debug, Default)]
pub struct Errors {
    kept: Vec<FsError>,
    total: u64,
}

impl Errors {
    /// So many are told in full.
    pub const MOST: usize = 100;

    /// One more.
    pub fn push(&mut self, error: FsError) {
        self.total += 1;
        if self.kept.len() < Self::MOST {
            self.kept.push(error);
        }
    }

    /// Those of another worker, too.
    pub fn merge(&mut self, other: Self) {
        self.total += other.total;
        let room = Self::MOST.saturating_sub(self.kept.len());
        self.kept.extend(other.kept.into_iter().take(room));
    }

    /// Those of a list.
    pub fn of(list: Vec<FsError>) -> Self {
        Self { total: list.len() as u64, kept: list }
    }

    /// Those that were kept.
    pub fn iter(&self) -> impl Iterator<Item = &FsError> {
        self.kept.iter()
    }

    /// All there were.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// A file of a block and what the look at it found.
#[derive(Debug, Clone, Copy)]
struct Seen<'b> {
    name: &'b CStr,
    named: Named,
    look: Look,
}

/// Files of a block that are judged as one.
struct Together<'s, 'b> {
    /// The leader comes last.
    files: &'s [Seen<'b>],
    subject: Subject<'s>,
}

impl Scope<'_> {
    /// What the names of a bundle have in common; `None` when every file is alone.
    fn key<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let with = &self.select.with;
        (!with.is_empty()).then(|| with.key(name))
    }

    /// Looks at every name of a block but those that are `known`, by their place, and hands over what is judged
    /// together; what has gone by now is no concern. Answers how many files were seen.
    fn look_at_each<'b>(
        &self,
        rules: &Rules,
        folder: &Folder,
        block: Block<'b>,
        known: &[bool],
        errors: &mut Errors,
        mut each: impl FnMut(&Together<'_, 'b>),
    ) -> u64 {
        let mut seen = 0;
        let with = &self.select.with;
        let mut files: Vec<Seen<'b>> = Vec::with_capacity(4);
        let mut whole = true;
        let mut hand_over = |files: &mut Vec<Seen<'b>>, whole: &mut bool| {
            if *whole && let Some(subject) = subject_of(rules, folder, files) {
                each(&Together { files, subject });
            }
            files.clear();
            *whole = true;
        };
        let unknown = block.iter().enumerate().filter(|(n, _)| known.get(*n) != Some(&true));
        for (_, (name, code)) in unknown {
            let is_next = files.last().is_some_and(|last| {
                with.is_empty() || with.key(last.name.to_bytes()) != with.key(name.to_bytes())
            });
            if is_next {
                hand_over(&mut files, &mut whole);
            }
            match folder.look(name) {
                Ok(look) => {
                    seen += 1;
                    files.push(Seen { name, named: Named::of_code(code), look });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    // What is not known of one member is not known of its bundle.
                    whole = with.is_empty();
                    errors.push(FsError::new("look at", folder.path(), name.to_bytes(), error));
                }
            }
        }
        hand_over(&mut files, &mut whole);
        seen
    }
}

/// Puts the leader last and sums up; `None` when there is nothing to judge.
fn subject_of<'s, 'b: 's>(rules: &Rules, folder: &'s Folder, files: &mut [Seen<'b>]) -> Option<Subject<'s>> {
    let leads = |want: fn(Named) -> bool| files.iter().position(|seen| want(seen.named));
    let leader = leads(|named| matches!(named, Named::Wanted(_)))
        .or_else(|| leads(|named| matches!(named, Named::Either(_))))
        .or_else(|| leads(|named| matches!(named, Named::Excluded(_))))?;
    let last = files.len() - 1;
    files.swap(leader, last);
    let of = |seen: &Seen<'b>| {
        let entry = Entry { folder: folder.path(), name: seen.name.to_bytes(), look: seen.look };
        let mut subject = Subject::of(&entry, rules.time_of(entry.name, &entry.look));
        if let Named::Excluded(_) = seen.named {
            subject.obstacle = Some(Kept::Excluded);
        }
        subject
    };
    let (leader, companions) = files.split_last()?;
    let mut subject = of(leader);
    for companion in companions {
        subject.join(&of(companion));
    }
    Some(subject)
}
