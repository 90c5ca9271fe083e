//! What the scenarios share: places to work in, trees to work on, the built programs, and an oracle that
//! knows nothing of the code under test.

mod mounted;
mod oracle;
mod random;
mod scratch;
mod tool;
mod tree;

pub use mounted::Mounted;
pub use oracle::{Picture, files_older_than};
pub use random::Random;
pub use scratch::Scratch;
pub use tool::{Done, Tool};
pub use tree::{Tree, age_of, days, hours, now, set_age};

/// `full` when every count that was promised is wanted, `reduced` for a run of minutes.
pub fn scale(reduced: usize, full: usize) -> usize {
    if std::env::var_os("MAINT_TEST_FULL").is_some() { full } else { reduced }
}
