//! Handing in outcomes, until each is accepted or refused for good.
//!
//! A refusal is for good when it is about the report or its lease. One that is about the controller (it is busy,
//! leaving, cut off from its database, or has a defect) is not: the report is handed in again, with backoff, for as
//! long as its lease may be held.

use std::{sync::Arc, time::Duration};

use fulcrum_proto::{
    common::v1::{ErrorReason, ItemError},
    worker::v1::{
        ReportTasksRequest, ReportTasksResponse, TaskReport, task_report,
        task_report_result::Result as Reported, worker_service_client::WorkerServiceClient,
    },
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::Instant};
use tonic::Code;

use super::{
    desk::Desk,
    outbox::{Outbox, Waiting},
    polling::timed,
    registering::Registration,
    running::failed,
};
use crate::{
    Failure, FailureClass, Sent, backoff::Backoff, channel::Channel, code, lease::LeaseToken,
    refusal::Refusal, transfer::WHOLE_BYTES_MAX, wire,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Calls under way at a time. While the controller commits what one brought, the next is on its way.
const CALLS_MAX: usize = 4;
/// With so many under way, another is made for a full batch only: few large calls cost less than many small ones.
const CALLS_EAGER: usize = 2;

/// Hands in reports in the order they came, as many at a time as queued up during earlier calls. Ends when nothing can
/// come any more.
pub(super) async fn report(
    mut client: WorkerServiceClient<Channel>,
    desk: Arc<Desk>,
    registration: Arc<Registration>,
    mut outlet: mpsc::UnboundedReceiver<TaskReport>,
    batch_max: usize,
) {
    let mut outbox = Outbox::default();
    let mut backoff = Backoff::default();
    let mut paused_until = Instant::now();
    let mut calls = FuturesUnordered::new();
    let mut open = true;
    while open || !outbox.is_empty() || !calls.is_empty() {
        while Instant::now() >= paused_until
            && (calls.len() < CALLS_EAGER || (calls.len() < CALLS_MAX && outbox.len() >= batch_max))
        {
            let batch = outbox.take(Instant::now(), batch_max);
            if batch.is_empty() {
                break;
            }
            calls.push(hand_in(client.clone(), &desk, batch));
        }
        let next = outbox
            .next_due()
            .filter(|_| calls.len() < CALLS_EAGER)
            .map(|due| due.max(paused_until));
        tokio::select! {
            biased;
            Some((batch, answer)) = calls.next() => match answer {
                Ok(response) => {
                    backoff.reset();
                    settle(&desk, &mut outbox, batch, response);
                }
                Err(refusal) => {
                    // Calls that fail together are one failure.
                    if Instant::now() >= paused_until {
                        let pause = backoff.next(refusal.retry_after);
                        paused_until = Instant::now() + pause;
                        tracing::warn!(%refusal, ?pause, reports = batch.len(), "cannot hand in reports");
                    }
                    if refusal.reason == Some(ErrorReason::NotRegistered) {
                        // A refusal of this, too, is seen by those who ask for tasks.
                        let _ = registration.renew(&mut client).await;
                        outbox.put_back(batch);
                    } else {
                        refused(&desk, &mut outbox, batch, &refusal);
                    }
                }
            },
            arrived = outlet.recv(), if open => {
                open = arrived.is_some();
                let queued = std::iter::from_fn(|| outlet.try_recv().ok());
                for report in arrived.into_iter().chain(queued) {
                    outbox.push(Waiting::new(report, Instant::now()));
                }
            }
            () = at(next) => {}
        }
    }
}

/// Waits for an instant; for ever, if there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// One call.
async fn hand_in(
    mut client: WorkerServiceClient<Channel>,
    desk: &Desk,
    batch: Vec<Waiting>,
) -> (Vec<Waiting>, Result<ReportTasksResponse, Refusal>) {
    let request = ReportTasksRequest {
        next_slots: desk.next_slots(batch.len()),
        reports: batch.iter().map(|waiting| waiting.report.clone()).collect(),
        whole_bytes_max: WHOLE_BYTES_MAX as u64,
    };
    let answer = client.report_tasks(timed(request, ANSWER_TIMEOUT)).await;
    let answer = answer.map(tonic::Response::into_inner);
    (batch, answer.map_err(Refusal::from))
}

/// What the answer to one report means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is over with.
    Final,
    /// The controller cannot take it now.
    Later,
    /// The controller failed on it: a defect, or a limit that may have room again.
    Defect,
}

fn verdict(error: &ItemError) -> Verdict {
    match error.reason() {
        ErrorReason::Overloaded
        | ErrorReason::Draining
        | ErrorReason::StoreUnavailable
        | ErrorReason::RunNewer => Verdict::Later,
        ErrorReason::Internal
        | ErrorReason::LimitExceeded
        // What was uploaded of it is lost, and nothing else was kept.
        | ErrorReason::HandleExpired
        | ErrorReason::HandleInvalid => Verdict::Defect,
        // A reason of a later version: whether to come back is said beside it.
        ErrorReason::Unspecified if error.retry_after.is_some() => Verdict::Defect,
        _ => Verdict::Final,
    }
}

/// Takes in the answer to a batch.
fn settle(desk: &Desk, outbox: &mut Outbox, batch: Vec<Waiting>, answer: ReportTasksResponse) {
    let now = Instant::now();
    let mut settled = Vec::with_capacity(batch.len());
    let mut again = Vec::new();
    let mut results = answer.results.into_iter();
    for mut waiting in batch {
        let lease = LeaseToken(waiting.report.lease.clone());
        let error = match results.next().and_then(|result| result.result) {
            Some(Reported::Accepted(_)) => {
                settled.push(lease);
                continue;
            }
            Some(Reported::Error(error)) => error,
            // No answer to this one is a defect too.
            None => ItemError {
                reason: ErrorReason::Internal.into(),
                ..ItemError::default()
            },
        };
        let reason = error.reason().name();
        let asked = error.retry_after.map(wire::std_duration);
        let verdict = match desk.may_hold(&lease) {
            true => verdict(&error),
            false => Verdict::Final,
        };
        match verdict {
            Verdict::Final => {
                tracing::warn!(reason, message = error.message, "a report was refused");
                settled.push(lease);
            }
            Verdict::Later => again.push(waiting.later(now, asked)),
            Verdict::Defect if waiting.failed_too_often() => {
                let why = format!("{reason}: {}", error.message);
                match instead(waiting.report, FailureClass::Unknown, why) {
                    Some(report) => again.push(Waiting::new(report, now)),
                    None => settled.push(lease),
                }
            }
            Verdict::Defect => again.push(waiting.later(now, asked)),
        }
    }
    outbox.put_back(again);
    desk.reported(settled, answer.next_tasks);
}

/// Takes in that a call was refused as a whole.
fn refused(desk: &Desk, outbox: &mut Outbox, batch: Vec<Waiting>, refusal: &Refusal) {
    let defect = refusal.code == Code::Internal && refusal.reason == Some(ErrorReason::Internal);
    if refusal.is_temporary() && !defect {
        outbox.put_back(batch);
        return;
    }
    if batch.len() > 1 {
        // One of them may be the cause: each by itself will tell.
        outbox.put_back(batch.into_iter().map(Waiting::alone).collect());
        return;
    }
    let now = Instant::now();
    for mut waiting in batch {
        if defect && !waiting.failed_too_often() {
            outbox.put_back(vec![waiting.later(now, refusal.retry_after)]);
            continue;
        }
        let class = match defect {
            true => FailureClass::Unknown,
            false => FailureClass::Fatal,
        };
        let lease = LeaseToken(waiting.report.lease.clone());
        match instead(waiting.report, class, refusal.to_string()) {
            Some(report) => outbox.put_back(vec![Waiting::new(report, now).alone()]),
            None => desk.reported(vec![lease], Vec::new()),
        }
    }
}

/// What to hand in instead of a report that will not be taken: a failure that says so. If it is one already, nothing,
/// and the lease is left to end.
fn instead(report: TaskReport, class: FailureClass, why: String) -> Option<TaskReport> {
    match report.outcome {
        Some(task_report::Outcome::Completed(_) | task_report::Outcome::Parked(_)) => {
            let failure = Failure::new(class, code::REPORT_REFUSED, why).sent(Sent::Yes);
            Some(TaskReport {
                outcome: Some(failed(&failure)),
                ..report
            })
        }
        Some(task_report::Outcome::Failed(_)) | None => None,
    }
}
