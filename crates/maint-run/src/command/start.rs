//! Starting a command: in an environment of its own, with nothing to read, cut off from the terminal.
//!
//! Signals are held back in this process, and what it starts would inherit that: such a command could not be
//! ended by SIGTERM. A process can only undo this for itself. So the program starts itself again, undoes it
//! there, and becomes the command.

use super::program::PATH;
use crate::screen;
use maint_core::text::printable;
use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal},
    },
    unistd::{Uid, User, setsid},
};
use std::{
    io::{self, PipeWriter},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

/// What the program is called while it is about to become a command.
const HALF_STARTED: &str = "maint-command";
/// What a shell exits with when it cannot run a program.
const CANNOT_RUN: u8 = 126;

/// Starts a command whose output goes into a pipe.
pub(super) fn start(program: &Path, words: &[String], output: PipeWriter) -> io::Result<Child> {
    let home = User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir);
    Command::new("/proc/self/exe")
        .arg0(HALF_STARTED)
        .arg(program)
        .args(words)
        .env_clear()
        .envs([("PATH", PATH), ("LANG", "C.UTF-8")])
        .env("HOME", home.unwrap_or_else(|| "/".into()))
        // Not where the caller stands: no volume is kept busy.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
}

/// The rest of starting, in the process that becomes the command; none if this is another one. An exit code
/// means that the command could not be run.
pub(crate) fn second_half() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    if words.next()? != HALF_STARTED {
        return None;
    }
    // What it really is, and what it is called: some programs go by that.
    let (program, name) = (words.next()?, words.next()?);
    // A group of its own, to be ended as one, and no terminal to ask anything.
    let _ = setsid();
    // Were the run killed, nobody would watch the command any more.
    let _ = prctl::set_pdeathsig(Signal::SIGTERM);
    let _ = SigSet::empty().thread_set_mask();
    let error = Command::new(&program).arg0(name).args(words).exec();
    screen::complaint(&format!("{} cannot be run: {error}", printable(program.as_bytes())));
    Some(ExitCode::from(CANNOT_RUN))
}
