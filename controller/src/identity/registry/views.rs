//! What the registry gives back, and why it does not.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_core::contract::Contract;
use fulcrum_core::ids::NamespaceId;
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;

use crate::identity::name::NamespaceName;
use crate::identity::record::IdentityRecord;
use crate::identity::token::TokenRefusal;

/// A namespace. Immutable once made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its id.
    pub id: NamespaceId,
    /// Its name.
    pub name: NamespaceName,
    /// How many shards it has.
    pub shards: u16,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a worker said of itself when it registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Name and version of its SDK.
    pub sdk_version: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// When it was last seen; coarse.
    pub last_seen_at: Timestamp,
    /// What it serves.
    pub capabilities: BTreeSet<String>,
}

/// An identity with its registration, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Who it is.
    pub identity: IdentityRecord,
    /// What it said.
    pub registered: Option<Registered>,
}

/// A capability in force.
#[derive(Debug, Clone)]
pub struct CapabilityView {
    /// Its contract.
    pub contract: Contract,
    /// Names of the workers that serve it.
    pub workers: Vec<String>,
    /// When this contract was first registered.
    pub registered_at: Timestamp,
}

/// Why a namespace is not found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NamespaceError {
    /// There is none of this name.
    #[error("there is no namespace `{0}`")]
    NotFound(String),
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token is not redeemed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RedeemError {
    /// It does not admit.
    #[error(transparent)]
    Refused(#[from] TokenRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a renewal is not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RenewError {
    /// The identity is unknown or revoked.
    #[error("the identity is not active")]
    NotActive,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a call stored something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It did.
    Now,
    /// There was nothing to store it with any more.
    TooLate,
}
