//! Decide, the first of *decide, commit, act*.
//!
//! [`decide`] is a pure function of the run, its plan, a command and [`Inputs`]. It answers with a [`Decision`]
//! (everything durable, plus the answer for the caller) or a [`Rejection`]. A rejection changes nothing. When an
//! expression touches a payload that is not in the inputs, the rejection is [`Rejection::Needs`]: the shell loads
//! what it names and decides again. One command is one file.

pub mod command;
pub mod decision;

pub use command::{Command, CommandKind};
pub use decision::{Answer, Decision, Inputs, JoinOutputs, Needs, Rejection};
