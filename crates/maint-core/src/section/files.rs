//! `[files.NAME]`: a folder and what may leave it.

use super::{
    Fault, Section,
    values::{
        AgeByValue, KeepNewestValue, KeepValue, LimitValue, Patterns, ThenValue, ThinValue,
        at_least_one_pattern,
    },
};
use crate::{
    bundle::{Bundles, NameTemplate},
    pattern::Pattern,
    plan::{Guard, Limits},
    retention::{Policy, SettleBy},
    select::Select,
    spare::Spare,
    text::shown_path,
    units::{ByteSize, Share, Span, one_word_of},
};
use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// The keys of `[files.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FilesSection {
    /// The root: an absolute path.
    pub path: PathBuf,
    /// Names that are the target's business; none means all.
    #[serde(rename = "match", default, deserialize_with = "at_least_one_pattern")]
    pub patterns: Vec<Pattern>,
    /// Names that stay, whatever the policy says.
    #[serde(default)]
    pub exclude: Patterns,
    /// Names that go with a file, and never without it.
    #[serde(default)]
    pub with: Vec<NameTemplate>,
    /// Older files may go.
    pub max_age: Option<Span>,
    /// By which clock they age.
    #[serde(default)]
    pub age_by: AgeByValue,
    /// The oldest may go when there are more.
    pub max_files: Option<u64>,
    /// The oldest may go when they take more.
    pub max_size: Option<ByteSize>,
    /// So many of the newest stay.
    pub keep_newest: Option<KeepNewestValue>,
    /// What the calendar keeps.
    pub keep: Option<KeepValue>,
    /// What the calendar leaves of older ones.
    pub thin: Option<ThinValue>,
    /// Files touched this recently stay.
    #[serde(default = "default_settle")]
    pub settle: Span,
    /// Which touch that is.
    #[serde(default = "default_settle_by")]
    pub settle_by: SettleBy,
    /// What is spared because it is in use.
    #[serde(default)]
    pub spare: Spare,
    /// Where files go.
    #[serde(default)]
    pub then: ThenValue,
    /// Whether folders below the root are entered.
    pub recursive: Option<bool>,
    /// How many levels are entered; 1 is the root alone.
    pub max_depth: Option<u32>,
    /// Whether folders that a run emptied go too.
    #[serde(default)]
    pub empty_folders: EmptyFolders,
    /// Nobody else writes here: no claim is needed before a removal.
    #[serde(default)]
    pub private: bool,
    /// How much one run may do, and how fast.
    #[serde(default)]
    pub limit: LimitValue,
    /// How many threads share the work.
    pub workers: Option<u32>,
    /// Always only show.
    #[serde(default)]
    pub dry_run: bool,
    /// What must hold before anything goes.
    #[serde(default)]
    pub guard: GuardSection,
    /// What may go in an emergency; without it nothing may.
    pub emergency: Option<EmergencyPolicy>,
    /// In an emergency the lower goes first.
    #[serde(default = "default_priority")]
    pub priority: u32,
    /// Everything may go: never a key, only what a command line asked for and confirmed.
    #[serde(skip)]
    pub remove_all: bool,
}

/// The keys of `guard = { … }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuardSection {
    /// The volume that must be mounted and hold the root.
    pub volume: Option<String>,
    /// A file that must lie in the root.
    pub marker: Option<String>,
    /// The largest share of the files that one run may remove.
    pub max_share: Option<Share>,
}

/// The keys of `emergency = { … }`. Where it says nothing of what stays, the section's own word holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EmergencyPolicy {
    /// Everything may go.
    pub remove_all: bool,
    /// Older files may go.
    pub max_age: Option<Span>,
    /// The oldest may go when there are more.
    pub max_files: Option<u64>,
    /// The oldest may go when they take more.
    pub max_size: Option<ByteSize>,
    /// So many of the newest stay.
    pub keep_newest: Option<KeepNewestValue>,
    /// What the calendar keeps.
    pub keep: Option<KeepValue>,
    /// Files touched this recently stay.
    pub settle: Option<Span>,
}

/// What becomes of a folder that a run has emptied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmptyFolders {
    /// It goes with its last file; the root never does.
    #[default]
    Remove,
    /// It stays: a producer expects it.
    Keep,
}

one_word_of!(EmptyFolders, "a fate for empty folders", "remove" => Self::Remove, "keep" => Self::Keep);

fn default_settle() -> Span {
    FilesSection::SETTLE
}

fn default_priority() -> u32 {
    FilesSection::PRIORITY
}

fn default_settle_by() -> SettleBy {
    SettleBy::Mtime
}

impl FilesSection {
    /// How long a file settles where nothing is said.
    pub const SETTLE: Span = Span::from_seconds(60);
    /// The priority where nothing is said.
    pub const PRIORITY: u32 = 50;

    /// A section that says nothing but where.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            patterns: Vec::new(),
            exclude: Patterns::default(),
            with: Vec::new(),
            max_age: None,
            age_by: AgeByValue::default(),
            max_files: None,
            max_size: None,
            keep_newest: None,
            keep: None,
            thin: None,
            settle: Self::SETTLE,
            settle_by: SettleBy::Mtime,
            spare: Spare::default(),
            then: ThenValue::Delete,
            recursive: None,
            max_depth: None,
            empty_folders: EmptyFolders::Remove,
            private: false,
            limit: LimitValue::default(),
            workers: None,
            dry_run: false,
            guard: GuardSection::default(),
            emergency: None,
            priority: Self::PRIORITY,
            remove_all: false,
        }
    }

    /// Its root without slashes at the end or twice: one folder, one name.
    pub fn root(&self) -> PathBuf {
        plain(&self.path)
    }

    /// The names it speaks of.
    pub fn select(&self) -> Select {
        let max_depth = if self.recursive == Some(false) { Some(1) } else { self.max_depth };
        Select {
            patterns: self.patterns.clone(),
            exclude: self.exclude.0.clone(),
            with: Bundles::new(self.with.clone()),
            marker: self.guard.marker.as_ref().map(|name| name.as_bytes().to_vec()),
            max_depth,
        }
    }

    /// What it asks for; [`Section::check`] refuses one that asks for nothing.
    pub fn policy(&self) -> Policy {
        Policy {
            remove_all: self.remove_all,
            max_age: self.max_age,
            age_by: self.age_by.0.clone(),
            max_files: self.max_files,
            max_size: self.max_size,
            keep_newest: self.keep_newest.clone().map(|value| value.0),
            keep: self.keep.clone().map(|value| value.0),
            thin: self.thin.clone().map(|value| value.0),
            settle: self.settle,
            settle_by: self.settle_by,
        }
    }

    /// The names it speaks of, what may go, and where to, in a person's words.
    pub fn describe(&self) -> String {
        let select = self.select();
        let headings = select.headings();
        let (patterns, with) = headings.split_at(self.patterns.len().max(1));
        let list = |word: &str, items: &[String]| {
            if items.is_empty() { String::new() } else { format!(" {word} {}", items.join(", ")) }
        };
        let not: Vec<String> = self.exclude.0.iter().map(ToString::to_string).collect();
        let text = format!(
            "{}{}{}, {}",
            patterns.join(", "),
            list("with", with),
            list("but not", &not),
            self.policy().describe()
        );
        match &self.then {
            ThenValue::Delete => text,
            ThenValue::MoveTo(path) => format!("{text}; moved to {}", shown_path(path)),
            ThenValue::ArchiveTo(path) => format!("{text}; archived to {}", shown_path(path)),
        }
    }

    /// The section as it is in an emergency, if it lets anything go then: nothing is paced or limited, the
    /// floors and the mark are the guard, and files leave for another folder only where that `frees` space.
    pub fn in_emergency(&self, leaving_frees: bool) -> Option<Self> {
        let own = self.clone();
        let EmergencyPolicy { remove_all, max_age, max_files, max_size, keep_newest, keep, settle } =
            self.emergency.clone()?;
        let floors = !remove_all;
        Some(Self {
            remove_all,
            max_age,
            max_files,
            max_size,
            keep_newest: keep_newest.or(own.keep_newest.filter(|_| floors)),
            keep: keep.or(own.keep.filter(|_| floors)),
            thin: None,
            settle: settle.unwrap_or(own.settle),
            then: if leaving_frees { own.then } else { ThenValue::Delete },
            limit: LimitValue::default(),
            guard: GuardSection { max_share: Some(Share::from_percent(100)), ..own.guard },
            ..own
        })
    }

    /// Its share guard, with the default where it says nothing.
    pub fn guard(&self) -> Guard {
        let share = self.guard.max_share.unwrap_or(Guard::DEFAULT_SHARE);
        Guard { max_share: if self.remove_all { None } else { Some(share) } }
    }

    /// How much one run may let go.
    pub fn limits(&self) -> Limits {
        Limits { files: self.limit.files, bytes: self.limit.bytes.map(ByteSize::bytes) }
    }

    /// The folder that its files go to, if they go to one.
    pub fn destination(&self) -> Option<PathBuf> {
        match &self.then {
            ThenValue::Delete => None,
            ThenValue::MoveTo(path) | ThenValue::ArchiveTo(path) => Some(plain(path)),
        }
    }

    /// The order in which targets run: who receives files before who sends them, so that nothing is moved
    /// and removed in one run. The others keep theirs.
    pub fn order(sections: &[&Self]) -> Vec<usize> {
        let mut order = Vec::with_capacity(sections.len());
        let mut seen = vec![false; sections.len()];
        for n in 0..sections.len() {
            Self::receivers_first(sections, n, &mut seen, &mut order);
        }
        order
    }

    fn receivers_first(sections: &[&Self], n: usize, seen: &mut [bool], order: &mut Vec<usize>) {
        if std::mem::replace(&mut seen[n], true) {
            return;
        }
        if let Some(destination) = sections[n].destination() {
            let meets = |other: &Self| other.receives(&destination) || other.root().starts_with(&destination);
            for (m, _) in sections.iter().enumerate().filter(|(m, other)| *m != n && meets(other)) {
                Self::receivers_first(sections, m, seen, order);
            }
        }
        order.push(n);
    }

    /// Whether what is put into a folder comes before this target.
    fn receives(&self, folder: &Path) -> bool {
        let below = folder.strip_prefix(self.root()).ok();
        below.is_some_and(|below| self.select().reaches(below.as_os_str().as_bytes()))
    }

    fn check_emergency(&self) -> Result<(), Fault> {
        let Some(emergency) = &self.emergency else { return Ok(()) };
        let fault = |why: &str| Err(Fault::at("emergency", why));
        let EmergencyPolicy { remove_all, max_age, max_files, max_size, keep_newest, keep, settle: _ } =
            emergency;
        let says = max_age.is_some()
            || max_files.is_some()
            || max_size.is_some()
            || keep_newest.is_some()
            || keep.is_some();
        if *remove_all && says {
            return fault("remove-all leaves nothing for the others to say: leave it out, or them");
        }
        if !says && !remove_all {
            return fault(
                "says nothing about what may go: add keep-newest, such as keep-newest = 25, or max-age, max-files, max-size, keep, or remove-all = true",
            );
        }
        let nothing = [
            keep_newest.as_ref().is_some_and(|value| value.0.count == 0),
            *max_files == Some(0),
            max_size.is_some_and(|size| size.bytes() == 0),
        ];
        if nothing.contains(&true) {
            return fault("0 would keep nothing: that is remove-all = true");
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), Fault> {
        let zero = |key, what: &str| Err(Fault::at(key, format!("0 would keep nothing: {what}")));
        if self.keep_newest.as_ref().is_some_and(|value| value.0.count == 0) {
            return zero("keep-newest", "leave the key out, or name the one time with --remove-all");
        }
        if self.max_files == Some(0) {
            return zero("max-files", "name the one time with --remove-all");
        }
        if self.max_size.is_some_and(|size| size.bytes() == 0) {
            return zero("max-size", "name the one time with --remove-all");
        }
        let nothing = [self.limit.files == Some(0), self.limit.bytes.is_some_and(|size| size.bytes() == 0)];
        if nothing.contains(&true) {
            return Err(Fault::at("limit", "0 would let nothing go, ever: leave it out for no limit"));
        }
        if self.workers == Some(0) {
            return Err(Fault::at("workers", "somebody must do the work: 1 or more"));
        }
        Ok(())
    }

    fn check_depth(&self) -> Result<(), Fault> {
        if self.max_depth == Some(0) {
            return Err(Fault::at(
                "max-depth",
                "0 would enter nothing: 1 is the folder itself, 2 its folders too",
            ));
        }
        if self.recursive == Some(false) && self.max_depth.is_some_and(|depth| depth > 1) {
            return Err(Fault::at("max-depth", "contradicts recursive = false: leave one of the two out"));
        }
        Ok(())
    }

    fn check_thin(&self) -> Result<(), Fault> {
        let Some(ThinValue(thin)) = &self.thin else { return Ok(()) };
        for pair in thin.steps.windows(2) {
            if pair[0].older_than >= pair[1].older_than || pair[0].keep >= pair[1].keep {
                return Err(Fault::at(
                    "thin",
                    "each step is about older files than the one before and keeps fewer: hourly, daily, weekly, monthly, yearly",
                ));
            }
        }
        let last = thin.steps.last().map(|step| step.older_than);
        if let (Some(last), Some(max_age)) = (last, self.max_age)
            && max_age <= last
        {
            return Err(Fault::at(
                "max-age",
                format!(
                    "ends at {max_age} what thin begins at {last}: thin leaves files until max-age removes them, so give it a longer one or leave it out"
                ),
            ));
        }
        Ok(())
    }

    fn check_with(&self) -> Result<(), Fault> {
        if !self.with.is_empty() && self.patterns.is_empty() {
            return Err(Fault::at("with", "needs match, to tell which files the others go with"));
        }
        Ok(())
    }

    fn check_then(&self) -> Result<(), Fault> {
        let Some(to) = self.destination() else { return Ok(()) };
        check_root_path(&to).map_err(|why| Fault::at("then", why))?;
        if self.receives(&to) {
            return Err(Fault::at(
                "then",
                "leads back into path: files would come round again; name a folder outside, or exclude it",
            ));
        }
        Ok(())
    }

    fn check_marker(&self) -> Result<(), Fault> {
        match self.guard.marker.as_deref() {
            Some("" | "." | "..") => Err(Fault::at("guard", "the marker is the name of a file in path")),
            Some(name) if name.contains(['/', '\0']) => Err(Fault::at(
                "guard",
                format!("the marker \"{name}\" is a name, not a path: the file lies in path itself"),
            )),
            _ => Ok(()),
        }
    }

    /// Whether both could judge the same file.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (outer, inner) =
            if other.root().starts_with(self.root()) { (self, other) } else { (other, self) };
        let (root, inner_root) = (outer.root(), inner.root());
        let Ok(below) = inner_root.strip_prefix(&root) else { return false };
        if !outer.select().reaches(below.as_os_str().as_bytes()) {
            return false;
        }
        let all = Pattern::any();
        let of = |section: &Self| {
            let mut patterns =
                if section.patterns.is_empty() { vec![all.clone()] } else { section.patterns.clone() };
            // What goes with a file is judged with it.
            patterns.extend(section.with.iter().map(|template| {
                let (before, after) = template.around();
                Pattern::around(before, after)
            }));
            patterns
        };
        of(outer).iter().any(|a| {
            of(inner).iter().any(|b| {
                let excluded =
                    |by: &Self, what: &Pattern| by.exclude.0.contains(what) || by.exclude.0.contains(&all);
                a.may_meet(b) && !excluded(outer, b) && !excluded(inner, a)
            })
        })
    }
}

impl Section for FilesSection {
    fn check(&self) -> Result<(), Fault> {
        check_root_path(&self.path).map_err(|why| Fault::at("path", why))?;
        if !self.policy().removes() {
            return Err(Fault::whole(
                "says nothing about what may go: add max-age, such as max-age = \"30d\", or max-files, max-size, keep-newest, keep or thin",
            ));
        }
        self.check_numbers()?;
        self.check_depth()?;
        self.check_thin()?;
        self.check_with()?;
        self.check_then()?;
        self.check_emergency()?;
        self.check_marker()
    }

    fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        self.guard.volume.iter().map(|name| ("guard", "volume", name.as_str())).collect()
    }

    fn check_together(sections: &[(&str, &Self)]) -> Result<(), (usize, Fault)> {
        for (n, (name, section)) in sections.iter().enumerate() {
            for (other_name, other) in &sections[..n] {
                if section.meets(other) {
                    let text = format!(
                        "judges the same files as [files.{other_name}] ({}): of {name} and {other_name} each would undo what the other keeps; use other patterns, or exclude",
                        shown_path(&other.root())
                    );
                    return Err((n, Fault::at("path", text)));
                }
            }
        }
        for (n, (name, section)) in sections.iter().enumerate() {
            if let Some(ring) = ring_from(sections, n, section) {
                let text = format!("moves files in a ring: {name} → {ring}");
                return Err((n, Fault::at("then", text)));
            }
        }
        Ok(())
    }
}

/// The names of the targets through which files of one come back to it.
fn ring_from(sections: &[(&str, &FilesSection)], start: usize, first: &FilesSection) -> Option<String> {
    let mut way = Vec::new();
    let mut at = first;
    for _ in 0..sections.len() {
        let to = at.destination()?;
        let (n, (name, next)) = sections.iter().enumerate().find(|(_, (_, next))| next.receives(&to))?;
        way.push(*name);
        if n == start {
            return Some(way.join(" → "));
        }
        at = next;
    }
    None
}

/// A path without slashes at the end or twice.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// What makes a path unfit to be a root, before anything is opened.
pub fn check_root_path(path: &Path) -> Result<(), String> {
    use std::path::Component;
    let shown = shown_path(path);
    if !path.is_absolute() {
        return Err(format!("\"{shown}\" is not absolute: a path begins with a slash"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("\"{shown}\" contains \"..\": write the path out"));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(format!("\"{shown}\" contains a NUL: no path does"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FilesSection, String> {
        let section: FilesSection = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        section.check().map_err(|fault| fault.to_string())?;
        Ok(section)
    }

    fn refuse(text: &str, says: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }

    #[test]
    fn two_keys_are_a_target() {
        let live = parse("path = '/srv/live'\nmax-age = '24h'").unwrap();
        assert_eq!(live.policy().describe(), "older than 24h");
        assert_eq!(live.select().max_depth, None);
        assert_eq!(live.guard().max_share, Some(Share::from_percent(95)));
        assert_eq!((live.empty_folders, live.private), (EmptyFolders::Remove, false));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_right_spelling() {
        refuse("path = '/x'", "max-age = \"30d\"");
        refuse("path = '/x'\nkeep-newest = 0", "would keep nothing");
        refuse("path = '/x'\nkeep-newest = -1", "keep-newest");
        refuse("path = '/x'\nkeep = {}", "names no count");
        refuse("path = '/x'\nkeep = { daily = 0 }", "1 or more");
        refuse("path = '/x'\nthin = []", "at least one step");
        refuse(
            "path = '/x'\nthin = [{ older-than = '1d', keep = 'daily' }, { older-than = '2d', keep = 'hourly' }]",
            "keeps fewer",
        );
        refuse("path = '/x'\nmax-age = '1d'\nthin = [{ older-than = '1d', keep = 'daily' }]", "longer one");
        refuse("path = '/x'\nmax-age = '1d'\nwith = ['{stem}.json']", "needs match");
        refuse("path = '/x'\nmax-age = '1d'\nthen = { move-to = '/x/old' }", "leads back");
        refuse("path = '/x'\nmax-age = '1d'\nthen = { copy-to = '/y' }", "move-to");
        refuse("path = '/x'\nmax-age = '1d'\nthen = 'move'", "delete");
        refuse("path = '/x'\nmax-age = '1d'\nage-by = 'name:%y'", "%y");
        refuse("path = '/x'\nmax-age = '1d'\nage-by = 'size'", "mtime");
        refuse("path = '/x'\nmax-age = '1d'\nlimit = { files = 0 }", "nothing go");
        refuse("path = '/x'\nmax-age = '1d'\nlimit = { rate = '5' }", "/s");
        refuse("path = '/x'\nmax-age = '1d'\nguard = { marker = 'a/b' }", "not a path");
        refuse("max-age = '1d'", "missing field `path`");
        refuse("path = 'x'\nmax-age = '1d'", "not absolute");
        refuse("path = '/x/../etc'\nmax-age = '1d'", "\"..\"");
        refuse("path = '/x'\nmax-age = '1d'\nmax-depth = 0", "would enter nothing");
        refuse("path = '/x'\nmax-age = '1d'\nmax-depth = 2\nrecursive = false", "contradicts");
        refuse("path = '/x'\nmax-age = 30", "such as \"90s\"");
        refuse("path = '/x'\nmax-age = '5m'", "5min");
        refuse("path = '/x'\nmax-age = '1d'\nmatch = '*.jpg'", "expected a list of patterns");
        refuse("path = '/x'\nmax-age = '1d'\nmatch = ['*.{a,b}']", "braces");
        refuse("path = '/x'\nmax-age = '1d'\nmatch = []", "matches nothing");
        refuse("path = '/x'\nmaxage = '1d'", "unknown field `maxage`");
        refuse("path = '/x'\nmax-age = '1d'\nsettle-by = 'atime'", "write one of mtime ctime");
        refuse("path = '/x'\nmax-age = '1d'\nguard = { max-share = 95 }", "such as \"85%\"");
        refuse("path = '/x'\nmax-age = '1d'\nempty-folders = true", "one of the words \"remove\" \"keep\"");
    }
}
