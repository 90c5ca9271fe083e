//! A folder of backups: which there are, whether they are whole, and how they go.

use crate::{args::Section, digest};
use maint_core::{
    fs::{
        Depot, Folder, Lock, Mount, Root, RootError, StaysError, Unfinished, Usage, Warrant, replace_durably,
    },
    text::{printable, shown_path},
    units::{ByteSize, Span},
};
use maint_db::{
    backup::{MANIFEST, Manifest, Standing},
    section::Level,
};
use maint_run::{Run, UsageError, exit::Status, signals, volumes};
use std::{
    ffi::CString,
    fs::File,
    io::Read as _,
    ops::Deref,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long anything is waited for.
pub(crate) struct Patience {
    until: Instant,
    limit: Span,
}

impl Patience {
    pub(crate) fn new(limit: Span) -> Self {
        Self { until: Instant::now() + Duration::from_secs(limit.seconds()), limit }
    }

    /// Why it is over, if it is.
    pub(crate) fn over(&self) -> Option<String> {
        if signals::asked_to_stop() {
            Some("this run was asked to end".to_owned())
        } else if Instant::now() > self.until {
            Some(format!("it took longer than {}", self.limit))
        } else {
            None
        }
    }
}

/// How long each step took.
pub(crate) struct Steps {
    since: Instant,
    pub(crate) all: Vec<(&'static str, f64)>,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), all: Vec::new() }
    }

    pub(crate) fn done(&mut self, step: &'static str) {
        self.all.push((step, self.since.elapsed().as_secs_f64()));
        self.since = Instant::now();
    }
}

/// An open folder of backups.
pub(crate) struct Store {
    depot: Depot,
}

/// The same, which only this run changes.
pub(crate) struct Keeper {
    store: Store,
    lock: Lock,
}

impl Deref for Keeper {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Why there is none.
pub(crate) struct NoStore {
    pub(crate) status: Status,
    pub(crate) why: String,
}

/// What lies in it.
pub(crate) struct Shelf {
    /// Those that say what they are.
    pub(crate) backups: Vec<Manifest>,
    /// Those that do not, and why.
    pub(crate) damaged: Vec<(String, String)>,
}

/// Stands before the name of a place in which a restore is tried.
pub(crate) const PROOF_OF: &str = "proof-of-";

/// A file system needs this much to go on.
const MARGIN: u64 = 32 << 20;

impl Keeper {
    /// Opens the folder of a section to change it. It is made if what lies above it is there.
    pub(crate) fn open(
        run: &Run,
        dir: &Path,
        volume: Option<&str>,
        wait: Option<Span>,
    ) -> Result<Self, NoStore> {
        let refused = |why: String| NoStore { status: Status::Refused, why };
        if let Some(name) = volume {
            let section = run.volume(name).ok_or_else(|| refused(format!("there is no [volume.{name}]")))?;
            let mount = volumes::mounted(name, section).map_err(refused)?;
            let lies_there = Mount::to_hold(dir).is_ok_and(|there| there.is_of_same_filesystem(&mount));
            if !lies_there {
                return Err(refused(format!("{} does not lie on volume {name}", shown_path(dir))));
            }
        }
        volumes::may_write(run, dir).map_err(refused)?;
        let root = Root::make(dir, &run.borders()).map_err(|error| match error {
            RootError::Missing(_) => NoStore {
                status: Status::Critical,
                why: format!("{} is not there, and neither is the folder above it", shown_path(dir)),
            },
            RootError::Refused { .. } => refused(error.to_string()),
            RootError::Failed(error) => {
                NoStore { status: Status::Critical, why: maint_run::report::chain(&error) }
            }
        })?;
        if root.top().is_anybodys().unwrap_or(false) {
            let why = "anybody may rename and remove what lies there: take that right away (chmod o-w)";
            return Err(refused(format!("{}: {why}", shown_path(dir))));
        }
        let lock = run.lock(&root, wait).map_err(|error| match error {
            maint_core::fs::LockError::Failed(error) => {
                NoStore { status: Status::Critical, why: maint_run::report::chain(&error) }
            }
            busy => NoStore { status: Status::Busy, why: busy.to_string() },
        })?;
        let keeper = Self { store: Store { depot: Depot::new(root) }, lock };
        let is_ours = |id: &str| looks_like_backup(id.strip_prefix(PROOF_OF).unwrap_or(id));
        match keeper.depot.tidy(keeper.warrant(), is_ours) {
            Ok(tidied) => {
                for (id, gone) in tidied {
                    match gone {
                        Ok(()) => log::info!("what a killed run had left of {id} is gone"),
                        Err(error) => {
                            log::warn!("what a killed run left of {id} cannot be taken away: {error}")
                        }
                    }
                }
            }
            Err(error) => log::warn!("{}: what a killed run left is not known: {error}", shown_path(dir)),
        }
        Ok(keeper)
    }

    /// Writes down what is known of a backup now.
    pub(crate) fn rewrite(&self, manifest: &Manifest) -> Result<(), String> {
        let folder = self.depot.open(&manifest.id).map_err(|error| error.to_string());
        let written = folder.and_then(|folder| {
            replace_durably(self.warrant(), &folder, MANIFEST, manifest.to_text().as_bytes())
                .map_err(|error| error.to_string())
        });
        written.map_err(|why| format!("{MANIFEST} of {} cannot be written: {why}", manifest.id))
    }

    /// Writes the manifest of an unfinished backup and gives it its name.
    pub(crate) fn finish(&self, unfinished: Unfinished<'_>, manifest: &Manifest) -> Result<(), String> {
        let written = unfinished
            .create(MANIFEST)
            .and_then(|file| digest::write(file, MANIFEST, manifest.to_text().as_bytes()));
        if let Err(error) = written {
            unfinished.give_up(self.warrant());
            return Err(format!("{MANIFEST} cannot be written: {error}"));
        }
        unfinished
            .finish(self.warrant())
            .map_err(|error| format!("{} cannot be given its name: {error}", manifest.id))
    }

    /// Takes a backup away: noted first, then whole.
    pub(crate) fn remove(&self, run: &Run, target: &str, manifest: &Manifest) -> Result<(), String> {
        let path = self.path().join(&manifest.id);
        let level = manifest.level().word();
        run.audit()
            .backup_goes(target, &path, manifest.time(), level, manifest.bytes())
            .map_err(|error| error.to_string())?;
        let beside = format!("{MANIFEST}.new");
        let mut files: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        files.extend([MANIFEST, beside.as_str()]);
        let removed = self.depot.remove(self.warrant(), &manifest.id, &files);
        removed.map(drop).map_err(|error| match error {
            StaysError::Foreign(_) => format!("{} stays: {error}", manifest.id),
            StaysError::Io(error) => format!("{} cannot be removed: {error}", manifest.id),
        })
    }

    /// The right to change it.
    pub(crate) fn warrant(&self) -> Warrant<'_> {
        self.lock.warrant()
    }
}

impl Store {
    /// Opens it to look. None if it is not there.
    pub(crate) fn look(dir: &Path) -> Result<Option<Self>, String> {
        match Root::to_look(dir) {
            Ok(root) => Ok(Some(Self { depot: Depot::new(root) })),
            Err(RootError::Missing(_)) => Ok(None),
            Err(error) => Err(maint_run::report::chain(&error)),
        }
    }

    pub(crate) fn depot(&self) -> &Depot {
        &self.depot
    }

    pub(crate) fn path(&self) -> &Path {
        self.depot.root().path()
    }

    /// What is there of a section; of none means all.
    pub(crate) fn shelf(&self, section: Option<&str>) -> Result<Shelf, String> {
        let mut shelf = Shelf { backups: Vec::new(), damaged: Vec::new() };
        let ids = self
            .depot
            .ids()
            .map_err(|error| format!("{} cannot be listed: {error}", shown_path(self.path())))?;
        for id in ids {
            match self.manifest(&id) {
                Ok(Some(manifest)) if section.is_none_or(|name| manifest.section == name) => {
                    shelf.backups.push(manifest)
                }
                // Whose it is its name tells, as far as anything does.
                Err(why) if section.is_none_or(|name| belongs(&id, name)) => shelf.damaged.push((id, why)),
                Ok(_) | Err(_) => {}
            }
        }
        shelf.backups.sort_by(|one, other| (other.time, &other.id).cmp(&(one.time, &one.id)));
        shelf.damaged.sort();
        Ok(shelf)
    }

    /// The manifest of a folder; none where the folder is no backup.
    pub(crate) fn manifest(&self, id: &str) -> Result<Option<Manifest>, String> {
        let folder = self.depot.open(id).map_err(|error| format!("cannot be opened: {error}"))?;
        let mut text = String::new();
        match open(&folder, MANIFEST) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !looks_like_backup(id) => {
                return Ok(None);
            }
            Err(error) => return Err(format!("{MANIFEST} cannot be opened: {error}")),
            Ok(file) => file
                .take(256 << 20)
                .read_to_string(&mut text)
                .map_err(|error| format!("{MANIFEST} cannot be read: {error}"))?,
        };
        Manifest::of_text(&text, id).map(Some)
    }

    /// A file of a backup.
    pub(crate) fn file(&self, id: &str, name: &str) -> Result<File, String> {
        let folder = self.depot.open(id).map_err(|error| format!("{id} cannot be opened: {error}"))?;
        open(&folder, name).map_err(|error| format!("{name} cannot be opened: {error}"))
    }

    /// Whether every file of a backup is what was written.
    pub(crate) fn check(&self, manifest: &Manifest, patience: &Patience) -> Result<(), String> {
        manifest.files.iter().try_for_each(|entry| {
            let file = self.file(&manifest.id, &entry.name)?;
            digest::check(file, entry, || patience.over())
        })
    }

    /// Whether there is room for so much, and for others to go on.
    pub(crate) fn has_room(&self, bytes: u64) -> Result<(), String> {
        let there = Usage::of(self.depot.root())
            .map_err(|error| format!("{} cannot be looked at: {error}", shown_path(self.path())))?;
        room(there.available, bytes, self.path())
    }
}

/// Whether so much is free, and a little more.
pub(crate) fn room(available: u64, bytes: u64, place: &Path) -> Result<(), String> {
    let needed = bytes.saturating_add(MARGIN);
    if available >= needed {
        return Ok(());
    }
    let (needed, available) = (ByteSize::from_bytes(needed), ByteSize::from_bytes(available));
    Err(format!(
        "there is no room in {}: about {needed} are needed, and {available} are free",
        shown_path(place)
    ))
}

fn open(folder: &Folder, name: &str) -> std::io::Result<File> {
    let (file, look) = folder.open_file(&CString::new(name)?)?;
    if look.kind == maint_core::entry::Kind::File {
        Ok(file)
    } else {
        Err(std::io::Error::other("it is not a file"))
    }
}

/// Whether a name is one that this program gives: it ends with a moment.
fn looks_like_backup(id: &str) -> bool {
    let moment = id.rsplit_once('-').map_or("", |(_, moment)| moment);
    moment.len() == "20261121T020000Z".len() && moment.ends_with('Z') && moment.as_bytes()[8] == b'T'
}

/// Whether a name is one that a section gives: it is followed by a moment, or by a database and a moment.
fn belongs(id: &str, section: &str) -> bool {
    let rest =
        id.strip_prefix(section).and_then(|rest| rest.strip_prefix(['-', '.']).map(|more| (rest, more)));
    rest.is_some_and(|(rest, more)| {
        looks_like_backup(id)
            && more.matches('-').count() == usize::from(rest.starts_with('.'))
            && !more.contains('.')
    })
}

/// A backup, as far as it matters to who keeps them.
pub(crate) fn standing(manifest: &Manifest) -> Standing {
    Standing {
        id: manifest.id.clone(),
        time: manifest.time(),
        level: manifest.level(),
        rows: manifest.contents.rows(),
    }
}

/// A backup that was named, in one of its places.
pub(crate) struct Found {
    pub(crate) section: Section,
    /// The folder in which it lies.
    pub(crate) dir: PathBuf,
    /// What it says of itself, or why it does not.
    pub(crate) manifest: Result<Manifest, String>,
    /// What is to be told of how it was found.
    pub(crate) remark: Option<String>,
}

/// A backup by its name, wherever it lies: the original first, then its copy.
pub(crate) fn find(run: &Run, id: &str) -> Result<Vec<Found>, UsageError> {
    let all = Section::all(run)?;
    let mut found = Vec::new();
    for section in &all {
        for dir in section.dirs() {
            let Ok(Some(store)) = Store::look(dir) else { continue };
            let Ok(shelf) = store.shelf(Some(&section.name)) else { continue };
            let whole = shelf.backups.into_iter().find(|manifest| manifest.id == id).map(Ok);
            let damaged = shelf.damaged.into_iter().find(|(name, _)| name == id);
            if let Some(manifest) = whole.or(damaged.map(|(_, why)| Err(why))) {
                found.push(Found { dir: dir.clone(), section: section.clone(), manifest, remark: None });
            }
        }
    }
    if found.is_empty() {
        found = find_of_others(&all, id);
    }
    if found.is_empty() {
        let shown = printable(id.as_bytes());
        return Err(UsageError::new(format!("there is no backup {shown}: backup-db list shows them")));
    }
    Ok(found)
}

/// The same among what other sections left there: on a new machine, or under a new name, a section is not what it was.
fn find_of_others(all: &[Section], id: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for section in all {
        for dir in section.dirs() {
            let manifest = of_others(all, dir).into_iter().find(|manifest| manifest.id == id);
            if let Some(manifest) = manifest.filter(|_| found.iter().all(|known| known.dir != *dir)) {
                let mut its = section.clone();
                its.name.clone_from(&manifest.section);
                let remark = format!(
                    "it was made as [database.{}], and lies in the folder of [database.{}]",
                    printable(manifest.section.as_bytes()),
                    section.name
                );
                found.push(Found {
                    section: its,
                    dir: dir.clone(),
                    manifest: Ok(manifest),
                    remark: Some(remark),
                });
            }
        }
    }
    found
}

/// Whole backups in a folder that no section made which has its backups there, the newest first.
pub(crate) fn of_others(all: &[Section], dir: &Path) -> Vec<Manifest> {
    let is_at_home = |manifest: &Manifest| {
        all.iter().any(|section| section.name == manifest.section && section.dirs().any(|its| its == dir))
    };
    let shelf = Store::look(dir).ok().flatten().and_then(|store| store.shelf(None).ok());
    let mut backups = shelf.map(|shelf| shelf.backups).unwrap_or_default();
    backups.retain(|manifest| !is_at_home(manifest));
    backups
}

/// What is wanted for a backup to count.
pub(crate) fn counts(manifest: &Manifest, wanted: Level) -> bool {
    manifest.level() >= wanted
}
