//! Answers that are lost, calls that come late, twice or in the wrong order.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, RELAY};
use fulcrum_chaos::hand::{Hand, Receipt};
use fulcrum_chaos::oracle::Accepted;
use fulcrum_chaos::proxy::{Fault, Proxy};
use fulcrum_chaos::scale::Scale;
use fulcrum_e2e::api::{self, Api};
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::review::v1::Decision;
use fulcrum_proto::worker::v1::LeaseState;
use fulcrum_sdk::IdentityDir;
use serde_json::{Value, json};

/// The field, with one connector behind a proxy.
async fn behind_a_proxy(slots: u32) -> anyhow::Result<(Field, Proxy)> {
    let mut field = Field::open(0, slots).await?;
    let identity = field.stack.identity("edge", "connector").await?;
    let proxy = Proxy::before(&field.stack.controllers[0].endpoint(), &identity).await?;
    let config = field.edge_config();
    let edge = field
        .stack
        .connector_through("edge", 0, &proxy.endpoint(), &config)
        .await?;
    field.edges.push(edge);
    field.learn().await?;
    Ok((field, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_04_every_nth_answer_to_a_worker_is_lost() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 4");
    let (field, proxy) = Box::pin(behind_a_proxy(8)).await?;
    const METHODS: &[&str] = &["LeaseTasks", "ReportTasks", "Heartbeat", "Register"];
    for method in METHODS {
        proxy.faults.set(method, 3, Fault::LoseAnswer);
    }
    // In waves: a worker with enough to do gets its tasks with the answers to its reports, and asks for none.
    for _ in 0..6 {
        field.start(RELAY, scale.pick(5, 50)).await?;
        field.closed(usize::MAX).await;
    }
    proxy.faults.clear();
    let findings = field.verdict(Instant::now()).await?;
    let lost = METHODS[..2].iter().map(|method| proxy.faults.tally(method));
    let lost: Vec<_> = lost.collect();
    assert!(lost.iter().all(|tally| tally.faulted > 0), "{lost:?}");
    eprintln!("fault 4, worker: {lost:?}; {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_04_every_second_answer_to_a_client_is_lost() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 4");
    let field = Field::open(1, 8).await?;
    let identity = IdentityDir::at(field.stack.worker_dir("operator").join("identity"));
    let proxy = Proxy::before(&field.stack.controllers[0].endpoint(), &identity).await?;
    let api = Api::new(&[proxy.endpoint()], &identity)?;
    field
        .stack
        .api
        .apply("workflow: waits\nsteps: [{ id: w, wait: go }]")
        .await?;
    for method in ["StartRun", "SignalRun", "CancelRun"] {
        proxy.faults.set(method, 2, Fault::LoseAnswer);
    }
    let runs = scale.pick(12, 100);
    for n in 0..runs {
        let run = api.start("waits", &json!({})).await?;
        field.log.note(Accepted {
            run_id: run.clone(),
            key: run.clone(),
            steps: &[],
        });
        if n % 2 == 0 {
            api.signal(&run, "go", &json!(n)).await?;
        } else {
            api.cancel(&run).await?;
        }
    }
    let count = |sql: &str| field.stack.postgres.value(sql);
    assert_eq!(count("select count(*) from runs")?, runs.to_string());
    // 9 is SignalReceived, 19 RunCancelRequested.
    let told = field.events("9, 19")?;
    assert_eq!(told, runs.to_string());
    let mut field = field;
    field.terms.all_complete = false;
    let findings = field.verdict(Instant::now()).await?;
    let lost = ["StartRun", "SignalRun", "CancelRun"].map(|method| proxy.faults.tally(method));
    assert!(lost.iter().all(|tally| tally.faulted > 0), "{lost:?}");
    eprintln!("fault 4, client: {lost:?}; {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_05_calls_of_a_worker_are_repeated_and_delayed() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 5");
    let (field, proxy) = Box::pin(behind_a_proxy(8)).await?;
    proxy.faults.set("ReportTasks", 2, Fault::Repeat(5));
    proxy.faults.set("Heartbeat", 1, Fault::Repeat(5));
    let pause = Duration::from_millis(300);
    proxy.faults.set("LeaseTasks", 5, Fault::DelayAnswer(pause));
    field.start(RELAY, scale.pick(30, 300)).await?;
    field.closed(usize::MAX).await;
    let repeated = proxy.faults.tally("ReportTasks");
    assert!(repeated.faulted > 0, "{repeated:?}");
    let findings = field.verdict(Instant::now()).await?;
    assert_eq!(findings.calls, findings.applied, "nothing was done twice");
    eprintln!("fault 5: {repeated:?}; {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_05_duplicates_across_attempts_change_nothing() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 5");
    let field = Field::open(0, 1).await?;
    let stack = &field.stack;
    let hand = Hand::join(stack, "hand", &["by.hand"]).await?;
    stack.api.apply("workflow: w\nsteps: [{ id: s, call: by.hand, with: { n: 1 }, retry: { max_attempts: 5, initial: 10ms, max: 20ms } }]\noutput: \"${steps.s.output}\"").await?;
    stack
        .api
        .apply("workflow: asks\nsteps: [{ id: r, review: 'Go on?' }]")
        .await?;
    let run = stack.api.start("w", &json!({})).await?;
    let first = hand.take(1).await?;
    // The first attempt fails five times over; then the second completes five times over, all at once.
    let fails = [(); 5].map(|()| hand.fail(&first));
    for receipt in futures(fails).await {
        assert_eq!(receipt?, [Receipt::Accepted]);
    }
    let second = hand.take(1).await?;
    assert_eq!((first[0].attempt, second[0].attempt), (1, 2));
    assert_eq!(first[0].effect_key, second[0].effect_key);
    // What belongs to the first attempt comes late, and finds it gone; its own report is remembered or refused.
    assert_eq!(hand.beat(&first).await?, [LeaseState::Lost]);
    let late = hand.complete(&first, &json!("late")).await?;
    assert_ne!(
        stack.api.run(&run).await?.status(),
        fulcrum_proto::workflow::v1::RunStatus::Completed,
        "{late:?}"
    );
    let output = json!("second");
    let completes = [(); 5].map(|()| hand.complete(&second, &output));
    for receipt in futures(completes).await {
        assert_eq!(receipt?, [Receipt::Accepted]);
    }
    // A heartbeat after the end revives nothing.
    assert_eq!(hand.beat(&second).await?, [LeaseState::Lost]);
    // The lease is the key of a report: another outcome of the same lease gets the first one's answer or none.
    let other = hand.fail(&second).await?;
    let harmless = [Receipt::Accepted, Receipt::Refused(ErrorReason::LeaseLost)];
    assert!(harmless.contains(&other[0]), "{other:?}");
    assert_eq!(stack.api.output(&run).await, output);

    let asks = stack.api.start("asks", &json!({})).await?;
    let review = stack.api.open_reviews().await?.pop().expect("it is open");
    let decide = [(); 5].map(|()| stack.api.decide(&review, Decision::Approve, None));
    let decided = futures(decide).await;
    let taken = decided.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(
        taken, 1,
        "approved by five requests, taken once: {decided:?}"
    );
    assert_eq!(stack.api.output(&asks).await, Value::Null);

    // One request, five times at once, is one run.
    let started = futures([(); 5].map(|()| start_once(&stack.api))).await;
    let ids: std::collections::BTreeSet<String> = started.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(ids.len(), 1);
    for run in [run, asks] {
        field.log.note(Accepted {
            run_id: run.clone(),
            key: run,
            steps: &[],
        });
    }
    let again = hand.take(1).await?;
    hand.complete(&again, &output).await?;
    let findings = field.verdict(Instant::now()).await?;
    eprintln!("fault 5: {findings}");
    Ok(())
}

async fn start_once(api: &Api) -> anyhow::Result<String> {
    let request = fulcrum_proto::workflow::v1::StartRunRequest {
        namespace: api::NAMESPACE.to_owned(),
        spec: Some(api::spec("w", &json!({}), "")),
        request_id: "the same for all".to_owned(),
        wait: None,
    };
    let answer = fulcrum_sdk::client::runs(api.channel())
        .start_run(request)
        .await?;
    Ok(answer.into_inner().run.expect("a run").run_id)
}

/// Polls all at once.
async fn futures<T, const N: usize>(all: [impl Future<Output = T>; N]) -> Vec<T> {
    futures_util::future::join_all(all).await
}
