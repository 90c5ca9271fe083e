//! The two walks of a target: [`look_over`] reads and remembers little; [`carry_out`] looks at each
//! entry afresh, judges it by the approved plan, and shows or removes it.

mod act;
mod look;
mod recover;

pub use act::{Act, Batch, CarryOut, Doomed, Fate, Ledger, LedgerError, Outcome, carry_out};
pub use look::{LookOver, Looked, look_over};
pub use recover::{Recovered, recover};

use crate::{
    entry::Look,
    fs::{Block, Folder, FsError},
};
use std::{
    ffi::CStr,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

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

    /// A second walk begins.
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

/// Looks at every name of a block; what has gone by now is no concern. Answers how many were seen.
fn look_at_each<'b>(
    folder: &Folder,
    block: Block<'b>,
    errors: &mut Errors,
    mut each: impl FnMut(&'b CStr, u16, Look),
) -> u64 {
    let mut seen = 0;
    for (name, pattern) in block.iter() {
        match folder.look(name) {
            Ok(look) => {
                seen += 1;
                each(name, pattern, look);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => errors.push(FsError::new("look at", folder.path(), name.to_bytes(), error)),
        }
    }
    seen
}
