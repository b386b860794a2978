//! `RunService`: start, look at, watch, signal and cancel runs.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::expr::RunConditions;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::Store;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_proto::workflow::v1::run_service_server::RunService;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::Page;
use fulcrum_store::views::{Family, RunFilter};
use futures_util::stream::{self, Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use super::caller::{actor, caller};
use super::convert::{fault, payload, request as ids, run as convert, time, trace};
use super::page::{self, Listing, More, PageKey};
use crate::PgEngine;
use crate::engine::handle::{Addressed, ClientRequest, StartRequest, Started};
use crate::identity::registry::{Namespace, Registry};
use crate::server::{Caller, Fault};

/// Runs in one batch.
const BATCH_RUNS_MAX: usize = 1_000;
/// Starts of one batch that are in flight at once.
const BATCH_STARTS_IN_FLIGHT: usize = 128;
/// Longest wait of a start.
const START_WAIT_MAX: Duration = Duration::from_secs(50);
/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// Longest reason of a cancellation, in bytes.
const REASON_BYTES_MAX: usize = 1_024;
/// Longest name of a signal, in bytes.
const SIGNAL_BYTES_MAX: usize = 128;

/// The service.
#[derive(Clone)]
pub struct Runs {
    /// The engine.
    pub engine: Arc<PgEngine>,
    /// Listings.
    pub store: PgStore,
    /// Namespaces.
    pub registry: Registry,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
    /// Streams end when this is cancelled.
    pub polls_end: CancellationToken,
}

#[tonic::async_trait]
impl RunService for Runs {
    async fn start_run(
        &self,
        request: Request<wire::StartRunRequest>,
    ) -> Result<Response<wire::StartRunResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.start(&caller, request.into_inner()).await?,
        ))
    }

    async fn batch_start_runs(
        &self,
        request: Request<wire::BatchStartRunsRequest>,
    ) -> Result<Response<wire::BatchStartRunsResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.batch_start(&caller, request.into_inner()).await?,
        ))
    }

    async fn get_run(
        &self,
        request: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::GetRunResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let namespace = self.namespace(&caller, &request.namespace).await?;
        let run = self
            .show(
                &namespace,
                ids::run_id(&request.run_id)?,
                detail(request.include_steps),
            )
            .await?;
        Ok(Response::new(wire::GetRunResponse { run: Some(run) }))
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRunsRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }

    type WatchRunStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchRunResponse, Status>> + Send>>;

    async fn watch_run(
        &self,
        request: Request<wire::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let namespace = self.namespace(&caller, &request.namespace).await?;
        let run = ids::run_id(&request.run_id)?;
        // A run that does not exist is told at once, not by the stream.
        self.show(&namespace, run, convert::Detail::Run).await?;
        Ok(Response::new(
            self.clone().watch(namespace, run, request).boxed(),
        ))
    }

    async fn signal_run(
        &self,
        request: Request<wire::SignalRunRequest>,
    ) -> Result<Response<wire::SignalRunResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        if request.signal.is_empty() || request.signal.len() > SIGNAL_BYTES_MAX {
            return Err(
                Fault::field("signal", format!("must have 1 to {SIGNAL_BYTES_MAX} bytes")).into(),
            );
        }
        let client = ids::client_request("SignalRun", &request.request_id, &request)?;
        let to = self
            .addressed(&caller, &request.namespace, &request.run_id, client)
            .await?;
        let payload = request
            .payload
            .map(|payload| payload::to_payload("payload", payload))
            .transpose()?;
        self.engine
            .signal(to, request.signal, payload)
            .await
            .map_err(Fault::from)?;
        Ok(Response::new(wire::SignalRunResponse {}))
    }

    async fn cancel_run(
        &self,
        request: Request<wire::CancelRunRequest>,
    ) -> Result<Response<wire::CancelRunResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        if request.reason.len() > REASON_BYTES_MAX {
            return Err(Fault::field(
                "reason",
                format!("must have at most {REASON_BYTES_MAX} bytes"),
            )
            .into());
        }
        let client = ids::client_request("CancelRun", &request.request_id, &request)?;
        let to = self
            .addressed(&caller, &request.namespace, &request.run_id, client)
            .await?;
        let (namespace, run) = (self.namespace(&caller, &request.namespace).await?, to.run);
        let reason = if request.reason.is_empty() {
            "asked by the operator".to_owned()
        } else {
            request.reason
        };
        self.engine.cancel(to, reason).await.map_err(Fault::from)?;
        let run = self.show(&namespace, run, convert::Detail::Run).await?;
        Ok(Response::new(wire::CancelRunResponse { run: Some(run) }))
    }
}

impl Runs {
    async fn start(
        &self,
        caller: &Caller,
        request: wire::StartRunRequest,
    ) -> Result<wire::StartRunResponse, Fault> {
        let client = ids::client_request("StartRun", &request.request_id, &request)?;
        let namespace = self.namespace(caller, &request.namespace).await?;
        let wait = match request.wait {
            Some(span) => Duration::from_millis(time::to_span("wait", span)?.0).min(START_WAIT_MAX),
            None => Duration::ZERO,
        };
        let spec = request
            .spec
            .ok_or_else(|| Fault::field("spec", "is missing"))?;
        let started = self
            .start_one(caller, &namespace, "spec", spec, client)
            .await?;
        if !wait.is_zero() {
            tokio::select! {
                () = self.engine.closed(started.run(), wait) => {}
                () = self.polls_end.cancelled() => {}
            }
        }
        let run = self
            .show(&namespace, started.run(), convert::Detail::Run)
            .await?;
        Ok(wire::StartRunResponse {
            run: Some(run),
            created: matches!(started, Started::Now(_)),
        })
    }

    async fn batch_start(
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
            let client = ids::client_request("BatchStartRuns", &id, &spec)?;
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
        self.start_one(caller, namespace, &format!("specs[{item}]"), spec, client)
            .await
    }

    async fn start_one(
        &self,
        caller: &Caller,
        namespace: &Namespace,
        field: &str,
        spec: wire::RunSpec,
        client: Option<ClientRequest>,
    ) -> Result<Started, Fault> {
        use wire::run_spec::Definition;
        if spec.idempotency_key.len() > KEY_BYTES_MAX {
            let problem = format!("must have at most {KEY_BYTES_MAX} bytes");
            return Err(Fault::field(format!("{field}.idempotency_key"), problem));
        }
        let definitions = self.store.definitions();
        let not_found =
            |what: &str| Fault::not_found(ErrorReason::DefinitionNotFound, "workflow", what);
        let (workflow, definition) = match spec.definition {
            None => return Err(Fault::field(format!("{field}.workflow"), "is missing")),
            Some(Definition::Workflow(name)) => {
                let hash = definitions
                    .current_hash(namespace.id, &name)
                    .await?
                    .ok_or_else(|| not_found(&name))?;
                (name, hash)
            }
            Some(Definition::DefinitionHash(text)) => {
                let hash = super::definitions::hash(&text).ok_or_else(|| not_found(&text))?;
                let stored = definitions
                    .in_namespace(namespace.id, hash)
                    .await?
                    .ok_or_else(|| not_found(&text))?;
                (stored.workflow, hash)
            }
        };
        let input = spec
            .input
            .map(|input| payload::to_payload(&format!("{field}.input"), input))
            .transpose()?;
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
        Ok(self.engine.start(request).await?)
    }

    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListRunsRequest,
    ) -> Result<wire::ListRunsResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let conditions =
            RunConditions::parse(&request.filter, &self.engine.limits).map_err(|error| {
                Fault::new(
                    Code::InvalidArgument,
                    ErrorReason::FilterInvalid,
                    format!("filter: {error}"),
                )
            })?;
        let rows = page::rows(request.page_size, self.engine.limits.page_rows_max)?;
        let filter: [&str; 2] = [&request.namespace, &request.filter];
        let listing = Listing {
            key: &self.page_key,
            method: "ListRuns",
            filter: &filter,
        };
        let after: Option<RunId> = listing.cursor(&request.page_token)?;
        let filter = RunFilter {
            namespace: namespace.id,
            workflow: conditions.workflow,
            statuses: conditions.statuses,
            family: conditions.parent.map_or(Family::Roots, Family::ChildrenOf),
            since: conditions.since,
        };
        let read = self
            .store
            .runs()
            .list(
                filter,
                Page {
                    after,
                    rows: rows + 1,
                },
            )
            .await?;
        let (heads, more) = page::cut(read, rows);
        let next_page_token = match (more, heads.last()) {
            (More::Yes, Some(last)) => listing.token(&last.run),
            (More::Yes | More::No, _) => String::new(),
        };
        let name = namespace.name.as_str();
        let runs = heads
            .iter()
            .map(|head| convert::summary(name, head))
            .collect();
        Ok(wire::ListRunsResponse {
            runs,
            next_page_token,
        })
    }

    /// Snapshots of a run whenever it has changed, until it is closed.
    fn watch(
        self,
        namespace: Namespace,
        run: RunId,
        request: wire::WatchRunRequest,
    ) -> impl Stream<Item = Result<wire::WatchRunResponse, Status>> + Send {
        let changes = self.engine.watch(run);
        let detail = detail(request.include_steps);
        let state = Some((self, namespace, changes, request.after_version));
        stream::unfold(state, move |state| async move {
            let (service, namespace, mut changes, seen) = state?;
            loop {
                // Marked before reading: a change that comes while we read is seen by the next look.
                changes.borrow_and_update();
                let shown = match service.show(&namespace, run, detail).await {
                    Ok(shown) => shown,
                    Err(fault) => return Some((Err(fault.into()), None)),
                };
                let closed = shown.closed_at.is_some();
                if shown.version > seen || closed {
                    let version = shown.version;
                    let response = wire::WatchRunResponse { run: Some(shown) };
                    let next = (!closed).then_some((service, namespace, changes, version));
                    return Some((Ok(response), next));
                }
                tokio::select! {
                    changed = changes.changed() => changed.ok()?,
                    () = service.polls_end.cancelled() => {
                        let fault = Fault::unavailable(
                            ErrorReason::Draining,
                            "this controller is shutting down; watch again from the last version",
                            Duration::from_millis(500),
                        );
                        return Some((Err(fault.into()), None));
                    }
                }
            }
        })
    }

    async fn show(
        &self,
        namespace: &Namespace,
        run: RunId,
        detail: convert::Detail,
    ) -> Result<wire::Run, Fault> {
        let (state, head) = self.engine.run(namespace.id, run).await?;
        let references = convert::references(&state, detail);
        let payloads = self.store.payloads(&references).await?;
        let payloads = payloads
            .into_iter()
            .map(|new| (new.reference.id, new.payload))
            .collect();
        let plan = match detail {
            convert::Detail::Run => None,
            convert::Detail::Steps => self.engine.catalog.plan(head.definition).await?.ok(),
        };
        Ok(convert::run(
            namespace.name.as_str(),
            &state,
            &head,
            &payloads,
            plan.as_deref(),
        ))
    }

    async fn namespace(&self, caller: &Caller, name: &str) -> Result<Namespace, Fault> {
        caller.reach(name)?;
        Ok(self.registry.namespace(name).await?)
    }

    async fn addressed(
        &self,
        caller: &Caller,
        namespace: &str,
        run: &str,
        request: Option<ClientRequest>,
    ) -> Result<Addressed, Fault> {
        let namespace = self.namespace(caller, namespace).await?;
        let run = ids::run_id(run)?;
        Ok(Addressed {
            actor: actor(caller),
            namespace: namespace.id,
            run,
            request,
            trace: trace::current(),
        })
    }
}

fn detail(include_steps: bool) -> convert::Detail {
    if include_steps {
        convert::Detail::Steps
    } else {
        convert::Detail::Run
    }
}
