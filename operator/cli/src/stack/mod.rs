//! The whole of Fulcrum in one process, for `fulcrum dev` and `fulcrum demo`.
//!
//! Nothing here is a second way of doing things: the controller, executor and connector are the libraries behind the
//! programs of those names, they speak mTLS over loopback sockets, and operator and workers join with tokens through the
//! enrolment listener. Only PostgreSQL is another program, run as a child with a cluster of its own.
//!
//! - [`home`]: the data directory and what is where in it; [`lock`]: one stack in it at a time.
//! - [`postgres`]: the private cluster; [`ports`]: who listens where.
//! - [`controller`], [`workers`]: the servers; [`operator`]: the person's identity.
//! - [`start`]: all of them, in order, and their end in the opposite order.

pub mod controller;
pub mod error;
pub mod home;
pub mod lock;
pub mod log;
pub mod operator;
pub mod ports;
pub mod postgres;
pub mod start;
pub mod workers;

pub use error::StackError;
pub use start::{Options, Stack};
