//! A folder of folders, each of which comes whole or not at all, and goes whole: where backups lie.
//!
//! What is being made has a name that nobody takes for a backup; a rename is what makes it one. What goes is
//! renamed first and emptied then. So a run that is killed leaves nothing half, and the next one tidies.
#![expect(clippy::disallowed_methods, reason = "what is renamed here was made here")]

use super::{Folder, Root, Taken, Warrant, folder::LISTING_BUFFER, remove_empty_folder, remove_unclaimed};
use crate::entry::Kind;
use nix::{
    fcntl::{OFlag, RenameFlags, openat, renameat2},
    sys::stat::{Mode, mkdirat},
};
use std::{
    ffi::{CStr, CString},
    fs::File,
    io,
    mem::MaybeUninit,
    path::PathBuf,
};

/// Stands before the name of what is being made …
const UNFINISHED: &str = ".unfinished-";
/// … and of what is being taken away.
const GOING: &str = ".removing-";

/// An open folder of folders.
#[derive(Debug)]
pub struct Depot {
    root: Root,
}

/// A folder that is being made. Nobody sees it under the name that it is to have.
#[derive(Debug)]
pub struct Unfinished<'d> {
    depot: &'d Depot,
    id: String,
    name: CString,
    folder: Folder,
}

/// Why a folder stays.
#[derive(Debug, thiserror::Error)]
pub enum StaysError {
    /// Something in it is not ours.
    #[error("it holds {0}, which is no part of it")]
    Foreign(String),
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Depot {
    /// The depot in a root.
    pub fn new(root: Root) -> Self {
        Self { root }
    }

    /// Its root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether a folder may have this name: what a person can type and no shell misreads.
    pub fn is_good_id(id: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.%".contains(&b);
        !id.starts_with('.') && !id.is_empty() && id.len() < 200 && id.bytes().all(plain)
    }

    /// The names of the folders that are complete, in no order.
    pub fn ids(&self) -> io::Result<Vec<String>> {
        let names = names_in(&self.root.top().open_below(b"")?)?;
        let is_folder =
            |name: &CString| self.root.top().look(name).is_ok_and(|look| look.kind == Kind::Folder);
        let ids = names.into_iter().filter(is_folder).filter_map(|name| name.into_string().ok());
        Ok(ids.filter(|id| Self::is_good_id(id)).collect())
    }

    /// Opens one of them.
    pub fn open(&self, id: &str) -> io::Result<Folder> {
        if !Self::is_good_id(id) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.root.top().open_below(id.as_bytes())
    }

    /// Begins a new one.
    pub fn begin(&self, _: Warrant<'_>, id: &str) -> io::Result<Unfinished<'_>> {
        let name = CString::new(format!("{UNFINISHED}{id}"))?;
        if !Self::is_good_id(id) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        mkdirat(self.root.top().handle(), name.as_c_str(), Mode::S_IRWXU)?;
        let folder = self.root.top().open_below(name.to_bytes())?;
        Ok(Unfinished { depot: self, id: id.to_owned(), name, folder })
    }

    /// Takes one away, if nothing but these files is in it. Answers how many bytes its files had.
    pub fn remove(&self, warrant: Warrant<'_>, id: &str, files: &[&str]) -> Result<u64, StaysError> {
        let folder = self.open(id)?;
        for name in names_in(&folder)? {
            let is_ours = name.to_str().is_ok_and(|name| files.contains(&name))
                && folder.look(&name)?.kind == Kind::File;
            if !is_ours {
                return Err(StaysError::Foreign(crate::text::printable(name.to_bytes())));
            }
        }
        let (old, going) = (
            CString::new(id).map_err(io::Error::from)?,
            CString::new(format!("{GOING}{id}")).map_err(io::Error::from)?,
        );
        let top = self.root.top();
        renameat2(
            top.handle(),
            old.as_c_str(),
            top.handle(),
            going.as_c_str(),
            RenameFlags::RENAME_NOREPLACE,
        )
        .map_err(io::Error::from)?;
        // Were the power to go now, half a backup must not come back under its name.
        rustix::fs::fsync(top.handle()).map_err(io::Error::from)?;
        Ok(take_away(warrant, top, &going)?)
    }

    /// Takes away what a killed run left half made or half gone, of those names that are ours; answers which, and
    /// whether each went.
    pub fn tidy(
        &self,
        warrant: Warrant<'_>,
        is_ours: impl Fn(&str) -> bool,
    ) -> io::Result<Vec<(String, io::Result<()>)>> {
        let mut tidied = Vec::new();
        for name in names_in(&self.root.top().open_below(b"")?)? {
            let id = name
                .to_str()
                .ok()
                .and_then(|name| name.strip_prefix(UNFINISHED).or(name.strip_prefix(GOING)));
            let is_folder = self.root.top().look(&name).is_ok_and(|look| look.kind == Kind::Folder);
            if let Some(id) = id.filter(|id| is_folder && is_ours(id)) {
                let gone = take_away(warrant, self.root.top(), &name).map(drop);
                tidied.push((id.to_owned(), gone));
            }
        }
        Ok(tidied)
    }
}

impl Unfinished<'_> {
    /// The name that it is to have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// It, held open.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A new file in it, for nobody else to read.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let name = CString::new(name)?;
        if name.to_bytes().contains(&b'/') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(File::from(openat(self.folder.handle(), name.as_c_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
    }

    /// Takes a file of it away again.
    pub fn discard(&self, warrant: Warrant<'_>, name: &str) -> io::Result<()> {
        let name = CString::new(name)?;
        let look = self.folder.look(&name)?;
        match remove_unclaimed(warrant, &self.folder, &name, &look) {
            Taken::Failed(error) => Err(error),
            Taken::Removed(_) | Taken::Vanished | Taken::Changed => Ok(()),
        }
    }

    /// The path of a file in it, for libraries that know nothing but paths.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.depot.root.path().join(self.name.to_string_lossy().as_ref()).join(name)
    }

    /// Gives it its name, durably. Its files must be on the disk by now.
    pub fn finish(self, warrant: Warrant<'_>) -> io::Result<()> {
        let top = self.depot.root.top();
        let id = CString::new(self.id.as_str())?;
        let named = rustix::fs::fsync(self.folder.handle()).map_err(io::Error::from).and_then(|()| {
            Ok(renameat2(
                top.handle(),
                self.name.as_c_str(),
                top.handle(),
                id.as_c_str(),
                RenameFlags::RENAME_NOREPLACE,
            )?)
        });
        if let Err(error) = named {
            self.give_up(warrant);
            return Err(error);
        }
        Ok(rustix::fs::fsync(top.handle())?)
    }

    /// Takes it away; what stays is met again by the next run.
    pub fn give_up(self, warrant: Warrant<'_>) {
        let _ = take_away(warrant, self.depot.root.top(), &self.name);
    }
}

/// Replaces a file in a folder, durably: a reader sees the old one or the new one.
pub fn replace_durably(_: Warrant<'_>, folder: &Folder, name: &str, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let (name, beside) = (CString::new(name)?, CString::new(format!("{name}.new"))?);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file =
        File::from(openat(folder.handle(), beside.as_c_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| {
        Ok(renameat2(
            folder.handle(),
            beside.as_c_str(),
            folder.handle(),
            name.as_c_str(),
            RenameFlags::empty(),
        )?)
    });
    if written.is_err() {
        let _ = nix::unistd::unlinkat(
            folder.handle(),
            beside.as_c_str(),
            nix::unistd::UnlinkatFlags::NoRemoveDir,
        );
    }
    written?;
    Ok(rustix::fs::fsync(folder.handle())?)
}

/// All names in a folder that no walk would enter.
pub(super) fn names_in(folder: &Folder) -> io::Result<Vec<CString>> {
    let mut buffer = vec![MaybeUninit::uninit(); LISTING_BUFFER];
    let folder = folder.open_below(b"")?;
    let mut listing = folder.listing(&mut buffer);
    let mut names = Vec::new();
    while let Some(listed) = listing.next() {
        let listed = listed?;
        if !listed.hidden {
            names.push(listed.name().to_owned());
        }
    }
    Ok(names)
}

/// Empties a folder of plain files and removes it. What else is in it stays, and the folder with it.
fn take_away(warrant: Warrant<'_>, above: &Folder, name: &CStr) -> io::Result<u64> {
    let folder = above.open_below(name.to_bytes())?;
    let mut bytes = 0;
    for file in names_in(&folder)? {
        let look = folder.look(&file)?;
        if look.kind != Kind::File {
            continue;
        }
        match remove_unclaimed(warrant, &folder, &file, &look) {
            Taken::Removed(last) => bytes += last.allocated,
            Taken::Failed(error) => return Err(error),
            Taken::Vanished | Taken::Changed => {}
        }
    }
    if remove_empty_folder(warrant, above, name)? {
        Ok(bytes)
    } else {
        Err(io::Error::other("it is not empty: something in it is not ours"))
    }
}
