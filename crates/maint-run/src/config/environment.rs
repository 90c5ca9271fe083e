//! `${NAME:-default}` in strings, and the files that names are read from. Nothing is ever executed.

use std::{collections::HashMap, path::Path};

/// Names and their values: the process's own first, then those of the env files, the later file winning.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    from_files: HashMap<String, String>,
}

impl Environment {
    /// Adds the lines of an env file; the error names the line.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), (usize, String)> {
        for (n, line) in text.lines().enumerate() {
            if let Some((name, value)) = assignment(line).map_err(|why| (n + 1, why))? {
                self.from_files.insert(name, value);
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<String> {
        // What is no UTF-8 can be no part of a configuration; as nothing at all it is an error.
        let own = std::env::var_os(name).map(|value| value.into_string().unwrap_or_default());
        own.or_else(|| self.from_files.get(name).cloned())
    }

    /// A string with every `${…}` replaced. `$${` is a plain `${`.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        expand(text, |name| self.get(name))
    }
}

fn expand(text: &str, get: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or("\"${\" is not closed: write ${NAME} or ${NAME:-default}")?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        if !is_name(name) {
            return Err(
                "what stands in \"${…}\" names no variable: write ${NAME} or ${NAME:-default}".to_owned()
            );
        }
        // Unlike in a shell, a variable that is set to nothing does not fall back to the default: who
        // wrote `DAYS=` meant something, and it is not for a cleaner to guess what.
        let value = get(name).or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            format!("the environment variable {name} is not set: set it in an env-file, or write ${{{name}:-default}}")
        })?;
        if value.is_empty() {
            return Err(format!("the environment variable {name} is empty: give it a value or take it away"));
        }
        out.push_str(&value);
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// One line of an env file: `NAME=value`, `export NAME="value"`, a comment, or nothing.
fn assignment(line: &str) -> Result<Option<(String, String)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=').ok_or("is no assignment: write NAME=value")?;
    if !is_name(name) {
        // What is no name with spaces around it may be a part of a secret.
        let name = if is_name(name.trim()) { name } else { "…" };
        return Err(format!(
            "\"{name}\" is no name of a variable: write NAME=value without spaces around the sign"
        ));
    }
    let value = match value.as_bytes().first() {
        Some(quote @ (b'"' | b'\'')) => {
            let quote = char::from(*quote);
            let (inside, after) =
                value[1..].split_once(quote).ok_or_else(|| format!("the {quote} is not closed"))?;
            let after = after.trim();
            if !(after.is_empty() || after.starts_with('#')) {
                return Err(format!("something follows the closing {quote}"));
            }
            inside
        }
        _ => value.split_once(" #").map_or(value, |(value, _)| value).trim_end(),
    };
    Ok(Some((name.to_owned(), value.to_owned())))
}

/// An env file's place: beside the configuration that names it, unless it is absolute.
pub(crate) fn beside(config: &Path, env_file: &Path) -> std::path::PathBuf {
    config.parent().unwrap_or(Path::new("/")).join(env_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, &str>) {
        let get = |name: &str| match name {
            "DAYS" => Some("30".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        match (expand(text, get), expect) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(got), Err(says)) => assert!(got.contains(says), "{text}: {got}"),
            (got, want) => panic!("{text}: {got:?}, not {want:?}"),
        }
    }

    #[test]
    fn names_and_defaults() {
        check("${DAYS}d", Ok("30d"));
        check("${DAYS:-7}d", Ok("30d"));
        check("${NONE:-7}d", Ok("7d"));
        check("a${DAYS}b${NONE:-x}c", Ok("a30bxc"));
        check("plain $5 and $", Ok("plain $5 and $"));
        check("$${DAYS}", Ok("${DAYS}"));
    }

    #[test]
    fn what_is_missing_or_empty_is_said() {
        check("${NONE}", Err("NONE is not set"));
        check("${EMPTY}", Err("EMPTY is empty"));
        check("${EMPTY:-7}d", Err("EMPTY is empty"));
        check("${NONE:-}", Err("NONE is empty"));
        check("${DAYS", Err("not closed"));
        check("${}", Err("names no variable"));
        check("${rm -rf}", Err("names no variable"));
    }

    #[test]
    fn an_env_file_is_read_and_never_run() {
        let mut environment = Environment::default();
        let text = "# days\nexport A_DAYS=30 # a month\nB='x y'\nC=\"$(touch /x)\"\n\nD=a#b\n";
        environment.read(text).unwrap();
        let get = |name: &str| environment.get(name).unwrap();
        assert_eq!([get("A_DAYS"), get("B"), get("C"), get("D")], ["30", "x y", "$(touch /x)", "a#b"]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [("A=1\nnonsense", 2), ("A =1", 1), ("A='1", 1), ("1A=x", 1), ("A='1' 2", 1)] {
            assert_eq!(Environment::default().read(text).unwrap_err().0, line, "{text}");
        }
    }
}
