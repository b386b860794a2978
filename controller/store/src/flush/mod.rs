//! Group commit: many runs' steps in one transaction.
//!
//! What is too large for this goes ahead, without a lock ([`crate::blob`]).
//!
//! Then as if nobody stood in the way ([`commit`]): everything is written, and checked while it is written, by one
//! call and a few statements more for what is rare. Where the batch is all there is to write and a repetition is told
//! from a first time by the runs themselves, that call is the transaction: one round trip.
//!
//! If anything does not fit, nothing is written, and the batch is judged: lock what it is about (runs, tasks, joins;
//! each kind sorted), hold each commit against what was locked ([`judge`]), and write the winners. Two things cannot be
//! locked because they do not exist yet: new runs with their keys, and request ids. If one of them is somebody else's
//! after all, the flush starts over: now it can see them. A day without partitions is made, and the flush starts over.
//! A commit whose answer was lost is looked up ([`unknown`]).

mod commit;
mod joins;
mod judge;
mod lock;
mod messages;
mod rows;
mod talk;
mod tasks;
mod unknown;

pub(crate) use messages::clear_timers;

use std::collections::BTreeMap;

use fulcrum_core::event::Event;
use fulcrum_core::store::{Commit, CommitOutcome, Expected, FlushReport, StoreError};
use fulcrum_core::task::TaskOp;
use sqlx::{PgPool, Postgres, Transaction};

use crate::blob::{self, Blobs, Inline};
use crate::connect::Pools;
use crate::options::Route;
use crate::partitions;
use crate::problem::Problem;
use crate::versions::FeatureLevel;
use crate::work::Prelude;

use commit::{Manner, Receipt, Written};
use rows::Rows;
use talk::Talk;

/// Starting over more often than this means that something else is wrong.
const ATTEMPTS_MAX: u32 = 5;

/// Commits a batch.
pub(crate) async fn flush(
    pools: &Pools,
    blobs: &Blobs,
    batch: &[Commit],
) -> Result<FlushReport, Problem> {
    let pool = &pools.request;
    let inline = blobs.inline(pools.level.get());
    for attempt in 1..=ATTEMPTS_MAX {
        match attempt_one(pools, blobs, inline, batch, attempt).await {
            Ok(Attempt::Done(report)) => {
                if pools.level.get() >= FeatureLevel::LOG {
                    pools.inbox_filled.notify_one();
                }
                return Ok(report);
            }
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

/// Blobs are written anew by each attempt: the database that had them may have gone down with them.
async fn attempt_one(
    pools: &Pools,
    blobs: &Blobs,
    inline: Inline,
    batch: &[Commit],
    attempt: u32,
) -> Result<Attempt, Problem> {
    blob::write::ahead_of(&pools.request, blobs, inline, batch).await?;
    if attempt == 1 {
        let all: Vec<&Commit> = batch.iter().collect();
        return unopposed(pools, inline, &all).await;
    }
    // What did not fit once is judged.
    judged(pools, inline, batch).await
}

enum Attempt {
    Done(FlushReport),
    Again,
}

/// The whole batch, or nothing.
async fn unopposed(pools: &Pools, inline: Inline, batch: &[&Commit]) -> Result<Attempt, Problem> {
    let pool = &pools.request;
    if asks_twice(batch) {
        return Ok(Attempt::Again);
    }
    let plain = batch.iter().all(|commit| is_plain(commit));
    if let Some(talk) = plain.then(|| Talk::of(batch)).transpose()?.flatten() {
        return match pools.route {
            Route::Direct => in_one_call(pools, inline, batch, &talk).await,
            // Behind a pooler the end of a statement is not the end of its transaction.
            Route::TransactionPooler => {
                let rows = Rows::of(batch, pools.level.get(), inline);
                let mut tx = Prelude::Commit.begin(pool).await?;
                let Written::All(receipt) =
                    commit::write(&mut tx, &rows, &talk, Manner::Hopeful).await?
                else {
                    tx.rollback().await?;
                    return Ok(Attempt::Again);
                };
                let xid = receipt.xid.clone();
                conclude(pool, tx, batch, &xid, all_committed(batch, receipt)).await
            }
        };
    }
    if batch.iter().any(|commit| rows::hides_a_fence(commit)) {
        return Ok(Attempt::Again);
    }
    let rows = Rows::of(batch, pools.level.get(), inline);
    let mut tx = Prelude::Commit.begin(pool).await?;
    let Written::All(receipt) =
        commit::write(&mut tx, &rows, &Talk::default(), Manner::Hopeful).await?
    else {
        tx.rollback().await?;
        return Ok(Attempt::Again);
    };
    let fenced = batch
        .iter()
        .copied()
        .filter(|commit| rows::other_fences(commit).next().is_some());
    let tasks = lock::tasks(&mut tx, fenced).await?;
    let mut fences = batch.iter().flat_map(|commit| rows::other_fences(commit));
    if !fences.all(|fence| judge::holds(&tasks, fence)) {
        tx.rollback().await?;
        return Ok(Attempt::Again);
    }
    let outcomes = vec![CommitOutcome::Committed; batch.len()];
    finish(pool, tx, batch, outcomes, receipt).await
}

/// A batch whose call is its transaction.
async fn in_one_call(
    pools: &Pools,
    inline: Inline,
    batch: &[&Commit],
    talk: &Talk<'_>,
) -> Result<Attempt, Problem> {
    let rows = Rows::of(batch, pools.level.get(), inline);
    let mut writer = pools.commit.take().await?;
    match crate::work::committing(commit::write(
        writer.connection(),
        &rows,
        talk,
        Manner::Hopeful,
    ))
    .await
    {
        Ok(written) => {
            writer.rest();
            Ok(match written {
                Written::All(receipt) => Attempt::Done(all_committed(batch, receipt)),
                Written::Nothing => Attempt::Again,
            })
        }
        Err(Problem::Sql(error)) => {
            drop(writer);
            match unknown::resolve(&pools.request, None, batch, error).await? {
                unknown::Fate::Committed => {
                    let receipt = commit::receipt(&pools.request, &rows).await?;
                    Ok(Attempt::Done(all_committed(batch, receipt)))
                }
                unknown::Fate::NotCommitted => Ok(Attempt::Again),
            }
        }
        Err(problem) => Err(problem),
    }
}

/// Do two commits answer one request? Only one of them can; which, is for the judge to say.
fn asks_twice(batch: &[&Commit]) -> bool {
    let mut asked = BTreeMap::new();
    batch.iter().enumerate().any(|(position, commit)| {
        commit.requests.iter().any(|record| {
            let key = (record.namespace, &record.key);
            *asked.entry(key).or_insert(position) != position
        })
    })
}

/// Nothing but what one call writes, and safe to be decided again if its answer is lost: a new run exists by then, a
/// report finds its lease gone, and mail has been heard of. A signal would be received twice.
fn is_plain(commit: &Commit) -> bool {
    let again_is_seen = commit.expected == Expected::New
        || !commit.fences.is_empty()
        || !commit.consumed.is_empty();
    let signal = Event::SignalReceived {
        name: String::new(),
        payload: None,
    };
    let mut kinds = commit.events.iter().map(|event| event.kind);
    let stays = |op: &TaskOp| match op {
        TaskOp::Create(_) | TaskOp::Remove { .. } => false,
        TaskOp::Release { .. } | TaskOp::Park { .. } | TaskOp::Resume { .. } => true,
    };
    again_is_seen
        && !kinds.any(|kind| kind == signal.kind())
        && commit.timers.is_empty()
        && commit.reviews.is_empty()
        && !commit.tasks.iter().any(stays)
        && rows::other_fences(commit).next().is_none()
}

fn all_committed(batch: &[&Commit], receipt: Receipt) -> FlushReport {
    FlushReport {
        now: receipt.now,
        outcomes: vec![CommitOutcome::Committed; batch.len()],
        join_mail: receipt.told,
        granted: receipt.granted,
    }
}

/// The winners of the batch.
async fn judged(pools: &Pools, inline: Inline, batch: &[Commit]) -> Result<Attempt, Problem> {
    let pool = &pools.request;
    let mut tx = Prelude::Commit.begin(pool).await?;
    let runs = lock::runs(&mut tx, batch).await?;
    let tasks = lock::tasks(&mut tx, batch.iter()).await?;
    let taken = lock::taken(&mut tx, batch).await?;
    let outcomes = judge::judge(batch, &runs.standings, &tasks, taken);
    let winners: Vec<&Commit> = batch
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| matches!(outcome, CommitOutcome::Committed))
        .map(|(commit, _)| commit)
        .collect();
    if winners.is_empty() {
        tx.rollback().await?;
        return Ok(Attempt::Done(FlushReport {
            now: runs.now,
            outcomes,
            join_mail: Vec::new(),
            granted: Vec::new(),
        }));
    }
    let rows = Rows::of(&winners, pools.level.get(), inline);
    let Written::All(receipt) =
        commit::write(&mut tx, &rows, &Talk::default(), Manner::Careful).await?
    else {
        tx.rollback().await?;
        return Ok(Attempt::Again);
    };
    finish(pool, tx, &winners, outcomes, receipt).await
}

/// Writes what is rare and commits; `outcomes` are those of the batch that these are the winners of.
async fn finish(
    pool: &PgPool,
    mut tx: Transaction<'static, Postgres>,
    winners: &[&Commit],
    outcomes: Vec<CommitOutcome>,
    receipt: Receipt,
) -> Result<Attempt, Problem> {
    tasks::write(&mut tx, winners).await?;
    messages::write_timers(&mut tx, winners).await?;
    messages::write_reviews(&mut tx, winners).await?;
    let join_mail = joins::write(&mut tx, winners).await?;
    messages::write_mail(&mut tx, winners, &join_mail).await?;
    let report = FlushReport {
        now: receipt.now,
        outcomes,
        join_mail,
        granted: receipt.granted,
    };
    conclude(pool, tx, winners, &receipt.xid, report).await
}

/// Commits, and finds out whether it did if the answer is lost.
async fn conclude(
    pool: &PgPool,
    tx: Transaction<'static, Postgres>,
    winners: &[&Commit],
    xid: &str,
    report: FlushReport,
) -> Result<Attempt, Problem> {
    match crate::work::committing(tx.commit()).await {
        Ok(()) => Ok(Attempt::Done(report)),
        Err(error) => match unknown::resolve(pool, Some(xid), winners, error).await? {
            unknown::Fate::Committed => Ok(Attempt::Done(report)),
            unknown::Fate::NotCommitted => Ok(Attempt::Again),
        },
    }
}
