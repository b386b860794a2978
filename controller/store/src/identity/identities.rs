//! Identities: workers, operators, clients, controllers.

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{IdentityKind, IdentityKindColumn, IdentityStatus, IdentityStatusColumn};
use crate::PgStore;
use crate::catalog::{Answered, Once, Page};
use crate::column::At;
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// An identity to be enrolled; it is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Made by the caller.
    pub id: Uuid,
    /// A namespace's name, or `_` for every namespace.
    pub namespace: String,
    /// What it is for.
    pub kind: IdentityKind,
    /// Its name, unique among the active ones of its namespace and kind.
    pub name: String,
    /// Serial number of its newest certificate.
    pub serial: String,
    /// SHA-256 of its newest public key.
    pub public_key_sha256: Vec<u8>,
    /// When its newest certificate ends.
    pub not_after: Timestamp,
    /// Certificates issued before are refused.
    pub min_issued_at: Timestamp,
    /// What it may serve.
    pub capability_patterns: Vec<String>,
}

/// An identity as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// What was enrolled, with its newest certificate.
    pub identity: NewIdentity,
    /// Its standing.
    pub status: IdentityStatus,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why.
    pub revoked_reason: Option<String>,
}

/// Standing of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The identity.
    pub id: Uuid,
    /// Its status.
    pub status: IdentityStatus,
    /// Certificates issued before are refused.
    pub min_issued_at: Timestamp,
}

/// Everybody's standing at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySnapshot {
    /// The revision.
    pub revision: i64,
    /// Everybody.
    pub standings: Vec<Standing>,
}

/// Why a certificate is not renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenewRefusal {
    /// There is no such identity.
    #[error("there is no such identity")]
    Unknown,
    /// It was revoked.
    #[error("the identity was revoked")]
    Revoked,
}

/// Identities.
#[derive(Debug, Clone)]
pub struct Identities {
    pool: PgPool,
    control: PgPool,
}

impl PgStore {
    /// Identities.
    #[must_use]
    pub fn identities(&self) -> Identities {
        Identities {
            pool: self.pools.request.clone(),
            control: self.pools.control.clone(),
        }
    }
}

pub(super) struct Row {
    pub(super) identity_id: Uuid,
    pub(super) namespace: String,
    pub(super) kind: IdentityKindColumn,
    pub(super) name: String,
    pub(super) status: IdentityStatusColumn,
    pub(super) serial: String,
    pub(super) public_key_sha256: Vec<u8>,
    pub(super) not_after: At,
    pub(super) min_issued_at: At,
    pub(super) capability_patterns: Vec<String>,
    pub(super) created_at: At,
    pub(super) revoked_at: Option<At>,
    pub(super) revoked_reason: Option<String>,
}

impl From<Row> for IdentityRow {
    fn from(row: Row) -> Self {
        Self {
            identity: NewIdentity {
                id: row.identity_id,
                namespace: row.namespace,
                kind: row.kind.into(),
                name: row.name,
                serial: row.serial,
                public_key_sha256: row.public_key_sha256,
                not_after: row.not_after.into(),
                min_issued_at: row.min_issued_at.into(),
                capability_patterns: row.capability_patterns,
            },
            status: row.status.into(),
            created_at: row.created_at.into(),
            revoked_at: row.revoked_at.map(Timestamp::from),
            revoked_reason: row.revoked_reason,
        }
    }
}

impl Identities {
    /// Enrols an identity without a token (the first operator, a development set-up). An active namesake is revoked;
    /// the same id again renews its certificate.
    pub async fn insert(&self, identity: NewIdentity) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            enrol(&mut tx, &identity).await?;
            Ok(crate::work::committing(tx.commit()).await?)
        })
        .await
    }

    /// One identity.
    pub async fn get(&self, id: Uuid) -> Result<Option<IdentityRow>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let row = sqlx::query_file_as!(Row, "queries/identity/get_identity.sql", id)
                .fetch_optional(&pool)
                .await?;
            Ok(row.map(IdentityRow::from))
        })
        .await
    }

    /// Newest first, of one namespace or all, of some kinds or (when empty) all.
    pub async fn list(
        &self,
        namespace: Option<&str>,
        kinds: &[IdentityKind],
        page: Page<Uuid>,
    ) -> Result<Vec<IdentityRow>, StoreError> {
        let (pool, namespace) = (self.pool.clone(), namespace.map(str::to_owned));
        let kinds: Vec<IdentityKindColumn> = kinds
            .iter()
            .copied()
            .map(IdentityKindColumn::from)
            .collect();
        unit(async move {
            let rows = sqlx::query_file_as!(
                Row,
                "queries/identity/list_identities.sql",
                namespace as _,
                &kinds as _,
                page.after as _,
                i64::from(page.rows)
            )
            .fetch_all(&pool)
            .await?;
            Ok(rows.into_iter().map(IdentityRow::from).collect())
        })
        .await
    }

    /// Notes a renewed certificate of an active identity.
    pub async fn renew(
        &self,
        id: Uuid,
        serial: &str,
        public_key_sha256: &[u8],
        not_after: Timestamp,
    ) -> Result<Result<(), RenewRefusal>, StoreError> {
        let (pool, serial, key) = (
            self.pool.clone(),
            serial.to_owned(),
            public_key_sha256.to_vec(),
        );
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let done = sqlx::query_file!(
                "queries/identity/renew_identity.sql",
                id,
                serial,
                key,
                At(not_after) as _
            )
            .execute(&mut *tx)
            .await?;
            let exists = exists(&mut tx, id).await?;
            crate::work::committing(tx.commit()).await?;
            Ok(match (done.rows_affected(), exists) {
                (0, false) => Err(RenewRefusal::Unknown),
                (0, true) => Err(RenewRefusal::Revoked),
                (_, _) => Ok(()),
            })
        })
        .await
    }

    /// Revokes an identity; idempotent, the first reason stands. `false` when there is no such identity.
    pub async fn revoke(
        &self,
        id: Uuid,
        reason: &str,
        once: Once<bool>,
    ) -> Result<Answered<bool>, StoreError> {
        let (pool, reason) = (self.pool.clone(), reason.to_owned());
        unit(async move {
            once.run(&pool, async move |tx| {
                bump(&mut *tx).await?;
                sqlx::query_file!("queries/identity/revoke_identity.sql", id, reason)
                    .execute(&mut *tx)
                    .await?;
                exists(&mut *tx, id).await
            })
            .await
        })
        .await
    }

    /// Everybody's standing, unless the revision is still the known one: one cheap statement a second.
    pub async fn snapshot(
        &self,
        known_revision: i64,
    ) -> Result<Option<IdentitySnapshot>, StoreError> {
        let pool = self.control.clone();
        unit(async move {
            let revision = sqlx::query_file_scalar!("queries/identity/revision.sql")
                .fetch_optional(&pool)
                .await?;
            if revision.is_none_or(|revision| revision == known_revision) {
                return Ok(None);
            }
            let rows = sqlx::query_file!("queries/identity/snapshot.sql")
                .fetch_all(&pool)
                .await?;
            let revision = rows.first().map_or(0, |row| row.revision);
            let standings = rows
                .into_iter()
                .filter_map(|row| {
                    let (id, status, min_issued_at) =
                        (row.identity_id?, row.status?, row.min_issued_at?);
                    Some(Standing {
                        id,
                        status: status.into(),
                        min_issued_at: min_issued_at.into(),
                    })
                })
                .collect();
            Ok(Some(IdentitySnapshot {
                revision,
                standings,
            }))
        })
        .await
    }
}

/// Inserts or renews, revokes an active namesake, raises the revision.
pub(super) async fn enrol(tx: &mut PgConnection, identity: &NewIdentity) -> Result<(), Problem> {
    // First of all the revision: its row's lock lets one enrolment pass at a time, so that namesakes do not meet.
    bump(tx).await?;
    let kind = IdentityKindColumn::from(identity.kind);
    sqlx::query_file!(
        "queries/identity/replace_namesake.sql",
        identity.namespace,
        kind as _,
        identity.name,
        identity.id
    )
    .execute(&mut *tx)
    .await?;
    let done = sqlx::query_file!(
        "queries/identity/put_identity.sql",
        identity.id,
        identity.namespace,
        kind as _,
        identity.name,
        identity.serial,
        identity.public_key_sha256,
        At(identity.not_after) as _,
        At(identity.min_issued_at) as _,
        &identity.capability_patterns
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(Problem::schema(
            "the identity was revoked; enrol under a new id",
        ));
    }
    Ok(())
}

async fn bump(tx: &mut PgConnection) -> Result<(), Problem> {
    sqlx::query_file!("queries/identity/bump_revision.sql")
        .execute(tx)
        .await?;
    Ok(())
}

async fn exists(tx: &mut PgConnection, id: Uuid) -> Result<bool, Problem> {
    Ok(
        sqlx::query_file_scalar!("queries/identity/identity_exists.sql", id)
            .fetch_one(tx)
            .await?,
    )
}
