//! One request and what came of it.

use std::error::Error;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use fulcrum_sdk::{Failure, FailureClass, Sent};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use serde_json::Value;

use super::address::AddressRefused;
use super::endpoint::Endpoint;
use super::request::join;
use super::response::{self, BodyError, retry_after};
use super::status::{Outcome, StatusTable};
use crate::operation::Repeat;

/// Characters of a refusing body that a failure quotes.
const QUOTED_CHARS_MAX: usize = 300;
/// Kept back from the time of a call, so that its end is still ours to name.
const SPARE: Duration = Duration::from_millis(100);

/// How an answer is to be read.
pub struct Terms {
    /// What is asked of whom (`POST billing /invoices`), for failures.
    pub title: String,
    /// What each status means.
    pub statuses: StatusTable,
    /// What a second request would do.
    pub repeat: Repeat,
    /// Largest body, in bytes.
    pub response_bytes_max: usize,
}

/// An answer that means it worked.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body: JSON where the service says so, null when empty, else text.
    pub body: Value,
}

impl Answer {
    /// The headers as a map of lower-case names; of a repeated header the first.
    pub fn header_map(&self) -> Value {
        response::header_map(&self.headers)
    }
}

impl Endpoint {
    /// Posts `body` as JSON to `path`, which is appended to the endpoint's own.
    ///
    /// # Errors
    /// As [`Endpoint::exchange`].
    pub async fn post_json(
        &self,
        path: &str,
        body: &Value,
        terms: &Terms,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let mut url = self.base.clone();
        url.set_path(&join(url.path(), path).map_err(|error| terms.invalid(&error))?);
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = self.headers.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Some(body.to_string().into());
        self.exchange(request, terms, within).await
    }

    /// Sends `request` and reads the answer, all within the given time.
    ///
    /// # Errors
    /// Everything but an answer that `terms` calls ok; the failure says whether the request had left.
    pub async fn exchange(
        &self,
        mut request: Request,
        terms: &Terms,
        within: Duration,
    ) -> Result<Answer, Failure> {
        carry_trace(request.headers_mut());
        *request.timeout_mut() = Some(within - SPARE.min(within / 10));
        let mut response = self
            .client
            .execute(request)
            .await
            .map_err(|error| terms.not_answered(&error.without_url()))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response::read(&mut response, terms.response_bytes_max).await;
        let class = match terms.statuses.outcome(status, terms.repeat) {
            Outcome::Ok => return terms.answered(status, headers, body),
            Outcome::Transient => FailureClass::Transient,
            Outcome::Recoverable => FailureClass::Recoverable,
            Outcome::Fatal => FailureClass::Fatal,
            Outcome::Unknown => FailureClass::Unknown,
        };
        Err(terms.refused(class, status, &headers, &body.unwrap_or_default()))
    }
}

impl Terms {
    pub(super) fn invalid(&self, what: &impl Display) -> Failure {
        Failure::fatal("HTTP_REQUEST_INVALID", self.says(what)).sent(Sent::No)
    }

    fn says(&self, what: &impl Display) -> String {
        format!("{}: {what}", self.title)
    }

    fn answered(
        &self,
        status: StatusCode,
        headers: HeaderMap,
        body: Result<Vec<u8>, BodyError>,
    ) -> Result<Answer, Failure> {
        let value = body.and_then(|body| response::value(&headers, &body));
        match value {
            Ok(body) => Ok(Answer {
                status,
                headers,
                body,
            }),
            Err(error) => {
                let message = self.says(&error);
                let failure = match error {
                    BodyError::TooLarge(_) => Failure::fatal("HTTP_RESPONSE_TOO_LARGE", message),
                    BodyError::NotJson(_) => Failure::fatal("HTTP_RESPONSE_INVALID", message),
                    BodyError::Broken(_) => self.repeat.lost("HTTP_RESPONSE_BROKEN", message),
                };
                Err(failure.sent(Sent::Yes))
            }
        }
    }

    fn refused(
        &self,
        class: FailureClass,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Failure {
        let quoted: String = String::from_utf8_lossy(body)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(QUOTED_CHARS_MAX)
            .collect();
        let message = match quoted.trim() {
            "" => format!("{} answered {status}", self.title),
            quoted => format!("{} answered {status}: {quoted}", self.title),
        };
        let code = format!("HTTP_{}", status.as_u16());
        let mut failure = Failure::new(class, code, message).sent(Sent::Yes);
        failure.retry_after = retry_after(headers, now());
        failure
    }

    /// No response: what that means depends on whether the request had left.
    fn not_answered(&self, error: &reqwest::Error) -> Failure {
        let causes = causes(error);
        if let Some(refusal) = causes
            .iter()
            .find_map(|cause| cause.downcast_ref::<AddressRefused>())
        {
            return Failure::fatal("HTTP_ADDRESS_REFUSED", self.says(refusal)).sent(Sent::No);
        }
        let chain: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let message = self.says(&chain.join(": "));
        if error.is_connect() {
            return Failure::transient("HTTP_CONNECT_FAILED", message).sent(Sent::No);
        }
        if error.is_builder() {
            return Failure::fatal("HTTP_REQUEST_INVALID", message).sent(Sent::No);
        }
        if error.is_timeout() {
            return self.repeat.lost("HTTP_TIMEOUT", message);
        }
        self.repeat.lost("HTTP_CONNECTION_LOST", message)
    }
}

/// Lets the service join the trace of the call. A header that the configuration sets itself stays.
fn carry_trace(headers: &mut HeaderMap) {
    for (name, value) in fulcrum_sdk::trace::headers() {
        let name = HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.entry(name).or_insert(value);
        }
    }
}

/// What the clock on the wall says, to which a date in `Retry-After` is compared.
#[expect(clippy::disallowed_methods, reason = "a service's date is wall time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The error and everything that caused it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}
