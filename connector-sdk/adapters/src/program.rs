//! What the connector and the executor have in common as processes: logs, traces, the end.

use std::process::ExitCode;

use fulcrum_sdk::telemetry::{self, TelemetryError};
use fulcrum_sdk::{Capability, EffectClass, Idempotency, shutdown};

use crate::ConfigError;
use crate::assemble::Built;
use crate::worker::{ServeError, WorkerArgs, serve};

/// Why a worker program ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The controller cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Logs or traces cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// A worker program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name, as in `fulcrum-connector`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Program {
    /// Serves what `build` makes until SIGTERM or Ctrl-C, then drains. Logs go to standard error, traces where `worker`
    /// says.
    ///
    /// # Errors
    /// [`ProgramError`]; a controller that is not there, or not yet, is no error and is waited for.
    pub async fn run(
        self,
        worker: WorkerArgs,
        build: impl FnOnce() -> Result<Built, ConfigError>,
    ) -> Result<(), ProgramError> {
        install_crypto();
        let telemetry = telemetry::init(self.name, worker.otlp_endpoint.as_deref())?;
        let shutdown = shutdown::on_signal();
        let serving = async {
            let options = worker.options(&format!("{}/{}", self.name, self.version))?;
            serve(build()?, options, shutdown).await
        };
        let done = serving.await;
        // Sending the last spans blocks, and nobody is left to hear that it failed.
        let _ = tokio::task::spawn_blocking(|| drop(telemetry)).await;
        Ok(done?)
    }

    /// Checks what `build` makes and prints a line for each capability; connects to nothing.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong.
    pub fn check(
        self,
        build: impl FnOnce() -> Result<Built, ConfigError>,
    ) -> Result<Built, ProgramError> {
        install_crypto();
        let built = build()?;
        for capability in &built.capabilities {
            println!("{}", summary(capability.as_ref()));
        }
        Ok(built)
    }

    /// The exit status of the process; what went wrong is said on standard error.
    pub fn exit(self, done: Result<(), ProgramError>) -> ExitCode {
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", self.name);
                ExitCode::FAILURE
            }
        }
    }
}

/// A capability in one line.
fn summary(capability: &dyn Capability) -> String {
    let contract = capability.contract();
    let effect = match contract.effect {
        EffectClass::Read => "read",
        EffectClass::Reversible => "reversible",
        EffectClass::Irreversible => "irreversible",
        EffectClass::Outward => "outward",
    };
    let idempotency = match contract.idempotency {
        Idempotency::Natural => "natural",
        Idempotency::Keyed => "keyed",
        Idempotency::None => "none",
    };
    format!(
        "{:<32} v{:<3} {effect:<12} {idempotency}",
        contract.name, contract.version
    )
}

/// One crypto provider for the whole process.
fn install_crypto() {
    // An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
