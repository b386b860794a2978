//! The run machine, driven through whole workflows against a small world in memory.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod author;
mod build;
mod control;
mod documents;
mod drift;
mod failing;
mod fanning;
mod journaling;
mod kinds;
mod properties;
mod table;
mod waiting;
mod world;
mod written;
