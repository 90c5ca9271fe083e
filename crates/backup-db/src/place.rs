//! SQLite files put into folders that are somebody else's: `restore --into FILE`, and the emergency copy.

use crate::{
    file::{self, Unpacked},
    restore::{Restored, Told, critical, refused},
    scratch::Scratch,
    store::{Patience, Steps, Store},
};
use maint_core::{
    entry::Kind,
    fs::{HeldOpen, Landing, Unnamed},
    text::{printable, shown_path},
    units::Span,
};
use maint_db::{address::Settings, backup::Manifest, section::DatabaseSection, sqlite::Source};
use maint_run::{
    Run, UsageError, clock,
    config::Named,
    exit::Status,
    report::{self, Counter, Target, Work},
};
use nix::unistd::Uid;
use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The file that `--into` names.
pub(crate) fn destination(into: &str) -> Result<PathBuf, UsageError> {
    let wrong = |why: String| UsageError::new(format!("--into: {why}"));
    let path = if into.contains("://") {
        let settings = Settings::of_url(into).map_err(wrong)?;
        settings.err().ok_or_else(|| wrong("the backup is of SQLite: write the path of a file".to_owned()))?
    } else {
        PathBuf::from(into)
    };
    if into.ends_with('/') || path.file_name().is_none() {
        return Err(wrong("it names a folder: write the path of a file in it".to_owned()));
    }
    std::path::absolute(path).map_err(|error| wrong(error.to_string()))
}

/// What SQLite keeps beside a database: with another one there it would be poison.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What lies where a file is to go.
struct There {
    is_file: bool,
    beside: Vec<&'static str>,
}

fn look(landing: &Landing, replace: bool) -> Result<There, (Status, String)> {
    let shown = shown_path(&landing.path(""));
    let failed = |error: io::Error| critical(format!("{shown} cannot be looked at: {error}"));
    let is_file = match landing.look("").map_err(failed)? {
        None => false,
        Some(look) if look.kind != Kind::File => return Err(refused(format!("{shown} is not a file"))),
        Some(look) if look.size > 0 && !replace => {
            return Err(refused(format!("{shown} is there: name another file, or add --replace")));
        }
        Some(_) => true,
    };
    let mut beside = Vec::new();
    for end in BESIDE {
        if landing.look(end).map_err(failed)?.is_some() {
            beside.push(end);
        }
    }
    if let (Some(end), false) = (beside.first(), replace) {
        return Err(refused(format!(
            "{shown}{end} is there: it belongs to a database that was there; add --replace to put it aside"
        )));
    }
    Ok(There { is_file, beside })
}

/// Restores a backup into a file. What is there is put aside, never removed, and only once the new one is proved.
pub(crate) fn restore(
    run: &Run,
    store: &Store,
    manifest: &Manifest,
    (to, replace): (&Path, bool),
    scratch_dir: Option<&Path>,
    patience: &Patience,
    steps: &mut Steps,
) -> Restored {
    let landing = Landing::at(to).map_err(critical)?;
    if look(&landing, replace)?.is_file {
        let (owner, ..) =
            landing.owner().map_err(|error| critical(format!("{}: {error}", shown_path(to))))?;
        let me = Uid::effective();
        if !me.is_root() && owner != me.as_raw() {
            return Err(refused(format!(
                "{} belongs to user {owner}: only root or that user can put another file into its place",
                shown_path(to)
            )));
        }
    }
    let scratch = Scratch::make(run, scratch_dir, manifest.plain_bytes()).map_err(critical)?;
    let unpacked = scratch.path().join("restored.db");
    let Unpacked { remarks, unproved } =
        file::unpack(store, manifest, &unpacked, patience).map_err(critical)?;
    let mut found = [remarks, unproved].concat();
    steps.done("restore, compare");
    let failed = |error: io::Error| critical(format!("{} cannot be written: {error}", shown_path(to)));
    let fresh = copied(&landing, &unpacked).map_err(failed)?;
    // Much may have happened since.
    let there = look(&landing, replace)?;
    if there.is_file {
        if let Some(who) = held_open(&landing).map_err(critical)? {
            // Whoever has it open would go on writing into what is no longer there.
            return Err(refused(format!("{} is open in {who}: stop it first", shown_path(to))));
        }
        let (user, group, mode) = landing.owner().map_err(failed)?;
        fresh.give_to(user, group, mode).map_err(failed)?;
    }
    let aside = if there.is_file || !there.beside.is_empty() {
        Some(landing.put_aside(&BESIDE, &clock::compact(run.now)).map_err(failed)?)
    } else {
        None
    };
    if let Err(error) = fresh.land() {
        let aside =
            aside.map(|aside| format!("; what was there is now {}", shown_path(&aside))).unwrap_or_default();
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} came meanwhile, and is not replaced{aside}", shown_path(to))
            }
            _ => format!("{} cannot be put into its place: {error}{aside}", shown_path(to)),
        };
        return Err(critical(why));
    }
    steps.done("put in place");
    found.extend(aside.map(|aside| format!("what was there is now {}", shown_path(&aside))));
    Ok(Told { remarks: found, warning: None })
}

/// A copy of a file of ours, where it is to go, without a name.
fn copied<'l>(landing: &'l Landing, from: &Path) -> io::Result<Unnamed<'l>> {
    let mut fresh = landing.begin()?;
    io::copy(&mut File::open(from)?, fresh.file())?;
    Ok(fresh)
}

/// Who has a file open. Where not every process can be looked into, nobody is believed to be out of it.
fn held_open(landing: &Landing) -> Result<Option<String>, String> {
    let Ok(Some(look)) = landing.look("") else { return Ok(None) };
    let (open, hidden) = HeldOpen::as_far_as_visible().map_err(|error| error.to_string())?;
    if let Some(holder) = open.by(look.device, look.inode) {
        return Ok(Some(
            holder.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")),
        ));
    }
    if hidden.is_some() {
        log::warn!("who else has {} open is not visible without root", shown_path(&landing.path("")));
    }
    Ok(None)
}

/// `emergency-copy NAME`: a consistent copy beside the database, when there is no time for more.
pub(crate) fn emergency_copy(run: &mut Run, name: &str) -> Result<(), UsageError> {
    let all: Vec<Named<DatabaseSection>> = run.sections()?;
    let shown = printable(name.as_bytes());
    let named = all.into_iter().find(|named| named.name == name);
    let named = named.ok_or_else(|| UsageError::new(format!("no section [database.{shown}]")))?;
    let path = named.value.sqlite_file();
    let path = path.ok_or_else(|| {
        UsageError::new(format!("[database.{shown}] is no SQLite file: run backup-db {shown}"))
    })?;
    run.works_ad_hoc();
    let mut done = Target::new(name, shown_path(&path), "an emergency copy".to_owned(), false);
    let mut steps = Steps::begin();
    let mut backup = report::BackedUp { verified: "none", ..report::BackedUp::default() };
    match copy_beside(run, &path, named.value.busy_timeout(), &mut steps) {
        Ok((to, bytes, found)) => {
            backup.id = Some(shown_path(&to));
            backup.bytes = bytes;
            done.counts.set(Counter::BackupBytes, bytes);
            done.counts.set(Counter::DatabaseBytes, bytes);
            match found {
                Ok(remarks) => {
                    backup.found.push("its structure has been checked".to_owned());
                    backup.found.extend(remarks);
                }
                Err(why) => done.note(Status::Warning, format!("it is copied as it is, and damaged: {why}")),
            }
        }
        Err(why) => crate::job::fail(&mut done, "copy", &shown_path(&path), why),
    }
    backup.steps = steps.all;
    done.work = Work::Backup(backup);
    run.record(done);
    Ok(())
}

/// What SQLite says of a copy: remarks, or what is wrong with it.
type Checked = Result<Vec<String>, String>;

fn copy_beside(
    run: &Run,
    path: &Path,
    busy_timeout: Span,
    steps: &mut Steps,
) -> Result<(PathBuf, u64, Checked), String> {
    let patience = Patience::new(Span::from_seconds(24 * 3600));
    let source = Source::open(path, busy_timeout)?;
    let old = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // The copy is made where nobody else can reach, on the same disk if that is so there.
    let above = path.parent().filter(|above| is_ours_alone(above));
    let scratch = Scratch::make(run, above, source.bytes()?)?;
    let unnamed = scratch.path().join("copy.db");
    if source.lets_writers_go_on() {
        source.hold()?;
    }
    source.copy_to(&unnamed, &|| patience.over())?;
    steps.done("copy");
    let sound = Source::open_alone(&unnamed)?.check()?;
    steps.done("check");
    let failed = |error: io::Error| format!("it cannot be copied beside {}: {error}", shown_path(path));
    let moment = clock::compact(run.now);
    for n in 0..100 {
        let mut to = path.as_os_str().to_owned();
        to.push(if n == 0 { format!(".emergency-{moment}") } else { format!(".emergency-{moment}-{n}") });
        let to = PathBuf::from(to);
        let landing = Landing::at(&to)?;
        let fresh = copied(&landing, &unnamed).map_err(failed)?;
        let given = fresh.give_to(old.uid(), old.gid(), old.mode() & 0o777);
        let mut sound = sound.clone();
        if let Err(error) = given {
            sound.remarks.push(format!(
                "it belongs to who made it, for it cannot be given to user {}: {error}",
                old.uid()
            ));
        }
        match fresh.land() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            landed => {
                landed.map_err(failed)?;
                steps.done("put in place");
                let bytes = std::fs::metadata(&unnamed).map_err(failed)?.len();
                return Ok((to, bytes, sound.fault.map_or(Ok(sound.remarks), Err)));
            }
        }
    }
    Err("there are a hundred copies of this second already".to_owned())
}

/// Whether nobody but root and this user can change what is in a folder.
fn is_ours_alone(folder: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let me = Uid::effective().as_raw();
    std::fs::metadata(folder)
        .is_ok_and(|seen| [0, me].contains(&seen.uid()) && seen.mode() & OTHERS_WRITE == 0)
}
