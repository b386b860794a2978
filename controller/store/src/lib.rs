//! Fulcrum's state in Postgres.
//!
//! The only crate that speaks SQL. [`PgStore`] implements the core's `Store` (commit, load, lease, due) and offers the
//! rest by topic: [`catalog`] (namespaces, definitions, contracts), [`identity`] (who may talk to the controller),
//! [`views`] (listings for people), [`upkeep`] (partitions and retention), [`versions`] (builds side by side),
//! [`continuity`] (commits lost at a failover), [`bus`] (news between controllers), [`examine`] (the state of the database, for the doctor),
//! [`transfer`] (values that come and go in pieces), [`audit`] (the installation log).
//!
//! What holds everywhere:
//! - Every unit of work is one short transaction in a task of its own ([`work`]); a caller that goes away leaves
//!   nothing behind. Nothing is kept on a session, so a transaction pooler may stand between.
//! - All time is the database's.
//! - Statements live in `queries/`, are checked against the schema when they change (`make sqlx-prepare`) and need no
//!   database to build. Their number does not grow with the size of a batch.
//! - Rows stop here: nothing of sqlx appears in a public signature.

pub mod audit;
mod blob;
pub mod bus;
pub mod catalog;
mod column;
mod connect;
pub mod continuity;
mod due;
pub mod examine;
mod flush;
pub mod identity;
mod lease;
mod load;
mod migrate;
mod options;
mod partitions;
mod pg;
mod problem;
mod tick;
mod timeline;
pub mod transfer;
pub mod upkeep;
pub mod versions;
pub mod views;
mod work;
mod writer;

pub use column::states::{Labels, ReviewState, state_labels};
pub use connect::ConnectError;
pub use migrate::{LOCK_BUDGET, MigrateError};
pub use options::{
    AccessKey, BlobOptions, Durability, ObjectOptions, PoolSizes, Route, StoreOptions,
};
pub use pg::PgStore;
