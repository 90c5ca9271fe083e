//! Holds: a file that stops removers for a while, and always ends.
//!
//! `shared/hold` in the state folder is for every section of every tool, `shared/hold.NAME` for the
//! sections of that name. Its first line is the moment at which it ends, as `date -Is` prints it, or how
//! long it lasts from when the file was written, such as `6h`. What cannot be read as either lasts a day.

use crate::clock;
use maint_core::{text::shown_path, time::Timestamp, units::Span};
use nix::fcntl::OFlag;
use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// No hold lasts longer from when it was written: a forgotten one must not fill a disk for ever.
const LONGEST: Span = Span::from_seconds(31 * 86_400);
/// What nobody can read is held so long.
const UNREADABLE: Span = Span::from_seconds(86_400);

/// A sentence about the hold that stops `section` now, if one does.
pub(crate) fn on(shared: &Path, section: &str, now: Timestamp) -> Option<String> {
    [shared.join("hold"), shared.join(format!("hold.{section}"))].iter().find_map(|path| standing(path, now))
}

fn standing(path: &Path, now: Timestamp) -> Option<String> {
    let shown = shown_path(path);
    match read(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => Some(format!("held, because {shown} cannot be read: {error}")),
        Ok((text, written)) => {
            let until = end(&text, written);
            (now < until).then(|| format!("held until {} by {shown}", clock::local(until)))
        }
    }
}

fn read(path: &Path) -> io::Result<(String, Timestamp)> {
    const LARGEST: u64 = 4096;
    let quietly = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(quietly.bits()).open(path)?;
    let seen = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), Timestamp::from_seconds(seen.mtime())))
}

fn end(text: &str, written: Timestamp) -> Timestamp {
    let word = text.lines().next().unwrap_or_default().trim();
    let lasting = |span: Span| written.plus(span);
    let named = word.parse().map(lasting).ok().or_else(|| clock::parse(word));
    named.unwrap_or_else(|| lasting(UNREADABLE)).min(lasting(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str) -> i64 {
        end(text, Timestamp::from_seconds(1_000_000)).seconds - 1_000_000
    }

    #[test]
    fn a_hold_says_when_it_ends_or_how_long_it_lasts() {
        assert_eq!(ends("6h\n"), 6 * 3600);
        assert_eq!(ends("1970-01-12T14:00:00+00:00"), 1_000_800 - 1_000_000);
        assert_eq!(ends("1970-01-12T14:00:00Z\nbecause of the audit"), 800);
    }

    #[test]
    fn every_hold_ends() {
        assert_eq!(ends(""), 86_400);
        assert_eq!(ends("for ever"), 86_400);
        assert_eq!(ends("9999-01-01T00:00:00Z"), 31 * 86_400);
        assert_eq!(ends("10y"), 31 * 86_400);
    }
}
