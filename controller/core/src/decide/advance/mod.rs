//! What follows from an event: the next step opens, a block closes, a failure travels outwards, the run ends.
//!
//! The tree of steps is walked by two pieces of work, [`Work::Open`](super::desk::Work) and
//! [`Work::Closed`](super::desk::Work), until nothing is left to do. Three rules hold it together:
//!
//! 1. A block closes only after everything in it has closed, its `finally` included.
//! 2. A step is *doomed* when something around it is ending: the run is being cancelled or is returning, a `parallel`
//!    around it has a member that failed or was left, or a block around it has timed out. Doomed steps are cancelled
//!    and nothing in their place begins, with one exception: inside a `finally`, only what ends within that `finally`
//!    counts.
//! 3. A failure travels outwards until a `catch` or `on_failure: continue` takes it, or the run fails.

mod block;
mod call;
mod close;
mod doom;
mod ending;
mod fan_out;
mod follow;
mod open;
mod operation;
mod review;
mod sequence;
mod spawn;
mod wait;
