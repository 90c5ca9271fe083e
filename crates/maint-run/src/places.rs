//! Where a run keeps what: what `[host]` says, the system's folders for root, the XDG ones for others.

use crate::config::HostSection;
use nix::unistd::{Uid, User};
use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// The folders and files of a run, resolved but not yet made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// What this tool remembers.
    pub state: PathBuf,
    /// Locks.
    pub runtime: PathBuf,
    /// The record of removals.
    pub audit_log: PathBuf,
    /// Metrics, if anybody reads them.
    pub metrics: Option<Metrics>,
}

/// The folder for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metrics {
    /// The folder.
    pub folder: PathBuf,
    /// Whether somebody asked for it: then it is worth a warning when it is missing.
    pub asked_for: bool,
}

/// What the system and the caller's environment give.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) root: bool,
    pub(crate) home: Option<PathBuf>,
    pub(crate) xdg_state: Option<PathBuf>,
    pub(crate) xdg_runtime: Option<PathBuf>,
}

impl Surroundings {
    pub(crate) fn see() -> Self {
        let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let of_passwd = || User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir);
        Self {
            root: Uid::effective().is_root(),
            home: folder("HOME").or_else(of_passwd),
            xdg_state: folder("XDG_STATE_HOME"),
            xdg_runtime: folder("XDG_RUNTIME_DIR"),
        }
    }
}

impl Places {
    pub(crate) fn find(tool: &str, host: &HostSection, around: &Surroundings) -> Self {
        let home = around.home.clone().unwrap_or_else(|| PathBuf::from("/nonexistent"));
        let usual_state = match &around.xdg_state {
            _ if around.root => PathBuf::from("/var/lib/maint"),
            Some(xdg) => xdg.join("maint"),
            None => home.join(".local/state/maint"),
        };
        if !around.root && host.state_dir.is_none() {
            // The XDG base folder is made on first use; the home itself never is.
            let base = usual_state.parent().filter(|_| home.is_dir());
            let _ = base.map(std::fs::create_dir_all);
        }
        let state = host.state_dir.clone().unwrap_or(usual_state);
        let usual_runtime = match &around.xdg_runtime {
            _ if around.root => PathBuf::from("/run/maint"),
            Some(xdg) => xdg.join("maint"),
            None => state.join("run"),
        };
        let usual_audit =
            if around.root { PathBuf::from("/var/log/maint/audit.jsonl") } else { state.join("audit.jsonl") };
        let usual_metrics = around.root.then(|| PathBuf::from("/var/lib/prometheus/node-exporter"));
        let metrics = match (&host.metrics_dir, usual_metrics) {
            (Some(folder), _) => Some(Metrics { folder: folder.clone(), asked_for: true }),
            (None, usual) => usual.map(|folder| Metrics { folder, asked_for: false }),
        };
        Self {
            state: state.join(tool),
            runtime: host.runtime_dir.clone().unwrap_or(usual_runtime),
            audit_log: host.audit_log.clone().unwrap_or(usual_audit),
            metrics,
        }
    }
}

/// Makes a folder, and the one above it. What lies further up must be there: a mount that has vanished is
/// not to be filled in on the disk below it.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let make = |path: &Path| match DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    match make(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Err(error), make).and_then(|()| make(path))
        }
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(root: bool) -> Surroundings {
        Surroundings { root, home: Some("/home/cam".into()), ..Surroundings::default() }
    }

    #[test]
    fn root_has_the_systems_folders() {
        let places = Places::find("prune-images", &HostSection::default(), &around(true));
        assert_eq!(places.state, Path::new("/var/lib/maint/prune-images"));
        assert_eq!(places.runtime, Path::new("/run/maint"));
        assert_eq!(places.audit_log, Path::new("/var/log/maint/audit.jsonl"));
        assert!(!places.metrics.unwrap().asked_for);
    }

    #[test]
    fn others_have_those_of_xdg() {
        let places = Places::find("prune-images", &HostSection::default(), &around(false));
        assert_eq!(places.state, Path::new("/home/cam/.local/state/maint/prune-images"));
        assert_eq!(places.runtime, Path::new("/home/cam/.local/state/maint/run"));
        assert_eq!(places.audit_log, Path::new("/home/cam/.local/state/maint/audit.jsonl"));
        assert_eq!(places.metrics, None);
        let xdg =
            Surroundings { xdg_state: Some("/s".into()), xdg_runtime: Some("/r".into()), ..around(false) };
        let places = Places::find("prune-images", &HostSection::default(), &xdg);
        assert_eq!((places.state, places.runtime), ("/s/maint/prune-images".into(), "/r/maint".into()));
    }

    #[test]
    fn the_configuration_wins() {
        let host = HostSection {
            state_dir: Some("/srv/state".into()),
            metrics_dir: Some("/m".into()),
            ..HostSection::default()
        };
        for root in [true, false] {
            let places = Places::find("prune-images", &host, &around(root));
            assert_eq!(places.state, Path::new("/srv/state/prune-images"));
            assert_eq!(places.metrics, Some(Metrics { folder: "/m".into(), asked_for: true }));
        }
    }
}
