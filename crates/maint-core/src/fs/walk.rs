//! The one walk, for looking and for acting.
//!
//! A worker takes a folder, reads its names in chunks, sorts each chunk by inode (the order in which the
//! filesystem keeps what a look will ask for), and hands it to the visitor in blocks. Idle workers help
//! with the blocks of a large chunk. Folders found on the way wait in a stack; a folder is left for good
//! when everything below it is done, and then the visitor may take it away if it went empty.
//!
//! Memory holds one chunk for each worker, the folders still to be entered, and never the names of files
//! that are done.

use super::{
    Folder, FsError, PRIVATE_FOLDER, Root,
    folder::{LISTING_BUFFER, Listing},
    names::Names,
};
use crate::entry::Kind;
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{CStr, CString},
    io,
    mem::MaybeUninit,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

/// What is done on a walk.
pub trait Visitor: Sync {
    /// What one worker carries along.
    type Hand: Send;

    /// Whether a file is of interest, by its name; the number comes back with the block.
    fn sift(&self, hand: &mut Self::Hand, folder: &[u8], name: &[u8]) -> Option<u16>;
    /// A name of a link, FIFO, socket or device, before it is sifted.
    fn no_file(&self, _: &mut Self::Hand, _: &Folder, _: &CStr) {}
    /// The folder holds a private one.
    fn private(&self, _: &mut Self::Hand, _: &Folder) {}
    /// A folder was gone, or something else, by the time it was to be entered.
    fn vanished(&self, _: &mut Self::Hand, _: &[u8]) {}
    /// Whether to go into a folder `depth` levels below the root.
    fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool;
    /// Some names of a folder, in inode order; answers how many of them are gone now.
    fn files(&self, hand: &mut Self::Hand, folder: &Folder, block: Block<'_>) -> u64;
    /// A folder in which something went and nothing is left; answers whether it is gone now.
    fn emptied(&self, hand: &mut Self::Hand, parent: &Folder, name: &CStr) -> bool;
    /// `folders` folders, one in the other, are gone; the topmost was `name` in `parent`.
    fn folders_gone(&self, hand: &mut Self::Hand, parent: &[u8], name: &CStr, folders: u64);
    /// A folder that was not entered, or not read to its end.
    fn trouble(&self, hand: &mut Self::Hand, error: FsError);
    /// A folder that is none of ours.
    fn skipped(&self, hand: &mut Self::Hand, folder: &[u8], why: Skipped);
    /// Whether a name of no interest in itself says something about others of its folder.
    fn is_sign(&self, name: &[u8]) -> bool;
    /// Whether something of all names of a folder must be known before any of its files is visited.
    fn gathers(&self) -> bool {
        false
    }
    /// What was gathered while a whole folder was sifted. A very large one is sifted once more, and then this
    /// is for nothing.
    fn gathered(&self, _: &mut Self::Hand, _again: bool) -> Vec<u64> {
        Vec::new()
    }
    /// What the names of a bundle have in common; `None` when every file is alone. Where there are
    /// bundles, folders are read whole and no block parts two names with one key.
    fn key<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]>;
}

/// Why a folder was left out without anything being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// Another filesystem begins there.
    OtherMount,
}

/// How many threads share a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers(usize);

impl Workers {
    /// More gains nothing even where a removal waits for the device.
    pub const MOST: usize = 64;

    /// So many, at least one.
    pub fn new(n: usize) -> Self {
        Self(n.clamp(1, Self::MOST))
    }

    /// How many.
    pub fn get(self) -> usize {
        self.0
    }
}

/// A walk through everything below a root.
pub struct Walk<'w> {
    /// Where it starts.
    pub root: &'w Root,
    /// Asked between two blocks; once it says yes no further file is visited.
    pub stop: &'w (dyn Fn() -> bool + Sync),
    /// Asked between two folders that went empty; once it says yes everything ends.
    pub interrupted: &'w (dyn Fn() -> bool + Sync),
    /// These names, and none that a listing would tell.
    pub only: Option<&'w Only>,
}

/// Names that a walk visits without listing their folders.
#[derive(Default)]
pub struct Only {
    folders: BTreeMap<Vec<u8>, Few>,
    bytes: usize,
}

/// The names in one folder.
#[derive(Default)]
struct Few {
    names: Names,
    signs: bool,
}

impl Only {
    /// One more name, with its inode, and whether its folder may hold a name that [`Visitor::is_sign`] knows.
    pub fn push(&mut self, folder: &[u8], name: &CStr, inode: u64, signs: bool) {
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_vec(), Few::default());
            self.bytes += folder.len() + size_of::<Few>();
        }
        if let Some(few) = self.folders.get_mut(folder) {
            few.names.push(name, 0, inode);
            few.signs |= signs;
            self.bytes += name.count_bytes();
        }
    }

    /// How much memory they take, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The folders right below one that lead to names.
    fn below(&self, folder: &[u8]) -> BTreeSet<&[u8]> {
        let start = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let all = self.folders.range(start.clone()..).map(|(path, _)| path.as_slice());
        let below = all.take_while(|path| path.starts_with(&start)).map(|path| &path[start.len()..]);
        below.filter_map(|path| path.split(|b| *b == b'/').next()).filter(|name| !name.is_empty()).collect()
    }
}

/// Names for the visitor, without a copy.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    names: &'a Names,
    range: (usize, usize),
    place: &'a Node,
    signs: bool,
    keys: &'a [u64],
}

impl<'a> Block<'a> {
    /// What [`Visitor::gathered`] gave for the whole folder, in order.
    pub fn keys(self) -> &'a [u64] {
        self.keys
    }

    /// The names with the numbers that [`Visitor::sift`] gave them.
    pub fn iter(self) -> impl Iterator<Item = (&'a CStr, u16)> {
        (self.range.0..self.range.1).map(move |n| self.names.get(n))
    }

    /// Whether the folder may hold a name that [`Visitor::is_sign`] knows.
    pub fn may_hold_signs(self) -> bool {
        self.signs
    }

    /// The inodes of the folder and of those above it, up to the root.
    pub fn inodes(self) -> impl Iterator<Item = u64> + 'a {
        std::iter::successors(Some(self.place), |node| node.parent.as_deref()).map(Node::inode)
    }
}

/// So many names go to the visitor at once: also what one intent covers, and one look at who uses what,
/// which costs more than many removals.
const BLOCK: usize = 1024;
/// Where one folder is shared by many workers the blocks are smaller, and no smaller than this.
const SMALLEST_BLOCK: usize = 64;
/// Who asks for more workers than this has removals that wait for the device.
const FEW_WORKERS: usize = 4;
/// A chunk of a folder starts with so many bytes of names …
const FIRST_CHUNK: usize = 1 << 20;
/// … and grows to so many while the folder keeps filling it. With 30 bytes a name that is 300,000 files
/// in inode order, which is what makes one huge folder quick.
const LARGEST_CHUNK: usize = 14 << 20;
/// So many folders may be held open for those below them that still wait; others are opened again.
const HELD_FOLDERS: usize = 256;

impl Walk<'_> {
    /// Walks, with one hand for each worker; gives the hands back with what they gathered.
    pub fn run<V: Visitor>(&self, visitor: &V, hands: Vec<V::Hand>) -> Vec<V::Hand> {
        let slots: Vec<Slot> = hands.iter().map(|_| Slot::default()).collect();
        let shared = Shared {
            walk: self,
            visitor,
            queue: Mutex::new(Queue { jobs: VecDeque::from([Job::Enter(Pending::top())]), active: 0 }),
            news: Condvar::new(),
            open_folders: Arc::default(),
            most_held: most_held(slots.len()),
            slots: &slots,
        };
        std::thread::scope(|scope| {
            let mut hands = hands.into_iter().enumerate();
            let first = hands.next();
            // Where no thread can be had, those that there are do all the work.
            let others: Vec<_> = hands
                .map_while(|(n, mut hand)| {
                    let shared = &shared;
                    let work = move || {
                        shared.work(n, &mut hand);
                        hand
                    };
                    std::thread::Builder::new().spawn_scoped(scope, work).ok()
                })
                .collect();
            let mut back = Vec::with_capacity(others.len() + 1);
            if let Some((n, mut hand)) = first {
                shared.work(n, &mut hand);
                back.push(hand);
            }
            // A worker's panic is ours: with half of the walk missing nothing may go on.
            back.extend(
                others
                    .into_iter()
                    .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            );
            back
        })
    }
}

struct Shared<'w, V: Visitor> {
    walk: &'w Walk<'w>,
    visitor: &'w V,
    queue: Mutex<Queue>,
    news: Condvar,
    open_folders: Arc<AtomicUsize>,
    most_held: usize,
    slots: &'w [Slot],
}

struct Queue {
    /// The newest folder first: a walk goes down before it goes on, so that few folders wait. Calls for
    /// help last: two workers in one folder wait for each other at every removal.
    jobs: VecDeque<Job>,
    active: usize,
}

enum Job {
    Enter(Pending),
    /// The worker of this slot has a large chunk.
    Help(usize),
}

/// A folder to be entered.
struct Pending {
    node: Arc<Node>,
    /// Its parent, if that is still open.
    parent: Option<Arc<Held>>,
}

/// A folder of which something is still to be done, linked to its parents up to the root.
struct Node {
    parent: Option<Arc<Node>>,
    name: CString,
    depth: u32,
    /// Folders right below that are not done, and one for the folder itself.
    waiting: AtomicI64,
    /// Entries that are still there.
    left: AtomicI64,
    /// Something in it is gone through us.
    lost_something: AtomicBool,
    /// Its inode, once it has been opened.
    inode: AtomicU64,
}

/// An open folder that counts against [`HELD_FOLDERS`].
struct Held {
    folder: Folder,
    cost: usize,
    open_folders: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open_folders.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// One worker's chunk, open to helpers.
#[derive(Default)]
struct Slot {
    /// Written by its worker; read by whoever goes through it, so that writing waits for the helpers.
    chunk: RwLock<Chunk>,
    /// The next name that nobody has taken.
    next: AtomicUsize,
    /// Names of this chunk that are gone.
    gone: AtomicI64,
}

#[derive(Default)]
struct Chunk {
    names: Names,
    folder: Option<(Arc<Held>, Arc<Node>)>,
    signs: bool,
    /// What was gathered of the whole folder.
    keys: Vec<u64>,
    /// Names in a block.
    block: usize,
}

/// What reading a part of a folder brought beside the names of files.
#[derive(Default)]
struct Read {
    entries: i64,
    folders: Vec<CString>,
    ended: bool,
    signs: bool,
}

impl<V: Visitor> Shared<'_, V> {
    fn work(&self, worker: usize, hand: &mut V::Hand) {
        let mut buffer = vec![MaybeUninit::uninit(); LISTING_BUFFER];
        while let Some(job) = self.next_job() {
            match job {
                Job::Enter(pending) => self.enter(worker, hand, pending, &mut buffer),
                Job::Help(slot) => self.go_through(&self.slots[slot], hand),
            }
            let mut queue = lock(&self.queue);
            queue.active -= 1;
            if queue.active == 0 && queue.jobs.is_empty() {
                self.news.notify_all();
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        loop {
            if (self.walk.stop)() {
                queue.jobs.clear();
            }
            if let Some(job) = queue.jobs.pop_back() {
                queue.active += 1;
                return Some(job);
            }
            if queue.active == 0 {
                return None;
            }
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add_jobs(&self, jobs: impl Iterator<Item = Job>) {
        lock(&self.queue).jobs.extend(jobs);
        self.news.notify_all();
    }

    fn call_for_help(&self, worker: usize) {
        let mut queue = lock(&self.queue);
        (1..self.slots.len()).for_each(|_| queue.jobs.push_front(Job::Help(worker)));
        drop(queue);
        self.news.notify_all();
    }

    fn enter(&self, worker: usize, hand: &mut V::Hand, pending: Pending, buffer: &mut [MaybeUninit<u8>]) {
        let Pending { node, parent } = pending;
        match self.open(&node, parent.as_deref()) {
            Ok(folder) => self.read(worker, hand, &node, &folder, buffer),
            Err(error) => {
                node.left.fetch_add(1, Ordering::AcqRel);
                self.tell(hand, &node, error);
            }
        }
        self.leave(hand, node, parent);
    }

    fn open(&self, node: &Node, parent: Option<&Held>) -> io::Result<Arc<Held>> {
        let top = self.walk.root.top();
        let folder = match (&node.parent, parent) {
            (Some(_), Some(parent)) => parent.folder.open_below(node.name.to_bytes())?,
            _ => top.open_below(&node.path())?,
        };
        node.inode.store(folder.inode(), Ordering::Release);
        // A path of half a megabyte counts like the hundred folders whose room it takes.
        let cost = 1 + folder.path().len() / 4096;
        self.open_folders.fetch_add(cost, Ordering::Relaxed);
        Ok(Arc::new(Held { folder, cost, open_folders: Arc::clone(&self.open_folders) }))
    }

    fn tell(&self, hand: &mut V::Hand, node: &Node, error: io::Error) {
        match error.raw_os_error().map(Errno::from_raw) {
            // Gone, or swapped for something else, since its name was read: it is no folder of ours now.
            Some(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => {
                self.visitor.vanished(hand, &node.path());
            }
            Some(Errno::EXDEV) => self.visitor.skipped(hand, &node.path(), Skipped::OtherMount),
            _ => self.visitor.trouble(hand, FsError::new("open", &node.path(), b"", error)),
        }
    }

    fn read(
        &self,
        worker: usize,
        hand: &mut V::Hand,
        node: &Arc<Node>,
        folder: &Arc<Held>,
        buffer: &mut [MaybeUninit<u8>],
    ) {
        let slot = &self.slots[worker];
        let bundles = self.visitor.key(b"").is_some();
        let mut limit = FIRST_CHUNK;
        let mut first = true;
        if self.visitor.gathers() && self.walk.only.is_none() {
            // A handle that has been listed goes on listing where it stopped.
            match folder.folder.open_below(b"") {
                Ok(once) => match self.gather(worker, hand, node, &once, buffer) {
                    Some(read) => return self.visit(worker, hand, node, folder, read),
                    // It is too large to be held whole: what was gathered is known, and its names are read again.
                    None => limit = LARGEST_CHUNK,
                },
                Err(error) => {
                    node.left.fetch_add(1, Ordering::AcqRel);
                    return self.tell(hand, node, error);
                }
            }
        }
        let mut listing = folder.folder.listing(buffer);
        loop {
            let mut chunk = slot.chunk.write().unwrap_or_else(PoisonError::into_inner);
            chunk.names.begin(limit);
            let most = if bundles { usize::MAX } else { limit };
            let mut read = match self.walk.only {
                Some(only) => self.fill_with(hand, node, &folder.folder, only, &mut chunk.names),
                None => self.fill(hand, node, &folder.folder, &mut listing, &mut chunk.names, most),
            };
            if bundles {
                chunk.names.sort_by_key(|name| self.visitor.key(name).unwrap_or(name));
            } else {
                chunk.names.sort();
            }
            // Of a folder in several pieces nobody knows what the others hold.
            read.signs |= !read.ended || !first;
            first = false;
            let ended = read.ended;
            drop(chunk);
            drop(self.visitor.gathered(hand, true));
            self.visit(worker, hand, node, folder, read);
            if ended || (self.walk.stop)() {
                return;
            }
            limit = (limit * 4).min(LARGEST_CHUNK);
        }
    }

    /// Reads a whole folder, for what is gathered of all its names; `None` if its names are too many to be held,
    /// and then only what was gathered is in the chunk.
    fn gather(
        &self,
        worker: usize,
        hand: &mut V::Hand,
        node: &Arc<Node>,
        folder: &Folder,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Option<Read> {
        let mut listing = folder.listing(buffer);
        let mut chunk = self.slots[worker].chunk.write().unwrap_or_else(PoisonError::into_inner);
        chunk.names.begin(FIRST_CHUNK);
        let mut read = self.fill(hand, node, folder, &mut listing, &mut chunk.names, LARGEST_CHUNK);
        let is_whole = read.ended;
        while !read.ended && !(self.walk.stop)() {
            chunk.names.begin(FIRST_CHUNK);
            read = self.fill(hand, node, folder, &mut listing, &mut chunk.names, LARGEST_CHUNK);
        }
        chunk.keys = self.visitor.gathered(hand, false);
        chunk.keys.sort_unstable();
        chunk.names.sort();
        is_whole.then_some(read)
    }

    /// Goes through what lies in the chunk, with the help of others if it is much.
    fn visit(&self, worker: usize, hand: &mut V::Hand, node: &Arc<Node>, folder: &Arc<Held>, read: Read) {
        let slot = &self.slots[worker];
        let mut chunk = slot.chunk.write().unwrap_or_else(PoisonError::into_inner);
        let files = chunk.names.len();
        let workers = self.slots.len();
        let shared = workers > 1 && files > if workers > FEW_WORKERS { BLOCK / 4 } else { 2 * BLOCK };
        chunk.block = if shared { (files / (4 * workers)).clamp(SMALLEST_BLOCK, BLOCK) } else { BLOCK };
        chunk.folder = Some((Arc::clone(folder), Arc::clone(node)));
        chunk.signs = read.signs;
        slot.next.store(0, Ordering::Release);
        slot.gone.store(0, Ordering::Release);
        drop(chunk);

        if shared {
            self.call_for_help(worker);
        }
        self.go_through(slot, hand);
        // Waits for the helpers.
        slot.chunk.write().unwrap_or_else(PoisonError::into_inner).folder = None;

        let gone = slot.gone.load(Ordering::Acquire);
        node.left.fetch_add(read.entries - gone, Ordering::AcqRel);
        node.lost_something.fetch_or(gone > 0, Ordering::AcqRel);
        self.add_folders(node, folder, read.folders);
    }

    /// Takes names, and the folders that lead to others, from those that were told beforehand.
    fn fill_with(
        &self,
        hand: &mut V::Hand,
        node: &Node,
        folder: &Folder,
        only: &Only,
        names: &mut Names,
    ) -> Read {
        let mut read = Read { ended: true, ..Read::default() };
        if let Some(few) = only.folders.get(folder.path()) {
            for (name, inode) in few.names.with_inodes() {
                if let Some(number) = self.visitor.sift(hand, folder.path(), name.to_bytes()) {
                    names.push(name, number, inode);
                }
            }
            read.signs = few.signs;
        }
        for name in only.below(folder.path()) {
            if self.visitor.enters(folder.path(), name, node.depth + 1) {
                read.folders.extend(CString::new(name).ok());
            }
        }
        read
    }

    /// Reads names until the chunk is full or the folder ends.
    fn fill(
        &self,
        hand: &mut V::Hand,
        node: &Node,
        folder: &Folder,
        listing: &mut Listing<'_>,
        names: &mut Names,
        limit: usize,
    ) -> Read {
        let mut read = Read::default();
        while names.bytes() < limit {
            let listed = match listing.next() {
                Some(Ok(listed)) if listed.hidden => {
                    if listed.name().to_bytes() == PRIVATE_FOLDER.as_bytes() {
                        self.visitor.private(hand, folder);
                    }
                    continue;
                }
                Some(Ok(listed)) => listed,
                Some(Err(error)) => {
                    // What was not read may be there.
                    read.entries += 1;
                    self.visitor.trouble(hand, FsError::new("list", folder.path(), b"", error));
                    read.ended = true;
                    break;
                }
                None => {
                    read.ended = true;
                    break;
                }
            };
            read.entries += 1;
            let name = listed.name();
            let kind = match listed.kind.map_or_else(|| folder.look(name).map(|look| look.kind), Ok) {
                Ok(kind) => Some(kind),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    // It may be a folder, and nobody knows what is in it.
                    self.visitor
                        .trouble(hand, FsError::new("look at", folder.path(), name.to_bytes(), error));
                    continue;
                }
            };
            if kind == Some(Kind::Folder) {
                if self.visitor.enters(folder.path(), name.to_bytes(), node.depth + 1) {
                    read.folders.push(name.to_owned());
                }
                continue;
            }
            if kind == Some(Kind::Other) {
                self.visitor.no_file(hand, folder, name);
            }
            read.signs = read.signs || self.visitor.is_sign(name.to_bytes());
            if let Some(number) = self.visitor.sift(hand, folder.path(), name.to_bytes()) {
                names.push(name, number, listed.inode);
            }
        }
        read
    }

    fn add_folders(&self, node: &Arc<Node>, folder: &Arc<Held>, names: Vec<CString>) {
        let Ok(count) = i64::try_from(names.len()) else { return };
        if count == 0 {
            return;
        }
        node.waiting.fetch_add(count, Ordering::AcqRel);
        let room = self.open_folders.load(Ordering::Relaxed) < self.most_held;
        self.add_jobs(names.into_iter().map(|name| {
            let child = Node::new(Some(Arc::clone(node)), name, node.depth + 1);
            Job::Enter(Pending { node: Arc::new(child), parent: room.then(|| Arc::clone(folder)) })
        }));
    }

    /// Takes blocks of a chunk until none is left.
    fn go_through(&self, slot: &Slot, hand: &mut V::Hand) {
        // A chunk that is being filled is a new one: who asked for help with the old one needs none.
        let Ok(chunk) = slot.chunk.try_read() else { return };
        let Some((held, node)) = &chunk.folder else { return };
        while !(self.walk.stop)() {
            let start = slot.next.fetch_add(chunk.block, Ordering::AcqRel);
            if start >= chunk.names.len() {
                return;
            }
            let range = (self.whole(&chunk.names, start), self.whole(&chunk.names, start + chunk.block));
            let block =
                Block { names: &chunk.names, range, place: node, signs: chunk.signs, keys: &chunk.keys };
            let gone = self.visitor.files(hand, &held.folder, block);
            slot.gone.fetch_add(i64::try_from(gone).unwrap_or(0), Ordering::AcqRel);
        }
    }

    /// The first place at or behind `at` where a bundle begins.
    fn whole(&self, names: &Names, mut at: usize) -> usize {
        let key = |n: usize| self.visitor.key(names.get(n).0.to_bytes());
        while 0 < at && at < names.len() && key(at).is_some() && key(at) == key(at - 1) {
            at += 1;
        }
        at.min(names.len())
    }

    /// Ticks off a folder, and every folder above that is done with it.
    fn leave(&self, hand: &mut V::Hand, mut node: Arc<Node>, parent: Option<Arc<Held>>) {
        let mut parent = parent.map(Above::Held);
        // The topmost of the folders that went in a row, and how many.
        let mut row: Option<(Vec<u8>, CString, u64)> = None;
        while node.waiting.fetch_sub(1, Ordering::AcqRel) == 1 && !(self.walk.interrupted)() {
            let Some(up) = node.parent.clone() else { break };
            // What was not listed may hold more than is known: then removing it fails, and that is all.
            let may_be_empty = self.walk.only.is_some() || node.left.load(Ordering::Acquire) == 0;
            let empty = may_be_empty && node.lost_something.load(Ordering::Acquire);
            let mut gone = false;
            if empty {
                let above = match parent.take().map_or_else(|| self.open(&up, None).map(Above::Held), Ok) {
                    Ok(above) => above,
                    Err(error) => {
                        self.tell(hand, &up, error);
                        break;
                    }
                };
                gone = self.visitor.emptied(hand, above.folder(), &node.name);
                if gone {
                    up.left.fetch_sub(1, Ordering::AcqRel);
                    up.lost_something.store(true, Ordering::Release);
                    let folders = row.map_or(0, |(.., folders)| folders) + 1;
                    row = Some((above.folder().path().to_vec(), node.name.clone(), folders));
                    // One step up from an open folder costs the same at any depth.
                    parent = up
                        .parent
                        .as_deref()
                        .and_then(|upper| above.folder().step_up(upper.inode()).ok())
                        .map(Above::Own);
                }
            }
            if !gone {
                parent = None;
                self.tell_row(hand, &mut row);
            }
            node = up;
        }
        self.tell_row(hand, &mut row);
    }

    fn tell_row(&self, hand: &mut V::Hand, row: &mut Option<(Vec<u8>, CString, u64)>) {
        if let Some((parent, name, folders)) = row.take() {
            self.visitor.folders_gone(hand, &parent, &name, folders);
        }
    }
}

/// The folder above one that is left: held by the walk, or opened on the way up.
enum Above {
    Held(Arc<Held>),
    Own(Folder),
}

impl Above {
    fn folder(&self) -> &Folder {
        match self {
            Self::Held(held) => &held.folder,
            Self::Own(folder) => folder,
        }
    }
}

/// Within what the system lets a process hold open, less what each worker and the rest of the run need.
fn most_held(workers: usize) -> usize {
    const REST: usize = 32;
    const EACH: usize = 8;
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((256, 256));
    let room = usize::try_from(soft).unwrap_or(usize::MAX).saturating_sub(REST + EACH * workers);
    room.min(HELD_FOLDERS)
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pending {
    fn top() -> Self {
        Self { node: Arc::new(Node::new(None, CString::default(), 0)), parent: None }
    }
}

impl Node {
    fn new(parent: Option<Arc<Self>>, name: CString, depth: u32) -> Self {
        Self {
            parent,
            name,
            depth,
            waiting: AtomicI64::new(1),
            left: AtomicI64::new(0),
            lost_something: AtomicBool::new(false),
            inode: AtomicU64::new(0),
        }
    }

    fn inode(&self) -> u64 {
        self.inode.load(Ordering::Acquire)
    }

    /// Its path below the root.
    fn path(&self) -> Vec<u8> {
        let mut parts = vec![self.name.to_bytes()];
        let mut up = self.parent.as_deref();
        while let Some(node) = up.filter(|node| node.parent.is_some()) {
            parts.push(node.name.to_bytes());
            up = node.parent.as_deref();
        }
        parts.reverse();
        parts.join(&b'/')
    }
}

impl Drop for Node {
    /// Lets go of the parents one by one: ten thousand levels must not become ten thousand stack frames.
    fn drop(&mut self) {
        let mut up = self.parent.take();
        while let Some(mut node) = up.and_then(Arc::into_inner) {
            up = node.parent.take();
        }
    }
}
