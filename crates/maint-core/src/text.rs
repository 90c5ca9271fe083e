//! Words and names for people: nothing a file is called can move a cursor or fake a line.

use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _, path::Path};

/// A file name as it may be shown in a terminal, a log, a mail or JSON.
///
/// Printable text stays as it is. A backslash is doubled; control characters, characters that turn the
/// direction of text, and bytes that are not UTF-8 become `\xNN`, byte by byte: [`unprintable`] gives the
/// name back exactly.
///
/// ```
/// # use maint_core::text::{printable, unprintable};
/// assert_eq!(printable(b"cam\n1\xff.jpg"), "cam\\x0a1\\xff.jpg");
/// assert_eq!(unprintable("cam\\x0a1\\xff.jpg").unwrap(), b"cam\n1\xff.jpg");
/// ```
pub fn printable(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => shown.push_str("\\\\"),
                c if c.is_control() || deceives(c) => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        push_hex(&mut shown, byte);
                    }
                }
                c => shown.push(c),
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut shown, *byte);
        }
    }
    shown
}

/// A path as it may be shown.
pub fn shown_path(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

/// The name that [`printable`] was given, or `None` for text it never writes.
pub fn unprintable(shown: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(shown.len());
    let mut rest = shown.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |d: u8| char::from(d).to_digit(16);
                (u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?, after)
            }
            (b'\\', _) => return None,
            plain => plain,
        };
        name.push(byte);
        rest = after;
    }
    Some(name)
}

/// Characters without ink that reorder or hide what stands beside them.
fn deceives(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_hex(shown: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(shown, "\\x{byte:02x}");
}

/// Parts of a path with slashes between them; empty ones, such as the path of a root below itself, add
/// nothing.
pub fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/')
}

/// Bytes as the digits that checksums are written in.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `1 file`, `2 files`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { noun.to_owned() } else { plural(noun) })
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun.ends_with('s') => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// A number with its thousands apart: `1 048 576` reads wrongly in a shell, `1,048,576` does not.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_stay_on_their_line() {
        assert_eq!(printable(b"\x1b[2Jok"), "\\x1b[2Jok");
        assert_eq!(printable("a\u{202e}gpj.exe".as_bytes()), "a\\xe2\\x80\\xaegpj.exe");
        assert_eq!(printable("Grüße 猫.jpg".as_bytes()), "Grüße 猫.jpg");
        assert_eq!(printable(br"a\x0a"), r"a\\x0a");
    }

    #[test]
    fn what_printable_never_writes_is_refused() {
        for text in ["\\", "\\x1", "\\q", "\\xzz"] {
            assert_eq!(unprintable(text), None, "{text}");
        }
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([grouped(0), grouped(999), grouped(1_048_576)], ["0", "999", "1,048,576"]);
        assert_eq!([count(1, "file"), count(2000, "file")], ["1 file", "2,000 files"]);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in proptest::collection::vec(any::<u8>(), 0..64)) {
            let shown = printable(&name);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(unprintable(&shown), Some(name));
        }
    }
}
