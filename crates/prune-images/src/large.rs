//! What else lies on a volume: the folders of no target that take the most, as far as can be told quickly.

use maint_core::{
    fs::{Mount, PRIVATE_FOLDER},
    section::FilesSection,
    text::{joined, printable},
    units::ByteSize,
};
use maint_run::Run;
use std::{
    collections::HashMap,
    fs::Metadata,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
    time::{Duration, Instant},
};

/// No longer than this.
const MOST_TIME: Duration = Duration::from_secs(3);
/// Names are told down to this level below the mount.
const LEVELS: usize = 2;
const TOLD: usize = 5;

/// The largest folders and files of a volume outside all targets, those of a hundredth of what is used or
/// more. Nothing is opened but folders, and no link is followed.
pub(crate) fn outside_targets(run: &Run, mount: &Mount, used: u64) -> Vec<String> {
    let sections = run.sections::<FilesSection>().unwrap_or_default();
    let identity = |seen: Metadata| (seen.dev(), seen.ino());
    let roots = sections.iter().filter_map(|target| std::fs::metadata(target.value.root()).ok());
    let targets: Vec<(u64, u64)> = roots.map(identity).collect();
    let mut sizes: HashMap<Vec<u8>, u64> = HashMap::new();
    let begun = Instant::now();
    let is_whole = measure(&mount.point, &targets, &mut sizes, || begun.elapsed() < MOST_TIME);
    let mut sizes: Vec<(Vec<u8>, u64)> =
        sizes.into_iter().filter(|(_, bytes)| *bytes >= used / 100).collect();
    sizes.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let at_least = if is_whole { "" } else { "at least " };
    let tell = |(name, bytes): &(Vec<u8>, u64)| {
        let path = joined(&[mount.point.as_os_str().as_bytes(), name]);
        format!("{} {at_least}{}", printable(&path), ByteSize::from_bytes(*bytes))
    };
    sizes.iter().filter(|(_, bytes)| *bytes > 0).take(TOLD).map(tell).collect()
}

/// Adds up what lies below a mount; answers whether all of it was seen.
fn measure(
    point: &Path,
    targets: &[(u64, u64)],
    sizes: &mut HashMap<Vec<u8>, u64>,
    go_on: impl Fn() -> bool,
) -> bool {
    let Ok(device) = std::fs::metadata(point).map(|seen| seen.dev()) else { return true };
    let mut folders = vec![(point.to_owned(), Vec::new(), 0)];
    while let Some((folder, label, level)) = folders.pop() {
        if !go_on() {
            return false;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(seen) = entry.metadata() else { continue };
            let name = entry.file_name();
            let is_ours = targets.contains(&(seen.dev(), seen.ino())) || name == PRIVATE_FOLDER;
            if seen.dev() != device || is_ours {
                continue;
            }
            let is_told = level < LEVELS && (seen.is_dir() || level == 0);
            let label = if is_told { joined(&[&label, name.as_bytes()]) } else { label.clone() };
            if seen.is_dir() {
                folders.push((path, label, level + 1));
            } else {
                *sizes.entry(label).or_default() += share_of(&seen);
            }
        }
    }
    true
}

/// The blocks of a file, shared by all its names.
fn share_of(seen: &Metadata) -> u64 {
    seen.blocks().saturating_mul(512) / seen.nlink().max(1)
}
