//! The connector: a worker next to the systems it works on, configured by one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use fulcrum_adapters::worker::WorkerArgs;
use fulcrum_adapters::{Built, Config, build, run};
use fulcrum_sdk::{EffectClass, Idempotency, shutdown, telemetry};

const PROGRAM: &str = concat!("fulcrum-connector/", env!("CARGO_PKG_VERSION"));

/// Offers the capabilities of one configuration file to a Fulcrum controller
#[derive(Parser)]
#[command(name = "fulcrum-connector", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the controller until asked to stop (SIGTERM or Ctrl-C drains)
    Run {
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
        #[command(flatten)]
        worker: WorkerArgs,
        /// Send traces there by OTLP over gRPC
        #[arg(
            long,
            env = "OTEL_EXPORTER_OTLP_ENDPOINT",
            value_name = "http://HOST:PORT"
        )]
        otlp_endpoint: Option<String>,
    },
    /// Check the configuration, secrets included, and print what it offers; connects to nothing
    Check {
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
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run {
            config,
            data_dir,
            worker,
            otlp_endpoint,
        } => serve(&config, data_dir.as_deref(), worker, otlp_endpoint).await,
        Command::Check { config, data_dir } => check(&config, data_dir.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fulcrum-connector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(
    config: &Path,
    data_dir: Option<&Path>,
    worker: WorkerArgs,
    otlp_endpoint: Option<String>,
) -> anyhow::Result<()> {
    install_crypto();
    let telemetry = telemetry::init("fulcrum-connector", otlp_endpoint.as_deref())?;
    let shutdown = shutdown::on_signal();
    let config = load(config, data_dir)?;
    let done = run(&config, worker.options(PROGRAM)?, shutdown).await;
    // Sending the last spans blocks.
    tokio::task::spawn_blocking(|| drop(telemetry))
        .await
        .context("ending telemetry")?;
    Ok(done?)
}

fn check(config: &Path, data_dir: Option<&Path>) -> anyhow::Result<()> {
    install_crypto();
    let config = load(config, data_dir)?;
    let Built { capabilities, .. } = build(&config)?;
    for capability in &capabilities {
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
        println!(
            "{:<32} v{:<3} {effect:<12} {idempotency}",
            contract.name, contract.version
        );
    }
    eprintln!(
        "{}: {} capabilities, all well",
        config.path.display(),
        capabilities.len()
    );
    Ok(())
}

fn load(config: &Path, data_dir: Option<&Path>) -> anyhow::Result<Config> {
    let config = Config::load(config)?;
    Ok(match data_dir {
        Some(directory) => config.with_directory(directory),
        None => config,
    })
}

/// One crypto provider for the whole process.
fn install_crypto() {
    // An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
