//! From tasks that are ready to workers that have a free slot.
//!
//! Workers park their lease calls in the [`hall`]. There are two ways from there:
//!
//! - *Hand-off*, the fast one: a lane that makes a task takes a free slot from the hall, and the commit that makes the
//!   task leases it. After the commit the grant goes to the parked call. No query, no second transaction. A call that
//!   hands in reports is parked, too, for the slots that it frees: its answer carries the next tasks.
//! - *Claim*, for everything else: tasks that found no free slot, come back for another attempt, or were made by
//!   another controller. The [`claimer`] puts the free slots of all parked calls into one statement.
//!
//! Older tasks come first: while some of a line (one capability in one namespace) wait for a claim, as many slots are
//! kept free for them, and only what is beyond is handed off. A claim that comes back with slots to spare has seen the
//! end of the line.
//!
//! Grants whose call has gone wait a moment for the same worker's next one, and are given back if none comes.

pub mod claimer;
mod guest;
pub mod hall;
pub mod line;
pub mod poll;
pub mod seat;
