//! `[database.NAME]` and what stands below it.

mod backup;
mod database;

pub use backup::{BackupSection, CopyTo, Databases, Level};
pub use database::DatabaseSection;
