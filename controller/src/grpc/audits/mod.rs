//! `AuditService`: the record, for whoever remembers its heads and whoever checks it.
//!
//! - [`service`]: the calls; [`log`]: the leaves, batch by batch; [`timelines`]: what they speak of.

mod log;
mod service;
mod timelines;

pub use service::Audits;
