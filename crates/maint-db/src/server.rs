//! PostgreSQL: a session that cannot hang us, what is in a database, and databases made and dropped.

mod catalog;
mod contents;
mod database;
mod session;
mod tls;

pub use catalog::Facts;
pub use contents::{before_the_dump, large_objects_and_tables, sequences_after};
pub use database::{
    Databases, Properties, create, drop_database, is_empty, missing_roles, needed_roles, others_connected,
    rename, server_of,
};
pub use session::{DbError, GiveUp, Pending, Session};
