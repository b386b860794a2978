//! Identities, tokens, the authority and namespaces at rest: the border between this crate's types and the store's
//! rows. A row that does not convert is damaged, and says so.
//!
//! [`Registry`] is one handle with three sets of calls: `installation` (its keys and its authority, private keys sealed:
//! `sealed`), `identities` (tokens, identities) and `catalog` (namespaces, workers, capabilities). `rows` converts; `views`
//! is what comes back.

mod catalog;
mod handle;
mod identities;
mod installation;
mod rows;
mod sealed;
mod views;

pub use handle::Registry;
pub use installation::Installed;
pub use sealed::{Resting, StoredKeyError, log_key};
pub use views::{
    CapabilityView, Namespace, NamespaceError, RedeemError, Registered, RenewError, Stored,
    WorkerView,
};
