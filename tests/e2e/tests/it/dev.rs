//! `fulcrum dev` as a newcomer meets it: started on nothing, used from another terminal, ended with Ctrl-C, started again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use anyhow::Context as _;
use fulcrum_e2e::program::{END_PATIENCE, Program, listening};
use fulcrum_e2e::{ports, process, wait};
use serde_json::Value;

const WORKFLOW: &str = "\
workflow: greet
steps:
  - { id: greeting, call: text.render, with: { template: \"Hello {{ name }}\", values: { name: \"${input.name}\" } } }
output: { text: \"${steps.greeting.output}\" }
";

/// A home of its own, and the ports that its `fulcrum dev` uses.
struct Newcomer {
    home: tempfile::TempDir,
    port: u16,
}

impl Newcomer {
    fn new() -> anyhow::Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("fulcrum-dev-e2e-")
            .tempdir_in("/tmp")?;
        // PostgreSQL's own user must be able to pass through it when we are root.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))?;
        let port = ports::row(4)?;
        Ok(Self { home, port })
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn program(&self, name: &str) -> anyhow::Result<Program> {
        let bin =
            std::process::Command::new(process::repository().join("scripts/pg-bin")).output()?;
        let home = self.path().display().to_string();
        Ok(Program::new(name, self.path(), "fulcrum")?
            .env("HOME", home.clone())
            .env("XDG_CONFIG_HOME", format!("{home}/config"))
            .env("FULCRUM_PG_BIN", String::from_utf8(bin.stdout)?.trim()))
    }

    /// The servers, up and ready. Each start has a log of its own.
    async fn dev(&self, name: &str) -> anyhow::Result<Program> {
        let data = self.path().join("dev").display().to_string();
        let args =
            ["dev", "--data-dir", &data, "--port", &self.port.to_string()].map(str::to_owned);
        let mut dev = self.program(name)?.args(args);
        dev.start()?;
        let dev = std::sync::Mutex::new(dev);
        wait::until("`fulcrum dev` says what to type next", || async {
            let mut dev = dev.lock().expect("no panic");
            let ended = dev.ended();
            assert!(ended.is_none(), "it ended with {ended:?}:\n{}", dev.log());
            let log = dev.log();
            log.contains("In another terminal").then_some(()).ok_or(log)
        })
        .await;
        Ok(dev.into_inner().expect("no panic"))
    }

    /// Runs a command to its end.
    fn fulcrum(&self, args: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.program("command")?.command();
        Ok(command.args(args).current_dir(self.path()).output()?)
    }

    /// What a command says in JSON.
    fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        let output = self.fulcrum(&[args, &["-o", "json"]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{args:?}: {said}");
        serde_json::from_slice(&output.stdout).context("its answer is JSON")
    }
}

/// Ctrl-C, and how it ended.
async fn interrupt(dev: Program) -> String {
    dev.signal("INT").expect("it runs");
    let dev = std::sync::Mutex::new(dev);
    let began = std::time::Instant::now();
    let status = wait::until("`fulcrum dev` ends", || async {
        dev.lock().expect("no panic").ended().ok_or("it runs")
    })
    .await;
    assert!(began.elapsed() < END_PATIENCE * 2, "{:?}", began.elapsed());
    let log = dev.lock().expect("no panic").log();
    assert!(status.success(), "{status}:\n{log}");
    assert!(log.trim_end().ends_with("stopped"), "{log}");
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_starts_it_uses_it_ends_it_and_finds_everything_again() -> anyhow::Result<()> {
    let newcomer = Newcomer::new()?;
    let port = newcomer.port;

    // Without any context a definition is checked here, with no controller to ask.
    std::fs::write(newcomer.path().join("greet.yaml"), WORKFLOW)?;
    let checked = newcomer.fulcrum(&["validate", "greet.yaml"])?;
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(
        checked.status.success() && said.starts_with("greet.yaml: valid"),
        "{checked:?}"
    );

    let dev = newcomer.dev("first").await?;
    let log = dev.log();
    for line in [
        format!("controller  127.0.0.1:{port} (gRPC over mTLS)"),
        format!("health      http://127.0.0.1:{}/readyz", port + 2),
        format!("postgres    127.0.0.1:{}", port + 3),
    ] {
        assert!(log.contains(&line), "`{line}` is not in\n{log}");
    }
    listening(([127, 0, 0, 1], port).into()).await;

    let applied = newcomer.json(&["apply", "greet.yaml"])?;
    assert_eq!(applied[0]["result"], "created");
    let input = r#"{"name": "Ada"}"#;
    let ended = newcomer.json(&[
        "run", "start", "greet", "--input", input, "--key", "ada", "--wait",
    ])?;
    assert_eq!(ended["status"], "completed", "{ended}");
    let run = ended["run_id"].as_str().context("a run has an id")?;
    let timeline = newcomer.json(&["run", "timeline", run, "--verify"])?;
    let events = timeline["events"]
        .as_array()
        .context("a timeline has events")?;
    assert_eq!(timeline["verified"]["events"], events.len());

    // The same key with another input is somebody's mistake.
    let other = [
        "run",
        "start",
        "greet",
        "--input",
        r#"{"name": "Eve"}"#,
        "--key",
        "ada",
    ];
    let refused = newcomer.fulcrum(&other)?;
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("IDEMPOTENCY_KEY_REUSED") && said.contains(run),
        "{said}"
    );
    interrupt(dev).await;

    let dev = newcomer.dev("second").await?;
    let kept = newcomer.json(&["run", "get", run])?;
    assert_eq!(kept["status"], "completed");
    assert_eq!(kept["output"], ended["output"]);
    let again = newcomer.json(&["apply", "greet.yaml"])?;
    assert_eq!(again[0]["result"], "unchanged");
    let repeated = newcomer.json(&[
        "run", "start", "greet", "--input", input, "--key", "ada", "--wait",
    ])?;
    assert_eq!(repeated["run_id"], run);
    interrupt(dev).await;
    Ok(())
}
