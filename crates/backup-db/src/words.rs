//! What a section would do, in words.

use crate::args::Section;
use maint_core::{
    fs::{Borders, Root},
    text::{printable, shown_path, unprintable},
};
use maint_db::section::{BackupSection, DatabaseSection, Databases, Level};
use maint_run::config::Named;

/// A line for `--check-config`; none where there is no backup.
pub(crate) fn describe(named: &Named<DatabaseSection>) -> Option<String> {
    let backup = named.value.backup.as_ref()?;
    let place = named
        .value
        .address()
        .map_or_else(|why| format!("not reachable now ({why})"), |address| address.shown());
    let dry = if backup.dry_run { ", always dry" } else { "" };
    let mut text =
        format!("[database.{}] {place} to {}: {}{dry}", named.name, shown_path(&backup.dir), policy(backup));
    if let Some(copy) = &backup.copy_to {
        let (dir, keep) = (shown_path(&copy.dir), copy.keep.0.describe());
        text += &["; copied to ", &dir, ", which keeps ", &keep].concat();
    }
    if let (Some(every), Level::Restore) = (backup.verify_every, backup.verify) {
        let often = format!("; a restore is tried when the last one is {every} old");
        text += &[&often, ", and only what was restored counts for keep"].concat();
    }
    Some(text)
}

/// Why folders of backups would be refused today.
pub(crate) fn refusals(named: &Named<DatabaseSection>, borders: &Borders) -> Vec<String> {
    let Some(backup) = &named.value.backup else { return Vec::new() };
    let copy = backup.copy_to.as_ref().map(|copy| ("backup.copy-to", &copy.dir));
    let dirs = [("backup.dir", &backup.dir)].into_iter().chain(copy);
    let refused = dirs.filter_map(|(key, dir)| {
        let why = Root::refusal(dir, borders)?;
        Some(format!("{}: [database.{}]: {key}: {why}", named.place, named.name))
    });
    refused.collect()
}

/// What is asked for.
pub(crate) fn policy(backup: &BackupSection) -> String {
    let which = match &backup.databases {
        Databases::One => String::new(),
        Databases::All => "all databases, ".to_owned(),
        Databases::These(names) => format!("{}, ", names.join(" and ")),
    };
    let proved = match backup.verify {
        Level::Restore => "proved by restoring",
        Level::Checksum | Level::None => "proved by checksums",
    };
    format!("{which}keeps {} {proved}, and {} not proved", backup.keep.0.describe(), backup.max_unproven)
}

/// A place as a manifest has it: made printable when it was written, and not a second time, unless somebody else wrote it.
pub(crate) fn place(written: &str) -> String {
    match unprintable(written) {
        Some(bytes) if printable(&bytes) == written => written.to_owned(),
        _ => printable(written.as_bytes()),
    }
}

/// The name under which a server shows us.
pub(crate) fn application(section: &Section) -> String {
    format!("maint/backup-db/{}", section.name)
}
