//! Answers made comparable: what must be equal in both stores, and no more.

use std::collections::BTreeSet;

use fulcrum_core::ids::RunId;
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::{
    BeatOutcome, GrantedTask, LineKey, Since, Sought, Store, Sweep, SweepKey,
};
use fulcrum_core::task::Due;
use fulcrum_core::time::Millis;

use super::operations::RUNS;
use super::values::{CAPABILITIES, join_key, request_key, run};
use crate::sample::{NAMESPACE, blob, payload};

/// Small, so that sweeps take several pages.
const PAGE_ROWS: u32 = 2;

/// Everything that is due, page by page.
async fn swept<T>(page: impl AsyncFn(Option<SweepKey>) -> Sweep<T>) -> Vec<T> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let next = page(after).await;
        assert_eq!(next.unreadable, []);
        rows.extend(next.rows);
        after = next.next;
        if after.is_none() {
            return rows;
        }
    }
}

pub(super) async fn asked<S: Store>(store: &S, blobs: &BTreeSet<u8>) -> String {
    let runs: Vec<RunId> = (0..RUNS).map(run).collect();
    let mut due = swept(async |after| store.due_tasks(after, PAGE_ROWS).await.unwrap()).await;
    due.sort_by_key(|row| row.task);
    let due: Vec<String> = due
        .into_iter()
        .map(|row| {
            let why = match row.due {
                Due::Never => "never",
                Due::ScheduleToStart(_) => "schedule to start",
                Due::LeaseDeadline(_) => "lease",
                Due::StartToClose(_) => "start to close",
            };
            let granted = (
                row.granted_at.is_some(),
                row.lease_nonce.is_some(),
                row.lease_seq,
                row.worker,
            );
            let rest = (
                row.task,
                row.run,
                row.root,
                row.step,
                row.state,
                row.attempt,
                row.crash_count,
            );
            format!("{rest:?} {granted:?} {why}")
        })
        .collect();
    let mut mail = swept(async |after| {
        store
            .pending_mail(Millis(0), after, PAGE_ROWS)
            .await
            .unwrap()
    })
    .await;
    mail.sort_by_key(|mail| mail.id);
    let mut joins = Vec::new();
    for n in 0..3 {
        joins.push(store.join_outputs(&join_key(n)).await.unwrap());
    }
    let mut requests = Vec::new();
    for n in 0..4 {
        requests.push(store.request(NAMESPACE, &request_key(n)).await.unwrap());
    }
    let mut payloads = Vec::new();
    for n in 0..5 {
        payloads.push(store.payloads(&[payload(n).reference]).await);
    }
    let large: Vec<PayloadRef> = blobs.iter().map(|n| blob(*n).reference).collect();
    payloads.push(store.payloads(&large).await);
    let timers = swept(async |after| store.due_timers(after, PAGE_ROWS).await.unwrap()).await;
    let runs = store.load(&runs, Since::Snapshot).await.unwrap();
    let ticked = ticked(store).await;
    format!(
        "{runs:#?}\n{due:#?}\n{timers:#?}\n{mail:#?}\n{joins:#?}\n{requests:#?}\n{payloads:#?}\n{ticked}"
    )
}

/// After the sweeps, which put right instants that lag behind.
async fn ticked<S: Store>(store: &S) -> String {
    let lines = CAPABILITIES.iter().rev().chain(&["nobody.asks"]);
    let lines = lines.map(|capability| LineKey {
        namespace: NAMESPACE,
        capability: (*capability).to_owned(),
    });
    let sought = Sought {
        ahead: Millis(0),
        mail_age: Millis(0),
        lines: lines.collect(),
        attending: None,
    };
    let found = store.tick(&sought).await.unwrap();
    let task_is_due = found.task_due.is_some();
    let rest = (found.timer_due, found.mail_lies, found.ready);
    format!("{task_is_due} {rest:?}")
}

pub(super) fn granted(grants: &[GrantedTask]) -> String {
    let each: Vec<_> = grants
        .iter()
        .map(|grant| {
            let lease = (
                grant.lease.task,
                grant.lease.seq,
                grant.worker,
                grant.close_by.is_some(),
            );
            let place = (
                grant.namespace,
                grant.run,
                grant.root,
                &grant.step,
                &grant.capability,
                grant.contract,
            );
            format!(
                "{lease:?} {place:?} {:?} {} {:?}",
                grant.input, grant.attempt, grant.trace
            )
        })
        .collect();
    format!("{each:#?}")
}

pub(super) fn beaten(outcomes: &[BeatOutcome]) -> String {
    let held = |outcome: &BeatOutcome| matches!(outcome, BeatOutcome::Extended(_));
    format!("{:?}", outcomes.iter().map(held).collect::<Vec<_>>())
}
