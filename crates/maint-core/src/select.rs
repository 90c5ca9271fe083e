//! Which entries are a target's business: by name alone, before anything is looked at.

use crate::{bundle::Bundles, pattern::Pattern};

/// The names a target speaks of and how deep it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// A file must match one of these; none means every file.
    pub patterns: Vec<Pattern>,
    /// What matches one of these stays, a folder with all it holds.
    pub exclude: Vec<Pattern>,
    /// Names that go with a file that matches.
    pub with: Bundles,
    /// A name in the root itself that is nobody's business: the target's marker.
    pub marker: Option<Vec<u8>>,
    /// How many levels of folders are entered; 1 is the root alone, `None` is all.
    pub max_depth: Option<u32>,
}

/// What a name alone decides about a file. The number is that of a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The policy judges it; it matched this pattern first (0 when there is none to match).
    Wanted(u16),
    /// It goes with a file that the policy judges, if there is one.
    Companion(u16),
    /// It is judged if it goes with no other file.
    Either(u16),
    /// It matches this pattern, but `exclude` protects it.
    Excluded(u16),
    /// It is not this target's business.
    Foreign,
}

impl Select {
    /// What the name says of a file in `folder`.
    pub fn file(&self, folder: &[u8], name: &[u8]) -> Named {
        if folder.is_empty() && self.marker.as_deref() == Some(name) {
            return Named::Foreign;
        }
        let first = match self.patterns.as_slice() {
            [] => Some(0),
            patterns => patterns.iter().position(|p| p.matches(folder, name)),
        };
        let companion = if self.with.is_empty() { None } else { self.with.companion(name) };
        let heading = |n: usize| u16::try_from(n).unwrap_or(Named::MOST);
        let before = self.patterns.len().max(1);
        match (first, companion) {
            (None, None) => Named::Foreign,
            (Some(n), _) if self.excludes(folder, name) => Named::Excluded(heading(n)),
            (None, Some(n)) if self.excludes(folder, name) => Named::Excluded(heading(before + n)),
            (Some(n), None) => Named::Wanted(heading(n)),
            (None, Some(n)) => Named::Companion(heading(before + n)),
            (Some(n), Some(_)) => Named::Either(heading(n)),
        }
    }

    /// Whether the walk goes into a folder that lies `depth` levels below the root.
    pub fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.max_depth.is_none_or(|max| depth < max) && !self.excludes(folder, name)
    }

    /// Whether the walk gets to a folder at a path below the root.
    pub fn reaches(&self, path: &[u8]) -> bool {
        let mut folder: Vec<u8> = Vec::new();
        let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
        (1..).zip(parts).all(|(depth, part)| {
            let enters = self.enters(&folder, part, depth);
            folder = crate::text::joined(&[&folder, part]);
            enters
        })
    }

    /// The patterns, and what goes with them, as headings for counts.
    pub fn headings(&self) -> Vec<String> {
        let mut headings: Vec<String> = match self.patterns.as_slice() {
            [] => vec!["*".to_owned()],
            patterns => patterns.iter().map(ToString::to_string).collect(),
        };
        headings.extend(self.with.companions().iter().map(ToString::to_string));
        headings
    }

    fn excludes(&self, folder: &[u8], name: &[u8]) -> bool {
        self.exclude.iter().any(|p| p.matches(folder, name))
    }
}

impl Named {
    const KIND: u16 = 0b11 << 14;
    const MOST: u16 = !Self::KIND;

    /// As a number for the walk to carry; nothing for what is nobody's business.
    pub fn code(self) -> Option<u16> {
        match self {
            Self::Wanted(n) => Some(n & Self::MOST),
            Self::Companion(n) => Some(n & Self::MOST | 1 << 14),
            Self::Either(n) => Some(n & Self::MOST | 2 << 14),
            Self::Excluded(n) => Some(n & Self::MOST | 3 << 14),
            Self::Foreign => None,
        }
    }

    /// What a number meant.
    pub fn of_code(code: u16) -> Self {
        let n = code & Self::MOST;
        match code >> 14 {
            0 => Self::Wanted(n),
            1 => Self::Companion(n),
            2 => Self::Either(n),
            _ => Self::Excluded(n),
        }
    }

    /// Its heading.
    pub fn heading(self) -> usize {
        match self {
            Self::Wanted(n) | Self::Companion(n) | Self::Either(n) | Self::Excluded(n) => n.into(),
            Self::Foreign => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(patterns: &[&str], exclude: &[&str], max_depth: Option<u32>) -> Select {
        let all = |list: &[&str]| list.iter().map(|p| p.parse().unwrap()).collect();
        Select { patterns: all(patterns), exclude: all(exclude), max_depth, ..Select::default() }
    }

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let videos = select(&["*.mp4", "*.json", "a*"], &[], None);
        assert_eq!(videos.file(b"", b"a.json"), Named::Wanted(1));
        assert_eq!(videos.file(b"", b"a.txt"), Named::Wanted(2));
        assert_eq!(videos.file(b"", b"b.txt"), Named::Foreign);
    }

    #[test]
    fn exclude_protects_files_and_folders() {
        let select = select(&["*.jpg"], &["best", "2026/**"], None);
        assert!(!select.enters(b"", b"best", 1) && !select.enters(b"x", b"best", 2));
        assert!(select.enters(b"", b"2026", 1), "only what lies below it is named");
        assert_eq!(select.file(b"2026", b"a.jpg"), Named::Excluded(0));
        assert_eq!(select.file(b"", b"a.jpg"), Named::Wanted(0));
    }

    #[test]
    fn companions_have_headings_of_their_own() {
        let with = Bundles::new(vec!["{stem}.json".parse().unwrap()]);
        let select = Select { with, ..select(&["*.jpg", "*.json"], &["x*"], None) };
        assert_eq!(select.headings(), ["*.jpg", "*.json", "{stem}.json"]);
        assert_eq!(select.file(b"", b"a.json"), Named::Either(1));
        assert_eq!(select.file(b"", b"x.json"), Named::Excluded(1));
        let images = Select { patterns: vec!["*.jpg".parse().unwrap()], ..select };
        assert_eq!(images.file(b"", b"a.json"), Named::Companion(1));
        for named in [Named::Wanted(3), Named::Companion(1), Named::Either(0), Named::Excluded(Named::MOST)] {
            assert_eq!(named.code().map(Named::of_code), Some(named));
        }
    }

    #[test]
    fn a_folder_below_is_reached_or_not() {
        let select = select(&[], &["best", "a/b"], Some(3));
        assert!(select.reaches(b"") && select.reaches(b"x/y") && select.reaches(b"a/c"));
        assert!(!select.reaches(b"best/x") && !select.reaches(b"a/b") && !select.reaches(b"x/y/z"));
    }

    #[test]
    fn depth_counts_as_find_does() {
        let flat = select(&[], &[], Some(1));
        assert!(!flat.enters(b"", b"sub", 1));
        let two = select(&[], &[], Some(2));
        assert!(two.enters(b"", b"sub", 1) && !two.enters(b"sub", b"deeper", 2));
    }
}
