//! Putting a file of ours into a folder that may be somebody else's. Its owner may change anything in it at any
//! moment, so everything goes by handle: what is written has no name until it is complete, what is already there is
//! never replaced, and whoever swaps a name for a link leads nobody anywhere.
#![expect(
    clippy::disallowed_methods,
    reason = "what is renamed or unlinked here is put aside first, or was made here"
)]

use super::{Folder, Root};
use crate::entry::Look;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2},
    sys::stat::{Mode, fchmod},
    unistd::{Gid, Uid, UnlinkatFlags, fchown, linkat, unlinkat},
};
use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::AsRawFd as _,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

/// A place for a file in a folder.
pub struct Landing {
    root: Root,
    name: Vec<u8>,
}

/// A file that has no name yet, or one that nobody knows.
pub struct Unnamed<'l> {
    landing: &'l Landing,
    file: File,
    /// Where the filesystem knows no files without a name.
    named: Option<CString>,
}

impl Landing {
    /// The place at a path, whose folder must be there.
    pub fn at(path: &Path) -> Result<Self, String> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(format!("{} names no file", crate::text::shown_path(path)));
        };
        let root = Root::to_look(above).map_err(|error| error.to_string())?;
        Ok(Self { root, name: name.as_bytes().to_vec() })
    }

    fn folder(&self) -> &Folder {
        self.root.top()
    }

    fn named(&self, end: &str) -> io::Result<CString> {
        Ok(CString::new([&self.name, end.as_bytes()].concat())?)
    }

    /// What lies there under the name with this end; a link is looked at and not followed.
    pub fn look(&self, end: &str) -> io::Result<Option<Look>> {
        match self.folder().look(&self.named(end)?) {
            Ok(look) => Ok(Some(look)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The owner, group and permissions of what lies there.
    pub fn owner(&self) -> io::Result<(u32, u32, u32)> {
        use std::os::unix::fs::MetadataExt as _;
        let (file, _) = self.folder().open_file(&self.named("")?)?;
        let seen = file.metadata()?;
        Ok((seen.uid(), seen.gid(), seen.mode() & 0o777))
    }

    /// Its path, for a person.
    pub fn path(&self, end: &str) -> PathBuf {
        let name = [&self.name, end.as_bytes()].concat();
        self.root.path().join(std::ffi::OsString::from_vec(name))
    }

    /// Begins a file, for nobody else to read.
    pub fn begin(&self) -> io::Result<Unnamed<'_>> {
        let (own, flags) = (Mode::S_IRUSR | Mode::S_IWUSR, OFlag::O_RDWR | OFlag::O_CLOEXEC);
        let (file, named) = match openat(self.folder().handle(), c".", flags | OFlag::O_TMPFILE, own) {
            Ok(file) => (file, None),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => {
                let name = CString::new(format!(".maint-landing-{}", std::process::id()))?;
                let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
                (openat(self.folder().handle(), name.as_c_str(), flags, own)?, Some(name))
            }
            Err(errno) => return Err(errno.into()),
        };
        Ok(Unnamed { landing: self, file: file.into(), named })
    }

    /// Puts aside what lies there, with all that lies beside it under these ends, and answers what it is called now.
    /// First everything has a second name, and only then it loses the first: whenever this is cut short, all of it is
    /// in one place or the other, together.
    pub fn put_aside(&self, ends: &[&str], moment: &str) -> io::Result<PathBuf> {
        let folder = self.folder();
        let aside =
            |n: u32| if n == 0 { format!(".replaced-{moment}") } else { format!(".replaced-{moment}-{n}") };
        let all: Vec<&str> = std::iter::once("").chain(ends.iter().copied()).collect();
        let there = |end: &&str| matches!(self.look(end), Ok(Some(_)));
        let all: Vec<&str> = all.into_iter().filter(there).collect();
        // A set must not be mixed with another one.
        let free = (0..1000).map(aside).find(|aside| {
            let is_free = |end: &str| matches!(self.look(&format!("{aside}{end}")), Ok(None));
            is_free("") && ends.iter().all(|end| is_free(end))
        });
        let aside = free.ok_or(io::ErrorKind::AlreadyExists)?;
        let names = |end: &str| Ok::<_, io::Error>((self.named(end)?, self.named(&format!("{aside}{end}"))?));
        let take_back = |linked: &[&str]| {
            for end in linked {
                // One file under two names is no copy, and SQLite keeps a log for each name.
                let Ok((old, new)) = names(end) else { continue };
                let _ = linkat(
                    folder.handle(),
                    new.as_c_str(),
                    folder.handle(),
                    old.as_c_str(),
                    AtFlags::empty(),
                );
                let _ = unlinkat(folder.handle(), new.as_c_str(), UnlinkatFlags::NoRemoveDir);
            }
        };
        for (n, end) in all.iter().enumerate() {
            let (old, new) = names(end)?;
            if let Err(errno) =
                linkat(folder.handle(), old.as_c_str(), folder.handle(), new.as_c_str(), AtFlags::empty())
            {
                take_back(&all[..n]);
                return Err(errno.into());
            }
        }
        let gone = rustix::fs::fsync(folder.handle()).map_err(io::Error::from).and_then(|()| {
            all.iter().try_for_each(|end| {
                Ok(unlinkat(folder.handle(), names(end)?.0.as_c_str(), UnlinkatFlags::NoRemoveDir)?)
            })
        });
        if let Err(error) = gone {
            take_back(&all);
            return Err(error);
        }
        Ok(self.path(&aside))
    }
}

impl Unnamed<'_> {
    /// To write into it.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it an owner and permissions.
    pub fn give_to(&self, user: u32, group: u32, mode: u32) -> io::Result<()> {
        fchown(&self.file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        Ok(fchmod(&self.file, Mode::from_bits_truncate(mode))?)
    }

    /// Gives it its name, durably. What has come there meanwhile is not replaced.
    pub fn land(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let folder = self.landing.folder();
        let name = self.landing.named("")?;
        match &self.named {
            None => {
                let itself = CString::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
                linkat(
                    AT_FDCWD,
                    itself.as_c_str(),
                    folder.handle(),
                    name.as_c_str(),
                    AtFlags::AT_SYMLINK_FOLLOW,
                )?;
            }
            Some(own) => {
                renameat2(
                    folder.handle(),
                    own.as_c_str(),
                    folder.handle(),
                    name.as_c_str(),
                    RenameFlags::RENAME_NOREPLACE,
                )?;
                self.named = None;
            }
        }
        Ok(rustix::fs::fsync(folder.handle())?)
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.named {
            let _ = unlinkat(self.landing.folder().handle(), name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}
