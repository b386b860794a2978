//! Run rows, timelines, payloads, snapshots.

use fulcrum_core::ids::RunId;
use fulcrum_core::payload::NewPayload;
use fulcrum_core::store::{Commit, Expected, StoredEvent};
use sqlx::PgConnection;

use super::Inserted;
use crate::column::array::{column, long, shard};
use crate::column::{At, RunStatusColumn};
use crate::problem::Problem;

pub(super) async fn insert_new(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<Inserted, Problem> {
    let new: Vec<&Commit> = winners
        .iter()
        .copied()
        .filter(|commit| commit.expected == Expected::New)
        .collect();
    if new.is_empty() {
        return Ok(Inserted::All);
    }
    let new = || new.iter().copied();
    let done = sqlx::query_file!(
        "queries/flush/insert_runs.sql",
        &column(new(), |c| shard(c.head.run.shard())),
        &column(new(), |c| c.head.run.0),
        &column(new(), |c| c.head.namespace.0),
        &column(new(), |c| c.head.root.0),
        &column(new(), |c| c.head.parent.map(|parent| parent.0)) as _,
        &column(new(), |c| c.head.workflow.clone()),
        &column(new(), |c| c.head.definition.0.to_vec()),
        &column(new(), |c| RunStatusColumn::from(c.head.status)) as _,
        &column(new(), |c| long(c.head.version)),
        &column(new(), |c| long(c.head.last_seq)),
        &column(new(), |c| c.head.chain.0.to_vec()),
        &column(new(), |c| c.id.0),
        &column(new(), |c| At(c.head.started_at)) as _,
        &column(new(), |c| c.head.closed_at.map(At)) as _,
        &column(new(), |c| c.head.idempotency_key.clone()) as _,
    )
    .execute(tx)
    .await?;
    Ok(Inserted::of(done.rows_affected(), new().count()))
}

pub(super) async fn update_existing(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<(), Problem> {
    let old: Vec<&Commit> = winners
        .iter()
        .copied()
        .filter(|commit| commit.expected != Expected::New)
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let old = || old.iter().copied();
    sqlx::query_file!(
        "queries/flush/update_runs.sql",
        &column(old(), |c| shard(c.head.run.shard())),
        &column(old(), |c| c.head.run.0),
        &column(old(), |c| RunStatusColumn::from(c.head.status)) as _,
        &column(old(), |c| long(c.head.version)),
        &column(old(), |c| long(c.head.last_seq)),
        &column(old(), |c| c.head.chain.0.to_vec()),
        &column(old(), |c| c.id.0),
        &column(old(), |c| c.head.closed_at.map(At)) as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_events(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<(), Problem> {
    let events: Vec<(RunId, &StoredEvent)> = winners
        .iter()
        .flat_map(|c| c.events.iter().map(|event| (c.head.run, event)))
        .collect();
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "queries/flush/insert_events.sql",
        &column(&events, |(run, _)| shard(run.shard())),
        &column(&events, |(run, _)| run.0),
        &column(&events, |(_, e)| long(e.seq)),
        &column(&events, |(_, e)| small(e.kind)),
        &column(&events, |(_, e)| small(e.schema)),
        &column(&events, |(_, e)| e.body.clone()),
        &column(&events, |(_, e)| e.hash.0.to_vec()),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Kinds and schema numbers are variant indices and versions: far below the column's limit.
fn small(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

pub(super) async fn insert_payloads(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<(), Problem> {
    let payloads: Vec<&NewPayload> = winners.iter().flat_map(|c| &c.payloads).collect();
    if payloads.is_empty() {
        return Ok(());
    }
    let payloads = || payloads.iter().copied();
    sqlx::query_file!(
        "queries/flush/insert_payloads.sql",
        &column(payloads(), |p| shard(p.reference.id.shard())),
        &column(payloads(), |p| p.reference.id.0),
        &column(payloads(), |p| p.reference.hash.to_vec()),
        &column(payloads(), |p| p.payload.encoding.clone()),
        &column(payloads(), |p| p.payload.data.clone()),
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn put_snapshots(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<(), Problem> {
    let due: Vec<(&Commit, &Vec<u8>)> = winners
        .iter()
        .filter_map(|commit| Some((*commit, commit.snapshot.as_ref()?)))
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "queries/flush/put_snapshots.sql",
        &column(&due, |(c, _)| shard(c.head.run.shard())),
        &column(&due, |(c, _)| c.head.run.0),
        &column(&due, |(c, _)| long(c.head.last_seq)),
        &column(&due, |(c, _)| c.head.chain.0.to_vec()),
        &column(&due, |(_, state)| (*state).clone()),
    )
    .execute(tx)
    .await?;
    Ok(())
}
