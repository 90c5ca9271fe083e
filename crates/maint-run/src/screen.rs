//! Standard output and standard error. A reader that went away is no reason to panic, and no reason to
//! stop a run half-way.

use std::{
    io::{self, BufWriter, Write as _},
    sync::{Mutex, PoisonError},
};

/// Prints the result. Nobody reading any more is fine; anything else is an error.
pub fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    unless_unread(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn unless_unread(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// A result that is printed as it comes, whole lines at a time, by several threads.
pub struct Stream {
    out: Mutex<(BufWriter<io::Stdout>, Option<io::Error>)>,
}

impl Stream {
    /// To standard output.
    pub fn new() -> Self {
        Self { out: Mutex::new((BufWriter::with_capacity(64 << 10, io::stdout()), None)) }
    }

    /// Prints bytes as they are; answers whether it makes sense to go on.
    pub fn push(&self, bytes: &[u8]) -> bool {
        let (out, failed) = &mut *self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            *failed = out.write_all(bytes).err();
        }
        failed.is_none()
    }

    /// Ends it, and says whether all of it arrived. Nobody reading any more is fine.
    pub fn finish(self) -> io::Result<()> {
        let (mut out, failed) = self.out.into_inner().unwrap_or_else(PoisonError::into_inner);
        unless_unread(failed.map_or_else(|| out.flush(), Err))
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints what comes before there is a log: usage and configuration errors.
pub fn complaint(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
}

/// Overwrites the last line of a terminal.
pub(crate) fn progress(line: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{line}");
}
