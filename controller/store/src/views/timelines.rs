//! Timelines of runs, page by page.

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::{StoreError, StoredEvent};
use sqlx::PgPool;

use crate::PgStore;
use crate::catalog::{Page, Portion};
use crate::column::array::{column, long, shard};
use crate::column::decode;
use crate::load::event;
use crate::work::{Prelude, unit};

/// An event with what it must continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedEvent {
    /// Its run.
    pub run: RunId,
    /// The event.
    pub event: StoredEvent,
    /// The hash of the event before it.
    pub previous: ChainHash,
}

/// Timelines.
#[derive(Debug, Clone)]
pub struct Timelines {
    pool: PgPool,
}

impl PgStore {
    /// Timelines.
    #[must_use]
    pub fn timelines(&self) -> Timelines {
        Timelines {
            pool: self.pools.report.clone(),
        }
    }
}

impl Timelines {
    /// A run's events after a `seq` (0 or none for the first page), in order: at most so many, and of so many bytes,
    /// but at least one if there is any.
    pub async fn page(
        &self,
        run: RunId,
        page: Page<u64>,
        bytes: u64,
    ) -> Result<Portion<StoredEvent>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file!(
                "queries/views/timeline.sql",
                shard(run.shard()),
                run.0,
                long(page.after.unwrap_or(0)),
                i64::from(page.rows) + 1,
                long(bytes)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            let found = rows.first().map_or(0, |row| row.found);
            let events = rows
                .into_iter()
                .take(page.rows as usize)
                .map(|row| event(row.seq, row.kind, row.schema, row.body, row.hash))
                .collect::<Result<_, _>>()?;
            Ok(Portion::of(events, found))
        })
        .await
    }

    /// All events of one kind of these runs, by run and in order.
    pub async fn of_kind(&self, runs: &[RunId], kind: u16) -> Result<Vec<LinkedEvent>, StoreError> {
        let pool = self.pool.clone();
        let shards = column(runs, |run| shard(run.shard()));
        let ids = column(runs, |run| run.0);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file!(
                "queries/views/events_of_kind.sql",
                &shards,
                &ids,
                i16::try_from(kind).unwrap_or(i16::MAX)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            rows.into_iter()
                .map(|row| {
                    let previous = row.previous.map(decode::hash).transpose()?;
                    Ok(LinkedEvent {
                        run: RunId(row.stream),
                        event: event(row.seq, row.kind, row.schema, row.body, row.hash)?,
                        previous: previous.map(ChainHash).unwrap_or_default(),
                    })
                })
                .collect()
        })
        .await
    }
}
