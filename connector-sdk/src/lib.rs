//! The worker side of Fulcrum.
//!
//! A *worker* (an executor or a connector) connects outward to a controller over mTLS, says what it can do,
//! pulls leased tasks, does them and reports what happened. Writing one is writing [`Capability`] values, most
//! easily with [`capability`], and handing them to a [`Worker`]; `examples/hello.rs` is a whole one.
//!
//! What it takes care of: joining with a token ([`enrol_when_up`]), keeping the certificate fresh, reconnecting with
//! jitter and to the next controller where there are several, never taking more tasks than there are slots, renewing
//! leases even while capabilities block, stopping work whose lease is lost, reporting until heard, and draining at
//! the end. What a capability sees is its [`Context`], with a journal for work that must not be done twice and for
//! waits that hold no slot.
//!
//! Operators' programs use [`channel`] and [`client`] alone, [`transfer`] for large values, and [`witness`] to notice when
//! the record is not what it was.
//!
//! No call here installs a process-wide crypto provider; all TLS is aws-lc-rs by explicit choice.

mod backoff;
mod capability;
mod causes;
pub mod channel;
pub mod client;
mod clock;
pub mod code;
mod context;
mod contract;
mod endpoints;
mod enrol;
mod failure;
mod identity;
mod journal;
pub mod lease;
mod refusal;
mod route;
pub mod shutdown;
pub mod telemetry;
mod tls;
pub mod trace;
pub mod transfer;
mod wire;
pub mod witness;
mod worker;

pub use capability::{Capability, capability};
pub use channel::ConnectError;
pub use context::Context;
pub use contract::{Contract, EffectClass, Idempotency};
pub use enrol::{EnrolError, Enrolment, JoinToken, JoinTokenError, enrol, enrol_when_up};
pub use failure::{Failure, FailureClass, Sent};
pub use identity::{Identity, IdentityAbout, IdentityDir, IdentityError};
pub use journal::{Decision, JournalError, Question};
pub use refusal::Refusal;
pub use worker::{Worker, WorkerError};

/// Name and version of this SDK, as it introduces itself.
pub const SDK_VERSION: &str = concat!("fulcrum-sdk-rust/", env!("CARGO_PKG_VERSION"));
