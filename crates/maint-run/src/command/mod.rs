//! Running a program of somebody else's: found where only root or the caller could have put it, in an
//! environment of its own, with nothing to read, watched, and ended with all that it started.

mod output;
mod processes;
mod program;
mod start;
mod watch;

pub use output::Tail;
pub use processes::Process;
pub use program::{NoProgram, find};
pub(crate) use start::second_half;

use crate::report::Ended;
use maint_core::units::Span;
use output::Output;
use std::{io, path::Path};
use watch::Watch;

/// A program that was run.
#[derive(Debug)]
pub struct Performed {
    /// How it ended.
    pub ended: Ended,
    /// The end of what it printed.
    pub tail: Tail,
    /// What it left running.
    pub left: Vec<Process>,
}

/// Runs a program, called by the first of these words, to its end. It is stopped after `timeout`, by a signal to this run, or when `alarm` says why.
pub fn perform(
    program: &Path,
    words: &[String],
    timeout: Span,
    alarm: impl Fn() -> Option<String>,
) -> io::Result<Performed> {
    processes::adopt_orphans();
    let others = processes::below_us();
    let (reader, writer) = io::pipe()?;
    let output = Output::read(reader)?;
    let child = start::start(program, words, writer)?;
    let mut watch = Watch::over(child, others);
    let ended = watch.until_end(timeout, alarm);
    let tail = output.finish(&watch.left_behind());
    // Asked once more: some were just about to end.
    Ok(Performed { ended, tail, left: watch.left_behind() })
}
