//! Coming back when asked to: the one place where a refused call is made again.
//!
//! A controller that is overloaded, is shutting down or has lost its database says so with `google.rpc.RetryInfo`, which
//! also means that the same call may be made again. It is: the same bytes, and so the same request id, a few times within
//! a bounded span. Whatever comes without that hint is told at once: whether it took effect is not known here.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codegen::{Bytes, Service, http};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How often a call is made at most.
pub const CALLS_MAX: u32 = 6;
/// How long it is tried at most, from the first call to the beginning of the last.
const SPAN_MAX: Duration = Duration::from_secs(15);
/// Requests over this size are made once; they are not kept.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// A channel whose calls are patient.
#[derive(Debug, Clone)]
pub struct Patient<S> {
    inner: S,
}

impl<S> Patient<S> {
    /// Makes the calls of this channel patient.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<http::Request<Body>> for Patient<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
{
    type Response = http::Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The clone that was polled ready is the one to call.
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        Box::pin(call(ready, request))
    }
}

async fn call<S, B>(
    mut channel: S,
    request: http::Request<Body>,
) -> Result<http::Response<B>, S::Error>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
{
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
        // The message did not encode; the channel tells it better than we do.
        return channel
            .call(http::Request::from_parts(head, Body::empty()))
            .await;
    };
    if body.len() > KEPT_BYTES_MAX {
        return channel
            .call(http::Request::from_parts(head, whole(body)))
            .await;
    }
    let began = Instant::now();
    let mut calls = 1;
    loop {
        let again = http::Request::from_parts(head.clone(), whole(body.clone()));
        let answer = channel.call(again).await?;
        let Some(delay) = come_back(answer.headers()) else {
            return Ok(answer);
        };
        let pause = spread(delay, calls);
        if calls == CALLS_MAX || began.elapsed() + pause > SPAN_MAX {
            return Ok(answer);
        }
        tracing::debug!(?pause, calls, "refused for now; coming back");
        calls += 1;
        tokio::time::sleep(pause).await;
        std::future::poll_fn(|context| channel.poll_ready(context)).await?;
    }
}

fn whole(body: Bytes) -> Body {
    Body::new(Full::new(body).map_err(|never| match never {}))
}

/// When a refused call may be made again, if its answer says so. A refusal has no body, so its status is in the headers.
fn come_back(headers: &http::HeaderMap) -> Option<Duration> {
    let status = Status::from_header_map(headers)?;
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => status.get_details_retry_info()?.retry_delay,
        _ => None,
    }
}

/// At least the time asked for, more each time, and not everybody at once.
#[must_use]
pub fn spread(delay: Duration, calls: u32) -> Duration {
    let mut bytes = [0; 2];
    // Without randomness everybody waits the middle: less spread, still correct.
    let drawn = getrandom::fill(&mut bytes).is_ok();
    let part = if drawn {
        f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
    } else {
        0.5
    };
    delay + delay.saturating_mul(1 << (calls - 1)).mul_f64(part)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use tonic_types::ErrorDetails;

    use super::*;

    /// Refuses so many calls, and keeps what came.
    #[derive(Clone)]
    struct Refusing {
        refusals: Arc<Mutex<Vec<Status>>>,
        came: Arc<Mutex<Vec<Bytes>>>,
    }

    impl Service<http::Request<Body>> for Refusing {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            let this = self.clone();
            Box::pin(async move {
                let body = request.into_body().collect().await.expect("in memory");
                this.came.lock().expect("no panic").push(body.to_bytes());
                let refusal = this.refusals.lock().expect("no panic").pop();
                Ok(match refusal {
                    Some(status) => status.into_http(),
                    None => http::Response::new(Body::empty()),
                })
            })
        }
    }

    fn later(code: Code) -> Status {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_millis(500)));
        Status::with_error_details(code, "later", details)
    }

    async fn outcome(refusals: Vec<Status>) -> (Option<Code>, usize) {
        let channel = Refusing {
            refusals: Arc::new(Mutex::new(refusals)),
            came: Arc::default(),
        };
        let request = http::Request::new(whole(Bytes::from_static(b"the same request")));
        let answer = Patient::new(channel.clone()).call(request).await;
        let answer = answer.expect("the channel does not fail");
        let code = Status::from_header_map(answer.headers()).map(|status| status.code());
        let came = channel.came.lock().expect("no panic");
        assert!(
            came.iter().all(|body| body == "the same request"),
            "{came:?}"
        );
        (code, came.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_again_with_the_same_bytes_when_the_refusal_says_when() {
        let refusals = vec![later(Code::ResourceExhausted), later(Code::Unavailable)];
        assert_eq!(outcome(refusals).await, (None, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_does_not_say_when_is_told_at_once() {
        for code in [Code::Unavailable, Code::ResourceExhausted] {
            let refusals = vec![Status::new(code, "no")];
            assert_eq!(outcome(refusals).await, (Some(code), 1));
        }
        let refusals = vec![later(Code::FailedPrecondition)];
        assert_eq!(outcome(refusals).await, (Some(Code::FailedPrecondition), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let refusals = vec![later(Code::Unavailable); 100];
        let (code, calls) = outcome(refusals).await;
        assert_eq!(code, Some(Code::Unavailable));
        assert!((2..=CALLS_MAX as usize).contains(&calls), "{calls}");
    }
}
