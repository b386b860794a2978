//! What waits and what is told: timers, mail, reviews.

use std::collections::BTreeMap;

use fulcrum_core::decide::command::{Mail, TimerPurpose};
use fulcrum_core::event::StepKey;
use fulcrum_core::ids::{MailId, ReviewId, RunId, TimerId};
use fulcrum_core::store::{Commit, ReviewOp, ReviewRow, TimerOp};
use fulcrum_core::time::Timestamp;
use sqlx::PgConnection;

use crate::column::array::{column, shard};
use crate::column::{At, ReviewStateColumn, TimerPurposeColumn};
use crate::problem::Problem;

struct Setting<'a> {
    timer: TimerId,
    run: RunId,
    root: RunId,
    step: &'a StepKey,
    purpose: TimerPurpose,
    at: Timestamp,
}

pub(super) async fn write_timers(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<(), Problem> {
    let mut set = Vec::new();
    let mut clear: Vec<TimerId> = Vec::new();
    for op in winners.iter().flat_map(|commit| &commit.timers) {
        match op {
            TimerOp::Set {
                timer,
                run,
                root,
                step,
                purpose,
                at,
            } => {
                set.push(Setting {
                    timer: *timer,
                    run: *run,
                    root: *root,
                    step,
                    purpose: *purpose,
                    at: *at,
                });
            }
            TimerOp::Clear { timer } => clear.push(*timer),
        }
    }
    if !set.is_empty() {
        sqlx::query_file!(
            "queries/flush/set_timers.sql",
            &column(&set, |t| shard(t.timer.shard())),
            &column(&set, |t| t.timer.0),
            &column(&set, |t| t.run.0),
            &column(&set, |t| t.root.0),
            &column(&set, |t| t.step.to_string()),
            &column(&set, |t| TimerPurposeColumn::from(t.purpose)) as _,
            &column(&set, |t| At(t.at)) as _,
        )
        .execute(&mut *tx)
        .await?;
    }
    if !clear.is_empty() {
        clear_timers(tx, &clear).await?;
    }
    Ok(())
}

pub(crate) async fn clear_timers(tx: &mut PgConnection, timers: &[TimerId]) -> Result<(), Problem> {
    sqlx::query_file!(
        "queries/flush/clear_timers.sql",
        &column(timers, |timer| shard(timer.shard())),
        &column(timers, |timer| timer.0),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The mail of a batch, as rows.
pub(super) struct Letters<'c> {
    /// Gone, and who consumed it.
    pub(super) consumed: Vec<(MailId, RunId)>,
    /// Sent, by id.
    pub(super) outgoing: Vec<&'c Mail>,
}

impl<'c> Letters<'c> {
    pub(super) fn of(winners: &[&'c Commit], joined: &'c [Mail]) -> Self {
        let mut consumed: Vec<(MailId, RunId)> = Vec::new();
        let mut outgoing: BTreeMap<MailId, &Mail> = BTreeMap::new();
        for commit in winners {
            for id in &commit.consumed {
                consumed.push((*id, commit.head.run));
                // Mail that was sent earlier in this batch never gets to be a row.
                if outgoing
                    .get(id)
                    .is_some_and(|mail| mail.to == commit.head.run)
                {
                    outgoing.remove(id);
                }
            }
            for mail in &commit.mail {
                outgoing.entry(mail.id).or_insert(mail);
            }
        }
        for mail in joined {
            outgoing.entry(mail.id).or_insert(mail);
        }
        Self {
            consumed,
            outgoing: outgoing.into_values().collect(),
        }
    }
}

pub(super) async fn write_mail(
    tx: &mut PgConnection,
    winners: &[&Commit],
    joined: &[Mail],
) -> Result<(), Problem> {
    let Letters { consumed, outgoing } = Letters::of(winners, joined);
    if !consumed.is_empty() {
        sqlx::query_file!(
            "queries/flush/consume_mail.sql",
            &column(&consumed, |(id, _)| shard(id.shard())),
            &column(&consumed, |(id, _)| id.0),
            &column(&consumed, |(_, run)| run.0),
        )
        .execute(&mut *tx)
        .await?;
    }
    if outgoing.is_empty() {
        return Ok(());
    }
    let bodies = outgoing
        .iter()
        .map(|mail| postcard::to_stdvec(&mail.body))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::schema(format!("mail does not encode: {error}")))?;
    let outgoing = || outgoing.iter().copied();
    sqlx::query_file!(
        "queries/flush/insert_mail.sql",
        &column(outgoing(), |m| shard(m.id.shard())),
        &column(outgoing(), |m| m.to.0),
        &column(outgoing(), |m| m.id.0),
        &column(outgoing(), |m| m.root.0),
        &column(outgoing(), |m| m.from.0),
        &bodies,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn write_reviews(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<(), Problem> {
    let mut open: Vec<&ReviewRow> = Vec::new();
    let mut moved: Vec<(ReviewId, ReviewStateColumn)> = Vec::new();
    for op in winners.iter().flat_map(|commit| &commit.reviews) {
        match op {
            ReviewOp::Open(row) => open.push(row),
            ReviewOp::Close { review } => moved.push((*review, ReviewStateColumn::Closed)),
            ReviewOp::Escalate { review } => moved.push((*review, ReviewStateColumn::Escalated)),
        }
    }
    if !open.is_empty() {
        let open = || open.iter().copied();
        sqlx::query_file!(
            "queries/flush/open_reviews.sql",
            &column(open(), |r| shard(r.review.shard())),
            &column(open(), |r| r.review.0),
            &column(open(), |r| r.namespace.0),
            &column(open(), |r| r.run.0),
            &column(open(), |r| r.step.to_string()),
            &column(open(), |r| r.content.id.0),
            &column(open(), |r| r.content.hash.to_vec()),
            &column(open(), |r| i64::from(r.content.bytes)),
            &column(open(), |r| r.show.id.0),
            &column(open(), |r| r.show.hash.to_vec()),
            &column(open(), |r| i64::from(r.show.bytes)),
            &column(open(), |r| r.edit),
            &column(open(), |r| At(r.asked_at)) as _,
            &column(open(), |r| r.expires_at.map(At)) as _,
        )
        .execute(&mut *tx)
        .await?;
    }
    if !moved.is_empty() {
        sqlx::query_file!(
            "queries/flush/move_reviews.sql",
            &column(&moved, |(review, _)| shard(review.shard())),
            &column(&moved, |(review, _)| review.0),
            &column(&moved, |(_, state)| *state) as _,
        )
        .execute(tx)
        .await?;
    }
    Ok(())
}
