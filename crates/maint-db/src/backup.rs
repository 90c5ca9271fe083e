//! What a backup is, and which of them stay. No I/O here.

mod keeping;
mod manifest;

pub use keeping::{Fate, Kept, Standing, Wish, decide};
pub use manifest::{BackedUp, FileEntry, Kind, MANIFEST, Manifest, Proof, SCHEMA, encoded};
