//! Getting space back: orphans go after one look, on the volumes that have reached their marks.

use crate::{
    args::OrphanArgs,
    look::{self, Look},
};
use maint_core::{emergency::Need, fs::Root, section::OrphansSection};
use maint_run::{
    Run, UsageError,
    config::Named,
    report::{Counter, Rung, Target},
    signals,
    volumes::{self, Marked},
};

/// An emergency waits for no second look.
const ONE_LOOK: u32 = 1;

/// Lets orphans go on the volumes that have reached their marks.
pub(crate) fn run(
    run: &mut Run,
    args: &OrphanArgs,
    sections: &[Named<OrphansSection>],
) -> Result<(), UsageError> {
    args.rescuing.check(run)?;
    if sections.is_empty() {
        return Ok(());
    }
    let dry_run = args.shows_only();
    let until = args.rescuing.until();
    let mut marked = volumes::marked(run, until, dry_run)?;
    run.begin_emergency();
    let mut has_place = vec![false; marked.len()];
    let willing = sections.iter().filter(|section| section.value.emergency);
    for section in willing {
        let mut looks: Vec<Look> = Vec::new();
        for folder in look::folders(&section.value) {
            if signals::asked_to_stop() {
                break;
            }
            // What has no root says so itself, and what lies where a volume should be is refused there.
            let Ok(root) = Root::to_look_without_link(&folder.path) else {
                let look = look::look(run, args, section, &folder, ONE_LOOK, &looks);
                looks.push(look);
                continue;
            };
            let volume = match volumes::of_root(&mut marked, until, dry_run, &root) {
                Ok(Some(volume)) => volume,
                Ok(None) => continue,
                Err(error) => {
                    log::error!("{}: it cannot be told on which volume it lies: {error}", section.name);
                    continue;
                }
            };
            has_place.resize(marked.len(), false);
            has_place[volume] = true;
            if marked[volume].need().is_met() {
                continue;
            }
            if marked[volume].has_no_room() {
                run.audit().hold_back();
            }
            let mut look = look::look(run, args, section, &folder, ONE_LOOK, &looks);
            look.done.partial = true;
            run.audit().write_held_back();
            marked[volume].rescue.rungs.push(rung(&look.done));
            looks.push(look);
        }
        for done in look::settle(run, looks) {
            run.record(done);
        }
    }
    for (volume, _) in marked.into_iter().zip(has_place).filter(|(_, has_place)| *has_place) {
        let rescue = if dry_run { shown(volume) } else { volume.left_to("prune-images --emergency") };
        run.record_rescue(rescue);
    }
    Ok(())
}

fn rung(done: &Target) -> Rung {
    let n = |counter| done.counts.get(counter);
    let (files, bytes) = if done.dry_run {
        (n(Counter::FilesSelected), n(Counter::BytesToFree))
    } else {
        (done.gone(), n(Counter::BytesFreed))
    };
    let frees = Need { bytes, inodes: files };
    Rung { target: done.name.clone(), files, frees, possible: frees, ..Rung::default() }
}

/// How it would be.
fn shown(volume: Marked) -> maint_run::report::Rescue {
    let mut rescue = volume.rescue;
    let freed = rescue.freed();
    rescue.after = rescue.before.without(freed.bytes).without_inodes(freed.inodes);
    rescue
}
