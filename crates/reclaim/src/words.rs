//! What a section means, in a person's words.

use maint_core::section::ReclaimSection;
use maint_run::config::{Config, Named};

/// What a person must know who lets a container engine remove volumes.
pub(crate) const REMOVES_VOLUMES: &str = "this removes the volumes that no container uses just now, and databases have been lost to that: leave --volumes out";

/// A section in a line.
pub(crate) fn describe(config: &Config, section: &Named<ReclaimSection>) -> String {
    let Named { name, value, .. } = section;
    let mut notes = vec![policy(value)];
    let mut note = |when: bool, what: String| notes.extend(when.then_some(what));
    note(value.priority != ReclaimSection::PRIORITY, format!("priority {}", value.priority));
    note(!value.enabled, "disabled".to_owned());
    note(value.dry_run, "only ever shown".to_owned());
    let unmarked = value
        .volume
        .as_ref()
        .filter(|volume| config.volume(volume).is_some_and(|volume| volume.emergency.is_none()));
    note(
        unmarked.is_some(),
        format!("never in an emergency, for [volume.{}] has no mark", unmarked.map_or("", String::as_str)),
    );
    if let Err(fault) = maint_run::command::find(value.program()) {
        notes.push(format!("as of now {fault}"));
    }
    let text = format!("[reclaim.{name}] {}: {}", value.shown(), notes.join("; "));
    if value.removes_container_volumes() { format!("{text}\n  WARNING: {REMOVES_VOLUMES}") } else { text }
}

/// How a command is run.
pub(crate) fn policy(section: &ReclaimSection) -> String {
    let place = section.volume.as_ref().map(|volume| format!(", for volume {volume}"));
    format!("at most {}{}", section.timeout, place.unwrap_or_default())
}
