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
