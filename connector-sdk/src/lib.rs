//! The worker side of Fulcrum.
//!
//! A *worker* (an executor or a connector) connects outward to a controller over mTLS, says what it can do,
//! pulls leased tasks, does them and reports what happened. Writing one is writing [`Capability`] values, most
//! easily with [`capability`], and handing them to a worker.

mod capability;
mod context;
mod contract;
mod failure;
mod journal;

pub use capability::{Capability, capability};
pub use context::Context;
pub use contract::{Contract, EffectClass, Idempotency};
pub use failure::{Failure, FailureClass, Sent};
pub use journal::{Decision, JournalError, Question};
