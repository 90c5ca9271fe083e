//! A JSON document that tells whether it is what was written: its last member is the SHA-256 of all that
//! stands before it.

use crate::text::hex;
use sha2::{Digest as _, Sha256};

const SEAL: &str = ",\n  \"sha256\": \"";

/// A document with its seal. What is given is an object with members, over several lines as
/// `serde_json::to_string_pretty` writes it.
pub fn seal(object: &str) -> String {
    let body = object.trim_end().strip_suffix("\n}").unwrap_or(object);
    format!("{body}{SEAL}{}\"\n}}\n", hex(&Sha256::digest(body.as_bytes())))
}

/// Whether a document is what was sealed.
pub fn is_intact(text: &str) -> bool {
    text.rfind(SEAL).is_some_and(|at| seal(&format!("{}\n}}", &text[..at])) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_is_noticed() {
        let sealed = seal("{\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}");
        assert!(is_intact(&sealed), "{sealed}");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(!String::from_utf8(bytes).is_ok_and(|text| is_intact(&text)), "byte {at}");
            assert!(!is_intact(&sealed[..at]), "cut at {at}");
        }
        assert!(!is_intact(&format!("{sealed} ")));
    }
}
