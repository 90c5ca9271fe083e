//! SQLite: a file copied under its writers, and what such a copy is restored to and compared with.

use crate::{
    args::Section,
    digest,
    dump::{Dumped, SCHEMA},
    store::{Patience, Steps, Store},
};
use maint_core::{
    fs::{Unfinished, Warrant},
    text::shown_path,
};
use maint_db::{
    backup::{Kind, Manifest},
    sqlite::{self, Looked, Soundness, Source, SqliteError},
};
use std::{
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
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
    let stop = AtomicBool::new(false);
    let (entry, looked) = std::thread::scope(|scope| {
        let compressing = scope.spawn(|| {
            let over = || stop.load(Ordering::Relaxed).then(|| "the copy was given up".to_owned());
            digest::compress(&mut &raw, file, DATA, level, over)
        });
        let look = || {
            let copied = Source::open_alone(&copy)?;
            // With a rollback journal a reader keeps writers waiting: there the copy is looked at, not the original.
            let looked = if is_wal { &source } else { &copied }.contents(&asked);
            if is_wal {
                source.release()?;
            }
            Ok::<_, SqliteError>((looked, copied.check()?))
        };
        let looked = look();
        stop.store(looked.is_err(), Ordering::Relaxed);
        (compressing.join(), looked)
    });
    let (looked, Soundness { mut fault, dangling, remarks, unchecked }) = looked.map_err(String::from)?;
    let looked = match looked {
        Ok(looked) => looked,
        Err(SqliteError::Corrupt(why)) => {
            // Better than nothing, and nothing that anything else could go for.
            fault = fault.or(Some(why));
            Looked::default()
        }
        Err(error) => return Err(error.into()),
    };
    let entry = entry.map_err(|_| format!("{DATA} could not be written"))?;
    let entry = entry.map_err(|error| format!("{DATA} cannot be written: {error}"))?;
    steps.done("compress, count, check");
    into.discard(warrant, COPY).map_err(|error| format!("{COPY} cannot be taken away: {error}"))?;
    let Looked { contents, schema, uncounted } = looked;
    let schema = into.create(SCHEMA).and_then(|file| digest::write(file, SCHEMA, schema.as_bytes()));
    let schema = schema.map_err(|error| format!("{SCHEMA} cannot be written: {error}"))?;
    let kind = Kind::Sqlite { version: sqlite::version().to_owned(), wal: is_wal, dangling, fault };
    Ok(Dumped {
        kind,
        contents,
        files: vec![entry, schema],
        remarks: [remarks, unchecked, uncounted].concat(),
    })
}

/// What was found of a backup that came back whole.
pub(crate) struct Unpacked {
    pub(crate) remarks: Vec<String>,
    /// What nobody can compare or check without the application: of this nothing is proved.
    pub(crate) unproved: Vec<String>,
}

/// Restores a backup into a new file, and compares that with what was backed up.
pub(crate) fn unpack(
    store: &Store,
    manifest: &Manifest,
    to: &Path,
    patience: &Patience,
) -> Result<Unpacked, String> {
    let Kind::Sqlite { dangling, fault, .. } = &manifest.kind else {
        return Err("it is no copy of a file".to_owned());
    };
    let entry =
        manifest.files.iter().find(|entry| entry.name == DATA).ok_or_else(|| format!("it has no {DATA}"))?;
    let from = store.file(&manifest.id, DATA)?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(to);
    let mut file = file.map_err(|error| format!("{} cannot be made: {error}", shown_path(to)))?;
    digest::expand(from, &mut file, entry, || patience.over())?;
    drop(file);
    if let Some(fault) = fault {
        // It is what was copied, byte by byte; that was damaged already, and nothing was counted in it.
        let remarks = vec![format!("the original was damaged when it was copied: {fault}")];
        return Ok(Unpacked { remarks, unproved: Vec::new() });
    }
    let restored = Source::open_alone(to).map_err(String::from)?;
    let sound = restored.check().map_err(String::from)?;
    let looked = restored.contents(&|| patience.over()).map_err(String::from)?;
    let mut found = manifest.contents.differences(&looked.contents);
    let mut was = String::new();
    let kept = store.file(&manifest.id, SCHEMA)?;
    kept.take(1 << 30)
        .read_to_string(&mut was)
        .map_err(|error| format!("{SCHEMA} cannot be read: {error}"))?;
    if was != looked.schema {
        found.faults.push("its schema is not what was backed up".to_owned());
    }
    if let Some(fault) = sound.fault {
        found.faults.push(format!("its structure is damaged: {fault}"));
    }
    if *dangling != sound.dangling {
        found.faults.push("another number of references lead nowhere than before".to_owned());
    }
    let unproved = [sound.unchecked, looked.uncounted].concat();
    let remarks = found.faults_or_remarks().map_err(|faults| {
        format!("what was restored is not what was backed up: {}", crate::restoring::in_short(&faults))
    })?;
    Ok(Unpacked { remarks, unproved })
}
