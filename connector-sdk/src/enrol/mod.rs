//! Joining: a single-use token becomes an identity.
//!
//! The token carries the hash of the controller's authority. The server's chain is held against it before the
//! secret is sent, so that a machine in the middle learns nothing.

mod join;
mod pin;
mod token;

pub use join::{EnrolError, Enrolment, enrol, enrol_when_up};
pub(crate) use pin::PinnedAuthority;
pub use token::{JoinToken, JoinTokenError};
