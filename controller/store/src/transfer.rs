//! Values that come and go in pieces.
//!
//! What comes is *staged*: put together by the caller and written as a blob, durable, before anybody refers to it. Whoever
//! then brings it into a run reads it like any payload, and the commit writes a copy under the run's own id: what is
//! staged has the birthday of its coming, not that of a run, and leaves with that day. What nobody uses leaves likewise.

use std::ops::Range;

use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::store::StoreError;

use crate::PgStore;
use crate::blob::{self, Blobs};
use crate::connect::Pools;
use crate::partitions;
use crate::work::unit;

/// Staged values, and payloads in parts.
#[derive(Debug, Clone)]
pub struct Transfer {
    pools: Pools,
    blobs: Blobs,
}

impl PgStore {
    /// Values that come and go in pieces.
    #[must_use]
    pub fn transfer(&self) -> Transfer {
        Transfer {
            pools: self.pools.clone(),
            blobs: self.blobs.clone(),
        }
    }
}

impl Transfer {
    /// Stages a value; durable when it answers. `held` is let go when the value no longer takes memory here, even if the
    /// caller has gone meanwhile.
    ///
    /// # Errors
    /// When the database or object storage cannot be reached.
    pub async fn stage(
        &self,
        value: NewPayload,
        held: impl Send + 'static,
    ) -> Result<PayloadRef, StoreError> {
        let Self { pools, blobs } = self.clone();
        unit(async move {
            let (pool, level) = (&pools.request, pools.level.get());
            let mut staged = blob::write::by_itself(pool, &blobs, level, &value).await;
            if staged
                .as_ref()
                .is_err_and(|problem| problem.is_missing_partition())
            {
                let born = std::iter::once(value.reference.id.birth_ms());
                partitions::make_days_of(pool, born).await?;
                staged = blob::write::by_itself(pool, &blobs, level, &value).await;
            }
            let reference = value.reference;
            drop((value, held));
            staged.map(|()| reference)
        })
        .await
    }

    /// A part of a payload. `range` lies within it.
    ///
    /// # Errors
    /// [`StoreError::CorruptPayload`] when there is less than what is referred to; or the database or object storage cannot
    /// be reached.
    pub async fn part(
        &self,
        payload: PayloadRef,
        range: Range<u32>,
    ) -> Result<Vec<u8>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let Self { pools, blobs } = self.clone();
        unit(async move { blob::part::part(&pools.report, &blobs, payload, range).await }).await
    }
}
