//! Joins: lock, count by the core's rule, write back.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_core::decide::command::Mail;
use fulcrum_core::store::join::{JoinBatch, JoinState, Teller};
use fulcrum_core::store::{Commit, JoinKey, JoinOp};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::column::array::{column, shard};
use crate::column::decode;
use crate::problem::Problem;

/// Applies the winners' ops in order and gives the mail that they caused.
pub(super) async fn write(
    tx: &mut PgConnection,
    winners: &[&Commit],
) -> Result<Vec<Mail>, Problem> {
    let ops: Vec<(Teller, &JoinOp)> = winners
        .iter()
        .flat_map(|commit| commit.joins.iter().map(|op| (Teller::of(commit), op)))
        .collect();
    if ops.is_empty() {
        return Ok(Vec::new());
    }
    let keys = KeysByRow::of(ops.iter().map(|(_, op)| op.key()));
    let states = lock(tx, &keys).await?;
    let known = known_items(tx, &keys, &ops).await?;
    let mut batch = JoinBatch::on(states, known);
    for (by, op) in ops {
        batch.apply(by, op.clone());
    }
    let told = batch.announce();
    close(tx, &batch).await?;
    put(tx, &batch).await?;
    insert_items(tx, &batch).await?;
    Ok(told)
}

/// Rows know a join by run and step; the core's key also names the root.
struct KeysByRow(BTreeMap<(Uuid, String), JoinKey>);

impl KeysByRow {
    fn of<'a>(keys: impl Iterator<Item = &'a JoinKey>) -> Self {
        Self(
            keys.map(|key| ((key.run.0, key.step.to_string()), key.clone()))
                .collect(),
        )
    }

    fn get(&self, run: Uuid, step: String) -> Result<JoinKey, Problem> {
        let known = self.0.get(&(run, step)).cloned();
        known.ok_or_else(|| Problem::schema("a join came back that was not asked for"))
    }
}

async fn lock(
    tx: &mut PgConnection,
    keys: &KeysByRow,
) -> Result<BTreeMap<JoinKey, JoinState>, Problem> {
    let rows = sqlx::query_file!(
        "queries/flush/lock_joins.sql",
        &column(keys.0.values(), |key| shard(key.run.shard())),
        &column(keys.0.values(), |key| key.run.0),
        &column(keys.0.values(), |key| key.step.to_string()),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = JoinState {
                closed: decode::count32(row.closed)?,
                failed: decode::count32(row.failed)?,
                notify_at: decode::count32(row.notify_at)?,
                notify_on_failure: row.notify_on_failure,
                announced: decode::count32(row.announced)?,
            };
            Ok((keys.get(row.run_id, row.step)?, state))
        })
        .collect()
}

async fn known_items(
    tx: &mut PgConnection,
    keys: &KeysByRow,
    ops: &[(Teller, &JoinOp)],
) -> Result<BTreeSet<(JoinKey, u32)>, Problem> {
    let items: Vec<(&JoinKey, u32)> = ops
        .iter()
        .filter_map(|(_, op)| match op {
            JoinOp::ItemClosed { key, index, .. } => Some((key, *index)),
            JoinOp::Open { .. } | JoinOp::NotifyAt { .. } | JoinOp::Close { .. } => None,
        })
        .collect();
    if items.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = sqlx::query_file!(
        "queries/flush/known_items.sql",
        &column(&items, |(key, _)| shard(key.run.shard())),
        &column(&items, |(key, _)| key.run.0),
        &column(&items, |(key, _)| key.step.to_string()),
        &column(&items, |(_, index)| i64::from(*index)),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((keys.get(row.run_id, row.step)?, decode::count32(row.index)?)))
        .collect()
}

async fn close(tx: &mut PgConnection, batch: &JoinBatch) -> Result<(), Problem> {
    if batch.closed.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "queries/flush/close_joins.sql",
        &column(&batch.closed, |key| shard(key.run.shard())),
        &column(&batch.closed, |key| key.run.0),
        &column(&batch.closed, |key| key.step.to_string()),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn put(tx: &mut PgConnection, batch: &JoinBatch) -> Result<(), Problem> {
    let joins: Vec<(&JoinKey, &JoinState)> = batch.states.iter().collect();
    if joins.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "queries/flush/put_joins.sql",
        &column(&joins, |(key, _)| shard(key.run.shard())),
        &column(&joins, |(key, _)| key.run.0),
        &column(&joins, |(key, _)| key.step.to_string()),
        &column(&joins, |(key, _)| key.root.0),
        &column(&joins, |(_, join)| i64::from(join.closed)),
        &column(&joins, |(_, join)| i64::from(join.failed)),
        &column(&joins, |(_, join)| i64::from(join.notify_at)),
        &column(&joins, |(_, join)| join.notify_on_failure),
        &column(&joins, |(_, join)| i64::from(join.announced)),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_items(tx: &mut PgConnection, batch: &JoinBatch) -> Result<(), Problem> {
    let items: Vec<_> = batch.items.iter().collect();
    if items.is_empty() {
        return Ok(());
    }
    let failures = items
        .iter()
        .map(|(_, item)| item.failure.as_ref().map(postcard::to_stdvec).transpose())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::schema(format!("a failure does not encode: {error}")))?;
    sqlx::query_file!(
        "queries/flush/insert_items.sql",
        &column(&items, |((key, _), _)| shard(key.run.shard())),
        &column(&items, |((key, _), _)| key.run.0),
        &column(&items, |((key, _), _)| key.step.to_string()),
        &column(&items, |((_, index), _)| i64::from(*index)),
        &column(&items, |(_, item)| item.output.map(|output| output.id.0)) as _,
        &column(&items, |(_, item)| item
            .output
            .map(|output| output.hash.to_vec())) as _,
        &column(&items, |(_, item)| item
            .output
            .map(|output| i64::from(output.bytes))) as _,
        &failures as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}
