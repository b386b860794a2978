//! The gRPC services: one file each, every handler four lines: convert, authorize, call, convert.
//!
//! What a handler may rely on: the server's layer has authenticated and authorised the call by its method table, left
//! the [`caller`] and a deadline with the request, and catches panics. What a handler still has to do: refuse a
//! namespace that the caller does not reach. Errors are [`Fault`](crate::server::Fault)s; [`convert`] holds the border
//! between wire types and ours; [`page`] makes and reads page tokens; [`services`] mounts it all.

pub mod audits;
pub mod caller;
pub mod capabilities;
pub mod convert;
pub mod definitions;
pub mod enrolment;
pub mod identities;
pub mod installations;
pub mod lease_seal;
pub mod meta;
pub mod namespaces;
pub mod page;
pub mod payloads;
pub mod registration;
pub mod reviews;
pub mod runs;
mod seal;
pub mod services;
pub mod timelines;
pub mod worker;
pub mod workers;

pub use caller::caller;
