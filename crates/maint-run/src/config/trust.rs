//! Whom a configuration may come from: root or the caller, and nobody else can have written it.

use maint_core::text::shown_path;
use nix::fcntl::OFlag;
use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Why a file was not read.
pub(super) enum ReadError {
    Io(io::Error),
    Distrusted(String),
}

impl ReadError {
    pub(super) fn about(&self, path: &Path) -> String {
        match self {
            Self::Io(error) => format!("{}: cannot be read: {error}", shown_path(path)),
            Self::Distrusted(why) => format!("{}: {why}", shown_path(path)),
        }
    }
}

/// Reads a file that only root or the caller can have written.
pub(super) fn read_trusted(path: &Path) -> Result<String, ReadError> {
    const LARGEST: u64 = 4 << 20;
    // Without waiting: a FIFO would keep a cron for ever.
    let wait_for_nobody = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(wait_for_nobody.bits())
        .open(path)
        .map_err(ReadError::Io)?;
    // Of the open file, not of the path: it is this one that is read.
    let seen = file.metadata().map_err(ReadError::Io)?;
    let me = nix::unistd::geteuid().as_raw();
    let distrust = |why: String| Err(ReadError::Distrusted(why));
    if !seen.is_file() {
        return distrust("is not a file".into());
    }
    if seen.uid() != 0 && seen.uid() != me {
        return distrust(format!("belongs to user {}: it must be root's or yours (chown)", seen.uid()));
    }
    if seen.mode() & 0o002 != 0 {
        return distrust("anybody may write to it: take that right away (chmod o-w)".into());
    }
    if seen.mode() & 0o020 != 0 && me == 0 {
        return distrust(
            "its group may write to it, and root is to follow it: take that right away (chmod g-w)".into(),
        );
    }
    if seen.len() > LARGEST {
        return distrust(format!("has {} bytes, and no configuration needs more than {LARGEST}", seen.len()));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(ReadError::Io)?;
    if seen.mode() & 0o004 != 0 && holds_password(&text) {
        return distrust("holds a password and anybody may read it: take that right away (chmod o-r), or use password-file".into());
    }
    Ok(text)
}

/// Whether a URL with a password in it (`scheme://user:secret@host`) stands outside comments.
fn holds_password(text: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(without_variables).any(|line| {
        line.match_indices("://").any(|(at, _)| {
            let url = line[at + 3..].split(['"', '\'', ' ']).next().unwrap_or_default();
            let (place, query) = url.split_once('?').unwrap_or((url, ""));
            // In the URL of a database a slash may be part of a password that nobody has escaped.
            let is_database = line[..at].ends_with("postgres") || line[..at].ends_with("postgresql");
            let place = if is_database { place } else { place.split('/').next().unwrap_or_default() };
            let secret = place.rsplit_once('@').and_then(|(who, _)| who.split_once(':'));
            secret.is_some_and(|(_, secret)| !secret.is_empty()) || query.contains("password=")
        })
    })
}

/// A line in which every `${NAME:-default}` is one sign: its colon parts no user from a password.
fn without_variables(line: &str) -> String {
    let mut parts = line.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| match part.split_once('}') {
        Some((_, rest)) => line + "$" + rest,
        None => line + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_seen() {
        assert!(holds_password("url = \"postgres://camera:secret@localhost/camera\""));
        assert!(!holds_password("url = \"postgres://camera@localhost/camera\""));
        assert!(!holds_password("url = \"postgres://camera:@localhost:5432/camera\""));
        assert!(!holds_password("# url = \"postgres://a:b@c/d\""));
        assert!(!holds_password("url = \"postgres://${U:-telemetry}@${H:-localhost}:${P:-5432}/d\""));
        assert!(holds_password("url = \"postgres://${U:-telemetry}:secret@${H:-localhost}/d\""));
        assert!(holds_password("url = \"postgres://u:hun/ter2@h/d\""));
        assert!(holds_password("url = \"postgres://u@h/d?password=hunter2\""));
        assert!(!holds_password("hook = \"https://example.org:8080/a@b\""));
    }
}
