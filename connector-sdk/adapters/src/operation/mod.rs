//! What all adapters share.
//!
//! An adapter implements [`Operation`]: one call, done against the world. [`Adapted`] makes a capability of it: checks
//! the input against its schema, sets the deadline, redacts secrets, and checks the output. [`Repeat`] is the one
//! place that knows what a lost reply means.

mod adapted;
mod call;
mod repeat;
mod schema;

pub use adapted::Adapted;
pub use call::{Call, Operation};
pub use repeat::Repeat;
pub use schema::{Schema, SchemaError};
