//! Says when a disk will be full, why, and what to do.

mod args;
mod deleted;
mod device;
mod next;
mod outlook;
mod plugin;
mod probe;
mod store;
mod trees;
mod volume;
mod watch;

use args::CheckArgs;
use device::Device;
use maint_core::{
    section::{FilesSection, OrphansSection, PluginSection, VolumeSection, WatchSection},
    text::{printable, shown_path},
    units::{Span, real},
};
use maint_run::{
    Run, Tool, UsageError,
    config::{Config, Faults, Named},
    exit::Status,
    report::Gauge,
};
use outlook::Outlooks;
use probe::{Answer, Answers, Held, Seen};
use std::{path::Path, process::ExitCode};

struct CheckDisk;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == probe::WORD) {
        let asked = probe::child(&words.collect::<Vec<_>>());
        return if asked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    maint_run::main::<CheckDisk>()
}

impl Tool for CheckDisk {
    const NAME: &'static str = "check-disk";
    const ABOUT: &'static str = "Says when a disk will be full, why, and what to do";
    const SECTION: &'static str = "volume";
    const GENTLE: bool = true;
    type Args = CheckArgs;

    fn describe(config: &Config) -> Result<Vec<String>, Faults> {
        let watches: Vec<Named<WatchSection>> = config.sections("watch")?;
        let plugins: Vec<Named<PluginSection>> = config.sections("check")?;
        let volumes = config.volumes().map(|(name, volume)| {
            let place = shown_path(&volume.path);
            format!("[volume.{name}] {place}: {}", volume.describe())
        });
        let watches = watches.iter().map(|watch| {
            let place = shown_path(&watch.value.path);
            format!("[watch.{}] {place}: {}", watch.name, watch.value.describe())
        });
        let plugins = plugins.iter().map(|plugin| {
            let command = printable(plugin.value.command.join(" ").as_bytes());
            format!("[check.{}] {command}: ended after {}", plugin.name, plugin.value.timeout)
        });
        Ok(volumes.chain(watches).chain(plugins).collect())
    }

    fn run(run: &mut Run, args: &CheckArgs) -> Result<(), UsageError> {
        let sections = Sections::selected(run)?;
        if args.below.is_some() || args.full_within.is_some() {
            return sections.answer(run, args);
        }
        sections.check(run, args);
        Ok(())
    }
}

/// The sections that were selected, of all three kinds.
struct Sections {
    volumes: Vec<(String, VolumeSection)>,
    watches: Vec<Named<WatchSection>>,
    plugins: Vec<Named<PluginSection>>,
    files: Vec<Named<FilesSection>>,
    orphans: Vec<Named<OrphansSection>>,
}

impl Sections {
    fn selected(run: &Run) -> Result<Self, UsageError> {
        let mut volumes: Vec<(String, VolumeSection)> =
            run.volumes().map(|(name, volume)| (name.to_owned(), volume.clone())).collect();
        let mut watches: Vec<Named<WatchSection>> = run.sections_of("watch")?;
        let mut plugins: Vec<Named<PluginSection>> = run.sections_of("check")?;
        // What prunes is another tool's to judge: what is wrong with it must not blind this one.
        let files = run.sections_of("files").unwrap_or_default();
        let orphans = run.sections_of("orphans").unwrap_or_default();
        let known = || {
            let watches = watches.iter().map(|watch| watch.name.as_str());
            let plugins = plugins.iter().map(|plugin| plugin.name.as_str());
            volumes.iter().map(|(name, _)| name.as_str()).chain(watches).chain(plugins)
        };
        let names = run.names().to_vec();
        if names.is_empty() {
            // A configuration that is not there is not one without sections.
            run.selected::<VolumeSection>()?;
        }
        if let Some(unknown) = names.iter().find(|name| known().all(|known| known != *name)) {
            let list: Vec<&str> = known().collect();
            let list = if list.is_empty() {
                "there is none".to_owned()
            } else {
                format!("known are {}", list.join(", "))
            };
            let unknown = printable(unknown.as_bytes());
            return Err(UsageError::new(format!("no volume, watch or check {unknown}: {list}")));
        }
        if !names.is_empty() {
            volumes.retain(|(name, _)| names.contains(name));
            watches.retain(|watch| names.contains(&watch.name));
            plugins.retain(|plugin| names.contains(&plugin.name));
        }
        Ok(Self { volumes, watches, plugins, files, orphans })
    }

    /// Asks all volumes, and for a check more than that.
    fn ask(&self, is_check: bool) -> Answers {
        let volumes: Vec<(&str, &VolumeSection)> =
            self.volumes.iter().map(|(name, volume)| (name.as_str(), volume)).collect();
        let watches = self.watches.iter().filter(|_| is_check);
        let watched: Vec<&Path> = watches.map(|watch| watch.value.path.as_path()).collect();
        probe::ask(&volumes, &watched, is_check && !volumes.is_empty())
    }

    fn check(&self, run: &mut Run, args: &CheckArgs) {
        let asked = self.ask(true);
        let Answers { volumes: answers, watched, held, .. } = &asked;
        let mut outlooks = Outlooks::open(run, &self.files);
        for ((name, volume), answer) in self.volumes.iter().zip(answers) {
            if let Some(check) = volume::not_seen(name, volume, answer) {
                run.record_check(check);
            }
            let is_there = matches!(answer, Answer::Seen(_));
            run.read_gauge(Gauge::VolumeMounted, name, f64::from(u8::from(is_there)));
            if let Answer::Seen(seen) = answer {
                let device = Device::of(&args.sys, seen.device, &seen.kind);
                for check in volume::checks(name, volume, seen, held.as_ref(), &device) {
                    run.record_check(check);
                }
                read_gauges(run, name, seen, held.as_ref(), &device);
                for check in outlooks.checks(run, name, volume, seen, &device) {
                    run.record_check(check);
                }
            }
        }
        let others = watch::Others { files: &self.files, orphans: &self.orphans };
        for (watch, answers) in self.watches.iter().zip(watched) {
            let watch::Found { checks, readings } = watch::look(run, watch, &others, *answers, &outlooks);
            for check in checks {
                run.record_check(check);
            }
            for (gauge, value) in readings {
                run.read_gauge(gauge, &watch.name, value);
            }
        }
        outlooks.keep();
        for plugin in &self.plugins {
            run.record_check(plugin::check(plugin));
        }
    }

    /// A question that is answered by the exit code alone: the first of the bad answers counts.
    fn answer(&self, run: &mut Run, args: &CheckArgs) -> Result<(), UsageError> {
        if self.volumes.is_empty() {
            return Err(UsageError::new("there is no [volume.NAME] to ask about"));
        }
        let answers = self.ask(false).volumes;
        let mut outlooks = Outlooks::open(run, &self.files);
        let mut statuses = Vec::new();
        for ((name, volume), answer) in self.volumes.iter().zip(&answers) {
            statuses.push(match answer {
                Answer::Seen(seen) => {
                    let usage = seen.usage();
                    let is_so = args.below.map_or_else(
                        || {
                            outlooks.is_full_within(
                                run,
                                name,
                                volume,
                                seen,
                                args.full_within.unwrap_or(Span::from_seconds(0)),
                            )
                        },
                        |share| !share.is_reached_by(usage.used, usage.whole()),
                    );
                    if is_so { Status::Ok } else { Status::Warning }
                }
                Answer::Wrong(_) | Answer::Unseen(_) | Answer::Hangs => Status::Unknown,
            });
        }
        // Below asks for all volumes, and full for any.
        let is_any = args.full_within.is_some() && statuses.contains(&Status::Ok);
        let worst = statuses.into_iter().fold(Status::Ok, Status::worse);
        run.answer(if is_any { Status::Ok } else { worst });
        Ok(())
    }
}

fn read_gauges(run: &mut Run, name: &str, seen: &Seen, held: Option<&Held>, device: &Device) {
    let mut read = |gauge, value| run.read_gauge(gauge, name, value);
    read(Gauge::VolumeUsed, real(seen.used));
    read(Gauge::VolumeAvailable, real(seen.available));
    read(Gauge::VolumeReadOnly, f64::from(u8::from(seen.read_only)));
    if let Some((used, available)) = seen.inodes {
        read(Gauge::VolumeInodesUsed, real(used));
        read(Gauge::VolumeInodes, real(used + available));
    }
    if let Some(held) = held {
        let here = held.files.iter().filter(|file| file.device == seen.files_device);
        read(Gauge::VolumeDeleted, real(here.map(|file| file.bytes).sum()));
    }
    if let Some(written) = device.written {
        read(Gauge::VolumeWritten, real(written));
    }
    if let Some(errors) = device.errors {
        read(Gauge::VolumeErrors, real(errors));
    }
    if let Some(life) = device.life {
        read(Gauge::VolumeLife, f64::from(life.saturating_sub(1).min(10)) / 10.0);
    }
}
