//! Contracts of capabilities: immutable, named by content, registered by workers.

use fulcrum_core::contract::EffectClass;
use fulcrum_core::ids::{ContractHash, NamespaceId, WorkerId};
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};

use super::Page;
use crate::PgStore;
use crate::column::array::column;
use crate::column::states::mirror;
use crate::column::{At, decode};
use crate::problem::Problem;
use crate::work::unit;

mirror!(EffectClassColumn, EffectClass, "effect_class", {
    Read = "read", Reversible = "reversible", Irreversible = "irreversible", Outward = "outward",
});

/// A contract that a worker registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContract {
    /// The capability's name.
    pub capability: String,
    /// SHA-256 of the canonical JSON.
    pub hash: ContractHash,
    /// The worker author's version text.
    pub version: String,
    /// Effect class.
    pub effect: EffectClass,
    /// Canonical JSON.
    pub body: Vec<u8>,
}

/// A contract as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContract {
    /// What was registered.
    pub contract: NewContract,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// From whom.
    pub first_seen_by: WorkerId,
}

/// A capability with the contract in force: the newest that a worker in good standing serves, else the newest known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// In force.
    pub contract: StoredContract,
    /// Workers in good standing that serve it.
    pub workers_serving: u64,
    /// When one of them was last seen; coarse.
    pub last_seen_at: Option<Timestamp>,
}

/// Contracts.
#[derive(Debug, Clone)]
pub struct Contracts {
    pool: PgPool,
}

impl PgStore {
    /// Contracts.
    #[must_use]
    pub fn contracts(&self) -> Contracts {
        Contracts {
            pool: self.pools.request.clone(),
        }
    }
}

impl Contracts {
    /// Capabilities with what is in force, by name.
    pub async fn list(
        &self,
        namespace: NamespaceId,
        page: Page<String>,
    ) -> Result<Vec<Capability>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            capabilities(
                &pool,
                namespace,
                &page.after.unwrap_or_default(),
                None,
                i64::from(page.rows),
            )
            .await
        })
        .await
    }

    /// Everything in force in a namespace.
    pub async fn in_force(&self, namespace: NamespaceId) -> Result<Vec<Capability>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { capabilities(&pool, namespace, "", None, i64::MAX).await }).await
    }

    /// What is in force for one capability.
    pub async fn current(
        &self,
        namespace: NamespaceId,
        capability: &str,
    ) -> Result<Option<Capability>, StoreError> {
        let (pool, capability) = (self.pool.clone(), capability.to_owned());
        unit(async move {
            Ok(capabilities(&pool, namespace, "", Some(capability), 1)
                .await?
                .pop())
        })
        .await
    }

    /// One contract by its content.
    pub async fn get(
        &self,
        namespace: NamespaceId,
        capability: &str,
        hash: ContractHash,
    ) -> Result<Option<StoredContract>, StoreError> {
        let (pool, capability) = (self.pool.clone(), capability.to_owned());
        unit(async move {
            let hash = hash.0.as_slice();
            let row = sqlx::query_file!(
                "queries/catalog/get_contract.sql",
                namespace.0,
                capability,
                hash
            )
            .fetch_optional(&pool)
            .await?;
            row.map(|row| {
                Ok(StoredContract {
                    contract: NewContract {
                        capability: row.capability,
                        hash: ContractHash(decode::hash(row.hash)?),
                        version: row.version,
                        effect: row.effect.into(),
                        body: row.body,
                    },
                    first_seen_at: row.first_seen_at.into(),
                    first_seen_by: WorkerId(row.first_seen_by),
                })
            })
            .transpose()
        })
        .await
    }
}

async fn capabilities(
    pool: &PgPool,
    namespace: NamespaceId,
    after: &str,
    only: Option<String>,
    rows: i64,
) -> Result<Vec<Capability>, Problem> {
    let rows = sqlx::query_file!(
        "queries/catalog/list_capabilities.sql",
        namespace.0,
        after,
        only as _,
        rows
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let contract = NewContract {
                capability: row.capability,
                hash: ContractHash(decode::hash(row.hash)?),
                version: row.version,
                effect: row.effect.into(),
                body: row.body,
            };
            Ok(Capability {
                contract: StoredContract {
                    contract,
                    first_seen_at: row.first_seen_at.into(),
                    first_seen_by: WorkerId(row.first_seen_by),
                },
                workers_serving: decode::count(row.serving)?,
                last_seen_at: row.last_seen_at.map(Timestamp::from),
            })
        })
        .collect()
}

/// Stores what is new among a worker's contracts.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    namespace: NamespaceId,
    by: WorkerId,
    contracts: &[NewContract],
) -> Result<(), Problem> {
    sqlx::query_file!(
        "queries/catalog/insert_contracts.sql",
        namespace.0,
        by.0,
        &column(contracts, |c| c.capability.clone()),
        &column(contracts, |c| c.hash.0.to_vec()),
        &column(contracts, |c| c.version.clone()),
        &column(contracts, |c| EffectClassColumn::from(c.effect)) as _,
        &column(contracts, |c| c.body.clone()),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What is in force has changed, or may have.
pub(crate) async fn bump(tx: &mut PgConnection) -> Result<(), Problem> {
    sqlx::query_file!("queries/catalog/bump_revision.sql")
        .execute(tx)
        .await?;
    Ok(())
}
