//! Definitions that cannot be meant: every mistake is told at once, with its line and column.

use fulcrum_e2e::api::{self, Api, NAMESPACE};
use fulcrum_e2e::process;
use fulcrum_e2e::stack::Stack;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1::{
    ApplyDefinitionRequest, ApplyDefinitionResponse, GetDefinitionRequest, Severity,
    get_definition_request::Version,
};
use fulcrum_sdk::client;
use serde_json::Value;

use crate::crew::Crew;
use crate::stage::{Stage, capabilities};
use crate::story;

async fn apply(api: &Api, fixture: &str) -> anyhow::Result<ApplyDefinitionResponse> {
    let path = process::repository()
        .join("tests/fixtures/broken")
        .join(fixture);
    let request = ApplyDefinitionRequest {
        namespace: NAMESPACE.to_owned(),
        source: std::fs::read(path)?.into(),
        request_id: api::request_id()?,
        ..ApplyDefinitionRequest::default()
    };
    Ok(client::definitions(api.channel())
        .apply_definition(request)
        .await?
        .into_inner())
}

/// `CODE line:column`, in the order of the source.
fn places(answer: &ApplyDefinitionResponse) -> Vec<String> {
    let all = answer.diagnostics.iter();
    let errors = all.filter(|found| found.severity() == Severity::Error);
    errors
        .map(|found| format!("{} {}:{}", found.code, found.line, found.column))
        .collect()
}

#[tokio::test]
async fn every_mistake_is_told_at_once_with_its_place() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let _crew = Crew::join(&stack, "crew", 1, capabilities(&Stage::new())).await?;
    let api = &stack.api;

    let answer = apply(api, "many.yaml").await?;
    assert!(answer.definition.is_none() && !answer.created);
    let expected = [
        "UNKNOWN_CAPABILITY 3:22",
        "EXPRESSION 4:70",
        "UNKNOWN_NAME 5:54",
        "DUPLICATE_ID 6:11",
        "INVALID_VALUE 6:23",
        "CONTRACT_MISMATCH 7:5",
        "UNKNOWN_KEY 7:34",
        "CONTRACT_MISMATCH 8:47",
    ];
    assert_eq!(places(&answer), expected, "{:#?}", answer.diagnostics);
    let said = &answer.diagnostics[0].message;
    assert!(
        said.contains("test.ecko") && said.contains("test.echo"),
        "what was meant: {said}"
    );

    let answer = apply(api, "not-yaml.yaml").await?;
    let [syntax] = &places(&answer)[..] else {
        panic!("{:#?}", answer.diagnostics)
    };
    assert!(syntax.starts_with("SYNTAX 4:"), "{syntax}");

    // Neither was stored.
    let request = GetDefinitionRequest {
        namespace: NAMESPACE.to_owned(),
        version: Some(Version::Workflow("many-mistakes".to_owned())),
    };
    let got = client::definitions(api.channel())
        .get_definition(request)
        .await;
    story::assert_refused(got, ErrorReason::DefinitionNotFound);
    let refusal = story::assert_refused(
        api.start("many-mistakes", &Value::Null).await,
        ErrorReason::DefinitionNotFound,
    );
    assert!(refusal.message.contains("many-mistakes"), "{refusal}");
    Ok(())
}
