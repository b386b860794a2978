use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fulcrum_proto::worker::v1::LeaseState;
use fulcrum_sdk::{Context, Contract, EffectClass, Failure, capability};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    controller::Controller,
    messages::{failure_code, output, task},
};

fn outward(name: &str) -> Contract {
    Contract::new(name, EffectClass::Outward)
}

#[tokio::test]
async fn leases_are_renewed_while_a_capability_blocks_the_only_thread() {
    let controller = Controller::start();
    let (entered, mut entries) = mpsc::channel(1);
    let (let_go, gate) = std::sync::mpsc::sync_channel::<()>(0);
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let block = move |_ctx: Context, input: Value| {
        let entered = entered.clone();
        let gate = std::sync::Arc::clone(&gate);
        async move {
            entered.send(()).await.unwrap();
            gate.lock().unwrap().recv().unwrap();
            Ok(input)
        }
    };
    controller.offer(task("a", "block", json!("done")));
    let working = controller
        .work(|worker| worker.capability(capability(outward("block"), block)))
        .await;
    entries.recv().await.unwrap();
    let before = controller.state().beats;
    controller
        .until(|state| (state.beats >= before + 3).then_some(()))
        .await;
    let_go.send(()).unwrap();
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(output(&report), json!("done"));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn leases_outlive_their_time_while_capabilities_block_every_thread() {
    const THREADS: usize = 2;
    let ttl = Duration::from_secs(4);
    let controller = Controller::start();
    controller.state().lease_ttl = Some(ttl);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let blocked = Arc::new(AtomicUsize::new(0));
    let (waiting, counting) = (Arc::clone(&gate), Arc::clone(&blocked));
    let block = move |_ctx: Context, input: Value| {
        let (gate, blocked) = (Arc::clone(&waiting), Arc::clone(&counting));
        async move {
            blocked.fetch_add(1, Ordering::SeqCst);
            let shut = gate.0.lock().unwrap();
            drop(gate.1.wait_while(shut, |open| !*open).unwrap());
            Ok(input)
        }
    };
    for number in 0..THREADS {
        controller.offer(task(&format!("t{number}"), "block", json!(number)));
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(THREADS);
    let contract = outward("block");
    let working = controller
        .work_on(runtime, |worker| {
            worker.capability(capability(contract, block))
        })
        .await;
    controller
        .until(|state| {
            let held = |(granted, renewed): &(_, std::time::Instant)| *renewed - *granted > ttl;
            let all_held = state.leases.len() == THREADS && state.leases.values().all(held);
            (all_held && blocked.load(Ordering::SeqCst) == THREADS).then_some(())
        })
        .await;
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    // A lease that had run out in between would be refused.
    controller
        .until(|state| (state.reports.len() == THREADS).then_some(()))
        .await;
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_grant_that_arrives_twice_is_worked_on_once() {
    let controller = Controller::start();
    controller.state().stutters = true;
    let runs = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&runs);
    let count = move |_ctx: Context, input: Value| {
        let runs = Arc::clone(&counting);
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(input)
        }
    };
    // One twice in the answer to a poll, another with the answer to a report and again with that to its own.
    let next = task("b", "count", json!(2));
    controller.state().next_tasks.extend([next.clone(), next]);
    controller.offer(task("a", "count", json!(1)));
    let working = controller
        .work(|worker| worker.capability(capability(outward("count"), count)))
        .await;
    controller
        .until(|state| (state.reports.len() == 2).then_some(()))
        .await;
    // What arrived twice was in hand before this one.
    controller.offer(task("c", "count", json!(3)));
    controller
        .until(|state| (state.reports.len() >= 3 && state.next_tasks.is_empty()).then_some(()))
        .await;
    working.stop().await.unwrap();
    assert_eq!(controller.state().reports.len(), 3);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

/// Tells when it is dropped.
struct Tell(mpsc::Sender<&'static str>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.try_send("dropped");
    }
}

#[tokio::test]
async fn a_lost_lease_stops_the_work_and_nothing_is_reported() {
    let controller = Controller::start();
    let (tell, mut told) = mpsc::channel(4);
    let hang = move |_ctx: Context, _input: Value| {
        let tell = tell.clone();
        async move {
            let _guard = Tell(tell.clone());
            tell.send("entered").await.unwrap();
            std::future::pending::<Result<Value, Failure>>().await
        }
    };
    controller.offer(task("a", "hang", json!(null)));
    let working = controller
        .work(|worker| worker.capability(capability(outward("hang"), hang)))
        .await;
    assert_eq!(told.recv().await, Some("entered"));
    controller.state().standing = LeaseState::Lost;
    assert_eq!(told.recv().await, Some("dropped"));
    working.stop().await.unwrap();
    assert!(controller.state().reports.is_empty());
}

#[tokio::test]
async fn cancelled_work_is_told_and_its_outcome_reported() {
    async fn wind_up(ctx: Context, _input: Value) -> Result<Value, Failure> {
        ctx.cancelled().cancelled().await;
        Err(Failure::fatal("CANCELLED", "stopped half way"))
    }
    let controller = Controller::start();
    controller.state().standing = LeaseState::CancelRequested;
    controller.offer(task("a", "wind.up", json!(null)));
    let working = controller
        .work(|worker| worker.capability(capability(outward("wind.up"), wind_up)))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(failure_code(&report), "CANCELLED");
    working.stop().await.unwrap();
}

#[tokio::test]
async fn work_past_its_time_is_dropped_and_said_to_be_unknown() {
    async fn hang(_ctx: Context, _input: Value) -> Result<Value, Failure> {
        std::future::pending().await
    }
    let controller = Controller::start();
    let mut late = task("a", "hang", json!(null));
    late.time_left = Some(std::time::Duration::from_millis(20).try_into().unwrap());
    controller.offer(late);
    let working = controller
        .work(|worker| worker.capability(capability(outward("hang"), hang)))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(failure_code(&report), "START_TO_CLOSE_TIMEOUT");
    working.stop().await.unwrap();
}
