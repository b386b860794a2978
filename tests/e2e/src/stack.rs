//! A database, controllers on it, and an operator. Workers are started beside it and belong to the test.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use fulcrum_e2e::stack::Stack;
//!
//! let stack = Stack::start().await?;
//! let mut executor = stack.executor("executor", 0, None).await?;
//! stack.api.apply("workflow: hello\nsteps: [{ id: say, call: text.render, with: { template: hi } }]").await?;
//! let run = stack.api.start("hello", &serde_json::Value::Null).await?;
//! executor.kill()?;
//! executor.start()?;
//! stack.api.closed(&run).await;
//! # Ok(()) }
//! ```

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fulcrum_sdk::{Enrolment, IdentityDir};

use crate::api::Api;
use crate::controller::Controller;
use crate::postgres::Postgres;
use crate::process::Build;
use crate::program::Program;
use crate::wait;

/// Few enough that a load keeps the workers busy for a while, and something is always under way.
const SLOTS: u32 = 8;

/// A running installation without workers. What runs is killed when it is dropped, the database last.
pub struct Stack {
    /// The controllers, all on one database.
    pub controllers: Vec<Controller>,
    /// The database.
    pub postgres: Postgres,
    /// The operator: calls go to the first controller that answers.
    pub api: Api,
    /// How many tasks at once a worker takes that is started from now on.
    pub slots: u32,
    /// What build such a worker is of.
    pub build: Build,
    dir: tempfile::TempDir,
}

impl Stack {
    /// Starts one controller on a cluster of its own, with an operator.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with(1, &[]).await
    }

    /// Starts `controllers` of them, with these settings over the tests' own.
    pub async fn with(controllers: usize, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::over(Postgres::start()?, controllers, settings).await
    }

    /// As [`Stack::with`], on this cluster. The setting `database.url` decides how the controllers reach it.
    pub async fn over(
        postgres: Postgres,
        controllers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::of(Build::This, postgres, controllers, settings).await
    }

    /// As [`Stack::over`], of this build.
    pub async fn of(
        build: Build,
        postgres: Postgres,
        controllers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("fulcrum-e2e-").tempdir()?;
        let mut all = Vec::new();
        for n in 0..controllers {
            let name = format!("controller-{n}");
            let mut controller = Controller::new(&name, dir.path(), &postgres.url(), settings)?;
            controller.program.be_of(&build)?;
            controller.up().await?;
            all.push(controller);
        }
        let first = all.first().context("a stack has at least one controller")?;
        let operator = enrol(first, dir.path(), "operator", "operator").await?;
        let endpoints: Vec<String> = all.iter().map(Controller::endpoint).collect();
        let api = Api::new(&endpoints, &operator)?;
        api.settled().await;
        Ok(Self {
            controllers: all,
            postgres,
            api,
            slots: SLOTS,
            build,
            dir,
        })
    }

    /// A directory of this stack's own: logs, identities.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new identity of this kind (`executor`, `connector`, `operator`), for clients and workers inside the test.
    pub async fn identity(&self, name: &str, kind: &str) -> anyhow::Result<IdentityDir> {
        enrol(&self.controllers[0], self.dir(), name, kind).await
    }

    /// A new operator of every namespace.
    pub async fn overseer(&self, name: &str) -> anyhow::Result<IdentityDir> {
        let token = self.controllers[0].invite_into("_", name, "operator")?;
        enrol_with(&self.controllers[0], self.dir(), name, &token).await
    }

    /// Starts an executor at this controller and waits until it is connected. Without a configuration it renders text
    /// and has no models.
    pub async fn executor(
        &self,
        name: &str,
        at: usize,
        config: Option<&str>,
    ) -> anyhow::Result<Program> {
        let endpoint = self.controllers[at].endpoint();
        let program = self.worker(name, at, &endpoint, "fulcrum-executor", "executor")?;
        let program = match config {
            Some(text) => program.args(["--config", &self.file(name, "executor.yaml", text)?]),
            None => program,
        };
        self.connected(name, program).await
    }

    /// Starts a connector at this controller with this configuration, whose relative paths start in
    /// [`Stack::worker_dir`], and waits until it is connected.
    pub async fn connector(&self, name: &str, at: usize, config: &str) -> anyhow::Result<Program> {
        let endpoint = self.controllers[at].endpoint();
        self.connector_through(name, at, &endpoint, config).await
    }

    /// As [`Stack::connector`], reaching the controller at `endpoint`, where a proxy may stand.
    pub async fn connector_through(
        &self,
        name: &str,
        at: usize,
        endpoint: &str,
        config: &str,
    ) -> anyhow::Result<Program> {
        let program = self.worker(name, at, endpoint, "fulcrum-connector", "connector")?;
        let config = self.file(name, "connector.yaml", config)?;
        self.connected(name, program.args(["--config", &config]))
            .await
    }

    /// Runs `fulcrum` as this identity, at this controller, and gives what it printed.
    ///
    /// # Errors
    /// It ended with another code than 0; with what it said.
    pub fn fulcrum(&self, identity: &str, at: usize, args: &[&str]) -> anyhow::Result<String> {
        let endpoint = self.controllers[at].endpoint();
        let identity = self.worker_dir(identity).join("identity");
        let contexts = self.dir().join("contexts");
        let program = Program::new("fulcrum", self.dir(), "fulcrum")?
            .env(
                "FULCRUM_CONFIG_DIR",
                contexts.to_str().context("the path is text")?,
            )
            .args(["--address", endpoint.trim_start_matches("https://")])
            .args(["--identity", identity.to_str().context("the path is text")?])
            .args(args.iter().copied());
        let output = program.command().output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "fulcrum {args:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Where a worker keeps its files.
    pub fn worker_dir(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A worker of this name, with a token to join on its first start.
    fn worker(
        &self,
        name: &str,
        at: usize,
        endpoint: &str,
        binary: &str,
        kind: &str,
    ) -> anyhow::Result<Program> {
        let controller = &self.controllers[at];
        let identity = self.worker_dir(name).join("identity");
        let mut program = Program::new(name, self.dir(), binary)?
            .args([
                "run",
                "--controller",
                endpoint,
                "--enrolment",
                &controller.enrolment(),
            ])
            .args([
                "--identity-dir",
                identity.to_str().context("the path is text")?,
            ])
            .env("FULCRUM_SLOTS", self.slots.to_string())
            .env("RUST_LOG", "info");
        program.be_of(&self.build)?;
        // Whoever has joined needs no token, and the name is taken.
        Ok(if IdentityDir::at(&identity).is_enrolled() {
            program
        } else {
            program.env("FULCRUM_JOIN_TOKEN", controller.invite(name, kind)?)
        })
    }

    async fn connected(&self, name: &str, mut program: Program) -> anyhow::Result<Program> {
        program.start()?;
        wait::until(&format!("{name} connected"), || self.api.connected(name)).await;
        Ok(program)
    }

    fn file(&self, worker: &str, name: &str, text: &str) -> anyhow::Result<String> {
        let dir = self.worker_dir(worker);
        std::fs::create_dir_all(&dir)?;
        let path = dir.join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_str().context("the path is text")?.to_owned())
    }
}

async fn enrol(
    controller: &Controller,
    dir: &Path,
    name: &str,
    kind: &str,
) -> anyhow::Result<IdentityDir> {
    let token = controller.invite(name, kind)?;
    enrol_with(controller, dir, name, &token).await
}

async fn enrol_with(
    controller: &Controller,
    dir: &Path,
    name: &str,
    token: &str,
) -> anyhow::Result<IdentityDir> {
    let identity = IdentityDir::at(dir.join(name).join("identity"));
    let enrolment = Enrolment {
        endpoint: controller.enrolment(),
        token: token.parse()?,
        name: None,
        version: "fulcrum-e2e".to_owned(),
    };
    Box::pin(fulcrum_sdk::enrol(&enrolment, &identity)).await?;
    Ok(identity)
}
