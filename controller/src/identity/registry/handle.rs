//! The handle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use fulcrum_store::PgStore;
use uuid::Uuid;

use super::views::Namespace;
use crate::keys::Kek;

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub(super) store: PgStore,
    pub(super) kek: Kek,
    namespaces: Arc<Mutex<HashMap<String, Namespace>>>,
}

impl Registry {
    /// A registry over a store, whose private keys rest under this key.
    #[must_use]
    pub fn new(store: PgStore, kek: Kek) -> Self {
        Self {
            store,
            kek,
            namespaces: Arc::default(),
        }
    }

    /// A fresh identity id: a UUIDv7 of this moment.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new_id(now: Timestamp) -> Result<Uuid, StoreError> {
        let mut random = [0; 10];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Refused(format!("no randomness: {error}")))?;
        Ok(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
    }

    /// Namespaces known by name.
    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        // Single map operations: valid after any panic.
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
