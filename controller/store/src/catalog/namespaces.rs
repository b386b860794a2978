//! Namespaces and their shards.

use fulcrum_core::ids::NamespaceId;
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Answered, Once, Page};
use crate::PgStore;
use crate::column::At;
use crate::problem::Problem;
use crate::work::unit;

/// One company or project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its id.
    pub id: NamespaceId,
    /// Its name: a DNS label.
    pub name: String,
    /// How many shards it is cut into; fixed at creation.
    pub shards: u16,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What asking for something new led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation<T> {
    /// It was made.
    Made(T),
    /// It was there before.
    Found(T),
}

/// Why a namespace is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceRefusal {
    /// The name is not a DNS label.
    #[error("a namespace's name has 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -")]
    Name,
    /// The number of shards is out of range.
    #[error("a namespace has 1 to 4,096 shards")]
    Shards,
}

/// What asking for a namespace led to.
pub type NamespaceCreation = Result<Creation<Namespace>, NamespaceRefusal>;

/// Namespaces.
#[derive(Debug, Clone)]
pub struct Namespaces {
    pool: PgPool,
}

impl PgStore {
    /// Namespaces.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        Namespaces {
            pool: self.pools.request.clone(),
        }
    }
}

struct Row {
    namespace_id: Uuid,
    name: String,
    shard_count: i16,
    created_at: At,
}

impl From<Row> for Namespace {
    fn from(row: Row) -> Self {
        Self {
            id: NamespaceId(row.namespace_id),
            name: row.name,
            shards: row.shard_count.unsigned_abs(),
            created_at: row.created_at.into(),
        }
    }
}

impl Namespaces {
    /// Shards of a namespace unless said otherwise.
    pub const SHARDS_DEFAULT: u16 = 16;

    /// Makes a namespace under a fresh id, or finds the one that has the name.
    pub async fn create(
        &self,
        id: NamespaceId,
        name: &str,
        shards: u16,
        once: Once<NamespaceCreation>,
    ) -> Result<Answered<NamespaceCreation>, StoreError> {
        let (pool, name) = (self.pool.clone(), name.to_owned());
        let shards = i16::try_from(shards).unwrap_or(i16::MAX);
        unit(async move {
            once.run(&pool, async move |tx| create(tx, id, name, shards).await)
                .await
        })
        .await
    }

    /// The namespace of this name.
    pub async fn by_name(&self, name: &str) -> Result<Option<Namespace>, StoreError> {
        let (pool, name) = (self.pool.clone(), name.to_owned());
        unit(async move {
            let row = sqlx::query_file_as!(Row, "queries/catalog/namespace_by_name.sql", name)
                .fetch_optional(&pool)
                .await?;
            Ok(row.map(Namespace::from))
        })
        .await
    }

    /// By name.
    pub async fn list(&self, page: Page<String>) -> Result<Vec<Namespace>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let after = page.after.unwrap_or_default();
            let rows = sqlx::query_file_as!(
                Row,
                "queries/catalog/list_namespaces.sql",
                after,
                i64::from(page.rows)
            )
            .fetch_all(&pool)
            .await?;
            Ok(rows.into_iter().map(Namespace::from).collect())
        })
        .await
    }
}

async fn create(
    tx: &mut PgConnection,
    id: NamespaceId,
    name: String,
    shards: i16,
) -> Result<NamespaceCreation, Problem> {
    let made = sqlx::query_file_as!(
        Row,
        "queries/catalog/create_namespace.sql",
        id.0,
        name,
        shards
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(Problem::from);
    match made {
        Err(problem) => return refusal(problem).map(Err),
        Ok(Some(row)) => return Ok(Ok(Creation::Made(row.into()))),
        Ok(None) => {}
    }
    let found = sqlx::query_file_as!(Row, "queries/catalog/namespace_by_name.sql", name)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| Problem::schema("the namespace's id is taken by another name"))?;
    Ok(Ok(Creation::Found(found.into())))
}

fn refusal(problem: Problem) -> Result<NamespaceRefusal, Problem> {
    match problem.constraint() {
        Some("namespaces_name_check") => Ok(NamespaceRefusal::Name),
        Some("namespaces_shard_count_check") => Ok(NamespaceRefusal::Shards),
        Some(_) | None => Err(problem),
    }
}
