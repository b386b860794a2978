//! The log, as others see it.

use std::sync::Arc;

use fulcrum_audit::{Head, NodeHash, Signer, Tree};
use fulcrum_core::ids::RunId;
use fulcrum_core::store::StoreError;
use sqlx::PgPool;
use tokio::sync::Notify;

use super::read::{Batch, Proof};
use super::runs::RecordedRun;
use super::{leaf, place, read, runs};
use crate::PgStore;
use crate::column::decode;
use crate::problem::Problem;
use crate::versions::{FeatureLevel, LevelSeen};
use crate::work::{Prelude, unit};

/// Leaves that get their places together at most.
pub(super) const PLACE_MAX: i64 = 1_024;

/// A key that heads are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What checks its signatures, as text.
    pub verifier: String,
    /// The key, sealed.
    pub sealed: Vec<u8>,
}

/// What came of giving places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// So many leaves got their places.
    Some {
        /// How many.
        leaves: u32,
        /// The log then.
        head: Head,
        /// There may be more.
        more: bool,
    },
    /// There was nothing to do.
    Nothing,
    /// Somebody else is at it.
    Elsewhere,
}

/// The installation log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    pool: PgPool,
    filled: Arc<Notify>,
    level: LevelSeen,
}

impl PgStore {
    /// The installation log.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog {
            pool: self.pools.report.clone(),
            filled: Arc::clone(&self.pools.inbox_filled),
            level: self.pools.level.clone(),
        }
    }
}

impl AuditLog {
    /// Do commits leave leaves yet?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.level.get() >= FeatureLevel::LOG
    }

    /// Told when a commit of this process has left a leaf.
    #[must_use]
    pub fn filled(&self) -> Arc<Notify> {
        Arc::clone(&self.filled)
    }

    /// The keys, oldest first. The last one signs.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let keys = sqlx::query_file_as!(StoredKey, "queries/audit/keys.sql")
                .fetch_all(&mut *tx)
                .await?;
            tx.rollback().await?;
            Ok(keys)
        })
        .await
    }

    /// Has a key rest sealed otherwise, unless it rests otherwise already.
    pub async fn reseal_key(&self, key: StoredKey, to: Vec<u8>) -> Result<bool, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let (verifier, from) = (key.verifier, key.sealed);
            let done = sqlx::query_file!("queries/audit/reseal_key.sql", verifier, from, to)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// Begins the log with its first key and its first leaf, unless it has begun.
    pub async fn begin(&self, key: StoredKey, leaf: Vec<u8>) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            sqlx::query_file!("queries/audit/lock_keys.sql")
                .fetch_one(&mut *tx)
                .await?;
            let added = sqlx::query_file!("queries/audit/add_key.sql", key.verifier, key.sealed)
                .execute(&mut *tx)
                .await?;
            if added.rows_affected() > 0 {
                leaf::leave(&mut tx, &leaf).await?;
            }
            Ok(tx.commit().await?)
        })
        .await?;
        self.filled.notify_one();
        Ok(())
    }

    /// Gives leaves that have none their places, and has the new head signed.
    pub async fn place(&self, signer: Arc<Signer>) -> Result<Placed, StoreError> {
        let pool = self.pool.clone();
        unit(async move { place::place(&pool, &signer).await }).await
    }

    /// The signed head, with the proof that it adds to a log of `known` leaves; `None` before the first.
    pub async fn head(&self, known: u64) -> Result<Option<Proof>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { read::head(&pool, known).await }).await
    }

    /// The signed head, with the edge that the log had when it had so many leaves; `None` before the first head.
    pub async fn edge(&self, at: u64) -> Result<Option<Proof>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { read::edge(&pool, at).await }).await
    }

    /// Batches of leaves from the one on that holds this place.
    pub async fn batches(&self, from: u64, rows: u32) -> Result<Vec<Batch>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { read::batches(&pool, from, rows).await }).await
    }

    /// Runs of all namespaces after this one, in the order of shard and id.
    pub async fn runs(
        &self,
        after: Option<RunId>,
        rows: u32,
    ) -> Result<Vec<RecordedRun>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { runs::page(&pool, after, rows).await }).await
    }

    /// These runs, as far as they are there.
    pub async fn some_runs(&self, runs: &[RunId]) -> Result<Vec<RecordedRun>, StoreError> {
        let (pool, runs) = (self.pool.clone(), runs.to_vec());
        unit(async move { runs::some(&pool, &runs).await }).await
    }
}

pub(super) fn hashes(bytes: &[u8]) -> Option<Vec<NodeHash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty()
        .then(|| hashes.iter().map(|hash| NodeHash(*hash)).collect())
}

pub(super) fn bytes(hashes: &[NodeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

pub(super) fn tree(size: i64, edge: &[u8]) -> Result<Tree, Problem> {
    let size = decode::count(size)?;
    let edge = hashes(edge).ok_or_else(|| spoiled("its edge is cut off"))?;
    Tree::resume(size, &edge).map_err(|error| spoiled(&error.to_string()))
}

pub(super) fn spoiled(what: &str) -> Problem {
    Problem::schema(format!("the installation log cannot be read: {what}"))
}
