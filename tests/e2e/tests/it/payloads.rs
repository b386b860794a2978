//! Values that are larger than a message, by the command line, through a worker, and out again.

use fulcrum_e2e::api::{NAMESPACE, spec};
use fulcrum_e2e::program::Program;
use fulcrum_e2e::stack::Stack;
use fulcrum_proto::admin::v1::CreateNamespaceRequest;
use fulcrum_proto::common::v1::{ErrorReason, Payload};
use fulcrum_proto::workflow::v1::{GetRunRequest, RunSpec, StartRunRequest};
use fulcrum_sdk::transfer::{Patience, Transfer};
use fulcrum_sdk::{channel, client};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::crew::Crew;
use crate::stage::{Stage, capabilities};
use crate::story;

const PASS_ON: &str = "workflow: pass-on
steps:
  - id: echo
    call: test.echo
    with: { value: \"${input.value}\" }
output: \"${steps.echo.output}\"
";

/// More than one message carries, and less: the default limit allows the first.
const SIZES: [usize; 2] = [3 << 20, 9 << 20];

async fn place(settings: &[(&str, &str)]) -> anyhow::Result<(Stack, Crew)> {
    let stack = Stack::with(1, settings).await?;
    let crew = Crew::join(&stack, "crew", 4, capabilities(&Stage::new())).await?;
    stack.api.apply(PASS_ON).await?;
    Ok((stack, crew))
}

/// Text that is another at every place.
fn text(bytes: usize) -> String {
    let words = (0..).map(|n| format!("{n:07} "));
    let mut text: String = words.take(bytes / 8 + 1).collect();
    text.truncate(bytes);
    text
}

/// What `fulcrum` prints when it is called with these arguments.
async fn fulcrum(stack: &Stack, args: &[&str]) -> anyhow::Result<Value> {
    let endpoint = stack.controllers[0].endpoint();
    let identity = stack.dir().join("operator").join("identity");
    let program = Program::new("fulcrum", stack.dir(), "fulcrum")?
        .args(["--address", endpoint.trim_start_matches("https://")])
        .args(["--identity", identity.to_str().expect("a path")])
        .args(args.iter().copied());
    let output = tokio::process::Command::from(program.command())
        .output()
        .await?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test]
async fn a_large_file_goes_in_by_the_command_line_and_comes_out_identical() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("file://{}", folder.path().display());
    // Wherever blobs are.
    for place_of_blobs in ["", &url] {
        let settings = [
            ("limits.payload_bytes_max", "16777216"),
            ("blobs.url", place_of_blobs),
        ];
        let (stack, _crew) = place(&settings).await?;
        for size in SIZES {
            let value = text(size);
            let path = stack.dir().join("input.json");
            std::fs::write(&path, json!({ "value": value }).to_string())?;
            let input = format!("@{}", path.display());
            let args = [
                "run", "start", "pass-on", "-i", &input, "--wait", "-o", "json",
            ];
            let run = fulcrum(&stack, &args).await?;
            assert!(run["output"] == value.as_str(), "{size} bytes");
            let run_id = run["run_id"].as_str().expect("an id");
            let shown = fulcrum(&stack, &["run", "get", run_id, "-o", "json"]).await?;
            assert!(shown["input"]["value"] == value.as_str(), "{size} bytes");
            let events = stack.api.events(run_id).await?;
            assert_eq!(
                events.last().map(|event| event.kind.as_str()),
                Some("RunCompleted")
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_client_reads_has_the_hash_that_the_controller_told() -> anyhow::Result<()> {
    let (stack, _crew) = place(&[]).await?;
    let transfer = Transfer::new(stack.api.channel(), Patience::Tries(5));
    let value = json!(text(3 << 20));
    let heavy = Payload {
        encoding: "json".to_owned(),
        data: json!({ "value": value }).to_string().into(),
    };
    let light = transfer.lighten(NAMESPACE, heavy).await?;
    let run_spec = RunSpec {
        input: Some(light),
        ..spec("pass-on", &Value::Null, "")
    };
    let run_id = stack.api.start_many(vec![run_spec]).await?.remove(0);
    stack.api.closed(&run_id).await;
    let get = GetRunRequest {
        namespace: NAMESPACE.to_owned(),
        run_id,
        include_steps: false,
        whole_bytes_max: 1_000,
    };
    let answer = client::runs(stack.api.channel()).get_run(get).await?;
    let output = answer.into_inner().run.and_then(|run| run.output);
    let output = output.expect("an output");
    let handle = output.handle()?.expect("a handle");
    assert_eq!(handle.sha256, Sha256::digest(value.to_string()).to_vec());
    let whole = transfer.whole(NAMESPACE, output).await?;
    assert!(whole.data == value.to_string().as_bytes());
    Ok(())
}

#[tokio::test]
async fn a_handle_of_one_namespace_is_refused_in_another() -> anyhow::Result<()> {
    let (stack, _crew) = place(&[]).await?;
    let overseer = stack.overseer("overseer").await?.load()?;
    let channel = channel::connect_lazy(&stack.controllers[0].endpoint(), &overseer)?;
    let transfer = Transfer::new(channel.clone(), Patience::Tries(5));
    let create = CreateNamespaceRequest {
        name: "elsewhere".to_owned(),
        ..CreateNamespaceRequest::default()
    };
    fulcrum_e2e::wait::until("a namespace", || async {
        client::namespaces(channel.clone())
            .create_namespace(create.clone())
            .await
    })
    .await;
    let heavy = Payload {
        encoding: "json".to_owned(),
        data: json!({ "value": text(2 << 20) }).to_string().into(),
    };
    let there = transfer.lighten("elsewhere", heavy).await?;
    let start = StartRunRequest {
        namespace: NAMESPACE.to_owned(),
        spec: Some(RunSpec {
            input: Some(there),
            ..spec("pass-on", &Value::Null, "")
        }),
        ..StartRunRequest::default()
    };
    let refused = client::runs(channel).start_run(start).await;
    story::assert_refused(refused, ErrorReason::HandleInvalid);
    Ok(())
}
