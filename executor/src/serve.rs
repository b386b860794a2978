//! An executor from its configuration to its last report.

use fulcrum_adapters::ConfigError;
use fulcrum_adapters::worker::{ServeError, WorkerOptions, serve};
use tokio_util::sync::CancellationToken;

use crate::{Config, build};

/// Why an executor ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The controller cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Builds the capabilities of `config` and serves them until `shutdown` trips, then drains.
///
/// # Errors
/// [`RunError`]; a lost connection is no error and is waited out.
pub async fn run(
    config: &Config,
    options: WorkerOptions,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let built = build(config)?;
    tracing::info!(
        capabilities = built.capabilities.len(),
        "executor configured"
    );
    serve(built.capabilities, options, shutdown).await?;
    Ok(())
}
