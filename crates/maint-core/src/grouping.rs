//! What is counted on its own: each folder, or each `{camera}` of a pattern such as `{camera}_*`.

use crate::{
    pattern::{Token, character, tokens},
    text::printable,
};
use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    str::FromStr,
};

/// How the entries of a target fall into groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Per {
    /// All are one group.
    #[default]
    Target,
    /// Each folder is one.
    Folder,
    /// What the words in braces stand for tells the groups apart; names that do not fit are one group.
    Pattern(GroupPattern),
}

/// A pattern for names with words in braces: `{camera}_*`. A word stands for as little as possible, but
/// for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPattern {
    written: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Token(Token),
    Word,
}

/// Why a text says nothing about groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{written}\" makes no groups: {why}")]
pub struct GroupError {
    written: String,
    why: String,
}

impl Per {
    /// The group of a file, as a number.
    pub fn group(&self, folder: &[u8], name: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Target => return 0,
            Self::Folder => folder.hash(&mut hasher),
            Self::Pattern(pattern) => pattern.words(name).hash(&mut hasher),
        }
        hasher.finish()
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("target"),
            Self::Folder => f.write_str("folder"),
            Self::Pattern(pattern) => f.write_str(&printable(pattern.written.as_bytes())),
        }
    }
}

impl FromStr for Per {
    type Err = GroupError;

    fn from_str(written: &str) -> Result<Self, GroupError> {
        match written {
            "target" => return Ok(Self::Target),
            "folder" => return Ok(Self::Folder),
            _ => {}
        }
        let wrong = |why: &str| GroupError { written: printable(written.as_bytes()), why: why.to_owned() };
        let mut pieces = Vec::new();
        let mut rest = written;
        let mut words = 0;
        while let Some((before, after)) = rest.split_once('{') {
            pieces.extend(tokens(before).map_err(wrong)?.into_iter().map(Piece::Token));
            let (word, after) = after.split_once('}').ok_or_else(|| wrong("the brace is not closed"))?;
            if word.is_empty() || !word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                return Err(wrong("a word in braces is letters and digits, such as {camera}"));
            }
            if matches!(pieces.last(), Some(Piece::Word)) {
                return Err(wrong("nothing tells where the first of two words in a row ends"));
            }
            pieces.push(Piece::Word);
            words += 1;
            rest = after;
        }
        pieces.extend(tokens(rest).map_err(wrong)?.into_iter().map(Piece::Token));
        if words == 0 {
            return Err(wrong(
                "write \"target\", \"folder\" or a pattern with a word in braces, such as \"{camera}_*\"",
            ));
        }
        if written.contains('/') || written.contains("**") {
            return Err(wrong("it is about names: no slash and no **"));
        }
        Ok(Self::Pattern(GroupPattern { written: written.to_owned(), pieces }))
    }
}

crate::units::deserialize_from_str!(Per, "\"target\", \"folder\" or a pattern such as \"{camera}_*\"");

impl GroupPattern {
    /// What the words stand for in a name, with a NUL behind each; nothing when the name does not fit.
    fn words(&self, name: &[u8]) -> Vec<u8> {
        let mut search = Search {
            pieces: &self.pieces,
            name,
            dead: vec![false; (self.pieces.len() + 1) * (name.len() + 1)],
            words: Vec::new(),
        };
        if !search.fits(0, 0) {
            return Vec::new();
        }
        let mut text = Vec::with_capacity(name.len() + 2);
        for (from, to) in search.words.iter().rev() {
            text.extend_from_slice(&name[*from..*to]);
            text.push(0);
        }
        text
    }
}

/// A search that never looks twice at what has failed once.
struct Search<'a> {
    pieces: &'a [Piece],
    name: &'a [u8],
    dead: Vec<bool>,
    /// Beginning and end of each word, the last word first.
    words: Vec<(usize, usize)>,
}

impl Search<'_> {
    fn fits(&mut self, piece: usize, at: usize) -> bool {
        let place = piece * (self.name.len() + 1) + at;
        if self.dead[place] {
            return false;
        }
        let found = match self.pieces.get(piece) {
            None => at == self.name.len(),
            Some(Piece::Word) => self.word(piece, at),
            Some(Piece::Token(Token::Star | Token::Rest | Token::Folders)) => {
                (at..=self.name.len()).any(|next| self.fits(piece + 1, next))
            }
            Some(Piece::Token(token)) => {
                token.one(&self.name[at..]).is_some_and(|len| self.fits(piece + 1, at + len))
            }
        };
        self.dead[place] = !found;
        found
    }

    fn word(&mut self, piece: usize, at: usize) -> bool {
        let mut end = at;
        while let Some((_, len)) = character(&self.name[end..]) {
            end += len;
            if self.fits(piece + 1, end) {
                self.words.push((at, end));
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pattern: &str, name: &str) -> String {
        let Per::Pattern(pattern) = pattern.parse().unwrap() else { panic!("{pattern} is no pattern") };
        String::from_utf8(pattern.words(name.as_bytes())).unwrap().replace('\0', "|")
    }

    #[test]
    fn a_word_stands_for_as_little_as_fits() {
        assert_eq!(words("{camera}_*", "cam1_20261121_030000.jpg"), "cam1|");
        assert_eq!(words("{camera}_????????_??????.*", "front_door_20261121_030000.jpg"), "front_door|");
        assert_eq!(words("{a}-{b}.jpg", "x-y-z.jpg"), "x|y-z|");
        assert_eq!(words("live_{camera}[0-9]*", "live_ä7.jpg"), "ä|");
        assert_eq!(words("{camera}_*", "nothing"), "");
        assert_eq!(words("{camera}_*", "_x"), "");
    }

    #[test]
    fn groups_are_told_apart() {
        let per: Per = "{camera}_*".parse().unwrap();
        assert_eq!(per.group(b"", b"cam1_1.jpg"), per.group(b"x", b"cam1_2.jpg"));
        assert_ne!(per.group(b"", b"cam1_1.jpg"), per.group(b"", b"cam2_1.jpg"));
        assert_ne!(Per::Folder.group(b"a", b"x"), Per::Folder.group(b"b", b"x"));
        assert_eq!(Per::Target.group(b"a", b"x"), Per::Target.group(b"b", b"y"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("camera", "write \"target\", \"folder\""),
            ("{camera", "not closed"),
            ("{}_*", "letters and digits"),
            ("{a}{b}*", "two words in a row"),
            ("x/{a}", "no slash"),
        ] {
            let error = text.parse::<Per>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_hostile_name_costs_no_more_than_name_times_pattern() {
        let long = "a".repeat(255);
        assert_eq!(words("{a}*b*c*d*e*f*{g}h", &long), "");
    }
}
