//! An identity as the database keeps it.

use fulcrum_core::time::Timestamp;

use super::name::{IdentityId, IdentityName, InstallId, Scope};
use super::pattern::CapabilityPattern;
use super::principal::Principal;
use super::role::Role;
use super::token::JoinTokenRecord;

/// An identity in good standing or revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// Which one.
    pub id: IdentityId,
    /// Where it may act.
    pub scope: Scope,
    /// What it is.
    pub role: Role,
    /// What people call it; unique among the active ones of its namespace and role.
    pub name: IdentityName,
    /// What it may serve, if it is a worker.
    pub capabilities: Vec<CapabilityPattern>,
    /// Serial number of its newest certificate.
    pub serial: String,
    /// SHA-256 of the key of its newest certificate.
    pub key_fingerprint: [u8; 32],
    /// When its newest certificate ends.
    pub not_after: Timestamp,
    /// Certificates issued before are refused.
    pub min_issued_at: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl IdentityRecord {
    /// The identity that a join token makes, before its first certificate is issued.
    #[must_use]
    pub fn pending(
        token: &JoinTokenRecord,
        id: IdentityId,
        key_fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            scope: token.scope.clone(),
            role: token.role,
            name: token.name.clone(),
            capabilities: token.capabilities.clone(),
            serial: String::new(),
            key_fingerprint,
            not_after: now,
            // A clock that is corrected a little must not shut out the first certificate.
            min_issued_at: Timestamp(now.0 - CLOCK_SLACK_MICROS),
            created_at: now,
            revoked_at: None,
        }
    }

    /// Whether it is active, and this is still the key that it has: whoever holds that may have missed an answer.
    #[must_use]
    pub fn admits_again(&self, key_fingerprint: [u8; 32]) -> bool {
        self.revoked_at.is_none() && self.key_fingerprint == key_fingerprint
    }

    /// The name in its certificates.
    #[must_use]
    pub fn principal(&self, install: &InstallId) -> Principal {
        Principal {
            install: install.clone(),
            scope: self.scope.clone(),
            role: self.role,
            id: self.id,
        }
    }
}

const CLOCK_SLACK_MICROS: i64 = 60 * 1_000_000;
