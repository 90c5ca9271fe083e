//! What the scenarios share: places to work in, trees to work on, the built programs, and an oracle that
//! knows nothing of the code under test.

mod app_db;
mod full_disk;
mod kills;
mod mounted;
mod oracle;
mod postgres;
mod random;
mod scratch;
mod served_db;
mod space;
mod tool;
mod tree;

pub use app_db::{AppDb, dumped};
pub use full_disk::{FullDisk, Kind, everything_below};
pub use kills::Kills;
pub use mounted::{Hanging, Mounted};
pub use oracle::{Picture, files_older_than};
pub use postgres::{Postgres, newest_bin};
pub use random::Random;
pub use scratch::{Scratch, chmod};
pub use served_db::ServedDb;
pub use space::{Space, fill};
pub use tool::{Done, Tool, json_lines, reseal};
pub use tree::{Tree, age_of, claimed, days, hours, now, set_age};

/// Nobody else of this program is at work while this is held. What is locked or held open on btrfs, or on a
/// mount that has just been taken away, is known by its inode alone: two runs at once would spare each what
/// only the other uses.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until something is so; what takes longer than half a minute will not come.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed().as_secs() < 30, "waited in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// `full` when every count that was promised is wanted, `reduced` for a run of minutes.
pub fn scale(reduced: usize, full: usize) -> usize {
    if std::env::var_os("MAINT_TEST_FULL").is_some() { full } else { reduced }
}
