//! A run's events: drawn, and checked.
//!
//! - [`shape`]: from events to one lane of spans for each step; [`gantt`]: the lanes as text, to
//!   `scale`.
//! - [`chain`]: the hash chain, recomputed from the stored bytes; [`kind`]: the numbers of event kinds that it covers.
//! - [`type_id`]: the bytes behind a printed id.

pub mod chain;
pub mod gantt;
pub mod kind;
mod scale;
pub mod shape;
pub mod type_id;
