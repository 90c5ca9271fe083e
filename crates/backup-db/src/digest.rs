//! Files on their way to the disk and back: compressed, counted, hashed.

use maint_core::text::hex;
use maint_db::backup::FileEntry;
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
};

/// A writer or reader that knows what went through it.
pub(crate) struct Digest<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Digest<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// What it is around, how many bytes went through, and their hash.
    pub(crate) fn finish(self) -> (T, u64, String) {
        (self.inner, self.bytes, hex(&self.hash.finalize()))
    }
}

impl<W: Write> Write for Digest<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Digest<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// What is copied at once.
const BUFFER: usize = 256 << 10;

/// Copies all of it; `go_on` says between two pieces why not to.
pub(crate) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    stop: impl Fn() -> Option<String>,
) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(why) = stop() {
            return Err(io::Error::other(why));
        }
    }
}

/// A file that goes to the disk as it is written. Left to the end, all of it would go at once, and whoever else waits
/// for the same disk, a database at its commit, would wait for that.
struct Steady {
    file: File,
    unwritten: usize,
}

/// So much waits for the disk at most: milliseconds of it.
const AT_ONCE: usize = 4 << 20;

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unwritten += written;
        if self.unwritten >= AT_ONCE {
            self.file.sync_data()?;
            self.unwritten = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes everything that comes into a compressed file, with a checksum of its own, to the disk.
pub(crate) fn compress(
    from: &mut impl Read,
    file: File,
    name: &str,
    level: i32,
    stop: impl Fn() -> Option<String>,
) -> io::Result<FileEntry> {
    let mut encoder = zstd::Encoder::new(Digest::new(Steady { file, unwritten: 0 }), level)?;
    encoder.include_checksum(true)?;
    let plain = copy(from, &mut encoder, stop)?;
    let (steady, bytes, sha256) = encoder.finish()?.finish();
    steady.file.sync_all()?;
    Ok(FileEntry { name: name.to_owned(), bytes, sha256, plain_bytes: Some(plain) })
}

/// Writes a small file to the disk.
pub(crate) fn write(file: File, name: &str, content: &[u8]) -> io::Result<FileEntry> {
    let mut digest = Digest::new(file);
    digest.write_all(content)?;
    let (file, bytes, sha256) = digest.finish();
    file.sync_all()?;
    Ok(FileEntry { name: name.to_owned(), bytes, sha256, plain_bytes: None })
}

/// Whether a file is what was written, every byte of it.
pub(crate) fn check(file: File, entry: &FileEntry, stop: impl Fn() -> Option<String>) -> Result<(), String> {
    let mut digest = Digest::new(file);
    copy(&mut digest, &mut io::sink(), stop)
        .map_err(|error| format!("{} cannot be read: {error}", entry.name))?;
    let (_, bytes, sha256) = digest.finish();
    if bytes != entry.bytes {
        return Err(format!("{} has {bytes} bytes, and had {}", entry.name, entry.bytes));
    }
    if sha256 != entry.sha256 {
        return Err(format!("{} is not what was written: its SHA-256 is another one", entry.name));
    }
    Ok(())
}

/// Writes what was compressed, as it was, and makes sure that all of it came.
pub(crate) fn expand(
    from: File,
    to: &mut File,
    entry: &FileEntry,
    stop: impl Fn() -> Option<String>,
) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", entry.name);
    let mut digest = Digest::new(from);
    let mut decoder = zstd::Decoder::new(&mut digest).map_err(unreadable)?.single_frame();
    let plain = copy(&mut decoder, to, stop).map_err(unreadable)?;
    drop(decoder);
    copy(&mut digest, &mut io::sink(), || None).map_err(unreadable)?;
    let (_, bytes, sha256) = digest.finish();
    if (bytes, Some(plain), &sha256) == (entry.bytes, entry.plain_bytes, &entry.sha256) {
        Ok(())
    } else {
        Err(format!("{} is not what was written", entry.name))
    }
}
