//! SQLite: a file copied under its writers, and put back.

use crate::{
    args::Section,
    digest,
    dump::{Dumped, SCHEMA},
    store::{Patience, Steps, Store},
};
use maint_core::{
    fs::{HeldOpen, Holder, Root, Unfinished, Warrant},
    text::{printable, shown_path},
    units::Span,
};
use maint_db::{
    backup::{Kind, Manifest},
    sqlite::{self, Source},
};
use maint_run::{
    Run, UsageError, clock,
    config::Named,
    exit::Status,
    report::{self, Counter, Target, Work},
};
use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    },
    path::{Path, PathBuf},
};

/// The copy, compressed.
pub(crate) const DATA: &str = "data.db.zst";
/// The same while it is being made.
const COPY: &str = "copy.db";

/// Copies a file into an unfinished backup.
pub(crate) fn back_up(
    section: &Section,
    path: &Path,
    into: &Unfinished<'_>,
    warrant: Warrant<'_>,
    patience: &Patience,
    steps: &mut Steps,
) -> Result<Dumped, String> {
    let asked = || patience.over();
    // An empty file is an empty database to SQLite. To its owner it is a lost one.
    if fs::metadata(path).is_ok_and(|seen| seen.len() == 0) {
        return Err(format!("{} is empty: not even a new database is", shown_path(path)));
    }
    let source = Source::open(path, section.database.busy_timeout()).map_err(String::from)?;
    let is_wal = source.lets_writers_go_on();
    if is_wal {
        source.hold().map_err(String::from)?;
    }
    let raw = into.create(COPY).map_err(|error| format!("{COPY} cannot be made: {error}"))?;
    let copy = into.path_of(COPY);
    source.copy_to(&copy, &asked).map_err(String::from)?;
    steps.done("copy");

    // One reads what was copied, the other what it was copied from.
    let file = into.create(DATA).map_err(|error| format!("{DATA} cannot be made: {error}"))?;
    let level = section.backup.compression_level.0;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (entry, looked) = std::thread::scope(|scope| {
        let compressing = scope.spawn(|| {
            let over = || {
                stop.load(std::sync::atomic::Ordering::Relaxed).then(|| "the copy was given up".to_owned())
            };
            digest::compress(&mut &raw, file, DATA, level, over)
        });
        let look = || {
            // With a rollback journal a reader keeps writers waiting: there the copy is looked at, not the original.
            let (contents, schema) = if is_wal {
                let looked = source.contents(&asked).map_err(String::from)?;
                source.release().map_err(String::from)?;
                looked
            } else {
                Source::open_alone(&copy).and_then(|copy| copy.contents(&asked)).map_err(String::from)?
            };
            let dangling = Source::open_alone(&copy).and_then(|copy| copy.check()).map_err(String::from)?;
            Ok::<_, String>((contents, schema, dangling))
        };
        let looked = look();
        stop.store(looked.is_err(), std::sync::atomic::Ordering::Relaxed);
        (compressing.join(), looked)
    });
    let (contents, schema, dangling) = looked?;
    let entry = entry.map_err(|_| format!("{DATA} could not be written"))?;
    let entry = entry.map_err(|error| format!("{DATA} cannot be written: {error}"))?;
    steps.done("compress, count, check");
    into.discard(warrant, COPY).map_err(|error| format!("{COPY} cannot be taken away: {error}"))?;
    let schema = into.create(SCHEMA).and_then(|file| digest::write(file, SCHEMA, schema.as_bytes()));
    let schema = schema.map_err(|error| format!("{SCHEMA} cannot be written: {error}"))?;
    let mut remarks = Vec::new();
    if dangling > 0 {
        remarks
            .push(format!("{dangling} references of the original lead nowhere (PRAGMA foreign_key_check)"));
    }
    let kind = Kind::Sqlite { version: sqlite::version().to_owned(), wal: is_wal, dangling };
    Ok(Dumped { kind, contents, files: vec![entry, schema], remarks })
}

/// Restores a backup into a new file, and compares that with what was backed up.
pub(crate) fn unpack(
    store: &Store,
    manifest: &Manifest,
    to: &Path,
    patience: &Patience,
) -> Result<Vec<String>, String> {
    let entry =
        manifest.files.iter().find(|entry| entry.name == DATA).ok_or_else(|| format!("it has no {DATA}"))?;
    let from = store.file(&manifest.id, DATA)?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(to);
    let mut file = file.map_err(|error| format!("{} cannot be made: {error}", shown_path(to)))?;
    digest::expand(from, &mut file, entry, || patience.over())?;
    drop(file);
    let restored = Source::open_alone(to).map_err(String::from)?;
    let dangling = restored.check().map_err(String::from)?;
    let (contents, schema) = restored.contents(&|| patience.over()).map_err(String::from)?;
    let mut found = manifest.contents.differences(&contents);
    let mut was = String::new();
    let kept = store.file(&manifest.id, SCHEMA)?;
    kept.take(1 << 30)
        .read_to_string(&mut was)
        .map_err(|error| format!("{SCHEMA} cannot be read: {error}"))?;
    if was != schema {
        found.faults.push("its schema is not what was backed up".to_owned());
    }
    match &manifest.kind {
        Kind::Sqlite { dangling: known, .. } if *known == dangling => {}
        _ => found
            .faults
            .push(format!("{dangling} references lead nowhere, which is another number than before")),
    }
    if found.faults.is_empty() {
        Ok(found.remarks)
    } else {
        Err(format!(
            "what was restored is not what was backed up: {}",
            crate::restore::in_short(&found.faults)
        ))
    }
}

/// The file that `--into` names.
pub(crate) fn destination(into: &str) -> Result<PathBuf, UsageError> {
    let path = into.strip_prefix("sqlite://").unwrap_or(into);
    if path.contains("://") {
        return Err(UsageError::new("--into: the backup is of SQLite: write the path of a file"));
    }
    let path = std::path::absolute(path).map_err(|error| UsageError::new(format!("--into: {error}")))?;
    if path.file_name().is_none() || into.ends_with('/') {
        return Err(UsageError::new("--into names a folder: write the path of a file in it"));
    }
    Ok(path)
}

/// What SQLite keeps beside a database: with another one there it would be poison.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Restores a backup into a file. What is there is put aside, never removed, and only once the new one is proved.
pub(crate) fn restore(
    run: &Run,
    store: &Store,
    manifest: &Manifest,
    to: &Path,
    replace: bool,
    patience: &Patience,
    steps: &mut Steps,
) -> crate::restore::Restored {
    let critical = |why: String| (Status::Critical, why);
    let refused = |why: String| (Status::Refused, why);
    let shown = shown_path(to);
    let is_there = match fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(critical(format!("{shown} cannot be looked at: {error}"))),
        Ok(seen) if !seen.is_file() => return Err(refused(format!("{shown} is not a file"))),
        Ok(seen) if seen.len() == 0 => true,
        Ok(_) if !replace => {
            return Err(refused(format!("{shown} is there: name another file, or add --replace")));
        }
        Ok(_) => true,
    };
    let beside = |end: &str| {
        let mut path = to.as_os_str().to_owned();
        path.push(end);
        PathBuf::from(path)
    };
    let left: Vec<&str> = BESIDE.into_iter().filter(|end| beside(end).exists()).collect();
    if !left.is_empty() && !replace {
        return Err(refused(format!(
            "{shown}{} is there: it belongs to a database that was there; add --replace to put it aside",
            left[0]
        )));
    }
    let unfinished = beside(&format!(".restoring-{}", std::process::id()));
    let unpacked = unpack(store, manifest, &unfinished, patience);
    steps.done("restore, compare");
    let found = match unpacked {
        Ok(found) => found,
        Err(why) => {
            discard(&unfinished);
            return Err(critical(why));
        }
    };
    // Whoever has it open would go on writing into what is no longer there.
    if let Some(holder) = is_there.then(|| held_open(to)).flatten() {
        discard(&unfinished);
        let who = holder.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        return Err(refused(format!("{shown} is open in {who}: stop it first")));
    }
    let moved = (|| {
        let mut found = found;
        if is_there {
            let old = fs::metadata(to)?;
            let new = File::open(&unfinished)?;
            fchown(&new, Some(old.uid()), Some(old.gid()))?;
            new.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
            let moment = clock::compact(run.now);
            for end in BESIDE.into_iter().filter(|end| left.contains(end)).chain([""]) {
                fs::rename(beside(end), beside(&format!(".replaced-{moment}{end}")))?;
            }
            found.push(format!(
                "what was there is now {}",
                shown_path(&beside(&format!(".replaced-{moment}")))
            ));
        }
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, to)?;
        if let Some(above) = to.parent() {
            File::open(above)?.sync_all()?;
        }
        Ok::<_, io::Error>(found)
    })();
    moved.map_err(|error| {
        discard(&unfinished);
        critical(format!("{shown} cannot be put into its place: {error}"))
    })
}

/// Who has a file open, as far as that can be seen.
fn held_open(path: &Path) -> Option<Holder> {
    let (above, name) = (path.parent()?, CString::new(path.file_name()?.as_bytes()).ok()?);
    let look = Root::to_look(above).ok()?.top().look(&name).ok()?;
    let (open, _) = HeldOpen::as_far_as_visible().ok()?;
    open.by(look.device, look.inode)
}

#[expect(clippy::disallowed_methods, reason = "it was made here, under a name of ours")]
fn discard(path: &Path) {
    let _ = fs::remove_file(path);
}

/// `emergency-copy NAME`: a consistent copy beside the database, when there is no time for more.
pub(crate) fn emergency_copy(run: &mut Run, name: &str) -> Result<(), UsageError> {
    let all: Vec<Named<maint_db::section::DatabaseSection>> = run.sections()?;
    let shown = printable(name.as_bytes());
    let named = all.into_iter().find(|named| named.name == name);
    let named = named.ok_or_else(|| UsageError::new(format!("no section [database.{shown}]")))?;
    let path = named.value.sqlite_file();
    let path = path.ok_or_else(|| {
        UsageError::new(format!("[database.{shown}] is no SQLite file: run backup-db {shown}"))
    })?;
    run.works_ad_hoc();
    let mut to = path.as_os_str().to_owned();
    to.push(format!(".emergency-{}", clock::compact(run.now)));
    let to = PathBuf::from(to);
    let mut done = Target::new(name, shown_path(&path), "an emergency copy".to_owned(), false);
    let mut steps = Steps::begin();
    let mut backup = report::BackedUp { verified: "none", ..report::BackedUp::default() };
    match copy_beside(&path, &to, named.value.busy_timeout(), &mut steps) {
        Ok(bytes) => {
            backup.id = Some(shown_path(&to));
            backup.bytes = bytes;
            backup.found.push("its structure has been checked".to_owned());
            done.counts.set(Counter::BackupBytes, bytes);
            done.counts.set(Counter::DatabaseBytes, bytes);
        }
        Err(why) => done.note(Status::Critical, why),
    }
    backup.steps = steps.all;
    done.work = Work::Backup(backup);
    run.record(done);
    Ok(())
}

fn copy_beside(path: &Path, to: &Path, busy_timeout: Span, steps: &mut Steps) -> Result<u64, String> {
    let patience = Patience::new(Span::from_seconds(24 * 3600));
    let source = Source::open(path, busy_timeout).map_err(String::from)?;
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let made = (|| {
        let failed = |error: io::Error| format!("{} cannot be made: {error}", shown_path(to));
        if to.exists() {
            return Err(format!("{} is there already", shown_path(to)));
        }
        let old = fs::metadata(path).map_err(failed)?;
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished).map_err(failed)?;
        if source.lets_writers_go_on() {
            source.hold().map_err(String::from)?;
        }
        source.copy_to(&unfinished, &|| patience.over()).map_err(String::from)?;
        steps.done("copy");
        Source::open_alone(&unfinished).and_then(|copy| copy.check()).map_err(String::from)?;
        steps.done("check");
        fchown(&file, Some(old.uid()), Some(old.gid())).map_err(failed)?;
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&unfinished, to).map_err(failed)?;
        if let Some(above) = to.parent() {
            File::open(above).and_then(|above| above.sync_all()).map_err(failed)?;
        }
        Ok(fs::metadata(to).map_err(failed)?.len())
    })();
    made.inspect_err(|_| discard(&unfinished))
}
