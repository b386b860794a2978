//! The closed load: so many callers, each starting its next run when the last one ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::load::outcome::{Done, Outcome};
use crate::load::starter::{Started, Starter};

/// Pause after a start that was refused.
const PAUSE: Duration = Duration::from_millis(20);

/// When callers stop.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After so long.
    Elapsed(Duration),
    /// When so many runs were started.
    Runs(u64),
}

/// Starts runs, `in_flight` at once, each waiting for its result.
pub(crate) async fn load(
    starter: &Starter,
    in_flight: usize,
    until: Until,
) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let starter = Arc::new(starter.clone());
    let numbers = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (starter, numbers) = (Arc::clone(&starter), Arc::clone(&numbers));
        callers.spawn(call(starter, numbers, began, until));
    }
    let (mut done, mut refused) = (Vec::new(), 0);
    while let Some(caller) = callers.join_next().await {
        let (mut more, times) = caller??;
        done.append(&mut more);
        refused += times;
    }
    let time = match until {
        Until::Elapsed(time) => time,
        Until::Runs(_) => began.elapsed(),
    };
    Outcome::new(time, done, refused)
}

async fn call(
    starter: Arc<Starter>,
    numbers: Arc<AtomicU64>,
    began: Instant,
    until: Until,
) -> anyhow::Result<(Vec<Done>, u64)> {
    let (mut done, mut refused) = (Vec::new(), 0);
    loop {
        let n = numbers.fetch_add(1, Ordering::Relaxed);
        let over = match until {
            Until::Elapsed(time) => began.elapsed() >= time,
            Until::Runs(runs) => n >= runs,
        };
        if over {
            return Ok((done, refused));
        }
        let started = began.elapsed();
        while let Started::Refused = starter.start(n, String::new()).await? {
            refused += 1;
            tokio::time::sleep(PAUSE).await;
        }
        let ended = began.elapsed();
        done.push(Done {
            at_us: ended.as_micros() as u64,
            took_us: (ended - started).as_micros() as u64,
        });
    }
}
