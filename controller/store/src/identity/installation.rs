//! The installation and its certificate authorities.

use std::fmt;

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};

use super::{AuthorityKind, AuthorityKindColumn};
use crate::PgStore;
use crate::column::At;
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// The one row that tells installations apart.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallationRow {
    /// A DNS label made by the first controller.
    pub install_id: String,
    /// Key of the page tokens, sealed or not: the store does not look.
    pub paging_key: Vec<u8>,
}

/// A certificate of the authority with its key, as opaque bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityRow {
    /// Serial number in hex.
    pub serial: String,
    /// Which certificate.
    pub kind: AuthorityKind,
    /// The certificate.
    pub cert_pem: String,
    /// Its key, sealed or not: the store does not look.
    pub key_pem: Vec<u8>,
    /// When it ends.
    pub not_after: Timestamp,
}

impl fmt::Debug for InstallationRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallationRow")
            .field("install_id", &self.install_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthorityRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityRow")
            .field("serial", &self.serial)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The installation.
#[derive(Debug, Clone)]
pub struct Installation {
    pool: PgPool,
}

impl PgStore {
    /// The installation.
    #[must_use]
    pub fn installation(&self) -> Installation {
        Installation {
            pool: self.pools.request.clone(),
        }
    }
}

impl Installation {
    /// Writes the installation down unless somebody was first, and gives what is stored: controllers that start at
    /// once agree on the first.
    pub async fn init(
        &self,
        row: InstallationRow,
        authorities: Vec<AuthorityRow>,
    ) -> Result<(InstallationRow, Vec<AuthorityRow>), StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let paging_key = row.paging_key.as_slice();
            let first = sqlx::query_file!(
                "queries/identity/insert_installation.sql",
                row.install_id,
                paging_key
            )
            .execute(&mut *tx)
            .await?
            .rows_affected()
                == 1;
            if first {
                for authority in &authorities {
                    insert_authority(&mut tx, authority).await?;
                }
            }
            let stored = get(&mut tx)
                .await?
                .ok_or_else(|| Problem::schema("the installation's row is missing"))?;
            let authorities = list_authorities(&mut tx).await?;
            crate::work::committing(tx.commit()).await?;
            Ok((stored, authorities))
        })
        .await
    }

    /// What is stored; `None` before the first controller's start.
    pub async fn get(&self) -> Result<Option<InstallationRow>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { get(&mut *pool.acquire().await?).await }).await
    }

    /// Adds a certificate; one with this serial that is there already stays as it is.
    pub async fn add_authority(&self, row: AuthorityRow) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            insert_authority(&mut tx, &row).await?;
            Ok(crate::work::committing(tx.commit()).await?)
        })
        .await
    }

    /// Puts the key of the page tokens in another form; false if it is not in the form it was seen in any more.
    pub async fn reseal_paging_key(&self, from: Vec<u8>, to: Vec<u8>) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let done = sqlx::query_file!("queries/identity/reseal_paging_key.sql", from, to)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// Puts the key of a certificate in another form; false if it is not in the form it was seen in any more.
    pub async fn reseal_authority(
        &self,
        serial: String,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let done = sqlx::query_file!("queries/identity/reseal_authority.sql", serial, from, to)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// All certificates, oldest first.
    pub async fn authorities(&self) -> Result<Vec<AuthorityRow>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { list_authorities(&mut *pool.acquire().await?).await }).await
    }
}

async fn get(connection: &mut PgConnection) -> Result<Option<InstallationRow>, Problem> {
    let row = sqlx::query_file!("queries/identity/get_installation.sql")
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| InstallationRow {
        install_id: row.install_id,
        paging_key: row.paging_key,
    }))
}

async fn insert_authority(tx: &mut PgConnection, row: &AuthorityRow) -> Result<(), Problem> {
    sqlx::query_file!(
        "queries/identity/insert_authority.sql",
        row.serial,
        AuthorityKindColumn::from(row.kind) as _,
        row.cert_pem,
        row.key_pem,
        At(row.not_after) as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn list_authorities(connection: &mut PgConnection) -> Result<Vec<AuthorityRow>, Problem> {
    let rows = sqlx::query_file!("queries/identity/list_authorities.sql")
        .fetch_all(connection)
        .await?;
    let authority = rows.into_iter().map(|row| AuthorityRow {
        serial: row.serial,
        kind: row.kind.into(),
        cert_pem: row.cert_pem,
        key_pem: row.key_pem,
        not_after: row.not_after.into(),
    });
    Ok(authority.collect())
}
