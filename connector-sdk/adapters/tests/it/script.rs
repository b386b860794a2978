use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use fulcrum_sdk::{FailureClass, Sent};
use serde_json::json;

use crate::connector::Connector;

/// A connector whose one capability runs `script` under `/bin/sh`; `more` is added to its entry.
fn connector(script: &str, more: &str) -> Connector {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("script.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let yaml = format!(
        r#"
capabilities:
  - name: s.run
    effect: irreversible
    timeout: 1500ms
    script:
      argv: [./script.sh, "{{{{ input.a | default('none') }}}}"]
      env: {{ GREETING: hello, API_KEY: "secret://api_key" }}
      {more}
"#
    );
    Connector::in_directory(directory, &yaml, &[("api_key", "k-7777777")])
}

#[tokio::test]
async fn input_goes_in_as_json_and_output_comes_back_as_json() {
    let connector = connector("cat", "");
    let input = json!({ "a": "x", "nested": [1, { "b": null }] });
    assert_eq!(
        connector.call("s.run", input.clone()).await.expect("ran"),
        input
    );
}

#[tokio::test]
async fn an_argument_is_one_argument_and_no_shell_reads_it() {
    let connector = connector("printf '%s|%s' \"$#\" \"$1\"", "stdout: text");
    let value = "a b; touch gone $(touch gone) `touch gone`";
    let output = connector
        .call("s.run", json!({ "a": value }))
        .await
        .expect("ran");
    assert_eq!(output, json!({ "text": format!("1|{value}") }));
    assert!(!connector.path("gone").exists());
    let failure = connector.refused("s.run", json!({ "a": "--help" })).await;
    assert_eq!(
        (failure.code.as_str(), failure.sent),
        ("SCRIPT_ARGUMENT_INVALID", Sent::No)
    );
}

#[tokio::test]
async fn the_environment_is_what_was_declared_and_secrets_do_not_come_back() {
    let connector = connector("/usr/bin/env | /usr/bin/sort", "stdout: text");
    let output = connector.call("s.run", json!({})).await.expect("ran");
    let text = output["text"].as_str().expect("text");
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        // What the shell itself adds.
        .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD"))
        .collect();
    assert_eq!(
        names,
        [
            "API_KEY",
            "FULCRUM_ATTEMPT",
            "FULCRUM_EFFECT_KEY",
            "FULCRUM_RUN_ID",
            "FULCRUM_STEP_KEY",
            "GREETING"
        ]
    );
    assert!(
        text.contains("API_KEY=[secret api_key]") && text.contains("FULCRUM_EFFECT_KEY=key-1"),
        "{text}"
    );
}

#[tokio::test]
async fn exit_statuses_become_classes() {
    for (status, class) in [
        (1, FailureClass::Fatal),
        (75, FailureClass::Transient),
        (10, FailureClass::Recoverable),
        (11, FailureClass::Unknown),
    ] {
        let script = format!("echo it went wrong, key $API_KEY >&2; exit {status}");
        let connector = connector(&script, "exit_codes: { 10: recoverable, 11: unknown }");
        let failure = connector.refused("s.run", json!({})).await;
        assert_eq!(
            (failure.class, failure.code),
            (class, format!("SCRIPT_EXIT_{status}"))
        );
        assert!(
            failure
                .message
                .contains("it went wrong, key [secret api_key]"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn a_script_that_does_not_end_is_ended_with_everything_it_started() {
    let connector = connector(
        "sleep 600 & echo $! > child; echo $$ > parent; trap '' TERM; wait; sleep 600",
        "kill_after: 300ms",
    );
    let begun = Instant::now();
    let failure = connector.refused("s.run", json!({})).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Unknown, "SCRIPT_TIMEOUT"),
        "{failure}"
    );
    for name in ["parent", "child"] {
        let pid = std::fs::read_to_string(connector.path(name)).expect("pid");
        assert_ended(pid.trim()).await;
    }
}

#[tokio::test]
async fn dropping_the_call_ends_the_script() {
    let connector = connector("echo $$ > parent; sleep 600", "");
    {
        let call = connector.call("s.run", json!({}));
        let mut call = std::pin::pin!(call);
        let written = async {
            while std::fs::read_to_string(connector.path("parent"))
                .map_or(true, |pid| pid.trim().is_empty())
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = &mut call => panic!("{ended:?}"),
            () = written => {}
        }
    }
    let pid = std::fs::read_to_string(connector.path("parent")).expect("pid");
    assert_ended(pid.trim()).await;
}

/// Waits until the process is gone, or dead and not yet collected.
async fn assert_ended(pid: &str) {
    let gone = async {
        loop {
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                Err(_) => break,
                Ok(stat) if stat.contains(") Z ") => break,
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .expect("the process ends");
}

#[tokio::test]
async fn output_beyond_the_limit_ends_the_script() {
    let connector = connector(
        "while true; do echo more and more and more; done",
        "output_bytes_max: 1000",
    );
    let failure = connector.refused("s.run", json!({})).await;
    assert_eq!(failure.code, "SCRIPT_OUTPUT_TOO_LARGE");
}

#[tokio::test]
async fn output_that_is_not_json_is_named() {
    let failure = connector("echo oops", "").refused("s.run", json!({})).await;
    assert_eq!(
        (failure.code.as_str(), failure.sent),
        ("SCRIPT_OUTPUT_INVALID", Sent::Yes)
    );
}
