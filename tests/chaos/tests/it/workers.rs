//! Faults of workers.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, SHIP};
use fulcrum_chaos::hand::{Hand, Receipt};
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::target::Manner;
use fulcrum_e2e::api;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::worker::v1::LeaseState;
use serde_json::json;

#[tokio::test]
async fn fault_01_executor_killed_between_effect_and_report() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 1");
    let tasks = scale.pick(60, 200);
    let mut field = Field::open(1, 200).await?;
    field.target.answer(Manner::Silent);
    field.start(SHIP, tasks).await?;
    // Every order was carried out, and no answer has left the target.
    field.target.called(tasks).await;
    field.edges[0].kill()?;
    let killed = Instant::now();
    field.target.answer(Manner::Prompt);
    let second = field.edge("second", 0).await?;
    field.edges.push(second);

    let findings = field.verdict(killed).await?;
    assert_eq!(findings.applied, tasks);
    assert_eq!(findings.calls, 2 * tasks, "each task was granted once more");
    assert_eq!(findings.expired, tasks);
    eprintln!("fault 1: {findings}");
    Ok(())
}

#[tokio::test]
async fn fault_02_a_stopped_executor_comes_back_after_its_leases() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 2");
    let mut field = Field::open(1, 8).await?;
    field.target.answer(Manner::Silent);
    field.start(SHIP, 8).await?;
    field.target.called(8).await;
    field.edges[0].signal("STOP")?;
    let stopped = Instant::now();
    field.target.answer(Manner::Prompt);
    let second = field.edge("second", 0).await?;
    field.closed(8).await;
    field.edges[0].signal("CONT")?;
    field.edges.push(second);
    let findings = field.verdict(stopped).await?;
    assert_eq!((findings.applied, findings.expired), (8, 8));
    eprintln!("fault 2: {findings}");
    Ok(())
}

#[tokio::test]
async fn fault_02_a_zombie_is_refused_on_every_call() -> anyhow::Result<()> {
    let field = Field::open(0, 8).await?;
    let stack = &field.stack;
    let zombie = Hand::join(stack, "zombie", &["by.hand"]).await?;
    let healthy = Hand::join(stack, "healthy", &["by.hand"]).await?;
    stack
        .api
        .apply("workflow: w\nsteps: [{ id: s, call: by.hand, with: { n: 1 } }]\noutput: \"${steps.s.output}\"")
        .await?;
    let run = stack.api.start("w", &json!({})).await?;
    let stale = zombie.take(1).await?;
    // It falls silent; the next one to ask gets the task, once the lease is over.
    let fresh = healthy.take(1).await?;
    assert_eq!(fresh[0].task_id, stale[0].task_id);
    assert_eq!(fresh[0].effect_key, stale[0].effect_key);
    assert_eq!(fresh[0].attempt, stale[0].attempt);
    assert!(fresh[0].lease_seq > stale[0].lease_seq);

    let lost = Receipt::Refused(ErrorReason::LeaseLost);
    assert_eq!(zombie.beat(&stale).await?, [LeaseState::Lost]);
    let appended = zombie.append(&stale[0], "note", &json!(1)).await;
    let reason = appended.err().and_then(fulcrum_chaos::hand::reason);
    assert_eq!(reason, Some(ErrorReason::LeaseLost));
    assert_eq!(zombie.complete(&stale, &json!("zombie")).await?, [lost]);
    assert_eq!(zombie.fail(&stale).await?, [lost]);
    assert_eq!(zombie.park(&stale[0], "child").await?, lost);
    assert_eq!(
        healthy.complete(&fresh, &json!("healthy")).await?,
        [Receipt::Accepted]
    );
    // Terminal is terminal.
    assert_eq!(zombie.complete(&stale, &json!("zombie")).await?, [lost]);
    assert_eq!(stack.api.output(&run).await, json!("healthy"));
    let again = healthy
        .lease(1, Duration::ZERO, &api::request_id()?)
        .await?;
    assert!(again.is_empty());
    Ok(())
}
