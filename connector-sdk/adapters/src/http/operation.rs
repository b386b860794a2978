//! One call of an `http` capability.

use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use fulcrum_sdk::{Contract, EffectClass, Failure, FailureClass, Idempotency, Sent};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::address::AddressRefused;
use super::config::{HttpConfig, MethodName};
use super::endpoint::{Endpoint, header_name};
use super::request::RequestTemplate;
use super::response::{self, BodyError, retry_after};
use super::status::{Outcome, StatusTable};
use crate::assemble::Parts;
use crate::config::Problems;
use crate::operation::{Call, Operation, Repeat};
use crate::template::{Scope, ScopeNames, TreeTemplate};

/// Characters of a refusing body that a failure quotes.
const QUOTED_CHARS_MAX: usize = 300;
const OUTPUT_NAMES: ScopeNames = ScopeNames(&["status", "headers", "body", "input"]);

struct HttpOperation {
    endpoint: Arc<Endpoint>,
    request: RequestTemplate,
    statuses: StatusTable,
    repeat: Repeat,
    key_header: Option<HeaderName>,
    output: Option<TreeTemplate>,
    response_bytes_max: usize,
    /// `POST billing /invoices`, for failures.
    title: String,
}

/// Makes the operation of an `http` entry; what is wrong is noted.
pub(crate) fn build(
    config: &Spanned<HttpConfig>,
    contract: &Contract,
    parts: &Parts,
    problems: &mut Problems,
) -> Option<Box<dyn Operation>> {
    let HttpConfig {
        endpoint,
        method,
        path,
        statuses: configured,
        idempotency_header,
        output,
        response_bytes_max,
        ..
    } = &config.value;
    let endpoint = parts.endpoints.find(endpoint, problems);
    let request = RequestTemplate::parse(&config.value, problems);
    let mut statuses = StatusTable::default();
    for (pattern, outcome) in configured {
        problems.keep(outcome, statuses.set(pattern, outcome.value));
    }
    let key_header = match (contract.idempotency, idempotency_header) {
        (Idempotency::Keyed, Some(name)) => Some(problems.keep(name, header_name(&name.value))?),
        (Idempotency::Keyed, None) => Some(HeaderName::from_static("idempotency-key")),
        (Idempotency::Natural | Idempotency::None, Some(name)) => {
            problems.note(
                name,
                "idempotency_header is only sent with `idempotency: keyed`",
            );
            None
        }
        (Idempotency::Natural | Idempotency::None, None) => None,
    };
    if contract.effect == EffectClass::Read
        && matches!(
            method,
            MethodName::Put | MethodName::Patch | MethodName::Delete
        )
    {
        problems.note(
            config,
            "a PUT, PATCH or DELETE changes something; its effect is not `read`",
        );
    }
    let output = match output {
        None => None,
        Some(output) => {
            Some(problems.keep(output, TreeTemplate::parse(&output.value, OUTPUT_NAMES))?)
        }
    };
    let endpoint = endpoint?;
    Some(Box::new(HttpOperation {
        title: format!(
            "{} {} {}",
            reqwest::Method::from(*method),
            endpoint.name,
            path.value
        ),
        endpoint,
        request: request?,
        statuses,
        repeat: Repeat::of(contract),
        key_header,
        output,
        response_bytes_max: *response_bytes_max,
    }))
}

#[async_trait]
impl Operation for HttpOperation {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let mut request = self
            .request
            .render(&self.endpoint, &call.scope())
            .map_err(|error| self.invalid(&error))?;
        if let Some(header) = &self.key_header {
            let key = HeaderValue::from_str(call.context.effect_key())
                .map_err(|_| self.invalid(&"the effect key does not fit into a header"))?;
            request.headers_mut().insert(header.clone(), key);
        }
        *request.timeout_mut() = Some(call.remaining());

        let mut response = self
            .endpoint
            .client
            .execute(request)
            .await
            .map_err(|error| self.not_answered(&error.without_url()))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response::read(&mut response, self.response_bytes_max).await;
        match self.statuses.outcome(status, self.repeat) {
            Outcome::Ok => self.answered(call, status, &headers, body),
            outcome => Err(self.refused(outcome, status, &headers, body.unwrap_or_default())),
        }
    }
}

impl HttpOperation {
    fn says(&self, what: &impl std::fmt::Display) -> String {
        format!("{}: {what}", self.title)
    }

    fn invalid(&self, what: &impl std::fmt::Display) -> Failure {
        Failure::fatal("HTTP_REQUEST_INVALID", self.says(what)).sent(Sent::No)
    }

    fn answered(
        &self,
        call: &Call<'_>,
        status: StatusCode,
        headers: &HeaderMap,
        body: Result<Vec<u8>, BodyError>,
    ) -> Result<Value, Failure> {
        let body = body
            .and_then(|body| response::value(headers, &body))
            .map_err(|error| {
                let message = self.says(&error);
                match error {
                    BodyError::TooLarge(_) => Failure::fatal("HTTP_RESPONSE_TOO_LARGE", message),
                    BodyError::NotJson(_) => Failure::fatal("HTTP_RESPONSE_INVALID", message),
                    BodyError::Broken(_) => self.repeat.lost("HTTP_RESPONSE_BROKEN", message),
                }
                .sent(Sent::Yes)
            })?;
        let Some(output) = &self.output else {
            return Ok(body);
        };
        let scope = Scope::new(&json!({
            "status": status.as_u16(),
            "headers": response::header_map(headers),
            "body": body,
            "input": call.input,
        }));
        output
            .render(&scope)
            .map_err(|error| Failure::fatal("OUTPUT_INVALID", self.says(&error)).sent(Sent::Yes))
    }

    fn refused(
        &self,
        outcome: Outcome,
        status: StatusCode,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Failure {
        let quoted: String = String::from_utf8_lossy(&body)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(QUOTED_CHARS_MAX)
            .collect();
        let message = match quoted.trim() {
            "" => format!("{} answered {status}", self.title),
            quoted => format!("{} answered {status}: {quoted}", self.title),
        };
        let class = match outcome {
            Outcome::Transient => FailureClass::Transient,
            Outcome::Recoverable => FailureClass::Recoverable,
            Outcome::Unknown => FailureClass::Unknown,
            Outcome::Fatal | Outcome::Ok => FailureClass::Fatal,
        };
        let mut failure =
            Failure::new(class, format!("HTTP_{}", status.as_u16()), message).sent(Sent::Yes);
        failure.retry_after = retry_after(headers, now());
        failure
    }

    /// No response: what that means depends on whether the request had left.
    fn not_answered(&self, error: &reqwest::Error) -> Failure {
        if let Some(refusal) = causes(error)
            .iter()
            .find_map(|cause| cause.downcast_ref::<AddressRefused>())
        {
            return Failure::fatal("HTTP_ADDRESS_REFUSED", self.says(refusal)).sent(Sent::No);
        }
        let message = self.says(&chain(error));
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

fn chain(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = causes(error).iter().map(ToString::to_string).collect();
    causes.join(": ")
}
