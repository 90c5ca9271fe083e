//! What a section means, in a person's words.

use maint_core::{
    plan::Guard,
    retention::SettleBy,
    section::{EmptyFolders, FilesSection, LimitValue, Rate},
    spare::Spare,
    text::{count, grouped, shown_path},
};
use maint_run::config::Named;

/// A section in a line.
pub(crate) fn describe(target: &Named<FilesSection>) -> String {
    let section = &target.value;
    let place = shown_path(&section.root());
    format!("[files.{}] {place}: {}; {}", target.name, section.describe(), notes(section).join("; "))
}

fn notes(section: &FilesSection) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |when: bool, what: String| notes.extend(when.then_some(what));
    note(section.settle != FilesSection::SETTLE, format!("settles {}", section.settle));
    note(section.settle_by == SettleBy::Ctime, "settles by ctime".to_owned());
    let depth = section.select().max_depth;
    note(depth.is_some(), format!("levels entered: {}", depth.unwrap_or(0)));
    note(section.empty_folders == EmptyFolders::Keep, "keeps empty folders".to_owned());
    let Spare { locked, held_open, lock_files } = &section.spare;
    note(!locked, "heeds no locks".to_owned());
    note(*held_open, "spares what is held open".to_owned());
    let usual = Spare::default().lock_files;
    let names: Vec<String> = lock_files.iter().map(ToString::to_string).collect();
    note(
        *lock_files != usual,
        format!("lock files: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }),
    );
    note(section.private, "private, without claims".to_owned());
    notes.extend(limits(&section.limit));
    notes.extend(section.workers.map(|n| count(n.into(), "worker")));
    notes.extend(in_emergency(section));
    let mut note = |when: bool, what: String| notes.extend(when.then_some(what));
    note(section.dry_run, "only ever shown".to_owned());
    let guard = &section.guard;
    notes.extend(guard.volume.as_ref().map(|name| format!("only while volume {name} is mounted")));
    notes.extend(guard.marker.as_ref().map(|name| format!("only while {name} lies there")));
    if let Some(share) = section.guard().max_share {
        notes.push(format!("of more than {} files refused above max-share {share}", Guard::SMALL));
    }
    notes.extend(section.in_emergency(true).map(|emergency| {
        format!("in an emergency, priority {}: {}", section.priority, emergency.policy().describe())
    }));
    notes
}

/// What may go in an emergency, and when its turn comes.
fn in_emergency(section: &FilesSection) -> Option<String> {
    let policy = section.in_emergency(true)?.policy().describe();
    Some(format!("in an emergency {policy}, priority {}", section.priority))
}

fn limits(limit: &LimitValue) -> Vec<String> {
    let LimitValue { files, bytes, rate, io_pressure } = limit;
    let rate = rate.map(|rate| match rate {
        Rate::Files(n) => format!("{} a second", count(n, "file")),
        Rate::Bytes(n) => format!("{} bytes a second", grouped(n)),
    });
    let each = [
        files.map(|n| format!("at most {} a run", count(n, "file"))),
        bytes.map(|size| format!("at most {size} a run")),
        rate,
        io_pressure.map(|share| format!("waits above {share} I/O pressure")),
    ];
    each.into_iter().flatten().collect()
}
