//! The volumes of the configuration: whether they are there, how full they are against their marks, and
//! the space that is held back on them.

use crate::{
    Run, UsageError,
    exit::Status,
    report::{Rescue, need_in_words},
};
use maint_core::{
    emergency::{Mark, Need},
    fs::{Ballast, Mount, Root, Usage, Uuid},
    section::VolumeSection,
    text::shown_path,
    units::ByteSize,
};
use std::path::{Path, PathBuf};

/// The mount of a volume, if it is the right one.
pub fn mounted(name: &str, volume: &VolumeSection) -> Result<Mount, String> {
    mounted_at(name, &volume.path, volume.uuid.as_ref())
}

/// The mount at a path, if it is the right one.
pub fn mounted_at(name: &str, path: &Path, uuid: Option<&Uuid>) -> Result<Mount, String> {
    let shown = shown_path(path);
    let mount =
        Mount::at(path).map_err(|error| format!("volume {name} ({shown}) cannot be looked at: {error}"))?;
    let mount = mount.ok_or_else(|| format!("volume {name} is not mounted at {shown}"))?;
    if let Some(wanted) = uuid {
        match mount.uuid() {
            Ok(found) if found == *wanted => {}
            Ok(found) => {
                return Err(format!(
                    "volume {name} at {shown} is another one: its UUID is {found}, not {wanted}"
                ));
            }
            Err(error) => return Err(format!("it cannot be told whether {shown} is volume {name}: {error}")),
        }
    }
    Ok(mount)
}

/// A path without links, as far as what it names is there.
pub fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let below = there.as_ref().and_then(|(above, _)| path.strip_prefix(above).ok());
    match (&there, below) {
        (Some((_, real)), Some(below)) => real.join(below).components().collect(),
        _ => path.to_owned(),
    }
}

/// What speaks against changing anything in a folder: a volume above it that is not mounted would be
/// filled, or emptied, on the disk below.
pub fn may_write(run: &Run, to: &Path) -> Result<(), String> {
    let to = real(to);
    let mut above = run.volumes().filter(|(_, volume)| to.starts_with(real(&volume.path)));
    above.try_for_each(|(name, volume)| mounted(name, volume).map(drop))
}

/// A volume that has a mark, and whether it has reached it.
pub struct Marked {
    /// What is known of it so far.
    pub rescue: Rescue,
    /// The mount, if it is the right one.
    pub mount: Option<Mount>,
    /// The space that is held back on it.
    pub ballast: Option<ByteSize>,
}

impl Marked {
    /// Looks how full a filesystem is, and whether its mark is reached.
    pub fn look(mut rescue: Rescue, mount: Mount, ballast: Option<ByteSize>) -> Self {
        match Usage::of_mount(&mount) {
            Ok(usage) => {
                (rescue.before, rescue.after) = (usage, usage);
                rescue.need = rescue.until.need(&usage);
                let is_reached = rescue.at.is_none_or(|at| at.is_reached_by(&usage));
                rescue.acted = is_reached && !rescue.need.is_met();
                if rescue.need.bytes > usage.used {
                    rescue.acted = false;
                    let why = format!("{} is more than there is on it: nothing was done", rescue.until);
                    rescue.note(Status::Critical, why);
                }
            }
            Err(error) => {
                rescue.note(Status::Critical, format!("it cannot be told how full it is: {error}"));
            }
        }
        Self { rescue, mount: Some(mount), ballast }
    }

    /// What is still needed now; nothing if the mark was not reached.
    pub fn need(&self) -> Need {
        let Self { rescue, mount: Some(mount), .. } = self else { return Need::default() };
        if !rescue.acted {
            return Need::default();
        }
        Usage::of_mount(mount).map_or(rescue.need, |usage| rescue.until.need(&usage))
    }

    /// Whether nothing can be counted on to be written there.
    pub fn has_no_room(&self) -> bool {
        self.rescue.acted && self.rescue.before.available < Need::NO_ROOM.bytes
    }

    /// How it ended for a tool after which another goes on: a mark that is not reached is no fault.
    pub fn left_to(self, next: &str) -> Rescue {
        let Self { mut rescue, mount, .. } = self;
        if !rescue.acted || rescue.dry_run {
            return rescue;
        }
        if let Some(Ok(usage)) = mount.as_ref().map(Usage::of_mount) {
            rescue.after = usage;
        }
        if !rescue.is_reached() {
            let missing = need_in_words(rescue.until.need(&rescue.after));
            let is_over = rescue.at.filter(|at| !at.is_reached_by(&rescue.after));
            rescue.notes.push(match is_over {
                Some(at) => {
                    format!("it is below {at} again, and no file needs to go for the missing {missing}")
                }
                None => format!("for the missing {missing}: {next}"),
            });
        }
        rescue
    }
}

/// Finds the volume of a root among those with a mark; where one mark is for all, its filesystem becomes one.
pub fn of_root(
    marked: &mut Vec<Marked>,
    until: Option<Mark>,
    dry_run: bool,
    root: &Root,
) -> std::io::Result<Option<usize>> {
    let mount = Mount::of(root)?;
    let is_it = |volume: &Marked| volume.mount.as_ref().is_some_and(|its| its.is_of_same_filesystem(&mount));
    let known = marked.iter().position(is_it);
    Ok(known.or_else(|| {
        let point = shown_path(&mount.point);
        let rescue = Rescue::new(point.clone(), point, None, until?, dry_run);
        marked.push(Marked::look(rescue, mount, None));
        Some(marked.len() - 1)
    }))
}

/// All volumes of the configuration with marks; one mark may replace those of all.
pub fn marked(run: &Run, until: Option<Mark>, dry_run: bool) -> Result<Vec<Marked>, UsageError> {
    let all = run.volumes().filter_map(|(name, volume)| {
        let (at, until) = match (until, &volume.emergency) {
            (Some(until), _) => (None, until),
            (None, Some(marks)) => (Some(marks.at), marks.until()),
            (None, None) => return None,
        };
        let mut rescue = Rescue::new(name.to_owned(), shown_path(&volume.path), at, until, dry_run);
        Some(match mounted(name, volume) {
            Ok(mount) => Marked::look(rescue, mount, volume.ballast),
            Err(why) => {
                rescue.note(Status::Refused, why);
                Marked { rescue, mount: None, ballast: None }
            }
        })
    });
    let all = one_each(all.collect());
    if all.is_empty() && until.is_none() {
        return Err(UsageError::new(
            "no [volume.NAME] says when an emergency begins and ends: add emergency = { at = \"95%\", until = \"85%\" } to one, or give --until-usage or --until-free",
        ));
    }
    Ok(all)
}

/// Of volumes that are one filesystem the one in greater need.
fn one_each(all: Vec<Marked>) -> Vec<Marked> {
    let mut each: Vec<Marked> = Vec::new();
    for marked in all {
        let same = each.iter_mut().find(|other| {
            let both = other.mount.as_ref().zip(marked.mount.as_ref());
            both.is_some_and(|(its, mine)| its.is_of_same_filesystem(mine))
        });
        let Some(other) = same else {
            each.push(marked);
            continue;
        };
        let need = |marked: &Marked| if marked.rescue.acted { marked.rescue.need } else { Need::default() };
        let ballast = other.ballast.max(marked.ballast);
        let (name, its) = (marked.rescue.volume.clone(), other.rescue.volume.clone());
        if need(&marked).bytes.max(need(&marked).inodes) > need(other).bytes.max(need(other).inodes) {
            *other = marked;
        }
        other.ballast = ballast;
        other
            .rescue
            .notes
            .push(format!("{its} and {name} are one filesystem: the one in greater need counts"));
    }
    each
}

/// Holds back what each volume is to hold back, where there is room, and gives up what none is to hold back
/// any more.
pub fn tend_ballast(run: &Run) {
    for (name, volume) in run.volumes() {
        let Ok(mount) = mounted(name, volume) else { continue };
        let tended = match (volume.ballast, &volume.emergency) {
            (Some(size), Some(marks)) => rebuild(&mount, size, &marks.until()),
            // What is another user's, or cannot be told, is not ours to give up.
            _ => give_up(&mount).map(|_| false).or(Ok(false)),
        };
        match tended {
            Ok(true) => log::info!("{name}: the ballast is there again"),
            Ok(false) => {}
            Err(error) => log::warn!("{name}: no ballast: {error}"),
        }
    }
}

/// How much space is held back on a volume.
pub fn held_back(mount: &Mount) -> u64 {
    let ballast = Ballast::find(&mount.point).ok().flatten();
    ballast.and_then(|ballast| ballast.size().ok()).unwrap_or(0)
}

/// How many bytes a folder on another volume can take, below the mark of that volume if it has one; none
/// where it cannot be told.
pub fn room_at(run: &Run, to: &Path) -> Option<u64> {
    let mount = Mount::to_hold(to).ok()?;
    let usage = Usage::of_mount(&mount).ok()?;
    let marks = run.volumes().find_map(|(name, volume)| {
        let marks = volume.emergency?;
        mounted(name, volume).is_ok_and(|its| its.is_of_same_filesystem(&mount)).then_some(marks)
    });
    Some(marks.map_or(usage.available, |marks| marks.until().room(&usage)))
}

/// Gives the ballast of a volume up; answers what that frees.
pub fn give_up(mount: &Mount) -> std::io::Result<u64> {
    match Ballast::find(&mount.point)? {
        Some(ballast) if ballast.size()? > 0 => ballast.give_up(),
        _ => Ok(0),
    }
}

/// Makes the ballast of a volume, if afterwards it is still below `until`; answers whether it was made.
pub fn rebuild(mount: &Mount, size: ByteSize, until: &Mark) -> std::io::Result<bool> {
    let usage = Usage::of_mount(mount)?;
    if let Some(ballast) = Ballast::find(&mount.point)?
        && ballast.size()? >= size.bytes()
    {
        return Ok(false);
    }
    // No folder and no file is made where the ballast would not fit.
    let more = Need { bytes: size.bytes(), inodes: 0 };
    if !until.need_with(&usage, more).is_met() || usage.available < size.bytes() {
        return Ok(false);
    }
    Ballast::open(&mount.point)?.build(size.bytes())?;
    Ok(true)
}
