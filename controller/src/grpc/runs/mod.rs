//! `RunService`: start, look at, watch, signal and cancel runs.
//!
//! [`service`] has the methods; `start` starts one or many; `list` lists; `show` gives one as it is now, and again when
//! it changed.

mod list;
pub mod service;
mod show;
mod start;

pub use service::Runs;
