//! What metadata names as its partners, read from the document itself.

use super::field::{Field, NoName};
use crate::{entry::Kind, fs::Folder};
use std::{ffi::CStr, io::Read as _};

/// A longer document is none that describes an image.
const LONGEST_DOCUMENT: u64 = 16 << 20;

/// What metadata names as its partner.
pub(super) struct Named(pub(super) String);

impl Named {
    /// The name without folders, in the ways in which whoever wrote it may have parted and written it.
    pub(super) fn last_parts(&self) -> Vec<Vec<u8>> {
        let parts = ['/', '\\'].into_iter().filter_map(|separator| self.0.rsplit(separator).next());
        let mut all: Vec<Vec<u8>> = parts.map(|part| part.as_bytes().to_vec()).collect();
        for plain in all.clone() {
            let asked = plain.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(plain.len());
            all.push(unescaped(&plain[..asked]));
        }
        all.retain(|part| !part.is_empty());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether it can be the name of a file at all.
    fn is_one(&self) -> bool {
        let last = self.0.rsplit(['/', '\\']).next().unwrap_or_default();
        !matches!(last, "" | "." | "..") && last.trim() == last && !last.contains(char::is_control)
    }
}

/// With `%2e` and its like as the bytes that they stand for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    plain
}

/// What metadata names as its partners.
pub(super) fn names_in(field: &Field, folder: &Folder, name: &CStr) -> Result<Vec<Named>, NoName> {
    let (file, look) = folder.open_file(name).map_err(NoName::Unread)?;
    if look.kind != Kind::File {
        return Err(NoName::NoJson);
    }
    let names: Vec<Named> = field.read(file.take(LONGEST_DOCUMENT))?.into_iter().map(Named).collect();
    if names.iter().all(Named::is_one) { Ok(names) } else { Err(NoName::NotNamed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        let parts = Named(text.to_owned()).last_parts().into_iter();
        parts.map(|part| String::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn a_name_is_found_however_it_was_written() {
        assert_eq!(parts("a.jpg"), ["a.jpg"]);
        assert_eq!(parts("/app/live/a.jpg"), ["/app/live/a.jpg", "a.jpg"]);
        assert!(parts("C:\\live\\a.jpg").contains(&"a.jpg".to_owned()));
        assert!(parts("file:///live/a%20b.jpg?size=1").contains(&"a b.jpg".to_owned()));
        assert!(parts("100%.jpg").contains(&"100%.jpg".to_owned()));
    }

    #[test]
    fn what_can_be_no_name_is_none() {
        for text in ["", " ", "/", "live/", "C:\\live\\", "..", "a.jpg\n", "a.jpg ", "a\u{0}b"] {
            assert!(!Named(text.to_owned()).is_one(), "{text:?}");
        }
        assert!(Named("live/a b.jpg".to_owned()).is_one());
    }
}
