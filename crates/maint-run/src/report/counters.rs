//! The one table of numbers that reports carry: word, help, where shown.

/// A number of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Files that the target's patterns match.
    FilesScanned,
    /// Files that the policy lets go.
    FilesSelected,
    /// Files removed.
    FilesDeleted,
    /// Files moved elsewhere.
    FilesMoved,
    /// Files put into an archive.
    FilesArchived,
    /// Their lengths, of the files selected.
    BytesSelected,
    /// Bytes of blocks that come free when they go.
    BytesToFree,
    /// Bytes of blocks that came free.
    BytesFreed,
    /// Selected, but left for the next run.
    Remaining,
    /// Emptied folders removed.
    FoldersDeleted,
    /// Selected, but changed before it came to them.
    FilesChanged,
    /// Removed without a claim.
    Unclaimed,
    /// Claims of a killed run that were finished.
    Recovered,
    /// Commands run.
    CommandsRun,
    /// Files without what they belong to.
    Orphans,
    /// Bytes of a backup's files.
    BackupBytes,
    /// Bytes of the database it is of.
    DatabaseBytes,
    /// Rows in it.
    BackupRows,
    /// When the newest backup was made.
    BackupTime,
    /// When the newest of which a restore is proved was made.
    BackupProvenTime,
    /// Backups that are there.
    BackupsKept,
    /// Backups of which is proved what was asked for.
    BackupsProven,
    /// Backups removed.
    BackupsRemoved,
    /// What failed.
    Errors,
}

/// Counter, word, help. Metrics are named `maint_WORD`.
pub const COUNTERS: [(Counter, &str, &str); 24] = [
    (Counter::FilesScanned, "files_scanned", "Files that the patterns of the target matched."),
    (Counter::FilesSelected, "files_selected", "Files that the policy let go."),
    (Counter::FilesDeleted, "files_deleted", "Files removed."),
    (Counter::FilesMoved, "files_moved", "Files moved elsewhere."),
    (Counter::FilesArchived, "files_archived", "Files put into an archive."),
    (Counter::BytesSelected, "bytes_selected", "Lengths of the files that the policy let go."),
    (Counter::BytesToFree, "bytes_to_free", "Bytes of blocks of the files that the policy let go."),
    (Counter::BytesFreed, "bytes_freed", "Bytes of blocks that came free."),
    (Counter::Remaining, "remaining", "Files left for the next run."),
    (Counter::FoldersDeleted, "folders_deleted", "Folders removed because they had gone empty."),
    (Counter::FilesChanged, "files_changed", "Files that changed under the run and stayed."),
    (Counter::Unclaimed, "unclaimed", "Files removed after a last look, without a claim."),
    (Counter::Recovered, "recovered", "Claims of a killed run that were finished."),
    (Counter::CommandsRun, "commands_run", "Commands run."),
    (
        Counter::Orphans,
        "orphans",
        "Files found without what they belong to, those that may not go yet among them.",
    ),
    (Counter::BackupBytes, "backup_bytes", "Bytes of the files of the last backup."),
    (Counter::DatabaseBytes, "backup_source_bytes", "Bytes of the database that was backed up."),
    (Counter::BackupRows, "backup_rows", "Rows in all tables of the last backup."),
    (Counter::BackupTime, "backup_timestamp_seconds", "When the newest backup was made."),
    (
        Counter::BackupProvenTime,
        "backup_proven_timestamp_seconds",
        "When the newest backup was made of which is proved what the section asks for.",
    ),
    (Counter::BackupsKept, "backups", "Backups that are there."),
    (Counter::BackupsProven, "backups_proven", "Backups of which is proved what the section asks for."),
    (Counter::BackupsRemoved, "backups_removed", "Backups removed because no rule keeps them."),
    (Counter::Errors, "errors", "Operations that failed."),
];

impl Counter {
    /// Whether it is about backups, and about nothing else.
    pub(super) fn is_of_backups(self) -> bool {
        (Self::BackupBytes as usize..=Self::BackupsRemoved as usize).contains(&(self as usize))
    }

    /// Whether it is a moment, of which there is no sum.
    pub(super) fn is_moment(self) -> bool {
        matches!(self, Self::BackupTime | Self::BackupProvenTime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_row() {
        for (n, (counter, _, help)) in COUNTERS.into_iter().enumerate() {
            assert_eq!(counter as usize, n, "the table is in the order of the enum");
            assert!(help.ends_with('.'));
        }
        assert_eq!(Counter::Errors as usize + 1, COUNTERS.len());
    }
}
