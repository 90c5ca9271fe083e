//! The folders that are pruned on a volume, as the forecast wants to know them: what they hold by age, and
//! when it goes. They are looked over once an hour; in between it is remembered.

use maint_core::{
    forecast::{Hour, Tree, Written},
    fs::{Root, Workers, replace_file},
    section::FilesSection,
    time::Timestamp,
    units::{ByteSize, Span},
    watch::Count,
};
use maint_run::{Run, config::Named, signals};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// So long a look counts.
const LASTS: Span = Span::from_seconds(3600);
/// Hours that are told apart: a year and a little.
const MOST_HOURS: usize = 9000;
const FILE: &str = "trees.json";

/// What is remembered of a section.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    at: i64,
    hours: Vec<u64>,
    beyond: u64,
    written: Vec<(i64, u64)>,
}

/// All sections that are pruned, and what is known of them.
pub(crate) struct Trees<'f> {
    files: &'f [Named<FilesSection>],
    known: BTreeMap<String, Known>,
    place: Option<PathBuf>,
    is_new: bool,
}

/// Sections whose files are on one way to their end, as one tree.
pub(crate) struct Grown {
    /// Their names.
    pub(crate) names: Vec<String>,
    pub(crate) tree: Tree,
}

impl<'f> Trees<'f> {
    pub(crate) fn open(run: &Run, files: &'f [Named<FilesSection>]) -> Self {
        let place = run.state_folder().ok().map(|folder| folder.join(FILE));
        let text = place.as_deref().and_then(|place| std::fs::read(place).ok());
        let known = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { files, known, place, is_new: false }
    }

    /// The trees on a volume. Sections that hand their files on within the volume are one with the last.
    pub(crate) fn on(&mut self, run: &Run, volume: &Path, others: &[&Path]) -> Vec<Grown> {
        let files = self.files;
        let lies_here = |path: &Path| {
            let deeper = others
                .iter()
                .any(|other| other.starts_with(volume) && *other != volume && path.starts_with(other));
            path.starts_with(volume) && !deeper
        };
        let here: Vec<&Named<FilesSection>> =
            files.iter().filter(|files| lies_here(&files.value.root())).collect();
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for n in 0..here.len() {
            let last = last_of_chain(&here, n, &lies_here);
            groups.entry(last.unwrap_or(n)).or_default().push(n);
        }
        let ends = |n: usize| last_of_chain(&here, n, &lies_here).is_some();
        groups
            .into_iter()
            .filter_map(|(last, members)| {
                let members: Vec<&Named<FilesSection>> = members.into_iter().map(|n| here[n]).collect();
                self.grown(run, here[last], &members, ends(last))
            })
            .collect()
    }

    fn grown(
        &mut self,
        run: &Run,
        last: &Named<FilesSection>,
        members: &[&Named<FilesSection>],
        ends: bool,
    ) -> Option<Grown> {
        let policy = last.value.policy();
        let max_age = policy.max_age.filter(|_| ends);
        let limit = policy.max_size.filter(|_| ends && members.len() == 1).map(ByteSize::bytes);
        let care = run.care_of("prune-images", &last.name);
        let hours = max_age.map_or(48, |age| age.seconds() / 3600 + 1)
            + care.every.map_or(6, |every| 3 * every.seconds().div_ceil(3600));
        let hours = usize::try_from(hours).unwrap_or(MOST_HOURS).clamp(48, MOST_HOURS);
        let mut all: Option<Tree> = None;
        for member in members {
            let known = self.look(run, member, hours)?;
            let tree = all.get_or_insert_with(|| Tree {
                at: Timestamp::from_seconds(known.at),
                hours: Vec::new(),
                beyond: 0,
                max_age,
                limit,
                every: care.every,
                pruned: care.succeeded,
                fruitless: care.fruitless,
                written: Written::default(),
            });
            if tree.hours.len() < known.hours.len() {
                tree.hours.resize(known.hours.len(), 0);
            }
            for (sum, more) in tree.hours.iter_mut().zip(&known.hours) {
                *sum = sum.saturating_add(*more);
            }
            tree.beyond = tree.beyond.saturating_add(known.beyond);
            // What is written comes in at the beginning of the way.
            if tree.written.hours().iter().map(|hour| hour.amount).sum::<u64>()
                < known.written.iter().map(|(_, amount)| amount).sum()
            {
                tree.written = written(&known);
            }
        }
        Some(Grown { names: members.iter().map(|member| member.name.clone()).collect(), tree: all? })
    }

    /// What a section holds, from a look that is not older than an hour; none where it cannot be told.
    fn look(&mut self, run: &Run, section: &Named<FilesSection>, hours: usize) -> Option<Known> {
        let known = self.known.get(&section.name).cloned().unwrap_or_default();
        let at = Timestamp::from_seconds(known.at);
        if at <= run.now && run.now.since(at) < LASTS && known.hours.len() >= hours {
            return Some(known);
        }
        let root = Root::to_look(&section.value.root()).ok()?;
        let select = section.value.select();
        let count = Count {
            root: &root,
            select: &select,
            workers: Workers::new(std::thread::available_parallelism().map_or(1, |n| n.get().min(4))),
            stop: &signals::asked_to_stop,
            now: run.now,
            hours,
            only_names: false,
        };
        let (contents, errors) = count.run();
        if errors.total() > 0 {
            log::info!("{}: not all of it can be seen, so the forecast does without", section.name);
            return None;
        }
        let mut written = written(&known);
        written.note(run.now, &contents.hours);
        let known = Known {
            at: run.now.seconds,
            hours: contents.hours,
            beyond: contents.beyond,
            written: written.hours().iter().map(|hour| (hour.end.seconds, hour.amount)).collect(),
        };
        self.known.insert(section.name.clone(), known.clone());
        self.is_new = true;
        Some(known)
    }

    /// Remembers what was seen.
    pub(crate) fn keep(&self) {
        let Some(place) = self.place.as_ref().filter(|_| self.is_new) else { return };
        let kept = serde_json::to_vec(&self.known).map_err(std::io::Error::from);
        if let Err(error) = kept.and_then(|text| replace_file(place, &text, 0o640)) {
            log::warn!("what was seen of the pruned folders is not remembered: {error}");
        }
    }
}

fn written(known: &Known) -> Written {
    let hour = |&(end, amount): &(i64, u64)| Hour { end: Timestamp::from_seconds(end), amount };
    Written::new(known.written.iter().map(hour))
}

/// The section from which the files of one leave the volume; none if they never do.
fn last_of_chain(
    here: &[&Named<FilesSection>],
    first: usize,
    lies_here: &dyn Fn(&Path) -> bool,
) -> Option<usize> {
    let mut at = first;
    for _ in 0..=here.len() {
        match here[at].value.destination() {
            None => return Some(at),
            Some(to) if !lies_here(&to) => return Some(at),
            Some(to) => at = here.iter().position(|other| to.starts_with(other.value.root()))?,
        }
    }
    None
}
