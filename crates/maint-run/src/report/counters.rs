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
    /// What failed.
    Errors,
}

/// Counter, word, help. Metrics are named `maint_WORD`.
pub const COUNTERS: [(Counter, &str, &str); 16] = [
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
    (Counter::Errors, "errors", "Operations that failed."),
];

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
