//! What a command prints: all of it is read, so that it never waits for us, and the end of it is kept.

use super::processes::Process;
use maint_core::text::{grouped, printable};
use std::{
    io::{self, PipeReader, Read as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// So much of the end is kept …
const KEPT: usize = 4 << 10;
/// … and of that so many lines are told.
const LINES: usize = 24;
/// Whom a command left running may hold its output open for ever: what was printed has come after this.
const GRACE: Duration = Duration::from_millis(200);
/// Otherwise it ends by itself, as soon as a busy machine comes to it.
const LONG_GRACE: Duration = Duration::from_secs(5);

/// Output that is being read.
pub(super) struct Output {
    tail: Arc<Mutex<Tail>>,
    closed: Receiver<()>,
    is_over: Arc<AtomicBool>,
}

/// The end of what was printed.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    left_out: u64,
}

impl Output {
    /// Reads a pipe in a thread of its own: it may be held open for ever by whom the command left behind.
    pub(super) fn read(pipe: PipeReader) -> io::Result<Self> {
        let (tail, is_over) = (Arc::<Mutex<Tail>>::default(), Arc::<AtomicBool>::default());
        let (end, closed) = channel();
        let its = (Arc::clone(&tail), Arc::clone(&is_over));
        std::thread::Builder::new().spawn(move || drain(pipe, &its.0, &its.1, &end))?;
        Ok(Self { tail, closed, is_over })
    }

    /// The end of what came, now that the command has ended and `left` these running.
    pub(super) fn finish(self, left: &[Process]) -> Tail {
        let _ = self.closed.recv_timeout(if left.is_empty() { LONG_GRACE } else { GRACE });
        self.is_over.store(true, Ordering::Relaxed);
        std::mem::take(&mut *self.tail.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn drain(mut pipe: PipeReader, tail: &Mutex<Tail>, is_over: &AtomicBool, end: &Sender<()>) {
    let mut buffer = vec![0; 64 << 10];
    while !is_over.load(Ordering::Relaxed) {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                tail.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // Nobody may be waiting for it any more.
    let _ = end.send(());
}

impl Tail {
    /// What it printed, if all of it was kept.
    pub fn whole(&self) -> Option<String> {
        (self.left_out == 0).then(|| String::from_utf8_lossy(&self.bytes).into_owned())
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let over = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..over);
        self.left_out += over as u64;
    }

    /// The last lines, safe to print.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.bytes.split(|b| matches!(b, b'\n' | b'\r')).map(<[u8]>::trim_ascii_end);
        // Where the beginning is cut off the first line is none.
        let lines: Vec<&[u8]> =
            lines.skip(usize::from(self.left_out > 0)).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        let mut told: Vec<String> = last
            .chunk_by(|line, next| line == next)
            .map(|same| match same.len() {
                1 => printable(same[0]),
                times => format!("{} [{times} times]", printable(same[0])),
            })
            .collect();
        if last.is_empty() && !self.bytes.is_empty() && self.left_out > 0 {
            told.push(printable(&self.bytes));
        }
        if self.left_out > 0 || last.len() < lines.len() {
            let all = self.left_out + self.bytes.len() as u64;
            told.insert(0, format!("[the end of {} bytes]", grouped(all)));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(parts: &[&[u8]]) -> Tail {
        let mut tail = Tail::default();
        for part in parts {
            tail.push(part);
        }
        tail
    }

    #[test]
    fn little_is_told_in_full() {
        assert_eq!(tail(&[b"one\ntw", b"o\x1b\r\n\n"]).lines(), ["one", "two\\x1b"]);
        assert!(tail(&[]).lines().is_empty());
    }

    #[test]
    fn what_repeats_itself_is_told_once() {
        assert_eq!(tail(&[b"a\ny\ny\ny\nb\n"]).lines(), ["a", "y [3 times]", "b"]);
    }

    #[test]
    fn of_much_the_end_is_told() {
        let flood = tail(&[&b"one\ntwo\n".repeat(100_000), b"last\n"]);
        let lines = flood.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES + 1, "[the end of 800,005 bytes]"));
        assert_eq!(lines.last().map(String::as_str), Some("last"));
        assert!(flood.bytes.len() <= KEPT && flood.bytes.capacity() < 2 << 20);
        let one_line = tail(&[&[b'x'; 10_000]]).lines();
        assert_eq!((one_line.len(), one_line[1].len()), (2, KEPT));
    }
}
