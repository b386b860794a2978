//! A controller and a worker on a database of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::process::{Process, binary};
use fulcrum_e2e::{ports, wait};
use fulcrum_proto::workflow::v1::{ApplyDefinitionRequest, SourceFormat};
use fulcrum_sdk::{Enrolment, IdentityDir, channel, client, enrol};

/// Everything under load.
pub(crate) struct Installation {
    /// The database.
    pub(crate) postgres: Postgres,
    /// The controller.
    pub(crate) controller: Process,
    /// The worker.
    pub(crate) worker: Process,
    /// An operator's channel.
    pub(crate) channel: channel::Channel,
    _home: tempfile::TempDir,
}

impl Installation {
    /// Starts it and waits until the worker serves.
    pub(crate) async fn start(slots: u32) -> anyhow::Result<Self> {
        let postgres = Postgres::start()?;
        let home = tempfile::tempdir()?;
        let (grpc, enrolment, http) = (ports::free()?, ports::free()?, ports::free()?);
        let settings = [
            ("FULCRUM_DATABASE__URL", postgres.url()),
            ("FULCRUM_LISTEN__GRPC", grpc.to_string()),
            ("FULCRUM_LISTEN__ENROL", enrolment.to_string()),
            ("FULCRUM_LISTEN__HTTP", http.to_string()),
            ("FULCRUM_TELEMETRY__LOG_FILTER", "warn".to_owned()),
        ];
        let controller_binary = binary_beside("fulcrum-controller")?;
        let mut command = Command::new(&controller_binary);
        let controller = Process::start("controller", home.path(), {
            command.envs(settings.clone());
            command
        })?;
        let ready = || async { std::net::TcpStream::connect(enrolment) };
        wait::until("the controller listens", ready).await;
        let join = |name: &'static str, kind: &'static str| {
            let output = Command::new(&controller_binary)
                .envs(settings.clone())
                .args(["invite", name, "--kind", kind])
                .output();
            let dir = IdentityDir::at(home.path().join(name));
            let endpoint = format!("https://localhost:{}", enrolment.port());
            async move {
                let output = output?;
                anyhow::ensure!(
                    output.status.success(),
                    "invite: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                let token = String::from_utf8(output.stdout)?.trim().parse()?;
                enrol(
                    &Enrolment {
                        endpoint,
                        token,
                        name: None,
                        version: "bench".to_owned(),
                    },
                    &dir,
                )
                .await?;
                anyhow::Ok(dir)
            }
        };
        let operator = join("bench-operator", "operator").await?;
        let executor = join("bench-worker", "executor").await?;
        let endpoint = format!("https://localhost:{}", grpc.port());
        let channel = channel::connect(&endpoint, &operator.load()?).await?;
        let worker = worker(home.path(), executor.path(), slots)?;
        let installation = Self {
            postgres,
            controller,
            worker,
            channel,
            _home: home,
        };
        for steps in [1, 10] {
            wait::until("the workflow is applied", || installation.apply(steps)).await;
        }
        Ok(installation)
    }

    async fn apply(&self, steps: usize) -> anyhow::Result<()> {
        let request = ApplyDefinitionRequest {
            namespace: "default".to_owned(),
            source: workflow(steps).into_bytes().into(),
            format: SourceFormat::Yaml.into(),
            ..ApplyDefinitionRequest::default()
        };
        let answer = client::definitions(self.channel.clone())
            .apply_definition(request)
            .await?
            .into_inner();
        // Until the worker has registered, its capability is unknown.
        anyhow::ensure!(answer.definition.is_some(), "{:?}", answer.diagnostics);
        Ok(())
    }
}

/// `bench-1` and `bench-10`: sequential steps, each feeding the next.
fn workflow(steps: usize) -> String {
    let mut text = format!("workflow: bench-{steps}\nsteps:\n");
    let mut source = "input".to_owned();
    for step in 0..steps {
        let with = format!("{{ n: \"${{{source}.n}}\", text: \"${{{source}.text}}\" }}");
        text += &format!("  - {{ id: s{step}, call: bench.echo, with: {with} }}\n");
        source = format!("steps.s{step}.output");
    }
    text + &format!("output: {{ n: \"${{{source}.n}}\" }}\n")
}

fn worker(home: &Path, identity: &Path, slots: u32) -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("worker")
        .arg("--identity")
        .arg(identity)
        .arg("--slots")
        .arg(slots.to_string());
    Process::start("worker", home, command)
}

fn binary_beside(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let beside = here
        .parent()
        .context("a program lives in a folder")?
        .join(name);
    if beside.is_file() {
        Ok(beside)
    } else {
        binary(name)
    }
}
