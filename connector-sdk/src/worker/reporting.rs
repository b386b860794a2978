//! Handing in outcomes, until each is accepted or refused for good.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use fulcrum_proto::{
    common::v1::{ErrorReason, ItemError},
    worker::v1::{
        ReportTasksRequest, ReportTasksResponse, TaskReport, task_report,
        task_report_result::Result as Reported, worker_service_client::WorkerServiceClient,
    },
};
use prost::Message as _;
use tokio::sync::mpsc;

use super::{desk::Desk, polling::timed, running::failed};
use crate::{
    Failure, Sent, backoff::Backoff, channel::Channel, code, lease::LeaseToken, refusal::Refusal,
    wire,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// A call carries one report of any size, or several up to this many bytes together.
const CALL_BYTES_MAX: usize = 2 << 20;

/// Hands in reports in the order they came, as many at a time as queued up during the last call. Ends when
/// nothing can come any more.
pub(super) async fn report(
    mut client: WorkerServiceClient<Channel>,
    desk: Arc<Desk>,
    mut outlet: mpsc::UnboundedReceiver<TaskReport>,
    batch_max: usize,
) {
    let mut queue = VecDeque::new();
    let mut backoff = Backoff::default();
    // Reports to hand in one by one, because the call they were in was refused as a whole.
    let mut suspects = 0_usize;
    loop {
        if queue.is_empty() {
            match outlet.recv().await {
                Some(report) => queue.push_back(report),
                None => return,
            }
        }
        while let Ok(report) = outlet.try_recv() {
            queue.push_back(report);
        }
        let batch = take_batch(&mut queue, if suspects > 0 { 1 } else { batch_max });
        suspects = suspects.saturating_sub(1);
        let request = ReportTasksRequest {
            next_slots: desk.next_slots(batch.len()),
            reports: batch.clone(),
        };
        let answer = client.report_tasks(timed(request, ANSWER_TIMEOUT)).await;
        let pause = match answer.map_err(Refusal::from) {
            Ok(response) => {
                let (again, pause) = settle(&desk, batch, response.into_inner());
                for report in again.into_iter().rev() {
                    queue.push_front(report);
                }
                match pause {
                    Some(asked) => backoff.next(asked),
                    None => {
                        backoff.reset();
                        continue;
                    }
                }
            }
            Err(refusal) => {
                let pause = backoff.next(refusal.retry_after);
                tracing::warn!(%refusal, ?pause, reports = batch.len(), "cannot hand in reports");
                if !refusal.is_temporary() {
                    if batch.len() > 1 {
                        suspects = batch.len();
                    } else {
                        queue.extend(replace_or_leave(&desk, batch, &refusal));
                        continue;
                    }
                }
                for report in batch.into_iter().rev() {
                    queue.push_front(report);
                }
                pause
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// The reports of the next call, at least one.
fn take_batch(queue: &mut VecDeque<TaskReport>, batch_max: usize) -> Vec<TaskReport> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(report) = queue.front() {
        bytes += report.encoded_len();
        if !batch.is_empty() && (bytes > CALL_BYTES_MAX || batch.len() >= batch_max) {
            break;
        }
        batch.extend(queue.pop_front());
    }
    batch
}

/// Takes in the answer to a batch. Gives the reports to hand in again, and the pause before that.
fn settle(
    desk: &Desk,
    batch: Vec<TaskReport>,
    answer: ReportTasksResponse,
) -> (Vec<TaskReport>, Option<Option<Duration>>) {
    let mut settled = Vec::with_capacity(batch.len());
    let mut again = Vec::new();
    let mut pause = None;
    let mut results = answer.results.into_iter();
    for report in batch {
        match results.next().and_then(|result| result.result) {
            Some(Reported::Accepted(_)) => settled.push(LeaseToken(report.lease)),
            Some(Reported::Error(error)) if is_temporary(&error) => {
                pause = pause.max(Some(error.retry_after.map(wire::std_duration)));
                again.push(report);
            }
            Some(Reported::Error(error)) => {
                tracing::warn!(
                    reason = error.reason().name(),
                    message = error.message,
                    "a report was refused"
                );
                settled.push(LeaseToken(report.lease));
            }
            // No answer to this one: ask again.
            None => {
                pause = pause.max(Some(None));
                again.push(report);
            }
        }
    }
    desk.reported(settled, answer.next_tasks);
    (again, pause)
}

fn is_temporary(error: &ItemError) -> bool {
    matches!(
        error.reason(),
        ErrorReason::Overloaded | ErrorReason::Draining | ErrorReason::StoreUnavailable
    )
}

/// What to hand in instead of a report that is refused whatever it comes with: a failure that says so. If even
/// that is refused, the lease is left to end.
fn replace_or_leave(desk: &Desk, batch: Vec<TaskReport>, refusal: &Refusal) -> Vec<TaskReport> {
    let failure = Failure::fatal(code::REPORT_REFUSED, refusal.to_string()).sent(Sent::Yes);
    let mut instead = Vec::new();
    for report in batch {
        match report.outcome {
            Some(task_report::Outcome::Completed(_) | task_report::Outcome::Parked(_)) => {
                instead.push(TaskReport {
                    outcome: Some(failed(&failure)),
                    ..report
                });
            }
            Some(task_report::Outcome::Failed(_)) | None => {
                desk.reported(vec![LeaseToken(report.lease)], Vec::new());
            }
        }
    }
    instead
}
