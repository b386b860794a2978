//! The installation log: giving leaves their places and signing its head.
//!
//! Any controller does so, soon after a commit of its own; the database lets one at a time ([`keep`]). [`key`]: the key that
//! signs.

pub mod keep;
mod key;

pub use keep::{AuditError, KeepLog};
