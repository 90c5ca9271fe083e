//! Files that live and die together: an image and the metadata beside it.
//!
//! What belongs together shares a folder and a key, the stem of its leader's name. Everything here is
//! decided by names alone.

use crate::{text::printable, units::deserialize_from_str};
use std::{fmt, str::FromStr};

/// A name that is made of another one: `{stem}.json`, `{name}.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
    part: Part,
}

/// The part of one name that stands in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The name without what follows its last dot.
    Stem,
    /// The whole name.
    Name,
    /// What the star of the pattern stands for that the name matches.
    Star,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Stem => "{stem}",
            Self::Name => "{name}",
            Self::Star => "{star}",
        }
    }
}

/// Why a text is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{written}\" does not name a file beside another: {why}")]
pub struct TemplateError {
    written: String,
    why: &'static str,
}

/// The name without what follows its last dot; a dot that it begins with is part of it.
pub fn stem(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'.') {
        None | Some(0) => name,
        Some(dot) => &name[..dot],
    }
}

impl NameTemplate {
    /// The name it makes of another.
    pub fn beside(&self, name: &[u8]) -> Vec<u8> {
        self.around_part(if self.part == Part::Stem { stem(name) } else { name })
    }

    /// The name it makes of the part that varies.
    pub(crate) fn around_part(&self, part: &[u8]) -> Vec<u8> {
        [self.before.as_slice(), part, &self.after].concat()
    }

    /// Which part varies.
    pub(crate) fn part(&self) -> Part {
        self.part
    }

    /// Whether a name could be of this making.
    pub fn fits(&self, name: &[u8]) -> bool {
        self.inside(name).is_some()
    }

    /// The whole name that one of this making was made of; `None` where it only tells a stem, or is of
    /// another making.
    pub fn named<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        if self.part == Part::Name { self.inside(name) } else { None }
    }

    /// What stands before and after the part that varies.
    pub fn around(&self) -> (&[u8], &[u8]) {
        (&self.before, &self.after)
    }

    /// The part that varies, of a name of this making; whether letters before and after it are upper or
    /// lower case does not matter.
    pub(crate) fn inside_in_any_case<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let ends = name.len().checked_sub(self.after.len())?;
        let inside = name.get(self.before.len()..ends)?;
        let is_around = name[..self.before.len()].eq_ignore_ascii_case(&self.before)
            && name[ends..].eq_ignore_ascii_case(&self.after);
        (is_around && !inside.is_empty()).then_some(inside)
    }

    /// Reads a name of which only these parts may vary.
    pub(crate) fn parse(written: &str, parts: &[Part]) -> Result<Self, TemplateError> {
        let wrong = |why| TemplateError { written: printable(written.as_bytes()), why };
        let mut found = parts.iter().filter_map(|part| Some((*part, written.split_once(part.word())?)));
        let (Some((part, (before, after))), None) = (found.next(), found.next()) else {
            return Err(wrong(if parts.contains(&Part::Star) {
                "write {stem}, {name} or {star} once, such as \"{stem}.jpg\""
            } else {
                "write {stem} or {name} once, such as \"{stem}.json\""
            }));
        };
        if [before, after].iter().any(|text| text.contains(['{', '}'])) {
            return Err(wrong("only one word, once, may stand in braces"));
        }
        if written.contains(['/', '\0']) {
            return Err(wrong("it is a name, not a path: no slash"));
        }
        Ok(Self { before: before.into(), after: after.into(), part })
    }

    fn inside<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let inside = name.strip_prefix(self.before.as_slice())?.strip_suffix(self.after.as_slice())?;
        (!inside.is_empty()).then_some(inside)
    }

    fn fixed(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", printable(&self.before), self.part.word(), printable(&self.after))
    }
}

impl FromStr for NameTemplate {
    type Err = TemplateError;

    fn from_str(written: &str) -> Result<Self, TemplateError> {
        let template = Self::parse(written, &[Part::Stem, Part::Name])?;
        if template.fixed() == 0 {
            let why = "it would be the file itself: add what tells the two apart";
            return Err(TemplateError { written: printable(written.as_bytes()), why });
        }
        Ok(template)
    }
}

deserialize_from_str!(NameTemplate, "a name beside another, such as \"{stem}.json\"");

/// Which names belong to which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundles {
    companions: Vec<NameTemplate>,
}

impl Bundles {
    /// Bundles with these companions; none means every file is alone.
    pub fn new(companions: Vec<NameTemplate>) -> Self {
        Self { companions }
    }

    /// Whether every file is alone.
    pub fn is_empty(&self) -> bool {
        self.companions.is_empty()
    }

    /// The companions as they were written.
    pub fn companions(&self) -> &[NameTemplate] {
        &self.companions
    }

    /// The companion that a name could be: of several the one that says more.
    pub fn companion(&self, name: &[u8]) -> Option<usize> {
        let fitting = self.companions.iter().enumerate().filter(|(_, template)| template.fits(name));
        fitting.max_by_key(|(n, template)| (template.fixed(), usize::MAX - n)).map(|(n, _)| n)
    }

    /// What all members of a bundle have in common.
    pub fn key<'n>(&self, name: &'n [u8]) -> &'n [u8] {
        let template = self.companion(name).and_then(|n| self.companions.get(n));
        match template.and_then(|template| Some((template.part, template.inside(name)?))) {
            Some((Part::Stem, inside)) => inside,
            Some((Part::Name | Part::Star, inside)) => stem(inside),
            None => stem(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundles(companions: &[&str]) -> Bundles {
        Bundles::new(companions.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn members_share_a_key() {
        let bundles = bundles(&["{stem}.json", "{name}.md5", "{stem}.thumb.jpg"]);
        for name in ["a.jpg", "a.json", "a.jpg.md5", "a.thumb.jpg"] {
            assert_eq!(bundles.key(name.as_bytes()), b"a", "{name}");
        }
        assert_eq!(bundles.key(b"a.b.jpg"), b"a.b");
        assert_eq!(bundles.key(b".json"), b".json");
        assert_eq!(bundles.companion(b"a.thumb.jpg"), Some(2));
        assert_eq!(bundles.companion(b"a.jpg"), None);
    }

    #[test]
    fn a_name_beside_another() {
        let lock: NameTemplate = "{name}.lock".parse().unwrap();
        assert_eq!(lock.beside(b"a.jpg"), b"a.jpg.lock");
        let meta: NameTemplate = "meta-{stem}.json".parse().unwrap();
        assert_eq!(meta.beside(b"a.jpg"), b"meta-a.json");
        assert_eq!(meta.to_string(), "meta-{stem}.json");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("*.json", "write {stem} or {name} once"),
            ("{stem}", "the file itself"),
            ("{stem}{name}", "write {stem} or {name} once"),
            ("{stem}.{x}", "braces"),
            ("meta/{stem}.json", "no slash"),
        ] {
            let error = text.parse::<NameTemplate>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
