//! A worker as a process: the SDK's lease machine, told what happens and obeyed, as `worker/desk.rs` does it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fulcrum_controller::engine::beating;
use fulcrum_controller::engine::delivery::Delivery;
use fulcrum_controller::engine::token::LeaseToken as Token;
use fulcrum_core::ids::WorkerId;
use fulcrum_sdk::lease::{
    Action, Grant, Input, LeaseMachine, LeaseToken, PollId, Settings, Standing, TaskId,
};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::bench::Bench;
use super::gate::{Gate, Motion};
use super::reporting;
use crate::Stage;
use crate::cluster::call::{Call, Outcome, Said};
use crate::cluster::host::HEARTBEAT_MS;
use crate::cluster::network::{Network, Wire};
use crate::stage::dice::Dice;
use crate::stage::sometimes::Sometimes;

/// How long a lease call waits for tasks.
const WAIT: Duration = Duration::from_secs(4);
/// How much longer its answer may take.
const SLACK: Duration = Duration::from_secs(2);
/// Entries that may wait for the worker: more than the machine can cause.
const NEWS_MAX: usize = 256;

/// What the worker is told.
#[derive(Debug)]
pub enum News {
    /// A lease call was answered, or given up.
    Polled(PollId, Vec<Delivery>),
    /// Work ended.
    Finished(LeaseToken, Option<Outcome>),
    /// Reports were accepted, or refused for good.
    Reported(Vec<LeaseToken>),
    /// A heartbeat that was sent then was answered, or not.
    Beaten(Instant, Option<Vec<(LeaseToken, Standing)>>),
}

/// A machine that runs a worker.
pub struct Site {
    stage: Arc<Stage>,
    name: &'static str,
    wire: Wire,
    gate: Gate,
    dice: Dice,
    worker: WorkerId,
    running: Mutex<Option<AbortHandle>>,
}

impl Site {
    /// A machine with nothing running on it.
    #[must_use]
    pub fn new(stage: Arc<Stage>, network: &Arc<Network>, name: &'static str, n: u128) -> Self {
        Self {
            wire: network.wire(name),
            gate: Gate::default(),
            dice: Dice::of(stage.seed, name),
            worker: WorkerId(Uuid::from_u128(0xA0 + n)),
            running: Mutex::default(),
            stage,
            name,
        }
    }

    /// Its name in the trace.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Who it is to the controllers.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Its way to the controllers.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Starts the worker, anew if it runs already: then the old process is dead, with all that it had in memory.
    pub fn start(&self) {
        let bench = Bench {
            stage: Arc::clone(&self.stage),
            worker: self.worker,
            name: self.name,
            wire: self.wire.clone(),
            gate: self.gate.clone(),
            dice: self.dice.clone(),
        };
        let process = tokio::spawn(Worker::live(bench)).abort_handle();
        if let Some(old) = self.slot().replace(process) {
            old.abort();
        }
    }

    /// Kills the worker.
    pub fn kill(&self) {
        if let Some(old) = self.slot().take() {
            old.abort();
        }
    }

    /// Stops the process, or lets it go on.
    pub fn set(&self, motion: Motion) {
        self.gate.set(motion);
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<AbortHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Job {
    delivery: Delivery,
    work: AbortHandle,
}

struct Worker {
    bench: Bench,
    machine: LeaseMachine,
    began: Instant,
    jobs: BTreeMap<LeaseToken, Job>,
    outcomes: BTreeMap<LeaseToken, Outcome>,
    crew: JoinSet<()>,
    news: mpsc::Sender<News>,
    reports: mpsc::Sender<(LeaseToken, Outcome)>,
}

impl Worker {
    async fn live(bench: Bench) {
        let (news, mut inbox) = mpsc::channel(NEWS_MAX);
        let (reports, outlet) = mpsc::channel(NEWS_MAX);
        let mut crew = JoinSet::new();
        crew.spawn(reporting::report(bench.clone(), outlet, news.clone()));
        let settings = Settings {
            slots: 3,
            poll_slots_max: 2,
            beat_interval: Duration::from_millis(HEARTBEAT_MS),
            first_beat: bench.dice.span_ms(0, HEARTBEAT_MS),
        };
        let mut worker = Self {
            machine: LeaseMachine::new(settings),
            began: Instant::now(),
            jobs: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            crew,
            news,
            reports,
            bench,
        };
        worker.bench.stage.note(worker.bench.name, "is up");
        worker.feed(Input::Tick, Vec::new());
        loop {
            let tick = worker.began + worker.machine.next_tick();
            let told = tokio::select! {
                biased;
                Some(told) = inbox.recv() => Some(told),
                Some(_) = worker.crew.join_next() => continue,
                () = tokio::time::sleep_until(tick) => None,
            };
            worker.bench.gate.pass().await;
            match told {
                None => worker.feed(Input::Tick, Vec::new()),
                Some(told) => worker.hear(told),
            }
        }
    }

    fn hear(&mut self, told: News) {
        match told {
            News::Polled(poll, deliveries) => {
                let grants = deliveries.iter().map(grant).collect();
                self.feed(Input::PollAnswered { poll, grants }, deliveries);
            }
            News::Finished(lease, outcome) => {
                // Work that lost its lease on the way has nothing to say; the machine hears of it from a heartbeat.
                if let Some(outcome) = outcome {
                    self.outcomes.insert(lease.clone(), outcome);
                    self.feed(Input::Finished(lease), Vec::new());
                }
            }
            News::Reported(settled) => {
                let input = Input::ReportsAnswered {
                    settled,
                    grants: Vec::new(),
                };
                self.feed(input, Vec::new());
            }
            News::Beaten(sent, Some(standings)) => {
                self.feed(Input::BeatAnswered(standings.clone()), Vec::new());
                self.check_that_lost_work_stopped(sent, &standings);
            }
            News::Beaten(_, None) => {
                let retry_after = Duration::ZERO;
                self.feed(Input::BeatFailed { retry_after }, Vec::new());
            }
        }
    }

    fn feed(&mut self, input: Input, arriving: Vec<Delivery>) {
        let mut arriving: BTreeMap<LeaseToken, Delivery> = arriving
            .into_iter()
            .map(|delivery| (grant(&delivery).lease, delivery))
            .collect();
        for action in self.machine.handle(self.began.elapsed(), input) {
            match action {
                Action::Poll { poll, slots } => self.poll(poll, slots),
                Action::Start(lease) => {
                    if let Some(delivery) = arriving.remove(&lease) {
                        self.begin(lease, delivery);
                    }
                }
                Action::Stop(lease) => {
                    self.bench.stage.saw(Sometimes::LeaseLostHeard);
                    self.leave(&lease, "stops");
                }
                Action::Cancel(_) | Action::Drained => {}
                Action::Report(lease) => {
                    self.leave(&lease, "reports");
                    if let Some(outcome) = self.outcomes.remove(&lease) {
                        // The machine holds fewer leases than the channel has room.
                        let _full = self.reports.try_send((lease, outcome));
                    }
                }
                Action::Beat(leases) => self.beat(leases),
            }
        }
    }

    fn begin(&mut self, lease: LeaseToken, delivery: Delivery) {
        let Bench { stage, name, .. } = &self.bench;
        stage.note(
            name,
            format_args!(
                "begins {} {} lease {} attempt {}",
                delivery.task.run,
                delivery.task.step,
                delivery.task.lease.seq,
                delivery.task.attempt
            ),
        );
        stage.witness().work_began(stage, &delivery.task);
        let (bench, news) = (self.bench.clone(), self.news.clone());
        let (of, task) = (lease.clone(), delivery.clone());
        let work = self.crew.spawn(async move {
            let outcome = bench.work(&task).await;
            let _gone = news.send(News::Finished(of, outcome)).await;
        });
        self.jobs.insert(lease, Job { delivery, work });
    }

    fn leave(&mut self, lease: &LeaseToken, how: &str) {
        let Some(job) = self.jobs.remove(lease) else {
            return;
        };
        job.work.abort();
        let Bench { stage, name, .. } = &self.bench;
        let task = &job.delivery.task;
        stage.note(
            name,
            format_args!("{how} {} {} lease {}", task.run, task.step, task.lease.seq),
        );
        stage.witness().work_ended(&task.lease);
    }

    /// A lease that was granted anew before the heartbeat was sent must have been called lost, and its work stopped.
    fn check_that_lost_work_stopped(&self, sent: Instant, standings: &[(LeaseToken, Standing)]) {
        let stage = &self.bench.stage;
        for (lease, _) in standings {
            if let Some(job) = self.jobs.get(lease)
                && stage
                    .witness()
                    .was_superseded_before(&job.delivery.task.lease, sent)
            {
                stage.problem(format_args!(
                    "{} works on {} lease {} after it could hear that it is lost",
                    self.bench.name, job.delivery.task.step, job.delivery.task.lease.seq
                ));
            }
        }
    }

    fn poll(&mut self, poll: PollId, slots: u32) {
        let (bench, news) = (self.bench.clone(), self.news.clone());
        let call_id = format!("{}-{:x}", bench.name, bench.dice.number());
        self.crew.spawn(async move {
            let mut tries = 0;
            let deliveries = loop {
                let call = Call::Lease {
                    worker: bench.worker,
                    slots,
                    wait: WAIT,
                    call_id: call_id.clone(),
                };
                let heard = bench.wire.ask(call, WAIT + SLACK).await;
                bench.gate.pass().await;
                match heard {
                    Ok(Ok(Said::Tasks(deliveries))) => break deliveries,
                    Ok(_) | Err(_) => {
                        tries += 1;
                        // Where the answer may be remembered is asked first, then somewhere else.
                        if tries % 2 == 0 {
                            bench.wire.turn_elsewhere();
                        }
                        tokio::time::sleep(bench.dice.span_ms(20, 600)).await;
                        bench.gate.pass().await;
                    }
                }
            };
            if tries > 0 && !deliveries.is_empty() {
                bench.stage.saw(Sometimes::GrantsRepeated);
            }
            let _gone = news.send(News::Polled(poll, deliveries)).await;
        });
    }

    fn beat(&mut self, leases: Vec<LeaseToken>) {
        let (bench, news) = (self.bench.clone(), self.news.clone());
        self.crew.spawn(async move {
            let sent = Instant::now();
            let call = Call::Beat {
                worker: bench.worker,
                leases: leases.iter().map(|lease| lease.0.clone()).collect(),
            };
            let heard = bench
                .wire
                .ask(call, Duration::from_millis(HEARTBEAT_MS))
                .await;
            bench.gate.pass().await;
            let standings = match heard {
                Ok(Ok(Said::Standings(outcomes))) => {
                    let standings = outcomes.into_iter().map(|outcome| match outcome {
                        beating::Standing::Held(_) => Standing::Held,
                        beating::Standing::Cancelled => Standing::CancelRequested,
                        beating::Standing::Lost => Standing::Lost,
                    });
                    Some(leases.into_iter().zip(standings).collect())
                }
                Ok(_) | Err(_) => {
                    bench.wire.turn_elsewhere();
                    None
                }
            };
            let _gone = news.send(News::Beaten(sent, standings)).await;
        });
    }
}

impl Drop for Worker {
    /// However the process ends, its work ends with it.
    fn drop(&mut self) {
        for job in self.jobs.values() {
            self.bench
                .stage
                .witness()
                .work_ended(&job.delivery.task.lease);
        }
    }
}

fn grant(delivery: &Delivery) -> Grant {
    let lease: Bytes = Token::of(&delivery.task).encode().into();
    Grant {
        lease: LeaseToken(lease),
        task: TaskId(delivery.task.lease.task.to_string()),
        seq: delivery.task.lease.seq,
    }
}
