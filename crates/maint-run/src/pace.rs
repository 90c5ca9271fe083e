//! How fast a run goes: a rate, and a pause while others wait for the disk.

use crate::signals;
use maint_core::{
    section::{LimitValue, Rate},
    units::Share,
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The pace of one target.
pub struct Pace {
    rate: Option<Rate>,
    pressure: Option<Share>,
    state: Mutex<State>,
}

struct State {
    /// Before this moment the next batch does not begin.
    next: Instant,
    asked: Option<Instant>,
    waited: Duration,
}

/// The kernel's mean is over ten seconds: asking more often tells nothing new.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A run waits no longer than this altogether: what is left is for the next one.
const MOST_WAITED: Duration = Duration::from_secs(300);
const STEP: Duration = Duration::from_millis(100);

impl Pace {
    /// The pace that a section asks for.
    pub fn of(limit: &LimitValue) -> Self {
        let state = State { next: Instant::now(), asked: None, waited: Duration::ZERO };
        Self { rate: limit.rate, pressure: limit.io_pressure, state: Mutex::new(state) }
    }

    /// So many files go at once: with a rate only a quarter of a second's worth.
    pub fn at_once(&self) -> usize {
        const USUAL: u64 = 1024;
        const FEW: u64 = 8;
        let files = match self.rate {
            Some(Rate::Files(n)) => (n / 4).clamp(1, USUAL),
            Some(Rate::Bytes(_)) => FEW,
            None => USUAL,
        };
        usize::try_from(files).unwrap_or(1)
    }

    /// Waits for the turn of a batch; no means that the run ends here.
    pub fn wait(&self, files: u64, bytes: u64) -> bool {
        if self.rate.is_none() && self.pressure.is_none() {
            return true;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.wait_for_calm(&mut state) && self.wait_for_turn(&mut state, files, bytes)
    }

    fn wait_for_turn(&self, state: &mut State, files: u64, bytes: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        while Instant::now() < state.next {
            if signals::asked_to_stop() {
                return false;
            }
            std::thread::sleep(STEP.min(state.next.saturating_duration_since(Instant::now())));
        }
        let (amount, each_second) = match rate {
            Rate::Files(n) => (files, n),
            Rate::Bytes(n) => (bytes, n),
        };
        let micros = amount.saturating_mul(1_000_000) / each_second;
        state.next = Instant::now() + Duration::from_micros(micros);
        true
    }

    fn wait_for_calm(&self, state: &mut State) -> bool {
        let Some(most) = self.pressure else { return true };
        if state.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return true;
        }
        while is_under_pressure(most) {
            if signals::asked_to_stop() || state.waited >= MOST_WAITED {
                return false;
            }
            if state.waited.is_zero() {
                log::info!("waiting while others wait for the disk");
            }
            std::thread::sleep(ASK_AGAIN);
            state.waited += ASK_AGAIN;
        }
        state.asked = Some(Instant::now());
        true
    }

    /// Whether the run has waited for calm as long as it may.
    pub fn gave_up(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waited >= MOST_WAITED
    }
}

/// Whether tasks have waited for the disk for this share of the last ten seconds; a kernel that does not
/// say stops nobody.
fn is_under_pressure(most: Share) -> bool {
    let text = std::fs::read_to_string("/proc/pressure/io").unwrap_or_default();
    some_avg10(&text).is_some_and(|hundredths| most.is_exceeded_by(hundredths, 10_000))
}

/// `some avg10=12.34 …` in hundredths of a percent.
fn some_avg10(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let number = line.split(' ').find_map(|word| word.strip_prefix("avg10="))?;
    let (whole, part) = number.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 100 + part.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_pressure_in_hundredths() {
        let text = "some avg10=12.34 avg60=1.00 avg300=0.10 total=1863736\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(some_avg10(text), Some(1234));
        assert_eq!(some_avg10(""), None);
        assert_eq!(some_avg10("some avg10=x"), None);
    }

    #[test]
    fn without_limits_nobody_waits() {
        let pace = Pace::of(&LimitValue::default());
        assert!(pace.wait(u64::MAX, u64::MAX) && pace.at_once() == 1024);
        let slow = Pace::of(&LimitValue { rate: Some(Rate::Files(8)), ..LimitValue::default() });
        assert_eq!(slow.at_once(), 2);
    }
}
