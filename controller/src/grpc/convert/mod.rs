//! The border: wire types stop here, core types begin.

pub mod contract;
pub mod definition;
pub mod event;
pub mod failure;
pub mod fault;
pub mod namespace;
pub mod operation;
pub mod payload;
pub mod request;
pub mod review;
pub mod role;
pub mod run;
pub mod step;
pub mod time;
pub mod trace;
