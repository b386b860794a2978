//! A private PostgreSQL: found on this machine, run as a child, reachable from loopback with a generated password only.
//!
//! - [`binaries`]: where the programs are; [`account`]: who runs them, because PostgreSQL refuses root.
//! - [`cluster`]: making a cluster, whole or not at all; [`pid_file`]: what a crash may have left in it.
//! - [`server`]: the running server: started, started again if it dies, stopped.

pub mod account;
pub mod binaries;
pub mod cluster;
pub mod pid_file;
pub mod server;
