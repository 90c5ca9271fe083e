//! `maint-TOOL.prom`: the last state of every section, for node_exporter's textfile collector.

use crate::{
    exit::Status,
    history::{KEPT_PREFIX, Known, PastTarget, PastVolume, numbers_of, volumes_of},
    report::{COUNTERS, Reading, Report},
};
use maint_core::time::Timestamp;
use std::{collections::BTreeMap, fmt::Write as _};

/// One family of series.
struct Family {
    help: String,
    samples: Vec<(String, f64)>,
}

/// The text. `before` is what the history knows of sections that this run did not touch, so that a run
/// for one of them does not make the others' series disappear.
pub(crate) fn render(report: &Report, known: &Known) -> String {
    let before = &known.targets;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut add = |name: &str, help: &str, labels: String, value: f64| {
        let family = families
            .entry(format!("maint_{name}"))
            .or_insert_with(|| Family { help: help.to_owned(), samples: Vec::new() });
        family.samples.push((labels, value));
    };
    let tool = format!("tool=\"{}\"", report.tool);
    add(
        "run_start_timestamp_seconds",
        "When the last run began.",
        tool.clone(),
        report.started.real_seconds(),
    );
    add("run_duration_seconds", "How long the last run took.", tool.clone(), report.seconds);
    add("run_exit_code", "What the last run exited with.", tool.clone(), f64::from(report.exit_code()));

    add_checks(&mut add, report, &tool);

    let touched = report.targets.iter().filter(|target| !target.dry_run).map(|target| {
        let earlier = before.iter().find(|past| past.name == target.name).and_then(|past| past.succeeded);
        let succeeded = if target.succeeded() { Some(report.ended.seconds) } else { earlier };
        PastTarget {
            name: target.name.clone(),
            status: target.status.word().to_owned(),
            ended: report.ended.seconds,
            succeeded,
            numbers: numbers_of(target),
        }
    });
    let touched: Vec<PastTarget> = touched.collect();
    let untouched = before.iter().filter(|past| touched.iter().all(|target| target.name != past.name));
    for target in touched.iter().chain(untouched) {
        let labels = format!("{tool},target=\"{}\"", escape(&target.name));
        for status in Status::all().map(Status::word) {
            let value = f64::from(u8::from(target.status == status));
            add(
                "target_status",
                "1 for how the target's last run ended.",
                format!("{labels},status=\"{status}\""),
                value,
            );
        }
        add(
            "target_end_timestamp_seconds",
            "When the target's last run ended.",
            labels.clone(),
            Timestamp::from_seconds(target.ended).real_seconds(),
        );
        if let Some(succeeded) = target.succeeded {
            let help = "When the target's last run without any fault ended.";
            add(
                "target_success_timestamp_seconds",
                help,
                labels.clone(),
                Timestamp::from_seconds(succeeded).real_seconds(),
            );
        }
        for (word, value) in &target.numbers {
            if let Some(reason) = word.strip_prefix(KEPT_PREFIX) {
                let labels = format!("{labels},reason=\"{}\"", escape(reason));
                add("files_kept", "Files that stayed, by reason.", labels, *value);
            } else if let Some((_, word, help)) = COUNTERS.iter().find(|row| row.1 == word) {
                add(word, help, labels.clone(), *value);
            } else if word.starts_with("storage_") {
                let word = word.replace("_percent", "_used_ratio");
                add(&word, "The used part of the target's filesystem.", labels.clone(), ratio(*value));
            }
        }
    }

    add_emergencies(&mut add, report, &known.volumes, &tool);

    let mut text = String::new();
    for (name, family) in families {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} gauge", family.help);
        for (labels, value) in family.samples {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }
    text
}

/// The last emergency of each volume.
fn add_emergencies(
    add: &mut impl FnMut(&str, &str, String, f64),
    report: &Report,
    before: &[PastVolume],
    tool: &str,
) {
    let touched: Vec<PastVolume> = volumes_of(report).collect();
    let untouched = before.iter().filter(|past| touched.iter().all(|now| now.name != past.name));
    for volume in touched.iter().chain(untouched) {
        let labels = format!("{tool},volume=\"{}\"", escape(&volume.name));
        let reached = f64::from(u8::from(volume.reached));
        for (word, help, value) in [
            (
                "emergency_end_timestamp_seconds",
                "When the volume's last emergency ended.",
                Timestamp::from_seconds(volume.ended).real_seconds(),
            ),
            ("emergency_reached", "1 if the volume's last emergency reached its mark.", reached),
            ("emergency_bytes_needed", "Bytes that the volume's last emergency needed.", volume.needed),
            (
                "emergency_bytes_freed",
                "Bytes of blocks that the volume's last emergency spent.",
                volume.freed,
            ),
            (
                "emergency_before_used_ratio",
                "The used part of the volume before its last emergency.",
                ratio(volume.percent.0),
            ),
            (
                "emergency_after_used_ratio",
                "The used part of the volume after its last emergency.",
                ratio(volume.percent.1),
            ),
        ] {
            add(word, help, labels.clone(), value);
        }
    }
}

/// What checks found and measured.
fn add_checks(add: &mut impl FnMut(&str, &str, String, f64), report: &Report, tool: &str) {
    for check in &report.checks {
        let labels = format!("{tool},check=\"{}\"", escape(&check.name));
        for status in Status::all().filter(|status| status.is_of_checks()).map(Status::word) {
            let value = f64::from(u8::from(check.is_measured && check.status.word() == status));
            add("check_status", "1 for how the check ended.", format!("{labels},status=\"{status}\""), value);
        }
    }
    for Reading { gauge, of, value } in &report.readings {
        let (word, help) = gauge.row();
        add(word, help, format!("{tool},{}=\"{}\"", gauge.label(), escape(of)), *value);
    }
}

/// A part of one, where people read percent; to the digit that was measured.
fn ratio(percent: f64) -> f64 {
    (percent * 10.0).round() / 1000.0
}

/// A label value as the text format wants it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
