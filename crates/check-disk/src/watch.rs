//! The checks of one watched folder.

use crate::{next, outlook::Outlooks};
use maint_core::{
    forecast::Holding,
    fs::{Root, Workers},
    section::{FilesSection, OrphansSection, Severity, WatchSection},
    text::{count, grouped, joined, printable, shown_path},
    time::Timestamp,
    units::{ByteSize, Span, real},
    watch::{Contents, Count},
};
use maint_run::{
    Run,
    config::Named,
    exit::Status,
    report::{Check, Gauge, Measure, Unit, chain},
    signals, volumes,
};
use std::os::unix::ffi::OsStrExt as _;

/// What other tools do with the folders.
pub(crate) struct Others<'a> {
    pub(crate) files: &'a [Named<FilesSection>],
    pub(crate) orphans: &'a [Named<OrphansSection>],
}

/// What is found of one watched folder, and what is measured of it.
pub(crate) struct Found {
    pub(crate) checks: Vec<Check>,
    pub(crate) readings: Vec<(Gauge, f64)>,
}

/// Counts a folder and holds it beside what is expected.
pub(crate) fn look(
    run: &Run,
    watch: &Named<WatchSection>,
    others: &Others<'_>,
    answers: bool,
    outlooks: &Outlooks<'_>,
) -> Found {
    let Named { name, value, .. } = watch;
    let place = next::path(&value.path);
    let visible = |status, why: String, next: String| {
        Check::new(format!("{name} visible"), status, why).with_next(next)
    };
    if !answers {
        let why = format!("{} does not answer within 10 s", shown_path(&value.path));
        return unseen(visible(Status::Critical, why, format!("dmesg | tail; findmnt -T {place}")));
    }
    let root = match Root::to_look(&value.path) {
        Ok(root) => root,
        Err(error) => return unseen(visible(severity(value), chain(&error), format!("ls -ld {place}"))),
    };
    let select = value.select();
    let only_names = value.max_file_size.is_none()
        && value.max_size.is_none()
        && value.fresh.is_none()
        && value.promise.is_none();
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
    let counted = Count {
        root: &root,
        select: &select,
        workers: Workers::new(workers),
        stop: &signals::asked_to_stop,
        now: run.now,
        hours: 0,
        only_names,
    };
    let (contents, unread) = counted.run();
    let mut checks = Vec::new();
    if unread.total() > 0 {
        let first = unread.iter().next().map(|error| format!(": {}", chain(error))).unwrap_or_default();
        let why = format!("{} could not be read{first}", count(unread.total(), "entry"));
        checks.push(visible(Status::Unknown, why, format!("ls -la {place}")));
    }
    let expected = Expected { name, place: &place, value, contents: &contents };
    checks.extend(expected.number());
    checks.extend(expected.largest());
    checks.extend(expected.size());
    checks.extend(expected.fresh(run.now));
    checks.extend(expected.orphans(run, others.orphans));
    let promised =
        value.promise.as_ref().and_then(|name| others.files.iter().find(|files| files.name == *name));
    checks.extend(promised.and_then(|files| expected.promise(run.now, files, outlooks)));
    let all = f64::from(u8::from(unread.total() == 0));
    let mut readings = vec![(Gauge::WatchReadable, all), (Gauge::WatchFiles, real(contents.files))];
    if !only_names {
        readings.push((Gauge::WatchBytes, real(contents.allocated)));
        let largest = contents.largest.as_ref().map_or(0, |(size, _)| *size);
        readings.push((Gauge::WatchLargest, real(largest)));
        let of = |gauge, at: Option<Timestamp>| at.map(|at| (gauge, at.real_seconds()));
        readings.extend(of(Gauge::WatchNewest, contents.newest));
        readings.extend(of(Gauge::WatchOldest, contents.oldest));
    }
    Found { checks, readings }
}

fn unseen(check: Check) -> Found {
    Found { checks: vec![check], readings: vec![(Gauge::WatchReadable, 0.0)] }
}

fn severity(watch: &WatchSection) -> Status {
    match watch.severity {
        Severity::Warning => Status::Warning,
        Severity::Critical => Status::Critical,
    }
}

/// What was found longer ago than this says nothing of today.
const LOOKED_AT: Span = Span::from_seconds(2 * 86_400);

struct Expected<'a> {
    name: &'a str,
    place: &'a str,
    value: &'a WatchSection,
    contents: &'a Contents,
}

impl Expected<'_> {
    fn check(&self, what: &str, wrong: bool, message: String, measure: Measure, limit: Option<f64>) -> Check {
        let status = if wrong { severity(self.value) } else { Status::Ok };
        let measure = match self.value.severity {
            Severity::Warning => measure.limited(limit, None),
            Severity::Critical => measure.limited(None, limit),
        };
        Check::new(format!("{} {what}", self.name), status, message).measured(measure)
    }

    fn number(&self) -> Option<Check> {
        let most = self.value.max_files?;
        let files = self.contents.files;
        let message = format!(
            "{} in {}, at most {} expected",
            count(files, "file"),
            shown_path(&self.value.path),
            grouped(most)
        );
        let measure = Measure::of(real(files), Unit::Count);
        Some(
            self.check("files", files > most, message, measure, Some(real(most)))
                .with_next(format!("prune-images --dry-run; ls {} | head", self.place)),
        )
    }

    /// How many orphans `orphan-metadata` found here and left.
    fn orphans(&self, run: &Run, sections: &[Named<OrphansSection>]) -> Option<Check> {
        const TOOL: &str = "orphan-metadata";
        let most = self.value.max_orphans?;
        let here = volumes::real(&self.value.path);
        let section = sections.iter().find(|section| volumes::real(&section.value.metadata().root()) == here);
        let check = |status, why: String, next: String| {
            Some(Check::new(format!("{} orphans", self.name), status, why).with_next(next))
        };
        let Some(Named { name, .. }) = section else {
            let why = format!("no [orphans.NAME] has {} as its metadata", shown_path(&self.value.path));
            return check(Status::Unknown, why, format!("{TOOL} --check-config"));
        };
        let Some((at, left)) = run.orphans_left(TOOL, name) else {
            let why = format!("{TOOL} has not looked at {name} yet");
            return check(Status::Unknown, why, format!("{TOOL} {name}"));
        };
        let age = run.now.since(at);
        if age > LOOKED_AT {
            let why = format!("{TOOL} has not looked at {name} for {}", age.roughly());
            return check(Status::Unknown, why, format!("{TOOL} {name}; {TOOL} --history"));
        }
        let message =
            format!("{} {} ago, at most {} expected", count(left, "orphan"), age.roughly(), grouped(most));
        let measure = Measure::of(real(left), Unit::Count);
        Some(
            self.check("orphans", left > most, message, measure, Some(real(most)))
                .with_next(format!("{TOOL} {name} --report; {TOOL} --history")),
        )
    }

    fn largest(&self) -> Option<Check> {
        let most = self.value.max_file_size?;
        let (size, path) = self.contents.largest.clone().unwrap_or_default();
        let path = joined(&[self.value.path.as_os_str().as_bytes(), &path]);
        let message = format!("{} is the largest, {}", printable(&path), ByteSize::from_bytes(size));
        let message = if self.contents.largest.is_some() { message } else { "no file there".to_owned() };
        let measure = Measure::of(real(size), Unit::Bytes);
        Some(
            self.check("largest", size > most.bytes(), message, measure, Some(real(most.bytes())))
                .with_next(format!("ls -l {}", next::word(&path))),
        )
    }

    fn size(&self) -> Option<Check> {
        let most = self.value.max_size?;
        let size = self.contents.allocated;
        let message = format!("{} in {}", ByteSize::from_bytes(size), count(self.contents.files, "file"));
        let measure = Measure::of(real(size), Unit::Bytes);
        Some(
            self.check("size", size > most.bytes(), message, measure, Some(real(most.bytes())))
                .with_next(format!("du -ah {} | sort -h | tail", self.place)),
        )
    }

    fn fresh(&self, now: Timestamp) -> Option<Check> {
        let most = self.value.fresh?;
        let next = format!("ls -t {} | head; systemctl --failed", self.place);
        let Some(newest) = self.contents.newest else {
            let status = severity(self.value);
            let why = if self.contents.files > 0 {
                "all files there are ahead of the clock: nothing can be told"
            } else {
                "no file there at all"
            };
            let check = Check::new(format!("{} fresh", self.name), status, why);
            return Some(check.with_next(next));
        };
        let age = now.since(newest);
        let message = format!("the newest is {} old, at most {most} expected", age.roughly());
        let measure = Measure::of(real(age.seconds()), Unit::Seconds);
        Some(self.check("fresh", age > most, message, measure, Some(real(most.seconds()))).with_next(next))
    }

    /// Whether the folder holds as long as its section promises.
    fn promise(&self, now: Timestamp, files: &Named<FilesSection>, outlooks: &Outlooks<'_>) -> Option<Check> {
        let asked = files.value.max_age?;
        let held = self.contents.oldest.map_or(Span::from_seconds(0), |oldest| now.since(oldest));
        let fits = outlooks.holding(&files.name).and_then(|holding| holding.fits);
        let message = Holding { asked, holds: held, fits }.to_string();
        let measure = Measure { falling: true, ..Measure::of(real(held.seconds()), Unit::Seconds) };
        // A tenth less is a run that came early, or a camera that slept.
        let least = real(asked.seconds()) * 0.9;
        let short = real(held.seconds()) < least;
        Some(
            self.check("promise", short, message, measure, Some(least))
                .with_next(format!("prune-images --history; prune-images {} --dry-run", files.name)),
        )
    }
}
