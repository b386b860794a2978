//! Tasks: created, released, parked, resumed, removed.

use fulcrum_core::ids::TaskId;
use fulcrum_core::store::Commit;
use fulcrum_core::task::{NewTask, TaskOp};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::PgConnection;

use crate::column::array::{column, int, long, shard};
use crate::column::{At, decode};
use crate::problem::Problem;

struct Release {
    task: TaskId,
    ready_at: Timestamp,
    attempt: u32,
    crash_count: u16,
}

#[derive(Default)]
struct Sorted<'a> {
    create: Vec<&'a NewTask>,
    release: Vec<Release>,
    park: Vec<TaskId>,
    resume: Vec<TaskId>,
    remove: Vec<TaskId>,
}

pub(super) async fn write(tx: &mut PgConnection, winners: &[&Commit]) -> Result<(), Problem> {
    let mut sorted = Sorted::default();
    for op in winners.iter().flat_map(|commit| &commit.tasks) {
        match op {
            TaskOp::Create(new) => sorted.create.push(new),
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
            TaskOp::Remove { task } => sorted.remove.push(*task),
        }
    }
    if !sorted.create.is_empty() {
        create(tx, &sorted.create).await?;
    }
    if !sorted.release.is_empty() {
        release(tx, &sorted.release).await?;
    }
    for (tasks, change) in [
        (sorted.park, Change::Park),
        (sorted.resume, Change::Resume),
        (sorted.remove, Change::Remove),
    ] {
        if !tasks.is_empty() {
            change.apply(tx, &tasks).await?;
        }
    }
    Ok(())
}

async fn create(tx: &mut PgConnection, new: &[&NewTask]) -> Result<(), Problem> {
    let new = || new.iter().copied();
    let millis = |span: Option<Millis>| span.map(|span| long(span.0));
    sqlx::query_file!(
        "queries/flush/create_tasks.sql",
        &column(new(), |t| shard(t.task.shard())),
        &column(new(), |t| t.task.0),
        &column(new(), |t| t.run.0),
        &column(new(), |t| t.root.0),
        &column(new(), |t| t.namespace.0),
        &column(new(), |t| t.step.to_string()),
        &column(new(), |t| t.capability.clone()),
        &column(new(), |t| t.contract.map(|hash| hash.0.to_vec())) as _,
        &column(new(), |t| t.input.id.0),
        &column(new(), |t| t.input.hash.to_vec()),
        &column(new(), |t| i64::from(t.input.bytes)),
        &column(new(), |t| t.trace.as_ref().map(decode::trace_bytes)) as _,
        &column(new(), |t| t.priority),
        &column(new(), |t| At(t.ready_at)) as _,
        &column(new(), |t| int(t.attempt)),
        &column(new(), |t| millis(t.schedule_to_start)) as _,
        &column(new(), |t| millis(t.start_to_close)) as _,
    )
    .execute(tx)
    .await?;
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
    Remove,
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
            Change::Remove => {
                sqlx::query_file!("queries/flush/remove_tasks.sql", &shards, &ids)
                    .execute(tx)
                    .await?
            }
        };
        Ok(())
    }
}
