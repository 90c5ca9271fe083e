//! Which entries are a target's business: by name alone, before anything is looked at.

use crate::pattern::Pattern;

/// The names a target speaks of and how deep it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// A file must match one of these; none means every file.
    pub patterns: Vec<Pattern>,
    /// What matches one of these stays, a folder with all it holds.
    pub exclude: Vec<Pattern>,
    /// How many levels of folders are entered; 1 is the root alone, `None` is all.
    pub max_depth: Option<u32>,
}

/// What a name alone decides about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The policy judges it; it matched this pattern first (0 when there is none to match).
    Wanted(u16),
    /// It matches this pattern, but `exclude` protects it.
    Excluded(u16),
    /// It is not this target's business.
    Foreign,
}

impl Select {
    /// What the name says of a file in `folder`.
    pub fn file(&self, folder: &[u8], name: &[u8]) -> Named {
        let first = match self.patterns.as_slice() {
            [] => Some(0),
            patterns => patterns.iter().position(|p| p.matches(folder, name)),
        };
        match first.and_then(|n| u16::try_from(n).ok()) {
            None => Named::Foreign,
            Some(pattern) if self.excludes(folder, name) => Named::Excluded(pattern),
            Some(pattern) => Named::Wanted(pattern),
        }
    }

    /// Whether the walk goes into a folder that lies `depth` levels below the root.
    pub fn enters(&self, folder: &[u8], name: &[u8], depth: u32) -> bool {
        self.max_depth.is_none_or(|max| depth < max) && !self.excludes(folder, name)
    }

    /// The patterns as headings for counts.
    pub fn headings(&self) -> Vec<String> {
        match self.patterns.as_slice() {
            [] => vec!["*".to_owned()],
            patterns => patterns.iter().map(ToString::to_string).collect(),
        }
    }

    fn excludes(&self, folder: &[u8], name: &[u8]) -> bool {
        self.exclude.iter().any(|p| p.matches(folder, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(patterns: &[&str], exclude: &[&str], max_depth: Option<u32>) -> Select {
        let all = |list: &[&str]| list.iter().map(|p| p.parse().unwrap()).collect();
        Select { patterns: all(patterns), exclude: all(exclude), max_depth }
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
    fn depth_counts_as_find_does() {
        let flat = select(&[], &[], Some(1));
        assert!(!flat.enters(b"", b"sub", 1));
        let two = select(&[], &[], Some(2));
        assert!(two.enters(b"", b"sub", 1) && !two.enters(b"sub", b"deeper", 2));
    }
}
