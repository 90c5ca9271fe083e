//! Touching files: everything below a root goes by handle, never by path.
//!
//! ```text
//! Root ── opened once, its way checked ──▶ Folder ── openat2(BENEATH) ──▶ Folder …
//!                                            │ look (statx)   list (getdents)
//! Lock ──▶ Warrant ──▶ claim (renameat2) ──▶ remove (unlinkat)
//! ```
//!
//! Reading functions need a handle; changing ones a [`Warrant`] too, which only a held lock issues.

mod ballast;
mod claim;
mod depot;
mod folder;
mod held;
mod landing;
mod lock;
mod mounted;
mod names;
mod remove;
mod replace;
mod root;
mod scratch;
mod shelf;
mod transfer;
mod usage;
mod walk;

pub use ballast::Ballast;
pub use claim::{ClaimHand, Claimed, Claims, Finished, Gone, Grip, Place, Spares, Then};
pub use depot::{Depot, StaysError, Unfinished, replace_durably};
pub use folder::{Folder, PRIVATE_FOLDER};
pub use held::{HeldOpen, HeldOpenError, Holder, Locked};
pub use landing::{Landing, Unnamed};
pub use lock::{Lock, LockError, Warrant, lock_file};
pub use mounted::{Mount, Uuid, UuidError};
pub(crate) use remove::remove_if_empty;
pub use remove::{Taken, remove_empty_folder, remove_unclaimed};
pub use replace::replace_file;
pub use root::{Borders, Root, RootError};
pub use scratch::ScratchFolder;
pub use shelf::ArchivePlace;
pub use transfer::{Arriving, Destination, Original, StageError, Staged};
pub(crate) use transfer::{attributes, have_same_content};
pub use usage::{Inodes, Usage};
pub use walk::{Block, Only, Skipped, Visitor, Walk, Workers};

use crate::text::{joined, printable};

/// An operation that failed, with the path it was for.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}")]
pub struct FsError {
    /// What was tried, as a verb.
    pub operation: &'static str,
    /// Where, safe to print.
    pub path: String,
    /// What the system answered.
    #[source]
    pub source: std::io::Error,
}

impl FsError {
    /// A failure at `name` in the folder `folder`; either may be empty.
    pub fn new(
        operation: &'static str,
        folder: &[u8],
        name: &[u8],
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self { operation, path: printable(&joined(&[folder, name])), source: source.into() }
    }
}

/// A path below a root in the folder and the last name.
pub(crate) fn parent_and_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}
