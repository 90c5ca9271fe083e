//! One run of a tool at a time, for tools that work on no root whose lock could say so.

use maint_core::{
    fs::lock_file,
    text::{printable, shown_path},
};
use std::{
    fs::{File, TryLockError},
    io::{Read as _, Write as _},
    path::Path,
};

/// No other run of this tool is at work, as long as this value lives.
#[derive(Debug)]
pub struct Alone {
    /// None where no lock is to be had: an emergency must not wait for a folder.
    _held: Option<File>,
}

impl Alone {
    /// Takes the lock of a tool in the runtime folder; an error says who has it.
    pub(crate) fn take(tool: &str, folder: &Path, who: &str) -> Result<Self, String> {
        let path = folder.join(format!("{tool}.lock"));
        let without = |error: std::io::Error| {
            log::warn!(
                "{} takes no lock: whether another run is at work is not known: {error}",
                shown_path(&path)
            );
            Ok(Self { _held: None })
        };
        let mut file = match lock_file(&path) {
            Ok(file) => file,
            Err(error) => return without(error),
        };
        match file.try_lock() {
            Ok(()) => {
                // What cannot be written here costs a courtesy, not the run.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{who}"));
                Ok(Self { _held: Some(file) })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = Vec::new();
                let _ = file.take(400).read_to_end(&mut holder);
                let holder = printable(holder.trim_ascii_end());
                // Who has just taken it has not written yet who he is.
                let holder = if holder.is_empty() { holder } else { format!(": {holder}") };
                Err(format!("another run is at work{holder}"))
            }
            Err(TryLockError::Error(error)) => without(error),
        }
    }
}
