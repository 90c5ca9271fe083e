//! Watching a command until it ends, and stopping one that does not, or must not go on.

use super::processes::{Process, below_us};
use crate::{report::Ended, signals};
use maint_core::units::Span;
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use std::{
    os::unix::process::ExitStatusExt as _,
    process::Child,
    time::{Duration, Instant},
};

const STEP: Duration = Duration::from_millis(20);
/// The alarm is asked about so often.
const BETWEEN_ALARMS: Duration = Duration::from_secs(1);
/// So long a command is given to end in order …
const PATIENCE: Duration = Duration::from_secs(5);
/// … and a killed one is gone after this, or waits for its disk.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// A command under way.
pub(super) struct Watch {
    child: Child,
    group: Pid,
    /// What earlier commands left running is not this one's.
    others: Vec<Process>,
}

impl Watch {
    /// Over a command that has just been started, beside `others`.
    pub(super) fn over(child: Child, others: Vec<Process>) -> Self {
        // The kernel gives no number beyond this.
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        Self { child, group, others }
    }

    /// Waits for its end. It is stopped after `timeout`, by a signal to this run, or when `alarm` says why.
    pub(super) fn until_end(&mut self, timeout: Span, alarm: impl Fn() -> Option<String>) -> Ended {
        let begun = Instant::now();
        let mut asked = begun;
        while !self.has_ended() {
            if signals::asked_to_stop() {
                return self.stop(Signal::SIGTERM, "because this run was asked to end");
            }
            if begun.elapsed() >= Duration::from_secs(timeout.seconds()) {
                return self.stop(Signal::SIGTERM, &format!("because it took longer than {timeout}"));
            }
            if asked.elapsed() >= BETWEEN_ALARMS {
                asked = Instant::now();
                if let Some(why) = alarm() {
                    return self.stop(Signal::SIGTERM, &why);
                }
            }
            std::thread::sleep(STEP);
        }
        match self.child.wait() {
            Ok(status) => match status.code() {
                Some(code) => Ended::Exited(code),
                None => Ended::Killed(status.signal().unwrap_or(0)),
            },
            Err(error) => Ended::Stopped(format!("and how it ended cannot be told: {error}")),
        }
    }

    /// What it left running.
    pub(super) fn left_behind(&self) -> Vec<Process> {
        below_us(&self.others)
    }

    /// Whether it has ended. It is not buried yet: until then nobody else gets its number.
    pub(super) fn has_ended(&self) -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.group), look), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
    }

    /// Ends it and all that it started.
    pub(super) fn stop(&mut self, first: Signal, why: &str) -> Ended {
        self.send(first);
        // Who has been halted hears nothing before he goes on.
        self.send(Signal::SIGCONT);
        let mut how = "";
        if !self.is_gone_within(PATIENCE) {
            how = "; it did not end when asked to and was killed";
            self.send(Signal::SIGKILL);
            if !self.is_gone_within(LAST_PATIENCE) {
                how = "; it does not even end when killed, and waits for its disk";
            }
        }
        // Never waiting: what hangs in the kernel would take this run with it.
        let _ = self.child.try_wait();
        Ended::Stopped(format!("{why}{how}"))
    }

    pub(super) fn send(&self, signal: Signal) {
        // Its group at once; who has left it, one by one. Some are gone by now.
        let _ = killpg(self.group, signal);
        for process in self.left_behind() {
            if nix::unistd::getpgid(Some(process.pid)) != Ok(self.group) {
                let _ = kill(process.pid, signal);
            }
        }
    }

    fn is_gone_within(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        while !self.left_behind().is_empty() {
            if begun.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(STEP);
        }
        true
    }
}
