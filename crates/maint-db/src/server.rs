//! PostgreSQL: a session that cannot hang us, what is in a database, and databases made and dropped.

mod catalog;
mod contents;
mod database;
mod relations;
mod session;
mod tls;

pub use catalog::{Facts, Roles};
pub use contents::{
    Counted, before_the_dump, count_while_locked, large_objects_and_tables, left_out, sequences_after,
    settings_of_all_roles,
};
pub use database::{
    Databases, Known, Properties, Setting, create, drop_database, is_empty, is_seen_empty, known, leftovers,
    missing_roles, needed_roles, others_connected, rename, server_of, unavoidable_roles,
};
pub use postgres::{Client, Error};
pub use session::{DbError, GiveUp, Pending, Session};
