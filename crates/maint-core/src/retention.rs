//! What has had its day. A policy is a value; with `now` it becomes rules, and rules answer for one
//! subject at a time, with a reason. No clock is read and nothing is touched here.
//!
//! Rules that compare (which are the newest, what fits under a size) need a survey first: [`Ranking`]
//! gathers it, and [`Rules::with`] makes it part of the rules.
//!
//! An entry goes if `max-age`, `max-files`, `max-size` or `thin` condemns it and `keep` does not want it;
//! with none of these four it goes if neither `keep-newest` nor `keep` wants it. `keep-newest`, `settle`
//! and whatever is in the way win over everything. What `thin` leaves is still subject to the limits: a
//! year, thinned, ends after a year.

mod age;
mod calendar_rules;
mod rank;

pub use age::AgeBy;
pub use calendar_rules::{Keep, Thin, Thinning};
pub use rank::Key;

use crate::{
    calendar::{Period, Zone},
    entry::{Look, Subject},
    grouping::Per,
    text::{count, grouped},
    time::Timestamp,
    units::{ByteSize, Span, one_word_of},
};
use age::NameSays;
use calendar_rules::{Chosen, Keeping, Thinks, Thinned};
use rank::{Fitting, Newest};
use std::{collections::HashMap, fmt};

/// What a target asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Everything may go.
    pub remove_all: bool,
    /// What is older than this may go.
    pub max_age: Option<Span>,
    /// By which clock.
    pub age_by: AgeBy,
    /// When there are more files, the oldest may go.
    pub max_files: Option<u64>,
    /// When they take more blocks, the oldest may go.
    pub max_size: Option<ByteSize>,
    /// So many of the newest stay.
    pub keep_newest: Option<KeepNewest>,
    /// What the calendar keeps.
    pub keep: Option<Keep>,
    /// What the calendar leaves of older ones.
    pub thin: Option<Thinning>,
    /// Files touched more recently than this are still being worked on and stay.
    pub settle: Span,
    /// Which touch counts for `settle`.
    pub settle_by: SettleBy,
}

/// A floor under every other rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepNewest {
    /// So many …
    pub count: u64,
    /// … of each of these.
    pub per: Per,
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

/// The moment a policy is judged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// Now.
    pub now: Timestamp,
    /// Where days begin.
    pub zone: Zone,
    /// Whether the clock can be believed: without it nothing is old.
    pub clock_in_doubt: bool,
}

/// A policy at a moment.
#[derive(Debug, Clone)]
pub struct Rules {
    policy: Policy,
    present: Present,
    ranks: Ranks,
}

/// What a survey told the rules.
#[derive(Debug, Clone, Default)]
struct Ranks {
    newest: Option<HashMap<u64, Key>>,
    /// Only where something does not fit.
    files: Option<Key>,
    size: Option<Key>,
    keep: Option<Chosen>,
    thin: Option<Thinned>,
}

/// What a survey gathers for rules that compare; one for each worker, merged in any order.
#[derive(Debug, Clone)]
pub struct Ranking<'r> {
    rules: &'r Rules,
    newest: Option<Newest>,
    files: Option<Fitting>,
    size: Option<Fitting>,
    keep: Option<Keeping<'r>>,
    thin: Option<Thinned>,
}

/// The answer for one subject, always with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may go.
    Remove(Condemned),
    /// It stays.
    Keep(Kept),
}

/// Why a subject may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condemned {
    /// It is older than the limit.
    Older {
        /// The limit.
        than: Span,
        /// By how much.
        by: Span,
    },
    /// There are so many newer ones that it is one too many.
    TooMany {
        /// The limit.
        limit: u64,
    },
    /// It does not fit under the size beside the newer ones.
    TooLarge {
        /// The limit.
        limit: ByteSize,
    },
    /// Another one of its period stays.
    Thinned {
        /// The period.
        period: Period,
    },
    /// No rule keeps it.
    Unwanted,
    /// Everything was to go.
    All,
    /// A saved plan lets it go.
    Planned,
    /// What it belongs to is gone.
    Orphaned {
        /// For how long that has been known.
        since: Span,
    },
}

macro_rules! kept {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)+) => {
        /// Why a subject stays.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kept {
            $($(#[$doc])* $name,)+
        }

        impl Kept {
            /// Every reason, in the order in which reports name them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$name),+];

            /// The word of reports and metrics.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

kept! {
    /// Among the newest that are always kept.
    Newest => "newest",
    /// Not old enough.
    TooNew => "too-new",
    /// Within the limits of number and size.
    WithinLimits => "within-limits",
    /// Among the last that `keep` wants.
    Last => "last",
    /// Within the time that `keep` wants.
    Within => "within",
    /// The newest of its hour.
    Hourly => "hourly",
    /// The newest of its day.
    Daily => "daily",
    /// The newest of its week.
    Weekly => "weekly",
    /// The newest of its month.
    Monthly => "monthly",
    /// The newest of its year.
    Yearly => "yearly",
    /// The oldest there is, while `keep` wants more.
    Oldest => "oldest",
    /// Touched within `settle`.
    Settling => "settling",
    /// Its time lies ahead of the clock: one of the two is wrong.
    InTheFuture => "in-the-future",
    /// The clock cannot be believed.
    ClockInDoubt => "clock-in-doubt",
    /// Its name tells no time.
    NoTimeInName => "no-time-in-name",
    /// Its name tells a time that cannot be.
    Implausible => "implausible-name",
    /// The filesystem does not remember when it was made.
    NoBirthTime => "no-birth-time",
    /// Another process has locked it.
    Locked => "locked",
    /// Another process holds it open.
    HeldOpen => "held-open",
    /// A lock file lies beside it.
    LockFile => "lock-file",
    /// Another process has locked its folder.
    FolderLocked => "folder-locked",
    /// What it belongs to is there.
    HasPartner => "has-partner",
    /// Nothing that is looked for could belong to it.
    Foreign => "foreign",
    /// What it belongs to is gone, but that was not seen often enough, or long enough ago.
    Waiting => "waiting",
    /// What it belongs to is gone: it is only reported.
    Reported => "reported",
    /// It should say what it belongs to, and is no JSON.
    NoJson => "no-json",
    /// It is JSON that does not say what it belongs to.
    NamesNoPartner => "names-no-partner",
    /// It could not be read, or what it belongs to could not be looked for.
    Unread => "unread",
    /// An emergency needs no more.
    NotNeeded => "not-needed",
    /// It would bring nothing of what an emergency needs.
    FreesNothing => "frees-nothing",
    /// It is no step of the saved plan, or is not any more what it was.
    NotPlanned => "not-planned",
    /// Protected by `exclude`.
    Excluded => "excluded",
    /// A link, FIFO, socket or device.
    NotAFile => "not-a-file",
    /// Something is mounted on it.
    MountPoint => "mount-point",
}

impl Kept {
    /// The reason of a calendar rule.
    pub(crate) const fn of_period(period: Period) -> Self {
        match period {
            Period::Hour => Self::Hourly,
            Period::Day => Self::Daily,
            Period::Week => Self::Weekly,
            Period::Month => Self::Monthly,
            Period::Year => Self::Yearly,
        }
    }

    /// Whether the policy never had a say.
    pub const fn is_out_of_reach(self) -> bool {
        matches!(self, Self::Excluded | Self::NotAFile | Self::MountPoint)
    }
}

impl Condemned {
    /// How many kinds of reasons there are.
    pub const KINDS: usize = 8;

    /// Its place among [`Policy::reasons`].
    pub const fn kind(self) -> usize {
        match self {
            Self::Older { .. } => 0,
            Self::TooMany { .. } => 1,
            Self::TooLarge { .. } => 2,
            Self::Thinned { .. } => 3,
            Self::Unwanted => 4,
            Self::All => 5,
            Self::Planned => 6,
            Self::Orphaned { .. } => 7,
        }
    }
}

impl fmt::Display for Condemned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older { than, by } => write!(f, "older than {than} by {}", by.roughly()),
            Self::TooMany { limit } => write!(f, "beyond the newest {}", count(*limit, "file")),
            Self::TooLarge { limit } => write!(f, "beyond the newest {limit}"),
            Self::Thinned { period } => write!(f, "not the {} one that stays", period.word()),
            Self::Unwanted => f.write_str("no rule keeps it"),
            Self::All => f.write_str("everything was to go"),
            Self::Planned => f.write_str("the saved plan lets it go"),
            Self::Orphaned { since } => write!(f, "an orphan, known for {}", since.roughly()),
        }
    }
}

impl Policy {
    /// A policy that asks for nothing, and lets files settle for so long.
    pub fn nothing(settle: Span) -> Self {
        Self {
            remove_all: false,
            max_age: None,
            age_by: AgeBy::Mtime,
            max_files: None,
            max_size: None,
            keep_newest: None,
            keep: None,
            thin: None,
            settle,
            settle_by: SettleBy::Mtime,
        }
    }

    /// Whether the clock has a say in what goes.
    pub fn ages(&self) -> bool {
        !self.remove_all && (self.max_age.is_some() || self.thin.is_some())
    }

    /// Whether it lets anything go.
    pub fn removes(&self) -> bool {
        self.remove_all || self.condemns() || self.keep_newest.is_some() || self.keep.is_some()
    }

    /// Whether some rule says what goes; without one, what no rule keeps goes.
    fn condemns(&self) -> bool {
        self.max_age.is_some() || self.max_files.is_some() || self.max_size.is_some() || self.thin.is_some()
    }

    /// Whether subjects must be compared before any is judged.
    fn ranks(&self) -> bool {
        !self.remove_all
            && (self.max_files.is_some()
                || self.max_size.is_some()
                || self.keep_newest.is_some()
                || self.keep.is_some()
                || self.thin.is_some())
    }

    /// Whether a name that tells a young file says all there is to know.
    fn trusts_names(&self) -> bool {
        let by_name = matches!(self.age_by, AgeBy::Name(_)) && self.max_age.is_some();
        by_name
            && !self.remove_all
            && self.max_files.is_none()
            && self.max_size.is_none()
            && self.thin.is_none()
    }

    /// The policy as rules at a moment, before anything was surveyed.
    pub fn at(&self, present: Present) -> Rules {
        Rules { policy: self.clone(), present, ranks: Ranks::default() }
    }

    /// The policy in a person's words.
    pub fn describe(&self) -> String {
        if self.remove_all {
            return "everything".to_owned();
        }
        let age = |span| match &self.age_by {
            AgeBy::Mtime => format!("older than {span}"),
            clock => format!("older than {span} by {clock}"),
        };
        let limits = [
            self.max_age.map(age),
            self.max_files.map(|n| format!("beyond {}", count(n, "file"))),
            self.max_size.map(|size| format!("beyond {size}")),
        ];
        let mut words = limits.into_iter().flatten().collect::<Vec<_>>().join(" or ");
        let mut add = |more: String| {
            if !words.is_empty() {
                words.push_str("; ");
            }
            words.push_str(&more);
        };
        if let Some(thin) = &self.thin {
            let steps =
                thin.steps.iter().map(|step| format!("{} after {}", step.keep.word(), step.older_than));
            add(format!("thinned {}{}", steps.collect::<Vec<_>>().join(", "), of(&thin.per)));
        }
        if let Some(keep) = &self.keep {
            add(format!("keeps {}{}", keep.describe(), of(&keep.per)));
        }
        if let Some(newest) = &self.keep_newest {
            add(format!("keeps the newest {}{}", grouped(newest.count), of(&newest.per)));
        }
        words
    }

    /// Why files go, one sentence for each kind of [`Condemned`].
    pub fn reasons(&self) -> [String; Condemned::KINDS] {
        let unless = |set: bool, words: String| if set { words } else { String::new() };
        [
            self.max_age.map_or_else(String::new, |span| format!("older than {span}")),
            self.max_files.map_or_else(String::new, |limit| Condemned::TooMany { limit }.to_string()),
            self.max_size.map_or_else(String::new, |limit| Condemned::TooLarge { limit }.to_string()),
            unless(self.thin.is_some(), "thinned out".to_owned()),
            unless(!self.condemns(), "kept by no rule".to_owned()),
            unless(self.remove_all, "because everything was to go".to_owned()),
            "by the saved plan".to_owned(),
            "without a partner".to_owned(),
        ]
    }
}

fn of(per: &Per) -> String {
    match per {
        Per::Target => String::new(),
        per => format!(" per {per}"),
    }
}

impl Rules {
    /// Whether a survey must be ranked before these rules can judge.
    pub fn need_ranking(&self) -> bool {
        self.policy.ranks()
    }

    /// An empty ranking for these rules.
    pub fn ranking(&self) -> Ranking<'_> {
        let policy = &self.policy;
        let zone = self.present.zone;
        Ranking {
            rules: self,
            newest: policy.keep_newest.as_ref().map(|newest| Newest::new(newest.count)),
            files: policy.max_files.map(Fitting::new),
            size: policy.max_size.map(|size| Fitting::new(size.bytes())),
            keep: policy.keep.as_ref().map(|keep| Keeping::new(keep, zone)),
            thin: policy.thin.as_ref().map(|thin| Thinned::new(thin, zone)),
        }
    }

    /// The rules with what a survey found out.
    #[must_use]
    pub fn with(&self, ranking: Ranking<'_>) -> Self {
        let ranks = Ranks {
            newest: ranking.newest.map(Newest::floors),
            files: ranking.files.and_then(Fitting::floor),
            size: ranking.size.and_then(Fitting::floor),
            keep: ranking.keep.map(Keeping::settle),
            thin: ranking.thin,
        };
        Self { policy: self.policy.clone(), present: self.present, ranks }
    }

    /// The moment they judge at.
    pub fn now(&self) -> Timestamp {
        self.present.now
    }

    /// The policy they were made of.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The time that counts for a file.
    pub fn time_of(&self, name: &[u8], look: &Look) -> Result<Timestamp, Kept> {
        self.policy.age_by.time(name, look, self.present.now)
    }

    /// What the name alone decides about a file: why it stays, and the time it tells. `None` means that
    /// it must be looked at.
    pub fn by_name(&self, name: &[u8]) -> Option<(Kept, Option<Timestamp>)> {
        if !self.policy.trusts_names() {
            return None;
        }
        match self.policy.age_by.name_says(name, self.present.now) {
            NameSays::Nothing => None,
            NameSays::Keep(why) => Some((why, None)),
            NameSays::Time(at) => (!self.is_old(at)).then_some((Kept::TooNew, Some(at))),
        }
    }

    fn is_old(&self, at: Timestamp) -> bool {
        self.policy.max_age.is_some_and(|span| at < self.present.now.minus(span))
    }

    /// What becomes of a subject.
    ///
    /// ```
    /// # use maint_core::{calendar::Zone, entry::*, retention::*, time::Timestamp, units::Span};
    /// # let at = Timestamp::from_seconds;
    /// let policy = Policy { max_age: Some("24h".parse().unwrap()), ..Policy::nothing(Span::from_seconds(60)) };
    /// # let look = Look { kind: Kind::File, mount_point: false, device: 1, inode: 1, links: 1, size: 1, allocated: 4096,
    /// #     modified: at(0), changed: at(0), accessed: at(0), born: None };
    /// let rules = policy.at(Present { now: at(27 * 3600), zone: Zone::Utc, clock_in_doubt: false });
    /// let entry = Entry { folder: b"", name: b"cam1.jpg", look }; // of 1970
    /// let Verdict::Remove(reason) = rules.judge(&Subject::of(&entry, Ok(at(0)))) else { panic!() };
    /// assert_eq!(reason.to_string(), "older than 24h by 3h");
    /// ```
    pub fn judge(&self, subject: &Subject<'_>) -> Verdict {
        let Present { now, clock_in_doubt, .. } = self.present;
        if let Some(why) = subject.obstacle {
            return Verdict::Keep(why);
        }
        let touched = match self.policy.settle_by {
            SettleBy::Mtime => subject.modified,
            SettleBy::Ctime => subject.changed,
        };
        let is_settling = touched > now.minus(self.policy.settle);
        if self.policy.remove_all {
            // How old a file is does not matter here, so a time ahead of the clock does not either.
            let settling =
                if touched > now { subject.changed > now.minus(self.policy.settle) } else { is_settling };
            return if settling { Verdict::Keep(Kept::Settling) } else { Verdict::Remove(Condemned::All) };
        }
        if subject.modified > now {
            return Verdict::Keep(Kept::InTheFuture);
        }
        let at = match subject.time {
            Ok(at) if at > now => return Verdict::Keep(Kept::InTheFuture),
            Ok(at) => at,
            Err(why) => return Verdict::Keep(why),
        };
        if is_settling {
            return Verdict::Keep(Kept::Settling);
        }
        let key = Key::of(subject, at);
        if self.is_among_newest(subject, key) {
            return Verdict::Keep(Kept::Newest);
        }
        let thinks = match &self.ranks.thin {
            Some(thin) if !clock_in_doubt => thin.judge(subject, at, key, now),
            _ => Thinks::TooYoung,
        };
        let condemned = match self.condemned(at, key, thinks) {
            Ok(condemned) => condemned,
            Err(why) => return Verdict::Keep(why),
        };
        match self.ranks.keep.as_ref().and_then(|keep| keep.wants(subject, at, key)) {
            Some(why) => Verdict::Keep(why),
            None => Verdict::Remove(condemned),
        }
    }

    fn is_among_newest(&self, subject: &Subject<'_>, key: Key) -> bool {
        let (Some(rule), Some(floors)) = (&self.policy.keep_newest, &self.ranks.newest) else { return false };
        let group = rule.per.group(subject.folder, subject.name);
        floors.get(&group).is_none_or(|floor| key >= *floor)
    }

    /// The first rule that lets it go, or why none does.
    fn condemned(&self, at: Timestamp, key: Key, thinks: Thinks) -> Result<Condemned, Kept> {
        let Policy { max_age, max_files, max_size, .. } = &self.policy;
        let old = self.is_old(at);
        if let (true, false, Some(than)) = (old, self.present.clock_in_doubt, *max_age) {
            return Ok(Condemned::Older { than, by: self.present.now.minus(than).since(at) });
        }
        if let Thinks::Goes(period) = thinks {
            return Ok(Condemned::Thinned { period });
        }
        if let (Some(floor), Some(limit)) = (self.ranks.files, *max_files)
            && key < floor
        {
            return Ok(Condemned::TooMany { limit });
        }
        if let (Some(floor), Some(limit)) = (self.ranks.size, *max_size)
            && key < floor
        {
            return Ok(Condemned::TooLarge { limit });
        }
        if !self.policy.condemns() {
            return Ok(Condemned::Unwanted);
        }
        if let Thinks::Stays(period) = thinks {
            return Err(Kept::of_period(period));
        }
        let aged = self.policy.max_age.is_some() || self.policy.thin.is_some();
        Err(match (aged, self.present.clock_in_doubt && (old || self.policy.thin.is_some())) {
            (true, true) => Kept::ClockInDoubt,
            (true, false) => Kept::TooNew,
            (false, _) => Kept::WithinLimits,
        })
    }
}

impl Ranking<'_> {
    /// Notes a subject. What lies in the future, or has no time, has no place among the others.
    pub fn add(&mut self, subject: &Subject<'_>) {
        let now = self.rules.present.now;
        let Ok(at) = subject.time else { return };
        if at > now || subject.modified > now || subject.obstacle.is_some_and(Kept::is_out_of_reach) {
            return;
        }
        let key = Key::of(subject, at);
        if let (Some(newest), Some(rule)) = (&mut self.newest, &self.rules.policy.keep_newest) {
            newest.add(rule.per.group(subject.folder, subject.name), key);
        }
        if let Some(files) = &mut self.files {
            files.add(key, subject.files);
        }
        if let Some(size) = &mut self.size {
            size.add(key, subject.allocated);
        }
        if let Some(keep) = &mut self.keep {
            keep.add(subject, at, key);
        }
        if let Some(thin) = &mut self.thin {
            thin.add(subject, at, key);
        }
    }

    /// Joins what two workers saw.
    pub fn merge(&mut self, other: Self) {
        fn both<T>(mine: &mut Option<T>, its: Option<T>, merge: impl FnOnce(&mut T, T)) {
            if let (Some(mine), Some(its)) = (mine.as_mut(), its) {
                merge(mine, its);
            }
        }
        both(&mut self.newest, other.newest, Newest::merge);
        both(&mut self.files, other.files, Fitting::merge);
        both(&mut self.size, other.size, Fitting::merge);
        both(&mut self.keep, other.keep, Keeping::merge);
        both(&mut self.thin, other.thin, Thinned::merge);
    }
}

#[cfg(test)]
mod tests;
