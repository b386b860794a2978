//! `sql`: named statements on Postgres and SQLite.
//!
//! A capability is one statement with `:name` parameters, which are always bound and never pasted into the text. A
//! read runs in a transaction that cannot write. A write whose idempotency is `keyed` records its effect key and
//! answer in the table `fulcrum_effects` of the same database in the same transaction: a repeated call finds the
//! answer and writes nothing, so the effect happens exactly once.

mod bind;
mod config;
mod database;
mod fault;
mod job;
mod numeric;
mod operation;
mod postgres;
mod pruning;
mod rows;
mod scan;
mod sqlite;
mod statement;

pub use config::{DatabaseConfig, PostgresConfig, Returns, SqlConfig, SqliteConfig};
pub use database::Database;
pub(crate) use operation::build;
pub use statement::{Dialect, Statement, StatementError};
