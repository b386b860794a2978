//! Calls that are malformed, too large, or not what their id stood for before.

use fulcrum_e2e::api::{self, NAMESPACE, from_json, spec};
use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;
use fulcrum_proto::common::v1::{ErrorReason, Payload};
use fulcrum_proto::workflow::v1::{GetRunRequest, ListRunsRequest, StartRunRequest};
use fulcrum_sdk::client;
use serde_json::{Value, json};

use crate::crew::Crew;
use crate::stage::{Stage, capabilities};
use crate::story;

const PAYLOAD_BYTES_MAX: usize = 4 << 20;

fn start(text: &str, request_id: &str) -> StartRunRequest {
    StartRunRequest {
        namespace: NAMESPACE.to_owned(),
        spec: Some(spec("note", &json!({ "text": text }), "")),
        request_id: request_id.to_owned(),
        wait: None,
    }
}

#[tokio::test]
async fn a_repeated_start_is_the_same_run_and_another_body_is_refused() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let stage = Stage::new();
    let _crew = Crew::join(&stack, "crew", 4, capabilities(&stage)).await?;
    story::apply(&stack.api, &["note"]).await?;
    let mut runs = client::runs(stack.api.channel());

    let id = api::request_id()?;
    let first = runs.start_run(start("once", &id)).await?.into_inner();
    let run = first.run.expect("a run").run_id;
    assert_eq!(stack.api.output(&run).await, json!("once"));
    let again = runs.start_run(start("once", &id)).await?.into_inner();
    assert_eq!(
        again.run.expect("a run").run_id,
        run,
        "the first call's answer"
    );
    let other = runs.start_run(start("twice", &id)).await;
    story::assert_refused(other, ErrorReason::RequestIdReused);

    assert_eq!(stack.api.runs().await?.len(), 1);
    assert_eq!(stage.scene().notes, ["once"]);
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_unknown_or_forged_is_refused_by_name() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let _crew = Crew::join(&stack, "crew", 4, capabilities(&Stage::new())).await?;
    let api = &stack.api;
    story::apply(api, &["note"]).await?;

    // The envelope and two quotes are over the limit by one byte, then under it.
    let around = json!({ "text": "" }).to_string().len();
    let text = "x".repeat(PAYLOAD_BYTES_MAX + 1 - around);
    let refused = api.start("note", &json!({ "text": text })).await;
    let refusal = story::assert_refused(refused, ErrorReason::PayloadTooLarge);
    assert!(
        refusal.message.contains(&PAYLOAD_BYTES_MAX.to_string()),
        "{refusal}"
    );
    let run = api.start("note", &json!({ "text": &text[1..] })).await?;
    assert_eq!(
        api.output(&run).await,
        json!(&text[1..]),
        "the largest there may be"
    );

    let mut runs = client::runs(api.channel());
    let mut malformed = start("", &api::request_id()?);
    malformed.spec.as_mut().expect("a spec").input = Some(Payload {
        encoding: "json".to_owned(),
        data: b"{ not json".as_slice().into(),
    });
    story::assert_refused(runs.start_run(malformed).await, ErrorReason::InvalidRequest);
    let mut foreign = start("", &api::request_id()?);
    foreign.spec.as_mut().expect("a spec").input = Some(Payload {
        encoding: "msgpack".to_owned(),
        ..from_json(&Value::Null)
    });
    story::assert_refused(runs.start_run(foreign).await, ErrorReason::InvalidRequest);

    let refusal = story::assert_refused(
        api.start("nothing-like-it", &Value::Null).await,
        ErrorReason::DefinitionNotFound,
    );
    assert!(refusal.message.contains("nothing-like-it"), "{refusal}");
    let get = |run_id: &str| GetRunRequest {
        namespace: NAMESPACE.to_owned(),
        run_id: run_id.to_owned(),
        include_steps: false,
        whole_bytes_max: 0,
    };
    let nobody = run.chars().rev().skip(1).collect::<String>();
    story::assert_refused(runs.get_run(get(&nobody)).await, ErrorReason::RunNotFound);
    let mut elsewhere = get(&run);
    elsewhere.namespace = "elsewhere".to_owned();
    let refused = runs
        .get_run(elsewhere)
        .await
        .map_err(fulcrum_sdk::Refusal::from);
    let reason = refused.expect_err("refused").reason;
    assert!(
        [
            Some(ErrorReason::PermissionDenied),
            Some(ErrorReason::NamespaceNotFound)
        ]
        .contains(&reason),
        "{reason:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_page_token_that_was_changed_or_belongs_elsewhere_is_refused() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let _crew = Crew::join(&stack, "crew", 4, capabilities(&Stage::new())).await?;
    story::apply(&stack.api, &["note"]).await?;
    for text in ["one", "two", "three"] {
        stack.api.start("note", &json!({ "text": text })).await?;
    }

    let mut runs = client::runs(stack.api.channel());
    let mut page = ListRunsRequest {
        namespace: NAMESPACE.to_owned(),
        page_size: 2,
        ..ListRunsRequest::default()
    };
    let first = runs.list_runs(page.clone()).await?.into_inner();
    let token = first.next_page_token;
    page.page_token.clone_from(&token);
    assert_eq!(
        runs.list_runs(page.clone()).await?.into_inner().runs.len(),
        1
    );

    let last = token.len() - 1;
    let other = if token.ends_with('A') { "B" } else { "A" };
    for forged in [
        format!("{}{other}", &token[..last]),
        token[1..].to_owned(),
        "AAAA".to_owned(),
    ] {
        page.page_token = forged;
        story::assert_refused(
            runs.list_runs(page.clone()).await,
            ErrorReason::PageTokenInvalid,
        );
    }
    page.page_token = token;
    page.filter = "status == \"failed\"".to_owned();
    let elsewhere = runs.list_runs(page.clone()).await;
    story::assert_refused(elsewhere, ErrorReason::PageTokenInvalid);
    page.page_token.clear();
    page.filter = "colour == \"blue\"".to_owned();
    let refused = runs.list_runs(page).await;
    let refusal = story::assert_refused(refused, ErrorReason::FilterInvalid);
    assert!(refusal.message.contains("colour"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn large_payloads_reach_a_worker_with_many_free_slots() -> anyhow::Result<()> {
    // That no lease runs out is part of what is tested. It would if an answer were too large to arrive, and must not
    // because a busy machine takes its time for some megabytes: so leases last longer here than answers ever take, and
    // end well within the test's patience.
    let leases = [
        ("lease.ttl_ms", "45000"),
        ("lease.reassert_ms", "45000"),
        ("lease.heartbeat_ms", "5000"),
    ];
    let stack = Stack::with(1, &leases).await?;
    let mut crew = Crew::join(&stack, "crew", 16, capabilities(&Stage::new())).await?;
    let api = &stack.api;
    story::apply(api, &["note"]).await?;
    crew.leave().await?;

    // All wait when the worker comes, so that one answer could carry them together.
    let text = "x".repeat(3 << 20);
    let mut started = Vec::new();
    for _ in 0..6 {
        started.push(api.start("note", &json!({ "text": text })).await?);
    }
    crew.work();
    // The list carries no payloads: watching must not keep the controller from its work.
    wait::until("all runs are closed", || async {
        let runs = api.runs().await?;
        let open = runs.iter().filter(|run| !api::is_closed(run.status()));
        anyhow::ensure!(open.count() == 0, "{runs:#?}");
        Ok(())
    })
    .await;
    for run in &started {
        assert!(
            api.output(run).await == json!(text),
            "{run} gives what it was given"
        );
        let told = story::told(api, run).await?;
        assert!(
            !told.contains(&"LeaseExpired noted".to_owned()),
            "{told:#?}"
        );
    }
    Ok(())
}
