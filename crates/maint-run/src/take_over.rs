//! Getting a root's lock from a run that is in the way of an emergency: it is asked to give way, and if it
//! does not within ten seconds it is ended. Every run may be killed at any point; the next one tidies.

use crate::{report, signals};
use maint_core::{
    fs::{Lock, Root},
    text::printable,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::time::{Duration, Instant};

/// So long a run is given to end between two files.
const PATIENCE: Duration = Duration::from_secs(10);
/// A killed one is gone after this, or waits for its disk.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(50);

/// The words that a run in an emergency leaves in its lock: nobody takes anything from it.
pub(crate) const EMERGENCY: &str = " --emergency";

/// Why somebody keeps the lock.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InTheWay {
    /// He does what we are about to do.
    #[error("that is an emergency run too")]
    Emergency,
    /// He cannot be made to give way.
    #[error("{0}")]
    Immovable(String),
}

/// Waits until `take` gets the lock that somebody else holds, having made him give way. An error says why
/// it could not be had.
pub(crate) fn from_holder<T>(
    root: &Root,
    told: &str,
    mut take: impl FnMut() -> Option<T>,
) -> Result<T, InTheWay> {
    let holder = verified(root, told)?;
    let mut wait = |patience: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < patience && !signals::asked_to_stop() {
            if let Some(taken) = take() {
                return Some(taken);
            }
            std::thread::sleep(STEP);
        }
        None
    };
    let send = |signal| {
        kill(holder, signal).map_err(|errno| {
            InTheWay::Immovable(format!("process {holder} cannot be asked to give way: {errno}"))
        })
    };
    send(signals::GIVE_WAY)?;
    if let Some(taken) = wait(PATIENCE) {
        return Ok(taken);
    }
    if verified(root, told)? != holder {
        return Err(InTheWay::Immovable("somebody else has it now".to_owned()));
    }
    log::warn!("process {holder} did not give way within {} s: it is ended", PATIENCE.as_secs());
    send(Signal::SIGKILL)?;
    wait(LAST_PATIENCE)
        .ok_or_else(|| InTheWay::Immovable(format!("process {holder} does not end: it waits for its disk")))
}

/// The process that holds the lock, if it is one of these programs at its everyday work: what its lock
/// says, what the kernel says of the lock, and what is running there must agree.
fn verified(root: &Root, told: &str) -> Result<Pid, InTheWay> {
    let immovable = |why: &str| InTheWay::Immovable(why.to_owned());
    let pid = Lock::holder(root).map_err(|error| immovable(&report::chain(&error)))?;
    let pid = pid.ok_or_else(|| immovable("the kernel does not say here which process that is"))?;
    let running = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let running = String::from_utf8_lossy(running.trim_ascii_end()).into_owned();
    // The kernel keeps fifteen bytes of a program's name.
    let is_told = told.contains(&format!("pid {pid},")) && told.contains(&running);
    if running.is_empty() || !is_told {
        let running = printable(running.as_bytes());
        let why = format!("it is held by process {pid} ({running}), which is no run that could be asked");
        return Err(InTheWay::Immovable(why));
    }
    if told.contains(EMERGENCY) {
        return Err(InTheWay::Emergency);
    }
    i32::try_from(pid).map(Pid::from_raw).map_err(|_| immovable("its number is none of a process"))
}
