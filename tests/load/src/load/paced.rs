//! The paced load: runs started at a steady rate, however long they take, so that a slow answer does not slow the
//! questions down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fulcrum_proto::workflow::v1::Run;
use tokio::time::Instant;

use crate::load::starter::{Started, Starter};

/// Most runs in flight; more than the rate needs.
const IN_FLIGHT_MAX: usize = 480;

/// What was seen of each run.
pub(crate) struct Paced<T> {
    /// One for each run.
    pub(crate) seen: Vec<T>,
    /// Runs that were not answered, because they were refused.
    pub(crate) refused: u64,
    /// Runs answered per second.
    pub(crate) per_s: f64,
}

/// Starts `per_s` runs each second for `time`, and looks at each run that ended.
pub(crate) async fn load<T: Send + 'static>(
    starter: &Starter,
    per_s: f64,
    time: Duration,
    look: fn(&Run) -> anyhow::Result<T>,
) -> anyhow::Result<Paced<T>> {
    anyhow::ensure!(per_s > 0.0, "a rate is more than nothing");
    let began = Instant::now();
    let starter = Arc::new(starter.clone());
    let numbers = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT_MAX {
        let (starter, numbers) = (Arc::clone(&starter), Arc::clone(&numbers));
        callers.spawn(async move {
            let (mut seen, mut refused) = (Vec::new(), 0);
            loop {
                let n = numbers.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_secs_f64(n as f64 / per_s);
                if due >= time {
                    return anyhow::Ok((seen, refused));
                }
                tokio::time::sleep_until(began + due).await;
                match starter.start(n, String::new()).await? {
                    Started::Completed(run) => seen.push(look(&run)?),
                    Started::Refused => refused += 1,
                }
            }
        });
    }
    let (mut seen, mut refused) = (Vec::new(), 0);
    while let Some(caller) = callers.join_next().await {
        let (mut more, times) = caller.context("a caller")??;
        seen.append(&mut more);
        refused += times;
    }
    let per_s = seen.len() as f64 / began.elapsed().as_secs_f64();
    Ok(Paced {
        seen,
        refused,
        per_s,
    })
}
