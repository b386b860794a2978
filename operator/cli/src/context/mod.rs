//! Which controller, as whom, in which namespace.
//!
//! - [`store`]: `contexts.toml` and the identities beside it, in the operator's configuration directory.
//! - [`target`]: what is used in the end: options before environment before the context.

pub mod store;
pub mod target;
