//! Identities, tokens, the authority and namespaces at rest: the border between this crate's types and the store's
//! rows. A row that does not convert is damaged, and says so.
//!
//! [`Registry`] is one handle with two sets of calls: `identities` (installation, authority, tokens, identities) and
//! `catalog` (namespaces, workers, capabilities). `rows` converts; `views` is what comes back.

mod catalog;
mod handle;
mod identities;
mod rows;
mod views;

pub use handle::Registry;
pub use views::{
    CapabilityView, Namespace, NamespaceError, RedeemError, Registered, RenewError, Stored,
    WorkerView,
};
