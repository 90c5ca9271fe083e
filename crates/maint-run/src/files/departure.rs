//! Where files go: opened, and ready to take them.

use super::job::{Ended, Job};
use crate::{
    clock,
    exit::Status,
    report::{Target, chain},
    volumes,
};
use maint_core::{
    fs::{ArchivePlace, Destination, Lock, Root, RootError},
    prune::{Archive, Leave},
    section::ThenValue,
    text::shown_path,
};
use std::path::Path;

/// Where files go, ready to take them.
pub(super) enum Departure {
    Nowhere,
    Folder(Box<Destination>),
    Archive(Box<Archive>),
}

impl Departure {
    pub(super) fn prepare(job: &Job<'_>, lock: &Lock, done: &mut Target) -> Result<Self, Ended> {
        let path = match &job.section.then {
            ThenValue::Delete => return Ok(Self::Nowhere),
            ThenValue::MoveTo(path) | ThenValue::ArchiveTo(path) => path,
        };
        let root = Self::open(job, path, done)?;
        let prepared = match &job.section.then {
            ThenValue::ArchiveTo(_) => {
                let part = job.asked().map_or(0, |asked| asked.round);
                let part = if part == 0 { String::new() } else { format!("-{}", part + 1) };
                let file = format!("{}-{}{part}.tar.zst", done.name, job.run.name());
                let month = clock::month(job.run.now);
                ArchivePlace::open(lock.warrant(), root, &job.root, &month, &file)
                    .map(|place| Self::Archive(Box::new(Archive::new(place))))
            }
            _ => Destination::open(lock.warrant(), root, &job.root).map(|to| Self::Folder(Box::new(to))),
        };
        prepared.map_err(|error| {
            done.note(Status::Critical, chain(&error));
            Ended
        })
    }

    fn open(job: &Job<'_>, path: &Path, done: &mut Target) -> Result<Root, Ended> {
        let shown = shown_path(path);
        if let Err(why) = volumes::may_write(job.run, path) {
            done.note(Status::Refused, format!("nothing is moved to {shown}: {why}"));
            return Err(Ended);
        }
        let borders = job.run.borders();
        let opened = match Root::open(path, &borders) {
            Err(RootError::Missing(_)) => Root::make(path, &borders),
            opened => opened,
        };
        if let Ok(to) = &opened
            && to.below(&job.root).is_some_and(|below| job.select.reaches(&below))
        {
            let why = "it is, or lies in, the folder that is pruned: files would come round again";
            done.note(Status::Refused, format!("nothing is moved to {shown}: {why}"));
            return Err(Ended);
        }
        opened.map_err(|error| {
            let status = match error {
                RootError::Missing(_) => Status::Warning,
                RootError::Refused { .. } => Status::Refused,
                RootError::Failed(_) => Status::Critical,
            };
            done.note(status, format!("nothing is moved to {shown}: {}", chain(&error)));
            Ended
        })
    }

    pub(super) fn leave(&self) -> Leave<'_> {
        match self {
            Self::Nowhere => Leave::Delete,
            Self::Folder(to) => Leave::Move(to),
            Self::Archive(archive) => Leave::Archive(archive),
        }
    }

    pub(super) fn frees(&self) -> bool {
        match self {
            Self::Nowhere | Self::Archive(_) => true,
            Self::Folder(to) => to.copies(),
        }
    }
}
