//! One section: both sides opened, looked at, and what is left of it.

use crate::{args::OrphanArgs, words};
use maint_core::{
    fs::{Root, replace_file},
    orphans::{Ask, Memory, Orphans, Rule, Side},
    plan::Guard,
    retention::Kept,
    saved::fingerprint,
    section::{FilesSection, Find, OrphansSection},
    text::{count, joined, printable},
};
use maint_run::{
    Run,
    config::Named,
    exit::Status,
    files::{self, Errand},
    report::{Counter, Target, chain},
    signals, volumes,
};
use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Looks at a section, and lets go what was alone often enough.
pub(crate) fn everyday(run: &Run, args: &OrphanArgs, section: &Named<OrphansSection>) -> Vec<Target> {
    let mut looks: Vec<Look> = Vec::new();
    for folder in folders(&section.value) {
        if !signals::asked_to_stop() {
            let look = look(run, args, section, &folder, section.value.observations, &looks);
            looks.push(look);
        }
    }
    settle(run, looks)
}

/// What came of one folder.
pub(crate) struct Look {
    pub(crate) done: Target,
    memory: Option<Memory>,
}

/// Ends the looks at the folders of a section, and remembers them.
pub(crate) fn settle(run: &Run, mut looks: Vec<Look>) -> Vec<Target> {
    // What a later look let go is no reason for the next one to find a folder empty.
    for n in 0..looks.len() {
        let (before, after) = looks.split_at_mut(n + 1);
        if let Some(memory) = before.last_mut().and_then(|look| look.memory.as_mut()) {
            for later in after.iter() {
                memory.let_go(&later.done.place, later.done.gone());
            }
        }
    }
    looks.into_iter().map(|look| look.finish(run)).collect()
}

impl Look {
    fn finish(self, run: &Run) -> Target {
        let Self { done, memory } = self;
        if let Some(memory) = memory.filter(|_| !done.dry_run) {
            // Should the memory not be written, this tells the next run that it is not the last one.
            let marked = run.runtime_folder().and_then(|folder| {
                replace_file(&folder.join(mark_of(&done.name)), memory.run().as_bytes(), 0o640)
            });
            if let Err(error) = marked {
                log::info!("{}: no mark of this look in the runtime folder: {error}", done.name);
            }
            run.remember_of(&done.name, memory.to_bytes());
        }
        done
    }
}

/// The name of this run, and since when the machine runs: its runtime folder lasts as long.
fn this_run(run: &Run) -> String {
    format!("{} {}", run.name(), boot())
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The file that tells which run looked last.
fn mark_of(name: &str) -> String {
    let print: String = fingerprint(name).chars().take(16).collect();
    format!("look-{print}")
}

/// A folder whose files may be orphans.
pub(crate) struct Folder {
    pub(crate) side: Side,
    pub(crate) path: PathBuf,
}

/// The folders that a section is about.
pub(crate) fn folders(section: &OrphansSection) -> Vec<Folder> {
    let of_metadata = Folder { side: Side::Metadata, path: section.metadata().root() };
    let of_partners = section.places().into_iter().map(|path| Folder { side: Side::Partner, path });
    match section.find {
        Find::Metadata => vec![of_metadata],
        Find::Files => of_partners.collect(),
        Find::Both => std::iter::once(of_metadata).chain(of_partners).collect(),
    }
}

/// Looks at one folder of a section; its files go after so many looks.
pub(crate) fn look(
    run: &Run,
    args: &OrphanArgs,
    section: &Named<OrphansSection>,
    folder: &Folder,
    observations: u32,
    earlier: &[Look],
) -> Look {
    let Named { name, value, place } = section;
    let target =
        Named { name: name_of(name, value, folder), value: files_of(value, folder), place: place.clone() };
    let orders = args.orders();
    let mut refused = files::untouched(&orders, &target);
    refused.policy = words::policy(value, folder.side);
    let opened = volumes::may_write(run, &folder.path).and_then(|()| open_others(run, value, folder.side));
    let others = match opened {
        Ok(others) => others,
        Err(why) => {
            refused.note(Status::Refused, format!("{why}: nothing can be told, and nothing was done"));
            return Look { done: refused, memory: None };
        }
    };
    let pairing = value.pairing();
    let rules = fingerprint(&format!("{pairing:?} {:?} {:?}", value.places(), folder.side));
    let mut memory = recall(run, &target.name, &rules);
    for look in earlier {
        memory.let_go(&look.done.place, look.done.gone());
    }
    let orphans = Orphans::new(Ask {
        pairing: &pairing,
        side: folder.side,
        others: &others,
        is_beside: value.is_beside(),
        memory: &memory,
        rule: Rule {
            observations,
            apart: value.observations_apart,
            only_reported: folder.side == Side::Partner && !value.remove_files,
            is_forced: args.removing.force.iter().any(|guard| guard == Guard::PARTNERS),
        },
        now: run.now,
        workers: args.removing.workers(value.workers),
        stop: &signals::asked_to_stop,
        tells: args.report,
    });
    let mut done = files::work_on(run, &orders, &target, Errand::Tied(&orphans));
    done.policy = refused.policy;
    if let Some(found) = orphans.count() {
        done.counts.set(Counter::Orphans, found);
        done.knows_orphans = true;
    }
    done.orphans = orphans.told();
    let seen = orphans.memory(&this_run(run), &rules, done.gone());
    // A look that was none is not remembered, but what went before it through ourselves is.
    let has_let_go = earlier.iter().any(|look| look.done.gone() > 0);
    let memory = seen.or_else(|| has_let_go.then(|| memory.clone()));
    note_kept(&mut done, &orphans, &folder.path);
    Look { done, memory }
}

/// The folder of metadata has the name of the section, those of partners their own behind it.
fn name_of(section: &str, value: &OrphansSection, folder: &Folder) -> String {
    if folder.side == Side::Metadata {
        return section.to_owned();
    }
    let last = |path: &Path| path.file_name().map(|name| printable(name.as_bytes())).unwrap_or_default();
    let is_same = |path: &PathBuf| last(path) == last(&folder.path);
    let places = value.places();
    let is_alone = places.iter().filter(|path| is_same(path)).count() == 1;
    let name = if is_alone { last(&folder.path) } else { printable(folder.path.as_os_str().as_bytes()) };
    format!("{section}:{name}")
}

fn files_of(section: &OrphansSection, folder: &Folder) -> FilesSection {
    match folder.side {
        Side::Metadata => section.metadata(),
        Side::Partner => section.partners(&folder.path),
    }
}

/// Opens the folders of the other side: all of them, each the very folder that was named.
fn open_others(run: &Run, section: &OrphansSection, side: Side) -> Result<Vec<Root>, String> {
    let paths = match side {
        Side::Metadata => section.places(),
        Side::Partner => vec![section.metadata().root()],
    };
    paths
        .iter()
        .map(|path| {
            volumes::may_write(run, path)?;
            Root::to_look_without_link(path).map_err(|error| chain(&error))
        })
        .collect()
}

fn recall(run: &Run, name: &str, rules: &str) -> Memory {
    let Some(bytes) = run.recall(name) else { return Memory::default() };
    let mut memory = Memory::of_bytes(&bytes).unwrap_or_else(|| {
        log::warn!("{name}: what was remembered is damaged: every look begins anew");
        Memory::default()
    });
    let mark = run.runtime_folder().and_then(|folder| std::fs::read_to_string(folder.join(mark_of(name))));
    // Since the machine started there is a mark of each look; before, there was one.
    let is_last = mark.map_or_else(|_| !memory.run().ends_with(&boot()), |mark| mark == memory.run());
    if memory.rules() != rules {
        log::info!("{name}: what belongs together has changed: every look begins anew");
        memory.begin_anew();
    } else if !is_last {
        log::warn!("{name}: the last look is not remembered: every look begins anew");
        memory.begin_anew();
    }
    memory
}

/// Says of what kept files a person should know.
fn note_kept(done: &mut Target, orphans: &Orphans<'_>, folder: &Path) {
    let kept = |why: Kept| done.kept.iter().find(|(word, _)| *word == why.word()).map_or(0, |(_, n)| *n);
    let mute = kept(Kept::NoJson) + kept(Kept::NamesNoPartner);
    let (unread, reported) = (kept(Kept::Unread), kept(Kept::Reported));
    let first: Vec<String> = orphans
        .mute()
        .iter()
        .map(|path| printable(&joined(&[folder.as_os_str().as_bytes(), path])))
        .collect();
    let first = if first.is_empty() { String::new() } else { format!(": {}", first.join(", ")) };
    if mute > 0 {
        done.notes.push(format!("{} kept that do not say what they belong to{first}", count(mute, "file")));
    }
    if unread > 0 {
        let why = format!(
            "{} kept that could not be read, or whose partner could not be looked for",
            count(unread, "file")
        );
        done.note(Status::Warning, why);
    }
    if reported > 0 {
        let files = count(reported, "file");
        done.notes.push(format!("{files} without metadata, only reported: remove-files = true lets them go"));
    }
}
