//! The exit codes: the one table, and how the worst of many targets is found.

use std::process::ExitCode;

/// How a target, and a run, ended. The worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Done.
    Ok,
    /// Done, and something needs a look.
    Warning,
    /// A job failed.
    Critical,
    /// Usage or configuration: nothing was started. Or a check that cannot see.
    Unknown,
    /// A guard said no.
    Refused,
    /// Another run is at work.
    Busy,
}

/// Status, the word of reports, exit code, its place among others (the higher wins), and whether
/// `--cron` keeps quiet about it.
const TABLE: [(Status, &str, u8, u8, bool); 6] = [
    (Status::Ok, "ok", 0, 0, true),
    (Status::Busy, "busy", 75, 1, true),
    (Status::Warning, "warning", 1, 2, true),
    (Status::Refused, "refused", 4, 3, false),
    (Status::Unknown, "unknown", 3, 4, false),
    (Status::Critical, "critical", 2, 5, false),
];

impl Status {
    fn row(self) -> (Self, &'static str, u8, u8, bool) {
        // Every variant has a row; the test holds it.
        TABLE.into_iter().find(|row| row.0 == self).unwrap_or(TABLE[4])
    }

    /// The word of reports.
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        self.row().2
    }

    /// Whether a check may end so.
    pub(crate) fn is_of_checks(self) -> bool {
        matches!(self, Self::Ok | Self::Warning | Self::Critical | Self::Unknown)
    }

    /// Whether `--cron` says nothing about it.
    pub fn is_quiet(self) -> bool {
        self.row().4
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|row| row.0)
    }

    /// Its place among others: the higher is worse.
    pub(crate) fn gravity(self) -> u8 {
        self.row().3
    }

    /// The worse of two.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.row().3 > self.row().3 { other } else { self }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

/// What a shell expects of a program that a signal ended.
pub(crate) fn interrupted(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_manual() {
        let all =
            [Status::Ok, Status::Warning, Status::Critical, Status::Unknown, Status::Refused, Status::Busy];
        assert_eq!(all.map(Status::code), [0, 1, 2, 3, 4, 75]);
        assert_eq!(all.map(|status| status.row().0), all, "every status has its row");
        assert_eq!([interrupted(2), interrupted(15)], [130, 143]);
    }

    #[test]
    fn the_worst_counts_in_the_order_2_4_1_0() {
        let order = [Status::Critical, Status::Unknown, Status::Refused, Status::Warning, Status::Ok];
        for pair in order.windows(2) {
            assert_eq!(pair[1].worse(pair[0]), pair[0]);
            assert_eq!(pair[0].worse(pair[1]), pair[0]);
        }
        assert_eq!(Status::Busy.worse(Status::Ok), Status::Busy, "not everything was done");
        assert_eq!(Status::Busy.worse(Status::Warning), Status::Warning);
    }
}
