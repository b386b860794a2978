//! Timelines of runs, page by page.

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::{StoreError, StoredEvent};
use sqlx::PgPool;

use crate::PgStore;
use crate::catalog::{Page, Portion, Rest};
use crate::column::array::{column, long, shard};
use crate::column::decode;
use crate::timeline::events;
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
        let after = page.after.unwrap_or(0);
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file!(
                "queries/views/timeline.sql",
                shard(run.shard()),
                run.0,
                long(after),
                i64::from(page.rows) + 1,
                long(bytes)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            let found = rows.first().map_or(0, |row| row.found);
            let is_cut = i64::try_from(rows.len()) != Ok(found);
            let mut items = Vec::new();
            for row in rows {
                items.extend(events(row.seq, row.kind, row.schema, row.body, row.hash)?);
            }
            items.retain(|event| event.seq > after);
            let shown = shown(&items, page.rows, bytes);
            let rest = if is_cut || shown < items.len() {
                Rest::More
            } else {
                Rest::Nothing
            };
            items.truncate(shown);
            Ok(Portion { items, rest })
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
            let mut linked = Vec::with_capacity(rows.len());
            for row in rows {
                let previous = row.previous.map(decode::hash).transpose()?;
                let previous = previous.map(ChainHash).unwrap_or_default();
                let run = RunId(row.stream);
                let events = events(row.seq, row.kind, row.schema, row.body, row.hash)?;
                linked.extend(events.into_iter().map(|event| LinkedEvent {
                    run,
                    event,
                    previous,
                }));
            }
            Ok(linked)
        })
        .await
    }
}

/// How many of these a page shows.
fn shown(events: &[StoredEvent], rows: u32, bytes: u64) -> usize {
    let mut upto = 0;
    let fits = |(place, event): &(usize, &StoredEvent)| {
        upto += event.body.len() as u64;
        *place == 0 || upto <= bytes
    };
    let page = events.iter().take(rows as usize).enumerate();
    page.take_while(fits).count()
}
