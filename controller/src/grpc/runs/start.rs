//! Starting runs, one or many.

use std::time::Duration;

use fulcrum_core::ids::{DefinitionHash, RunId};
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_core::store::Store;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1 as wire;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tonic::Code;

use super::Runs;
use crate::engine::handle::ClientRequest;
use crate::engine::starting::{StartRequest, Started};
use crate::grpc::caller::actor;
use crate::grpc::convert::payload::Carriage;
use crate::grpc::convert::run::Detail;
use crate::grpc::convert::{definition, fault, payload, request as ids, time, trace};
use crate::grpc::payloads::room::Held;
use crate::grpc::payloads::seal::Holder;
use crate::identity::registry::Namespace;
use crate::server::{Caller, Fault};

/// Runs in one batch.
const BATCH_RUNS_MAX: usize = 1_000;
/// Starts of one batch that are in flight at once.
const BATCH_STARTS_IN_FLIGHT: usize = 128;
/// Longest wait of a start.
const START_WAIT_MAX: Duration = Duration::from_secs(50);
/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// What a key was given for.
struct Keyed {
    key: String,
    input: Option<Payload>,
    /// The version, where the caller named one; the current one may have moved on between two calls.
    pinned: Option<DefinitionHash>,
}

impl Runs {
    pub(super) async fn start(
        &self,
        caller: &Caller,
        request: wire::StartRunRequest,
    ) -> Result<wire::StartRunResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let mut named = request.clone();
        let input = named.spec.as_mut().and_then(|spec| spec.input.as_mut());
        self.handles
            .name_by_value(Holder::of(caller, namespace.id), input);
        let client = ids::client_request("StartRun", &request.request_id, &named)?;
        let wait = match request.wait {
            Some(span) => Duration::from_millis(time::to_span("wait", span)?.0).min(START_WAIT_MAX),
            None => Duration::ZERO,
        };
        let spec = request
            .spec
            .ok_or_else(|| Fault::field("spec", "is missing"))?;
        let (request, keyed, held) = self
            .prepare(caller, &namespace, "spec", spec, client)
            .await?;
        if wait.is_zero() {
            let started = self.started(&namespace, request, keyed).await?;
            drop(held);
            let run = self
                .show(&namespace, started.run(), Detail::Brief, Carriage::Whole)
                .await?;
            return Ok(answer(started, run));
        }
        // One that came apart is not kept in memory for as long as its run takes.
        let input = match held.is_none() {
            true => request.input.clone(),
            false => None,
        };
        let followed = self.engine.start_followed(request).await?;
        let started = followed.started;
        self.agreed(&namespace, started, keyed).await?;
        drop(held);
        let closed = tokio::select! {
            closed = self.engine.result(followed, wait) => closed,
            () = self.polls_end.cancelled() => None,
        };
        let run = match closed {
            Some(closed) => self.show_closed(&namespace, &closed, input).await?,
            None => {
                self.show(&namespace, started.run(), Detail::Brief, Carriage::Whole)
                    .await?
            }
        };
        Ok(answer(started, run))
    }

    pub(super) async fn batch_start(
        &self,
        caller: &Caller,
        request: wire::BatchStartRunsRequest,
    ) -> Result<wire::BatchStartRunsResponse, Fault> {
        use wire::batch_start_runs_result::Result as Outcome;
        if request.specs.len() > BATCH_RUNS_MAX {
            let message = format!(
                "specs: at most {BATCH_RUNS_MAX} a call, got {}",
                request.specs.len()
            );
            return Err(Fault::new(
                Code::InvalidArgument,
                ErrorReason::BatchTooLarge,
                message,
            ));
        }
        let namespace = self.namespace(caller, &request.namespace).await?;
        let mut starts = Vec::with_capacity(request.specs.len());
        for (i, spec) in request.specs.into_iter().enumerate() {
            // Each item answers to a request id of its own, so that a repeated batch starts only what is missing.
            let id = if request.request_id.is_empty() {
                String::new()
            } else {
                format!("{}#{i}", request.request_id)
            };
            let mut named = spec.clone();
            self.handles
                .name_by_value(Holder::of(caller, namespace.id), &mut named.input);
            let client = ids::client_request("BatchStartRuns", &id, &named)?;
            starts.push(self.start_item(caller, &namespace, i, spec, client));
        }
        let results = stream::iter(starts)
            .buffered(BATCH_STARTS_IN_FLIGHT)
            .map(|started| {
                let result = match started {
                    Ok(started) => Outcome::Started(wire::StartedRun {
                        run_id: started.run().to_string(),
                        created: matches!(started, Started::Now(_)),
                    }),
                    Err(error) => Outcome::Error(fault::item_error(error)),
                };
                wire::BatchStartRunsResult {
                    result: Some(result),
                }
            });
        Ok(wire::BatchStartRunsResponse {
            results: results.collect().await,
        })
    }

    async fn start_item(
        &self,
        caller: &Caller,
        namespace: &Namespace,
        item: usize,
        spec: wire::RunSpec,
        client: Option<ClientRequest>,
    ) -> Result<Started, Fault> {
        let field = format!("specs[{item}]");
        let (request, keyed, _held) = self
            .prepare(caller, namespace, &field, spec, client)
            .await?;
        self.started(namespace, request, keyed).await
    }

    async fn started(
        &self,
        namespace: &Namespace,
        request: StartRequest,
        keyed: Option<Keyed>,
    ) -> Result<Started, Fault> {
        let started = self.engine.start(request).await?;
        self.agreed(namespace, started, keyed).await?;
        Ok(started)
    }

    /// Is the run that was found what was asked for?
    async fn agreed(
        &self,
        namespace: &Namespace,
        started: Started,
        keyed: Option<Keyed>,
    ) -> Result<(), Fault> {
        match (started, keyed) {
            (Started::Earlier(run), Some(keyed)) => self.same(namespace, run, &keyed).await,
            (Started::Earlier(_) | Started::Now(_), _) => Ok(()),
        }
    }

    async fn prepare(
        &self,
        caller: &Caller,
        namespace: &Namespace,
        field: &str,
        mut spec: wire::RunSpec,
        client: Option<ClientRequest>,
    ) -> Result<(StartRequest, Option<Keyed>, Held), Fault> {
        use wire::run_spec::Definition;
        if spec.idempotency_key.len() > KEY_BYTES_MAX {
            let problem = format!("must have at most {KEY_BYTES_MAX} bytes");
            return Err(Fault::field(format!("{field}.idempotency_key"), problem));
        }
        let definitions = self.store.definitions();
        let not_found =
            |what: &str| Fault::not_found(ErrorReason::DefinitionNotFound, "workflow", what);
        let (workflow, definition, pinned) = match spec.definition {
            None => return Err(Fault::field(format!("{field}.workflow"), "is missing")),
            Some(Definition::Workflow(name)) => {
                let catalog = &self.engine.catalog;
                let hash = catalog
                    .current(namespace.id, &name)
                    .await?
                    .ok_or_else(|| not_found(&name))?;
                (name, hash, None)
            }
            Some(Definition::DefinitionHash(text)) => {
                let hash = definition::hash(&text).ok_or_else(|| not_found(&text))?;
                let stored = definitions
                    .in_namespace(namespace.id, hash)
                    .await?
                    .ok_or_else(|| not_found(&text))?;
                (stored.workflow, hash, Some(hash))
            }
        };
        let held = self
            .handles
            .redeem(Holder::of(caller, namespace.id), &mut spec.input)
            .await?;
        let input = spec
            .input
            .map(|input| payload::to_payload(&format!("{field}.input"), input))
            .transpose()?;
        let keyed = (!spec.idempotency_key.is_empty()).then(|| Keyed {
            key: spec.idempotency_key.clone(),
            input: input.clone(),
            pinned,
        });
        let request = StartRequest {
            actor: actor(caller),
            namespace: namespace.id,
            shards: namespace.shards,
            workflow,
            definition,
            input,
            idempotency_key: (!spec.idempotency_key.is_empty()).then_some(spec.idempotency_key),
            request: client,
            trace: trace::current(),
        };
        Ok((request, keyed, held))
    }

    /// Refuses a key that was used for something else: its caller would take another's run for its own.
    async fn same(&self, namespace: &Namespace, id: RunId, asked: &Keyed) -> Result<(), Fault> {
        let (run, head) = self.engine.run(namespace.id, id).await?;
        let other = |what: &str| {
            let message = format!(
                "the idempotency key `{}` was used with another {what}, for {id}; look at that run or use another key",
                asked.key
            );
            Fault::new(
                Code::AlreadyExists,
                ErrorReason::IdempotencyKeyReused,
                message,
            )
            .fact("run_id", id.to_string())
        };
        if asked.pinned.is_some_and(|pinned| pinned != head.definition) {
            return Err(other("definition"));
        }
        let hash = asked.input.as_ref().map(Payload::hash);
        if run.origin.input.map(|first| first.hash) == hash {
            return Ok(());
        }
        // The bytes differ, but the same value may be written in more than one way.
        let first: Vec<PayloadRef> = run.origin.input.into_iter().collect();
        let first = self.store.payloads(&first).await?;
        let value = |payload: Option<&Payload>| match payload {
            None => Some(Value::Null),
            Some(payload) => payload.to_value().ok(),
        };
        let first = value(first.first().map(|stored| &stored.payload));
        if first.is_some() && first == value(asked.input.as_ref()) {
            Ok(())
        } else {
            Err(other("input"))
        }
    }
}

fn answer(started: Started, run: wire::Run) -> wire::StartRunResponse {
    wire::StartRunResponse {
        run: Some(run),
        created: matches!(started, Started::Now(_)),
    }
}
