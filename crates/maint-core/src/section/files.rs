//! `[files.NAME]`: a folder and what may leave it.

use super::{Fault, Section};
use crate::text::shown_path;
use crate::{
    pattern::Pattern,
    plan::Guard,
    retention::{Policy, SettleBy},
    select::Select,
    units::{Share, Span, one_word_of},
};
use serde::de::{self, Deserializer};
use std::{
    fmt,
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
    #[serde(default, deserialize_with = "pattern_list")]
    pub exclude: Vec<Pattern>,
    /// Older files may go.
    pub max_age: Option<Span>,
    /// Files touched this recently stay.
    #[serde(default = "default_settle")]
    pub settle: Span,
    /// Which touch that is.
    #[serde(default = "default_settle_by")]
    pub settle_by: SettleBy,
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
    /// Always only show.
    #[serde(default)]
    pub dry_run: bool,
    /// What must hold before anything goes.
    #[serde(default)]
    pub guard: GuardSection,
}

/// The keys of `guard = { … }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuardSection {
    /// The largest share of the files that one run may remove.
    pub max_share: Option<Share>,
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

fn default_settle_by() -> SettleBy {
    SettleBy::Mtime
}

fn at_least_one_pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let patterns = pattern_list(deserializer)?;
    if patterns.is_empty() {
        return Err(de::Error::custom("an empty list matches nothing: leave the key out to mean every file"));
    }
    Ok(patterns)
}

fn pattern_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    struct List;
    impl<'de> de::Visitor<'de> for List {
        type Value = Vec<Pattern>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of patterns, such as [\"*.jpg\", \"*.png\"]")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Pattern>, A::Error> {
            let mut patterns = Vec::new();
            while let Some(pattern) = items.next_element()? {
                patterns.push(pattern);
            }
            Ok(patterns)
        }
    }
    deserializer.deserialize_any(List)
}

impl FilesSection {
    /// How long a file settles where nothing is said.
    pub const SETTLE: Span = Span::from_seconds(60);

    /// Its root without slashes at the end or twice: one folder, one name.
    pub fn root(&self) -> PathBuf {
        self.path.components().collect()
    }

    /// The names it speaks of.
    pub fn select(&self) -> Select {
        let max_depth = if self.recursive == Some(false) { Some(1) } else { self.max_depth };
        Select { patterns: self.patterns.clone(), exclude: self.exclude.clone(), max_depth }
    }

    /// What it asks for; `None` when it asks for nothing, which [`Section::check`] refuses.
    pub fn policy(&self) -> Option<Policy> {
        self.max_age.map(|max_age| Policy { max_age, settle: self.settle, settle_by: self.settle_by })
    }

    /// Its guard, with the default where it says nothing.
    pub fn guard(&self) -> Guard {
        Guard { max_share: Some(self.guard.max_share.unwrap_or(Guard::DEFAULT_SHARE)) }
    }
}

impl Section for FilesSection {
    fn check(&self) -> Result<(), Fault> {
        check_root_path(&self.path).map_err(|why| Fault::at("path", why))?;
        if self.max_age.is_none() {
            return Err(Fault::whole(
                "says nothing about what may go: add max-age, such as max-age = \"30d\"",
            ));
        }
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
        assert_eq!(live.policy().unwrap().describe(), "older than 24h");
        assert_eq!(live.select().max_depth, None);
        assert_eq!(live.guard().max_share, Some(Share::from_percent(95)));
        assert_eq!((live.empty_folders, live.private), (EmptyFolders::Remove, false));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_right_spelling() {
        refuse("path = '/x'", "max-age = \"30d\"");
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
