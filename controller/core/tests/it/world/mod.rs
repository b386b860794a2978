//! A world in memory: rows as a store would keep them, and nothing else. It checks every decision against the
//! invariants, every fence against the tasks, and every run against the fold of its whole timeline.

mod commands;
mod looking;
mod playing;
mod rows;

pub(crate) use commands::{Task, Timer, World};
pub(crate) use looking::{contract, namespace, worker};
