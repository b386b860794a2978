//! Issuing certificates to identities while the authority may be replaced underneath.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fulcrum_core::time::Millis;

use super::authority::{Authority, AuthorityError, IssuedCertificate, RootPin};
use super::csr::RequestedKey;
use super::principal::Principal;
use crate::clock::DatabaseClock;

/// The authority of the moment, the clock and the life of certificates. Cheap to clone.
#[derive(Clone)]
pub struct Issuance {
    authority: Arc<ArcSwap<Authority>>,
    clock: Arc<DatabaseClock>,
    life: Millis,
}

impl Issuance {
    /// Starts with this authority.
    #[must_use]
    pub fn new(authority: Authority, clock: Arc<DatabaseClock>, life: Millis) -> Self {
        Self {
            authority: Arc::new(ArcSwap::from_pointee(authority)),
            clock,
            life,
        }
    }

    /// The authority of the moment.
    #[must_use]
    pub fn authority(&self) -> Arc<Authority> {
        self.authority.load_full()
    }

    /// Goes on with another issuing certificate.
    pub fn replace(&self, authority: Authority) {
        self.authority.store(Arc::new(authority));
    }

    /// What join tokens carry.
    #[must_use]
    pub fn pin(&self) -> RootPin {
        self.authority.load().pin()
    }

    /// A certificate for a caller's key.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(
        &self,
        key: &RequestedKey,
        principal: &Principal,
    ) -> Result<IssuedCertificate, AuthorityError> {
        self.authority
            .load()
            .issue_client(key, principal, self.clock.now(), self.life)
    }
}
