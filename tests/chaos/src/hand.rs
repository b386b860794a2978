//! A worker moved by the test, call by call, on the same mTLS path as any other. It does nothing by itself: no beat, no
//! retry, so that what reached the controller, and in which order, is exactly what the test says.

use std::time::Duration;

use fulcrum_e2e::api;
use fulcrum_e2e::stack::Stack;
use fulcrum_proto::common::v1::{
    CapabilityContract, EffectClass, ErrorReason, Failure, FailureClass, Idempotency,
};
use fulcrum_proto::worker::v1::parked_operation::Operation;
use fulcrum_proto::worker::v1::task_report::Outcome;
use fulcrum_proto::worker::v1::task_report_result::Result as Reported;
use fulcrum_proto::worker::v1::worker_service_client::WorkerServiceClient;
use fulcrum_proto::worker::v1::{
    AppendJournalRequest, AppendJournalResponse, CallOperation, CompletedOutcome, FailedOutcome,
    HeartbeatLease, HeartbeatRequest, JournalEntry, LeaseState, LeaseTasksRequest, ParkedOperation,
    ParkedOutcome, RegisterRequest, ReportTasksRequest, ReportTasksResponse, Task, TaskReport,
};
use fulcrum_sdk::channel::{self, Channel};
use fulcrum_sdk::{IdentityDir, Refusal, client};
use serde_json::Value;
use tonic::Status;

/// A worker's hand.
#[derive(Clone)]
pub struct Hand {
    client: WorkerServiceClient<Channel>,
    capabilities: Vec<String>,
    output_schema: String,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It was accepted, now or before.
    Accepted,
    /// It was refused for this reason.
    Refused(ErrorReason),
}

impl Hand {
    /// Joins as `name` and registers these capabilities: irreversible, and harmless to repeat.
    pub async fn join(stack: &Stack, name: &str, capabilities: &[&str]) -> anyhow::Result<Self> {
        let identity = stack.identity(name, "executor").await?;
        let hand = Self::at(&stack.controllers[0].endpoint(), &identity, capabilities)?;
        hand.settled().await;
        Ok(hand)
    }

    /// The hand of a worker that has joined, at this controller. Registers nothing.
    pub fn at(
        endpoint: &str,
        identity: &IdentityDir,
        capabilities: &[&str],
    ) -> anyhow::Result<Self> {
        let channel = channel::connect_lazy(endpoint, &identity.load()?)?;
        Ok(Self {
            client: client::worker(channel),
            capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
            output_schema: "true".to_owned(),
        })
    }

    /// Promises outputs that fit this JSON Schema from its next registration on.
    #[must_use]
    pub fn promising(mut self, output_schema: &Value) -> Self {
        self.output_schema = output_schema.to_string();
        self
    }

    /// Registers until the controller takes it: its list of identities is a moment behind.
    pub async fn settled(&self) {
        fulcrum_e2e::wait::until("the worker is registered", || self.register()).await;
    }

    /// Says what it can do.
    pub async fn register(&self) -> Result<(), Status> {
        let contracts = self.capabilities.iter().map(|name| CapabilityContract {
            name: name.clone(),
            version: 1,
            input_schema: b"true".to_vec().into(),
            output_schema: self.output_schema.clone().into_bytes().into(),
            effect: EffectClass::Irreversible.into(),
            idempotency: Idempotency::Keyed.into(),
            ..CapabilityContract::default()
        });
        let request = RegisterRequest {
            contracts: contracts.collect(),
            sdk_version: "fulcrum-chaos/0".to_owned(),
            slots: 100,
            ..RegisterRequest::default()
        };
        self.client.clone().register(request).await.map(drop)
    }

    /// Asks for tasks under this call id.
    pub async fn lease(
        &self,
        slots: u32,
        wait: Duration,
        call_id: &str,
    ) -> Result<Vec<Task>, Status> {
        let request = LeaseTasksRequest {
            capabilities: Vec::new(),
            slots,
            wait: wait.try_into().ok(),
            call_id: call_id.to_owned(),
            whole_bytes_max: 0,
        };
        let answer = self.client.clone().lease_tasks(request).await?;
        Ok(answer.into_inner().tasks)
    }

    /// Asks until it has so many tasks; fails when there are none for long.
    pub async fn take(&self, tasks: usize) -> anyhow::Result<Vec<Task>> {
        let mut taken = Vec::new();
        while taken.len() < tasks {
            let slots = u32::try_from(tasks - taken.len())?.min(100);
            let more = self
                .lease(slots, Duration::from_secs(30), &api::request_id()?)
                .await?;
            anyhow::ensure!(!more.is_empty(), "only {} of {tasks} tasks", taken.len());
            taken.extend(more);
        }
        Ok(taken)
    }

    /// Sends a heartbeat for these leases.
    pub async fn beat<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t Task>,
    ) -> Result<Vec<LeaseState>, Status> {
        let leases = tasks.into_iter().map(|task| HeartbeatLease {
            lease: task.lease.clone(),
            progress: None,
        });
        let request = HeartbeatRequest {
            leases: leases.collect(),
        };
        let answer = self.client.clone().heartbeat(request).await?.into_inner();
        Ok(answer.results.iter().map(|result| result.state()).collect())
    }

    /// Reports these tasks as done with this result.
    pub async fn complete<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t Task>,
        output: &Value,
    ) -> Result<Vec<Receipt>, Status> {
        let outcome = Outcome::Completed(CompletedOutcome {
            output: Some(api::from_json(output)),
        });
        self.report(tasks, &outcome, 0)
            .await
            .map(|answer| receipts(&answer))
    }

    /// Reports these tasks as failed in a way that may go away.
    pub async fn fail<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t Task>,
    ) -> Result<Vec<Receipt>, Status> {
        let outcome = Outcome::Failed(FailedOutcome {
            failure: Some(Failure {
                class: FailureClass::Transient.into(),
                code: "BUSY".to_owned(),
                message: "told to fail".to_owned(),
                ..Failure::default()
            }),
        });
        self.report(tasks, &outcome, 0)
            .await
            .map(|answer| receipts(&answer))
    }

    /// Parks a task on a child call.
    pub async fn park(&self, task: &Task, name: &str) -> Result<Receipt, Status> {
        let outcome = Outcome::Parked(ParkedOutcome {
            operations: vec![ParkedOperation {
                name: name.to_owned(),
                input_digest: vec![7; 32].into(),
                operation: Some(Operation::Call(CallOperation {
                    capability: self.capabilities.first().cloned().unwrap_or_default(),
                    input: Some(api::from_json(&Value::Null)),
                })),
            }],
        });
        let answer = self.report([task], &outcome, 0).await?;
        let receipt = receipts(&answer).pop();
        Ok(receipt.unwrap_or(Receipt::Refused(ErrorReason::Unspecified)))
    }

    /// Reports this outcome of each task, ready to take so many more.
    pub async fn report<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t Task>,
        outcome: &Outcome,
        next_slots: u32,
    ) -> Result<ReportTasksResponse, Status> {
        let reports = tasks.into_iter().map(|task| TaskReport {
            lease: task.lease.clone(),
            outcome: Some(outcome.clone()),
            ..TaskReport::default()
        });
        let request = ReportTasksRequest {
            reports: reports.collect(),
            next_slots,
            whole_bytes_max: 0,
        };
        Ok(self
            .client
            .clone()
            .report_tasks(request)
            .await?
            .into_inner())
    }

    /// Records a completed operation in a task's journal.
    pub async fn append(
        &self,
        task: &Task,
        name: &str,
        output: &Value,
    ) -> Result<AppendJournalResponse, Status> {
        use fulcrum_proto::worker::v1::journal_entry::Outcome as Recorded;
        let request = AppendJournalRequest {
            lease: task.lease.clone(),
            entries: vec![JournalEntry {
                name: name.to_owned(),
                input_digest: vec![7; 32].into(),
                outcome: Some(Recorded::Output(api::from_json(output))),
            }],
        };
        Ok(self
            .client
            .clone()
            .append_journal(request)
            .await?
            .into_inner())
    }
}

/// What became of each report of a call.
pub fn receipts(answer: &ReportTasksResponse) -> Vec<Receipt> {
    let receipt = |result: &Option<Reported>| match result {
        Some(Reported::Accepted(_)) => Receipt::Accepted,
        Some(Reported::Error(error)) => Receipt::Refused(error.reason()),
        None => Receipt::Refused(ErrorReason::Unspecified),
    };
    answer
        .results
        .iter()
        .map(|one| receipt(&one.result))
        .collect()
}

/// The documented reason of a refusal.
pub fn reason(status: Status) -> Option<ErrorReason> {
    Refusal::from(status).reason
}
