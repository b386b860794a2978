//! What is due: tasks for the reaper, timers, mail that nobody has fetched.

use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::{MailId, RunId, TaskId, TimerId, WorkerId};
use fulcrum_core::store::{DueTimer, StoreError};
use fulcrum_core::task::{Due, TaskRow, TaskState};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::PgPool;

use crate::column::array::{column, long, shard};
use crate::column::{At, TaskStateColumn, TimerPurposeColumn, decode};
use crate::flush::clear_timers;
use crate::problem::Problem;
use crate::work::Prelude;

pub(crate) async fn tasks(pool: &PgPool, limit: u32) -> Result<Vec<TaskRow>, Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    let rows = sqlx::query_file!("queries/due/tasks.sql", i64::from(limit))
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    rows.into_iter()
        .map(|row| {
            let state = TaskState::from(row.state);
            let due_at = Timestamp::from(row.due_at);
            Ok(TaskRow {
                task: TaskId(row.task_id),
                run: RunId(row.run_id),
                root: RunId(row.root_id),
                step: decode::step(&row.step)?,
                state,
                attempt: decode::count32(row.attempt.into())?,
                lease_seq: decode::count(row.lease_seq)?,
                lease_nonce: row.lease_nonce,
                worker: row.worker_id.map(WorkerId),
                granted_at: row.granted_at.map(Timestamp::from),
                crash_count: decode::count16(row.crash_count)?,
                due: match state {
                    TaskState::Ready => Due::ScheduleToStart(due_at),
                    TaskState::Leased => leased_due(row.lease_until, row.close_by, due_at),
                    TaskState::Parked => Due::Never,
                },
            })
        })
        .collect()
}

fn leased_due(lease_until: Option<At>, close_by: Option<At>, due_at: Timestamp) -> Due {
    let lease_until = lease_until.map_or(due_at, Timestamp::from);
    match close_by.map(Timestamp::from) {
        Some(by) if by <= lease_until => Due::StartToClose(by),
        Some(_) | None => Due::LeaseDeadline(lease_until),
    }
}

pub(crate) async fn timers(pool: &PgPool, limit: u32) -> Result<Vec<DueTimer>, Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    let rows = sqlx::query_file!("queries/due/timers.sql", i64::from(limit))
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    rows.into_iter()
        .map(|row| {
            Ok(DueTimer {
                timer: TimerId(row.timer_id),
                run: RunId(row.run_id),
                root: RunId(row.root_id),
                step: decode::step(&row.step)?,
                purpose: row.purpose.into(),
                at: row.fires_at.into(),
            })
        })
        .collect()
}

pub(crate) async fn mail(
    pool: &PgPool,
    older_than: Millis,
    limit: u32,
) -> Result<Vec<Mail>, Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    let rows = sqlx::query_file!("queries/due/mail.sql", long(older_than.0), i64::from(limit))
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    rows.into_iter()
        .map(|row| {
            let to = RunId(row.run_id);
            let body = postcard::from_bytes(&row.body).map_err(|error| StoreError::Corrupt {
                run: to,
                problem: format!("mail {} does not decode: {error}", MailId(row.mail_id)),
            })?;
            let (root, from) = (RunId(row.root_id), RunId(row.sender_id));
            Ok(Mail {
                id: MailId(row.mail_id),
                to,
                root,
                from,
                body,
            })
        })
        .collect()
}

pub(crate) async fn discard_mail(pool: &PgPool, mail: &[MailId]) -> Result<(), Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    sqlx::query_file!(
        "queries/due/discard_mail.sql",
        &column(mail, |id| shard(id.shard())),
        &column(mail, |id| id.0),
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

pub(crate) async fn discard_timers(pool: &PgPool, timers: &[TimerId]) -> Result<(), Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    clear_timers(&mut tx, timers).await?;
    Ok(tx.commit().await?)
}
