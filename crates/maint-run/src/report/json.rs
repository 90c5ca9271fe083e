//! The report for programs: `maint.report/1`. These structs are the promise; the values inside may change.

use super::{BackedUp, COUNTERS, Check, Ended, Ran, Report, Rescue, Rung, Target, Work};
use crate::clock;
use maint_core::{fs::Inodes, orphans::Orphan, text::printable, units::Span};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

#[derive(Serialize)]
struct WireReport<'a> {
    schema: &'static str,
    tool: &'a str,
    run: &'a str,
    host: &'a str,
    trigger: &'static str,
    mode: &'static str,
    dry_run: bool,
    start_time: String,
    end_time: String,
    duration_seconds: f64,
    status: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<WireVolume<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<WireCheck<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<WireTarget<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals<'a>>,
    errors: Vec<WireError<'a>>,
}

#[derive(Serialize)]
struct WireTarget<'a> {
    name: &'a str,
    path: &'a str,
    policy: &'a str,
    status: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    counts: WireCounts<'a>,
    #[serde(flatten)]
    files: Option<WireFiles<'a>>,
    storage_before_percent: Option<f64>,
    storage_after_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<WireCommand<'a>>,
    #[serde(flatten)]
    backup: Option<WireBackup<'a>>,
    #[serde(rename = "orphans_found", skip_serializing_if = "Vec::is_empty")]
    told: Vec<WireOrphan>,
    notes: &'a [String],
}

/// What is told of files alone.
#[derive(Serialize)]
struct WireFiles<'a> {
    files_kept: Pairs<'a, &'static str>,
    reasons: Pairs<'a, String>,
    by_pattern: Pairs<'a, String>,
    oldest_time: Option<String>,
    newest_time: Option<String>,
}

/// What is told of backups alone.
#[derive(Serialize)]
struct WireBackup<'a> {
    id: Option<&'a str>,
    bytes: u64,
    verified: &'static str,
    steps: Steps<'a>,
    removed: &'a [String],
    found: &'a [String],
}

#[derive(Serialize)]
struct WireOrphan {
    path: String,
    bytes: u64,
    age_seconds: u64,
    known_seconds: u64,
    looks: u32,
    due: bool,
}

#[derive(Serialize)]
struct WireCommand<'a> {
    ended: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
    seconds: f64,
    freed: Pairs<'a, String>,
}

#[derive(Serialize)]
struct WireVolume<'a> {
    name: &'a str,
    path: &'a str,
    status: &'static str,
    dry_run: bool,
    at: Option<String>,
    until: String,
    acted: bool,
    reached: bool,
    storage_before_percent: f64,
    storage_after_percent: f64,
    inodes_before_percent: Option<f64>,
    inodes_after_percent: Option<f64>,
    bytes_available: u64,
    bytes_needed: u64,
    inodes_needed: u64,
    bytes_freed: u64,
    inodes_freed: u64,
    estimated_seconds: Option<u64>,
    ladder: Vec<WireRung<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct WireRung<'a> {
    target: &'a str,
    files: u64,
    bytes: u64,
    bytes_possible: u64,
    inodes: u64,
    inodes_possible: u64,
    keeps: &'a str,
}

#[derive(Serialize)]
struct WireCheck<'a> {
    name: &'a str,
    status: &'static str,
    message: &'a str,
    value: Option<f64>,
    warn: Option<f64>,
    crit: Option<f64>,
    unit: Option<&'static str>,
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct WireError<'a> {
    target: &'a str,
    path: &'a str,
    operation: &'a str,
    error: &'a str,
}

struct WireCounts<'a>(&'a Target);
struct Totals<'a>(&'a Report);
struct Pairs<'a, K>(&'a [(K, u64)]);
struct Steps<'a>(&'a [(&'static str, f64)]);

pub(crate) fn render(report: &Report) -> String {
    let is_check = report.tool.starts_with("check-");
    let wire = WireReport {
        schema: "maint.report/1",
        tool: report.tool,
        run: &report.run,
        host: &report.host,
        trigger: report.trigger.word(),
        mode: report.mode.word(),
        dry_run: report.is_dry_run(),
        start_time: clock::rfc3339(report.started),
        end_time: clock::rfc3339(report.ended),
        duration_seconds: rounded(report.seconds),
        status: report.status().word(),
        exit_code: report.exit_code(),
        volumes: report.rescues.iter().map(WireVolume::of).collect(),
        checks: is_check.then(|| report.checks.iter().map(WireCheck::of).collect()),
        targets: (!is_check).then(|| report.targets.iter().map(WireTarget::of).collect()),
        totals: (!is_check).then_some(Totals(report)),
        errors: report.targets.iter().flat_map(errors_of).collect(),
    };
    // Every key is a string and every number finite.
    serde_json::to_string(&wire).map(|text| text + "\n").unwrap_or_default()
}

/// To the millisecond.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

impl<'a> WireTarget<'a> {
    fn of(target: &'a Target) -> Self {
        Self {
            name: &target.name,
            path: &target.place,
            policy: &target.policy,
            status: target.status.word(),
            dry_run: target.dry_run,
            counts: WireCounts(target),
            files: (!matches!(target.work, Work::Backup(_))).then(|| WireFiles::of(target)),
            storage_before_percent: target.storage.map(|(before, _)| before),
            storage_after_percent: target.storage.map(|(_, after)| after),
            command: match &target.work {
                Work::Command(Some(ran)) => Some(WireCommand::of(ran)),
                Work::Command(None) | Work::Files | Work::Backup(_) => None,
            },
            backup: match &target.work {
                Work::Backup(backup) => Some(WireBackup::of(backup)),
                Work::Command(_) | Work::Files => None,
            },
            told: target.orphans.iter().map(|orphan| WireOrphan::of(target, orphan)).collect(),
            notes: &target.notes,
        }
    }
}

impl<'a> WireFiles<'a> {
    fn of(target: &'a Target) -> Self {
        Self {
            files_kept: Pairs(&target.kept),
            reasons: Pairs(&target.reasons),
            by_pattern: Pairs(&target.by_pattern),
            oldest_time: target.span.map(|(oldest, _)| clock::rfc3339(oldest)),
            newest_time: target.span.map(|(_, newest)| clock::rfc3339(newest)),
        }
    }
}

impl<'a> WireBackup<'a> {
    fn of(backup: &'a BackedUp) -> Self {
        let BackedUp { id, bytes, verified, steps, removed, kept: _, found } = backup;
        Self { id: id.as_deref(), bytes: *bytes, verified, steps: Steps(steps), removed, found }
    }
}

impl WireOrphan {
    fn of(target: &Target, orphan: &Orphan) -> Self {
        Self {
            path: format!("{}/{}", target.place, printable(&orphan.path)),
            bytes: orphan.size,
            age_seconds: orphan.age.seconds(),
            known_seconds: orphan.known.seconds(),
            looks: orphan.looks,
            due: orphan.is_due,
        }
    }
}

impl<'a> WireCheck<'a> {
    fn of(check: &'a Check) -> Self {
        let Check { name, message, measure, next, .. } = check;
        Self {
            name,
            status: check.word(),
            message,
            value: measure.map(|measure| measure.value),
            warn: measure.and_then(|measure| measure.warn),
            crit: measure.and_then(|measure| measure.crit),
            unit: measure.map(|measure| measure.unit.word()),
            next: next.as_deref(),
        }
    }
}

impl<'a> WireCommand<'a> {
    fn of(ran: &'a Ran) -> Self {
        let (exit_code, signal) = match ran.ended {
            Ended::Exited(code) => (Some(code), None),
            Ended::Killed(signal) => (None, Some(signal)),
            Ended::Stopped(_) | Ended::NotBegun(_) => (None, None),
        };
        Self {
            ended: ran.ended.to_string(),
            exit_code,
            signal,
            seconds: rounded(ran.seconds),
            freed: Pairs(&ran.freed),
        }
    }
}

impl<'a> WireVolume<'a> {
    fn of(rescue: &'a Rescue) -> Self {
        let Rescue { before, after, need, .. } = rescue;
        let freed = rescue.freed();
        Self {
            name: &rescue.volume,
            path: &rescue.place,
            status: rescue.status.word(),
            dry_run: rescue.dry_run,
            at: rescue.at.map(|mark| mark.to_string()),
            until: rescue.until.to_string(),
            acted: rescue.acted,
            reached: rescue.is_reached(),
            storage_before_percent: before.percent(),
            storage_after_percent: after.percent(),
            inodes_before_percent: before.inodes.map(Inodes::percent),
            inodes_after_percent: after.inodes.map(Inodes::percent),
            bytes_available: after.available,
            bytes_needed: need.bytes,
            inodes_needed: need.inodes,
            bytes_freed: freed.bytes,
            inodes_freed: freed.inodes,
            estimated_seconds: rescue.takes.map(Span::seconds),
            ladder: rescue.rungs.iter().map(WireRung::of).collect(),
            notes: &rescue.notes,
        }
    }
}

impl<'a> WireRung<'a> {
    fn of(rung: &'a Rung) -> Self {
        let Rung { target, files, frees, possible, floor } = rung;
        Self {
            target,
            files: *files,
            bytes: frees.bytes,
            bytes_possible: possible.bytes,
            inodes: frees.inodes,
            inodes_possible: possible.inodes,
            keeps: floor,
        }
    }
}

fn errors_of(target: &Target) -> impl Iterator<Item = WireError<'_>> {
    target.errors.iter().map(|failure| WireError {
        target: &target.name,
        path: &failure.path,
        operation: &failure.operation,
        error: &failure.error,
    })
}

impl Serialize for WireCounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.numbers())
    }
}

impl Serialize for Totals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_backup = self.0.targets.iter().any(|target| matches!(target.work, Work::Backup(_)));
        let is_told = |counter: super::Counter| {
            counter == super::Counter::Errors || counter.is_of_backups() == is_backup
        };
        let told = COUNTERS.iter().filter(|(counter, ..)| is_told(*counter) && !counter.is_moment());
        serializer.collect_map(told.map(|(counter, word, _)| (word, self.0.total(*counter))))
    }
}

impl<K: Serialize> Serialize for Pairs<'_, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Steps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(step, seconds)| (step, rounded(*seconds))))
    }
}
