//! A database with controllers and workers on it, and channels of an operator to them.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::process::Process;
use fulcrum_proto::workflow::v1::{ApplyDefinitionRequest, SourceFormat};
use fulcrum_sdk::channel::{self, Channel};
use fulcrum_sdk::{IdentityDir, client};

use crate::rig::cluster;
use crate::rig::controller::Controller;
use crate::rig::patience::until;
use crate::rig::workflow::Workflow;
use crate::sitting::Options;

/// Connections of the generator to each controller. 256 calls at once need two, at 128 a connection.
const CHANNELS: usize = 4;

/// Everything under load. What depends on something is dropped before it.
pub(crate) struct Installation {
    /// The workers.
    pub(crate) workers: Vec<Process>,
    /// The controllers.
    pub(crate) controllers: Vec<Controller>,
    /// The database.
    pub(crate) postgres: Arc<Postgres>,
    operator: IdentityDir,
    home: tempfile::TempDir,
    enrolled: usize,
}

impl Installation {
    /// One controller and one worker, on a database of their own.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        let mut installation = Self::bare(options, &[], &[]).await?;
        installation
            .add_worker(0, "executor", options.slots)
            .await?;
        Ok(installation)
    }

    /// One controller without workers. `controller` are environment variables, `database` settings of the cluster,
    /// besides those of the command line.
    pub(crate) async fn bare(
        options: &Options,
        controller: &[(&str, &str)],
        database: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let more = database
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = options.postgres.iter().cloned().chain(more).collect();
        let postgres = cluster::start(&settings)?;
        let home = tempfile::tempdir()?;
        let first = Controller::start(home.path(), postgres.url(), controller).await?;
        let operator = first.enrol("bench-operator", "operator").await?;
        Ok(Self {
            workers: Vec::new(),
            controllers: vec![first],
            postgres,
            operator,
            home,
            enrolled: 0,
        })
    }

    /// Starts one more controller on the same database.
    pub(crate) async fn add_controller(&mut self) -> anyhow::Result<()> {
        let next = Controller::start(self.home.path(), self.postgres.url(), &[]).await?;
        self.controllers.push(next);
        Ok(())
    }

    /// Starts one more worker, served by one of the controllers.
    pub(crate) async fn add_worker(
        &mut self,
        controller: usize,
        kind: &str,
        slots: u32,
    ) -> anyhow::Result<()> {
        let name = format!("bench-worker-{}", self.enrolled);
        self.enrolled += 1;
        let controller = &self.controllers[controller];
        let identity = controller.enrol(&name, kind).await?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("worker")
            .arg("--identity")
            .arg(identity.path())
            .arg("--endpoint")
            .arg(controller.endpoint())
            .arg("--slots")
            .arg(slots.to_string());
        self.workers
            .push(Process::start(&name, self.home.path(), command)?);
        Ok(())
    }

    /// The operator's connections, spread over all controllers.
    pub(crate) async fn channels(&self) -> anyhow::Result<Vec<Channel>> {
        let identity = self.operator.load()?;
        let mut channels = Vec::new();
        for index in 0..CHANNELS * self.controllers.len() {
            let controller = &self.controllers[index % self.controllers.len()];
            channels.push(channel::connect(&controller.endpoint(), &identity).await?);
        }
        Ok(channels)
    }

    /// One connection.
    pub(crate) async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(channel::connect(&self.controllers[0].endpoint(), &self.operator.load()?).await?)
    }

    /// Applies a workflow, once the worker has registered what it calls.
    pub(crate) async fn apply(&self, workflow: Workflow) -> anyhow::Result<()> {
        let channel = self.channel().await?;
        let apply = async || apply_once(&channel, workflow).await;
        until("the workflow is applied", apply).await
    }

    /// Gives the planner its statistics.
    pub(crate) fn analyse(&self) -> anyhow::Result<()> {
        self.postgres.value("analyze")?;
        Ok(())
    }

    /// Where logs and identities are.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}

async fn apply_once(channel: &Channel, workflow: Workflow) -> anyhow::Result<()> {
    let request = ApplyDefinitionRequest {
        namespace: "default".to_owned(),
        source: workflow.source().into_bytes().into(),
        format: SourceFormat::Yaml.into(),
        ..ApplyDefinitionRequest::default()
    };
    let answer = client::definitions(channel.clone())
        .apply_definition(request)
        .await?
        .into_inner();
    anyhow::ensure!(answer.definition.is_some(), "{:?}", answer.diagnostics);
    Ok(())
}
