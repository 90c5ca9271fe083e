//! What is remembered of a run: as it goes into a history, and what comes out of one.

use crate::report::{Report, Rescue};
use maint_core::units::real;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A run as it goes into a history, and as it waits for one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(super) run: String,
    pub(super) started: i64,
    pub(super) seconds: f64,
    pub(super) trigger: String,
    pub(super) mode: String,
    pub(super) status: String,
    pub(super) exit_code: u8,
    pub(super) clock_in_doubt: bool,
    pub(super) targets: Vec<EntryTarget>,
    pub(super) volumes: Vec<PastVolume>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EntryTarget {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) succeeded: bool,
    pub(super) ended: i64,
    pub(super) numbers: Vec<(String, f64)>,
}

/// What a history remembers of an emergency of a volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PastVolume {
    /// Its name.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) status: String,
    /// When it ended.
    pub(crate) ended: i64,
    /// Used space before and after.
    pub(crate) percent: (f64, f64),
    /// Bytes that were needed.
    pub(crate) needed: f64,
    /// Bytes that came free.
    pub(crate) freed: f64,
    /// Whether the mark was reached.
    pub(crate) reached: bool,
}

/// What is known of all sections and volumes.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The last of each section.
    pub(crate) targets: Vec<PastTarget>,
    /// The last emergency of each volume.
    pub(crate) volumes: Vec<PastVolume>,
}

impl Entry {
    /// What is remembered of a run.
    pub(crate) fn of(report: &Report) -> Self {
        let targets = report.targets.iter().filter(|target| !target.dry_run).map(|target| EntryTarget {
            name: target.name.clone(),
            status: target.status.word().to_owned(),
            succeeded: target.succeeded(),
            ended: report.ended.seconds,
            numbers: numbers_of(target),
        });
        Self {
            run: report.run.clone(),
            started: report.started.seconds,
            seconds: report.seconds,
            trigger: report.trigger.word().to_owned(),
            mode: report.mode.word().to_owned(),
            status: report.status().word().to_owned(),
            exit_code: report.exit_code(),
            clock_in_doubt: report.clock_in_doubt,
            targets: targets.collect(),
            volumes: volumes_of(report).collect(),
        }
    }
}

/// What a tool remembers of its sections from run to run, by their names.
pub(crate) type Memories = BTreeMap<String, Vec<u8>>;

/// The emergencies of a run that did something.
pub(crate) fn volumes_of(report: &Report) -> impl Iterator<Item = PastVolume> {
    let ended = report.ended.seconds;
    report.rescues.iter().filter(|rescue| rescue.acted && !rescue.dry_run).map(move |rescue| {
        let Rescue { volume, status, before, after, need, .. } = rescue;
        let (needed, freed) = (real(need.bytes), real(rescue.freed().bytes));
        PastVolume {
            name: volume.clone(),
            status: status.word().to_owned(),
            ended,
            percent: (before.percent(), after.percent()),
            needed,
            freed,
            reached: rescue.is_reached(),
        }
    })
}

/// What a history remembers last of a section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastTarget {
    /// Its name.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) status: String,
    /// When it ended.
    pub(crate) ended: i64,
    /// When it last ended well.
    pub(crate) succeeded: Option<i64>,
    /// Its numbers, by word.
    pub(crate) numbers: Vec<(String, f64)>,
}

/// The numbers of a target by word: its counters, what it kept, how full its storage was.
pub(crate) fn numbers_of(target: &crate::report::Target) -> Vec<(String, f64)> {
    let counters = target.numbers().map(|(word, n)| (word.to_owned(), real(n)));
    let kept = target.kept.iter().map(|(why, n)| (format!("{KEPT_PREFIX}{why}"), real(*n)));
    let storage = target.storage.into_iter().flat_map(|(before, after)| {
        [("storage_before_percent".to_owned(), before), ("storage_after_percent".to_owned(), after)]
    });
    counters.chain(kept).chain(storage).collect()
}

/// What stands before a reason among the numbers.
pub(crate) const KEPT_PREFIX: &str = "files_kept.";
