//! Which tasks a worker holds and what is to be done about them: the worker's core, pure and without input or
//! output.
//!
//! The shell feeds it what happened ([`Input`]) and does what it answers ([`Action`]). It never asks for more
//! tasks than there are slots, starts a grant once however often it is delivered, and renews every lease from
//! its grant until its report is answered. A task holds its slot until then: when the controller does not
//! answer, a worker stops taking work instead of piling up results.
//!
//! A lease that cannot be renewed is *not* given up: a controller that was away gives holders time to come back,
//! and work stops only when it says that the lease is lost.

mod machine;
mod vocabulary;

pub use machine::LeaseMachine;
pub use vocabulary::{Action, Grant, Input, LeaseToken, PollId, Settings, Standing, TaskId};
