//! The policy made concrete: what may go, how much of it, and what a guard has approved of that.

use crate::{
    emergency::Spent,
    entry::{Look, Subject},
    retention::{Rules, Verdict},
    saved::Steps,
    survey::{Survey, Tally},
    text::joined,
    units::Share,
};
use std::ffi::CStr;

/// What a run would do to a target: the rules that judge each entry, and the totals of the survey.
#[derive(Debug)]
pub struct Plan {
    rules: Rules,
    totals: Tally,
    judged: u64,
    choice: Choice,
}

/// Which of what the rules let go really does.
#[derive(Debug)]
enum Choice {
    All,
    /// In an emergency what is spent.
    Spent(Spent),
    /// What was planned before: the rules are not asked any more.
    Steps(Steps),
}

impl Plan {
    /// The plan that rules make of a survey. A pure function: the same survey gives the same plan.
    pub fn new(rules: Rules, survey: &Survey) -> Self {
        Self { rules, totals: survey.condemned, judged: survey.judged(), choice: Choice::All }
    }

    /// The same plan in an emergency: of what the rules let go only what is spent.
    #[must_use]
    pub fn spending(self, spent: Spent) -> Self {
        Self { totals: spent.tally(), choice: Choice::Spent(spent), ..self }
    }

    /// What would go.
    pub fn totals(&self) -> Tally {
        self.totals
    }
}

/// The limits a plan must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// No more than this share of the files found, when there are more than [`Guard::SMALL`].
    pub max_share: Option<Share>,
}

/// A plan that no guard stopped, or that was saved to be seen, and how far it may go. Only
/// [`Guard::approve`] and [`Approved::saved`] make one, and nothing is removed without one.
///
/// ```compile_fail
/// # fn forge(plan: maint_core::plan::Plan) {
/// maint_core::plan::Approved { plan, most: (1, 1) };
/// # }
/// ```
#[derive(Debug)]
pub struct Approved {
    plan: Plan,
    most: (u64, u64),
}

/// Why a guard said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too large a part of the target would go.
    #[error("{} of {} files would go, more than max-share {share} allows", .condemned, .found)]
    MaxShare {
        /// Files that would go.
        condemned: u64,
        /// Files that the policy had a say in.
        found: u64,
        /// The limit.
        share: Share,
    },
}

impl Refusal {
    /// The guard's name, as `--force` takes it.
    pub const fn guard(&self) -> &'static str {
        match self {
            Self::MaxShare { .. } => Guard::MAX_SHARE,
        }
    }
}

/// How much one run may let go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// So many files.
    pub files: Option<u64>,
    /// So many bytes of blocks; one file, or bundle, that is larger alone may still go.
    pub bytes: Option<u64>,
}

impl Guard {
    /// The name of the share guard.
    pub const MAX_SHARE: &str = "max-share";
    /// The name of the guard over the clock.
    pub const CLOCK: &str = "clock";
    /// The name of the guard that wants a marker file.
    pub const MARKER: &str = "marker";
    /// The name of the guard that wants the right volume.
    pub const VOLUME: &str = "volume";
    /// The name of the guard over what files belong to: that its folders are what they were.
    pub const PARTNERS: &str = "partners";
    /// The guards of every folder of files, as `--force` lifts them.
    pub const OF_FILES: [&str; 4] = [Self::MAX_SHARE, Self::CLOCK, Self::MARKER, Self::VOLUME];
    /// A folder with so few files may well be emptied by age: three old files of three are no accident.
    pub const SMALL: u64 = 100;

    /// The share that holds where a target says nothing.
    pub const DEFAULT_SHARE: Share = Share::from_percent(95);

    /// The same guard with one limit lifted, by its name.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        match name {
            Self::MAX_SHARE => Self { max_share: None },
            _ => self,
        }
    }

    /// Lets a plan pass within limits, or says why not.
    pub fn approve(self, plan: Plan, limits: Limits) -> Result<Approved, Refusal> {
        let (condemned, found) = (plan.totals.files, plan.judged);
        if let Some(share) = self.max_share
            && found > Self::SMALL
            && share.is_exceeded_by(condemned, found)
        {
            return Err(Refusal::MaxShare { condemned, found, share });
        }
        let files = limits.files.map_or(condemned, |limit| limit.min(condemned));
        Ok(Approved { most: (files, limits.bytes.unwrap_or(u64::MAX)), plan })
    }
}

impl Approved {
    /// A plan that was saved is one that somebody has seen; the rules only tell what belongs to the target.
    pub fn saved(rules: Rules, steps: Steps) -> Self {
        let totals = steps.totals();
        let plan = Plan { rules, totals, judged: totals.files, choice: Choice::Steps(steps) };
        Self { most: (totals.files, u64::MAX), plan }
    }

    /// What becomes of a subject, and so of its files, under this plan.
    pub fn judge<'f>(
        &self,
        subject: &Subject<'_>,
        files: impl Iterator<Item = (&'f CStr, &'f Look)>,
    ) -> Verdict {
        let by_rules = || self.plan.rules.judge(subject);
        match &self.plan.choice {
            Choice::All => by_rules(),
            Choice::Spent(spent) => match by_rules() {
                Verdict::Remove(why) => {
                    let looks = files.map(|(_, look)| look);
                    spent.keeps(subject, looks).map_or(Verdict::Remove(why), Verdict::Keep)
                }
                keep @ Verdict::Keep(_) => keep,
            },
            Choice::Steps(steps) => steps.judge(subject, files),
        }
    }

    /// Whether a folder may hold anything that goes.
    pub fn enters(&self, folder: &[u8], name: &[u8]) -> bool {
        self.steps().is_none_or(|steps| steps.lead_through(&joined(&[folder, name])))
    }

    /// The steps of a saved plan.
    pub fn steps(&self) -> Option<&Steps> {
        match &self.plan.choice {
            Choice::Steps(steps) => Some(steps),
            Choice::All | Choice::Spent(_) => None,
        }
    }

    /// The rules it judges by.
    pub fn rules(&self) -> &Rules {
        &self.plan.rules
    }

    /// Whether the name of a file is enough to keep it.
    pub fn keeps_by_name(&self, folder: &[u8], name: &[u8]) -> bool {
        match &self.plan.choice {
            Choice::Steps(steps) => !steps.has(folder, name),
            Choice::All | Choice::Spent(_) => self.plan.rules.by_name(name).is_some(),
        }
    }

    /// The most files and bytes that may go. The last walk may meet files that the survey did not: they
    /// wait.
    pub fn most(&self) -> (u64, u64) {
        self.most
    }

    /// What the survey found to go, approved or left over by a limit.
    pub fn totals(&self) -> Tally {
        self.plan.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        calendar::Zone,
        retention::{Policy, Present},
        time::Timestamp,
        units::Span,
    };
    use proptest::prelude::*;

    fn plan(condemned: u64, found: u64) -> Plan {
        let policy =
            Policy { max_age: Some(Span::from_seconds(1)), ..Policy::nothing(Span::from_seconds(0)) };
        let present = Present { now: Timestamp::from_seconds(0), zone: Zone::Utc, clock_in_doubt: false };
        let tally = |files| Tally { files, size: 0, frees: 0 };
        Plan { rules: policy.at(present), totals: tally(condemned), judged: found, choice: Choice::All }
    }

    fn passes(condemned: u64, found: u64, share: Option<&str>) -> bool {
        let max_share = share.map(|s| s.parse().unwrap());
        Guard { max_share }.approve(plan(condemned, found), Limits::default()).is_ok()
    }

    #[test]
    fn truth_table_of_max_share() {
        assert!(passes(95, 100, Some("95%")));
        assert!(passes(100, 100, Some("95%")), "small targets may be emptied");
        assert!(!passes(96, 101, Some("95%")));
        assert!(passes(95, 101, Some("95%")));
        assert!(!passes(101, 101, Some("95%")));
        assert!(passes(101, 101, Some("100%")));
        assert!(passes(101, 101, None));
        assert!(!passes(1, 101, Some("0%")) && passes(0, 101, Some("0%")));
    }

    #[test]
    fn a_refusal_names_its_guard() {
        let refusal = Guard { max_share: Some(Guard::DEFAULT_SHARE) }
            .approve(plan(200, 200), Limits::default())
            .unwrap_err();
        assert!(Guard::OF_FILES.contains(&refusal.guard()));
        assert_eq!(refusal.to_string(), "200 of 200 files would go, more than max-share 95% allows");
    }

    proptest! {
        #[test]
        fn never_more_than_planned_nor_than_the_limit(condemned in 0..1000u64, limit in proptest::option::of(0..1000u64)) {
            let limits = Limits { files: limit, bytes: None };
            let (most, _) = Guard { max_share: None }.approve(plan(condemned, 1000), limits).unwrap().most();
            prop_assert!(most <= condemned && limit.is_none_or(|l| most <= l));
        }
    }
}
