//! What is due: tasks for the reaper, timers, mail that nobody has fetched.

use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::{MailId, RunId, TaskId, TimerId, WorkerId};
use fulcrum_core::store::{DueTimer, StoreError, Sweep, SweepKey, UnreadableRow};
use fulcrum_core::task::{Due, TaskRow, TaskState};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use crate::column::array::{column, long, shard};
use crate::column::{At, TaskStateColumn, TimerPurposeColumn, decode};
use crate::flush::clear_timers;
use crate::problem::Problem;
use crate::work::Prelude;

pub(crate) async fn tasks(
    pool: &PgPool,
    after: Option<SweepKey>,
    limit: u32,
) -> Result<Sweep<TaskRow>, Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    let (at, id) = bounds(after);
    let rows = sqlx::query_file!("queries/due/tasks.sql", i64::from(limit), at as _, id)
        .fetch_all(&mut *tx)
        .await?;
    crate::work::committing(tx.commit()).await?;
    let mut page = Page::new(limit);
    for row in rows {
        page.met(row.due_at.into(), row.task_id);
        if !row.is_due {
            continue;
        }
        let state = TaskState::from(row.state);
        let due_at = Timestamp::from(row.due_at);
        let read = || {
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
        };
        page.take(RunId(row.run_id), read());
    }
    Ok(page.sweep)
}

fn leased_due(lease_until: Option<At>, close_by: Option<At>, due_at: Timestamp) -> Due {
    let lease_until = lease_until.map_or(due_at, Timestamp::from);
    match close_by.map(Timestamp::from) {
        Some(by) if by <= lease_until => Due::StartToClose(by),
        Some(_) | None => Due::LeaseDeadline(lease_until),
    }
}

pub(crate) async fn timers(
    pool: &PgPool,
    after: Option<SweepKey>,
    limit: u32,
) -> Result<Sweep<DueTimer>, Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    let (at, id) = bounds(after);
    let rows = sqlx::query_file!("queries/due/timers.sql", i64::from(limit), at as _, id)
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    let mut page = Page::new(limit);
    for row in rows {
        page.met(row.fires_at.into(), row.timer_id);
        let read = || {
            Ok(DueTimer {
                timer: TimerId(row.timer_id),
                run: RunId(row.run_id),
                root: RunId(row.root_id),
                step: decode::step(&row.step)?,
                purpose: row.purpose.into(),
                at: row.fires_at.into(),
            })
        };
        page.take(RunId(row.run_id), read());
    }
    Ok(page.sweep)
}

pub(crate) async fn mail(
    pool: &PgPool,
    older_than: Millis,
    after: Option<SweepKey>,
    limit: u32,
) -> Result<Sweep<Mail>, Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    let (at, id) = bounds(after);
    let rows = sqlx::query_file!(
        "queries/due/mail.sql",
        long(older_than.0),
        i64::from(limit),
        at as _,
        id
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    let mut page = Page::new(limit);
    for row in rows {
        page.met(row.sent_at.into(), row.mail_id);
        let to = RunId(row.run_id);
        let body = postcard::from_bytes(&row.body)
            .map_err(|error| Problem::schema(format!("its body does not decode: {error}")));
        let read = body.map(|body| Mail {
            id: MailId(row.mail_id),
            to,
            root: RunId(row.root_id),
            from: RunId(row.sender_id),
            body,
        });
        page.take(to, read);
    }
    Ok(page.sweep)
}

/// Where the page begins, as the statements take it: null for the beginning.
fn bounds(after: Option<SweepKey>) -> (Option<At>, Option<Uuid>) {
    after.map_or((None, None), |key| (Some(key.at.into()), Some(key.id)))
}

/// A page being read.
struct Page<T> {
    sweep: Sweep<T>,
    met: usize,
    last: Option<SweepKey>,
    limit: u32,
}

impl<T> Page<T> {
    fn new(limit: u32) -> Self {
        Self {
            sweep: Sweep::default(),
            met: 0,
            last: None,
            limit,
        }
    }

    /// A row was met, whatever becomes of it.
    fn met(&mut self, at: Timestamp, id: Uuid) {
        self.met += 1;
        self.last = Some(SweepKey { at, id });
        let full = u32::try_from(self.met).is_ok_and(|met| met >= self.limit);
        self.sweep.next = self.last.filter(|_| full);
    }

    /// The row met last, read or not.
    fn take(&mut self, run: RunId, read: Result<T, Problem>) {
        match read {
            Ok(row) => self.sweep.rows.push(row),
            Err(problem) => self.sweep.unreadable.push(UnreadableRow {
                id: self.last.map_or_else(Uuid::nil, |key| key.id),
                run,
                problem: StoreError::from(problem).to_string(),
            }),
        }
    }
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
    Ok(crate::work::committing(tx.commit()).await?)
}

pub(crate) async fn discard_timers(pool: &PgPool, timers: &[TimerId]) -> Result<(), Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    clear_timers(&mut tx, timers).await?;
    Ok(crate::work::committing(tx.commit()).await?)
}
