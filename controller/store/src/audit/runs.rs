//! Which runs there are, for whoever compares them with the log.

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::RunId;
use sqlx::PgPool;
use sqlx::types::Uuid;

use crate::column::array::{column, shard};
use crate::column::decode;
use crate::problem::Problem;
use crate::work::Prelude;

/// A run's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// The run.
    pub run: RunId,
    /// Name of its namespace; empty if that is gone.
    pub namespace: String,
    /// Has it ended?
    pub closed: bool,
    /// Number of its last event.
    pub last_seq: u64,
    /// Hash of its last event.
    pub chain: ChainHash,
}

struct Row {
    run_id: Uuid,
    namespace: Option<String>,
    closed: bool,
    last_seq: i64,
    chain: Vec<u8>,
}

impl TryFrom<Row> for RecordedRun {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        Ok(Self {
            run: RunId(row.run_id),
            namespace: row.namespace.unwrap_or_default(),
            closed: row.closed,
            last_seq: decode::count(row.last_seq)?,
            chain: ChainHash(decode::hash(row.chain)?),
        })
    }
}

/// Runs after this place, in the order of shard and id.
pub(super) async fn page(
    pool: &PgPool,
    after: Option<RunId>,
    rows: u32,
) -> Result<Vec<RecordedRun>, Problem> {
    let (after_shard, after_run) =
        after.map_or((-1, Uuid::nil()), |run| (shard(run.shard()), run.0));
    let mut tx = Prelude::Report.begin(pool).await?;
    let rows = sqlx::query_file_as!(
        Row,
        "queries/audit/runs.sql",
        after_shard,
        after_run,
        i64::from(rows)
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    rows.into_iter().map(RecordedRun::try_from).collect()
}

/// These runs, as far as they are there.
pub(super) async fn some(pool: &PgPool, runs: &[RunId]) -> Result<Vec<RecordedRun>, Problem> {
    let mut tx = Prelude::Report.begin(pool).await?;
    let rows = sqlx::query_file_as!(
        Row,
        "queries/audit/some_runs.sql",
        &column(runs, |run| shard(run.shard())),
        &column(runs, |run| run.0),
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    rows.into_iter().map(RecordedRun::try_from).collect()
}
