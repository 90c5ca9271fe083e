//! Getting space back: command by command, until the marks of the volumes hold.

use crate::{args::ReclaimArgs, command, space::Change};
use maint_core::{
    emergency::{Mark, Need},
    fs::Mount,
    section::ReclaimSection,
};
use maint_run::{
    Run, UsageError,
    config::Named,
    exit::Status,
    report::{Means, Rescue, Rung, Work},
    signals,
    volumes::{self, Marked},
};
use std::path::Path;

/// Runs what is for the volumes that have reached their marks.
pub(crate) fn run(
    run: &mut Run,
    args: &ReclaimArgs,
    sections: &[Named<ReclaimSection>],
) -> Result<(), UsageError> {
    let dry_run = args.changing.dry_run;
    let until = args.rescuing.until();
    let mut marked = volumes::marked(run, until, dry_run)?;
    if let Some(until) = until {
        add_root(&mut marked, until, dry_run);
    }
    // A mark that replaces all others is meant for what the commands are for.
    let is_meant = until.is_none() && run.names().is_empty();
    marked.retain(|volume| is_meant || sections.iter().any(|section| is_for(section, volume)));
    for volume in &mut marked {
        volume.rescue.means = Means::Commands;
    }
    if marked.iter().any(Marked::has_no_room) {
        run.audit().hold_back();
    }
    for section in sections {
        let in_need = |volume: &Marked| is_for(section, volume) && !volume.need().is_met();
        if signals::asked_to_stop() || !marked.iter().any(in_need) {
            continue;
        }
        let needy: Vec<bool> = marked.iter().map(in_need).collect();
        let (done, changes) = command::run(run, args, section);
        run.audit().write_held_back();
        let would_run = done.dry_run && dry_run && done.status == Status::Ok;
        if would_run || matches!(done.work, Work::Command(Some(_))) {
            for (volume, _) in marked.iter_mut().zip(needy).filter(|(_, needy)| *needy) {
                volume.rescue.rungs.push(rung(section, volume.mount.as_ref(), &changes));
            }
        }
        run.record(done);
    }
    for volume in marked {
        run.record_rescue(volume.left_to("prune-images --emergency"));
    }
    Ok(())
}

/// Where one mark is for all, the root filesystem is a volume too.
fn add_root(marked: &mut Vec<Marked>, until: Mark, dry_run: bool) {
    let Ok(mount) = Mount::holding_path(Path::new("/")) else { return };
    let is_root =
        |volume: &Marked| volume.mount.as_ref().is_some_and(|its| its.is_of_same_filesystem(&mount));
    if !marked.iter().any(is_root) {
        let rescue = Rescue::new("/".to_owned(), "/".to_owned(), None, until, dry_run);
        marked.push(Marked::look(rescue, mount, None));
    }
}

/// Whether a command may help a volume.
fn is_for(section: &Named<ReclaimSection>, volume: &Marked) -> bool {
    section.value.volume.as_ref().is_none_or(|name| *name == volume.rescue.volume)
}

/// What a command did for a volume.
fn rung(section: &Named<ReclaimSection>, mount: Option<&Mount>, changes: &[Change]) -> Rung {
    let change =
        changes.iter().find(|change| mount.is_some_and(|mount| change.mount.is_of_same_filesystem(mount)));
    let frees = change
        .map_or_else(Need::default, |change| Need { bytes: change.freed(), inodes: change.inodes_freed() });
    Rung { target: section.name.clone(), frees, possible: frees, ..Rung::default() }
}
