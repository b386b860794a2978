//! A connector as a program, and from its configuration to its last report.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::program::{Program, ProgramError};
use crate::worker::{ServeError, WorkerArgs, WorkerOptions, serve};
use crate::{Config, ConfigError, build};

/// The connector.
pub const PROGRAM: Program = Program {
    name: "fulcrum-connector",
    version: env!("CARGO_PKG_VERSION"),
};

/// Offers the capabilities of one configuration file to a Fulcrum controller
#[derive(Parser)]
#[command(name = "fulcrum-connector", version)]
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
    /// The configuration
    #[arg(
        long,
        env = "FULCRUM_CONNECTOR_CONFIG",
        default_value = "connector.yaml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Where relative paths in the configuration start; its own directory if not given
    #[arg(long, env = "FULCRUM_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        let config = Config::load(&self.config)?;
        Ok(match &self.data_dir {
            Some(directory) => config.with_directory(directory),
            None => config,
        })
    }

    fn path(&self) -> &Path {
        &self.config
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
                let built = PROGRAM.check(|| build(&config.load()?))?;
                let count = built.capabilities.len();
                eprintln!(
                    "{}: {count} capabilities, all well",
                    config.path().display()
                );
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
