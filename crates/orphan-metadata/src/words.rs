//! What a section means, in a person's words.

use maint_core::{
    orphans::Side,
    plan::Guard,
    section::{Find, OrphansSection, ThenValue},
    text::shown_path,
};
use maint_run::config::Named;

/// A section in a line.
pub(crate) fn describe(section: &Named<OrphansSection>) -> String {
    let Named { name, value, .. } = section;
    let place = shown_path(&value.metadata().root());
    format!("[orphans.{name}] {place}: {}; {}", policy(value, Side::Metadata), notes(value).join("; "))
}

/// What goes of one side, and where to.
pub(crate) fn policy(section: &OrphansSection, side: Side) -> String {
    let names = |headings: Vec<String>| headings.join(", ");
    let metadata = names(section.metadata().select().headings());
    let what = match side {
        Side::Metadata => format!("{metadata} without {}", section.partner_in_words()),
        Side::Partner => {
            let place = shown_path(&section.metadata().root());
            format!("{} without metadata ({metadata} in {place})", partners(section))
        }
    };
    let then = match &section.then {
        _ if side == Side::Partner && !section.remove_files => "; only reported".to_owned(),
        ThenValue::Delete => String::new(),
        ThenValue::MoveTo(path) => format!("; moved to {}", shown_path(path)),
        ThenValue::ArchiveTo(path) => format!("; archived to {}", shown_path(path)),
    };
    format!("{what}, {}{then}", section.rule_in_words())
}

fn partners(section: &OrphansSection) -> String {
    if section.partner_field.is_some() {
        return "files".to_owned();
    }
    section.partner.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn notes(section: &OrphansSection) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |when: bool, what: &str| notes.extend(when.then(|| what.to_owned()));
    let files = if section.remove_files {
        "files without metadata go too"
    } else {
        "files without metadata are reported"
    };
    note(section.find != Find::Metadata, files);
    note(section.find == Find::Files, "metadata without a file stays");
    note(section.ignore_case, "upper and lower case are the same");
    note(section.normalize, "composed and decomposed letters are the same");
    note(!section.exclude.0.is_empty(), "some are excluded");
    note(section.dry_run, "only ever shown");
    let guard = &section.guard;
    notes.extend(guard.volume.as_ref().map(|name| format!("only while volume {name} is mounted")));
    notes.extend(guard.marker.as_ref().map(|name| format!("only while {name} lies there")));
    if let Some(share) = section.metadata().guard().max_share {
        notes.push(format!("of more than {} files refused above max-share {share}", Guard::SMALL));
    }
    let emergency = if section.emergency { "in an emergency after one look" } else { "not in an emergency" };
    notes.push(emergency.to_owned());
    notes
}
