//! The other side: what listings tell of it, again and again, and whether it is what it was.

use super::{
    Ask,
    hashes::Hashes,
    listing::{Listed, Listing},
    lock,
    memory::Known,
};
use crate::{
    entry::Kind,
    fs::{Mount, Root, parent_and_name},
    plan::Guard,
    prune::Untold,
    text::{grouped, joined, printable, shown_path},
    time::Timestamp,
};
use std::{
    ffi::CString,
    io,
    os::unix::ffi::OsStrExt as _,
    sync::{
        Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// What is known of the other side.
pub(super) struct Others<'a> {
    ask: Ask<'a>,
    first: OnceLock<First>,
    /// What was found in later listings.
    more: RwLock<Hashes>,
    has_more: AtomicBool,
    /// When it was last listed, and how long that took.
    listed: Mutex<Option<(Instant, Duration)>>,
    /// It could not be listed any more.
    is_lost: AtomicBool,
}

/// What the first listing told.
pub(super) struct First {
    keys: Hashes,
    /// Possible partners.
    pub(super) files: u64,
    /// Whoever belongs to a file can be looked for by name.
    pub(super) is_exact: bool,
    pub(super) known: Vec<Known>,
}

/// Whatever still comes and goes after so many listings cannot be told from what is gone.
const MOST_LISTINGS: u32 = 8;

/// While files go the other side is listed from time to time, but takes no more than a twentieth of it.
const PAUSES: u32 = 20;
const LEAST_PAUSE: Duration = Duration::from_millis(250);

impl<'a> Others<'a> {
    pub(super) fn new(ask: Ask<'a>) -> Self {
        Self {
            ask,
            first: OnceLock::new(),
            more: RwLock::default(),
            has_more: AtomicBool::new(false),
            listed: Mutex::default(),
            is_lost: AtomicBool::new(false),
        }
    }

    pub(super) fn first(&self) -> Option<&First> {
        self.first.get()
    }

    /// Lists it, unless that has been done.
    pub(super) fn list_first(&self) -> Result<(), Untold> {
        if self.first.get().is_some() {
            return Ok(());
        }
        let mut known = Vec::new();
        let all = self.list(false, &mut |root, listed| {
            known.push(self.known(root, listed.files)?);
            Ok(())
        })?;
        // Nobody else sets it. From folder to folder files move, and only listings tell.
        let first = First { keys: Hashes::of(all.keys), files: all.files, is_exact: false, known };
        let _ = self.first.set(first);
        Ok(())
    }

    /// Takes over what a survey that took so long gathered beside the files. Answers whether anything is known of
    /// it that the survey did not know.
    pub(super) fn gathered(
        &self,
        files: u64,
        is_odd: bool,
        private: &[Vec<u8>],
        took: Duration,
    ) -> Result<bool, Untold> {
        if self.first.get().is_some() {
            return Ok(false);
        }
        let mut known = Vec::new();
        let mut claimed = Listed::default();
        for root in self.ask.others {
            known.push(self.known(root, files)?);
            self.listing().list_claimed(root, private, &mut claimed);
        }
        if let Some(flaw) = claimed.first_flaw() {
            return Err(Untold::of(flaw.to_owned()));
        }
        *lock(&self.listed) = Some((Instant::now(), took));
        let is_exact = self.ask.pairing.is_exact() && !is_odd;
        let has_claimed = !claimed.keys.is_empty();
        // Nobody else sets it.
        let _ = self.first.set(First { keys: Hashes::of(claimed.keys), files, is_exact, known });
        Ok(has_claimed)
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.first.get().is_some_and(|first| first.keys.has(key))
            || (self.has_more.load(Ordering::Relaxed)
                && self.more.read().unwrap_or_else(PoisonError::into_inner).has(key))
    }

    fn listing(&self) -> Listing<'a> {
        let Ask { pairing, side, others, is_beside, workers, stop, .. } = self.ask;
        Listing { pairing, side: side.other(), is_beside, roots: others, workers, stop }
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

    /// A folder of the other side as it is, if it is what it was.
    fn known(&self, root: &Root, files: u64) -> Result<Known, Untold> {
        let Ask { memory, rule, now, .. } = self.ask;
        let seen = known_of(root, files, now).map_err(Untold::of)?;
        let unlike = memory.folder(&seen.path).and_then(|before| unlike(before, &seen));
        if let Some(why) = unlike.filter(|_| !rule.is_forced) {
            return Err(Untold { why, guard: Some(Guard::PARTNERS) });
        }
        let was_right = memory.folder(&seen.path).is_some_and(|before| before.is_rightly_empty);
        Ok(Known { is_rightly_empty: files == 0 && (rule.is_forced || was_right), ..seen })
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

    /// Lists it again until that brings nothing new. What was found by name must have been listed by
    /// then, or listings are not what is there. Answers whether there was anything new.
    pub(super) fn list_until_still(&self, late: &[(usize, Vec<u8>)]) -> Result<bool, Untold> {
        let Ask { pairing, side, others: roots, .. } = self.ask;
        let mut listings = 0;
        while self.list_more(listings % 2 == 0)? {
            listings += 1;
            if listings == MOST_LISTINGS {
                return Err(Untold::of("files come and go faster than they can be listed".to_owned()));
            }
        }
        for (n, path) in late {
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

    /// Lists it again from time to time, while files go. What cannot be listed any more is lost.
    pub(super) fn keep_up(&self) -> Result<(), Untold> {
        let listed = *lock(&self.listed);
        let is_due = listed.is_some_and(|(at, took)| at.elapsed() > (took * PAUSES).max(LEAST_PAUSE));
        if is_due && !self.is_lost.load(Ordering::Relaxed) && self.list_more(false).is_err() {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(Untold::of("it cannot be listed any more".to_owned()));
        }
        Ok(())
    }
}

/// What is at a path below a root.
pub(super) fn what_is_at(root: &Root, path: &[u8]) -> io::Result<Option<Kind>> {
    let Ok(path) = CString::new(path) else { return Ok(None) };
    match root.top().look(&path) {
        Ok(look) => Ok(Some(look.kind)),
        Err(error) if says_nothing_is_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn says_nothing_is_there(error: &io::Error) -> bool {
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
        is_rightly_empty: false,
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
