//! The layer around every call: trace, panic guard, authorisation, admission, deadline; in this order, in one place.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use fulcrum_proto::common::v1::ErrorReason;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use super::admission::Admission;
use super::authorize::Door;
use super::connection::Peer;
use super::deadline::Deadline;
use super::fault::Fault;
use super::limits::ServerLimits;
use crate::identity::MethodTable;
use crate::loops::driver::panic_text;
use crate::telemetry;

/// What every call of a listener goes through.
#[derive(Clone)]
pub struct Calls {
    rules: Arc<Rules>,
}

struct Rules {
    door: Door,
    table: Arc<MethodTable>,
    admission: Admission,
    limits: ServerLimits,
}

impl Calls {
    /// The rules of a listener. Listeners may share one `admission`.
    #[must_use]
    pub fn new(
        door: Door,
        table: Arc<MethodTable>,
        admission: Admission,
        limits: ServerLimits,
    ) -> Self {
        Self {
            rules: Arc::new(Rules {
                door,
                table,
                admission,
                limits,
            }),
        }
    }
}

impl<S> Layer<S> for Calls {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            rules: Arc::clone(&self.rules),
        }
    }
}

/// A service behind [`Calls`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone that was polled ready is the one to call.
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        let rules = Arc::clone(&self.rules);
        let span = span_of(&request);
        let work = async move {
            let answer = AssertUnwindSafe(rules.call(ready, request))
                .catch_unwind()
                .await;
            let answer = answer.unwrap_or_else(|panic| {
                Err(Fault::internal(&format_args!(
                    "a handler panicked: {}",
                    panic_text(panic.as_ref())
                )))
            });
            Ok(answer.unwrap_or_else(|fault| {
                tracing::debug!(code = ?fault.code, reason = fault.reason.name(), "call refused");
                Status::from(fault).into_http()
            }))
        };
        Box::pin(answered(work).instrument(span))
    }
}

impl Rules {
    async fn call<S>(
        &self,
        mut ready: S,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Fault>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let peer = request.extensions().get::<Peer>().cloned();
        let (method, caller) = self
            .door
            .authorize(request.uri().path(), peer.as_ref(), &self.table)
            .await?;
        if let Some(caller) = caller {
            Span::current().record("enduser.id", tracing::field::display(caller.principal()));
            request.extensions_mut().insert(caller);
        }
        let _permit = self.admission.admit(method.class)?;
        let deadline = Deadline::of(request.headers(), method.class, &self.limits);
        request.extensions_mut().insert(deadline);
        match tokio::time::timeout_at(deadline.0, ready.call(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(never)) => match never {},
            Err(_) => Err(Fault::new(
                Code::DeadlineExceeded,
                ErrorReason::Unspecified,
                "the call was not answered before its deadline; whether it took effect is not known",
            )),
        }
    }
}

fn span_of(request: &Request<Body>) -> Span {
    let method = request.uri().path().trim_start_matches('/');
    let span = tracing::info_span!(
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = tracing::field::Empty,
        enduser.id = tracing::field::Empty,
    );
    telemetry::adopt_parent(&span, request.headers());
    span
}

/// Records the status of an answer that ended with its headers; a streamed one has it in its trailers.
async fn answered(
    work: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Result<Response<Body>, Infallible> {
    let answer = work.await?;
    let code = answer
        .headers()
        .get(Status::GRPC_STATUS)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("0");
    Span::current().record("rpc.response.status_code", code);
    Ok(answer)
}
