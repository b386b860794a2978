//! The installation log at rest.
//!
//! A commit leaves a leaf in the inbox ([`leaf`]), in its own transaction. Any controller gives those that are there
//! their places and signs the head ([`place`]): it holds the row of the log meanwhile, and who finds it held has nothing to
//! do. [`read`]: heads, proofs and leaves, and [`runs`]: which runs there are, for whoever checks.

pub(crate) mod leaf;
mod log;
mod place;
mod read;
mod runs;

pub use log::{AuditLog, Placed, StoredKey};
pub use read::{Batch, Proof};
pub use runs::RecordedRun;
