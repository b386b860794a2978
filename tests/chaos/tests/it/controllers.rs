//! Faults of controllers.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, RELAY, SHIP};
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::target::Manner;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::wait;
use fulcrum_proto::workflow::v1::WatchRunRequest;
use fulcrum_sdk::client;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_08_the_controller_is_away_longer_than_the_leases() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 8");
    let mut field = Field::open(2, 8).await?;
    field.target.answer(Manner::Silent);
    field.start(SHIP, 16).await?;
    field.target.called(16).await;
    field.stack.controllers[0].program.kill()?;
    // One of the holders dies meanwhile.
    field.edges[0].kill()?;
    tokio::time::sleep(3 * field.terms.lease_ttl).await;
    field.stack.controllers[0].up().await?;
    let back = Instant::now();
    // Somebody with free slots: the holder that lives has none.
    let third = field.edge("third", 0).await?;
    field.edges.push(third);
    field.target.called(24).await;
    let again = back.elapsed();
    field.target.answer(Manner::Prompt);
    let findings = field.verdict(back).await?;
    assert_eq!(findings.expired, 8, "only what the dead one held ran out");
    assert_eq!(findings.calls, 24, "and only that was dispatched again");
    assert!(
        again >= Duration::from_secs(2),
        "after {again:?}: no grace was given"
    );
    eprintln!(
        "fault 8: the dead one's tasks came again after {:.1} s; {findings}",
        again.as_secs_f64()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_controllers_are_replaced_one_by_one_under_load() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 10");
    let mut field = Field::over(Postgres::start()?, 2, &[], 2, 8).await?;
    field
        .stack
        .api
        .apply("workflow: waits\nsteps: [{ id: w, wait: go }]")
        .await?;
    let waiting = field.stack.api.start("waits", &json!({})).await?;
    let mut slowest = Duration::ZERO;
    for round in 0..scale.pick(2, 8) {
        let at = round % 2;
        field.start(RELAY, 20).await?;
        // A client that opens a stream and never reads it.
        let request = WatchRunRequest {
            namespace: fulcrum_e2e::api::NAMESPACE.to_owned(),
            run_id: waiting.clone(),
            ..WatchRunRequest::default()
        };
        let channel = field.stack.api.only(at).channel();
        let unread = client::runs(channel).watch_run(request).await?;
        let began = Instant::now();
        let status = field.stack.controllers[at].program.terminate().await?;
        slowest = slowest.max(began.elapsed());
        assert!(
            status.success(),
            "{}",
            field.stack.controllers[at].program.log()
        );
        drop(unread);
        // Meanwhile clients are served by the other one, without an error that a client would have to know of.
        field.start(RELAY, 10).await?;
        field.stack.controllers[at].up().await?;
    }
    // Before the one that waits is closed, too: it is none of those that are judged.
    field.closed(usize::MAX).await;
    field.stack.api.signal(&waiting, "go", &json!(1)).await?;
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 10: the slowest end took {:.1} s; {findings}",
        slowest.as_secs_f64()
    );
    assert_eq!(findings.expired, 0, "no lease was lost to a restart");
    assert!(slowest < Duration::from_secs(22), "{slowest:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_two_connectors_of_one_identity_overlap() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 10");
    let mut field = Field::open(1, 8).await?;
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(300)));
    field.start(RELAY, 20).await?;
    field.closed(2).await;
    let mut old = field.edges.remove(0);
    // The new process is the same worker, from the same directory; the old one drains meanwhile.
    let new = field.edge("edge-0", 0).await?;
    field.edges.push(new);
    let status = old.terminate().await?;
    assert!(status.success(), "{}", old.log());
    let findings = field.verdict(Instant::now()).await?;
    assert_eq!(findings.calls, findings.applied, "nothing was done twice");
    assert_eq!(findings.expired, 0);
    eprintln!("fault 10, worker: {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_two_reapers_and_a_row_that_always_errors() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 11");
    let tasks = scale.pick(40, 200);
    let mut field = Field::over(Postgres::start()?, 2, &[], 1, 250).await?;
    field.target.answer(Manner::Silent);
    // A run whose timeline somebody changed: whatever loads it fails, each time.
    let bad = field
        .stack
        .api
        .start("ship", &json!({ "item": "bad" }))
        .await?;
    field.start(SHIP, tasks).await?;
    field.target.called(tasks + 1).await;
    field.edges[0].kill()?;
    let id = uuid::Uuid::from_u128(fulcrum_e2e::timeline::uuid(&bad)?);
    field.stack.postgres.value(&format!(
        "update events set body = body || '\\x00' where stream = '{id}' and seq = (select min(seq) from events where stream = '{id}'); \
         delete from snapshots where run_id = '{id}'"
    ))?;
    // Nobody remembers the run as it was.
    for controller in &mut field.stack.controllers {
        controller.program.kill()?;
        controller.program.start()?;
    }
    for controller in &field.stack.controllers {
        controller.ready().await;
    }
    let killed = Instant::now();
    field.target.answer(Manner::Prompt);
    let second = field.edge("second", 1).await?;
    field.edges.push(second);
    field.closed(usize::MAX).await;
    // The bad one is still there, isolated, and its row is met at every sweep.
    let open = field
        .stack
        .postgres
        .value("select count(*) from runs where closed_at is null")?;
    assert_eq!(open, "1");
    let findings = field.verdict(killed).await?;
    assert_eq!(
        findings.expired, tasks,
        "each lease ran out once, for both reapers"
    );
    assert_eq!(findings.calls, 2 * tasks + 1);
    eprintln!("fault 11: {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_12_a_controller_sleeps_through_its_succession() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 12");
    let field = Field::over(Postgres::start()?, 2, &[], 2, 8).await?;
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(100)));
    let mut field = field;
    for _ in 0..scale.pick(1, 5) {
        field.start(RELAY, 30).await?;
        let closed = field.log.accepted().len() - 25;
        field.closed(closed).await;
        // It stops in the middle of whatever it does, and its successor reaps and goes on.
        field.stack.controllers[0].program.signal("STOP")?;
        tokio::time::sleep(2 * field.terms.lease_ttl).await;
        field.stack.controllers[0].program.signal("CONT")?;
    }
    let woken = Instant::now();
    wait::until("the sleeper is ready again", || {
        field.stack.controllers[0].readiness()
    })
    .await;
    field.terms.recovery_max = Duration::from_secs(60);
    let findings = field.verdict(woken).await?;
    eprintln!("fault 12: {findings}");
    Ok(())
}
