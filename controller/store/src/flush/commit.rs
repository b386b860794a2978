//! What nearly every flush writes, in one call: runs, timelines, payloads, answered requests, tasks made and removed,
//! snapshots, and what runs tell each other ([`super::talk`]).

use std::collections::BTreeMap;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::TaskId;
use fulcrum_core::store::GrantedTask;
use fulcrum_core::task::{HandOff, Lease, NewTask};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::rows::Rows;
use super::talk::Talk;
use crate::column::array::{column, int, long, shard};
use crate::column::{At, RunStatusColumn, decode};
use crate::problem::Problem;
use crate::work::Prelude;

/// What became of a batch.
pub(super) enum Written {
    /// All of it is written.
    All(Receipt),
    /// None of it: somebody was first, or a lease is lost. Who that is, is for the judge to say.
    Nothing,
}

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As if nothing of what is made existed.
    Hopeful,
    /// What is made may exist: it was judged.
    Careful,
}

/// What a written batch has to show.
pub(super) struct Receipt {
    /// The database's clock.
    pub(super) now: Timestamp,
    /// The transaction, for asking about its fate.
    pub(super) xid: String,
    /// Grants of the hand-offs.
    pub(super) granted: Vec<GrantedTask>,
    /// What parents were told of their joins.
    pub(super) told: Vec<Mail>,
}

/// Writes a batch, and what it tells. In a transaction of its own this is all there is to it: a batch that does not fit
/// leaves nothing.
pub(super) async fn write(
    connection: &mut PgConnection,
    rows: &Rows<'_>,
    talk: &Talk<'_>,
    manner: Manner,
) -> Result<Written, Problem> {
    let Rows {
        existing,
        new,
        removed,
        requests,
        events,
        payloads,
        made,
        snapshots,
        leaf,
    } = rows;
    let millis = |span: Option<Millis>| span.map(|span| long(span.0));
    let row = sqlx::query_file!(
        "queries/flush/commit.sql",
        manner == Manner::Careful,
        &column(existing, |(c, _)| shard(c.head.shard)),
        &column(existing, |(c, _)| c.head.run.0),
        &column(existing, |(_, expected)| long(*expected)),
        &column(existing, |(c, _)| c.before.0.as_slice()) as _,
        &column(existing, |(c, _)| RunStatusColumn::from(c.head.status)) as _,
        &column(existing, |(c, _)| long(c.head.version)),
        &column(existing, |(c, _)| long(c.head.last_seq)),
        &column(existing, |(c, _)| c.head.chain.0.as_slice()) as _,
        &column(existing, |(c, _)| c.id.0),
        &column(existing, |(c, _)| c.head.closed_at.map(At)) as _,
        &column(removed, |(task, _)| shard(task.shard())),
        &column(removed, |(task, _)| task.0),
        &column(removed, |(_, fence)| fence.map(|f| long(f.lease.seq))) as _,
        &column(removed, |(_, fence)| fence.map(|f| f.lease.nonce)) as _,
        &column(removed, |(_, fence)| fence
            .and_then(|f| f.holder)
            .map(|w| w.0)) as _,
        &column(requests, |r| shard(r.key.shard)),
        &column(requests, |r| r.namespace.0),
        &column(requests, |r| r.key.id.as_str()) as _,
        &column(requests, |r| r.digest.as_slice()) as _,
        &column(requests, |r| r.run.0),
        &column(requests, |r| r.answer.as_slice()) as _,
        &column(new, |c| shard(c.head.shard)),
        &column(new, |c| c.head.run.0),
        &column(new, |c| c.head.namespace.0),
        &column(new, |c| c.head.root.0),
        &column(new, |c| c.head.parent.map(|parent| parent.0)) as _,
        &column(new, |c| c.head.workflow.as_str()) as _,
        &column(new, |c| c.head.definition.0.as_slice()) as _,
        &column(new, |c| RunStatusColumn::from(c.head.status)) as _,
        &column(new, |c| long(c.head.version)),
        &column(new, |c| long(c.head.last_seq)),
        &column(new, |c| c.head.chain.0.as_slice()) as _,
        &column(new, |c| c.id.0),
        &column(new, |c| At(c.head.started_at)) as _,
        &column(new, |c| c.head.closed_at.map(At)) as _,
        &column(new, |c| c.head.idempotency_key.as_deref()) as _,
        &column(events, |e| shard(e.run.shard())),
        &column(events, |e| e.run.0),
        &column(events, |e| e.seq),
        &column(events, |e| e.kind),
        &column(events, |e| e.schema),
        &column(events, |e| e.body.as_ref()) as _,
        &column(events, |e| e.hash.0.as_slice()) as _,
        &column(payloads, |p| shard(p.reference.id.shard())),
        &column(payloads, |p| p.reference.id.0),
        &column(payloads, |p| p.reference.hash.as_slice()) as _,
        &column(payloads, |p| p.payload.encoding.as_str()) as _,
        &column(payloads, |p| p.payload.data.as_slice()) as _,
        &column(made, |(t, _)| t.task.0),
        &column(made, |(t, _)| t.run.0),
        &column(made, |(t, _)| t.root.0),
        &column(made, |(t, _)| t.namespace.0),
        &column(made, |(t, _)| t.step.to_string()),
        &column(made, |(t, _)| t.capability.as_str()) as _,
        &column(made, |(t, _)| t.contract.map(|hash| hash.0.to_vec())) as _,
        &column(made, |(t, _)| t.input.id.0),
        &column(made, |(t, _)| t.input.hash.as_slice()) as _,
        &column(made, |(t, _)| i64::from(t.input.bytes)),
        &column(made, |(t, _)| t.trace.as_ref().map(decode::trace_bytes)) as _,
        &column(made, |(t, _)| t.priority),
        &column(made, |(t, _)| At(t.ready_at)) as _,
        &column(made, |(t, _)| int(t.attempt)),
        &column(made, |(t, _)| millis(t.schedule_to_start)) as _,
        &column(made, |(t, _)| millis(t.start_to_close)) as _,
        &column(made, |(_, hand)| hand.map(|hand| hand.worker.0)) as _,
        &column(made, |(_, hand)| hand.map(|hand| hand.nonce)) as _,
        &column(made, |(_, hand)| hand.map(|hand| long(hand.lease.0))) as _,
        &column(&talk.consumed, |(mail, _)| mail.0),
        &column(&talk.consumed, |(_, run)| run.0),
        &column(&talk.outgoing, |letter| letter.mail.id.0),
        &column(&talk.outgoing, |letter| letter.mail.to.0),
        &column(&talk.outgoing, |letter| letter.mail.root.0),
        &column(&talk.outgoing, |letter| letter.mail.from.0),
        &column(&talk.outgoing, |letter| letter.body.as_slice()) as _,
        &column(&talk.opened, |o| o.key.run.0),
        &column(&talk.opened, |o| o.key.step.to_string()),
        &column(&talk.opened, |o| o.key.root.0),
        &column(&talk.opened, |o| i64::from(o.notify_at)),
        &column(&talk.opened, |o| o.on_failure),
        &column(&talk.moved, |j| j.key.run.0),
        &column(&talk.moved, |j| j.key.step.to_string()),
        &column(&talk.moved, |j| i64::from(j.closed)),
        &column(&talk.moved, |j| i64::from(j.failed)),
        &column(&talk.moved, |j| j.notify_at.map(i64::from)) as _,
        &column(&talk.moved, |j| j.teller.run.0),
        &column(&talk.moved, |j| j.mail.0),
        &column(&talk.moved, |j| j.body.as_slice()) as _,
        &column(&talk.items, |i| i.join),
        &column(&talk.items, |i| i64::from(i.index)),
        &column(&talk.items, |i| i.output.map(|output| output.id.0)) as _,
        &column(&talk.items, |i| i.output.map(|output| output.hash.to_vec())) as _,
        &column(&talk.items, |i| i
            .output
            .map(|output| i64::from(output.bytes))) as _,
        &column(&talk.items, |i| i.failure.as_deref()) as _,
        &column(&talk.given_up, |key| key.run.0),
        &column(&talk.given_up, |key| key.step.to_string()),
        &column(snapshots, |(c, _)| c.head.run.0),
        &column(snapshots, |(c, _)| long(c.head.last_seq)),
        &column(snapshots, |(c, _)| c.head.chain.0.as_slice()) as _,
        &column(snapshots, |(_, state)| *state) as _,
        leaf.as_slice(),
    )
    .fetch_one(connection)
    .await?;
    if !row.committed {
        return Ok(Written::Nothing);
    }
    let now = row.moment.0;
    let leased = row.leased.unwrap_or_default();
    let again: BTreeMap<TaskId, i64> = leased
        .into_iter()
        .map(TaskId)
        .zip(row.lease_seqs.unwrap_or_default())
        .collect();
    let mut granted = Vec::new();
    for (new, hand) in made {
        if let Some(hand) = hand {
            let seq = again
                .get(&new.task)
                .map_or(Ok(1), |seq| decode::count(*seq))?;
            granted.push(grant(new, hand, seq, now));
        }
    }
    let told = talk.told(
        row.told.unwrap_or_default(),
        row.told_closed.unwrap_or_default(),
        row.told_failed.unwrap_or_default(),
    )?;
    Ok(Written::All(Receipt {
        now,
        xid: row.xid,
        granted,
        told,
    }))
}

/// The receipt of a batch whose answer was lost: whatever its hand-offs are now.
pub(super) async fn receipt(pool: &PgPool, rows: &Rows<'_>) -> Result<Receipt, Problem> {
    let made = rows.made.iter();
    let handed: Vec<(&NewTask, &HandOff)> = made
        .filter_map(|(new, hand)| Some((*new, (*hand)?)))
        .collect();
    let mut tx = Prelude::Read.begin(pool).await?;
    let found = sqlx::query_file!(
        "queries/flush/hand_offs.sql",
        &column(&handed, |(new, _)| shard(new.task.shard())),
        &column(&handed, |(new, _)| new.task.0),
        &column(&handed, |(_, hand)| hand.nonce),
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    let mut receipt = Receipt {
        now: Timestamp(0),
        xid: String::new(),
        granted: Vec::new(),
        // What was told lies in the mail.
        told: Vec::new(),
    };
    for row in found {
        receipt.now = row.now.0;
        let (Some(task), Some(seq), Some(at)) = (row.task_id, row.lease_seq, row.granted_at) else {
            continue;
        };
        if let Some((new, hand)) = handed.iter().find(|(new, _)| new.task.0 == task) {
            receipt
                .granted
                .push(grant(new, hand, decode::count(seq)?, at.0));
        }
    }
    Ok(receipt)
}

fn grant(new: &NewTask, hand: &HandOff, seq: u64, now: Timestamp) -> GrantedTask {
    GrantedTask {
        lease: Lease {
            task: new.task,
            seq,
            nonce: hand.nonce,
        },
        worker: hand.worker,
        deadline: now.plus(hand.lease),
        granted_at: now,
        ready_at: new.ready_at,
        namespace: new.namespace,
        run: new.run,
        root: new.root,
        step: new.step.clone(),
        capability: new.capability.clone(),
        contract: new.contract,
        input: new.input,
        attempt: new.attempt,
        close_by: new.start_to_close.map(|span| now.plus(span)),
        trace: new.trace,
    }
}
