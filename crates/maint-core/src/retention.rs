//! What has had its day. A policy is a value; with `now` it becomes rules, and rules answer for one look
//! at a time, with a reason. No clock is read and nothing is touched here.
//!
//! A new policy enters here as a field of [`Policy`], a kind of [`Condemned`] and a line of
//! [`Rules::judge`]; what only a survey can tell (which are the newest, how much there is) enters where
//! [`crate::plan::Plan`] is made of rules and survey.

use crate::{
    entry::{Entry, Kind},
    time::Timestamp,
    units::{Span, one_word_of},
};
use std::fmt;

/// What a target asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Files whose content is older than this may go.
    pub max_age: Span,
    /// Files touched more recently than this are still being worked on and stay.
    pub settle: Span,
    /// Which touch counts for `settle`.
    pub settle_by: SettleBy,
}

/// The clock by which a file settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleBy {
    /// The last change of its content.
    Mtime,
    /// The last change of anything: for producers that copy files with their times.
    Ctime,
}

one_word_of!(SettleBy, "a clock to settle by", "mtime" => Self::Mtime, "ctime" => Self::Ctime);

/// A policy at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    policy: Policy,
    now: Timestamp,
}

/// The answer for one entry, always with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may go.
    Remove(Condemned),
    /// It stays.
    Keep(Kept),
}

/// Why an entry may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condemned {
    /// Its content is older than the limit.
    Older {
        /// The limit.
        than: Span,
        /// By how much.
        by: Span,
    },
}

/// Why an entry stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Not old enough.
    TooNew,
    /// Touched within `settle`.
    Settling,
    /// Its time lies ahead of the clock: one of the two is wrong.
    InTheFuture,
    /// Protected by `exclude`.
    Excluded,
    /// A link, FIFO, socket or device.
    NotAFile,
    /// Something is mounted on it.
    MountPoint,
}

impl Kept {
    /// Every reason, in the order in which reports name them.
    pub const ALL: [Self; 6] =
        [Self::TooNew, Self::Settling, Self::InTheFuture, Self::Excluded, Self::NotAFile, Self::MountPoint];

    /// The word of reports and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooNew => "too-new",
            Self::Settling => "settling",
            Self::InTheFuture => "in-the-future",
            Self::Excluded => "excluded",
            Self::NotAFile => "not-a-file",
            Self::MountPoint => "mount-point",
        }
    }
}

impl Condemned {
    /// How many kinds of reasons there are.
    pub const KINDS: usize = 1;

    /// Its place among [`Policy::reasons`].
    pub const fn kind(self) -> usize {
        match self {
            Self::Older { .. } => 0,
        }
    }
}

impl fmt::Display for Condemned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older { than, by } => write!(f, "older than {than} by {}", by.roughly()),
        }
    }
}

impl Policy {
    /// The policy as rules for `now`.
    pub fn at(&self, now: Timestamp) -> Rules {
        Rules { policy: self.clone(), now }
    }

    /// The policy in a person's words.
    pub fn describe(&self) -> String {
        self.reasons().join(" or ")
    }

    /// Why files go, one sentence for each kind of [`Condemned`].
    pub fn reasons(&self) -> [String; Condemned::KINDS] {
        [format!("older than {}", self.max_age)]
    }
}

impl Rules {
    /// What becomes of an entry.
    ///
    /// ```
    /// # use maint_core::{entry::*, retention::*, time::Timestamp, units::Span};
    /// # let at = Timestamp::from_seconds;
    /// let policy = Policy { max_age: "24h".parse().unwrap(), settle: Span::from_seconds(60), settle_by: SettleBy::Mtime };
    /// # let look = Look { kind: Kind::File, mount_point: false, inode: 1, links: 1, size: 1, allocated: 4096, modified: at(0), changed: at(0) };
    /// let entry = Entry { folder: b"", name: b"cam1.jpg", look }; // of 1970
    /// let Verdict::Remove(reason) = policy.at(at(27 * 3600)).judge(&entry) else { panic!() };
    /// assert_eq!(reason.to_string(), "older than 24h by 3h");
    /// ```
    pub fn judge(&self, entry: &Entry<'_>) -> Verdict {
        let Entry { look, .. } = entry;
        if look.kind != Kind::File {
            return Verdict::Keep(Kept::NotAFile);
        }
        if look.mount_point {
            return Verdict::Keep(Kept::MountPoint);
        }
        if look.modified > self.now {
            return Verdict::Keep(Kept::InTheFuture);
        }
        let touched = match self.policy.settle_by {
            SettleBy::Mtime => look.modified,
            SettleBy::Ctime => look.changed,
        };
        if touched > self.now.minus(self.policy.settle) {
            return Verdict::Keep(Kept::Settling);
        }
        let limit = self.now.minus(self.policy.max_age);
        if look.modified >= limit {
            return Verdict::Keep(Kept::TooNew);
        }
        Verdict::Remove(Condemned::Older { than: self.policy.max_age, by: limit.since(look.modified) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Look;
    use proptest::prelude::*;

    const NOW: i64 = 1_000_000_000;

    fn file(modified: i64, changed: i64) -> Look {
        Look {
            kind: Kind::File,
            mount_point: false,
            inode: 1,
            links: 1,
            size: 10,
            allocated: 4096,
            modified: Timestamp::from_seconds(modified),
            changed: Timestamp::from_seconds(changed),
        }
    }

    fn policy(max_age: u64, settle: u64, settle_by: SettleBy) -> Policy {
        Policy { max_age: Span::from_seconds(max_age), settle: Span::from_seconds(settle), settle_by }
    }

    fn judge(policy: &Policy, look: Look) -> Verdict {
        policy.at(Timestamp::from_seconds(NOW)).judge(&Entry { folder: b"", name: b"x", look })
    }

    fn kept(max_age: u64, look: Look, why: Kept) {
        assert_eq!(judge(&policy(max_age, 60, SettleBy::Mtime), look), Verdict::Keep(why));
    }

    #[test]
    fn the_limit_itself_is_kept_and_one_moment_more_goes() {
        kept(3600, file(NOW - 3600, 0), Kept::TooNew);
        let by = Span::from_seconds(1);
        let verdict = judge(&policy(3600, 60, SettleBy::Mtime), file(NOW - 3601, 0));
        assert_eq!(verdict, Verdict::Remove(Condemned::Older { than: Span::from_seconds(3600), by }));
    }

    #[test]
    fn max_age_zero_still_lets_a_file_settle() {
        kept(0, file(NOW - 59, 0), Kept::Settling);
        assert!(matches!(judge(&policy(0, 60, SettleBy::Mtime), file(NOW - 60, 0)), Verdict::Remove(_)));
    }

    #[test]
    fn a_copy_with_old_times_settles_by_its_arrival() {
        let arrived = file(NOW - 90 * 86400, NOW - 5);
        assert!(matches!(judge(&policy(3600, 60, SettleBy::Mtime), arrived), Verdict::Remove(_)));
        assert_eq!(judge(&policy(3600, 60, SettleBy::Ctime), arrived), Verdict::Keep(Kept::Settling));
    }

    #[test]
    fn a_time_ahead_of_the_clock_keeps() {
        kept(0, file(NOW + 1, 0), Kept::InTheFuture);
        kept(3600, file(i64::MAX, 0), Kept::InTheFuture);
    }

    #[test]
    fn only_plain_files_go() {
        for kind in [Kind::Other, Kind::Folder] {
            kept(0, Look { kind, ..file(0, 0) }, Kept::NotAFile);
        }
        kept(0, Look { mount_point: true, ..file(0, 0) }, Kept::MountPoint);
    }

    #[test]
    fn every_reason_has_its_own_word() {
        let mut words: Vec<_> = Kept::ALL.iter().map(|k| k.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Kept::ALL.len());
    }

    proptest! {
        #[test]
        fn time_passing_never_unexpires(max_age in 0..400_000u64, settle in 0..1000u64, age in 0..900_000i64, later in 0..900_000i64) {
            let policy = policy(max_age, settle, SettleBy::Mtime);
            let entry = Entry { folder: b"", name: b"x", look: file(NOW - age, NOW - age) };
            let verdict = |now: i64| matches!(policy.at(Timestamp::from_seconds(now)).judge(&entry), Verdict::Remove(_));
            prop_assert!(!verdict(NOW) || verdict(NOW + later));
        }

        #[test]
        fn what_goes_is_older_than_both_limits(max_age in 0..4000u64, settle in 0..1000u64, age in -500..9000i64) {
            let removed = matches!(judge(&policy(max_age, settle, SettleBy::Mtime), file(NOW - age, 0)), Verdict::Remove(_));
            let max_age = i64::try_from(max_age).unwrap();
            let settle = i64::try_from(settle).unwrap();
            prop_assert_eq!(removed, age > max_age && age >= settle);
        }
    }
}
