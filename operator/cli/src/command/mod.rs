//! The commands, one file each: what is typed, and what is done about it.

pub mod apply;
pub mod audit;
pub mod capability;
#[cfg(feature = "dev")]
pub mod check_here;
pub mod completions;
pub mod context;
#[cfg(feature = "dev")]
pub mod demo;
#[cfg(feature = "dev")]
pub mod dev;
pub mod doctor;
pub mod init;
pub mod namespace;
pub mod review;
pub mod run;
pub mod source;
pub mod upgrade;
pub mod validate;
pub mod whoami;
pub mod worker;
pub mod workflow;
