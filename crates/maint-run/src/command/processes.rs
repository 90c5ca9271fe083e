//! The processes that a command started, those too that left its group or lost their parent.

use maint_core::text::printable;
use nix::{sys::prctl, unistd::Pid};
use std::{collections::HashMap, fs};

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// What is running there, safe to print.
    pub name: String,
}

/// From now on who loses his parent becomes a child of this process, and is found.
pub(super) fn adopt_orphans() {
    if let Err(errno) = prctl::set_child_subreaper(true) {
        log::debug!("processes that make themselves independent will not be found: {errno}");
    }
}

/// All that run below this process, but for these and what runs below them.
pub(super) fn below_us(but: &[Process]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
        let told = is_process.then(|| fs::read(entry.path().join("stat")).ok()).flatten();
        if let Some((parent, process)) = told.as_deref().and_then(parse) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![Pid::this().as_raw()];
    while let Some(parent) = parents.pop() {
        let mine = children.remove(&parent).unwrap_or_default();
        for process in mine.into_iter().filter(|process| but.iter().all(|other| other.pid != process.pid)) {
            parents.push(process.pid.as_raw());
            found.push(process);
        }
    }
    found
}

/// `PID (NAME) STATE PARENT …`: whose child it is, of those that live.
fn parse(stat: &[u8]) -> Option<(i32, Process)> {
    let open = stat.iter().position(|b| *b == b'(')?;
    let close = stat.iter().rposition(|b| *b == b')')?;
    let number = |text: &[u8]| str::from_utf8(text).ok()?.trim().parse().ok();
    let mut rest = stat.get(close + 2..)?.split(|b| *b == b' ');
    let is_dead = matches!(rest.next()?, b"Z" | b"X");
    let parent = number(rest.next()?)?;
    let pid = Pid::from_raw(number(&stat[..open])?);
    (!is_dead).then(|| (parent, Process { pid, name: printable(&stat[open + 1..close]) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let parsed = parse(b"42 (a) b (c) S 7 42 42 0").unwrap();
        assert_eq!((parsed.0, parsed.1.pid.as_raw(), parsed.1.name.as_str()), (7, 42, "a) b (c"));
        assert_eq!(parse(b"42 (gone) Z 7 42"), None);
        assert_eq!(parse(b"nonsense"), None);
    }
}
