//! Secrets: named in the configuration, resolved here at the edge, never sent anywhere.
//!
//! A configuration holds references (`secret://billing_token`). [`Vault`] turns a reference into its value at start
//! and remembers what it revealed; [`Redactor`] is made of that memory and removes every known value, in the forms it
//! could plausibly take, from whatever leaves the worker.

mod redact;
mod reference;
mod vault;

pub use redact::Redactor;
pub use reference::{SecretName, SecretNameError};
pub use vault::{SecretError, SecretSource, Vault};
