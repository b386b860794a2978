//! Decide, the first of *decide, commit, act*.
//!
//! [`decide`] is a pure function of the run, its plan, a command and [`Inputs`]. It answers with [`Decided`]
//! (everything durable, the answer for the caller, and the run as it will be) or a [`Rejection`]. A rejection changes
//! nothing. When an expression touches a payload that is not in the inputs, the rejection is [`Rejection::Needs`]: the
//! shell loads what it names and decides again. One command is one file.
//!
//! A decision is worked out on a [`desk`]: a copy of the run on which events are tried out. A command writes its first
//! events there; `advance` then follows what they lead to, step by step, until nothing moves any more.

mod advance;
mod append_journal;
mod cancel;
mod caught;
pub mod command;
mod decide_review;
pub mod decision;
mod desk;
mod mail;
mod merge;
mod report;
mod retry;
mod route;
mod signal;
mod start;
mod task_due;
mod timer_fired;
mod values;

pub use command::{Command, CommandKind};
pub use decision::{Answer, Decided, Decision, Inputs, JoinItem, JoinOutputs, Needs, Rejection};
pub use route::decide;
