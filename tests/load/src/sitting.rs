//! A sitting: the figures that were asked for, one after the other, and the report of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_e2e::postgres::Postgres;
use serde_json::{Map, Value, json};

use crate::figure::Group;
use crate::load::closed::{self, Until};
use crate::load::starter::Starter;
use crate::meter::clock;
use crate::report::figures::Figures;
use crate::report::{file, machine, table};
use crate::rig::cluster;
use crate::rig::installation::Installation;

/// How to measure.
#[derive(Debug)]
pub(crate) struct Options {
    /// Seconds of a repetition of the floor and of throughput.
    pub(crate) seconds: u64,
    /// Repetitions.
    pub(crate) repetitions: usize,
    /// Starts in flight.
    pub(crate) in_flight: usize,
    /// Tasks that the worker does at once.
    pub(crate) slots: u32,
    /// How much is done of what is long.
    pub(crate) depth: Depth,
    /// Whether the floor and throughput go across a checkpoint.
    pub(crate) checkpoints: Checkpoints,
    /// Settings of the cluster, stronger than the recommended ones.
    pub(crate) postgres: Vec<(String, String)>,
    /// What to measure.
    pub(crate) groups: Vec<Group>,
    /// Where the report goes.
    pub(crate) report: PathBuf,
}

/// How much is done of what is long: items, queued runs, waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All of it: the figures mean what they say.
    Full,
    /// A fiftieth: enough to see that it works.
    Quick,
}

/// Whether a repetition goes across a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checkpoints {
    /// One, halfway.
    Halfway,
    /// None is asked for.
    Never,
}

impl Options {
    /// A repetition of the floor and of throughput.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// A repetition of what needs no more than a few thousand samples.
    pub(crate) fn short(&self) -> Duration {
        self.time().min(Duration::from_secs(20))
    }

    /// So many, or a fiftieth of it.
    pub(crate) fn count(&self, full: u64) -> u64 {
        match self.depth {
            Depth::Full => full,
            Depth::Quick => full / 50,
        }
    }

    /// So long, or a sixth of it.
    pub(crate) fn wait(&self, full: Duration) -> Duration {
        match self.depth {
            Depth::Full => full,
            Depth::Quick => full / 6,
        }
    }

    /// Asks for a checkpoint halfway through a repetition that begins now.
    pub(crate) fn checkpoint(
        &self,
        postgres: &Arc<Postgres>,
    ) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        match self.checkpoints {
            Checkpoints::Halfway => cluster::checkpoint_in(postgres, self.time() / 2),
            Checkpoints::Never => tokio::spawn(async { Ok(()) }),
        }
    }

    /// Puts load on for a few seconds and gives the planner its statistics.
    pub(crate) async fn warm(
        &self,
        installation: &Installation,
        starter: &Starter,
    ) -> anyhow::Result<()> {
        let time = self.time().min(Duration::from_secs(8));
        closed::load(starter, self.in_flight, Until::Elapsed(time)).await?;
        installation.analyse()
    }
}

/// What was measured so far.
#[derive(Default)]
pub(crate) struct Record {
    /// The figures.
    pub(crate) figures: Figures,
    details: Map<String, Value>,
    settings: Map<String, Value>,
}

impl Record {
    /// Adds one repetition's value of a figure.
    pub(crate) fn put(&mut self, key: &str, value: f64) {
        self.figures.put(key, value);
    }

    /// Adds what explains figures and is none itself.
    pub(crate) fn detail(&mut self, name: &str, value: Value) {
        self.details.insert(name.to_owned(), value);
    }

    /// Writes down the settings of the cluster.
    pub(crate) fn settings(&mut self, settings: Vec<(String, String)>) {
        let settings = settings.into_iter();
        self.settings
            .extend(settings.map(|(name, value)| (name, value.into())));
    }
}

/// Measures what was asked for and writes the report. A figure that cannot be measured does not keep the others from
/// it; a bar that is missed is no error.
pub(crate) async fn sit(options: &Options) -> anyhow::Result<()> {
    let mut record = Record::default();
    let mut errors = Map::new();
    let began_us = clock::unix_us();
    for group in &options.groups {
        let name = group.name();
        println!("{name}");
        let began = Instant::now();
        if let Err(error) = group.measure(options, &mut record).await {
            println!("  could not be measured: {error:#}");
            errors.insert(name.to_owned(), format!("{error:#}").into());
        }
        println!("  ({:.0} s)", began.elapsed().as_secs_f64());
        // Written each time, so that a sitting that is broken off leaves what it has.
        file::write(
            &options.report,
            &report(options, &record, &errors, began_us),
        )?;
    }
    println!("\n{}", table::render(&record.figures));
    println!("written to {}", options.report.display());
    let failed: Vec<_> = errors.keys().map(String::as_str).collect();
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

fn report(options: &Options, record: &Record, errors: &Map<String, Value>, began_us: i64) -> Value {
    json!({
        "began_unix_s": began_us / 1_000_000,
        "source": machine::source(),
        "machine": machine::describe(),
        "options": {
            "seconds": options.seconds,
            "repetitions": options.repetitions,
            "in_flight": options.in_flight,
            "slots": options.slots,
            "quick": options.depth == Depth::Quick,
            "checkpoint_in_each_repetition": options.checkpoints == Checkpoints::Halfway,
        },
        "postgres": record.settings,
        "figures": file::figures(&record.figures),
        "details": record.details,
        "errors": errors,
    })
}
