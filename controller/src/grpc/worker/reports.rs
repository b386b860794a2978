//! Reports: many a call, each taken or refused by itself, and the next tasks in the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use fulcrum_core::decide::command::ReportOutcome;
use fulcrum_proto::worker::v1 as wire;
use fulcrum_proto::worker::v1::task_report::Outcome;
use futures_util::future::join_all;

use super::{REPORT_BATCH_MAX, Workers, too_many, worker_id};
use crate::engine::handle::EngineError;
use crate::engine::token::{InvalidToken, LeaseToken};
use crate::engine::working::LeaseCall;
use crate::grpc::convert::{failure, fault, operation, payload, time};
use crate::server::authorize::Caller;
use crate::server::fault::Fault;

/// A call that hands in reports is over by then.
const REPORT_SEAT_MAX: Duration = Duration::from_secs(60);

impl Workers {
    pub(super) async fn reports(
        &self,
        caller: &Caller,
        request: wire::ReportTasksRequest,
    ) -> Result<wire::ReportTasksResponse, Fault> {
        let worker = worker_id(caller);
        let wire::ReportTasksRequest {
            mut reports,
            next_slots,
            whole_bytes_max,
        } = request;
        let whole_bytes_max = payload::whole_bytes_max(whole_bytes_max);
        if reports.len() > REPORT_BATCH_MAX {
            return Err(too_many("reports", REPORT_BATCH_MAX, reports.len()));
        }
        let served = self.registrations.served(caller).await.ok();
        let tokens: Vec<Result<LeaseToken, InvalidToken>> = reports
            .iter()
            .map(|report| self.seal.open(&report.lease))
            .collect();
        // A call that is repeated because its answer was lost gets the same next tasks again; it may be several in one.
        let names: Vec<String> = tokens.iter().flatten().map(name).collect();
        let mut again: BTreeMap<_, _> = names
            .iter()
            .filter_map(|name| self.engine.repeated(worker, name))
            .flatten()
            .map(|parcel| (parcel.task.lease.nonce, parcel))
            .collect();
        // What it reports on, it was told of.
        for token in tokens.iter().flatten() {
            again.remove(&token.lease.nonce);
        }
        let most = usize::try_from(next_slots).unwrap_or(usize::MAX);
        let again: Vec<_> = again.into_values().take(most).collect();
        let seat = served.as_deref().and_then(|served| {
            let slots = next_slots.min(count(reports.len()));
            // What it was granted before takes its place in the answer.
            let slots = slots.saturating_sub(count(again.len()));
            self.engine.report_seat(LeaseCall {
                worker,
                namespace: served.namespace,
                capabilities: served.capabilities.iter().cloned().collect(),
                slots,
                wait: REPORT_SEAT_MAX,
                call_id: names.into_iter().next().unwrap_or_default(),
                whole_bytes_max,
            })
        });

        let outcomes = reports.iter_mut().map(|report| report.outcome.as_mut());
        let apart = outcomes
            .enumerate()
            .map(|(n, outcome)| (n, outcome.map(Outcome::payloads_mut).unwrap_or_default()))
            .filter(|(_, payloads)| payloads.iter().any(|payload| payload.is_handle()))
            .map(async |(n, payloads)| (n, self.redeem(caller, payloads).await));
        let mut redeemed: BTreeMap<_, _> = join_all(apart).await.into_iter().collect();
        // All are handed to the engine before the first is waited for, so that one commit can hold them.
        let taken: Vec<_> = reports
            .into_iter()
            .zip(tokens)
            .enumerate()
            .map(|(n, (report, token))| {
                let held = redeemed.remove(&n).transpose()?;
                let accepted = self.take_report(caller, report, token?)?;
                Ok::<_, Fault>((held, accepted))
            })
            .collect();
        let mut results = Vec::with_capacity(taken.len());
        for report in taken {
            let result = match report {
                Ok((_held, accepted)) => accepted.await.map_err(Fault::from),
                Err(fault) => Err(fault),
            };
            results.push(answer(result));
        }

        let next_tasks = match &served {
            Some(served) => {
                let ttl = time::span(self.engine.lease);
                let next = self.engine.next_tasks(seat, again, whole_bytes_max).await;
                next.into_iter()
                    .map(|delivery| self.task(delivery, worker, served, ttl))
                    .collect()
            }
            None => Vec::new(),
        };
        Ok(wire::ReportTasksResponse {
            results,
            next_tasks,
        })
    }

    /// Hands a report to the engine; what it gives waits for the commit.
    fn take_report(
        &self,
        caller: &Caller,
        report: wire::TaskReport,
        token: LeaseToken,
    ) -> Result<impl Future<Output = Result<(), EngineError>> + use<>, Fault> {
        let mut namer = self.engine.namer(token.run)?;
        let outcome = match report.outcome {
            None => return Err(Fault::field("outcome", "is missing")),
            Some(Outcome::Completed(done)) => ReportOutcome::Completed {
                output: namer.name(payload::required("completed.output", done.output)?)?,
            },
            Some(Outcome::Failed(failed)) => {
                let wire = failed
                    .failure
                    .ok_or_else(|| Fault::field("failed.failure", "is missing"))?;
                let (failure, details) = failure::to_failure("failed.failure", wire)?;
                let details = details.map(|details| namer.name(details)).transpose()?;
                ReportOutcome::Failed { failure, details }
            }
            Some(Outcome::Parked(parked)) => {
                let operations = parked
                    .operations
                    .into_iter()
                    .enumerate()
                    .map(|(i, parked)| {
                        operation::to_operation(
                            &format!("parked.operations[{i}]"),
                            parked,
                            &mut namer,
                        )
                    });
                ReportOutcome::Parked {
                    operations: operations.collect::<Result<_, _>>()?,
                }
            }
        };
        // A call hands in reports of many runs, so its trace is none of theirs: each has the trace of its run.
        Ok(self.engine.report(worker_id(caller), token, outcome, None))
    }
}

fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

/// Names a report: the nonce of its lease is its own.
fn name(token: &LeaseToken) -> String {
    format!("report/{}", token.lease.nonce)
}

fn answer(result: Result<(), Fault>) -> wire::TaskReportResult {
    use wire::task_report_result::Result as Answer;
    wire::TaskReportResult {
        result: Some(match result {
            Ok(()) => Answer::Accepted(wire::ReportAccepted {}),
            Err(fault) => Answer::Error(fault::item_error(fault)),
        }),
    }
}
