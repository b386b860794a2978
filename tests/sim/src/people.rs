//! People and their programs: they start runs, send signals, decide reviews and cancel, sometimes twice, and repeat a
//! call until they hear an answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulcrum_core::ids::RunId;
use fulcrum_core::store::ReviewRow;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Stage;
use crate::cluster::call::{Call, Refusal, Said, Verdict};
use crate::cluster::network::Wire;
use crate::oracle::ledger::{Ledger, Started};
use crate::stage::dice::{Dice, PerMille};
use crate::stage::sometimes::Sometimes;
use crate::workflows::Workflow;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls made again before something is said to be wrong. In a storm many are needed.
const TRIES_MAX: u32 = 400;

/// Somebody with a terminal.
#[derive(Clone)]
pub struct Person {
    stage: Arc<Stage>,
    name: &'static str,
    wire: Wire,
    dice: Dice,
    ledger: Arc<Mutex<Ledger>>,
}

impl Person {
    /// Somebody.
    #[must_use]
    pub fn new(
        stage: Arc<Stage>,
        name: &'static str,
        wire: Wire,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let dice = Dice::of(stage.seed, name);
        Self {
            stage,
            name,
            wire,
            dice,
            ledger,
        }
    }

    /// Starts so many runs and does with them what people do.
    pub async fn start_runs(self, count: u64) {
        let mut errands = JoinSet::new();
        for n in 0..count {
            tokio::time::sleep(self.dice.span_ms(0, 4_000)).await;
            let workflow = Workflow::ALL[self.dice.index(Workflow::ALL.len())];
            let Some(run) = self.start(n, workflow).await else {
                continue;
            };
            if workflow == Workflow::Hear {
                for k in 0..self.dice.below(4) {
                    let marker = format!("{}-{n}-go{k}", self.name);
                    errands.spawn(self.clone().signal(run, marker));
                }
            }
            if self.dice.happens(PerMille(150)) {
                let request = format!("{}-{n}-cancel", self.name);
                errands.spawn(self.clone().cancel(run, request.clone()));
                if self.dice.happens(PerMille(300)) {
                    errands.spawn(self.clone().cancel(run, format!("{request}-again")));
                }
            }
        }
        while errands.join_next().await.is_some() {}
    }

    async fn start(&self, n: u64, workflow: Workflow) -> Option<RunId> {
        let request = format!("{}-{n}", self.name);
        let key = self
            .dice
            .happens(PerMille(200))
            .then(|| format!("{}-key{}", workflow.name(), self.dice.below(2)));
        // Whoever comes with a key comes with the input that belongs to it.
        let input = match &key {
            Some(key) => workflow.input(&Dice::of(self.stage.seed, key)),
            None => workflow.input(&self.dice),
        };
        let times = if self.dice.happens(PerMille(150)) {
            2
        } else {
            1
        };
        let mut first = None;
        for _ in 0..times {
            let call = Call::Start {
                request: request.clone(),
                key: key.clone(),
                workflow: workflow.name(),
                input: input.clone(),
            };
            let run = match self.insist(call).await {
                Some(Ok(Said::Started(run))) => run,
                Some(answer) => {
                    self.stage
                        .problem(format_args!("start {request} is answered {answer:?}"));
                    return None;
                }
                None => return None,
            };
            self.stage.note(
                self.name,
                format_args!("{request} is {} {run}", workflow.name()),
            );
            if first.is_some_and(|first| first != run) {
                self.stage
                    .problem(format_args!("{request} started {first:?} and {run}"));
            }
            first = Some(run);
            let mut ledger = self.ledger();
            if let Some(key) = &key {
                let holder = *ledger.keys.entry(key.clone()).or_insert(run);
                if holder != run {
                    self.stage
                        .problem(format_args!("key {key} belongs to {holder} and {run}"));
                }
            }
            let started = Started {
                run,
                workflow,
                input: input.clone(),
            };
            ledger.started.insert(request.clone(), started);
        }
        first
    }

    async fn signal(self, run: RunId, marker: String) {
        tokio::time::sleep(self.dice.span_ms(0, 14_000)).await;
        let times = if self.dice.happens(PerMille(300)) {
            2
        } else {
            1
        };
        for time in 0..times {
            let call = Call::Signal {
                request: marker.clone(),
                run,
                name: "go",
                payload: json!(marker),
            };
            match self.insist(call).await {
                Some(Ok(_)) => {
                    self.ledger().signals.insert(marker.clone(), run);
                    if time > 0 {
                        self.stage.saw(Sometimes::SignalSentTwice);
                    }
                }
                Some(Err(Refusal::RunClosed)) | None => {}
                Some(Err(refusal)) => self
                    .stage
                    .problem(format_args!("signal {marker} to {run}: {refusal:?}")),
            }
        }
    }

    async fn cancel(self, run: RunId, request: String) {
        tokio::time::sleep(self.dice.span_ms(0, 4_000)).await;
        self.ledger().cancelled.push(run);
        match self.insist(Call::Cancel { request, run }).await {
            Some(Ok(_)) => self.ledger().cancels.push(run),
            Some(Err(Refusal::RunClosed)) | None => {}
            Some(Err(refusal)) => self
                .stage
                .problem(format_args!("cancel of {run}: {refusal:?}")),
        }
    }

    /// Looks into the inbox now and then and decides what is in it, or leaves it to expire.
    pub async fn keep_inbox(self) {
        let mut met = BTreeSet::new();
        let mut errands = JoinSet::new();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            for review in self.stage.database.open_reviews() {
                if !met.insert(review.review) || self.dice.happens(PerMille(250)) {
                    continue;
                }
                let verdict = if self.dice.happens(PerMille(300)) {
                    Verdict::No
                } else {
                    Verdict::Yes
                };
                let request = format!("{}-{}", self.name, review.review);
                if self.dice.happens(PerMille(250)) {
                    let other = match verdict {
                        Verdict::Yes => Verdict::No,
                        Verdict::No => Verdict::Yes,
                    };
                    let again = self.clone();
                    self.stage.saw(Sometimes::ReviewDecidedTwice);
                    errands.spawn(again.decide(review.clone(), format!("{request}-again"), other));
                }
                errands.spawn(self.clone().decide(review, request, verdict));
            }
        }
    }

    async fn decide(self, review: ReviewRow, request: String, verdict: Verdict) {
        tokio::time::sleep(self.dice.span_ms(0, 3_000)).await;
        let call = Call::Decide {
            request,
            run: review.run,
            review: review.review,
            shown: review.content.hash,
            verdict,
        };
        match self.insist(call).await {
            Some(Ok(_)) => self
                .ledger()
                .decisions
                .push((review.run, review.review, verdict)),
            Some(Err(Refusal::ReviewClosed | Refusal::RunClosed)) | None => {}
            Some(Err(refusal)) => self
                .stage
                .problem(format_args!("decision on {}: {refusal:?}", review.review)),
        }
    }

    /// Makes a call until it is answered for good.
    async fn insist(&self, call: Call) -> Option<Result<Said, Refusal>> {
        for _ in 0..TRIES_MAX {
            match self.wire.ask(call.clone(), PATIENCE).await {
                Ok(Err(Refusal::Later(_))) | Err(_) => {
                    self.wire.turn_elsewhere();
                    tokio::time::sleep(self.dice.span_ms(50, 800)).await;
                }
                Ok(answer) => return Some(answer),
            }
        }
        self.stage
            .problem(format_args!("nobody answers {}: {call:?}", self.name));
        None
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
