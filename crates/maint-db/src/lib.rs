//! Speaks PostgreSQL and SQLite: reach a database, look at what is in it, copy it, and tell whether two are
//! the same.
//!
//! ```text
//! [database.NAME] ▸ Address ▸ Server ▸ Session ▸ catalog, contents   PostgreSQL
//!                          └▸ path   ▸ Source  ▸ copy, contents      SQLite
//! Manifest: what a backup is and what was proven of it     Keeping: which of them stay
//! ```
//!
//! No secret is ever part of an error, a `Debug` or a command line. What runs programs is the tools' business.

pub mod address;
pub mod backup;
pub mod contents;
pub mod quote;
pub mod section;
pub mod server;
pub mod sqlite;

mod passfile;
mod secret;
mod service;
mod url;

pub use secret::Secret;
