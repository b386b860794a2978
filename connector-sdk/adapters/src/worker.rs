//! What the connector and the executor have in common as programs: who they are, where the controller is, how many
//! tasks they take, and joining on the first start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fulcrum_sdk::{
    EnrolError, Enrolment, IdentityDir, JoinToken, JoinTokenError, Worker, WorkerError,
    enrol_when_up,
};
use tokio_util::sync::CancellationToken;

use crate::ConfigError;
use crate::assemble::Built;

const DRAIN_SECONDS_DEFAULT: u64 = 20;

/// The flags and environment variables of a worker program. Not `Debug`: the token is a secret.
#[derive(Clone, Args)]
pub struct WorkerArgs {
    /// Directory of this worker's key and certificate; made when joining
    #[arg(
        long,
        env = "FULCRUM_IDENTITY_DIR",
        default_value = "identity",
        value_name = "DIR"
    )]
    pub identity_dir: PathBuf,
    /// The controllers, with commas between, if not those told when joining; when the one in use fails, the next is used
    #[arg(long, env = "FULCRUM_CONTROLLER", value_name = "https://HOST:PORT,…")]
    pub controller: Option<String>,
    /// The controllers' enrolment listeners, with commas between; needed on the first start, which waits for one of them
    #[arg(long, env = "FULCRUM_ENROLMENT", value_name = "https://HOST:PORT,…")]
    pub enrolment: Option<String>,
    /// The join token from `fulcrum worker add`; needed on the first start, ignored afterwards
    #[arg(
        long,
        env = "FULCRUM_JOIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// A file that holds the join token
    #[arg(
        long,
        env = "FULCRUM_JOIN_TOKEN_FILE",
        conflicts_with = "token",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,
    /// Tasks worked on at once
    #[arg(long, env = "FULCRUM_SLOTS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub slots: u32,
    /// Seconds that running tasks may take to end when asked to stop
    #[arg(long, env = "FULCRUM_DRAIN_SECONDS", default_value_t = DRAIN_SECONDS_DEFAULT, value_name = "SECONDS")]
    pub drain_seconds: u64,
    /// Send traces there by OTLP over gRPC
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "http://HOST:PORT"
    )]
    pub otlp_endpoint: Option<String>,
}

/// How to serve a controller.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Directory of the key and certificate.
    pub identity_dir: PathBuf,
    /// The controllers (`https://host:port`, commas between), if not those told when joining.
    pub controller: Option<String>,
    /// How to join, if the directory holds no identity yet.
    pub join: Option<Join>,
    /// Tasks worked on at once.
    pub slots: u32,
    /// How long running tasks may take to end when asked to stop.
    pub drain_for: Duration,
    /// The program's name and version, shown to the operator.
    pub program: String,
}

/// Where and with what to join.
#[derive(Clone)]
pub struct Join {
    /// The controllers' enrolment listeners (`https://host:port`, commas between).
    pub enrolment: String,
    /// The single-use token.
    pub token: JoinToken,
}

/// Why a worker could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no identity and no way to get one.
    #[error(
        "this worker has no identity in {}; make a token with `fulcrum worker add` and start once with --enrolment and --token",
        .0.display()
    )]
    NotJoined(PathBuf),
    /// A token without an address.
    #[error(
        "a token alone is not enough to join; give the controller's enrolment listener with --enrolment"
    )]
    NoEnrolment,
    /// The token cannot be read.
    #[error("cannot read the join token from {}: {source}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The token is not one.
    #[error(transparent)]
    Token(#[from] JoinTokenError),
    /// Joining failed.
    #[error("cannot join: {0}")]
    Enrol(#[from] EnrolError),
    /// Working failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl WorkerArgs {
    /// The options these arguments ask for. `program` is the name and version of the program.
    ///
    /// # Errors
    /// When the token cannot be read or is none, or comes without an address to join at.
    pub fn options(self, program: &str) -> Result<WorkerOptions, ServeError> {
        let text = match (self.token, self.token_file) {
            (Some(token), _) => Some(token),
            // A file that is gone after the first start is no error once there is an identity.
            (None, Some(path))
                if path.exists() || !IdentityDir::at(&self.identity_dir).is_enrolled() =>
            {
                let read = std::fs::read_to_string(&path);
                Some(read.map_err(|source| ServeError::TokenFile { path, source })?)
            }
            (None, _) => None,
        };
        let join = match (text, self.enrolment) {
            (None, _) => None,
            (Some(text), Some(enrolment)) => Some(Join {
                enrolment,
                token: text.trim().parse()?,
            }),
            (Some(_), None) => return Err(ServeError::NoEnrolment),
        };
        Ok(WorkerOptions {
            identity_dir: self.identity_dir,
            controller: self.controller,
            join,
            slots: self.slots,
            drain_for: Duration::from_secs(self.drain_seconds),
            program: program.to_owned(),
        })
    }
}

/// Joins if need be, then offers what was built until `shutdown` trips, then drains. A controller that is not there,
/// or not yet, is waited for.
///
/// # Errors
/// [`ServeError`]: what waiting cannot mend.
pub async fn serve(
    built: Built,
    options: WorkerOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    tracing::info!(
        program = options.program,
        capabilities = built.capabilities.len(),
        "configured"
    );
    let directory = IdentityDir::at(&options.identity_dir);
    if !directory.is_enrolled() {
        let Join { enrolment, token } = options
            .join
            .ok_or(ServeError::NotJoined(options.identity_dir))?;
        let enrolment = Enrolment {
            endpoint: enrolment,
            token,
            name: None,
            version: options.program,
        };
        let Some(about) = enrol_when_up(&enrolment, &directory, &shutdown).await? else {
            return Ok(());
        };
        tracing::info!(name = about.name, namespace = about.namespace, "joined");
    }
    let mut worker = Worker::new(directory)
        .capabilities(built.capabilities)
        .slots(options.slots)
        .drain_for(options.drain_for);
    if let Some(controller) = options.controller {
        worker = worker.endpoint(controller);
    }
    worker.run(shutdown).await?;
    Ok(())
}
