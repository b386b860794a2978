//! The executor and the connector of a stack: the libraries behind the programs, joined like any other worker.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fulcrum_adapters::worker::{Join, WorkerOptions};
use fulcrum_proto::admin::v1::{CreateJoinTokenRequest, ListWorkersRequest, WorkerState};
use fulcrum_proto::common::v1::IdentityKind;
use fulcrum_sdk::IdentityDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::StackError;
use super::home::Home;
use crate::client::connection::{Connection, endpoint};
use crate::client::request_id;
use crate::error::CliError;

/// How long running tasks may take to end when the stack stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a worker may take to be seen by the controller.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const PROGRAM: &str = concat!("fulcrum-dev/", env!("CARGO_PKG_VERSION"));

/// A worker of this process.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    task: JoinHandle<Result<(), String>>,
    stop: CancellationToken,
    /// Has `task` been awaited to its end?
    over: bool,
}

impl Worker {
    /// Starts the executor.
    ///
    /// # Errors
    /// When it cannot join.
    pub async fn executor(
        home: &Home,
        operator: &Connection,
        slots: u32,
    ) -> Result<Self, StackError> {
        let options = options(home, operator, "executor", IdentityKind::Executor, slots).await?;
        Ok(Worker::spawn("executor", |stop| async move {
            let config = fulcrum_executor::Config::default();
            fulcrum_executor::run(&config, options, stop)
                .await
                .map_err(|error| error.to_string())
        }))
    }

    /// Starts the connector with a configuration, whose relative paths start at its own directory or at another.
    ///
    /// # Errors
    /// When the configuration is wrong or it cannot join.
    pub async fn connector(
        home: &Home,
        operator: &Connection,
        config: &Path,
        data_dir: Option<&Path>,
        slots: u32,
    ) -> Result<Self, StackError> {
        let config = fulcrum_adapters::Config::load(config).map_err(|error| {
            StackError::server("connector", "has a configuration it cannot use", error)
        })?;
        let config = match data_dir {
            Some(dir) => {
                std::fs::create_dir_all(dir)
                    .map_err(|error| StackError::file("create", dir, error))?;
                config.with_directory(dir)
            }
            None => config,
        };
        let options = options(home, operator, "connector", IdentityKind::Connector, slots).await?;
        Ok(Worker::spawn("connector", |stop| async move {
            fulcrum_adapters::run(&config, options, stop)
                .await
                .map_err(|error| error.to_string())
        }))
    }

    fn spawn<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        Self {
            name,
            task,
            stop,
            over: false,
        }
    }

    /// Waits until the controller sees it and what it offers.
    ///
    /// # Errors
    /// When it ends or is not seen in time.
    pub async fn joined(&mut self, operator: &Connection) -> Result<(), StackError> {
        let seen = async {
            loop {
                if is_connected(operator, self.name)
                    .await
                    .map_err(|error| StackError::call("does not answer", &error))?
                {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            seen = tokio::time::timeout(JOIN_PATIENCE, seen) => {
                seen.unwrap_or_else(|_| Err(StackError::server(self.name, "was not seen by the controller in time", "")))
            }
            ended = &mut self.task => {
                self.over = true;
                Err(ended_early(self.name, ended))
            }
        }
    }

    /// Resolves when it ends by itself, which it should not.
    pub async fn ended(&mut self) -> StackError {
        let ended = (&mut self.task).await;
        self.over = true;
        ended_early(self.name, ended)
    }

    /// Tells it to end and does not wait: it never came to work.
    pub fn abandon(self) {
        self.stop.cancel();
        self.task.abort();
    }

    /// Lets its tasks end, and ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        // A task that was awaited to its end must not be awaited again.
        if self.over {
            return;
        }
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(worker = self.name, error, "ended with an error"),
            Err(error) => tracing::error!(worker = self.name, %error, "failed"),
        }
    }
}

fn ended_early(
    name: &'static str,
    ended: Result<Result<(), String>, tokio::task::JoinError>,
) -> StackError {
    let cause = match ended {
        Ok(Ok(())) => "it gave no reason".to_owned(),
        Ok(Err(error)) => error,
        Err(error) => error.to_string(),
    };
    StackError::server(name, "ended", cause)
}

async fn options(
    home: &Home,
    operator: &Connection,
    name: &str,
    kind: IdentityKind,
    slots: u32,
) -> Result<WorkerOptions, StackError> {
    let identity_dir: PathBuf = home.identity(name);
    let join = if IdentityDir::at(&identity_dir).is_enrolled() {
        None
    } else {
        Some(join(operator, name, kind).await?)
    };
    Ok(WorkerOptions {
        identity_dir,
        controller: Some(endpoint(&operator.target().address)),
        join,
        slots,
        drain_for: DRAIN,
        program: PROGRAM.to_owned(),
    })
}

/// A token, made by the operator as any other.
async fn join(operator: &Connection, name: &str, kind: IdentityKind) -> Result<Join, StackError> {
    let make = async {
        let request = CreateJoinTokenRequest {
            namespace: operator.namespace(),
            name: name.to_owned(),
            kind: kind.into(),
            capability_patterns: vec!["*".to_owned()],
            ttl: None,
            request_id: request_id::fresh()?,
        };
        Ok::<_, CliError>(
            operator
                .workers()
                .create_join_token(request)
                .await?
                .into_inner(),
        )
    };
    let created = make
        .await
        .map_err(|error| StackError::call("makes no join token", &error))?;
    let token = created
        .token
        .parse()
        .map_err(|error| StackError::server("controller", "gave a token that is none", error))?;
    Ok(Join {
        enrolment: created.enrolment_endpoint,
        token,
    })
}

async fn is_connected(operator: &Connection, name: &str) -> Result<bool, CliError> {
    let request = ListWorkersRequest {
        namespace: operator.namespace(),
        page_size: 0,
        page_token: String::new(),
    };
    let workers = operator
        .workers()
        .list_workers(request)
        .await?
        .into_inner()
        .workers;
    let is_here = |worker: &fulcrum_proto::admin::v1::Worker| {
        worker.name == name
            && worker.state() == WorkerState::Connected
            && !worker.capabilities.is_empty()
    };
    Ok(workers.iter().any(is_here))
}
