//! `recovery_s` and what must hold beside it: a controller is killed under load and started again.
//!
//! * `recovery_s`: from `kill -9` to the end of the first half second with 80 % of the goodput of before.
//! * `recovery_in_flight_s`: from then until the last task that was leased at that moment was finished or leased anew.
//! * `recovery_lost`: runs that were started and are not completed in the end.
//! * `recovery_started_twice`: runs beyond one for each start; starts are repeated under the same request id.
//! * `recovery_accepted_twice`: of the runs answered around the kill, those whose timeline holds more than one
//!   completion of their one step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_proto::workflow::v1::ListEventsRequest;
use fulcrum_sdk::channel::Channel;
use fulcrum_sdk::client;
use serde_json::json;
use tokio::task::JoinSet;

use crate::load::starter::{Started, Starter};
use crate::meter::clock;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

/// Load before the kill, and after.
const BEFORE: Duration = Duration::from_secs(6);
const AFTER: Duration = Duration::from_secs(15);
/// When the last caller, and the last lease, must be done.
const PATIENCE: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Timelines read.
const TIMELINES_MAX: usize = 2_000;

const IN_FLIGHT: &str = "drop table if exists public.bench_in_flight; create table public.bench_in_flight as \
                         select task_id, lease_seq from tasks where state = 'leased'";
/// Each by its key: reading all of a table that is written all the time takes most of a core.
const STILL_LEASED: &str = "select count(*) from public.bench_in_flight b cross join lateral (select from tasks t where \
                            t.shard = fulcrum_shard(b.task_id) and t.task_id = b.task_id and t.lease_seq = \
                            b.lease_seq and t.state = 'leased' offset 0) still";

/// Looks every ten milliseconds and tells when nothing was left, in seconds since 1970. A look from outside takes half a
/// second while cores are busy.
const WHEN_RELEASED: &str = "create or replace function public.bench_released() returns numeric language plpgsql as $$
begin
  for look in 1 .. 3000 loop
    exit when not exists (
      select from public.bench_in_flight b
      cross join lateral (
        select from tasks t
        where t.shard = fulcrum_shard(b.task_id) and t.task_id = b.task_id and t.lease_seq = b.lease_seq
          and t.state = 'leased'
        offset 0
      ) still);
    perform pg_sleep(0.01);
  end loop;
  return extract(epoch from clock_timestamp());
end
$$;
select public.bench_released()";
/// When the looks move into the database: not before, since whoever looks there keeps old rows from being cleared away.
const NEAR: Duration = Duration::from_secs(29);

/// A run that a caller got to its end.
struct Ended {
    at: Duration,
    run_id: String,
}

/// Kills once for each repetition.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let mut installation = Installation::start(options).await?;
    let workflow = Workflow::Steps(1);
    installation.apply(workflow).await?;
    let starter = Starter::new(&installation.channels().await?, workflow);
    options.warm(&installation, &starter).await?;
    for repetition in 0..options.repetitions {
        kill_once(options, record, &mut installation, &starter, repetition).await?;
    }
    Ok(())
}

async fn kill_once(
    options: &Options,
    record: &mut Record,
    installation: &mut Installation,
    starter: &Starter,
    repetition: usize,
) -> anyhow::Result<()> {
    let postgres = Arc::clone(&installation.postgres);
    let runs_before = count(&postgres, "select count(*) from runs").await?;
    let callers = Callers::new(starter, options.in_flight, repetition);
    tokio::time::sleep(BEFORE).await;

    let killed = callers.began.elapsed();
    let killed_at = clock::unix_us();
    let controller = &mut installation.controllers[0];
    controller.kill()?;
    postgres.value(IN_FLIGHT)?;
    controller.start_again()?;
    let in_flight = count(&postgres, "select count(*) from public.bench_in_flight").await?;
    let released = released(&postgres, &callers, killed, killed_at).await?;
    let rest = (killed + AFTER).saturating_sub(callers.began.elapsed());
    tokio::time::sleep(rest).await;

    let (starts, mut ended) = callers.finish().await?;
    ended.sort_by_key(|ended| ended.at);
    let per_s = |from: Duration, to: Duration| {
        let within = ended
            .iter()
            .filter(|ended| ended.at >= from && ended.at < to);
        within.count() as f64 / (to - from).as_secs_f64()
    };
    let wanted = per_s(killed - BEFORE / 2, killed) * 0.8;
    let windows = (0..).map(|n| WINDOW * n);
    let course = windows.take_while(|from| *from < killed + AFTER);
    let course = course.map(|from| per_s(from, from + WINDOW).round());
    record.detail(
        &format!("recovery_goodput_{repetition}"),
        json!({
            "killed_s": killed.as_secs_f64(),
            "wanted_per_s": wanted,
            "by_half_second": course.collect::<Vec<_>>(),
        }),
    );
    let windows = (0..).map(|n| killed + LOOK_EVERY * n + WINDOW);
    let back = windows
        .take_while(|end| *end <= killed + AFTER)
        .find(|end| per_s(*end - WINDOW, *end) >= wanted);
    let back = back.with_context(|| format!("goodput never came back to {wanted:.0}/s"))?;
    record.put("recovery_s", (back - killed).as_secs_f64());
    record.put("recovery_in_flight_s", released.as_secs_f64());
    record.put("recovery_in_flight_tasks", in_flight as f64);

    let open = count(
        &postgres,
        "select count(*) from runs where closed_at is null",
    )
    .await?;
    let runs = count(&postgres, "select count(*) from runs").await? - runs_before;
    let unanswered = starts.saturating_sub(ended.len() as u64);
    record.put("recovery_lost", open.max(unanswered) as f64);
    record.put("recovery_started_twice", runs as f64 - starts as f64);

    let around = |ended: &&Ended| ended.at >= killed.saturating_sub(WINDOW);
    let around = ended.iter().filter(around).take(TIMELINES_MAX);
    let channel = installation.channel().await?;
    let mut twice = 0;
    for ended in around {
        twice += u32::from(completions(&channel, &ended.run_id).await? != 1);
    }
    record.put("recovery_accepted_twice", f64::from(twice));
    Ok(())
}

/// How long after the kill the last task that was leased then was finished or leased anew.
async fn released(
    postgres: &Arc<Postgres>,
    callers: &Callers,
    killed: Duration,
    killed_at_us: i64,
) -> anyhow::Result<Duration> {
    while callers.began.elapsed() - killed < NEAR {
        let since = callers.began.elapsed() - killed;
        if count(postgres, STILL_LEASED).await? == 0 {
            return Ok(since);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let at_s: f64 = ask(postgres, WHEN_RELEASED).await?.parse()?;
    let left = count(postgres, STILL_LEASED).await?;
    anyhow::ensure!(left == 0, "{left} tasks stay leased");
    Ok(Duration::from_secs_f64(at_s - killed_at_us as f64 / 1e6))
}

async fn count(postgres: &Arc<Postgres>, sql: &'static str) -> anyhow::Result<u64> {
    Ok(ask(postgres, sql).await?.parse()?)
}

async fn ask(postgres: &Arc<Postgres>, sql: &'static str) -> anyhow::Result<String> {
    let postgres = Arc::clone(postgres);
    tokio::task::spawn_blocking(move || postgres.value(sql)).await?
}

/// How often the timeline of a run says that a step was completed.
async fn completions(channel: &Channel, run_id: &str) -> anyhow::Result<usize> {
    let request = ListEventsRequest {
        namespace: "default".to_owned(),
        run_id: run_id.to_owned(),
        ..ListEventsRequest::default()
    };
    let mut timelines = client::timelines(channel.clone());
    let events = timelines.list_events(request).await?.into_inner().events;
    let completed = events.iter().filter(|event| event.kind == "StepCompleted");
    Ok(completed.count())
}

/// Callers that go on through refusals and cut connections, each start under an id of its own until it is answered.
struct Callers {
    began: Instant,
    stop: Arc<AtomicBool>,
    starts: Arc<AtomicU64>,
    tasks: JoinSet<anyhow::Result<Vec<Ended>>>,
}

impl Callers {
    fn new(starter: &Starter, in_flight: usize, repetition: usize) -> Self {
        let mut callers = Self {
            began: Instant::now(),
            stop: Arc::default(),
            starts: Arc::default(),
            tasks: JoinSet::new(),
        };
        let starter = Arc::new(starter.clone());
        for _ in 0..in_flight {
            let (starter, began) = (Arc::clone(&starter), callers.began);
            let (stop, starts) = (Arc::clone(&callers.stop), Arc::clone(&callers.starts));
            callers.tasks.spawn(async move {
                let mut ended = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let n = starts.fetch_add(1, Ordering::Relaxed);
                    let request_id = format!("bench-{repetition}-{n}");
                    let run_id = loop {
                        match starter.start(n, request_id.clone()).await? {
                            Started::Completed(run) => break run.run_id,
                            Started::Refused => tokio::time::sleep(LOOK_EVERY).await,
                        }
                    };
                    let at = began.elapsed();
                    ended.push(Ended { at, run_id });
                }
                Ok(ended)
            });
        }
        callers
    }

    /// Lets the last starts be answered; tells how many starts there were and what was answered.
    async fn finish(mut self) -> anyhow::Result<(u64, Vec<Ended>)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ended = Vec::new();
        let all = async {
            while let Some(caller) = self.tasks.join_next().await {
                ended.append(&mut caller??);
            }
            anyhow::Ok(())
        };
        // Those that are not back by then count as lost.
        if let Ok(finished) = tokio::time::timeout(PATIENCE, all).await {
            finished?;
        }
        Ok((self.starts.load(Ordering::Relaxed), ended))
    }
}
