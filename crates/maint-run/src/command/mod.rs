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

pub use start::Spawn;

use crate::report::Ended;
use maint_core::units::Span;
use nix::sys::signal::Signal;
use output::Output;
use std::io::{self, PipeReader};
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

/// Runs a program to its end. It is stopped after `timeout`, by a signal to this run, or when `alarm` says why.
pub fn perform(
    spawn: &Spawn<'_>,
    timeout: Span,
    alarm: impl Fn() -> Option<String>,
) -> io::Result<Performed> {
    let mut running = Running::begin(spawn)?;
    let ended = running.watch.until_end(timeout, alarm);
    let tail = running.output.finish(&running.watch.left_behind());
    // Asked once more: some were just about to end.
    Ok(Performed { ended, tail, left: running.watch.left_behind() })
}

/// The same for a program whose standard output is what it is run for: `consume` is given it in a thread of
/// its own. What the program leaves running is ended, for it would hold the output open.
pub fn stream<T: Send>(
    spawn: &Spawn<'_>,
    timeout: Span,
    alarm: impl Fn() -> Option<String>,
    consume: impl FnOnce(PipeReader) -> T + Send,
) -> io::Result<(Performed, T)> {
    let (result, into_result) = io::pipe()?;
    let mut running = Running::start(spawn, Some(into_result))?;
    std::thread::scope(|scope| {
        let consumer = std::thread::Builder::new().spawn_scoped(scope, || consume(result))?;
        let ended = running.watch.until_end(timeout, alarm);
        let left = running.watch.left_behind();
        if !left.is_empty() {
            running.watch.send(Signal::SIGKILL);
        }
        let tail = running.output.finish(&left);
        let consumed = consumer.join().map_err(|_| io::Error::other("its output could not be taken"))?;
        Ok((Performed { ended, tail, left }, consumed))
    })
}

/// A program that runs beside this one, until it is told to end.
pub struct Running {
    watch: Watch,
    output: Output,
}

impl Running {
    /// Starts it.
    pub fn begin(spawn: &Spawn<'_>) -> io::Result<Self> {
        Self::start(spawn, None)
    }

    fn start(spawn: &Spawn<'_>, result: Option<io::PipeWriter>) -> io::Result<Self> {
        processes::adopt_orphans();
        let others = processes::below_us(&[]);
        let (reader, writer) = io::pipe()?;
        let output = Output::read(reader)?;
        let child = spawn.start(result, writer)?;
        Ok(Self { watch: Watch::over(child, others), output })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.watch.has_ended()
    }

    /// Ends it by this signal, with all that it started, and gives the end of what it printed.
    pub fn end(mut self, signal: Signal) -> Tail {
        self.watch.stop(signal, "");
        self.output.finish(&[])
    }
}
