//! The exit codes of the real `fulcrum`, and what it says with them.

use std::path::Path;
use std::process::Output;

use fulcrum_e2e::program::Program;
use fulcrum_e2e::{ports, process, stack::Stack};
use serde_json::{Value, json};

use crate::crew::Crew;
use crate::stage::{Stage, capabilities};
use crate::story;

/// What a command left behind.
#[derive(Debug)]
struct Left {
    code: Option<i32>,
    data: String,
    said: String,
}

async fn fulcrum(stack: &Stack, identity: &str, args: &[&str]) -> anyhow::Result<Left> {
    let endpoint = stack.controllers[0].endpoint();
    at(
        stack.dir(),
        endpoint.trim_start_matches("https://"),
        identity,
        args,
    )
    .await
}

async fn at(dir: &Path, address: &str, identity: &str, args: &[&str]) -> anyhow::Result<Left> {
    let identity = dir.join(identity).join("identity");
    let program = Program::new("fulcrum", dir, "fulcrum")?
        .env(
            "FULCRUM_CONFIG_DIR",
            dir.join("contexts").to_str().expect("a path"),
        )
        .args([
            "--address",
            address,
            "--identity",
            identity.to_str().expect("a path"),
        ])
        .args(args.iter().copied());
    let mut command = tokio::process::Command::from(program.command());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await?;
    let (data, said) = (String::from_utf8(stdout)?, String::from_utf8(stderr)?);
    Ok(Left {
        code: status.code(),
        data,
        said,
    })
}

#[tokio::test]
async fn each_way_to_end_has_its_exit_code() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let _crew = Crew::join(&stack, "crew", 4, capabilities(&Stage::new())).await?;
    story::apply(&stack.api, &["note", "inner", "naps"]).await?;
    let operator = |args: &'static [&'static str]| fulcrum(&stack, "operator", args);

    let left = operator(&[
        "run",
        "start",
        "note",
        "-i",
        r#"{"text":"hi"}"#,
        "--wait",
        "-o",
        "json",
    ])
    .await?;
    assert_eq!(left.code, Some(0), "{left:?}");
    let run: Value = serde_json::from_str(&left.data)?;
    assert_eq!(run["output"], json!("hi"), "data alone on stdout: {left:?}");

    let left = operator(&["run", "start", "inner", "-i", r#"{"name":"Eve"}"#, "--wait"]).await?;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(
        format!("{}{}", left.data, left.said).contains("UNWELCOME"),
        "{left:?}"
    );

    let broken = process::repository().join("tests/fixtures/broken/many.yaml");
    let left = fulcrum(
        &stack,
        "operator",
        &["validate", broken.to_str().expect("a path")],
    )
    .await?;
    assert_eq!(left.code, Some(2), "{left:?}");
    let all = format!("{}{}", left.data, left.said);
    for place in ["3:22", "4:70", "5:54", "6:23", "7:34"] {
        assert!(all.contains(place), "{place} is missing: {left:?}");
    }
    let left = operator(&["run", "start", "note", "-i", "{ not json"]).await?;
    assert_eq!(left.code, Some(2), "{left:?}");
    let left = operator(&["run", "strat"]).await?;
    assert_eq!(left.code, Some(2), "{left:?}");

    let left = operator(&["run", "get", "run_01k00000000000000000000000"]).await?;
    assert_eq!(left.code, Some(3), "{left:?}");
    assert!(
        left.said.contains("RUN_NOT_FOUND") && left.data.is_empty(),
        "{left:?}"
    );

    let left = fulcrum(&stack, "crew", &["run", "list"]).await?;
    assert_eq!(left.code, Some(4), "{left:?}");
    assert!(left.said.contains("PERMISSION_DENIED"), "{left:?}");

    let nobody = ports::free()?.to_string();
    let left = at(stack.dir(), &nobody, "operator", &["run", "list"]).await?;
    assert_eq!(left.code, Some(5), "{left:?}");
    assert!(left.said.contains(&nobody), "{left:?}");

    let run = run["run_id"].as_str().expect("an id");
    let left = fulcrum(&stack, "operator", &["run", "cancel", run]).await?;
    assert_eq!(left.code, Some(6), "{left:?}");
    assert!(left.said.contains("RUN_CLOSED"), "{left:?}");
    Ok(())
}
