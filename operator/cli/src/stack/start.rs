//! Everything, in order; and its end, in the opposite order.

use std::path::{Path, PathBuf};

use fulcrum_sdk::telemetry::TelemetryGuard;

use super::controller::Controller;
use super::error::StackError;
use super::home::Home;
use super::lock::Lock;
use super::ports::Ports;
use super::postgres::account::Account;
use super::postgres::binaries::Binaries;
use super::postgres::cluster::Cluster;
use super::postgres::pid_file::PidFile;
use super::postgres::server::Server;
use super::workers::Worker;
use super::{log, operator};
use crate::client::connection::Connection;

/// Whether what an earlier stack left is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// It is.
    Keep,
    /// It is deleted first.
    Fresh,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub dir: PathBuf,
    /// Whether what is in it is kept.
    pub data: Data,
    /// Where to listen; `None` for wherever there is room.
    pub port: Option<u16>,
    /// Databases that the cluster has besides the controller's; made with the cluster.
    pub databases: Vec<String>,
    /// Tasks that each worker does at once.
    pub slots: u32,
}

/// A running stack.
pub struct Stack {
    home: Home,
    ports: Ports,
    operator: Connection,
    workers: Vec<Worker>,
    controller: Controller,
    postgres: Server,
    slots: u32,
    telemetry: Option<TelemetryGuard>,
    _lock: Lock,
}

impl Stack {
    /// Starts PostgreSQL, the controller and the executor, and lets the operator in. `tell` hears of each step.
    ///
    /// # Errors
    /// [`StackError`]; what was started by then is stopped again.
    pub async fn start(options: Options, tell: impl Fn(&str)) -> Result<Self, StackError> {
        let account = Account::for_servers()?;
        let binaries = Binaries::find()?;
        let home = Home::open(&options.dir)?;
        let lock = Lock::take(&home)?;
        let cluster_dir = home.cluster(account.as_ref())?;
        let cluster = Cluster {
            binaries,
            account,
            dir: cluster_dir,
        };
        // What an earlier stack left may still sit on the ports.
        let (home, cluster, telemetry) = match options.data {
            Data::Keep => {
                let telemetry = log::to_file(&home)?;
                PidFile::recover(&cluster.data()).await?;
                (home, cluster, telemetry)
            }
            Data::Fresh => {
                PidFile::recover(&cluster.data()).await?;
                home.clear()?;
                let home = Home::open(&options.dir)?;
                let dir = home.cluster(account.as_ref())?;
                let telemetry = log::to_file(&home)?;
                (home, Cluster { dir, ..cluster }, telemetry)
            }
        };
        let ports = options.port.map_or_else(Ports::anywhere, Ports::at)?;

        tell("starting PostgreSQL");
        cluster.ensure(&options.databases).await?;
        let postgres =
            Server::start(cluster, ports.postgres(), home.logs().join("postgres.log")).await?;
        tell("starting the controller");
        let controller = match Controller::start(&home, &postgres.controller_url(), ports).await {
            Ok(controller) => controller,
            Err(error) => {
                postgres.stop().await;
                return Err(error);
            }
        };
        tell("letting the operator in");
        match operator::connect(&home, ports, &controller).await {
            Ok(operator) => {
                let slots = options.slots;
                let workers = Vec::new();
                Ok(Self {
                    home,
                    ports,
                    operator,
                    workers,
                    controller,
                    postgres,
                    slots,
                    telemetry,
                    _lock: lock,
                })
            }
            Err(error) => {
                controller.stop().await;
                postgres.stop().await;
                Err(error)
            }
        }
    }

    /// Adds the executor.
    ///
    /// # Errors
    /// When it cannot join. The stack runs on.
    pub async fn add_executor(&mut self) -> Result<(), StackError> {
        let worker = Worker::executor(&self.home, &self.operator, self.slots).await?;
        self.add(worker).await
    }

    /// Adds the connector with this configuration, whose relative paths start at its own directory or at another.
    ///
    /// # Errors
    /// When the configuration is wrong or it cannot join. The stack runs on.
    pub async fn add_connector(
        &mut self,
        config: &Path,
        data_dir: Option<&Path>,
    ) -> Result<(), StackError> {
        let worker =
            Worker::connector(&self.home, &self.operator, config, data_dir, self.slots).await?;
        self.add(worker).await
    }

    async fn add(&mut self, mut worker: Worker) -> Result<(), StackError> {
        let joined = worker.joined(&self.operator).await;
        match joined {
            Ok(()) => {
                self.workers.push(worker);
                Ok(())
            }
            Err(error) => {
                worker.abandon();
                Err(error)
            }
        }
    }

    /// The operator's connection.
    #[must_use]
    pub fn operator(&self) -> &Connection {
        &self.operator
    }

    /// Where the servers listen.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The data directory.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Where one of the cluster's databases is, with its password.
    #[must_use]
    pub fn database_url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    /// Resolves when a worker ends by itself, which none should.
    pub async fn failed(&mut self) -> StackError {
        let workers: Vec<_> = self
            .workers
            .iter_mut()
            .map(|worker| Box::pin(worker.ended()))
            .collect();
        if workers.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(workers).await.0
    }

    /// Ends everything: workers first, so that their tasks are reported; PostgreSQL last.
    pub async fn stop(self, tell: impl Fn(&str)) {
        tell("draining workers");
        futures_util::future::join_all(self.workers.into_iter().map(Worker::stop)).await;
        tell("stopping the controller");
        drop(self.operator);
        self.controller.stop().await;
        tell("stopping PostgreSQL");
        self.postgres.stop().await;
        // Sending the last spans blocks.
        let telemetry = self.telemetry;
        drop(tokio::task::spawn_blocking(|| drop(telemetry)).await);
    }
}
