//! The field of a JSON document that names what it belongs to.
//!
//! The document is read as a stream: of all that is not on the way to the field nothing is kept, so that
//! neither a long nor a deep document takes memory.

use crate::{text::printable, units::deserialize_from_str};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{fmt, io::Read, str::FromStr};

/// The way to a field: `image.path`. Where a list lies on the way, all of its elements are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(Vec<String>);

/// Why a text is no way to a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{written}\" is not the way to a field: write its keys with a dot between two, such as \"image.path\"; lists need no number"
)]
pub struct FieldError {
    written: String,
}

/// Why a document does not say what it belongs to.
#[derive(Debug)]
pub enum NoName {
    /// It could not be read.
    Unread(std::io::Error),
    /// It is no JSON.
    NoJson,
    /// The field is not there, or no text, or empty.
    NotNamed,
}

impl Field {
    /// The texts of the field, at least one.
    pub fn read(&self, document: impl Read) -> Result<Vec<String>, NoName> {
        let mut found = Vec::new();
        let mut reader = serde_json::Deserializer::from_reader(std::io::BufReader::new(document));
        let read =
            Seek { way: &self.0, found: &mut found }.deserialize(&mut reader).and_then(|()| reader.end());
        match read {
            _ if found.len() > MOST_NAMES => Err(NoName::NotNamed),
            Err(error) if error.is_io() => Err(NoName::Unread(error.into())),
            Err(_) => Err(NoName::NoJson),
            // Of several that are there each counts, but one that is none makes the whole doubtful.
            Ok(()) if found.is_empty() || found.iter().any(String::is_empty) => Err(NoName::NotNamed),
            Ok(()) => Ok(found),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.0.join(".").as_bytes()))
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(written: &str) -> Result<Self, FieldError> {
        let keys: Vec<String> = written.split('.').map(str::to_owned).collect();
        if keys.iter().any(|key| key.is_empty() || key.contains(['[', ']'])) {
            return Err(FieldError { written: printable(written.as_bytes()) });
        }
        Ok(Self(keys))
    }
}

deserialize_from_str!(Field, "the way to a field, such as \"image.path\"");

/// A document that names more partners than this is no description of any.
const MOST_NAMES: usize = 10_000;

/// Goes one step of the way, in whatever is met.
struct Seek<'s> {
    way: &'s [String],
    found: &'s mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((key, rest)) = self.way.split_first() else {
            self.found.push(String::new());
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        let mut is_met = false;
        while let Some(met) = map.next_key::<String>()? {
            if met != *key {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if std::mem::replace(&mut is_met, true) {
                return Err(A::Error::custom("a key stands there twice"));
            }
            map.next_value_seed(Seek { way: rest, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Seek { way: self.way, found: &mut *self.found })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.way.is_empty() {
            self.found.push(text.to_owned());
        }
        if self.found.len() > MOST_NAMES { Err(E::custom("too many names")) } else { Ok(()) }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.no_text();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.no_text();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.no_text();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.no_text();
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.no_text();
        Ok(())
    }
}

impl Seek<'_> {
    /// A number where a name should stand is none.
    fn no_text(self) {
        if self.way.is_empty() {
            self.found.push(String::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(way: &str, document: &str) -> Result<Vec<String>, String> {
        let field: Field = way.parse().unwrap();
        field.read(document.as_bytes()).map_err(|why| format!("{why:?}"))
    }

    #[test]
    fn the_field_is_found_wherever_it_stands() {
        let document =
            r#"{"a": {"path": "no"}, "image": {"n": [1, {"path": 2}], "path": "live/x.jpg"}, "path": 3}"#;
        assert_eq!(read("image.path", document).unwrap(), ["live/x.jpg"]);
        let several = r#"{"images": [{"path": "a.jpg"}, {"path": "b.jpg", "o": null}]}"#;
        assert_eq!(read("images.path", several).unwrap(), ["a.jpg", "b.jpg"]);
        assert_eq!(read("path", r#"[{"path": ["a", "b"]}]"#).unwrap(), ["a", "b"]);
        assert_eq!(read("path", r#"{"path": "\u00e9\n"}"#).unwrap(), ["é\n"]);
    }

    #[test]
    fn what_names_nothing_is_no_answer() {
        for document in [
            "{}",
            "[]",
            "3",
            "\"text\"",
            "null",
            r#"{"path": null}"#,
            r#"{"path": 7}"#,
            r#"{"path": ""}"#,
            r#"{"path": {"a": 1}}"#,
            r#"{"path": []}"#,
            r#"{"path": ["a.jpg", 7]}"#,
            r#"{"Path": "a.jpg"}"#,
        ] {
            assert_eq!(read("path", document).unwrap_err(), "NotNamed", "{document}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        let deep = "[".repeat(100_000);
        for document in [
            "",
            "{",
            r#"{"path": "a.jpg""#,
            r#"{"path": "a.jpg"} x"#,
            r#"{"path": NaN}"#,
            "\u{feff}{}",
            "path = 1",
            &deep,
            r#"{"path": "a.jpg", "path": "b.jpg"}"#,
        ] {
            assert_eq!(read("path", document).unwrap_err(), "NoJson", "{document:.40}");
        }
    }

    #[test]
    fn a_document_of_a_million_names_is_given_up() {
        let names = vec!["\"a.jpg\""; 1_000_000].join(",");
        assert_eq!(read("path", &format!("{{\"path\": [{names}]}}")).unwrap_err(), "NotNamed");
    }

    #[test]
    fn a_way_is_keys() {
        for wrong in ["", ".", "a.", "a..b", "image[0].path"] {
            assert!(wrong.parse::<Field>().unwrap_err().to_string().contains("image.path"));
        }
        assert_eq!("a.b".parse::<Field>().unwrap().to_string(), "a.b");
    }
}
