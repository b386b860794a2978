//! The executor as a program, and from its configuration to its last report.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fulcrum_adapters::ConfigError;
use fulcrum_adapters::program::{Program, ProgramError};
use fulcrum_adapters::worker::{ServeError, WorkerArgs, WorkerOptions, serve};
use tokio_util::sync::CancellationToken;

use crate::{Config, build};

/// The executor.
pub const PROGRAM: Program = Program {
    name: "fulcrum-executor",
    version: env!("CARGO_PKG_VERSION"),
};

/// Offers templates and models to a Fulcrum controller
#[derive(Parser)]
#[command(name = "fulcrum-executor", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the controller until asked to stop (SIGTERM or Ctrl-C drains)
    Run {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        worker: WorkerArgs,
    },
    /// Check the configuration, secrets included, and print what it offers; connects to nothing
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Args)]
struct ConfigArgs {
    /// The configuration; without it there are no models
    #[arg(long, env = "FULCRUM_EXECUTOR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        self.config
            .as_deref()
            .map_or(Ok(Config::default()), Config::load)
    }
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub async fn run(self) -> Result<(), ProgramError> {
        match self.command {
            Command::Run { config, worker } => PROGRAM.run(worker, || build(&config.load()?)).await,
            Command::Check { config } => {
                let config = config.load()?;
                PROGRAM.check(|| build(&config))?;
                for (alias, model) in &config.models {
                    println!(
                        "  model {alias}: {} at {}",
                        model.model, model.endpoint.value
                    );
                }
                Ok(())
            }
        }
    }
}

/// Builds the capabilities of `config` and serves them until `shutdown` trips, then drains.
///
/// # Errors
/// [`ServeError`]; a controller that is not there, or not yet, is no error and is waited for.
pub async fn run(
    config: &Config,
    options: WorkerOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    serve(build(config)?, options, shutdown).await
}
