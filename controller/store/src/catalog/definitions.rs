//! Definitions: immutable versions, and a pointer to the current one.

use fulcrum_core::ids::{DefinitionHash, NamespaceId};
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Answered, Once, Page, Portion};
use crate::PgStore;
use crate::column::array::long;
use crate::column::{At, decode};
use crate::problem::Problem;
use crate::work::unit;

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

/// A row of a listing: without its source, with the number of rows that were read.
struct ListedRow {
    namespace_id: Uuid,
    hash: Vec<u8>,
    workflow: String,
    version: i64,
    canonical: Vec<u8>,
    source: String,
    created_at: At,
    created_by: String,
    found: i64,
}

impl TryFrom<ListedRow> for StoredDefinition {
    type Error = Problem;

    fn try_from(row: ListedRow) -> Result<Self, Problem> {
        StoredDefinition::try_from(Row {
            namespace_id: row.namespace_id,
            hash: row.hash,
            workflow: row.workflow,
            version: row.version,
            canonical: row.canonical,
            source: row.source,
            created_at: row.created_at,
            created_by: row.created_by,
        })
    }
}

impl Definitions {
    /// Stores a definition, unless its content is stored already, and makes it current.
    pub async fn apply(
        &self,
        new: NewDefinition,
        once: Once<Applied>,
    ) -> Result<Answered<Applied>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { once.run(&pool, async move |tx| apply(tx, &new).await).await }).await
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

    /// Names of workflows, at most so many.
    pub async fn names(
        &self,
        namespace: NamespaceId,
        at_most: u32,
    ) -> Result<Vec<String>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let names = sqlx::query_file_scalar!(
                "queries/catalog/workflow_names.sql",
                namespace.0,
                i64::from(at_most)
            );
            Ok(names.fetch_all(&pool).await?)
        })
        .await
    }

    /// The current version of each workflow, by name, without sources.
    pub async fn list(
        &self,
        namespace: NamespaceId,
        page: Page<String>,
        bytes: u64,
    ) -> Result<Portion<StoredDefinition>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let after = page.after.unwrap_or_default();
            let rows = sqlx::query_file_as!(
                ListedRow,
                "queries/catalog/list_workflows.sql",
                namespace.0,
                after,
                i64::from(page.rows) + 1,
                long(bytes)
            )
            .fetch_all(&pool)
            .await?;
            portion(rows, page.rows)
        })
        .await
    }

    /// Versions of a workflow, newest first, without sources; the position is a version number.
    pub async fn versions(
        &self,
        namespace: NamespaceId,
        workflow: &str,
        page: Page<u64>,
        bytes: u64,
    ) -> Result<Portion<StoredDefinition>, StoreError> {
        let (pool, workflow) = (self.pool.clone(), workflow.to_owned());
        unit(async move {
            let before = long(page.after.unwrap_or(u64::MAX));
            let rows = sqlx::query_file_as!(
                ListedRow,
                "queries/catalog/list_versions.sql",
                namespace.0,
                workflow,
                before,
                i64::from(page.rows) + 1,
                long(bytes)
            )
            .fetch_all(&pool)
            .await?;
            portion(rows, page.rows)
        })
        .await
    }
}

fn portion(rows: Vec<ListedRow>, at_most: u32) -> Result<Portion<StoredDefinition>, Problem> {
    let found = rows.first().map_or(0, |row| row.found);
    let items = rows
        .into_iter()
        .take(at_most as usize)
        .map(StoredDefinition::try_from)
        .collect::<Result<_, _>>()?;
    Ok(Portion::of(items, found))
}

async fn apply(tx: &mut PgConnection, new: &NewDefinition) -> Result<Applied, Problem> {
    let (namespace, hash) = (new.namespace.0, new.hash.0.as_slice());
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
    let stored = StoredDefinition::try_from(row)?;
    Ok(match (is_new, was_current) {
        (true, _) => Applied::Created(stored),
        (false, true) => Applied::Unchanged(stored),
        (false, false) => Applied::MadeCurrent(stored),
    })
}
