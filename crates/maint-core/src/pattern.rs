//! Globs over names as bytes: `*.jpg`, `cam_??.png`, `day-[0-9]*`, `archive/**`.
//!
//! A pattern without a slash is held against the file's name, in whatever folder it lies; one with a
//! slash against the path below the root. `*`, `?` and sets stay within one name; `**` spans folders.
//! Names need not be UTF-8: a byte that is no text counts as one character.

use crate::text::printable;
use std::{fmt, str::FromStr};

/// One compiled glob.
///
/// ```
/// # use maint_core::pattern::Pattern;
/// let images: Pattern = "*.jpg".parse().unwrap();
/// assert!(images.matches(b"2026/11", b"cam1.jpg"));
/// let day: Pattern = "2026/*/*.jpg".parse().unwrap();
/// assert!(day.matches(b"2026/11", b"cam1.jpg") && !day.matches(b"2026", b"cam1.jpg"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    scope: Scope,
    shape: Shape,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{written}\" is not a pattern: {why}")]
pub struct PatternError {
    written: String,
    why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Name,
    Path,
}

/// Most patterns are a fixed beginning and a fixed end: two comparisons, no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Ends { prefix: Vec<u8>, suffix: Vec<u8> },
    Tokens(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Byte(u8),
    One,
    Set {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
    Star,
    /// `**` with the slash that follows it: no folder, or any number of them.
    Folders,
    /// `**` at the end: everything below.
    Rest,
}

impl Pattern {
    /// The pattern that every name matches.
    pub fn any() -> Self {
        Self {
            written: "*".to_owned(),
            scope: Scope::Name,
            shape: Shape::Ends { prefix: Vec::new(), suffix: Vec::new() },
        }
    }

    /// The pattern of names that begin and end so.
    pub fn around(prefix: &[u8], suffix: &[u8]) -> Self {
        let written = format!("{}*{}", printable(prefix), printable(suffix));
        Self {
            written,
            scope: Scope::Name,
            shape: Shape::Ends { prefix: prefix.to_vec(), suffix: suffix.to_vec() },
        }
    }

    /// Whether a name matches if upper and lower case are the same, of letters from A to Z.
    pub fn matches_in_any_case(&self, folder: &[u8], name: &[u8]) -> bool {
        if self.matches(folder, name) {
            return true;
        }
        if let Shape::Ends { prefix, suffix } = &self.shape {
            return name.len() >= prefix.len() + suffix.len()
                && name[..prefix.len()].eq_ignore_ascii_case(prefix)
                && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix);
        }
        let lower: Result<Self, _> = self.written.to_ascii_lowercase().parse();
        lower.is_ok_and(|lower| lower.matches(&folder.to_ascii_lowercase(), &name.to_ascii_lowercase()))
    }

    /// The last dot of a name that matches and what follows it, where the pattern writes that out.
    pub fn extension(&self) -> Option<Vec<u8>> {
        let part = self.shape.last_part();
        let written =
            part.iter().rev().map_while(|token| if let Token::Byte(b) = token { Some(*b) } else { None });
        let mut end: Vec<u8> = written.collect();
        end.reverse();
        let dot = end.iter().rposition(|b| *b == b'.')?;
        Some(end.split_off(dot))
    }

    /// What the one star of the pattern stands for in a name that matches; `None` where it has not exactly
    /// one, or more than that.
    pub fn star<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let Shape::Ends { prefix, suffix } = &self.shape else { return None };
        let inside = name.get(prefix.len()..name.len().checked_sub(suffix.len())?)?;
        self.matches_in_any_case(b"", name).then_some(inside)
    }

    /// What stands before and after its star, where that is all it is made of.
    pub fn ends(&self) -> Option<(&[u8], &[u8])> {
        match &self.shape {
            Shape::Ends { prefix, suffix } => Some((prefix, suffix)),
            Shape::Tokens(_) => None,
        }
    }

    /// Whether some file could match both. It may say yes too often, and never no when one could: of a
    /// path only the last part is compared.
    pub fn may_meet(&self, other: &Self) -> bool {
        let (left, right) = (&self.shape.last_part(), &other.shape.last_part());
        let known = vec![None; (left.len() + 1) * (right.len() + 1)];
        Meeting { left, right, known }.at(0, 0)
    }

    /// Whether a file called `name` in `folder` (its path below the root, empty for the root) matches.
    pub fn matches(&self, folder: &[u8], name: &[u8]) -> bool {
        match self.scope {
            Scope::Name => self.shape.matches(name),
            Scope::Path if folder.is_empty() => self.shape.matches(name),
            Scope::Path => self.shape.matches(&[folder, b"/", name].concat()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.written.as_bytes()))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(written: &str) -> Result<Self, PatternError> {
        let wrong = |why| PatternError { written: printable(written.as_bytes()), why };
        let body = written.strip_prefix('/').unwrap_or(written);
        if body.is_empty() {
            return Err(wrong("it is empty and matches nothing"));
        }
        if body.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(wrong(
                "a path below the root has no empty part, no . and no .. (to exclude a folder write its name)",
            ));
        }
        let scope = if written.contains('/') || body == "**" { Scope::Path } else { Scope::Name };
        let tokens = tokens(body).map_err(wrong)?;
        Ok(Self { written: written.to_owned(), scope, shape: Shape::of(tokens, scope) })
    }
}

impl<'de> serde::Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl serde::de::Visitor<'_> for Words {
            type Value = Pattern;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern such as \"*.jpg\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pattern, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Words)
    }
}

pub(crate) fn tokens(body: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let starts_part = matches!(tokens.last(), None | Some(Token::Byte(b'/') | Token::Folders));
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                let token = match rest.strip_prefix('/') {
                    Some(after) => {
                        rest = after;
                        Token::Folders
                    }
                    None if rest.is_empty() => Token::Rest,
                    None => return Err("** stands alone between slashes"),
                };
                if !starts_part {
                    return Err("** stands alone between slashes");
                }
                tokens.push(token);
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::One),
            '[' => {
                let (set, after) = set(rest)?;
                tokens.push(set);
                rest = after;
            }
            '{' | '}' => {
                return Err("braces are not expanded: write one pattern for each, or [{] for the character");
            }
            '\\' => {
                let escaped = rest.chars().next().ok_or("it ends in a backslash")?;
                rest = &rest[escaped.len_utf8()..];
                tokens.extend(escaped.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte));
            }
            '\0' => return Err("no file name holds a NUL"),
            c => tokens.extend(c.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte)),
        }
    }
    Ok(tokens)
}

/// The inside of `[…]`: what follows the opening bracket, and what is left behind the closing one.
fn set(inside: &str) -> Result<(Token, &str), &'static str> {
    const UNCLOSED: &str = "[ is not closed; write [[] for the character";
    let negated = inside.starts_with(['!', '^']);
    let body = if negated { &inside[1..] } else { inside };
    // A bracket that comes first is a member, as in every shell.
    let first = body.chars().next().ok_or(UNCLOSED)?.len_utf8();
    let end = first + body[first..].find(']').ok_or(UNCLOSED)?;
    let members: Vec<char> = body[..end].chars().collect();
    if members.contains(&'/') {
        return Err("a set does not match a slash");
    }
    if members.contains(&'\\') {
        return Err("a set has no escapes: write ] first, - last, and \\\\ outside of it");
    }
    if members.windows(2).any(|pair| matches!(pair, ['[', ':' | '.' | '='])) {
        return Err("classes such as [:upper:] are not known: write the range, such as [A-Z]");
    }
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    while let Some((&low, after)) = rest.split_first() {
        let (high, after) = match after {
            ['-', high, after @ ..] => (*high, after),
            after => (low, after),
        };
        if high < low {
            return Err("a range in a set runs from low to high");
        }
        ranges.push((u32::from(low), u32::from(high)));
        rest = after;
    }
    Ok((Token::Set { negated, ranges }, &body[end + 1..]))
}

impl Token {
    /// How long the one character is that a text begins with, if this token stands for it.
    pub(crate) fn one(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Byte(b) => (text.first() == Some(b)).then_some(1),
            Self::One => character(text).filter(|(c, _)| *c != SLASH).map(|(_, len)| len),
            Self::Set { negated, ranges } => character(text)
                .filter(|(c, _)| {
                    *c != SLASH && *negated != ranges.iter().any(|(low, high)| (low..=high).contains(&c))
                })
                .map(|(_, len)| len),
            Self::Star | Self::Folders | Self::Rest => None,
        }
    }
}

impl Shape {
    fn of(tokens: Vec<Token>, scope: Scope) -> Self {
        let mut parts = tokens.split(|token| *token == Token::Star);
        let literal = |part: &[Token]| {
            part.iter()
                .map(|t| if let Token::Byte(b) = t { Some(*b) } else { None })
                .collect::<Option<Vec<u8>>>()
        };
        // In a path the star must not cross a slash, which two comparisons cannot see.
        if scope == Scope::Name
            && let (Some(prefix), Some(suffix), None) = (parts.next(), parts.next(), parts.next())
            && let (Some(prefix), Some(suffix)) = (literal(prefix), literal(suffix))
        {
            return Self::Ends { prefix, suffix };
        }
        Self::Tokens(tokens)
    }

    /// The tokens behind the last slash.
    fn last_part(&self) -> Vec<Token> {
        match self {
            Self::Ends { prefix, suffix } => {
                let bytes = |text: &[u8]| text.iter().map(|b| Token::Byte(*b)).collect::<Vec<_>>();
                [bytes(prefix), vec![Token::Star], bytes(suffix)].concat()
            }
            Self::Tokens(tokens) => {
                let starts =
                    tokens.iter().rposition(|token| matches!(token, Token::Byte(b'/') | Token::Folders));
                tokens[starts.map_or(0, |slash| slash + 1)..].to_vec()
            }
        }
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            // Most names differ in their last byte already, and most prefixes are empty: a million names feel it.
            Self::Ends { prefix, suffix } => {
                text.len() >= prefix.len() + suffix.len()
                    && (suffix.is_empty() || text.last() == suffix.last() && text.ends_with(suffix))
                    && (prefix.is_empty() || text.starts_with(prefix))
            }
            Self::Tokens(tokens) => tokens_match(tokens, text),
        }
    }
}

/// Two token lists, and what is known of the places in both.
struct Meeting<'p> {
    left: &'p [Token],
    right: &'p [Token],
    known: Vec<Option<bool>>,
}

impl Meeting<'_> {
    /// Whether some text fits both from these places on.
    fn at(&mut self, l: usize, r: usize) -> bool {
        let place = l * (self.right.len() + 1) + r;
        if let Some(answer) = self.known[place] {
            return answer;
        }
        // A way that comes back to where it is adds nothing.
        self.known[place] = Some(false);
        let is_star =
            |token: Option<&Token>| matches!(token, Some(Token::Star | Token::Rest | Token::Folders));
        let (x, y) = (self.left.get(l), self.right.get(r));
        let answer = match (is_star(x), is_star(y)) {
            (true, true) => self.at(l + 1, r) || self.at(l, r + 1),
            (true, false) => self.at(l + 1, r) || (y.is_some() && self.at(l, r + 1)),
            (false, true) => self.at(l, r + 1) || (x.is_some() && self.at(l + 1, r)),
            (false, false) => match (x, y) {
                (None, None) => true,
                (Some(Token::Byte(x)), Some(Token::Byte(y))) => x == y && self.at(l + 1, r + 1),
                // Of characters of several bytes one side may have eaten only a part.
                (Some(_), Some(_)) => self.at(l + 1, r + 1) || self.at(l, r + 1) || self.at(l + 1, r),
                _ => false,
            },
        };
        self.known[place] = Some(answer);
        answer
    }
}

/// Backtracks to the last `*` and, when that may not grow over a slash, to the last `**`: never deeper,
/// so a hostile pattern costs no more than text times pattern squared.
fn tokens_match(tokens: &[Token], text: &[u8]) -> bool {
    let (mut t, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut folders: Option<(usize, usize)> = None;
    loop {
        let step = match tokens.get(t) {
            None if at == text.len() => return true,
            None => None,
            Some(Token::Rest) => return true,
            Some(Token::Star) => {
                star = Some((t + 1, at));
                t += 1;
                continue;
            }
            Some(Token::Folders) => {
                folders = Some((t + 1, at));
                star = None;
                t += 1;
                continue;
            }
            Some(token) => token.one(&text[at..]),
        };
        if let Some(len) = step {
            (t, at) = (t + 1, at + len);
            continue;
        }
        if let Some((after, from)) = star.filter(|(_, from)| !matches!(text.get(*from), None | Some(b'/'))) {
            // By whole characters: half of one would match a set that excludes it.
            let next = from + character(&text[from..]).map_or(1, |(_, len)| len);
            star = Some((after, next));
            (t, at) = (after, next);
            continue;
        }
        // The next folder begins behind the next slash.
        let Some((after, from)) = folders else { return false };
        let Some(slash) = text[from..].iter().position(|b| *b == b'/') else { return false };
        (folders, star) = (Some((after, from + slash + 1)), None);
        (t, at) = (after, from + slash + 1);
    }
}

const SLASH: u32 = b'/' as u32;

/// The character a text begins with and its length; a byte that is no UTF-8 is one of its own, outside
/// the range of characters.
pub(crate) fn character(text: &[u8]) -> Option<(u32, usize)> {
    let first = *text.first()?;
    let len = match first {
        0x00..0x80 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    let decoded = text.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Some(match decoded.and_then(|s| s.chars().next()) {
        Some(c) => (u32::from(c), len),
        None => (0x0011_0000 + u32::from(first), 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let compiled: Pattern = pattern.parse().unwrap();
        let matches = |path: &&str| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            compiled.matches(folder.as_bytes(), name.as_bytes())
        };
        for path in yes {
            assert!(matches(path), "{pattern} should match {path}");
        }
        for path in no {
            assert!(!matches(path), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn a_name_matches_in_every_folder() {
        check("*.jpg", &["a.jpg", "x/y/a.jpg", ".jpg", ".hidden.jpg"], &["a.JPG", "a.jpg.tmp", "jpg"]);
        check(
            "offline_incident_*.txt",
            &["offline_incident_1.txt", "offline_incident_.txt"],
            &["offline_incident_.tx"],
        );
        check("ab*ba", &["abba", "abxba"], &["aba"]);
        check("core", &["core", "a/core"], &["core.1"]);
    }

    #[test]
    fn one_character_may_have_many_bytes() {
        check("?.txt", &["a.txt", "é.txt", "猫.txt"], &["ab.txt", ".txt"]);
        let one: Pattern = "?".parse().unwrap();
        assert!(one.matches(b"", b"\xff") && !one.matches(b"", b"\xff\xfe"));
    }

    #[test]
    fn sets_are_those_of_the_shell() {
        check("[0-9]?[!x].log", &["1ab.log", "9--.log"], &["a1b.log", "11x.log"]);
        check("[]a]b", &["]b", "ab"], &["b", "[b"]);
        check("[[]x", &["[x"], &["x"]);
        check("[ä-ü]", &["ö"], &["a", "z"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("*[!ä].jpg", &["foo.jpg", "äo.jpg"], &["fooä.jpg"]);
        check("*??.jpg", &["猫x.jpg"], &["猫.jpg"]);
    }

    #[test]
    fn a_slash_binds_the_pattern_to_the_path() {
        check("live/*.jpg", &["live/a.jpg"], &["a.jpg", "x/live/a.jpg", "live/x/a.jpg"]);
        check("/*.jpg", &["a.jpg"], &["x/a.jpg"]);
        check("**/tmp/*", &["tmp/a", "x/y/tmp/a"], &["tmp/a/b", "xtmp/a"]);
        check("keep/**", &["keep/a", "keep/x/y"], &["keeper/a", "x/keep/a"]);
        check("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a/xb", "ab"]);
        check("**/a*b/**/c", &["ab/c", "x/aXb/y/z/c"], &["a/b/c"]);
        check("**", &["a", "x/y"], &[]);
    }

    #[test]
    fn a_backslash_takes_the_next_character_as_it_is() {
        check(r"\*.txt", &["*.txt"], &["a.txt"]);
        check(r"a\[1\]", &["a[1]"], &["a1"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (pattern, says) in [
            ("", "empty"),
            ("/", "empty"),
            ("a//b", "empty part"),
            ("../x", ".."),
            ("tmp/", "empty part"),
            ("*.{jpg,png}", "braces"),
            ("[abc", "not closed"),
            ("[]", "not closed"),
            ("[z-a]", "low to high"),
            ("a**", "stands alone"),
            ("**a", "stands alone"),
            ("a\\", "backslash"),
            ("a\0b", "NUL"),
            ("[[:upper:]]*", "classes such as [:upper:] are not known"),
            (r"[\]]", "a set has no escapes"),
        ] {
            let error = pattern.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(says), "{pattern}: {error}");
        }
    }

    #[test]
    fn patterns_meet_or_lie_apart() {
        let meet = |a: &str, b: &str| a.parse::<Pattern>().unwrap().may_meet(&b.parse().unwrap());
        for (a, b) in [
            ("*.jpg", "cam*"),
            ("*", "x"),
            ("cam1_*", "*_2.jpg"),
            ("a/*.jpg", "*.jpg"),
            ("[ab]x", "ax"),
            ("**", "b*"),
        ] {
            assert!(meet(a, b) && meet(b, a), "{a} {b}");
        }
        for (a, b) in [("*.jpg", "*.png"), ("cam1_*", "cam2_*"), ("a", "b"), ("live/*.jpg", "*.json")] {
            assert!(!meet(a, b) && !meet(b, a), "{a} {b}");
        }
        assert!("x".parse::<Pattern>().unwrap().may_meet(&Pattern::any()));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern: Pattern = format!("{}b", "*a".repeat(40)).parse().unwrap();
        assert!(!pattern.matches(b"", &[b'a'; 255]));
    }

    /// The definition, with every choice tried.
    fn slow(tokens: &[Token], text: &[u8]) -> bool {
        let Some((token, after)) = tokens.split_first() else { return text.is_empty() };
        match token {
            Token::Rest => true,
            Token::Byte(b) => text.first() == Some(b) && slow(after, &text[1..]),
            Token::One => character(text).is_some_and(|(c, len)| c != SLASH && slow(after, &text[len..])),
            Token::Set { .. } => character(text).is_some_and(|(_, len)| {
                tokens_match(&tokens[..1], &text[..len]) && slow(after, &text[len..])
            }),
            Token::Star => {
                let mut starts = vec![0];
                while let Some((c, len)) = character(&text[starts[starts.len() - 1]..]) {
                    if c == SLASH {
                        break;
                    }
                    starts.push(starts[starts.len() - 1] + len);
                }
                starts.into_iter().any(|n| slow(after, &text[n..]))
            }
            Token::Folders => {
                slow(after, text) || (1..=text.len()).any(|n| text[n - 1] == b'/' && slow(after, &text[n..]))
            }
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_is_the_slow_way(pattern in "([aä?*/]|\\*\\*/|\\[aä\\]|\\[!ä\\]){1,10}", text in "[aäb/]{0,10}") {
            if let Ok(tokens) = tokens(&pattern) {
                prop_assert_eq!(tokens_match(&tokens, text.as_bytes()), slow(&tokens, text.as_bytes()));
            }
        }
    }
}
