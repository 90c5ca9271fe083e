//! Standard output and standard error. A reader that went away is no reason to panic, and no reason to
//! stop a run half-way.

use std::io::{self, Write as _};

/// Prints the result.
pub fn result(text: &str) {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        log::error!("the report could not be printed: {error}");
    }
}

/// Prints bytes as they are, for programs; answers whether anybody still reads.
pub fn raw(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(bytes).is_ok()
}

/// Prints what comes before there is a log: usage and configuration errors.
pub fn complaint(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
}

/// Overwrites the last line of a terminal.
pub(crate) fn progress(line: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{line}");
}
