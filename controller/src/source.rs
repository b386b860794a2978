//! Plans and contracts from the database, for the engine's catalog.

use std::sync::Arc;

use fulcrum_core::contract::Contract;
use fulcrum_core::definition::model::Definition;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::ids::{DefinitionHash, NamespaceId};
use fulcrum_core::limits::Limits;
use fulcrum_core::store::StoreError;
use fulcrum_store::PgStore;

use crate::engine::catalog::{Contracts, Source};

/// The catalog's source over the store.
#[derive(Debug)]
pub struct PgSource {
    store: PgStore,
    limits: Limits,
}

impl PgSource {
    /// Plans are made under these limits.
    #[must_use]
    pub fn new(store: PgStore, limits: Limits) -> Self {
        Self { store, limits }
    }
}

impl Source for PgSource {
    async fn plan(&self, hash: DefinitionHash) -> Result<Option<Result<Plan, String>>, StoreError> {
        let Some(stored) = self.store.definitions().by_hash(hash).await? else {
            return Ok(None);
        };
        let plan = serde_json::from_slice::<Definition>(&stored.canonical)
            .map_err(|error| format!("the stored definition does not decode: {error}"))
            .and_then(|definition| {
                Plan::new(definition, hash, &self.limits).map_err(|error| error.to_string())
            });
        Ok(Some(plan))
    }

    async fn newest(
        &self,
        namespace: NamespaceId,
        workflow: &str,
    ) -> Result<Option<DefinitionHash>, StoreError> {
        self.store
            .definitions()
            .current_hash(namespace, workflow)
            .await
    }

    async fn contracts(&self, namespace: NamespaceId) -> Result<Contracts, StoreError> {
        let mut contracts = std::collections::BTreeMap::new();
        for capability in self.store.contracts().in_force(namespace).await? {
            let stored = capability.contract.contract;
            match serde_json::from_slice::<Contract>(&stored.body) {
                Ok(contract) => drop(contracts.insert(stored.capability, Arc::new(contract))),
                // One damaged contract must not stop every run of the namespace.
                Err(error) => {
                    tracing::error!(capability = stored.capability, %error, "a stored contract does not decode")
                }
            }
        }
        Ok(Arc::new(contracts))
    }
}
