//! Which program a word means: one at an absolute path, or of that name in a few folders of the system.

use maint_core::text::{printable, shown_path};
use std::{
    fmt,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Where programs are looked for, and what a command has as its PATH: never what the caller has.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin";

/// Why there is no program to run.
#[derive(Debug, PartialEq, Eq)]
pub enum NoProgram {
    /// There is none.
    Missing(String),
    /// Somebody else may have put something into its place.
    Distrusted(String),
}

impl fmt::Display for NoProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(why) | Self::Distrusted(why) => f.write_str(why),
        }
    }
}

/// Finds it, by the path that no link can bend any more.
pub fn find(word: &str) -> Result<PathBuf, NoProgram> {
    let path = if word.starts_with('/') {
        Some(PathBuf::from(word)).filter(|path| is_program(path))
    } else {
        PATH.split(':').map(|folder| Path::new(folder).join(word)).find(|path| is_program(path))
    };
    let shown = printable(word.as_bytes());
    let path = path.ok_or_else(|| {
        NoProgram::Missing(match word.strip_prefix('/') {
            Some(_) => format!("there is no program {shown}"),
            None => format!("there is no program {shown} in {PATH}"),
        })
    })?;
    let real = std::fs::canonicalize(&path)
        .map_err(|error| NoProgram::Missing(format!("{shown} cannot be reached: {error}")))?;
    match who_else_writes(&real) {
        None => Ok(real),
        Some(why) => Err(NoProgram::Distrusted(why)),
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|seen| seen.is_file() && seen.mode() & 0o111 != 0)
}

/// Whom a program may come from: root or the caller, in folders that not everybody may change.
fn who_else_writes(real: &Path) -> Option<String> {
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let me = nix::unistd::geteuid().as_raw();
    real.ancestors().find_map(|part| {
        let seen = std::fs::metadata(part).ok()?;
        let shown = shown_path(part);
        if seen.uid() != 0 && seen.uid() != me {
            return Some(format!("{shown} belongs to user {}: it must be root's or yours", seen.uid()));
        }
        if seen.is_file() && me == 0 && seen.gid() != 0 && seen.mode() & GROUP_WRITES != 0 {
            return Some(format!("a group may write to {shown}: take that right away (chmod g-w)"));
        }
        let is_open = seen.mode() & OTHERS_WRITE != 0 && (seen.is_file() || seen.mode() & STICKY == 0);
        is_open.then(|| format!("anybody may write to {shown}: take that right away (chmod o-w)"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_the_systems_folders_alone() {
        assert!(find("sh").unwrap().is_absolute());
        assert!(find("/bin/sh").is_ok());
        for missing in ["no-such-program", "/no/such/program", "/etc", "/etc/passwd"] {
            assert!(matches!(find(missing), Err(NoProgram::Missing(_))), "{missing}");
        }
    }
}
