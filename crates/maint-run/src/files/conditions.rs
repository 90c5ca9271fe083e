//! What must hold before anything of a target is looked at: no hold, the right volume, the marker.

use crate::{Run, volumes};
use maint_core::{
    entry::Kind,
    fs::{Mount, Root},
    plan::Guard,
    section::FilesSection,
    text::shown_path,
};
use std::ffi::CString;

/// A condition that does not hold.
pub(super) struct Unmet {
    /// The guard that can be lifted.
    pub(super) guard: &'static str,
    /// What is wrong.
    pub(super) why: String,
}

/// The first condition of a root that does not hold, of those that were not lifted.
pub(super) fn check(run: &Run, section: &FilesSection, root: &Root, forced: &[String]) -> Result<(), Unmet> {
    let lifted = |guard: &str| forced.iter().any(|name| name == guard);
    if let Some(name) = section.guard.volume.as_deref().filter(|_| !lifted(Guard::VOLUME)) {
        on_volume(run, name, root).map_err(|why| Unmet { guard: Guard::VOLUME, why })?;
    }
    if let Some(name) = section.guard.marker.as_deref().filter(|_| !lifted(Guard::MARKER)) {
        has_marker(root, name).map_err(|why| Unmet { guard: Guard::MARKER, why })?;
    }
    Ok(())
}

fn on_volume(run: &Run, name: &str, root: &Root) -> Result<(), String> {
    // The configuration's check has seen that there is one.
    let Some(volume) = run.volume(name) else { return Err(format!("there is no [volume.{name}]")) };
    let mount = volumes::mounted(name, volume)?;
    let holds =
        Mount::of(root).map_err(|error| format!("it cannot be told on which volume this lies: {error}"))?;
    if holds.id != mount.id {
        return Err(format!(
            "this does not lie on volume {name} ({}), but on what is mounted at {}",
            shown_path(&volume.path),
            shown_path(&holds.point)
        ));
    }
    Ok(())
}

fn has_marker(root: &Root, name: &str) -> Result<(), String> {
    let shown = root.shown();
    let looked = CString::new(name).map_err(std::io::Error::from).and_then(|name| root.top().look(&name));
    match looked {
        Ok(look) if look.kind == Kind::File => Ok(()),
        Ok(_) => Err(format!("the marker {name} in {shown} is not a file")),
        Err(error) => Err(format!("the marker {name} is not in {shown}: {error}")),
    }
}
