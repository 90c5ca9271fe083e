//! The checks of one volume: is it there, how full is it, is it sound, how long will it last.

use crate::{
    device::{Device, Medium},
    next,
    probe::{Answer, Deleted, Held, Seen},
};
use maint_core::{
    emergency::Mark,
    fs::{Inodes, Usage},
    section::VolumeSection,
    text::{count, grouped, printable, shown_path},
    units::{ByteSize, Share, real},
};
use maint_run::{
    clock,
    exit::Status,
    report::{Check, Measure, Unit},
};

/// The marks of a volume: its own, or those that suit what it lies on.
pub(crate) fn marks(volume: &VolumeSection, medium: Medium) -> (Mark, Mark) {
    let (warn, crit) = match medium {
        Medium::SdCard | Medium::Emmc => (80, 90),
        Medium::Ssd | Medium::Disk | Medium::Other => (85, 95),
    };
    let usual = |percent| Mark::share(Share::from_percent(percent));
    match (volume.warn, volume.crit) {
        (None, None) => (usual(warn), usual(crit)),
        (warn, crit) => (warn.unwrap_or_default(), crit.unwrap_or_default()),
    }
}

impl Seen {
    /// How full it is.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            used: self.used,
            available: self.available,
            inodes: self.inodes.map(|(used, available)| Inodes { used, available }),
            ..Usage::default()
        }
    }
}

/// The check of a volume that cannot be looked at; none if it can.
pub(crate) fn not_seen(name: &str, volume: &VolumeSection, answer: &Answer) -> Option<Check> {
    let place = next::path(&volume.path);
    let (status, why, next) = match answer {
        Answer::Seen(_) => return None,
        Answer::Wrong(why) => (Status::Critical, why.clone(), format!("findmnt {place}; mount {place}")),
        Answer::Unseen(why) => (Status::Unknown, why.clone(), format!("sudo check-disk {name}")),
        Answer::Hangs => {
            let why = format!("{} does not answer within 10 s", shown_path(&volume.path));
            (Status::Critical, why, format!("dmesg | tail; findmnt {place}"))
        }
    };
    Some(Check::new(format!("{name} mount"), status, why).with_next(next))
}

/// All checks of a volume that was seen but the forecast.
pub(crate) fn checks(
    name: &str,
    volume: &VolumeSection,
    seen: &Seen,
    held: Option<&Held>,
    device: &Device,
) -> Vec<Check> {
    let (warn, crit) = marks(volume, device.medium);
    let mut checks = vec![mount(name, volume, seen, device), space(name, volume, seen, &warn, &crit)];
    checks.extend(inodes(name, volume, seen, &warn, &crit));
    checks.extend(errors(name, seen, device));
    checks.push(deleted(name, seen, held));
    checks
}

fn mount(name: &str, volume: &VolumeSection, seen: &Seen, device: &Device) -> Check {
    let name = format!("{name} mount");
    let kind = printable(seen.kind.as_bytes());
    let source = printable(seen.source.as_bytes());
    if seen.read_only {
        let why = format!("{} is read-only ({kind}, {source})", shown_path(&volume.path));
        let told = next::word(if device.name.is_empty() { kind } else { device.name.clone() }.as_bytes());
        let place = next::path(&volume.path);
        return Check::new(name, Status::Critical, why)
            .with_next(format!("dmesg | grep -i {told}; mount -o remount,rw {place}"));
    }
    Check::new(name, Status::Ok, format!("{kind} on {source}, {}", device.medium.word()))
}

fn status_of(usage: &Usage, warn: &Mark, crit: &Mark) -> Status {
    if crit.is_reached_by(usage) {
        Status::Critical
    } else if warn.is_reached_by(usage) {
        Status::Warning
    } else {
        Status::Ok
    }
}

/// The part of a mark that is about space.
fn of_space(mark: &Mark) -> Mark {
    Mark { inodes: None, ..*mark }
}

fn space(name: &str, volume: &VolumeSection, seen: &Seen, warn: &Mark, crit: &Mark) -> Check {
    let usage = seen.usage();
    let check = format!("{name} space");
    if usage.whole() == 0 {
        return Check::new(check, Status::Unknown, "it says neither what is used nor what is free")
            .with_next(format!("df {0}; findmnt {0}", next::path(&volume.path)));
    }
    let (warn, crit) = (of_space(warn), of_space(crit));
    let status = status_of(&usage, &warn, &crit);
    let limit = |mark: &Mark| {
        let used = mark.used.map(|share| share.of(usage.whole()));
        let free = mark.free.map(|size| usage.whole().saturating_sub(size.bytes()));
        used.into_iter().chain(free).min().map(real)
    };
    let message = format!("{:.1}% used, {} free", usage.percent(), ByteSize::from_bytes(usage.available));
    let measure = Measure::of(real(usage.used), Unit::Bytes)
        .limited(limit(&warn), limit(&crit))
        .at_most(real(usage.whole()));
    Check::new(check, status, reached(message, status, &warn, &crit))
        .measured(measure)
        .with_next(next_for_space(name, volume, status))
}

fn reached(message: String, status: Status, warn: &Mark, crit: &Mark) -> String {
    match status {
        Status::Critical => format!("{message}: critical from {crit}"),
        Status::Warning => format!("{message}: warned from {warn}"),
        _ => message,
    }
}

fn next_for_space(name: &str, volume: &VolumeSection, status: Status) -> String {
    match (&volume.emergency, status) {
        (Some(_), Status::Critical) => "prune-images --emergency --dry-run".to_owned(),
        (_, Status::Critical) => {
            format!("prune-images; du -xh {} | sort -h | tail", next::path(&volume.path))
        }
        _ => format!("prune-images --dry-run; check-disk -v {name}"),
    }
}

fn inodes(name: &str, volume: &VolumeSection, seen: &Seen, warn: &Mark, crit: &Mark) -> Option<Check> {
    let usage = seen.usage();
    let inodes = usage.inodes?;
    let only = |mark: &Mark| Mark { inodes: mark.inodes, ..Mark::default() };
    let (warn, crit) = (only(warn), only(crit));
    let status = status_of(&usage, &warn, &crit);
    let limit = |mark: &Mark| mark.inodes.map(|share| real(share.of(inodes.whole())));
    let message = format!("{:.1}% used, {} free", inodes.percent(), grouped(inodes.available));
    let measure = Measure::of(real(inodes.used), Unit::Count)
        .limited(limit(&warn), limit(&crit))
        .at_most(real(inodes.whole()));
    let place = next::path(&volume.path);
    Some(
        Check::new(format!("{name} inodes"), status, reached(message, status, &warn, &crit))
            .measured(measure)
            .with_next(format!("du --inodes -x {place} | sort -n | tail")),
    )
}

fn errors(name: &str, seen: &Seen, device: &Device) -> Option<Check> {
    if !seen.kind.starts_with("ext") {
        return None;
    }
    let check = format!("{name} errors");
    let Some(errors) = device.errors else { return Some(Check::not_measured(check, "no counter of errors")) };
    let since = device
        .first_error
        .map(|at| format!(", the first {}", clock::local(maint_core::time::Timestamp::from_seconds(at))));
    let message = format!("{} of the filesystem{}", count(errors, "error"), since.unwrap_or_default());
    let status = if errors > 0 { Status::Critical } else { Status::Ok };
    Some(
        Check::new(check, status, message)
            .measured(Measure::of(real(errors), Unit::Count).limited(None, Some(1.0)))
            .with_next(format!(
                "dmesg | grep EXT4; umount {0} && e2fsck -f {0}",
                next::word(seen.source.as_bytes())
            )),
    )
}

/// From this share of a volume on what deleted files hold is worth a look.
const MUCH: Share = Share::from_percent(5);

fn deleted(name: &str, seen: &Seen, held: Option<&Held>) -> Check {
    let check = format!("{name} deleted");
    let Some(held) = held else { return Check::not_measured(check, "the look at open files hung") };
    let mut here: Vec<&Deleted> = held.files.iter().filter(|file| file.device == seen.files_device).collect();
    here.sort_by_key(|file| (std::cmp::Reverse(file.bytes), file.pid, file.inode));
    let bytes = here.iter().map(|file| file.bytes).sum();
    let visible = if held.unseen > 0 {
        format!(" (of {} not visible)", count(held.unseen, "process"))
    } else {
        String::new()
    };
    let Some(most) = here.first() else {
        return if held.unseen > 0 {
            Check::not_measured(check, format!("nothing seen{visible}"))
        } else {
            Check::new(check, Status::Ok, "no deleted file holds space")
                .measured(Measure::of(0.0, Unit::Bytes))
        };
    };
    let limit = MUCH.of(seen.usage().whole());
    let status = if bytes >= limit.max(1) { Status::Warning } else { Status::Ok };
    let message = format!(
        "{} in {} that are deleted and open, most of it by {} ({}){visible}",
        ByteSize::from_bytes(bytes),
        count(here.len() as u64, "file"),
        printable(most.name.as_bytes()),
        most.pid
    );
    Check::new(check, status, message)
        .measured(Measure::of(real(bytes), Unit::Bytes).limited(Some(real(limit)), None))
        .with_next(format!("ls -l /proc/{0}/fd | grep deleted; systemctl status {0}", most.pid))
}

/// Which one is to be replaced.
fn replace(device: &Device) -> String {
    format!("lsblk -so NAME,MODEL,SERIAL,MOUNTPOINTS /dev/{}", next::word(device.name.as_bytes()))
}

/// How much longer a device lasts at the rate at which it was written since `since` bytes `before`.
pub(crate) fn wear(name: &str, volume: &VolumeSection, device: &Device, years: Option<f64>) -> Option<Check> {
    let check = format!("{name} wear");
    if let (Some(life), pre_eol) = (device.life, device.pre_eol) {
        let used = (life.saturating_sub(1) * 10).min(100);
        let status = match (life, pre_eol.unwrap_or(1)) {
            (11.., _) | (_, 3) => Status::Critical,
            (9.., _) | (_, 2) => Status::Warning,
            _ => Status::Ok,
        };
        let replace_it = if status == Status::Ok { "" } else { ": replace it" };
        let spare = match pre_eol {
            Some(2) => ", few spare blocks left",
            Some(3) => ", hardly any spare block left",
            _ => "",
        };
        return Some(
            Check::new(check, status, format!("{used}% or more of its life is used{spare}{replace_it}"))
                .measured(Measure::of(f64::from(used), Unit::Percent).limited(Some(80.0), Some(100.0)))
                .with_next(replace(device)),
        );
    }
    if device.medium == Medium::Other {
        return None;
    }
    let Some(written) = device.written else {
        return Some(Check::not_measured(check, "the kernel does not say what is worn or written"));
    };
    let budget = device.endurance(volume);
    let told = format!("{} written", ByteSize::from_bytes(written));
    let Some(budget) = budget else { return Some(Check::new(check, Status::Ok, told)) };
    let of = if volume.endurance.is_some() {
        "that it stands"
    } else {
        "that such a one may be expected to stand"
    };
    let left = years.map(|years| format!(", {years:.1} years left at this rate")).unwrap_or_default();
    let status = if written >= budget {
        Status::Critical
    } else if years.is_some_and(|years| years < 1.0) || Share::from_percent(80).is_reached_by(written, budget)
    {
        Status::Warning
    } else {
        Status::Ok
    };
    Some(
        Check::new(check, status, format!("{told} of {} {of}{left}", ByteSize::from_bytes(budget)))
            .measured(
                Measure::of(real(written), Unit::Bytes)
                    .limited(Some(real(Share::from_percent(80).of(budget))), Some(real(budget))),
            )
            .with_next(replace(device)),
    )
}
