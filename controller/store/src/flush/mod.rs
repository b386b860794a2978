//! Group commit: many runs' steps in one transaction.
//!
//! 1. Lock what the batch is about, in one order for everybody: runs, tasks, joins; each kind sorted.
//! 2. Judge each commit against what was locked ([`judge`]); losers are left out.
//! 3. Write the winners, each table in one `unnest` statement whatever the size of the batch.
//!
//! Two things cannot be locked because they do not exist yet: new runs with their keys, and request ids. They are
//! inserted with `on conflict do nothing`; if one does not go in, somebody else was first, and the flush starts over:
//! now it can see them. A day without partitions is made, and the flush starts over. A commit whose answer was lost is
//! looked up ([`unknown`]).

mod joins;
mod judge;
mod lock;
mod messages;
mod runs;
mod tasks;
mod unknown;

pub(crate) use messages::clear_timers;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::store::{Commit, CommitOutcome, FlushReport, StoreError};
use sqlx::PgPool;

use crate::partitions;
use crate::problem::Problem;
use crate::work::Prelude;

/// Starting over more often than this means that something else is wrong.
const ATTEMPTS_MAX: u32 = 5;

/// Commits a batch.
pub(crate) async fn flush(pool: &PgPool, batch: &[Commit]) -> Result<FlushReport, Problem> {
    for attempt in 1..=ATTEMPTS_MAX {
        match attempt_flush(pool, batch).await {
            Ok(Attempt::Done(report)) => return Ok(report),
            Ok(Attempt::Again) => {
                tracing::debug!(attempt, "somebody else was first; the flush starts over")
            }
            Err(problem) if problem.is_missing_partition() => {
                let made = partitions::make_for(pool, batch).await?;
                tracing::error!(
                    made,
                    "partitions for the births of this batch were missing and have been made"
                );
            }
            Err(problem) => match StoreError::from(problem) {
                StoreError::Retry(why) => tracing::debug!(attempt, why, "the flush starts over"),
                error => return Err(error.into()),
            },
        }
    }
    Err(StoreError::Retry(format!("a flush started over {ATTEMPTS_MAX} times")).into())
}

enum Attempt {
    Done(FlushReport),
    Again,
}

/// Work that goes in only if nobody else was first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inserted {
    All,
    NotAll,
}

impl Inserted {
    fn of(rows: u64, wanted: usize) -> Self {
        if usize::try_from(rows).is_ok_and(|rows| rows == wanted) {
            Self::All
        } else {
            Self::NotAll
        }
    }
}

async fn attempt_flush(pool: &PgPool, batch: &[Commit]) -> Result<Attempt, Problem> {
    let mut tx = Prelude::Commit.begin(pool).await?;
    let runs = lock::runs(&mut tx, batch).await?;
    let tasks = lock::tasks(&mut tx, batch).await?;
    let taken = lock::taken(&mut tx, batch).await?;
    let outcomes = judge::judge(batch, &runs.versions, &tasks, taken);
    let winners: Vec<&Commit> = batch
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, CommitOutcome::Committed))
        .map(|(commit, _)| commit)
        .collect();
    let report = |join_mail: Vec<Mail>| FlushReport {
        now: runs.now,
        outcomes: outcomes.clone(),
        join_mail,
    };
    if winners.is_empty() {
        tx.rollback().await?;
        return Ok(Attempt::Done(report(Vec::new())));
    }

    if messages::insert_requests(&mut tx, &winners).await? == Inserted::NotAll
        || runs::insert_new(&mut tx, &winners).await? == Inserted::NotAll
    {
        tx.rollback().await?;
        return Ok(Attempt::Again);
    }
    runs::update_existing(&mut tx, &winners).await?;
    runs::insert_events(&mut tx, &winners).await?;
    runs::insert_payloads(&mut tx, &winners).await?;
    runs::put_snapshots(&mut tx, &winners).await?;
    tasks::write(&mut tx, &winners).await?;
    messages::write_timers(&mut tx, &winners).await?;
    messages::write_reviews(&mut tx, &winners).await?;
    let join_mail = joins::write(&mut tx, &winners).await?;
    messages::write_mail(&mut tx, &winners, &join_mail).await?;

    match tx.commit().await {
        Ok(()) => Ok(Attempt::Done(report(join_mail))),
        Err(error) => match unknown::resolve(pool, &runs.xid, &winners, error).await? {
            unknown::Fate::Committed => Ok(Attempt::Done(report(join_mail))),
            unknown::Fate::NotCommitted => Ok(Attempt::Again),
        },
    }
}
