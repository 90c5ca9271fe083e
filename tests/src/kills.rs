//! Runs killed somewhere, until enough of them were at work.

/// Rounds of a scenario that kills a run: as many as are wanted, and up to ten times as many where too few met it
/// at work, as on a machine that is slow to begin or quick to end.
#[derive(Debug)]
pub struct Kills {
    wanted: usize,
    round: usize,
    met: usize,
}

impl Kills {
    /// So many are wanted.
    pub fn new(wanted: usize) -> Self {
        Self { wanted, round: 0, met: 0 }
    }

    /// The next round, counted from 0.
    pub fn next_round(&mut self) -> Option<usize> {
        let goes_on = self.round < self.wanted || (!self.are_enough() && self.round < 10 * self.wanted);
        goes_on.then(|| {
            self.round += 1;
            self.round - 1
        })
    }

    /// Whether the kill of this round met the run at work.
    pub fn met(&mut self, was_at_work: bool) {
        self.met += usize::from(was_at_work);
    }

    fn are_enough(&self) -> bool {
        self.met > self.wanted / 10
    }

    /// One in ten has met it.
    pub fn assert_enough(&self) {
        println!("{} kills, {} in the act", self.round, self.met);
        assert!(self.are_enough(), "only {} of {} kills met the run at work", self.met, self.round);
    }
}
