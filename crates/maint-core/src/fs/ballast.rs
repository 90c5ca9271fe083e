//! Space held back for the moment when there is none: a file that takes its blocks and holds nothing.

use super::claim::{open_private, private_folder, private_name};
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
    unistd::geteuid,
};
use rustix::fs::{FallocateFlags, fallocate};
use std::{
    ffi::CStr,
    fs::File,
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
};

const NAME: &CStr = c"ballast";

/// What is written where a filesystem promises blocks without giving them: it must not be compressible.
const PIECE: usize = 1 << 20;

/// The ballast of a volume. Whoever has it open is alone with it.
#[derive(Debug)]
pub struct Ballast {
    file: File,
}

impl Ballast {
    /// Opens the ballast of what is mounted at `point`, making an empty one where there is none.
    pub fn open(point: &Path) -> io::Result<Self> {
        Self::open_in(point, |top| private_folder(top.as_fd(), &private_name()), OFlag::O_CREAT)
    }

    /// Opens the ballast if there is one: for a full disk, on which nothing can be made.
    pub fn find(point: &Path) -> io::Result<Option<Self>> {
        let open = |top: &OwnedFd| open_private(top.as_fd(), &private_name());
        match Self::open_in(point, open, OFlag::empty()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_in(
        point: &Path,
        folder: impl FnOnce(&OwnedFd) -> io::Result<OwnedFd>,
        more: OFlag,
    ) -> io::Result<Self> {
        let top = OwnedFd::from(File::open(point)?);
        let folder = folder(&top)?;
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | more;
        let file = File::from(openat(&folder, NAME, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let seen = file.metadata()?;
        let is_ours = seen.is_file() && seen.uid() == geteuid().as_raw() && seen.nlink() == 1;
        if !is_ours || seen.dev() != File::from(top).metadata()?.dev() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not a ballast of ours"));
        }
        // Another run that builds or gives up the same one does what there is to do.
        file.try_lock().map_err(io::Error::from)?;
        Ok(Self { file })
    }

    /// The bytes that it holds back.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks().saturating_mul(512))
    }

    /// Gives its space up; answers how much that was.
    pub fn give_up(&self) -> io::Result<u64> {
        let size = self.size()?;
        self.file.set_len(0)?;
        Ok(size)
    }

    /// Takes so many bytes, really: what could not be had in full is given up again.
    pub fn build(&mut self, size: u64) -> io::Result<()> {
        let built = self.take(size).and_then(|()| self.file.sync_all());
        if built.is_err() {
            let _ = self.file.set_len(0);
        }
        built
    }

    fn take(&mut self, size: u64) -> io::Result<()> {
        self.file.set_len(0)?;
        match fallocate(&self.file, FallocateFlags::empty(), 0, size) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Of data that has only just been promised some filesystems count no blocks yet.
        self.file.sync_all()?;
        if self.size()? >= size {
            return Ok(());
        }
        let mut noise = Noise(size ^ 0x9e37_79b9_7f4a_7c15);
        let mut piece = vec![0; PIECE];
        let mut left = size;
        while left > 0 {
            noise.fill(&mut piece);
            let now = left.min(PIECE as u64);
            self.file.write_all(&piece[..usize::try_from(now).unwrap_or(PIECE)])?;
            left -= now;
        }
        self.file.sync_all()
    }
}

/// Bytes that no compression makes smaller.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
