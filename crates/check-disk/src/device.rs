//! What the kernel tells of the device below a volume: what it is, what it has written, what is worn.

use maint_core::{section::VolumeSection, units::ByteSize};
use std::path::{Path, PathBuf};

/// What a volume lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    SdCard,
    Emmc,
    Ssd,
    Disk,
    Other,
}

impl Medium {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::SdCard => "SD card",
            Self::Emmc => "eMMC",
            Self::Ssd => "SSD",
            Self::Disk => "disk",
            Self::Other => "no disk of its own",
        }
    }

    /// How often all of it can be written, where nobody says: on the careful side.
    fn rewrites(self) -> Option<u64> {
        match self {
            Self::SdCard => Some(500),
            Self::Emmc => Some(1500),
            Self::Ssd => Some(600),
            Self::Disk | Self::Other => None,
        }
    }
}

/// A device and its filesystem, as `/sys` tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) medium: Medium,
    /// The name of the device that is mounted, such as `mmcblk0p2`.
    pub(crate) name: String,
    /// Bytes of the whole disk.
    pub(crate) size: Option<u64>,
    /// The worse of the two estimates of an eMMC, in steps of a tenth of its life: 1 is new, 11 is over.
    pub(crate) life: Option<u32>,
    /// Whether an eMMC has spare blocks: 1 yes, 2 few, 3 hardly any.
    pub(crate) pre_eol: Option<u32>,
    /// Errors that ext4 has met since it was last checked.
    pub(crate) errors: Option<u64>,
    /// When it met the first of them, in seconds since 1970.
    pub(crate) first_error: Option<i64>,
    /// Bytes that ext4 has ever written.
    pub(crate) written: Option<u64>,
}

impl Device {
    /// How many bytes written it stands: by its maker's word, or as such a one may be expected to.
    pub(crate) fn endurance(&self, volume: &VolumeSection) -> Option<u64> {
        let expected = || Some(self.size?.saturating_mul(self.medium.rewrites()?));
        volume.endurance.map(ByteSize::bytes).or_else(expected)
    }

    /// Reads what there is below `/sys`, or a tree that stands for it.
    pub(crate) fn of(sys: &Path, (major, minor): (u32, u32), kind: &str) -> Self {
        let node = sys.join(format!("dev/block/{major}:{minor}"));
        let real = std::fs::canonicalize(&node).ok();
        let name = real.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let disk = real.map(below);
        let of_disk = |file: &str| disk.as_deref().and_then(|disk| text(&disk.join(file)));
        let fs = sys.join("fs").join(if kind.starts_with("ext") { "ext4" } else { kind }).join(&name);
        let of_fs = |file: &str| if name.is_empty() { None } else { number(&text(&fs.join(file))?) };
        let hex = |word: &str| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        Self {
            medium: medium(&name, of_disk("device/type").as_deref(), of_disk("queue/rotational").as_deref()),
            size: of_disk("size")
                .and_then(|sectors| sectors.parse::<u64>().ok())
                .map(|n| n.saturating_mul(512)),
            life: of_disk("device/life_time")
                .and_then(|text| text.split_whitespace().filter_map(hex).max())
                .filter(|life| (1..=11).contains(life)),
            pre_eol: of_disk("device/pre_eol_info")
                .and_then(|text| hex(&text))
                .filter(|n| (1..=3).contains(n)),
            errors: of_fs("errors_count"),
            first_error: of_fs("first_error_time").and_then(|at| i64::try_from(at).ok()).filter(|at| *at > 0),
            written: of_fs("lifetime_write_kbytes").map(|kib| kib.saturating_mul(1024)),
            name,
        }
    }
}

/// The disk below a device: what is encrypted, mapped or mirrored lies on others, and a partition in the
/// folder of its disk.
fn below(mut device: PathBuf) -> PathBuf {
    // Nobody stacks higher than this.
    for _ in 0..8 {
        let listing = std::fs::read_dir(device.join("slaves")).ok();
        let slaves = listing.into_iter().flatten().flatten().map(|slave| slave.path());
        match slaves.min().and_then(|slave| std::fs::canonicalize(slave).ok()) {
            Some(slave) => device = slave,
            None => break,
        }
    }
    if device.join("partition").exists() { parent(&device) } else { device }
}

fn medium(name: &str, kind: Option<&str>, rotational: Option<&str>) -> Medium {
    match (kind, rotational) {
        _ if name.is_empty() || ["loop", "ram", "zram"].iter().any(|word| name.starts_with(word)) => {
            Medium::Other
        }
        (Some("SD"), _) => Medium::SdCard,
        (Some("MMC"), _) => Medium::Emmc,
        (_, Some("1")) => Medium::Disk,
        (_, Some("0")) => Medium::Ssd,
        _ => Medium::Other,
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}
