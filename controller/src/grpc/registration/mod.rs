//! What each worker serves: declared by `Register`, kept in the database for people and in memory for leasing.
//!
//! A controller that does not know a worker's registration (it was restarted, or the worker came over from another
//! one) asks for it again with `NOT_REGISTERED`. Who may serve what is the identity's patterns; what a worker names
//! beyond them is refused as a whole, so that nobody finds out in production that a capability is not offered.

mod declared;
mod known;

pub use known::{NoteSeen, Registrations, SEEN_GRAIN_MS, Served};
