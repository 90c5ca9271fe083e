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
    unistd::{Gid, Uid, User, setgid, setgroups, setsid, setuid},
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, PipeWriter},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

/// What the program is called while it is about to become a command.
const HALF_STARTED: &str = "maint-command";
/// What stands in the place of a user when nobody else is to be become.
const SAME_USER: &str = "-";
/// What a shell exits with when it cannot run a program.
const CANNOT_RUN: u8 = 126;

/// A program and all that it is given.
pub struct Spawn<'a> {
    program: &'a Path,
    words: &'a [String],
    environment: Vec<(&'static str, OsString)>,
    user: Option<User>,
    input: Option<File>,
}

impl<'a> Spawn<'a> {
    /// A program, called by the first of these words.
    pub fn new(program: &'a Path, words: &'a [String]) -> Self {
        Self { program, words, environment: Vec::new(), user: None, input: None }
    }

    /// With these variables beside the three that every command has.
    #[must_use]
    pub fn with(mut self, environment: Vec<(&'static str, OsString)>) -> Self {
        self.environment = environment;
        self
    }

    /// As somebody else, whom only root can become.
    #[must_use]
    pub fn by(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// With something to read.
    #[must_use]
    pub fn reading(mut self, input: File) -> Self {
        self.input = Some(input);
        self
    }

    /// Starts it: what it prints goes into a pipe, and its result into one of its own if there is one.
    pub(super) fn start(&self, result: Option<PipeWriter>, output: PipeWriter) -> io::Result<Child> {
        let user = match &self.user {
            Some(user) => Some(user.clone()),
            None => User::from_uid(Uid::effective()).ok().flatten(),
        };
        let who = self
            .user
            .as_ref()
            .map_or_else(|| SAME_USER.to_owned(), |user| format!("{}:{}", user.uid, user.gid));
        let input =
            self.input.as_ref().map_or(Ok(Stdio::null()), |file| file.try_clone().map(Stdio::from))?;
        let result = result.map_or_else(|| output.try_clone().map(Stdio::from), |pipe| Ok(pipe.into()))?;
        Command::new("/proc/self/exe")
            .arg0(HALF_STARTED)
            .arg(who)
            .arg(self.program)
            .args(self.words)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C.UTF-8")])
            .env("HOME", user.map_or_else(|| "/".into(), |user| user.dir))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Not where the caller stands: no volume is kept busy.
            .current_dir("/")
            .stdin(input)
            .stdout(result)
            .stderr(output)
            .spawn()
    }
}

/// The rest of starting, in the process that becomes the command; none if this is another one. An exit code
/// means that the command could not be run.
pub(crate) fn second_half() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    if words.next()? != HALF_STARTED {
        return None;
    }
    // As whom, what it really is, and what it is called: some programs go by that.
    let (who, program, name) = (words.next()?, words.next()?, words.next()?);
    // A group of its own, to be ended as one, and no terminal to ask anything.
    let _ = setsid();
    if let Err(errno) = become_user(&who) {
        screen::complaint(&format!(
            "{} cannot be run as another user: {errno}",
            printable(program.as_bytes())
        ));
        return Some(ExitCode::from(CANNOT_RUN));
    }
    // Were the run killed, nobody would watch the command any more.
    let _ = prctl::set_pdeathsig(Signal::SIGTERM);
    let _ = SigSet::empty().thread_set_mask();
    let error = Command::new(&program).arg0(name).args(words).exec();
    screen::complaint(&format!("{} cannot be run: {error}", printable(program.as_bytes())));
    Some(ExitCode::from(CANNOT_RUN))
}

/// Becomes `UID:GID`, and nothing of what this user could do stays.
fn become_user(who: &OsStr) -> nix::Result<()> {
    if who == SAME_USER {
        return Ok(());
    }
    let ids = who.to_str().and_then(|who| who.split_once(':'));
    let ids = ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let (uid, gid) = ids.ok_or(nix::errno::Errno::EINVAL)?;
    let gid = Gid::from_raw(gid);
    setgroups(&[gid])?;
    setgid(gid)?;
    setuid(Uid::from_raw(uid))
}
