//! The methods.

use std::pin::Pin;
use std::sync::Arc;

use fulcrum_core::time::Millis;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_proto::workflow::v1::run_service_server::RunService;
use fulcrum_store::PgStore;
use futures_util::stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::PgEngine;
use crate::engine::handle::{Addressed, ClientRequest};
use crate::grpc::caller::{actor, caller};
use crate::grpc::convert::payload::{self, Carriage};
use crate::grpc::convert::run::Detail;
use crate::grpc::convert::{request as ids, trace};
use crate::grpc::page::PageKey;
use crate::grpc::payloads::Handles;
use crate::grpc::payloads::seal::Holder;
use crate::identity::registry::{Namespace, Registry};
use crate::server::{Caller, Fault};

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
    /// A worker not seen for this long counts as disconnected.
    pub silence_max: Millis,
    /// Values that come and go apart.
    pub handles: Handles,
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
        let run = ids::run_id(&request.run_id)?;
        let holder = Holder::of(&caller, namespace.id);
        let give = |reference| self.handles.to_read(holder, reference);
        let carriage = match payload::whole_bytes_max(request.whole_bytes_max) {
            Some(whole_bytes_max) => Carriage::ByHandle(whole_bytes_max, &give),
            None => Carriage::Whole,
        };
        let run = self
            .show(&namespace, run, detail(request.include_steps), carriage)
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
        self.show(&namespace, run, Detail::Brief, Carriage::Whole)
            .await?;
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
        let namespace = self.namespace(&caller, &request.namespace).await?;
        let holder = Holder::of(&caller, namespace.id);
        let mut named = request.clone();
        self.handles.name_by_value(holder, &mut named.payload);
        let client = ids::client_request("SignalRun", &request.request_id, &named)?;
        let to = self
            .addressed(&caller, &request.namespace, &request.run_id, client)
            .await?;
        let mut request = request;
        let _held = self.handles.redeem(holder, &mut request.payload).await?;
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
        let run = self
            .show(&namespace, run, Detail::Brief, Carriage::Whole)
            .await?;
        Ok(Response::new(wire::CancelRunResponse { run: Some(run) }))
    }
}

impl Runs {
    pub(super) async fn namespace(&self, caller: &Caller, name: &str) -> Result<Namespace, Fault> {
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

pub(super) fn detail(include_steps: bool) -> Detail {
    if include_steps {
        Detail::Steps
    } else {
        Detail::Run
    }
}
