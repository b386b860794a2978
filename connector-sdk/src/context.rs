//! What a running task knows about itself, and its journal.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Decision, Failure, Question, Sent, code,
    journal::{
        operation::{Entry, Operation, Outcome, step_digest},
        recorder::{Detached, Recorder},
        state::{Begun, Journal},
    },
};

/// A running task, seen from its capability. Cheap to clone.
///
/// The journal methods ([`step`](Self::step), [`call`](Self::call), [`sleep`](Self::sleep),
/// [`review`](Self::review), [`wait`](Self::wait)) take a name that is used once per task. When a task can only
/// wait, its future is dropped and its slot given up; it begins anew on a later grant, where everything recorded
/// is given back at once. So whatever must not happen twice belongs into a step, and work in flight outside of a
/// step while something else is waited for is dropped and begun anew.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

/// What a task is, as granted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grant {
    pub(crate) namespace: String,
    pub(crate) run_id: String,
    pub(crate) step_key: String,
    pub(crate) capability: String,
    pub(crate) attempt: u32,
    pub(crate) effect_key: String,
    pub(crate) deadline: Option<Instant>,
}

struct Inner {
    grant: Grant,
    journal: Mutex<Journal>,
    recorder: Arc<dyn Recorder>,
    can_park: bool,
    cancelled: CancellationToken,
    ended: CancellationToken,
}

impl Context {
    /// A context without a task, for calling a capability directly: in an adapter's tests or a one-off tool.
    /// Steps run and are not recorded; what only a controller can do (call, sleep, review, wait) fails with code
    /// `DETACHED`.
    pub fn detached(effect_key: impl Into<String>) -> Self {
        let grant = Grant {
            effect_key: effect_key.into(),
            attempt: 1,
            ..Grant::default()
        };
        Self {
            inner: Arc::new(Inner {
                grant,
                journal: Mutex::default(),
                recorder: Arc::new(Detached),
                can_park: false,
                cancelled: CancellationToken::new(),
                ended: CancellationToken::new(),
            }),
        }
    }

    pub(crate) fn attached(
        grant: Grant,
        journal: Journal,
        recorder: Arc<dyn Recorder>,
        cancelled: CancellationToken,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                grant,
                journal: Mutex::new(journal),
                recorder,
                can_park: true,
                cancelled,
                ended: CancellationToken::new(),
            }),
        }
    }

    /// Stable key of this effect: the same on every attempt, never the same for two effects. Hand it to targets
    /// as their idempotency key.
    pub fn effect_key(&self) -> &str {
        &self.inner.grant.effect_key
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.inner.grant.attempt
    }

    /// Namespace of the run; empty if detached.
    pub fn namespace(&self) -> &str {
        &self.inner.grant.namespace
    }

    /// The run (`run_…`); empty if detached.
    pub fn run_id(&self) -> &str {
        &self.inner.grant.run_id
    }

    /// The step within the run; empty if detached.
    pub fn step_key(&self) -> &str {
        &self.inner.grant.step_key
    }

    /// The capability as the step called it; empty if detached.
    pub fn capability(&self) -> &str {
        &self.inner.grant.capability
    }

    /// When the call's time is up; `None` if it has no limit. Past it the call is dropped.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.grant.deadline
    }

    /// How much of the call's time is left; `None` if it has no limit.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.inner.grant.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Trips when the work should stop: the step is being cancelled. Wind up within a few seconds and return,
    /// or be dropped.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.inner.cancelled
    }

    /// Runs `work` once per task: its result is durable before it is returned, and on a later grant it is
    /// returned without running `work`. A failure is not recorded.
    ///
    /// # Errors
    /// What `work` failed with; `JOURNAL_NAME_REUSED` and `JOURNAL_INPUT_CHANGED`
    /// ([`JournalError`](crate::JournalError)); `LEASE_LOST` if the result could not be recorded any more.
    pub async fn step<T, W>(&self, name: &str, work: W) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        W: Future<Output = Result<T, Failure>>,
    {
        let digest = step_digest();
        if let Begun::Completed(outcome) = self.journal().begin(name, digest)? {
            return decode(name, outcome);
        }
        let in_flight = StepInFlight::start(self);
        let result = work.await?;
        let value = serde_json::to_value(&result).map_err(|error| {
            let message = format!("the result of step {name:?} is not JSON: {error}");
            Failure::fatal(code::OUTPUT_INVALID, message)
        })?;
        let entry = Entry {
            name: name.to_owned(),
            digest,
            outcome: Ok(value),
        };
        self.inner.recorder.record(entry).await?;
        drop(in_flight);
        Ok(result)
    }

    /// Calls another capability as a child step, with its own retries and its own place on the timeline.
    ///
    /// # Errors
    /// What the call failed with in the end; the journal's errors; `DETACHED`.
    pub async fn call<T: DeserializeOwned>(
        &self,
        name: &str,
        capability: &str,
        input: &impl Serialize,
    ) -> Result<T, Failure> {
        let input = serde_json::to_value(input).map_err(|error| {
            let message = format!("the input of call {name:?} is not JSON: {error}");
            Failure::fatal(code::INPUT_INVALID, message).sent(Sent::No)
        })?;
        let capability = capability.to_owned();
        let operation = Operation::Call { capability, input };
        decode(name, self.elsewhere(name, operation).await)
    }

    /// Sleeps so long by the controller's clock, without holding a slot.
    ///
    /// # Errors
    /// The journal's errors; `DETACHED`.
    pub async fn sleep(&self, name: &str, duration: Duration) -> Result<(), Failure> {
        let slept = self.elsewhere(name, Operation::SleepFor(duration)).await;
        slept.map(drop)
    }

    /// Sleeps until `at` by the controller's clock, without holding a slot. `at` must be the same on every
    /// grant: take it from the input or a step, not from the clock.
    ///
    /// # Errors
    /// The journal's errors; `DETACHED`.
    pub async fn sleep_until(&self, name: &str, at: SystemTime) -> Result<(), Failure> {
        self.elsewhere(name, Operation::SleepUntil(at))
            .await
            .map(drop)
    }

    /// Asks a person, and waits for the decision without holding a slot.
    ///
    /// # Errors
    /// `REVIEW_EXPIRED`; the journal's errors; `DETACHED`.
    pub async fn review(&self, name: &str, question: Question) -> Result<Decision, Failure> {
        decode(
            name,
            self.elsewhere(name, Operation::Review(question)).await,
        )
    }

    /// Waits for a signal to the run without holding a slot, and gives what it carried; `None` if `timeout`
    /// passed first.
    ///
    /// # Errors
    /// The journal's errors; `DETACHED`.
    pub async fn wait<T: DeserializeOwned>(
        &self,
        name: &str,
        signal: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<T>, Failure> {
        let signal = signal.to_owned();
        let operation = Operation::WaitSignal { signal, timeout };
        decode(name, self.elsewhere(name, operation).await)
    }

    /// The operations to park on, if the task, being pending, can do nothing but wait.
    pub(crate) fn parkable(&self) -> Option<Vec<(String, Operation)>> {
        self.journal().parkable()
    }

    /// Ends what still waits through a clone of this context.
    pub(crate) fn end(&self) {
        self.inner.ended.cancel();
    }

    /// Gives the recorded outcome of an operation that completes elsewhere, or waits to be parked.
    async fn elsewhere(&self, name: &str, operation: Operation) -> Outcome {
        if !self.inner.can_park {
            let message = format!("operation {name:?} needs a controller, and this call has none");
            return Err(Failure::fatal(code::DETACHED, message).sent(Sent::No));
        }
        {
            let mut journal = self.journal();
            if let Begun::Completed(outcome) = journal.begin(name, operation.digest())? {
                return outcome;
            }
            journal.wait(name, operation);
        }
        let _waiting = Waiting { ctx: self, name };
        self.inner.ended.cancelled().await;
        let message = format!("the task ended while {name:?} was waited for");
        Err(Failure::fatal(code::TASK_ENDED, message).sent(Sent::No))
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        // No code that can panic runs under this lock.
        self.inner
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode<T: DeserializeOwned>(name: &str, outcome: Outcome) -> Result<T, Failure> {
    let value: Value = outcome?;
    serde_json::from_value(value).map_err(|error| {
        let message = format!("the recorded result of {name:?} does not fit: {error}");
        Failure::fatal(code::OUTPUT_INVALID, message)
    })
}

/// Keeps a task from being parked while a step is in flight.
struct StepInFlight<'a>(&'a Context);

impl<'a> StepInFlight<'a> {
    fn start(ctx: &'a Context) -> Self {
        ctx.journal().step_started();
        Self(ctx)
    }
}

impl Drop for StepInFlight<'_> {
    fn drop(&mut self) {
        self.0.journal().step_ended();
    }
}

/// Forgets an operation nobody waits for any more, such as the loser of a race.
struct Waiting<'a> {
    ctx: &'a Context,
    name: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.ctx.journal().stop_waiting(self.name);
    }
}
