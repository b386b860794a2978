//! Several controllers behind one connection: calls go to the one in use, and when it cannot be reached or says
//! that it is unavailable, to the next.
//!
//! A failed call is *not* repeated here: whether and when that may be done is known to its caller alone, who waits
//! with jitter first. Which controller is used first is left to chance, so that workers spread over them.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::HeaderValue;
use tonic::{Code, body::Body, transport};
use tower::{Service, ServiceExt as _};

/// The connections, and which of them is in use. Clones share both.
#[derive(Clone, Debug)]
pub struct Route {
    lines: Arc<[transport::Channel]>,
    /// Counts the times that the route moved on; modulo the number of lines, the line in use.
    at: Arc<AtomicUsize>,
}

impl Route {
    /// A route over `lines`, at least one, that begins at the one with number `first`.
    pub(crate) fn new(lines: Vec<transport::Channel>, first: usize) -> Self {
        Self {
            lines: lines.into(),
            at: Arc::new(AtomicUsize::new(first)),
        }
    }

    /// Moves on from the controller in use: for a caller that gave up waiting for it.
    pub(crate) fn move_on(&self) {
        self.leave(self.at.load(Ordering::Relaxed));
    }

    /// Moves on once, however many calls failed on the same line.
    fn leave(&self, used: usize) {
        let next = used.wrapping_add(1);
        let moved = self
            .at
            .compare_exchange(used, next, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_ok() && self.lines.len() > 1 {
            tracing::debug!("the controller in use is unavailable; going to the next");
        }
    }
}

impl Service<http::Request<Body>> for Route {
    type Response = http::Response<Body>;
    type Error = transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Which line will be used is not known yet; its readiness is awaited within the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let route = self.clone();
        Box::pin(async move {
            let used = route.at.load(Ordering::Relaxed);
            let mut line = route.lines[used % route.lines.len()].clone();
            let answered = async { line.ready().await?.call(request).await }.await;
            if answered.as_ref().map_or(true, says_unavailable) {
                route.leave(used);
            }
            answered
        })
    }
}

/// Whether the answer is a refusal with status `UNAVAILABLE`: it has no body, so its status is in the headers.
fn says_unavailable(response: &http::Response<Body>) -> bool {
    let unavailable = HeaderValue::from(Code::Unavailable as u16);
    response.headers().get("grpc-status") == Some(&unavailable)
}
