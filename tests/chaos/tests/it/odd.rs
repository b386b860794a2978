//! Odd work and odd results: too large, too deep, wanted by nobody, of the wrong shape.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, SHIP};
use fulcrum_chaos::hand::{Hand, Receipt};
use fulcrum_chaos::oracle::{Accepted, Footprint};
use fulcrum_chaos::scale::Scale;
use fulcrum_e2e::api::{self, NAMESPACE};
use fulcrum_e2e::wait;
use fulcrum_proto::common::v1::{ErrorReason, Payload};
use fulcrum_proto::worker::v1::CompletedOutcome;
use fulcrum_proto::worker::v1::task_report::Outcome;
use fulcrum_proto::workflow::v1::{
    ApplyDefinitionRequest, RunStatus, SourceFormat, StartRunRequest,
};
use fulcrum_sdk::{Refusal, client};
use serde_json::json;

fn note(field: &Field, run: &str) {
    field.log.note(Accepted {
        run_id: run.to_owned(),
        key: run.to_owned(),
        steps: &[],
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_32_payloads_and_runs_beyond_every_limit() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 32");
    let mut field = Field::open(1, 16).await?;
    let hand = Hand::join(&field.stack, "hand", &["by.hand"]).await?;
    let api = &field.stack.api;
    api.apply("workflow: w\nsteps: [{ id: s, call: by.hand, with: { n: 1 }, retry: { max_attempts: 5, initial: 10ms, max: 20ms } }]").await?;
    api.apply("workflow: keeps\nsteps: [{ id: s, set: { x: \"${1}\" } }]")
        .await?;
    api.apply("workflow: deep\nsteps: [{ id: s, set: { x: \"${1}\" } }]")
        .await?;
    api.apply("workflow: deep\nsteps: [{ id: down, run: deep }]")
        .await?;
    api.apply("workflow: wide\nsteps:\n  - id: each\n    foreach: \"${input.items}\"\n    do: [{ id: s, set: { x: \"${item}\" } }]")
        .await?;
    let pid = field.stack.controllers[0].program.process()?.pid();
    let before = Footprint::of(pid)?;

    // Inputs of every size: taken up to the limit, and refused beyond it by its name.
    for (bytes, taken) in [
        (0_usize, true),
        (4 << 20, true),
        ((4 << 20) + 1, false),
        (64 << 20, false),
    ] {
        let text = format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
        let data = if bytes == 0 {
            Vec::new()
        } else {
            text.into_bytes()
        };
        let mut spec = api::spec("keeps", &json!(null), "");
        spec.input = (bytes > 0).then(|| Payload {
            encoding: "json".to_owned(),
            data: data.into(),
        });
        let request = StartRunRequest {
            namespace: NAMESPACE.to_owned(),
            spec: Some(spec),
            ..StartRunRequest::default()
        };
        let answer = client::runs(api.channel()).start_run(request).await;
        let answer = answer.map(|answer| answer.into_inner().run.expect("a run").run_id);
        match answer.map_err(Refusal::from) {
            Ok(run) => {
                assert!(taken, "{bytes} bytes were taken");
                note(&field, &run);
            }
            Err(refusal) => assert!(!taken, "{bytes} bytes: {refusal:?}"),
        }
    }

    // A result that is too large fails its step once, and is not asked for again.
    let run = api.start("w", &json!({})).await?;
    let tasks = hand.take(1).await?;
    let output = json!("x".repeat(5 << 20));
    let receipts = hand.complete(&tasks, &output).await;
    assert!(
        !matches!(receipts.as_deref(), Ok([Receipt::Accepted])),
        "5 MiB were accepted as a result"
    );
    let more = hand
        .lease(1, Duration::from_secs(1), &api::request_id()?)
        .await?;
    assert!(more.is_empty(), "the work was offered again: {receipts:?}");
    let large = outcome_of_too_much(&field, &hand, &run, &tasks).await?;
    note(&field, &run);

    // Recursion ends at the limit of depth, with a failure that says so.
    let run = api.start("deep", &json!({})).await?;
    let deep = api.closed(&run).await;
    assert_eq!(deep.status(), RunStatus::Failed);
    note(&field, &run);

    // Many children.
    let items: Vec<usize> = (0..scale.pick(500, 10_000)).collect();
    let began = Instant::now();
    let run = api.start("wide", &json!({ "items": items })).await?;
    let wide = api.closed(&run).await;
    assert_eq!(wide.status(), RunStatus::Completed, "{wide:?}");
    let took = began.elapsed();
    note(&field, &run);

    let after = Footprint::of(pid)?;
    field.terms.all_complete = false;
    field.terms.memory_growth_max = 256 << 20;
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 32: a result of 5 MiB: {large}; depth: {:?}; {} children in {:.1} s; memory {} → {} MiB; {findings}",
        deep.failure.map(|failure| failure.code),
        items.len(),
        took.as_secs_f64(),
        before.memory >> 20,
        after.memory >> 20
    );
    Ok(())
}

/// What became of a step whose result was refused: it failed, or its holder reports something smaller.
async fn outcome_of_too_much(
    field: &Field,
    hand: &Hand,
    run: &str,
    tasks: &[fulcrum_proto::worker::v1::Task],
) -> anyhow::Result<String> {
    let now = field.stack.api.run(run).await?;
    if !api::is_closed(now.status()) {
        hand.complete(tasks, &json!("small")).await?;
        field.stack.api.closed(run).await;
        return Ok("the call was refused, a smaller one taken".to_owned());
    }
    let code = now.failure.map(|failure| failure.code);
    Ok(format!("the step failed with {}", code.unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_37_nobody_can_do_it_yet() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 37");
    let mut field = Field::open(1, 8).await?;
    let request = ApplyDefinitionRequest {
        namespace: NAMESPACE.to_owned(),
        source: b"workflow: rare\nsteps: [{ id: s, call: by.hand, with: { n: 1 } }]\noutput: \"${steps.s.output}\""
            .to_vec()
            .into(),
        format: SourceFormat::Unspecified.into(),
        allow_unregistered: true,
        ..ApplyDefinitionRequest::default()
    };
    client::definitions(field.stack.api.channel())
        .apply_definition(request)
        .await?;
    let run = field.stack.api.start("rare", &json!({})).await?;
    note(&field, &run);
    // Sweeps go by, other work is done, the controller is started anew: it stays offered, and says what it waits for.
    field.start(SHIP, 20).await?;
    field.closed(20).await;
    field.stack.controllers[0].program.kill()?;
    field.stack.controllers[0].up().await?;
    tokio::time::sleep(field.terms.lease_ttl).await;
    let now = field.stack.api.run(&run).await?;
    assert_eq!(now.status(), RunStatus::Running);
    let waiting = format!("{} {}", now.waiting_for, now.steps[0].waiting_for);
    assert!(waiting.contains("by.hand"), "{waiting:?}");
    let hand = Hand::join(&field.stack, "hand", &["by.hand"]).await?;
    let tasks = hand.take(1).await?;
    assert_eq!((tasks[0].attempt, tasks[0].lease_seq), (1, 1));
    hand.complete(&tasks, &json!("at last")).await?;
    assert_eq!(field.stack.api.output(&run).await, json!("at last"));
    let findings = field.verdict(Instant::now()).await?;
    eprintln!("fault 37: it said `{}`; {findings}", waiting.trim());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_38_results_that_cannot_be_meant() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 38");
    let mut field = Field::open(1, 8).await?;
    let schema = json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } });
    let identity = field.stack.identity("hand", "executor").await?;
    let endpoint = field.stack.controllers[0].endpoint();
    let hand = Hand::at(&endpoint, &identity, &["by.hand"])?.promising(&schema);
    hand.settled().await;
    let stranger = Hand::join(&field.stack, "stranger", &["by.stranger"]).await?;
    field
        .stack
        .api
        .apply("workflow: w\nsteps: [{ id: s, call: by.hand, with: { n: 1 } }]")
        .await?;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(field.stack.api.start("w", &json!({})).await?);
    }
    let tasks = hand.take(4).await?;
    // Somebody else's lease, a lease cut short, a lease with a bit turned.
    let good = json!({ "id": 1 });
    let foreign = stranger.complete([&tasks[3]], &good).await?;
    assert_eq!(foreign, [Receipt::Refused(ErrorReason::LeaseLost)]);
    for broken in [
        tasks[3].lease.slice(..tasks[3].lease.len() / 2),
        turned(&tasks[3].lease),
        Vec::new().into(),
    ] {
        let mut task = tasks[3].clone();
        task.lease = broken;
        let answer = hand.complete([&task], &good).await;
        assert!(
            !matches!(answer.as_deref(), Ok([Receipt::Accepted])),
            "{answer:?}"
        );
    }
    // A result of the wrong shape, one that is no JSON, one cut off.
    hand.complete([&tasks[0]], &json!({ "id": "one" })).await?;
    for (task, data) in [
        (&tasks[1], &b"\xff\xfe"[..]),
        (&tasks[2], &b"{\"id\": 1"[..]),
    ] {
        let outcome = Outcome::Completed(CompletedOutcome {
            output: Some(Payload {
                encoding: "json".to_owned(),
                data: data.to_vec().into(),
            }),
        });
        // Whatever is answered: the run's end is what counts.
        hand.report([task], &outcome, 0).await.ok();
    }
    // Each run that got such a result ends alone; the last one is as good as new.
    assert_eq!(
        hand.complete([&tasks[3]], &good).await?,
        [Receipt::Accepted]
    );
    let hands = hand.clone();
    wait::until("each run has ended", || async {
        // A call that was refused as a whole leaves its lease to end; it is given back as failed.
        hands.fail([&tasks[1], &tasks[2]]).await.ok();
        for run in &runs {
            let status = field.stack.api.run(run).await?.status();
            if !api::is_closed(status) {
                let again = hands
                    .lease(4, Duration::from_millis(200), &api::request_id()?)
                    .await?;
                hands.complete(&again, &good).await?;
                anyhow::bail!("{run}: {status:?}");
            }
        }
        Ok(())
    })
    .await;
    let mut ends = Vec::new();
    for run in &runs {
        let now = field.stack.api.run(run).await?;
        ends.push(
            now.failure
                .map_or_else(|| "completed".to_owned(), |failure| failure.code),
        );
        note(&field, run);
    }
    field.terms.all_complete = false;
    field.start(SHIP, 10).await?;
    let findings = field.verdict(Instant::now()).await?;
    eprintln!("fault 38: wrong shape, no text, cut off, good: {ends:?}; {findings}");
    assert_eq!(ends[0], "OUTPUT_SCHEMA_MISMATCH");
    assert_eq!(ends[3], "completed");
    Ok(())
}

fn turned(lease: &[u8]) -> tonic::codegen::Bytes {
    let mut lease = lease.to_vec();
    // Behind the version, the task's id and the number of the grant lies its nonce.
    lease[25] ^= 1;
    lease.into()
}
