//! The executor: templates and models for a Fulcrum controller.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use fulcrum_adapters::worker::WorkerArgs;
use fulcrum_executor::{Config, build, run};
use fulcrum_sdk::{shutdown, telemetry};

const PROGRAM: &str = concat!("fulcrum-executor/", env!("CARGO_PKG_VERSION"));

/// Offers templates and models to a Fulcrum controller
#[derive(Parser)]
#[command(name = "fulcrum-executor", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the controller until asked to stop (SIGTERM or Ctrl-C drains)
    Run {
        /// The configuration; without it there are no models
        #[arg(long, env = "FULCRUM_EXECUTOR_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
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
        #[arg(long, env = "FULCRUM_EXECUTOR_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // One crypto provider for the whole process. An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Run {
            config,
            worker,
            otlp_endpoint,
        } => serve(config.as_deref(), worker, otlp_endpoint).await,
        Command::Check { config } => check(config.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fulcrum-executor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(
    config: Option<&Path>,
    worker: WorkerArgs,
    otlp_endpoint: Option<String>,
) -> anyhow::Result<()> {
    let telemetry = telemetry::init("fulcrum-executor", otlp_endpoint.as_deref())?;
    let shutdown = shutdown::on_signal();
    let done = run(&load(config)?, worker.options(PROGRAM)?, shutdown).await;
    // Sending the last spans blocks.
    tokio::task::spawn_blocking(|| drop(telemetry))
        .await
        .context("ending telemetry")?;
    Ok(done?)
}

fn check(config: Option<&Path>) -> anyhow::Result<()> {
    let config = load(config)?;
    for capability in build(&config)?.capabilities {
        let contract = capability.contract();
        println!("{:<32} v{}", contract.name, contract.version);
    }
    for (alias, model) in &config.models {
        println!(
            "  model {alias}: {} at {}",
            model.model, model.endpoint.value
        );
    }
    Ok(())
}

fn load(config: Option<&Path>) -> anyhow::Result<Config> {
    Ok(match config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    })
}
