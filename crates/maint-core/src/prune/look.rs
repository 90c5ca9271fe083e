//! The walks that only look: one that compares, one that counts.

use super::{Errors, Scope, Ties, Together};
use crate::{
    emergency::{Need, Spending},
    entry::Subject,
    fs::{Block, Folder, FsError, Skipped, Visitor, Walk},
    retention::{Condemned, Kept, Ranking, Rules, Verdict},
    select::Named,
    spare::InUse,
    survey::{Links, Survey},
    time::Timestamp,
};
use std::ffi::CStr;

/// What a walk that looks brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// The counts.
    pub survey: Survey,
    /// What could not be read.
    pub errors: Errors,
    /// Folders on which another filesystem is mounted.
    pub other_mounts: u64,
    /// What an emergency would spend.
    pub spending: Option<Spending>,
}

/// Looks over a whole target and counts what the rules say, and in an emergency what of it is needed.
/// Nothing is changed.
pub fn look_over(
    scope: &Scope<'_>,
    rules: &Rules,
    in_use: &InUse,
    spend: Option<(Need, Option<u64>)>,
) -> Looked {
    let fresh = || Looked {
        survey: Survey::new(scope.select.headings().len()),
        spending: spend.map(|(need, most)| Spending::new(need, most)),
        ..Looked::default()
    };
    let looker = Looker { scope, rules, work: Counting { in_use, links: Links::default() } };
    looker.walk(&fresh).into_iter().fold(fresh(), |mut all, hand| {
        all.survey.merge(&hand.survey);
        all.errors.merge(hand.errors);
        all.other_mounts += hand.other_mounts;
        if let (Some(all), Some(its)) = (&mut all.spending, hand.spending) {
            all.merge(its);
        }
        all
    })
}

/// Looks over a whole target to find out which are the newest, and gives the rules that know it.
pub fn rank(scope: &Scope<'_>, rules: &Rules) -> Rules {
    let looker = Looker { scope, rules, work: Comparing(std::marker::PhantomData) };
    let mut hands = looker.walk(&|| rules.ranking()).into_iter();
    let mut ranking = hands.next().unwrap_or_else(|| rules.ranking());
    hands.for_each(|hand| ranking.merge(hand));
    rules.with(ranking)
}

/// What is done with all that a looking walk meets.
trait Work: Sync {
    type Hand: Send;

    fn judged(
        &self,
        rules: &Rules,
        hand: &mut Self::Hand,
        folder: &Folder,
        block: Block<'_>,
        met: &Together<'_, '_>,
        spare: &Scope<'_>,
    );
    /// A file that its name alone keeps.
    fn unseen(
        &self,
        hand: &mut Self::Hand,
        folder: &[u8],
        name: &[u8],
        heading: usize,
        why: Kept,
        at: Option<Timestamp>,
    );
    fn errors(hand: &mut Self::Hand) -> Option<&mut Errors>;
    fn other_mount(hand: &mut Self::Hand);
}

struct Looker<'a, W> {
    scope: &'a Scope<'a>,
    rules: &'a Rules,
    work: W,
}

impl<W: Work> Looker<'_, W> {
    fn walk(&self, fresh: &dyn Fn() -> W::Hand) -> Vec<W::Hand> {
        let Scope { root, stop, workers, .. } = *self.scope;
        let walk = Walk { root, stop, interrupted: stop, only: None };
        let hands = (0..workers.get()).map(|_| Hand { work: fresh(), beside: Vec::new() }).collect();
        walk.run(self, hands).into_iter().map(|hand| hand.work).collect()
    }
}

/// What a worker carries along.
struct Hand<H> {
    work: H,
    /// What the names of the folder say of the other side.
    beside: Vec<u64>,
}

impl<W: Work> Looker<'_, W> {
    /// The ties, where the other side lies in the folders that are walked.
    fn ties_beside(&self) -> Option<&dyn Ties> {
        self.scope.ties.filter(|ties| ties.is_beside())
    }

    /// The places of those in a block that the whole folder's names are enough to keep.
    fn kept_beside(&self, hand: &mut W::Hand, folder: &Folder, block: Block<'_>) -> Vec<bool> {
        let Some(ties) = self.ties_beside() else { return Vec::new() };
        let names = block.iter().map(|(name, code)| {
            let named = Named::of_code(code);
            let why = match named {
                Named::Wanted(_) => self
                    .rules
                    .by_name(name.to_bytes())
                    .or_else(|| Some((ties.keeps(folder.path(), name.to_bytes(), block.keys())?, None))),
                Named::Excluded(_) => Some((Kept::Excluded, None)),
                _ => None,
            };
            if let Some((why, at)) = why {
                self.work.unseen(hand, folder.path(), name.to_bytes(), named.heading(), why, at);
            }
            why.is_some()
        });
        names.collect()
    }
}

impl<W: Work> Visitor for Looker<'_, W> {
    type Hand = Hand<W::Hand>;

    fn sift(&self, hand: &mut Self::Hand, folder: &[u8], name: &[u8]) -> Option<u16> {
        if let Some(ties) = self.ties_beside() {
            // What is counted here would be counted again in a folder that is sifted twice.
            ties.gather(folder, name, &mut hand.beside);
            return self.scope.select.file(folder, name).code();
        }
        let named = self.scope.select.file(folder, name);
        if !self.scope.select.with.is_empty() {
            return named.code();
        }
        let by_name = match named {
            Named::Excluded(_) => Some((Kept::Excluded, None)),
            Named::Wanted(_) => {
                self.rules.by_name(name).or_else(|| Some((self.scope.ties?.keeps(folder, name, &[])?, None)))
            }
            Named::Companion(_) | Named::Either(_) | Named::Foreign => None,
        };
        match by_name {
            Some((why, at)) => {
                self.work.unseen(&mut hand.work, folder, name, named.heading(), why, at);
                None
            }
            None => named.code(),
        }
    }

    fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.scope.select.enters(folder, name, depth)
    }

    fn files(&self, hand: &mut Self::Hand, folder: &Folder, block: Block<'_>) -> u64 {
        let hand = &mut hand.work;
        let known = self.kept_beside(hand, folder, block);
        let mut errors = Errors::default();
        let scanned = self.scope.look_at_each(self.rules, folder, block, &known, &mut errors, |met| {
            self.work.judged(self.rules, hand, folder, block, met, self.scope);
        });
        if let Some(all) = W::errors(hand) {
            all.merge(errors);
        }
        self.scope.progress.add(scanned, 0);
        0
    }

    fn emptied(&self, _: &mut Self::Hand, _: &Folder, _: &CStr) -> bool {
        false
    }

    fn folders_gone(&self, _: &mut Self::Hand, _: &[u8], _: &CStr, _: u64) {}

    fn trouble(&self, hand: &mut Self::Hand, error: FsError) {
        if let Some(errors) = W::errors(&mut hand.work) {
            errors.push(error);
        }
    }

    fn skipped(&self, hand: &mut Self::Hand, _: &[u8], why: Skipped) {
        match why {
            Skipped::OtherMount => W::other_mount(&mut hand.work),
        }
    }

    fn is_sign(&self, name: &[u8]) -> bool {
        self.scope.spare.is_lock_file(name)
    }

    fn private(&self, _: &mut Self::Hand, folder: &Folder) {
        if let Some(ties) = self.ties_beside() {
            ties.private(folder.path());
        }
    }

    fn gathers(&self) -> bool {
        self.ties_beside().is_some()
    }

    fn gathered(&self, hand: &mut Self::Hand, again: bool) -> Vec<u64> {
        if let (Some(ties), false) = (self.ties_beside(), again) {
            ties.gathered(hand.beside.len() as u64);
        }
        std::mem::take(&mut hand.beside)
    }

    fn key<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        self.scope.key(name)
    }
}

struct Counting<'a> {
    in_use: &'a InUse,
    links: Links,
}

impl Work for Counting<'_> {
    type Hand = Looked;

    fn judged(
        &self,
        rules: &Rules,
        hand: &mut Looked,
        folder: &Folder,
        block: Block<'_>,
        met: &Together<'_, '_>,
        scope: &Scope<'_>,
    ) {
        let verdict = match rules.judge(&met.subject) {
            Verdict::Remove(why) => match tied(scope, folder, block, met, why) {
                Ok(why) => {
                    spared(self.in_use, scope, folder, block, met).map_or(Verdict::Remove(why), Verdict::Keep)
                }
                Err(why) => Verdict::Keep(why),
            },
            keep @ Verdict::Keep(_) => keep,
        };
        if let (Verdict::Remove(_), Some(spending)) = (verdict, &mut hand.spending) {
            spending.add(&met.subject, met.files.iter().map(|seen| &seen.look));
        }
        for seen in met.files {
            hand.survey.add(&seen.look, seen.named.heading(), verdict, &self.links);
        }
    }

    fn unseen(
        &self,
        hand: &mut Looked,
        _: &[u8],
        _: &[u8],
        heading: usize,
        why: Kept,
        at: Option<Timestamp>,
    ) {
        hand.survey.add_unseen(heading, why, at);
    }

    fn errors(hand: &mut Looked) -> Option<&mut Errors> {
        Some(&mut hand.errors)
    }

    fn other_mount(hand: &mut Looked) {
        hand.other_mounts += 1;
    }
}

/// What the ties of these say to the rules, which let them go.
fn tied(
    scope: &Scope<'_>,
    folder: &Folder,
    block: Block<'_>,
    met: &Together<'_, '_>,
    why: Condemned,
) -> Result<Condemned, Kept> {
    let Some(ties) = scope.ties else { return Ok(why) };
    met.files
        .iter()
        .try_fold(why, |_, seen| ties.judge(folder, seen.name, &seen.look, block.may_hold_signs()))
}

/// Why all of these are spared although the rules let them go.
pub(super) fn spared(
    in_use: &InUse,
    scope: &Scope<'_>,
    folder: &Folder,
    block: Block<'_>,
    met: &Together<'_, '_>,
) -> Option<Kept> {
    let files = met.files.iter().map(|seen| (seen.name, &seen.look));
    in_use.spares(scope.spare, folder, files, || block.inodes().collect(), block.may_hold_signs())
}

/// Comparing needs no counts; what cannot be read is told by the walk that counts.
struct Comparing<'r>(std::marker::PhantomData<&'r ()>);

impl<'r> Work for Comparing<'r> {
    type Hand = Ranking<'r>;

    fn judged(
        &self,
        _: &Rules,
        hand: &mut Ranking<'r>,
        _: &Folder,
        _: Block<'_>,
        met: &Together<'_, '_>,
        _: &Scope<'_>,
    ) {
        hand.add(&met.subject);
    }

    fn unseen(
        &self,
        hand: &mut Ranking<'r>,
        folder: &[u8],
        name: &[u8],
        _: usize,
        _: Kept,
        at: Option<Timestamp>,
    ) {
        if let Some(at) = at {
            hand.add(&Subject::named(folder, name, at));
        }
    }

    fn errors<'h>(_: &'h mut Ranking<'r>) -> Option<&'h mut Errors> {
        None
    }

    fn other_mount(_: &mut Ranking<'r>) {}
}
