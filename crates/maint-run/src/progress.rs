//! One line on a terminal that says how far a run has come.

use crate::screen;
use maint_core::{prune::Progress, text::grouped};
use std::{
    io::IsTerminal as _,
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

/// Often enough to look alive, seldom enough to cost nothing.
const PERIOD: Duration = Duration::from_millis(500);

/// The end of a long name: the line must not be wider than a terminal, or it scrolls.
fn end_of(name: &str) -> String {
    const WIDEST: usize = 35;
    let length = name.chars().count();
    if length <= WIDEST {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(length - WIDEST).collect::<String>())
    }
}

/// Does `work`, and where `wanted` and standard error is a terminal shows how far it has come.
pub fn watch<R>(wanted: bool, name: &str, progress: &Progress, work: impl FnOnce() -> R) -> R {
    if !wanted || !std::io::stderr().is_terminal() {
        return work();
    }
    std::thread::scope(|scope| {
        let (done, waits) = channel::<()>();
        scope.spawn(move || {
            let mut shown = false;
            while waits.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                let (scanned, removed) = (grouped(progress.scanned()), grouped(progress.removed()));
                screen::progress(&format!("{}: {scanned} looked at, {removed} removed", end_of(name)));
                shown = true;
            }
            if shown {
                screen::progress("");
            }
        });
        let result = work();
        drop(done);
        result
    })
}
