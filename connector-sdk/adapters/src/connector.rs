//! A connector from its configuration to its last report.

use tokio_util::sync::CancellationToken;

use crate::worker::{ServeError, WorkerOptions, serve};
use crate::{Config, ConfigError, build};

/// Why a connector ended, other than by being asked to.
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
        config = %config.path.display(),
        capabilities = built.capabilities.len(),
        "connector configured"
    );
    serve(built.capabilities, options, shutdown).await?;
    Ok(())
}
