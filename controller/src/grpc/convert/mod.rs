//! The border: wire types stop here, core types begin.

pub mod event;
pub mod failure;
pub mod fault;
pub mod operation;
pub mod payload;
pub mod request;
pub mod run;
pub mod time;
pub mod trace;
