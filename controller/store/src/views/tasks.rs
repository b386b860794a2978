//! How tasks stand at this moment, which no timeline tells: a grant is no event.

use fulcrum_core::ids::{Shard, TaskId, WorkerId};
use fulcrum_core::store::StoreError;
use fulcrum_core::task::TaskState;
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::PgPool;

use crate::PgStore;
use crate::column::array::{column, long, shard};
use crate::column::{At, TaskStateColumn, decode};
use crate::work::{Prelude, unit};

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStanding {
    /// The task.
    pub task: TaskId,
    /// Its state.
    pub state: TaskState,
    /// When it was or will be offered.
    pub ready_at: Timestamp,
    /// Whether that time has come.
    pub offer: Offer,
    /// The last grant, if there was one.
    pub granted: Option<Granted>,
    /// Workers in good standing that registered its capability; 0 unless it is ready.
    pub registered: u64,
    /// Those of them that were seen lately.
    pub connected: u64,
}

/// Whether the time of a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It may be taken now, if it is ready.
    Due,
    /// It waits out a delay.
    Later,
}

/// A grant as people want to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// To whom.
    pub worker: WorkerId,
    /// Its name; empty if the identity is gone.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// Tasks.
#[derive(Debug, Clone)]
pub struct Tasks {
    pool: PgPool,
}

impl PgStore {
    /// Tasks.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks {
            pool: self.pools.report.clone(),
        }
    }
}

impl Tasks {
    /// How these tasks of one shard stand. Those that are gone are left out. A worker that was not seen for `silence`
    /// does not count as connected.
    pub async fn standing(
        &self,
        of: Shard,
        tasks: &[TaskId],
        silence: Millis,
    ) -> Result<Vec<TaskStanding>, StoreError> {
        let (pool, ids) = (self.pool.clone(), column(tasks, |task| task.0));
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file!(
                "queries/views/standing.sql",
                shard(of),
                &ids,
                long(silence.0)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            rows.into_iter()
                .map(|row| {
                    Ok(TaskStanding {
                        task: TaskId(row.task_id),
                        state: row.state.into(),
                        ready_at: row.ready_at.into(),
                        offer: if row.is_due { Offer::Due } else { Offer::Later },
                        granted: row
                            .worker_id
                            .zip(row.granted_at)
                            .map(|(worker, at)| Granted {
                                worker: WorkerId(worker),
                                name: row.worker_name.unwrap_or_default(),
                                at: at.into(),
                            }),
                        registered: decode::count(row.registered)?,
                        connected: decode::count(row.connected)?,
                    })
                })
                .collect()
        })
        .await
    }
}
