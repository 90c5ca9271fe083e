//! The one table of what checks measure: name and help of each series. Metrics are named `maint_WORD`.

/// What a series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// Bytes in use.
    VolumeUsed,
    /// Bytes that anybody may still use.
    VolumeAvailable,
    /// Inodes in use.
    VolumeInodesUsed,
    /// Inodes that there are.
    VolumeInodes,
    /// Bytes that deleted files hold.
    VolumeDeleted,
    /// Bytes ever written.
    VolumeWritten,
    /// When it will be full.
    VolumeFull,
    /// Whether anything can be written.
    VolumeReadOnly,
    /// Whether it is there, the right one, and answers.
    VolumeMounted,
    /// Errors of the filesystem.
    VolumeErrors,
    /// The part of its life that an eMMC has used.
    VolumeLife,
    /// Whether all of it could be looked at.
    WatchReadable,
    /// Files.
    WatchFiles,
    /// Bytes of their blocks.
    WatchBytes,
    /// Bytes of the largest.
    WatchLargest,
    /// When the newest changed.
    WatchNewest,
    /// When the oldest changed.
    WatchOldest,
}

/// Gauge, word, help.
pub(crate) const GAUGES: [(Gauge, &str, &str); 17] = [
    (Gauge::VolumeUsed, "volume_used_bytes", "Bytes in use."),
    (Gauge::VolumeAvailable, "volume_available_bytes", "Bytes that anybody may still use."),
    (Gauge::VolumeInodesUsed, "volume_inodes_used", "Inodes in use."),
    (Gauge::VolumeInodes, "volume_inodes", "Inodes that there are."),
    (Gauge::VolumeDeleted, "volume_deleted_bytes", "Bytes held by deleted files that are still open."),
    (Gauge::VolumeWritten, "volume_written_bytes", "Bytes written to the filesystem since it was made."),
    (
        Gauge::VolumeFull,
        "volume_full_timestamp_seconds",
        "When the volume will be full, by the earliest credible forecast.",
    ),
    (Gauge::VolumeReadOnly, "volume_read_only", "1 if nothing can be written."),
    (Gauge::VolumeMounted, "volume_mounted", "1 if the volume is there, is the right one, and answers."),
    (Gauge::VolumeErrors, "volume_errors", "Errors that ext4 has met since it was last checked."),
    (
        Gauge::VolumeLife,
        "volume_life_used_ratio",
        "The part of its life that an eMMC says it has used, in tenths.",
    ),
    (Gauge::WatchReadable, "watch_readable", "1 if all of a watched folder could be looked at."),
    (Gauge::WatchFiles, "watch_files", "Files in a watched folder."),
    (Gauge::WatchBytes, "watch_bytes", "Bytes of blocks in a watched folder."),
    (Gauge::WatchLargest, "watch_largest_bytes", "Size of the largest file in a watched folder."),
    (
        Gauge::WatchNewest,
        "watch_newest_timestamp_seconds",
        "When the newest file of a watched folder changed.",
    ),
    (
        Gauge::WatchOldest,
        "watch_oldest_timestamp_seconds",
        "When the oldest file of a watched folder changed.",
    ),
];

/// One number of a series.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Of which series.
    pub gauge: Gauge,
    /// The volume or watch.
    pub of: String,
    /// The number.
    pub value: f64,
}

impl Gauge {
    /// Word and help.
    pub(crate) fn row(self) -> (&'static str, &'static str) {
        let (_, word, help) = GAUGES[self as usize];
        (word, help)
    }

    /// What tells the numbers of a series apart.
    pub(crate) fn label(self) -> &'static str {
        if self.row().0.starts_with("watch") { "watch" } else { "volume" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gauge_has_its_row() {
        for (n, (gauge, word, help)) in GAUGES.into_iter().enumerate() {
            assert_eq!(gauge as usize, n, "the table is in the order of the enum");
            assert!(help.ends_with('.') && word.starts_with(gauge.label()));
        }
    }
}
