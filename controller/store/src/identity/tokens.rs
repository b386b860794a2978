//! Join tokens: single use, bound to a name, expiring.

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use super::identities::enrol;
use super::{IdentityKind, IdentityKindColumn, NewIdentity};
use crate::PgStore;
use crate::catalog::{Answered, Once, Page};
use crate::column::{At, decode};
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// A token to be given out; the secret itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJoinToken {
    /// Made by the caller.
    pub id: Uuid,
    /// SHA-256 of the secret; compared by the caller, in constant time.
    pub secret_hash: [u8; 32],
    /// A namespace's name, or `_` for every namespace.
    pub namespace: String,
    /// What the identity will be for.
    pub kind: IdentityKind,
    /// The identity's name.
    pub name: String,
    /// What it may serve.
    pub capability_patterns: Vec<String>,
    /// Good until then.
    pub expires_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// A token as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinTokenRow {
    /// What was given out.
    pub token: NewJoinToken,
    /// When.
    pub created_at: Timestamp,
    /// When it was redeemed.
    pub used_at: Option<Timestamp>,
    /// By which identity.
    pub used_by: Option<Uuid>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token is not redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedeemRefusal {
    /// There is no such token.
    #[error("there is no such join token")]
    Unknown,
    /// It was redeemed before.
    #[error("the join token was used")]
    Used,
    /// It was revoked.
    #[error("the join token was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the join token has expired")]
    Expired,
}

/// Join tokens.
#[derive(Debug, Clone)]
pub struct JoinTokens {
    pool: PgPool,
}

impl PgStore {
    /// Join tokens.
    #[must_use]
    pub fn join_tokens(&self) -> JoinTokens {
        JoinTokens {
            pool: self.pools.request.clone(),
        }
    }
}

struct Row {
    token_id: Uuid,
    secret_hash: Vec<u8>,
    namespace: String,
    kind: IdentityKindColumn,
    name: String,
    capability_patterns: Vec<String>,
    expires_at: At,
    created_at: At,
    created_by: String,
    used_at: Option<At>,
    used_by: Option<Uuid>,
    revoked_at: Option<At>,
}

impl TryFrom<Row> for JoinTokenRow {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        Ok(Self {
            token: NewJoinToken {
                id: row.token_id,
                secret_hash: decode::hash(row.secret_hash)?,
                namespace: row.namespace,
                kind: row.kind.into(),
                name: row.name,
                capability_patterns: row.capability_patterns,
                expires_at: row.expires_at.into(),
                created_by: row.created_by,
            },
            created_at: row.created_at.into(),
            used_at: row.used_at.map(Timestamp::from),
            used_by: row.used_by,
            revoked_at: row.revoked_at.map(Timestamp::from),
        })
    }
}

impl JoinTokens {
    /// Stores a token.
    pub async fn create(
        &self,
        token: NewJoinToken,
        once: Once<()>,
    ) -> Result<Answered<()>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            once.run(&pool, async move |tx| {
                sqlx::query_file!(
                    "queries/identity/insert_token.sql",
                    token.id,
                    token.secret_hash.as_slice(),
                    token.namespace,
                    IdentityKindColumn::from(token.kind) as _,
                    token.name,
                    &token.capability_patterns,
                    At(token.expires_at) as _,
                    token.created_by
                )
                .execute(&mut *tx)
                .await?;
                Ok(())
            })
            .await
        })
        .await
    }

    /// Gives a token that still admits another secret; the one before is worth nothing from here on. `false` when there
    /// is no such token, or it was used, revoked or has expired.
    pub async fn replace_secret(
        &self,
        id: Uuid,
        secret_hash: [u8; 32],
    ) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let done = sqlx::query_file!(
                "queries/identity/replace_secret.sql",
                id,
                secret_hash.as_slice()
            )
            .execute(&mut *tx)
            .await?;
            crate::work::committing(tx.commit()).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// One token, used or not.
    pub async fn get(&self, id: Uuid) -> Result<Option<JoinTokenRow>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let row = sqlx::query_file_as!(Row, "queries/identity/get_token.sql", id)
                .fetch_optional(&pool)
                .await?;
            row.map(JoinTokenRow::try_from).transpose()
        })
        .await
    }

    /// Uses the token up and enrols the identity, in one transaction. Of two redemptions of one token one wins.
    pub async fn redeem(
        &self,
        id: Uuid,
        identity: NewIdentity,
    ) -> Result<Result<(), RedeemRefusal>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let used = sqlx::query_file!("queries/identity/use_token.sql", id, identity.id)
                .execute(&mut *tx)
                .await?;
            if used.rows_affected() == 0 {
                let standing = sqlx::query_file!("queries/identity/token_standing.sql", id)
                    .fetch_optional(&mut *tx)
                    .await?;
                tx.rollback().await?;
                return Ok(Err(match standing {
                    None => RedeemRefusal::Unknown,
                    Some(token) if token.used => RedeemRefusal::Used,
                    Some(token) if token.revoked => RedeemRefusal::Revoked,
                    Some(_) => RedeemRefusal::Expired,
                }));
            }
            enrol(&mut tx, &identity).await?;
            crate::work::committing(tx.commit()).await?;
            Ok(Ok(()))
        })
        .await
    }

    /// Newest first, of one namespace or all.
    pub async fn list(
        &self,
        namespace: Option<&str>,
        page: Page<Uuid>,
    ) -> Result<Vec<JoinTokenRow>, StoreError> {
        let (pool, namespace) = (self.pool.clone(), namespace.map(str::to_owned));
        unit(async move {
            let rows = sqlx::query_file_as!(
                Row,
                "queries/identity/list_tokens.sql",
                namespace as _,
                page.after as _,
                i64::from(page.rows)
            )
            .fetch_all(&pool)
            .await?;
            rows.into_iter().map(JoinTokenRow::try_from).collect()
        })
        .await
    }

    /// Revokes a token; idempotent. `false` when there is no such token.
    pub async fn revoke(&self, id: Uuid) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let done = sqlx::query_file!("queries/identity/revoke_token.sql", id)
                .execute(&mut *tx)
                .await?;
            crate::work::committing(tx.commit()).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }
}
