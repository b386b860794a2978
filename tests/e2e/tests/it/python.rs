//! Another language: the client of `examples/clients/python`, over mTLS.

use std::process::Stdio;

use fulcrum_e2e::{process, stack::Stack};
use serde_json::{Value, json};

use crate::crew::Crew;
use crate::stage::{Stage, capabilities};
use crate::story;

/// What `run.sh` says when the machine has no usable Python.
const NO_PYTHON: i32 = 77;

#[tokio::test]
async fn a_client_in_python_starts_a_run_and_follows_it_to_its_result() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let _crew = Crew::join(&stack, "crew", 4, capabilities(&Stage::new())).await?;
    story::apply(&stack.api, &["inner"]).await?;

    let client = async |name: &str| {
        let output = tokio::process::Command::new(
            process::repository().join("examples/clients/python/run.sh"),
        )
        .arg(stack.dir().join("operator/identity"))
        .arg(
            stack.controllers[0]
                .endpoint()
                .trim_start_matches("https://"),
        )
        .args(["inner", &json!({ "name": name }).to_string()])
        .stdin(Stdio::null())
        .output()
        .await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        anyhow::ensure!(
            code != Some(NO_PYTHON),
            "this machine needs Python with venv; `scripts/setup --for-tests` installs it: {said}"
        );
        anyhow::Ok((code, String::from_utf8(output.stdout)?, said))
    };

    let (code, data, said) = client("Ada").await?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        serde_json::from_str::<Value>(&data)?,
        json!({ "said": "inner Ada" })
    );
    assert!(said.contains("RUN_STATUS_COMPLETED"), "it followed: {said}");

    let (code, data, said) = client("Eve").await?;
    assert_eq!((code, &*data), (Some(1), ""), "{said}");
    assert!(said.contains("UNWELCOME"), "{said}");
    Ok(())
}
