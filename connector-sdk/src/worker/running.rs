//! Doing one task: from its grant to its report.

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use fulcrum_proto::worker::v1::{
    CompletedOutcome, FailedOutcome, ParkedOutcome, Task, TaskReport, task_report,
    worker_service_client::WorkerServiceClient,
};
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    carrying::{self, Fetched},
    desk::Job,
    fitting::{fit, fit_parked},
    recording::LeaseRecorder,
};
use crate::{
    Capability, Context, Contract, EffectClass, Failure, Idempotency, Sent,
    channel::Channel,
    clock, code,
    context::Grant,
    journal::{operation::Operation, state::Journal},
    trace,
    transfer::Transfer,
    wire,
};

/// How long cancelled work may wind up before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// What all tasks of a worker share.
pub(super) struct Bench {
    pub(super) client: WorkerServiceClient<Channel>,
    pub(super) transfer: Transfer,
    pub(super) payload_bytes_max: usize,
    /// Trips when the drain's time is up and all work is to be dropped and reported.
    pub(super) give_up: CancellationToken,
}

/// How a task's work ended.
enum Ending {
    Done(Result<Value, Failure>),
    Parked(Vec<(String, Operation)>),
}

/// Does a task; `None` if its lease was lost, so that there is nothing to report.
pub(super) async fn run(
    bench: Arc<Bench>,
    capability: Option<Arc<dyn Capability>>,
    job: Job,
) -> Option<TaskReport> {
    let task = Arc::clone(&job.task);
    let started_at = clock::wall();
    let span = tracing::info_span!(
        "task",
        otel.name = format!("call {}", task.capability),
        otel.kind = "consumer",
        capability = task.capability,
        run = task.run_id,
        step = task.step_key,
        attempt = task.attempt,
    );
    trace::join(&span, &task.traceparent, &task.tracestate, task.attempt);
    let stop = job.stop.clone();
    let work = async {
        let ending = work(&bench, capability.clone(), job).await;
        let outcome = outcome(ending, bench.payload_bytes_max);
        carrying::lightened(&bench, &task.namespace, outcome, capability.as_deref()).await
    };
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => return None,
        outcome = work.instrument(span) => outcome,
    };
    Some(report(task.lease.clone(), outcome, started_at))
}

async fn work(bench: &Bench, capability: Option<Arc<dyn Capability>>, job: Job) -> Ending {
    let Some(capability) = capability else {
        let message = format!("this worker does not offer {}", job.task.capability);
        return Ending::Done(Err(Failure::recoverable(
            code::CAPABILITY_NOT_OFFERED,
            message,
        )
        .sent(Sent::No)));
    };
    let contract = capability.contract();
    let time_left = job.task.time_left.map(wire::std_duration);
    let close_by = time_left.and_then(|left| Instant::now().checked_add(left));
    let fetched = tokio::select! {
        biased;
        fetched = carrying::fetched(bench, &job.task) => fetched,
        () = deadline(close_by) => Err(before(code::START_TO_CLOSE_TIMEOUT)),
        () = job.cancel.cancelled() => Err(before(code::CANCELLED)),
        () = bench.give_up.cancelled() => Err(before(code::WORKER_STOPPED)),
    };
    let (ctx, input) = match fetched.and_then(|fetched| unpack(bench, &job, fetched, close_by)) {
        Ok(unpacked) => unpacked,
        Err(failure) => return Ending::Done(Err(failure)),
    };
    let call = AssertUnwindSafe(capability.call(&ctx, input)).catch_unwind();
    let ending = tokio::select! {
        biased;
        ended = until_done_or_parked(&ctx, call) => match ended {
            Ok(ending) => ending,
            Err(panic) => Ending::Done(Err(interrupted(contract, code::PANICKED, panic_text(&*panic)))),
        },
        () = deadline(ctx.deadline()) => Ending::Done(Err(interrupted(
            contract,
            code::START_TO_CLOSE_TIMEOUT,
            "the step's time was up before the call was done",
        ))),
        () = after(&job.cancel, CANCEL_GRACE) => Ending::Done(Err(interrupted(
            contract,
            code::CANCELLED,
            "the step was cancelled before the call was done",
        ))),
        () = bench.give_up.cancelled() => Ending::Done(Err(interrupted(
            contract,
            code::WORKER_STOPPED,
            "the worker was stopped before the call was done",
        ))),
    };
    ctx.end();
    if let Ending::Done(Err(failure)) = &ending {
        tracing::info!(%failure, class = ?failure.class, "the call failed");
    }
    ending
}

fn unpack(
    bench: &Bench,
    job: &Job,
    fetched: Fetched,
    deadline: Option<Instant>,
) -> Result<(Context, Value), Failure> {
    let task: &Task = &job.task;
    let input = wire::value(fetched.input)?;
    let entries = fetched.journal.into_iter().map(wire::entry_from_wire);
    let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    let grant = Grant {
        namespace: task.namespace.clone(),
        run_id: task.run_id.clone(),
        step_key: task.step_key.clone(),
        capability: task.capability.clone(),
        attempt: task.attempt,
        effect_key: task.effect_key.clone(),
        deadline,
    };
    let recorder = LeaseRecorder {
        client: bench.client.clone(),
        transfer: bench.transfer.clone(),
        namespace: task.namespace.clone(),
        lease: task.lease.clone(),
        payload_bytes_max: bench.payload_bytes_max,
        stop: job.stop.clone(),
    };
    let journal = Journal::new(entries);
    let ctx = Context::attached(grant, journal, Arc::new(recorder), job.cancel.clone());
    Ok((ctx, input))
}

/// Polls the call until it is done, panics, or can do nothing but wait.
async fn until_done_or_parked<E>(
    ctx: &Context,
    call: impl Future<Output = Result<Result<Value, Failure>, E>>,
) -> Result<Ending, E> {
    let mut call = pin!(call);
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map(Ending::Done)),
        Poll::Pending => match ctx.parkable() {
            Some(operations) => Poll::Ready(Ok(Ending::Parked(operations))),
            None => Poll::Pending,
        },
    })
    .await
}

async fn deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn after(token: &CancellationToken, grace: Duration) {
    token.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// A call that was not begun: its values had not all come.
fn before(code: &str) -> Failure {
    Failure::transient(code, "the task's values had not all come").sent(Sent::No)
}

/// A call that was dropped midway. Where doing it twice is harmless, it may simply be done again; otherwise
/// nobody knows what it did.
pub(super) fn interrupted(contract: &Contract, code: &str, message: impl Into<String>) -> Failure {
    match (contract.effect, contract.idempotency) {
        (EffectClass::Read, _) | (_, Idempotency::Natural | Idempotency::Keyed) => {
            Failure::transient(code, message)
        }
        (
            EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward,
            Idempotency::None,
        ) => Failure::unknown(code, message),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the capability panicked: {}", text.unwrap_or("no message"))
}

fn outcome(ending: Ending, payload_bytes_max: usize) -> task_report::Outcome {
    let fitting = match ending {
        Ending::Done(Ok(output)) => {
            let output = wire::payload(&output);
            fit("the output", &output, payload_bytes_max).map(|()| {
                task_report::Outcome::Completed(CompletedOutcome {
                    output: Some(output),
                })
            })
        }
        Ending::Done(Err(failure)) => Err(failure),
        Ending::Parked(operations) => {
            let operations: Vec<_> = operations
                .into_iter()
                .map(|(name, operation)| wire::parked(name, operation))
                .collect();
            operations
                .iter()
                .try_for_each(|parked| fit_parked(parked, payload_bytes_max))
                .map(|()| task_report::Outcome::Parked(ParkedOutcome { operations }))
        }
    };
    fitting.unwrap_or_else(|failure| failed(&failure))
}

pub(super) fn failed(failure: &Failure) -> task_report::Outcome {
    task_report::Outcome::Failed(FailedOutcome {
        failure: Some(wire::failure(failure)),
    })
}

fn report(lease: Bytes, outcome: task_report::Outcome, started_at: SystemTime) -> TaskReport {
    TaskReport {
        lease,
        started_at: Some(started_at.into()),
        finished_at: Some(clock::wall().into()),
        outcome: Some(outcome),
    }
}
