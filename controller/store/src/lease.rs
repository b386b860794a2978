//! Leases: granted and renewed in bulk, by the database's clock, without touching a run.

use std::collections::BTreeMap;

use fulcrum_core::ids::{ContractHash, NamespaceId, RunId, TaskId, WorkerId};
use fulcrum_core::store::claim::{CLAIM_ROWS_MAX, Candidate, assign};
use fulcrum_core::store::{Beat, BeatOutcome, ClaimRequest, GrantedTask};
use fulcrum_core::task::Lease;
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::{PgConnection, PgPool};

use crate::column::array::{column, long, shard};
use crate::column::{At, decode};
use crate::problem::Problem;
use crate::work::Prelude;

/// Grants ready tasks. Two statements whatever the number of requests: lock the best of what anybody asks for, then
/// lease what was assigned. What was locked and not assigned is free again when this transaction ends.
pub(crate) async fn claim(
    pool: &PgPool,
    requests: &[ClaimRequest],
    lease: Millis,
) -> Result<Vec<GrantedTask>, Problem> {
    let wanted = wanted(requests);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = Prelude::Control.begin(pool).await?;
    let grants = assign(requests, candidates(&mut tx, &wanted).await?);
    if grants.is_empty() {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    let granted = grant(&mut tx, requests, &grants, lease).await?;
    crate::work::committing(tx.commit()).await?;
    Ok(granted)
}

/// Slots per namespace and capability: no more tasks of one kind can be granted, and no more are locked.
fn wanted(requests: &[ClaimRequest]) -> BTreeMap<(NamespaceId, &str), i64> {
    let mut wanted = BTreeMap::new();
    for request in requests.iter().filter(|request| request.slots > 0) {
        let capabilities: std::collections::BTreeSet<&str> =
            request.capabilities.iter().map(String::as_str).collect();
        for capability in capabilities {
            *wanted.entry((request.namespace, capability)).or_insert(0) += i64::from(request.slots);
        }
    }
    wanted
        .values_mut()
        .for_each(|slots| *slots = CLAIM_ROWS_MAX.min(*slots));
    wanted
}

async fn candidates(
    tx: &mut PgConnection,
    wanted: &BTreeMap<(NamespaceId, &str), i64>,
) -> Result<Vec<Candidate>, Problem> {
    let rows = sqlx::query_file!(
        "queries/lease/candidates.sql",
        &column(wanted.keys(), |(namespace, _)| namespace.0),
        &column(wanted.keys(), |(_, capability)| (*capability).to_owned()),
        &column(wanted.values(), |slots| *slots),
    )
    .fetch_all(tx)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        task: TaskId(row.task_id),
        namespace: NamespaceId(row.namespace_id),
        capability: row.capability,
        priority: row.priority,
        ready_at: row.ready_at.into(),
    });
    Ok(candidates.collect())
}

async fn grant(
    tx: &mut PgConnection,
    requests: &[ClaimRequest],
    grants: &[(usize, Candidate)],
    lease: Millis,
) -> Result<Vec<GrantedTask>, Problem> {
    let rows = sqlx::query_file!(
        "queries/lease/grant.sql",
        &column(grants, |(_, candidate)| shard(candidate.task.shard())),
        &column(grants, |(_, candidate)| candidate.task.0),
        &column(grants, |(position, _)| requests[*position].worker.0),
        long(lease.0),
    )
    .fetch_all(tx)
    .await?;
    let mut granted = BTreeMap::new();
    for row in rows {
        let task = TaskId(row.task_id);
        let grant = GrantedTask {
            lease: Lease {
                task,
                seq: decode::count(row.lease_seq)?,
                nonce: row.lease_nonce,
            },
            worker: WorkerId(row.worker_id),
            deadline: row.lease_until.into(),
            granted_at: row.granted_at.into(),
            ready_at: row.ready_at.into(),
            namespace: NamespaceId(row.namespace_id),
            run: RunId(row.run_id),
            root: RunId(row.root_id),
            step: decode::step(&row.step)?,
            capability: row.capability,
            contract: row
                .contract
                .map(decode::hash)
                .transpose()?
                .map(ContractHash),
            input: decode::payload_ref(row.input_id, row.input_hash, row.input_bytes)?,
            attempt: decode::count32(row.attempt.into())?,
            close_by: row.close_by.map(Timestamp::from),
            trace: row.trace.as_deref().map(decode::trace).transpose()?,
        };
        granted.insert(task, grant);
    }
    Ok(grants
        .iter()
        .filter_map(|(_, candidate)| granted.remove(&candidate.task))
        .collect())
}

/// Extends what is still held.
pub(crate) async fn heartbeat(
    pool: &PgPool,
    beats: &[Beat],
    lease: Millis,
) -> Result<Vec<BeatOutcome>, Problem> {
    // A beat may be repeated in one batch; a row is updated once.
    let mut asked: Vec<Beat> = beats.to_vec();
    asked.sort_by_key(order);
    asked.dedup();
    let mut tx = Prelude::Beat.begin(pool).await?;
    let mut held = extend(&mut tx, &asked, lease).await?;
    asked.retain(|beat| !held.contains_key(&order(beat)));
    if !asked.is_empty() {
        // A row that somebody changed while the statement waited for it is locked now, but its new version is beyond
        // what that statement sees. Another one sees it, and nobody can change it meanwhile.
        held.extend(extend(&mut tx, &asked, lease).await?);
    }
    crate::work::committing(tx.commit()).await?;
    let outcome = |beat: &Beat| match held.get(&order(beat)) {
        Some(until) => BeatOutcome::Extended(*until),
        None => BeatOutcome::Lost,
    };
    Ok(beats.iter().map(outcome).collect())
}

/// Extends those that this statement sees held; tells until when.
async fn extend(
    connection: &mut PgConnection,
    beats: &[Beat],
    lease: Millis,
) -> Result<BTreeMap<(Lease, WorkerId), Timestamp>, Problem> {
    let rows = sqlx::query_file!(
        "queries/lease/heartbeat.sql",
        &column(beats, |beat| shard(beat.lease.task.shard())),
        &column(beats, |beat| beat.lease.task.0),
        &column(beats, |beat| long(beat.lease.seq)),
        &column(beats, |beat| beat.lease.nonce),
        &column(beats, |beat| beat.worker.0),
        long(lease.0),
    )
    .fetch_all(connection)
    .await?;
    let extended = rows.into_iter().filter_map(|row| {
        // `with ordinality` counts from 1.
        let place = usize::try_from(row.position).ok()?.checked_sub(1)?;
        Some((order(beats.get(place)?), row.lease_until.into()))
    });
    Ok(extended.collect())
}

/// Offers again what never reached its worker, in one statement.
pub(crate) async fn give_back(pool: &PgPool, grants: &[Beat], rest: Millis) -> Result<(), Problem> {
    let mut tx = Prelude::Control.begin(pool).await?;
    sqlx::query_file!(
        "queries/lease/give_back.sql",
        &column(grants, |grant| shard(grant.lease.task.shard())),
        &column(grants, |grant| grant.lease.task.0),
        &column(grants, |grant| long(grant.lease.seq)),
        &column(grants, |grant| grant.lease.nonce),
        &column(grants, |grant| grant.worker.0),
        long(rest.0),
    )
    .execute(&mut *tx)
    .await?;
    Ok(crate::work::committing(tx.commit()).await?)
}

fn order(beat: &Beat) -> (Lease, WorkerId) {
    (beat.lease, beat.worker)
}
