//! SIGINT and SIGTERM ask a run to end between two files. A second one ends it at once, which is as safe
//! as a power cut: the next run tidies. One that comes at the same moment is the same request, told by a
//! script and by whoever ends the script's whole group. SIGUSR1 asks it to give way to an emergency run, in the same way.

use crate::exit;
use nix::sys::signal::{SigSet, Signal};
use std::{
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
    time::{Duration, Instant},
};

static ASKED: AtomicI32 = AtomicI32::new(0);
static GIVES_WAY: AtomicBool = AtomicBool::new(false);

/// A second signal within this is the first one once more.
const SAME_MOMENT: Duration = Duration::from_millis(500);

/// What an emergency run sends to a run that is in its way.
pub(crate) const GIVE_WAY: Signal = Signal::SIGUSR1;

fn awaited() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, GIVE_WAY].into_iter().collect()
}

/// Holds the signals back; to be called before any thread starts, so that all inherit it. A limit on the size of files
/// is an error of the write that meets it, and no end without a report.
pub(crate) fn hold() {
    let mut held = awaited();
    held.add(Signal::SIGXFSZ);
    if let Err(errno) = held.thread_block() {
        log::debug!("signals cannot be held back: {errno}");
    }
}

/// Starts listening for them.
pub(crate) fn listen() {
    let listener = std::thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let mut asked: Option<Instant> = None;
        while let Ok(signal) = awaited().wait() {
            if signal == GIVE_WAY {
                GIVES_WAY.store(true, Ordering::Relaxed);
                continue;
            }
            match asked {
                None => {
                    asked = Some(Instant::now());
                    ASKED.store(signal as i32, Ordering::Relaxed);
                }
                Some(at) if at.elapsed() > SAME_MOMENT => leave_at_once(signal as i32),
                Some(_) => {}
            }
        }
    });
    if let Err(error) = listener {
        log::debug!("no thread to listen for signals: {error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the second Ctrl-C must not wait for anything")]
fn leave_at_once(signal: i32) {
    std::process::exit(exit::interrupted(signal).into());
}

/// Whether the run has been asked to end.
pub fn asked_to_stop() -> bool {
    signal().is_some() || gives_way()
}

/// Whether it ends because an emergency run needs its place.
pub fn gives_way() -> bool {
    GIVES_WAY.load(Ordering::Relaxed)
}

/// By which signal.
pub(crate) fn signal() -> Option<i32> {
    Some(ASKED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}
