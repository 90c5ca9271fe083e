//! `[volume.NAME]`: a mounted filesystem.

use super::{Fault, Section, check_root_path};
use crate::{
    emergency::Mark,
    fs::Uuid,
    units::{ByteSize, Span, deserialize_from_str},
};
use std::{convert::Infallible, path::PathBuf, str::FromStr};

/// The keys of `[volume.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VolumeSection {
    /// Where it is mounted.
    pub path: PathBuf,
    /// The only filesystem that counts as this volume.
    pub uuid: Option<Uuid>,
    /// From here on somebody should look.
    pub warn: Option<Mark>,
    /// From here on something must be done.
    pub crit: Option<Mark>,
    /// The same by the time that is left.
    #[serde(default)]
    pub forecast: ForecastMarks,
    /// So much can be written to its device in all.
    pub endurance: Option<ByteSize>,
    /// From when to when space is got back at any price that the targets name.
    pub emergency: Option<EmergencyMarks>,
    /// So much space is held back for an emergency.
    pub ballast: Option<ByteSize>,
}

/// `forecast = { warn = "7d", crit = "24h" }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastMarks {
    /// Full within this: somebody should look.
    pub warn: Option<Span>,
    /// Full within this: something must be done.
    pub crit: Option<Span>,
}

/// `emergency = { at = "95%", until = "85%" }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyMarks {
    /// It begins here.
    pub at: Mark,
    until: Mark,
}

impl EmergencyMarks {
    /// It ends here: of what this says nothing it is enough to be back where it began.
    pub fn until(&self) -> Mark {
        Mark {
            used: self.until.used.or(self.at.used),
            free: self.until.free.or(self.at.free),
            inodes: self.until.inodes.or(self.at.inodes),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        let Self { at, until } = self;
        let fault = |why: String| Err(Fault::at("emergency", why));
        let of_space = |mark: &Mark| mark.used.is_some() || mark.free.is_some();
        if of_space(at) && !of_space(until) {
            return fault(format!(
                "begins at {at} and ends at {until}, which says nothing of the space: add used or free to until"
            ));
        }
        let lower = |until: Option<_>, at: Option<_>| until.zip(at).is_none_or(|(until, at)| until < at);
        let more_free = until.free.zip(at.free).is_none_or(|(until, at)| until > at);
        if lower(until.used, at.used) && lower(until.inodes, at.inodes) && more_free {
            Ok(())
        } else {
            fault(format!(
                "ends at {until}, which is no better than where it begins, {at}: it would never end"
            ))
        }
    }
}

impl VolumeSection {
    /// What is expected of it, in a person's words.
    pub fn describe(&self) -> String {
        let Self { warn, crit, forecast: _, endurance, emergency, ballast, .. } = self;
        let marks = match (warn, crit) {
            (None, None) => "marks that suit what it lies on".to_owned(),
            (warn, crit) => {
                let warn = warn.map(|mark| format!("warned from {mark}"));
                let crit = crit.map(|mark| format!("critical from {mark}"));
                warn.into_iter().chain(crit).collect::<Vec<_>>().join(", ")
            }
        };
        let more = [
            endurance.map(|size| format!("stands {size} of writes")),
            emergency.map(|marks| format!("emergency from {} until {}", marks.at, marks.until())),
            ballast.map(|size| format!("ballast {size}")),
        ];
        let all: Vec<String> = std::iter::once(marks).chain(more.into_iter().flatten()).collect();
        all.join("; ")
    }
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
        if let (Some(warn), Some(crit)) = (self.warn, self.crit)
            && !warn.comes_before(&crit)
        {
            return Err(Fault::at(
                "warn",
                format!("begins at {warn}, which is no earlier than crit, {crit}"),
            ));
        }
        let ForecastMarks { warn, crit } = self.forecast;
        if warn.zip(crit).is_some_and(|(warn, crit)| warn <= crit) {
            return Err(Fault::at("forecast", "warn looks no further ahead than crit: write a longer one"));
        }
        if let Some(emergency) = &self.emergency {
            emergency.check()?;
        }
        match self.ballast {
            Some(size) if size.bytes() == 0 => {
                Err(Fault::at("ballast", "0 would hold nothing back: leave it out"))
            }
            Some(_) if self.emergency.is_none() => Err(Fault::at(
                "ballast",
                "is for an emergency, and there is none: add emergency = { at = \"95%\", until = \"85%\" }",
            )),
            _ => Ok(()),
        }
    }
}
