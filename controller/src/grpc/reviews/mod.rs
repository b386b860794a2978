//! `ReviewService`: the inbox.
//!
//! [`service`] has the methods; `list` lists; `show` puts together what was asked and how it ended.

mod list;
pub mod service;
mod show;

pub use service::Reviews;
