//! `after_1m_ratio`: throughput after 1,000,000 finished runs ÷ after 10,000; and `fresh_to_80_pct_s`: how soon a
//! database without any history or statistics gives four fifths of the latter. Once in a sitting.
//!
//! Minutes lie between the two, in which a machine can become slower or faster by a fifth. So what 10,000 runs leave is
//! measured on both sides of the million, the second time on a database of its own.

use std::time::Duration;

use crate::load::closed::{self, Until};
use crate::load::outcome::Outcome;
use crate::load::starter::Starter;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

const WORKFLOW: Workflow = Workflow::Steps(1);
const FEW: u64 = 10_000;
const MANY: u64 = 1_000_000;
/// Starts of a fresh database are looked at in pieces of this length.
const PIECE: Duration = Duration::from_millis(500);
const FRESH: Duration = Duration::from_secs(15);

/// Nothing is warmed or analysed by hand here: autovacuum has to do.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let installation = Installation::start(options).await?;
    let before = few(options, record, &installation).await?;

    let starter = starter(&installation).await?;
    let load = async |until: Until| closed::load(&starter, options.in_flight, until).await;
    let many = options.count(MANY);
    let mut finished = before.finished;
    if finished < many {
        finished += load(Until::Runs(many - finished)).await?.runs() as u64;
    }
    let after_many = load(Until::Elapsed(options.short())).await?;
    record.put("after_1m_runs_per_s", after_many.per_s());
    record.put("after_1m_p99_ms", after_many.latencies().ms(0.99));
    record.detail("after_1m_finished_runs", finished.into());
    // Its database would go on vacuuming beside the next one.
    drop(installation);

    let beside = Installation::start(options).await?;
    let after = few(options, record, &beside).await?;
    let after_few = f64::midpoint(before.per_s, after.per_s);
    record.put("after_1m_ratio", after_many.per_s() / after_few);
    Ok(())
}

/// What a young database gives.
struct Few {
    per_s: f64,
    finished: u64,
}

async fn few(
    options: &Options,
    record: &mut Record,
    installation: &Installation,
) -> anyhow::Result<Few> {
    installation.apply(WORKFLOW).await?;
    let starter = starter(installation).await?;
    let load = async |until: Until| closed::load(&starter, options.in_flight, until).await;
    let fresh = load(Until::Elapsed(FRESH)).await?;
    let mut finished = fresh.runs() as u64;
    let few = options.count(FEW);
    if finished < few {
        finished += load(Until::Runs(few - finished)).await?.runs() as u64;
    }
    let after_few = load(Until::Elapsed(options.short())).await?;
    finished += after_few.runs() as u64;
    let per_s = after_few.per_s();
    record.put("after_10k_runs_per_s", per_s);
    record.put("after_10k_p99_ms", after_few.latencies().ms(0.99));
    // If it was not within what was watched, the bar is lower than that anyway.
    let reached = reached(&fresh, per_s * 0.8).unwrap_or(FRESH * 2);
    record.put("fresh_to_80_pct_s", reached.as_secs_f64());
    Ok(Few { per_s, finished })
}

async fn starter(installation: &Installation) -> anyhow::Result<Starter> {
    Ok(Starter::new(&installation.channels().await?, WORKFLOW))
}

/// The end of the first piece with so much throughput.
fn reached(outcome: &Outcome, per_s: f64) -> Option<Duration> {
    let pieces = (outcome.time.as_millis() / PIECE.as_millis()) as u32;
    let mut ends = (1..=pieces).map(|piece| PIECE * piece);
    ends.find(|end| outcome.per_s_between(*end - PIECE, *end) >= per_s)
}
