//! The brain of Fulcrum.
//!
//! Everything that decides lives here, and nothing that acts. This crate is pure: it has no clock, no randomness,
//! no sockets, no files, no async runtime and no hash-ordered iteration that could leak into a result. If a
//! decision needs the time or entropy, they are arguments ([`decide::Inputs`]).
//!
//! The shape is *decide, commit, act*: [`decide::decide`] turns (run, plan, command, inputs) into a
//! [`decide::Decision`]; the shell commits it through a [`store::Store`]; only then does anybody act on it.
//! [`run::Run::evolve`] folds events into state; it cannot fail and evaluates nothing, so the timeline alone
//! rebuilds every run. Recovery is the same path run again.

pub mod contract;
pub mod decide;
pub mod definition;
pub mod effect;
pub mod event;
pub mod expr;
pub mod failure;
pub mod ids;
pub mod invariants;
pub mod limits;
pub mod payload;
pub mod run;
pub mod store;
pub mod task;
pub mod time;
