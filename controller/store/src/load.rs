//! Reading what a decision needs: runs, joins, stored answers. Payloads: [`crate::blob::read`].

use std::collections::BTreeMap;

use fulcrum_core::decide::JoinOutputs;
use fulcrum_core::decide::decision::JoinItem;
use fulcrum_core::event::ChainHash;
use fulcrum_core::failure::Failure;
use fulcrum_core::ids::{CommitId, DefinitionHash, NamespaceId, RunId};
use fulcrum_core::store::commit::{RequestKey, Snapshot};
use fulcrum_core::store::{JoinKey, Loaded, LoadedRun, RequestRecord, RunHead, Since, StoreError};
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::column::array::{column, long, shard};
use crate::column::{At, RunStatusColumn, decode};
use crate::problem::Problem;
use crate::timeline;
use crate::work::Prelude;

/// A run row as read.
pub(crate) struct HeadRow {
    pub(crate) namespace_id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) root_id: Uuid,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) workflow: String,
    pub(crate) definition: Vec<u8>,
    pub(crate) status: RunStatusColumn,
    pub(crate) version: i64,
    pub(crate) last_seq: i64,
    pub(crate) chain: Vec<u8>,
    pub(crate) started_at: At,
    pub(crate) closed_at: Option<At>,
    pub(crate) idempotency_key: Option<String>,
}

impl TryFrom<HeadRow> for RunHead {
    type Error = Problem;

    fn try_from(row: HeadRow) -> Result<Self, Problem> {
        let run = RunId(row.run_id);
        Ok(RunHead {
            run,
            namespace: NamespaceId(row.namespace_id),
            shard: run.shard(),
            root: RunId(row.root_id),
            parent: row.parent_id.map(RunId),
            workflow: row.workflow,
            definition: DefinitionHash(decode::hash(row.definition)?),
            status: row.status.into(),
            version: decode::count(row.version)?,
            last_seq: decode::count(row.last_seq)?,
            chain: ChainHash(decode::hash(row.chain)?),
            started_at: row.started_at.into(),
            closed_at: row.closed_at.map(Timestamp::from),
            idempotency_key: row.idempotency_key,
        })
    }
}

pub(crate) async fn heads(pool: &PgPool, runs: &[RunId]) -> Result<Vec<RunHead>, Problem> {
    let mut tx = Prelude::Read.begin(pool).await?;
    let rows = sqlx::query_file_as!(
        HeadRow,
        "queries/load/heads.sql",
        &column(runs, |run| shard(run.shard())),
        &column(runs, |run| run.0),
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    rows.into_iter().map(RunHead::try_from).collect()
}

/// Loads runs, each for itself: what is wrong with one is its own answer.
pub(crate) async fn runs(
    pool: &PgPool,
    runs: &[RunId],
    since: Since,
) -> Result<Vec<Loaded>, Problem> {
    let mut tx = Prelude::Read.begin(pool).await?;
    let rows = sqlx::query_file!(
        "queries/load/runs.sql",
        &column(runs, |run| shard(run.shard())),
        &column(runs, |run| run.0),
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut loaded: BTreeMap<RunId, Result<LoadedRun, StoreError>> = BTreeMap::new();
    for row in rows {
        let run = RunId(row.run_id);
        let snapshot = match (
            since,
            row.snapshot_seq,
            row.snapshot_chain,
            row.snapshot_state,
        ) {
            (Since::Snapshot, Some(seq), Some(chain), Some(state)) => Some((seq, chain, state)),
            _ => None,
        };
        let head = HeadRow {
            namespace_id: row.namespace_id,
            run_id: row.run_id,
            root_id: row.root_id,
            parent_id: row.parent_id,
            workflow: row.workflow,
            definition: row.definition,
            status: row.status,
            version: row.version,
            last_seq: row.last_seq,
            chain: row.chain,
            started_at: row.started_at,
            closed_at: row.closed_at,
            idempotency_key: row.idempotency_key,
        };
        let read = opened(head, snapshot, CommitId(row.commit_id));
        loaded.insert(run, read.map_err(|problem| spoiled(run, problem)));
    }
    events(&mut tx, &mut loaded).await?;
    tx.rollback().await?;
    let answer = |run: &RunId| loaded.get(run).cloned().transpose();
    Ok(runs.iter().map(answer).collect())
}

fn opened(
    head: HeadRow,
    snapshot: Option<(i64, Vec<u8>, Vec<u8>)>,
    commit: CommitId,
) -> Result<LoadedRun, Problem> {
    let snapshot = snapshot.map(|(seq, chain, state)| {
        Ok::<_, Problem>(Snapshot {
            seq: decode::count(seq)?,
            chain: ChainHash(decode::hash(chain)?),
            state,
        })
    });
    Ok(LoadedRun {
        head: RunHead::try_from(head)?,
        snapshot: snapshot.transpose()?,
        events: Vec::new(),
        commit,
    })
}

/// What breaks the schema's promises in a run's own rows is that run's trouble.
fn spoiled(run: RunId, problem: Problem) -> StoreError {
    StoreError::Corrupt {
        run,
        problem: StoreError::from(problem).to_string(),
    }
}

async fn events(
    tx: &mut PgConnection,
    loaded: &mut BTreeMap<RunId, Result<LoadedRun, StoreError>>,
) -> Result<(), Problem> {
    let after = |run: &LoadedRun| run.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
    let behind: Vec<(RunId, u64, u64)> = loaded
        .values()
        .filter_map(|run| run.as_ref().ok())
        .filter(|run| after(run) < run.head.last_seq)
        .map(|run| (run.head.run, after(run), run.head.last_seq))
        .collect();
    if behind.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query_file!(
        "queries/load/events.sql",
        &column(&behind, |(run, _, _)| shard(run.shard())),
        &column(&behind, |(run, _, _)| run.0),
        &column(&behind, |(_, after, _)| long(*after)),
        &column(&behind, |(_, _, upto)| long(*upto)),
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let id = RunId(row.stream);
        let Some(entry) = loaded.get_mut(&id) else {
            continue;
        };
        if let Ok(run) = entry {
            match timeline::events(row.seq, row.kind, row.schema, row.body, row.hash) {
                Ok(events) => run.events.extend(events),
                Err(problem) => *entry = Err(spoiled(id, problem)),
            }
        }
    }
    for (run, after, upto) in behind {
        let Some(entry) = loaded.get_mut(&run) else {
            continue;
        };
        let held = entry.as_ref().map(|loaded| loaded.events.len());
        if let Ok(held) = held
            && u64::try_from(held) != Ok(upto - after)
        {
            let problem = format!(
                "{held} events were found after event {after}, but the last is event {upto}"
            );
            *entry = Err(StoreError::Corrupt { run, problem });
        }
    }
    Ok(())
}

pub(crate) async fn join_outputs(pool: &PgPool, join: &JoinKey) -> Result<JoinOutputs, Problem> {
    let mut tx = Prelude::Read.begin(pool).await?;
    let rows = sqlx::query_file!(
        "queries/load/join_items.sql",
        shard(join.run.shard()),
        join.run.0,
        join.step.to_string(),
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    let corrupt = |problem: String| {
        Problem::from(StoreError::Corrupt {
            run: join.run,
            problem,
        })
    };
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let output = match (row.output_id, row.output_hash, row.output_bytes) {
            (Some(id), Some(hash), Some(bytes)) => Some(decode::payload_ref(id, hash, bytes)?),
            _ => None,
        };
        let failure = row
            .failure
            .map(|bytes| postcard::from_bytes::<Failure>(&bytes))
            .transpose();
        let failure = failure
            .map_err(|error| corrupt(format!("a child's failure does not decode: {error}")))?;
        items.push(JoinItem {
            index: decode::count32(row.index)?,
            output,
            failure,
        });
    }
    Ok(JoinOutputs { items })
}

pub(crate) async fn request(
    pool: &PgPool,
    namespace: NamespaceId,
    key: &RequestKey,
) -> Result<Option<RequestRecord>, Problem> {
    let row = sqlx::query_file!(
        "queries/load/request.sql",
        shard(key.shard),
        namespace.0,
        key.id
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        Ok(RequestRecord {
            namespace,
            key: key.clone(),
            digest: decode::hash(row.digest)?,
            run: RunId(row.run_id),
            answer: row.answer,
        })
    })
    .transpose()
}

pub(crate) async fn now(pool: &PgPool) -> Result<Timestamp, Problem> {
    Ok(sqlx::query_file!("queries/load/now.sql")
        .fetch_one(pool)
        .await?
        .now
        .into())
}
