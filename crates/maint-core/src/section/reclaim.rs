//! `[reclaim.NAME]`: a command that gives space back and costs no data.

use super::{Fault, FilesSection, Section};
use crate::{text::printable, units::Span};
use serde::{
    Deserialize as _,
    de::{Deserializer, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use std::{fmt, path::Path};

/// The keys of `[reclaim.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReclaimSection {
    /// The program and its arguments, word by word: no shell reads them.
    #[serde(deserialize_with = "words")]
    pub command: Vec<String>,
    /// After so long it is stopped.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// The lower runs first.
    #[serde(default = "default_priority")]
    pub priority: u32,
    /// The volume on which it frees space; without it that may be anywhere.
    pub volume: Option<String>,
    /// Whether it ever runs.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Always only show.
    #[serde(default)]
    pub dry_run: bool,
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of words, such as {EXAMPLE}")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_seq(List)
}

const EXAMPLE: &str = "[\"docker\", \"system\", \"prune\", \"-f\"]";

fn default_timeout() -> Span {
    ReclaimSection::TIMEOUT
}

fn default_priority() -> u32 {
    ReclaimSection::PRIORITY
}

fn default_enabled() -> bool {
    true
}

impl ReclaimSection {
    /// Where a section says nothing.
    pub const PRIORITY: u32 = FilesSection::PRIORITY;
    /// How long a command may take where its section says nothing.
    pub const TIMEOUT: Span = Span::from_seconds(600);

    /// The program, by its path or by its name.
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// The command as a person would type it.
    pub fn shown(&self) -> String {
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }

    /// Whether it lets a container engine remove volumes, and with them what containers keep.
    pub fn removes_container_volumes(&self) -> bool {
        const ENGINES: [&str; 3] = ["docker", "podman", "nerdctl"];
        // What a shell or a wrapper is given counts word by word too.
        let words: Vec<&str> = self.command.iter().flat_map(|word| word.split_whitespace()).collect();
        let Some(engine) = words.iter().position(|word| ENGINES.contains(&last_name(word))) else {
            return false;
        };
        let rest = &words[engine + 1..];
        let asks = |word: &&str| *word == "--volumes" || word.starts_with("--volumes=t");
        let prunes = |pair: &[&str]| pair[0] == "volume" && matches!(pair[1], "prune" | "rm" | "remove");
        rest.iter().any(asks) || rest.windows(2).any(prunes)
    }
}

fn last_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// A word that a shell would read as one.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&b);
    let shown = printable(word.as_bytes());
    if !word.is_empty() && word.bytes().all(is_plain) {
        shown
    } else {
        format!("'{}'", shown.replace('\'', "'\\''"))
    }
}

impl Section for ReclaimSection {
    fn check(&self) -> Result<(), Fault> {
        let program = self.program();
        let fault = |why: String| Err(Fault::at("command", why));
        if program.is_empty() {
            return fault(format!(
                "names no program: write it and its arguments word by word, such as {EXAMPLE}"
            ));
        }
        if program.contains(char::is_whitespace) {
            let words: Vec<String> = program.split_whitespace().map(|word| format!("{word:?}")).collect();
            return fault(format!(
                "\"{}\" would be the name of one program, for no shell reads it: write [{}]",
                printable(program.as_bytes()),
                words.join(", ")
            ));
        }
        if program.contains('/') && !Path::new(program).is_absolute() {
            return fault(format!(
                "\"{}\" depends on where one stands: write an absolute path, or a name alone",
                printable(program.as_bytes())
            ));
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return fault("no argument can hold a NUL".to_owned());
        }
        if self.timeout.seconds() == 0 {
            return Err(Fault::at("timeout", "0 would stop it before it began"));
        }
        Ok(())
    }

    fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        self.volume.iter().map(|name| ("volume", "volume", name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(command: &[&str]) -> ReclaimSection {
        let command: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
        toml::from_str(&format!("command = [{}]", command.join(", "))).unwrap()
    }

    fn refuse(command: &[&str], says: &str) {
        let fault = section(command).check().unwrap_err();
        assert_eq!(fault.key, Some("command"));
        assert!(fault.message.contains(says), "{}", fault.message);
    }

    #[test]
    fn a_command_is_a_program_and_its_words() {
        for good in [&["docker", "system", "prune", "-f"][..], &["/usr/bin/apt-get", "clean"], &["true"]] {
            section(good).check().unwrap();
        }
        refuse(&[], "names no program");
        refuse(&["", "x"], "names no program");
        refuse(&["docker system prune"], "write [\"docker\", \"system\", \"prune\"]");
        refuse(&["./clean.sh"], "depends on where one stands");
        refuse(&["bin/clean"], "depends on where one stands");
    }

    #[test]
    fn it_is_shown_as_it_would_be_typed() {
        assert_eq!(section(&["docker", "system", "prune", "-f"]).shown(), "docker system prune -f");
        assert_eq!(section(&["sh", "-c", "rm -f it's"]).shown(), r"sh -c 'rm -f it'\''s'");
        assert_eq!(section(&["x", ""]).shown(), "x ''");
    }

    #[test]
    fn volumes_of_containers_are_noticed_however_it_is_called() {
        for bad in [
            &["docker", "system", "prune", "-f", "--volumes"][..],
            &["/usr/bin/docker", "system", "prune", "--volumes=true"],
            &["nice", "podman", "system", "prune", "--volumes"],
            &["docker", "volume", "prune", "-f"],
            &["sh", "-c", "docker system prune -f --volumes"],
        ] {
            assert!(section(bad).removes_container_volumes(), "{bad:?}");
        }
        for good in [
            &["docker", "system", "prune", "-f"][..],
            &["docker", "system", "prune", "--volumes=false"],
            &["rsync", "--volumes"],
            &["docker", "volume", "ls"],
        ] {
            assert!(!section(good).removes_container_volumes(), "{good:?}");
        }
    }
}
