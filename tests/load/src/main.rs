//! `make bench`: what a run costs, beside what the database alone can do, measured in one sitting on loopback with
//! mTLS and `synchronous_commit=on`. Writes `target/bench/report.json` and prints a table.
//!
//! The worker is a process of its own (this binary again, as `worker`), so the processor time of controller, worker,
//! database and generator can be told apart.

mod bench;
mod cpu;
mod floor;
mod installation;
mod load;
mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures throughput and latency of a controller beside the floor of its database.
#[derive(Parser)]
#[command(name = "fulcrum-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the benchmarks.
    Run {
        /// Seconds per repetition.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Repetitions; the median is reported.
        #[arg(long, default_value_t = 3)]
        repetitions: usize,
        /// Starts in flight.
        #[arg(long, default_value_t = 256)]
        in_flight: usize,
        /// Where the report goes.
        #[arg(long, default_value = "target/bench/report.json")]
        report: PathBuf,
    },
    /// Serve `bench.echo` (started by `run`).
    #[command(hide = true)]
    Worker {
        /// The worker's identity.
        #[arg(long)]
        identity: PathBuf,
        /// Tasks at once.
        #[arg(long)]
        slots: u32,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match cli.command {
        Command::Run {
            seconds,
            repetitions,
            in_flight,
            report,
        } => runtime.block_on(bench::run(&bench::Options {
            seconds,
            repetitions,
            in_flight,
            report,
        })),
        Command::Worker { identity, slots } => runtime.block_on(worker::serve(identity, slots)),
    }
}
