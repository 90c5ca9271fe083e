//! `[volume.NAME]`: a mounted filesystem.

use super::{Fault, Section, check_root_path};
use crate::{fs::Uuid, units::deserialize_from_str};
use std::{convert::Infallible, path::PathBuf, str::FromStr};

/// The keys of `[volume.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VolumeSection {
    /// Where it is mounted.
    pub path: PathBuf,
    /// The only filesystem that counts as this volume.
    pub uuid: Option<Uuid>,
}

impl FromStr for Uuid {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

deserialize_from_str!(Uuid, "a UUID as blkid prints it, in quotes");

impl Section for VolumeSection {
    fn check(&self) -> Result<(), Fault> {
        check_root_path(&self.path).map_err(|why| Fault::at("path", why))?;
        let looks_right =
            |text: &str| text.len() >= 9 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if let Some(uuid) = self.uuid.as_ref().map(ToString::to_string)
            && !looks_right(&uuid)
        {
            return Err(Fault::at(
                "uuid",
                format!("\"{uuid}\" is no UUID: copy what blkid or lsblk -f prints"),
            ));
        }
        Ok(())
    }
}
