//! The inbox, and every question ever asked.

use fulcrum_core::ids::{NamespaceId, ReviewId, RunId};
use fulcrum_core::store::{ReviewRow, StoreError};
use fulcrum_core::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use crate::PgStore;
use crate::catalog::Page;
use crate::column::array::shard;
use crate::column::states::ReviewState;
use crate::column::{At, ReviewStateColumn, decode};
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// A review as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReview {
    /// The question.
    pub review: ReviewRow,
    /// Where it stands.
    pub state: ReviewState,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// A position in a listing of reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewPosition {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// The review.
    pub review: ReviewId,
}

impl StoredReview {
    /// Its position, for the next page.
    #[must_use]
    pub fn position(&self) -> ReviewPosition {
        ReviewPosition {
            asked_at: self.review.asked_at,
            review: self.review.review,
        }
    }
}

/// Reviews.
#[derive(Debug, Clone)]
pub struct Reviews {
    pool: PgPool,
}

impl PgStore {
    /// Reviews.
    #[must_use]
    pub fn reviews(&self) -> Reviews {
        Reviews {
            pool: self.pools.report.clone(),
        }
    }
}

struct Row {
    review_id: Uuid,
    namespace_id: Uuid,
    run_id: Uuid,
    step: String,
    state: ReviewStateColumn,
    content_id: Uuid,
    content_hash: Vec<u8>,
    content_bytes: i64,
    show_id: Uuid,
    show_hash: Vec<u8>,
    show_bytes: i64,
    editable: bool,
    asked_at: At,
    expires_at: Option<At>,
    closed_at: Option<At>,
}

impl TryFrom<Row> for StoredReview {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        Ok(Self {
            review: ReviewRow {
                review: ReviewId(row.review_id),
                namespace: NamespaceId(row.namespace_id),
                run: RunId(row.run_id),
                step: decode::step(&row.step)?,
                content: decode::payload_ref(row.content_id, row.content_hash, row.content_bytes)?,
                show: decode::payload_ref(row.show_id, row.show_hash, row.show_bytes)?,
                edit: row.editable,
                asked_at: row.asked_at.into(),
                expires_at: row.expires_at.map(Timestamp::from),
            },
            state: row.state.into(),
            closed_at: row.closed_at.map(Timestamp::from),
        })
    }
}

impl Reviews {
    /// Questions that wait for an answer, oldest first.
    pub async fn inbox(
        &self,
        namespace: NamespaceId,
        page: Page<ReviewPosition>,
    ) -> Result<Vec<StoredReview>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let (at, id) = page
                .after
                .map_or((Timestamp(0), Uuid::nil()), |p| (p.asked_at, p.review.0));
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file_as!(
                Row,
                "queries/views/inbox.sql",
                namespace.0,
                At(at) as _,
                id,
                i64::from(page.rows)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            rows.into_iter().map(StoredReview::try_from).collect()
        })
        .await
    }

    /// Every question ever asked, newest first, of one run or all.
    pub async fn list(
        &self,
        namespace: NamespaceId,
        run: Option<RunId>,
        page: Page<ReviewPosition>,
    ) -> Result<Vec<StoredReview>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let (at, id) = page.after.map_or((Timestamp(i64::MAX), Uuid::max()), |p| {
                (p.asked_at, p.review.0)
            });
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file_as!(
                Row,
                "queries/views/list_reviews.sql",
                namespace.0,
                At(at) as _,
                id,
                run.map(|run| run.0) as _,
                i64::from(page.rows)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            rows.into_iter().map(StoredReview::try_from).collect()
        })
        .await
    }

    /// One review, open or closed.
    pub async fn get(&self, review: ReviewId) -> Result<Option<StoredReview>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let row = sqlx::query_file_as!(
                Row,
                "queries/views/get_review.sql",
                shard(review.shard()),
                review.0
            )
            .fetch_optional(&pool)
            .await?;
            row.map(StoredReview::try_from).transpose()
        })
        .await
    }
}
