//! Tasks that stay: released, parked, resumed.

use fulcrum_core::ids::TaskId;
use fulcrum_core::store::Commit;
use fulcrum_core::task::TaskOp;
use fulcrum_core::time::Timestamp;
use sqlx::PgConnection;

use crate::column::At;
use crate::column::array::{column, int, shard};
use crate::problem::Problem;

struct Release {
    task: TaskId,
    ready_at: Timestamp,
    attempt: u32,
    crash_count: u16,
}

#[derive(Default)]
struct Sorted {
    release: Vec<Release>,
    park: Vec<TaskId>,
    resume: Vec<TaskId>,
}

pub(super) async fn write(tx: &mut PgConnection, winners: &[&Commit]) -> Result<(), Problem> {
    let mut sorted = Sorted::default();
    for op in winners.iter().flat_map(|commit| &commit.tasks) {
        match op {
            TaskOp::Release {
                task,
                ready_at,
                attempt,
                crash_count,
            } => sorted.release.push(Release {
                task: *task,
                ready_at: *ready_at,
                attempt: *attempt,
                crash_count: *crash_count,
            }),
            TaskOp::Park { task } => sorted.park.push(*task),
            TaskOp::Resume { task } => sorted.resume.push(*task),
            TaskOp::Create(_) | TaskOp::Remove { .. } => {}
        }
    }
    if !sorted.release.is_empty() {
        release(tx, &sorted.release).await?;
    }
    for (tasks, change) in [(sorted.park, Change::Park), (sorted.resume, Change::Resume)] {
        if !tasks.is_empty() {
            change.apply(tx, &tasks).await?;
        }
    }
    Ok(())
}

async fn release(tx: &mut PgConnection, released: &[Release]) -> Result<(), Problem> {
    sqlx::query_file!(
        "queries/flush/release_tasks.sql",
        &column(released, |r| shard(r.task.shard())),
        &column(released, |r| r.task.0),
        &column(released, |r| At(r.ready_at)) as _,
        &column(released, |r| int(r.attempt)),
        &column(released, |r| i32::from(r.crash_count)),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What a task's id alone tells.
enum Change {
    Park,
    Resume,
}

impl Change {
    async fn apply(self, tx: &mut PgConnection, tasks: &[TaskId]) -> Result<(), Problem> {
        let shards = column(tasks, |task| shard(task.shard()));
        let ids = column(tasks, |task| task.0);
        match self {
            Change::Park => {
                sqlx::query_file!("queries/flush/park_tasks.sql", &shards, &ids)
                    .execute(tx)
                    .await?
            }
            Change::Resume => {
                sqlx::query_file!("queries/flush/resume_tasks.sql", &shards, &ids)
                    .execute(tx)
                    .await?
            }
        };
        Ok(())
    }
}
