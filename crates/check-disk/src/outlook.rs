//! What the past of a volume says of its future: samples are added to what is remembered, and read again.

use crate::{
    device::Device,
    probe::Seen,
    store::{self, Store},
    trees::Trees,
    volume,
};
use maint_core::{
    forecast::{Eta, Forecast, Holding, Method, Outlook, Sample, Stopped, forecast},
    section::{FilesSection, VolumeSection},
    time::Timestamp,
    units::{ByteSize, Span, real},
};
use maint_run::{
    Run,
    config::Named,
    exit::Status,
    report::{Check, Gauge, Measure, Unit},
};
use std::{collections::HashMap, path::Path};

/// Where nobody says when to worry.
const WARN: Span = Span::from_seconds(24 * 3600);
const CRIT: Span = Span::from_seconds(4 * 3600);

/// The outlooks of all volumes.
pub(crate) struct Outlooks<'f> {
    trees: Trees<'f>,
    /// How long each section can keep what it gets.
    holdings: HashMap<String, Holding>,
}

impl<'f> Outlooks<'f> {
    pub(crate) fn open(run: &Run, files: &'f [Named<FilesSection>]) -> Self {
        Self { trees: Trees::open(run, files), holdings: HashMap::new() }
    }

    /// Remembers how full a volume is, and says how long it and its device will last.
    pub(crate) fn checks(
        &mut self,
        run: &mut Run,
        name: &str,
        volume: &VolumeSection,
        seen: &Seen,
        device: &Device,
    ) -> Vec<Check> {
        let samples = remember(run, name, seen, device);
        let years = years_left(volume, device, &samples);
        let mut checks: Vec<Check> = volume::wear(name, volume, device, years).into_iter().collect();
        let (said, stopped) = self.ask(run, volume, &samples, seen);
        if let Outlook::Full { eta, .. } = said.outlook {
            let at = run.now.seconds.saturating_add_unsigned(eta.within.seconds());
            run.read_gauge(Gauge::VolumeFull, name, real(at.unsigned_abs()));
        }
        checks.push(of_space(name, volume, &said, stopped.as_deref()));
        checks.extend(of_inodes(run.now, name, volume, &samples));
        checks
    }

    /// What is known of how long a section keeps what it gets.
    pub(crate) fn holding(&self, section: &str) -> Option<&Holding> {
        self.holdings.get(section)
    }

    /// Remembers what was seen on the way.
    pub(crate) fn keep(&self) {
        self.trees.keep();
    }

    /// Whether a volume will be full within this time.
    pub(crate) fn is_full_within(
        &mut self,
        run: &Run,
        name: &str,
        volume: &VolumeSection,
        seen: &Seen,
        within: Span,
    ) -> bool {
        let samples = recall(run, name);
        match self.ask(run, volume, &samples, seen).0.outlook {
            Outlook::FullNow => true,
            Outlook::Full { eta, .. } => eta.within <= within,
            Outlook::Later | Outlook::Stable | Outlook::Insufficient { .. } => seen.available == 0,
        }
    }

    /// The forecast, and what tells that a cleanup has stopped.
    fn ask(
        &mut self,
        run: &Run,
        volume: &VolumeSection,
        samples: &[store::Sample],
        seen: &Seen,
    ) -> (Forecast, Option<String>) {
        let others: Vec<&Path> = run.volumes().map(|(_, other)| other.path.as_path()).collect();
        let grown = self.trees.on(run, &volume.path, &others);
        let trees: Vec<_> = grown.iter().map(|grown| grown.tree.clone()).collect();
        let mut past: Vec<Sample> = samples
            .iter()
            .map(|sample| Sample {
                at: Timestamp::from_seconds(sample.at),
                used: sample.used,
                whole: sample.whole,
            })
            .collect();
        // The present, for who only asks and remembers nothing.
        let present = Sample { at: run.now, used: seen.used, whole: seen.used + seen.available };
        if past.last() != Some(&present) {
            past.push(present);
        }
        let said = forecast(run.now, &past, &trees);
        let mut stopped = None;
        for (grown, prospect) in grown.iter().zip(&said.trees) {
            if let (Some(holding), Some(name)) = (prospect.holding, grown.names.last()) {
                self.holdings.insert(name.clone(), holding);
            }
            let tell = |why: &Stopped| format!("{}: {why}", grown.names.join(", "));
            stopped = stopped.or(prospect.stopped.as_ref().map(tell));
        }
        (said, stopped)
    }
}

fn status_of(eta: Eta, volume: &VolumeSection) -> Status {
    let within = |limit: Option<Span>, usual| eta.within <= limit.unwrap_or(usual);
    if within(volume.forecast.crit, CRIT) {
        Status::Critical
    } else if within(volume.forecast.warn, WARN) {
        Status::Warning
    } else {
        Status::Ok
    }
}

fn limits(volume: &VolumeSection) -> (Option<f64>, Option<f64>) {
    let limit = |limit: Option<Span>, usual: Span| Some(real(limit.unwrap_or(usual).seconds()));
    (limit(volume.forecast.warn, WARN), limit(volume.forecast.crit, CRIT))
}

fn of_space(name: &str, volume: &VolumeSection, said: &Forecast, stopped: Option<&str>) -> Check {
    let check = format!("{name} forecast");
    let plateau = said.plateau.map(|bytes| format!(", comes to rest at {}", ByteSize::from_bytes(bytes)));
    let message = format!("{}{}", said.outlook, plateau.unwrap_or_default());
    match said.outlook {
        Outlook::FullNow => Check::new(check, Status::Critical, message)
            .measured(measure(0, volume))
            .with_next("prune-images --emergency --dry-run"),
        Outlook::Full { eta, by } => {
            let why = stopped.filter(|_| by == Method::CleanupStopped);
            let message = why.map_or(message.clone(), |why| format!("{message} ({why})"));
            let next =
                if why.is_some() { "prune-images --history; prune-images" } else { "prune-images --dry-run" };
            Check::new(check, status_of(eta, volume), message)
                .measured(measure(eta.within.seconds(), volume))
                .with_next(next)
        }
        Outlook::Insufficient { .. } => Check::not_measured(check, message),
        Outlook::Later | Outlook::Stable => Check::new(check, Status::Ok, message),
    }
}

fn measure(seconds: u64, volume: &VolumeSection) -> Measure {
    let (warn, crit) = limits(volume);
    Measure { falling: true, ..Measure::of(real(seconds), Unit::Seconds).limited(warn, crit) }
}

/// Inodes are told of only when they run out.
fn of_inodes(now: Timestamp, name: &str, volume: &VolumeSection, samples: &[store::Sample]) -> Option<Check> {
    let past: Vec<Sample> = samples
        .iter()
        .filter(|sample| sample.inodes_whole > 0)
        .map(|sample| Sample {
            at: Timestamp::from_seconds(sample.at),
            used: sample.inodes_used,
            whole: sample.inodes_whole,
        })
        .collect();
    let said = (!past.is_empty()).then(|| forecast(now, &past, &[]))?;
    let (seconds, status) = match said.outlook {
        Outlook::FullNow => (0, Status::Critical),
        Outlook::Full { eta, .. } => (eta.within.seconds(), status_of(eta, volume)),
        Outlook::Later | Outlook::Stable | Outlook::Insufficient { .. } => return None,
    };
    let message = format!("of inodes: {}", said.outlook);
    Some(
        Check::new(format!("{name} inode forecast"), status, message)
            .measured(measure(seconds, volume))
            .with_next("prune-images --dry-run"),
    )
}

fn store(run: &Run, name: &str) -> Option<Store> {
    let (runtime, state) = (run.runtime_folder().ok()?, run.state_folder().ok()?);
    Some(Store::of(name, runtime, state))
}

fn recall(run: &Run, name: &str) -> Vec<store::Sample> {
    store(run, name).map(|store| store.read(run.now)).unwrap_or_default()
}

/// Adds a sample to those that are remembered; what cannot be kept is a loss for the forecast alone.
fn remember(run: &Run, name: &str, seen: &Seen, device: &Device) -> Vec<store::Sample> {
    let Some(store) = store(run, name) else {
        log::warn!(
            "{name}: this sample is lost for the forecast: neither runtime nor state folder can be made"
        );
        return Vec::new();
    };
    let (inodes_used, inodes_free) = seen.inodes.unwrap_or_default();
    let sample = store::Sample {
        at: run.now.seconds,
        used: seen.used,
        whole: seen.used + seen.available,
        inodes_used,
        inodes_whole: inodes_used + inodes_free,
        written: device.written.unwrap_or(0),
    };
    let kept = store.add(sample).and_then(|()| store.carry_over(run.now));
    if let Err(error) = kept {
        log::warn!("{name}: this sample is lost for the forecast: {error}");
    }
    store.read(run.now)
}

/// How many years a device lasts at the rate of the samples: a day of them must be there.
fn years_left(volume: &VolumeSection, device: &Device, samples: &[store::Sample]) -> Option<f64> {
    const DAY: i64 = 86_400;
    const YEAR: f64 = 365.25 * 86_400.0;
    let now = samples.last().filter(|sample| sample.written > 0)?;
    let first = samples.iter().find(|sample| sample.written > 0 && sample.written <= now.written)?;
    let seconds = now.at - first.at;
    let budget = device.endurance(volume)?;
    if seconds < DAY || now.written == first.written {
        return None;
    }
    let rate = real(now.written - first.written) / real(seconds.unsigned_abs());
    Some(real(budget.saturating_sub(now.written)) / rate / YEAR)
}
