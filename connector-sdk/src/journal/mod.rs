//! The journal of one task: what it completed, so that nothing is done twice, and what it waits for, so that it
//! can give up its slot.
//!
//! An operation has a name, used once per task, and a digest of what is asked. A completed operation is given
//! back on the next grant and not run again. An operation that cannot complete here (a call, a sleep, a review,
//! a signal) is *waited for*: its future stays pending, and once the task as a whole is pending with such an
//! operation open and no step in flight, the task is parked: its future is dropped, the operations are
//! reported, the slot is free. The task is granted again when one of them completed.
//!
//! [`state`] is the pure part; [`operation`] the vocabulary; [`recorder`] the way to the controller.

pub(crate) mod operation;
pub(crate) mod recorder;
pub(crate) mod state;

pub use operation::{Decision, Question};
pub use state::JournalError;
