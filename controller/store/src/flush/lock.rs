//! Locking and looking, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::{NamespaceId, RunId, Shard, TaskId};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{Commit, Expected, RequestRecord};
use fulcrum_core::task::TaskState;
use fulcrum_core::time::Timestamp;
use sqlx::PgConnection;

use super::judge::{Holding, RunKey, Standing, Taken};
use crate::column::array::{column, shard};
use crate::column::{At, TaskStateColumn, decode};
use crate::problem::Problem;

/// The runs of a batch, locked.
pub(super) struct LockedRuns {
    pub(super) now: Timestamp,
    /// This transaction, for asking about its fate.
    pub(super) xid: String,
    /// Where those that exist stand.
    pub(super) standings: BTreeMap<RunId, Standing>,
}

pub(super) async fn runs(tx: &mut PgConnection, batch: &[Commit]) -> Result<LockedRuns, Problem> {
    let ids: BTreeSet<RunId> = batch.iter().map(|commit| commit.head.run).collect();
    let rows = sqlx::query_file!(
        "queries/flush/lock_runs.sql",
        &column(&ids, |run| shard(run.shard())),
        &column(&ids, |run| run.0),
    )
    .fetch_all(tx)
    .await?;
    let mut locked = LockedRuns {
        now: Timestamp(0),
        xid: String::new(),
        standings: BTreeMap::new(),
    };
    for row in rows {
        locked.now = locked.now.max(row.now.0);
        locked.xid = row.xid;
        if let (Some(version), Some(chain)) = (row.version, row.chain) {
            let standing = Standing {
                version: decode::count(version)?,
                chain: ChainHash(decode::hash(chain)?),
            };
            locked.standings.insert(RunId(row.run_id), standing);
        }
    }
    Ok(locked)
}

/// Locks every task that is fenced or changed.
pub(super) async fn tasks(
    tx: &mut PgConnection,
    batch: impl Iterator<Item = &Commit> + Clone,
) -> Result<BTreeMap<TaskId, Holding>, Problem> {
    let fenced = batch
        .clone()
        .flat_map(|commit| &commit.fences)
        .map(|fence| fence.lease.task);
    let changed = batch
        .flat_map(|commit| &commit.tasks)
        .map(fulcrum_core::task::TaskOp::task);
    let ids: BTreeSet<TaskId> = fenced.chain(changed).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query_file!(
        "queries/flush/lock_tasks.sql",
        &column(&ids, |task| shard(task.shard())),
        &column(&ids, |task| task.0),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let holding = Holding {
                state: TaskState::from(row.state),
                lease_seq: decode::count(row.lease_seq)?,
                lease_nonce: row.lease_nonce,
                worker: row.worker_id.map(fulcrum_core::ids::WorkerId),
                is_due: row.is_due,
            };
            Ok((TaskId(row.task_id), holding))
        })
        .collect()
}

/// Looks up request ids and idempotency keys that are taken. Runs are locked, so what another flush of the same run
/// wrote is visible here.
pub(super) async fn taken(tx: &mut PgConnection, batch: &[Commit]) -> Result<Taken, Problem> {
    let mut taken = Taken::default();
    let requests: Vec<&RequestRecord> = batch.iter().flat_map(|commit| &commit.requests).collect();
    if !requests.is_empty() {
        let rows = sqlx::query_file!(
            "queries/flush/taken_requests.sql",
            &column(requests.iter().copied(), |r| shard(r.key.shard)),
            &column(requests.iter().copied(), |r| r.namespace.0),
            &column(requests.iter().copied(), |r| r.key.id.clone()),
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            let key = RequestKey {
                shard: Shard(row.shard.unsigned_abs()),
                id: row.request_id,
            };
            let namespace = NamespaceId(row.namespace_id);
            let record = RequestRecord {
                namespace,
                key: key.clone(),
                digest: decode::hash(row.digest)?,
                run: RunId(row.run_id),
                answer: row.answer,
            };
            taken.requests.insert((namespace, key), record);
        }
    }
    let keys: BTreeSet<RunKey> = batch
        .iter()
        .filter(|commit| commit.expected == Expected::New)
        .filter_map(|commit| RunKey::of(&commit.head))
        .collect();
    if !keys.is_empty() {
        let rows = sqlx::query_file!(
            "queries/flush/taken_keys.sql",
            &column(&keys, |key| shard(key.shard)),
            &column(&keys, |key| key.namespace.0),
            &column(&keys, |key| key.workflow.clone()),
            &column(&keys, |key| key.key.clone()),
        )
        .fetch_all(&mut *tx)
        .await?;
        let held: BTreeMap<i64, RunId> = rows
            .into_iter()
            .map(|row| (row.position, RunId(row.held_by)))
            .collect();
        // `with ordinality` counts from 1.
        taken.keys = (1..)
            .zip(keys)
            .filter_map(|(position, key)| Some((key, *held.get(&position)?)))
            .collect();
    }
    Ok(taken)
}
