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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_09_a_task_kills_whatever_touches_it() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 9");
    let field = Field::over(
        fulcrum_e2e::postgres::Postgres::start()?,
        1,
        &[("limits.crash_count_max", "3")],
        1,
        8,
    )
    .await?;
    let marks = field.stack.dir().join("marks");
    let config = format!(
        "capabilities:\n  - name: poison.take\n    effect: read\n    script: {{ argv: [/bin/sh, -c, 'echo x >> {}; kill -9 $PPID; exec sleep 60'], stdout: text }}\n",
        marks.display()
    );
    let mut victim = field.stack.connector("victim", 0, &config).await?;
    field
        .stack
        .api
        .apply("workflow: poison\nsteps: [{ id: s, call: poison.take, with: {} }]")
        .await?;
    let run = field.stack.api.start("poison", &json!({})).await?;
    let began = Instant::now();
    let mut deaths = 0;
    let ended = loop {
        // A supervisor brings the victim back each time; meanwhile the other queue is served.
        if victim.ended().is_some() {
            deaths += 1;
            assert!(deaths < 10, "nobody stops it");
            victim.kill()?;
            victim.start()?;
            field.start(SHIP, 5).await?;
        }
        let now = field.stack.api.run(&run).await?;
        if api::is_closed(now.status()) {
            break now;
        }
        assert!(began.elapsed() < Duration::from_secs(80), "{now:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(
        ended.failure.map(|failure| failure.code).as_deref(),
        Some("POISON")
    );
    let touched = std::fs::read_to_string(&marks)?.lines().count();
    assert_eq!(
        touched, 3,
        "with the third lease that runs out it is known for what it is"
    );
    let findings = field.verdict(Instant::now()).await?;
    assert_eq!(
        findings.expired, 0,
        "the other queue's workers were not touched"
    );
    eprintln!(
        "fault 9: {deaths} deaths, quarantined after {:.1} s; {findings}",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
