//! Decides what may go, and touches files by handle.
//!
//! ```text
//! survey ──▶ plan ──▶ approve ──▶ carry out
//! ```
//!
//! The pure modules ([`retention`], [`survey`], [`plan`], [`emergency`], [`select`], [`pattern`], [`units`]) read no
//! clock and do no I/O. [`fs`] touches files, always relative to a handle, and changes nothing without a
//! [`fs::Warrant`]. [`prune`] joins the two: a walk that looks, and a walk that acts.
//!
//! No database, no network and no command line here; what surrounds a tool is `maint-run`'s.

pub mod archive;
pub mod bundle;
pub mod calendar;
pub mod emergency;
pub mod entry;
pub mod forecast;
pub mod fs;
pub mod grouping;
pub mod name_clock;
pub mod orphans;
pub mod pattern;
pub mod plan;
pub mod prune;
pub mod retention;
pub mod saved;
pub mod sealed;
pub mod section;
pub mod select;
pub mod spare;
pub mod survey;
pub mod text;
pub mod time;
pub mod units;
pub mod watch;
