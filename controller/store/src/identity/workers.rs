//! Workers: what registered executors and connectors say of themselves, and when they were last seen.

use std::collections::BTreeMap;

use fulcrum_core::ids::{ContractHash, NamespaceId, WorkerId};
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use super::identities::Row as IdentityColumns;
use super::{IdentityKindColumn, IdentityRow, IdentityStatusColumn};
use crate::PgStore;
use crate::catalog::{self, NewContract, Page, insert_contracts};
use crate::column::array::{column, int};
use crate::column::{At, decode};
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorker {
    /// Its identity's id.
    pub worker: WorkerId,
    /// The namespace that it serves.
    pub namespace: NamespaceId,
    /// New at each start of its process.
    pub instance: Uuid,
    /// The SDK's version text.
    pub sdk_version: String,
    /// For people and routing.
    pub labels: BTreeMap<String, String>,
    /// How many tasks it works on at once.
    pub slots: u32,
    /// Whether it takes no new tasks.
    pub draining: Draining,
}

/// Whether a worker takes new tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draining {
    /// It finishes what it has.
    Yes,
    /// It takes tasks.
    No,
}

/// A worker as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// What it said last.
    pub worker: NewWorker,
    /// When it registered last.
    pub registered_at: Timestamp,
    /// When it was last seen; coarse.
    pub last_seen_at: Timestamp,
    /// What it serves now.
    pub serves: Vec<(String, ContractHash)>,
}

/// A worker's identity with what it said, if it ever registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWorker {
    /// Its identity.
    pub identity: IdentityRow,
    /// What it said of itself.
    pub worker: Option<WorkerRow>,
}

/// Workers.
#[derive(Debug, Clone)]
pub struct Workers {
    pool: PgPool,
    control: PgPool,
}

impl PgStore {
    /// Workers.
    #[must_use]
    pub fn workers(&self) -> Workers {
        Workers {
            pool: self.pools.request.clone(),
            control: self.pools.control.clone(),
        }
    }
}

impl Workers {
    /// Registers a worker with its contracts; replaces what it served before.
    pub async fn register(
        &self,
        worker: NewWorker,
        contracts: Vec<NewContract>,
    ) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        unit(async move { register(&pool, &worker, &contracts).await }).await
    }

    /// Notes that these were seen. Rows that are fresh enough are left alone.
    pub async fn seen(&self, workers: &[WorkerId]) -> Result<(), StoreError> {
        let (pool, ids) = (self.control.clone(), column(workers, |worker| worker.0));
        unit(async move {
            let mut tx = Prelude::Beat.begin(&pool).await?;
            sqlx::query_file!("queries/identity/workers_seen.sql", &ids)
                .execute(&mut *tx)
                .await?;
            Ok(crate::work::committing(tx.commit()).await?)
        })
        .await
    }

    /// Newest identities first, of one namespace (by name) or all.
    pub async fn list(
        &self,
        namespace: Option<&str>,
        page: Page<Uuid>,
    ) -> Result<Vec<ListedWorker>, StoreError> {
        let (pool, namespace) = (self.pool.clone(), namespace.map(str::to_owned));
        unit(async move { list(&pool, namespace, None, page).await }).await
    }

    /// One worker.
    pub async fn get(&self, worker: WorkerId) -> Result<Option<ListedWorker>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            Ok(list(&pool, None, Some(worker.0), Page::first(1))
                .await?
                .pop())
        })
        .await
    }
}

async fn register(
    pool: &PgPool,
    worker: &NewWorker,
    contracts: &[NewContract],
) -> Result<(), Problem> {
    let labels =
        serde_json::to_value(&worker.labels).map_err(|error| Problem::schema(error.to_string()))?;
    // A capability named twice is served by its last contract.
    let served: BTreeMap<&str, &NewContract> = contracts
        .iter()
        .map(|c| (c.capability.as_str(), c))
        .collect();
    let mut tx = Prelude::Catalog.begin(pool).await?;
    sqlx::query_file!(
        "queries/identity/register_worker.sql",
        worker.worker.0,
        worker.namespace.0,
        worker.instance,
        worker.sdk_version,
        labels,
        int(worker.slots),
        worker.draining == Draining::Yes
    )
    .execute(&mut *tx)
    .await?;
    insert_contracts(&mut tx, worker.namespace, worker.worker, contracts).await?;
    sqlx::query_file!("queries/identity/forget_served.sql", worker.worker.0)
        .execute(&mut *tx)
        .await?;
    sqlx::query_file!(
        "queries/identity/serve.sql",
        worker.worker.0,
        worker.namespace.0,
        &column(served.values(), |c| c.capability.clone()),
        &column(served.values(), |c| c.hash.0.to_vec())
    )
    .execute(&mut *tx)
    .await?;
    catalog::bump(&mut tx).await?;
    Ok(crate::work::committing(tx.commit()).await?)
}

async fn list(
    pool: &PgPool,
    namespace: Option<String>,
    only: Option<Uuid>,
    page: Page<Uuid>,
) -> Result<Vec<ListedWorker>, Problem> {
    let mut tx = Prelude::Report.begin(pool).await?;
    let rows = sqlx::query_file!(
        "queries/identity/list_workers.sql",
        namespace as _,
        only as _,
        page.after as _,
        i64::from(page.rows)
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids = column(&rows, |row| row.identity_id);
    let mut serves: BTreeMap<Uuid, Vec<(String, ContractHash)>> = BTreeMap::new();
    for row in sqlx::query_file!("queries/identity/served.sql", &ids)
        .fetch_all(&mut *tx)
        .await?
    {
        let hash = ContractHash(decode::hash(row.contract_hash)?);
        serves
            .entry(row.worker_id)
            .or_default()
            .push((row.capability, hash));
    }
    tx.rollback().await?;
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        let said = match (row.namespace_id, row.instance, row.sdk_version, row.labels) {
            (Some(namespace), Some(instance), Some(sdk_version), Some(labels)) => Some(WorkerRow {
                worker: NewWorker {
                    worker: WorkerId(row.identity_id),
                    namespace: NamespaceId(namespace),
                    instance,
                    sdk_version,
                    labels: serde_json::from_value(labels)
                        .map_err(|error| Problem::schema(error.to_string()))?,
                    slots: decode::count32(row.slots.unwrap_or(0).into())?,
                    draining: if row.draining == Some(true) {
                        Draining::Yes
                    } else {
                        Draining::No
                    },
                },
                registered_at: row.registered_at.map(Timestamp::from).unwrap_or_default(),
                last_seen_at: row.last_seen_at.map(Timestamp::from).unwrap_or_default(),
                serves: serves.remove(&row.identity_id).unwrap_or_default(),
            }),
            (_, _, _, _) => None,
        };
        let identity = IdentityColumns {
            identity_id: row.identity_id,
            namespace: row.namespace,
            kind: row.kind,
            name: row.name,
            status: row.status,
            serial: row.serial,
            public_key_sha256: row.public_key_sha256,
            not_after: row.not_after,
            min_issued_at: row.min_issued_at,
            capability_patterns: row.capability_patterns,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
            revoked_reason: row.revoked_reason,
        };
        listed.push(ListedWorker {
            identity: identity.into(),
            worker: said,
        });
    }
    Ok(listed)
}
