//! Keeping the installation in order: loops that keep the database bounded and quick, and a look at everything that
//! goes wrong slowly.
//!
//! - [`partitions`]: days ahead of time; [`retention`]: what is past its keeping leaves;
//! - [`statistics`]: young tables are shown to the planner;
//! - [`attendance`]: this controller says that it is there, and notices when the database has forgotten something;
//! - [`follow`]: what ticks mean to the roll of identities and to attendance;
//! - [`examine`]: what an operator is told by `fulcrum doctor`.

pub mod attendance;
pub mod examine;
pub mod follow;
pub mod partitions;
pub mod retention;
pub mod statistics;

pub use attendance::Attend;
pub use follow::Follow;
pub use partitions::KeepPartitions;
pub use retention::Retain;
pub use statistics::KeepStatistics;
