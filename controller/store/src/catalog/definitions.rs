//! Definitions: immutable versions, and a pointer to the current one.

use fulcrum_core::ids::{DefinitionHash, NamespaceId};
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use super::Page;
use crate::PgStore;
use crate::column::array::long;
use crate::column::{At, decode};
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// A definition to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDefinition {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The workflow's name.
    pub workflow: String,
    /// SHA-256 of the canonical model and language version.
    pub hash: DefinitionHash,
    /// The canonical model in JSON.
    pub canonical: Vec<u8>,
    /// What the author wrote.
    pub source: String,
    /// The author's name.
    pub created_by: String,
}

/// A stored definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDefinition {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The workflow's name.
    pub workflow: String,
    /// Its hash.
    pub hash: DefinitionHash,
    /// Counts the workflow's versions, from 1.
    pub version: u64,
    /// The canonical model in JSON.
    pub canonical: Vec<u8>,
    /// What the author of this version wrote first.
    pub source: String,
    /// When it was first applied.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// What applying a definition did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A new version, now current.
    Created(StoredDefinition),
    /// An older version is current again.
    MadeCurrent(StoredDefinition),
    /// It was current already.
    Unchanged(StoredDefinition),
}

/// A workflow with its current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowSummary {
    /// The workflow's name.
    pub workflow: String,
    /// The version that new runs get.
    pub current: DefinitionHash,
    /// Its number.
    pub current_version: u64,
    /// Versions ever made.
    pub versions: u64,
    /// When it was last applied.
    pub applied_at: Timestamp,
}

/// Definitions.
#[derive(Debug, Clone)]
pub struct Definitions {
    pool: PgPool,
}

impl PgStore {
    /// Definitions.
    #[must_use]
    pub fn definitions(&self) -> Definitions {
        Definitions {
            pool: self.pools.request.clone(),
        }
    }
}

struct Row {
    namespace_id: Uuid,
    hash: Vec<u8>,
    workflow: String,
    version: i64,
    canonical: Vec<u8>,
    source: String,
    created_at: At,
    created_by: String,
}

impl TryFrom<Row> for StoredDefinition {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        Ok(Self {
            namespace: NamespaceId(row.namespace_id),
            workflow: row.workflow,
            hash: DefinitionHash(decode::hash(row.hash)?),
            version: decode::count(row.version)?,
            canonical: row.canonical,
            source: row.source,
            created_at: row.created_at.into(),
            created_by: row.created_by,
        })
    }
}

impl Definitions {
    /// Stores a definition, unless its content is stored already, and makes it current.
    pub async fn apply(&self, new: NewDefinition) -> Result<Applied, StoreError> {
        let pool = self.pool.clone();
        unit(async move { apply(&pool, &new).await }).await
    }

    /// The version that new runs get.
    pub async fn current(
        &self,
        namespace: NamespaceId,
        workflow: &str,
    ) -> Result<Option<StoredDefinition>, StoreError> {
        let (pool, workflow) = (self.pool.clone(), workflow.to_owned());
        unit(async move {
            let row = sqlx::query_file_as!(
                Row,
                "queries/catalog/current_definition.sql",
                namespace.0,
                workflow
            )
            .fetch_optional(&pool)
            .await?;
            row.map(StoredDefinition::try_from).transpose()
        })
        .await
    }

    /// The hash of the version that new runs get.
    pub async fn current_hash(
        &self,
        namespace: NamespaceId,
        workflow: &str,
    ) -> Result<Option<DefinitionHash>, StoreError> {
        let (pool, workflow) = (self.pool.clone(), workflow.to_owned());
        unit(async move {
            let hash =
                sqlx::query_file_scalar!("queries/catalog/current_hash.sql", namespace.0, workflow)
                    .fetch_optional(&pool)
                    .await?;
            Ok(hash.map(decode::hash).transpose()?.map(DefinitionHash))
        })
        .await
    }

    /// The definition of this content, in whatever namespace: equal hashes are equal content.
    pub async fn by_hash(
        &self,
        hash: DefinitionHash,
    ) -> Result<Option<StoredDefinition>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let row = sqlx::query_file_as!(
                Row,
                "queries/catalog/definition_by_hash.sql",
                hash.0.as_slice()
            )
            .fetch_optional(&pool)
            .await?;
            row.map(StoredDefinition::try_from).transpose()
        })
        .await
    }

    /// The definition of this content in this namespace.
    pub async fn in_namespace(
        &self,
        namespace: NamespaceId,
        hash: DefinitionHash,
    ) -> Result<Option<StoredDefinition>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let hash = hash.0.as_slice();
            let row = sqlx::query_file_as!(
                Row,
                "queries/catalog/definition_in_namespace.sql",
                namespace.0,
                hash
            )
            .fetch_optional(&pool)
            .await?;
            row.map(StoredDefinition::try_from).transpose()
        })
        .await
    }

    /// One numbered version of a workflow.
    pub async fn by_version(
        &self,
        namespace: NamespaceId,
        workflow: &str,
        version: u64,
    ) -> Result<Option<StoredDefinition>, StoreError> {
        let (pool, workflow) = (self.pool.clone(), workflow.to_owned());
        unit(async move {
            let row = sqlx::query_file_as!(
                Row,
                "queries/catalog/definition_by_version.sql",
                namespace.0,
                workflow,
                long(version)
            )
            .fetch_optional(&pool)
            .await?;
            row.map(StoredDefinition::try_from).transpose()
        })
        .await
    }

    /// Workflows by name.
    pub async fn list(
        &self,
        namespace: NamespaceId,
        page: Page<String>,
    ) -> Result<Vec<WorkflowSummary>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let after = page.after.unwrap_or_default();
            let rows = sqlx::query_file!(
                "queries/catalog/list_workflows.sql",
                namespace.0,
                after,
                i64::from(page.rows)
            )
            .fetch_all(&pool)
            .await?;
            rows.into_iter()
                .map(|row| {
                    Ok(WorkflowSummary {
                        workflow: row.workflow,
                        current: DefinitionHash(decode::hash(row.current_hash)?),
                        current_version: decode::count(row.current_version)?,
                        versions: decode::count(row.versions)?,
                        applied_at: row.applied_at.into(),
                    })
                })
                .collect()
        })
        .await
    }

    /// Versions of a workflow, newest first; the position is a version number.
    pub async fn versions(
        &self,
        namespace: NamespaceId,
        workflow: &str,
        page: Page<u64>,
    ) -> Result<Vec<StoredDefinition>, StoreError> {
        let (pool, workflow) = (self.pool.clone(), workflow.to_owned());
        unit(async move {
            let before = long(page.after.unwrap_or(u64::MAX));
            let rows = sqlx::query_file_as!(
                Row,
                "queries/catalog/list_versions.sql",
                namespace.0,
                workflow,
                before,
                i64::from(page.rows)
            )
            .fetch_all(&pool)
            .await?;
            rows.into_iter().map(StoredDefinition::try_from).collect()
        })
        .await
    }
}

async fn apply(pool: &PgPool, new: &NewDefinition) -> Result<Applied, Problem> {
    let (namespace, hash) = (new.namespace.0, new.hash.0.as_slice());
    let mut tx = Prelude::Catalog.begin(pool).await?;
    let workflow = sqlx::query_file!(
        "queries/catalog/lock_workflow.sql",
        namespace,
        new.workflow,
        hash
    )
    .fetch_one(&mut *tx)
    .await?;
    let stored = sqlx::query_file_as!(
        Row,
        "queries/catalog/definition_in_namespace.sql",
        namespace,
        hash
    )
    .fetch_optional(&mut *tx)
    .await?;
    let (version, is_new) = match &stored {
        Some(row) if row.workflow != new.workflow => {
            return Err(Problem::schema(format!(
                "the content is stored as workflow `{}`",
                row.workflow
            )));
        }
        Some(row) => (row.version, false),
        None => (workflow.versions + 1, true),
    };
    if is_new {
        sqlx::query_file!(
            "queries/catalog/insert_definition.sql",
            namespace,
            hash,
            new.workflow,
            version,
            new.canonical,
            new.source,
            new.created_by
        )
        .execute(&mut *tx)
        .await?;
    }
    let was_current = !is_new && workflow.current_hash == hash;
    sqlx::query_file!(
        "queries/catalog/make_current.sql",
        namespace,
        new.workflow,
        hash,
        version
    )
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query_file_as!(
        Row,
        "queries/catalog/definition_in_namespace.sql",
        namespace,
        hash
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    let stored = StoredDefinition::try_from(row)?;
    Ok(match (is_new, was_current) {
        (true, _) => Applied::Created(stored),
        (false, true) => Applied::Unchanged(stored),
        (false, false) => Applied::MadeCurrent(stored),
    })
}
