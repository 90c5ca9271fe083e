//! Finishing what a killed run had begun: its claims, and the folders it emptied.

use super::Ledger;
use crate::{
    fs::{Claims, Finished, Lock, Root, parent_and_name, remove_if_empty},
    spare::InUse,
};
use std::ffi::CString;

/// What was left of a killed run, and what became of it.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Claims that were finished or put back.
    pub claims: Finished,
    /// Folders that it had emptied and that are gone now.
    pub folders: u64,
}

/// Deals with what a killed run left below `root`.
pub fn recover(
    root: &Root,
    lock: &Lock,
    claims: Option<&Claims>,
    empty_folders: bool,
    in_use: &InUse,
    ledger: &dyn Ledger,
) -> Recovered {
    let warrant = lock.warrant();
    let finish = |claims: &Claims| {
        let spares = |look: &_| in_use.keeps(look).is_some();
        claims.finish(warrant, root, &spares, &|folder, name, look| ledger.recovered(folder, name, look))
    };
    let claims = claims.map(finish).unwrap_or_default();
    let folders = if empty_folders { fold_up(root, lock, lock.left_behind(), ledger) } else { 0 };
    Recovered { claims, folders }
}

/// Takes away those of some folders that are empty now, and what goes empty above them; answers how many.
pub(super) fn fold_up<'f>(
    root: &Root,
    lock: &Lock,
    folders: impl Iterator<Item = &'f [u8]>,
    ledger: &dyn Ledger,
) -> u64 {
    let mut folders: Vec<&[u8]> = folders.collect();
    // Those deeper down first.
    folders.sort_unstable_by_key(|folder| std::cmp::Reverse(folder.len()));
    let mut count = 0;
    for left in folders {
        // With it the folder above may have gone empty, and so on up.
        let mut gone = None;
        let mut folder = left;
        while !folder.is_empty() && remove_if_empty(lock.warrant(), root, folder) {
            count += 1;
            gone = Some(folder);
            folder = parent_and_name(folder).0;
        }
        if let Some(gone) = gone {
            let (parent, name) = parent_and_name(gone);
            if let Ok(name) = CString::new(name) {
                ledger.folders_removed(parent, &name, 1);
            }
        }
    }
    count
}
