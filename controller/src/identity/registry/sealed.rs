//! Private keys on their way to and from their rows: sealed under the key-encryption key once every build that may start
//! can open them, clear before.

use fulcrum_core::store::StoreError;
use fulcrum_store::identity as rows;
use fulcrum_store::versions::FeatureLevel;
use zeroize::Zeroizing;

use super::handle::Registry;
use crate::keys::kek::sealed_under;
use crate::keys::{KeyError, KeyId, Place};

/// Why a private key is not stored, or not had back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoredKeyError {
    /// The key-encryption key does not open or seal it.
    #[error("{place}: {error}")]
    Key {
        /// Where it rests.
        place: String,
        /// Why.
        error: KeyError,
    },
    /// It opens, and is nothing that was ever put there.
    #[error("{place}: the stored key is damaged; restore it from a backup")]
    Damaged {
        /// Where it rests.
        place: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A private key as it rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Where.
    pub place: String,
    /// The key that it is sealed under; `None` if it is clear.
    pub sealed_under: Option<KeyId>,
}

impl Resting {
    fn new(place: Place<'_>, stored: &[u8]) -> Self {
        Self {
            place: place.to_string(),
            sealed_under: sealed_under(stored),
        }
    }
}

/// Where the page-token key rests.
pub(super) fn paging_key(install: &str) -> Place<'_> {
    Place {
        table: "installation",
        column: "paging_key",
        row: install,
    }
}

/// Where the key of a certificate rests.
pub(super) fn authority_key(serial: &str) -> Place<'_> {
    Place {
        table: "certificate_authorities",
        column: "key_pem",
        row: serial,
    }
}

/// Where a key that signs the installation log rests.
#[must_use]
pub fn log_key(verifier: &str) -> Place<'_> {
    Place {
        table: "audit_keys",
        column: "sealed",
        row: verifier,
    }
}

impl Registry {
    /// The key that rests there.
    pub(super) fn opened(
        &self,
        place: Place<'_>,
        stored: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoredKeyError> {
        if sealed_under(stored).is_none() {
            return Ok(Zeroizing::new(stored.to_vec()));
        }
        self.kek
            .open(&place.context(), stored)
            .map_err(|error| refused(place, error))
    }

    /// A key in the form in which it may rest there now.
    pub(super) async fn to_rest(
        &self,
        place: Place<'_>,
        key: &[u8],
    ) -> Result<Vec<u8>, StoredKeyError> {
        if self.store.versions().in_force().await? < FeatureLevel::SEALED_KEYS {
            return Ok(key.to_vec());
        }
        self.sealed(place, key)
    }

    fn sealed(&self, place: Place<'_>, key: &[u8]) -> Result<Vec<u8>, StoredKeyError> {
        self.kek
            .seal(&place.context(), key)
            .map_err(|error| refused(place, error))
    }

    /// Seals what rests clear or under another key than the first, and says how many keys that were. Any number of
    /// controllers may do so at once, and any of them may be stopped in between.
    pub async fn seal_resting(&self) -> Result<u64, StoredKeyError> {
        if self.store.versions().in_force().await? < FeatureLevel::SEALED_KEYS {
            return Ok(0);
        }
        let installation = self.store.installation();
        let mut sealed = 0;
        let Some(row) = installation.get().await? else {
            return Ok(sealed);
        };
        if let Some(to) = self.anew(paging_key(&row.install_id), &row.paging_key)? {
            let done = installation.reseal_paging_key(row.paging_key, to).await?;
            sealed += u64::from(done);
        }
        for row in installation.authorities().await? {
            let rows::AuthorityRow {
                serial, key_pem, ..
            } = row;
            if let Some(to) = self.anew(authority_key(&serial), &key_pem)? {
                let done = installation.reseal_authority(serial, key_pem, to).await?;
                sealed += u64::from(done);
            }
        }
        let log = self.store.audit();
        for key in log.keys().await? {
            if let Some(to) = self.anew(log_key(&key.verifier), &key.sealed)? {
                sealed += u64::from(log.reseal_key(key, to).await?);
            }
        }
        Ok(sealed)
    }

    /// What is to rest there instead; `None` if it is as it should be.
    fn anew(&self, place: Place<'_>, stored: &[u8]) -> Result<Option<Vec<u8>>, StoredKeyError> {
        if self.kek.is_newest(stored) {
            return Ok(None);
        }
        let key = self.opened(place, stored)?;
        self.sealed(place, &key).map(Some)
    }

    /// How the private keys rest, for whoever replaces a key-encryption key.
    pub async fn resting(&self) -> Result<Vec<Resting>, StoreError> {
        let installation = self.store.installation();
        let mut resting = Vec::new();
        if let Some(row) = installation.get().await? {
            resting.push(Resting::new(paging_key(&row.install_id), &row.paging_key));
        }
        for row in installation.authorities().await? {
            resting.push(Resting::new(authority_key(&row.serial), &row.key_pem));
        }
        for key in self.store.audit().keys().await? {
            resting.push(Resting::new(log_key(&key.verifier), &key.sealed));
        }
        Ok(resting)
    }
}

fn refused(place: Place<'_>, error: KeyError) -> StoredKeyError {
    StoredKeyError::Key {
        place: place.to_string(),
        error,
    }
}
