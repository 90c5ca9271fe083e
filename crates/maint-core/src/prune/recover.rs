//! Finishing what a killed run had begun: its claims, and the folders it emptied.

use crate::fs::{Claims, Finished, Lock, Root, remove_if_empty};

/// What was left of a killed run, and what became of it.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Claims that were finished or put back.
    pub claims: Finished,
    /// Folders that it had emptied and that are gone now.
    pub folders: u64,
}

/// Deals with what a killed run left below `root`.
pub fn recover(root: &Root, lock: &Lock, claims: Option<&Claims>, empty_folders: bool) -> Recovered {
    let claims = claims.map(|claims| claims.finish(lock.warrant(), root)).unwrap_or_default();
    let left = lock.left_behind().filter(|_| empty_folders);
    let folders = left.filter(|folder| remove_if_empty(lock.warrant(), root, folder)).count() as u64;
    Recovered { claims, folders }
}
