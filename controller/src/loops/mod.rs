//! Maintenance loops: everything that happens without being asked.
//!
//! A loop's `tick` takes no input, is idempotent and safe in many processes at once: what it does is decided by rows,
//! each guarded in its own statement, never by a remembered list. One [`driver`] runs them all: period with jitter,
//! wake-up, back-off after errors, panics caught, status on a [`board`]. Only `app.rs` spawns.

pub mod board;
pub mod driver;
pub mod jitter;

pub use board::{Board, Status};
pub use driver::{Loop, Next, Pace, Progress, TickError, drive};
