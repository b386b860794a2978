//! `make bench`: what a run costs, beside what the database alone can do, measured in one sitting on loopback with
//! mTLS and `synchronous_commit=on`. Writes `target/bench/report.json` and prints a table. docs/performance.md tells
//! what each figure means.
//!
//! The workers are processes of their own (this binary again), so the processor time of controller, worker, database
//! and generator can be told apart. `figure` holds one file for each figure, `rig` what is measured, `load` what is
//! put on it, `meter` what is read off, `report` what is told.

mod figure;
mod flock;
mod load;
mod meter;
mod report;
mod rig;
mod sitting;
mod worker;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use fulcrum_sdk::shutdown;

use crate::figure::Group;
use crate::sitting::{Checkpoints, Depth, Options};

/// Measures throughput, latency and cost of a controller beside the floor of its database.
#[derive(Parser)]
#[command(name = "fulcrum-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure.
    Run(Run),
    /// List the groups of figures, and the beginnings of the keys in each.
    List,
    /// Serve `bench.echo` (started by `run`).
    #[command(hide = true)]
    Worker {
        /// The worker's identity.
        #[arg(long)]
        identity: PathBuf,
        /// The controller.
        #[arg(long)]
        endpoint: String,
        /// Tasks at once.
        #[arg(long)]
        slots: u32,
    },
    /// Many workers with nothing to do (started by `run`).
    #[command(hide = true)]
    Flock {
        /// Folders of their identities.
        #[arg(long, required = true)]
        identities: Vec<PathBuf>,
        /// The controller.
        #[arg(long)]
        endpoint: String,
    },
}

#[derive(Args)]
struct Run {
    /// Measure these only: groups or keys of figures, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these out.
    #[arg(long, value_delimiter = ',')]
    skip: Vec<String>,
    /// One short repetition of everything, to see that it works. The figures mean little.
    #[arg(long)]
    quick: bool,
    /// Seconds of a repetition (60, quick 4).
    #[arg(long)]
    seconds: Option<u64>,
    /// Repetitions (3, quick 1); the median is reported.
    #[arg(long, alias = "repetitions")]
    reps: Option<usize>,
    /// Starts in flight.
    #[arg(long, default_value_t = 256)]
    in_flight: usize,
    /// Tasks that the worker does at once.
    #[arg(long, default_value_t = 256)]
    slots: u32,
    /// Ask for no checkpoint halfway through a repetition of the floor and of throughput.
    #[arg(long)]
    no_checkpoint: bool,
    /// A setting of PostgreSQL, `name=value`, besides the recommended ones.
    #[arg(long, value_parser = setting)]
    postgres: Vec<(String, String)>,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench/report.json")]
    report: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // One thread: what it does not take is left to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match cli.command {
        Command::Run(run) => runtime.block_on(unless_stopped(&run.options()?)),
        Command::List => {
            for group in Group::ALL {
                println!("{:<12} {}", group.name(), group.keys().join(", "));
            }
            Ok(())
        }
        Command::Worker {
            identity,
            endpoint,
            slots,
        } => runtime.block_on(worker::serve(identity, endpoint, slots)),
        Command::Flock {
            identities,
            endpoint,
        } => runtime.block_on(flock::serve(identities, endpoint)),
    }
}

/// Ends with the first SIGINT or SIGTERM, and then leaves no process behind: they end with what holds them.
async fn unless_stopped(options: &Options) -> anyhow::Result<()> {
    let stopped = shutdown::on_signal();
    tokio::select! {
        measured = Box::pin(sitting::sit(options)) => measured,
        () = stopped.cancelled() => anyhow::bail!("broken off; the report has what was measured"),
    }
}

impl Run {
    fn options(self) -> anyhow::Result<Options> {
        let depth = if self.quick {
            Depth::Quick
        } else {
            Depth::Full
        };
        let (seconds, repetitions) = match depth {
            Depth::Full => (60, 3),
            Depth::Quick => (4, 1),
        };
        let checkpoints = if self.no_checkpoint {
            Checkpoints::Never
        } else {
            Checkpoints::Halfway
        };
        Ok(Options {
            seconds: self.seconds.unwrap_or(seconds).max(1),
            repetitions: self.reps.unwrap_or(repetitions).max(1),
            in_flight: self.in_flight.max(1),
            slots: self.slots,
            depth,
            checkpoints,
            postgres: self.postgres,
            groups: groups(&self.only, &self.skip)?,
            report: self.report,
        })
    }
}

fn groups(only: &[String], skip: &[String]) -> anyhow::Result<Vec<Group>> {
    for word in only.iter().chain(skip) {
        let known = Group::ALL.iter().any(|group| group.is_meant_by(word));
        anyhow::ensure!(known, "`{word}` is no figure; see `fulcrum-load list`");
    }
    let meant = |words: &[String], group: &Group| words.iter().any(|word| group.is_meant_by(word));
    let groups = Group::ALL.into_iter();
    let groups = groups.filter(|group| only.is_empty() || meant(only, group));
    Ok(groups.filter(|group| !meant(skip, group)).collect())
}

fn setting(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').context("write name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}
