//! Workers that reach for what is not theirs.

use fulcrum_e2e::api::{self, NAMESPACE, from_json};
use fulcrum_e2e::{stack::Stack, wait};
use fulcrum_proto::admin::v1::CreateJoinTokenRequest;
use fulcrum_proto::common::v1::{
    CapabilityContract, EffectClass, ErrorReason, Idempotency, IdentityKind,
};
use fulcrum_proto::worker::v1::{
    AppendJournalRequest, CompletedOutcome, HeartbeatLease, HeartbeatRequest, JournalEntry,
    LeaseState, LeaseTasksRequest, RegisterRequest, ReportTasksRequest, Task, TaskReport,
    journal_entry, task_report, task_report_result, worker_service_client::WorkerServiceClient,
};
use fulcrum_proto::workflow::v1::ListRunsRequest;
use fulcrum_sdk::channel::{self, Channel};
use fulcrum_sdk::{Enrolment, IdentityDir, client};
use serde_json::{Value, json};

use crate::story;

/// Some byte within the proof of a lease.
const FORGED_AT: usize = 25;

/// A worker that speaks the protocol by hand.
struct Hand {
    channel: Channel,
    client: WorkerServiceClient<Channel>,
}

impl Hand {
    async fn join(stack: &Stack, name: &str, capabilities: &[&str]) -> anyhow::Result<Self> {
        let identity = stack.identity(name, "executor").await?.load()?;
        let channel = channel::connect(&stack.controllers[0].endpoint(), &identity).await?;
        let request = RegisterRequest {
            contracts: capabilities.iter().map(|name| contract(name)).collect(),
            sdk_version: "by hand".to_owned(),
            slots: 1,
            ..RegisterRequest::default()
        };
        let client = client::worker(channel.clone());
        wait::until(&format!("{name} is known"), || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.register(request).await }
        })
        .await;
        Ok(Self { channel, client })
    }

    async fn lease(&mut self) -> anyhow::Result<Task> {
        let request = LeaseTasksRequest {
            slots: 1,
            wait: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
            ..LeaseTasksRequest::default()
        };
        let tasks = self.client.lease_tasks(request).await?.into_inner().tasks;
        tasks
            .into_iter()
            .next()
            .ok_or_else(|| anyhow::anyhow!("no task in 30 s"))
    }

    /// Reports a task as completed; the refusal, if it is refused.
    async fn complete(
        &mut self,
        task: &Task,
        output: &Value,
    ) -> anyhow::Result<Option<ErrorReason>> {
        let completed = CompletedOutcome {
            output: Some(from_json(output)),
        };
        let report = TaskReport {
            lease: task.lease.clone(),
            outcome: Some(task_report::Outcome::Completed(completed)),
            ..TaskReport::default()
        };
        let request = ReportTasksRequest {
            reports: vec![report],
            next_slots: 0,
            whole_bytes_max: 0,
        };
        let answer = self.client.report_tasks(request).await?.into_inner();
        Ok(match answer.results[0].result.as_ref().expect("a result") {
            task_report_result::Result::Accepted(_) => None,
            task_report_result::Result::Error(error) => Some(error.reason()),
        })
    }

    async fn beat(&mut self, task: &Task) -> anyhow::Result<LeaseState> {
        let lease = HeartbeatLease {
            lease: task.lease.clone(),
            progress: None,
        };
        let answer = self
            .client
            .heartbeat(HeartbeatRequest {
                leases: vec![lease],
            })
            .await?;
        Ok(answer.into_inner().results[0].state())
    }
}

fn contract(name: &str) -> CapabilityContract {
    CapabilityContract {
        name: name.to_owned(),
        version: 1,
        effect: EffectClass::Read.into(),
        idempotency: Idempotency::Natural.into(),
        ..CapabilityContract::default()
    }
}

/// A worker that may offer no more than this.
async fn granted(
    stack: &Stack,
    name: &str,
    pattern: &str,
) -> anyhow::Result<WorkerServiceClient<Channel>> {
    let request = CreateJoinTokenRequest {
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
        kind: IdentityKind::Connector.into(),
        capability_patterns: vec![pattern.to_owned()],
        ttl: None,
        request_id: api::request_id()?,
    };
    let created = client::workers(stack.api.channel())
        .create_join_token(request)
        .await?
        .into_inner();
    let identity = IdentityDir::at(stack.worker_dir(name).join("identity"));
    let enrolment = Enrolment {
        endpoint: stack.controllers[0].enrolment(),
        token: created.token.parse()?,
        name: None,
        version: "by hand".to_owned(),
    };
    Box::pin(fulcrum_sdk::enrol(&enrolment, &identity)).await?;
    let channel = channel::connect(&stack.controllers[0].endpoint(), &identity.load()?).await?;
    Ok(client::worker(channel))
}

#[tokio::test]
async fn a_lease_is_worth_nothing_in_other_hands_and_changes_nothing() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let mut holder = Hand::join(&stack, "holder", &["test.echo", "test.note"]).await?;
    let mut thief = Hand::join(&stack, "thief", &["test.other"]).await?;
    let api = &stack.api;
    story::apply(api, &["note"]).await?;

    let run = api.start("note", &json!({ "text": "mine" })).await?;
    let task = holder.lease().await?;
    assert_eq!(task.run_id, run);

    assert_eq!(
        thief.complete(&task, &json!("stolen")).await?,
        Some(ErrorReason::LeaseLost)
    );
    assert_eq!(thief.beat(&task).await?, LeaseState::Lost);
    let entry = JournalEntry {
        name: "stolen".to_owned(),
        input_digest: vec![0; 32].into(),
        outcome: Some(journal_entry::Outcome::Output(from_json(&Value::Null))),
    };
    let append = AppendJournalRequest {
        lease: task.lease.clone(),
        entries: vec![entry],
    };
    let refused = thief.client.append_journal(append).await;
    story::assert_refused(refused, ErrorReason::LeaseLost);
    // A proof is what the controller made, to the last bit.
    let mut forged = task.clone();
    let mut bytes = forged.lease.to_vec();
    bytes[FORGED_AT] ^= 1;
    forged.lease = bytes.into();
    assert_eq!(
        holder.complete(&forged, &json!("forged")).await?,
        Some(ErrorReason::LeaseLost)
    );

    assert_eq!(
        holder.beat(&task).await?,
        LeaseState::Held,
        "the holder holds it all the same"
    );
    assert_eq!(holder.complete(&task, &json!("mine")).await?, None);
    assert_eq!(
        holder.complete(&task, &json!("mine")).await?,
        None,
        "a repeated report is answered alike"
    );
    assert_eq!(api.output(&run).await, json!("mine"));
    story::told(api, &run).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_may_not_do_an_operators_work_nor_offer_what_it_was_not_granted()
-> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let worker = Hand::join(&stack, "worker", &["test.echo"]).await?;

    let list = ListRunsRequest {
        namespace: NAMESPACE.to_owned(),
        ..ListRunsRequest::default()
    };
    let refused = client::runs(worker.channel.clone()).list_runs(list).await;
    story::assert_refused(refused, ErrorReason::PermissionDenied);
    let lease = LeaseTasksRequest {
        slots: 1,
        ..LeaseTasksRequest::default()
    };
    let refused = client::worker(stack.api.channel()).lease_tasks(lease).await;
    story::assert_refused(refused, ErrorReason::PermissionDenied);

    let mut narrow = granted(&stack, "narrow", "crm.*").await?;
    let register = |name: &str| RegisterRequest {
        contracts: vec![contract(name)],
        slots: 1,
        ..RegisterRequest::default()
    };
    narrow.register(register("crm.contact.upsert")).await?;
    let refused = narrow.register(register("billing.invoice.create")).await;
    story::assert_refused(refused, ErrorReason::PermissionDenied);
    Ok(())
}
