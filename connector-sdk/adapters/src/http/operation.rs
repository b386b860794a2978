//! One call of an `http` capability.

use std::sync::Arc;

use async_trait::async_trait;
use fulcrum_sdk::{Contract, EffectClass, Failure, Idempotency, Sent};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::config::{HttpConfig, MethodName};
use super::endpoint::{Endpoint, header_name};
use super::exchange::Terms;
use super::request::RequestTemplate;
use super::status::StatusTable;
use crate::assemble::Parts;
use crate::config::Problems;
use crate::operation::{Call, Operation, Repeat};
use crate::template::{Scope, ScopeNames, TreeTemplate};

const OUTPUT_NAMES: ScopeNames = ScopeNames::only(&["status", "headers", "body", "input"]);

struct HttpOperation {
    endpoint: Arc<Endpoint>,
    request: RequestTemplate,
    terms: Terms,
    key_header: Option<HeaderName>,
    output: Option<TreeTemplate>,
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
        terms: Terms {
            title: format!(
                "{} {} {}",
                Method::from(*method),
                endpoint.name(),
                path.value
            ),
            statuses,
            repeat: Repeat::of(contract),
            response_bytes_max: *response_bytes_max,
        },
        endpoint,
        request: request?,
        key_header,
        output,
    }))
}

#[async_trait]
impl Operation for HttpOperation {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let mut request = self
            .request
            .render(&self.endpoint, &call.scope())
            .map_err(|error| self.terms.invalid(&error))?;
        if let Some(header) = &self.key_header {
            let key = HeaderValue::from_str(call.context.effect_key()).map_err(|_| {
                self.terms
                    .invalid(&"the effect key does not fit into a header")
            })?;
            request.headers_mut().insert(header.clone(), key);
        }
        let answer = self
            .endpoint
            .exchange(request, &self.terms, call.remaining())
            .await?;
        let Some(output) = &self.output else {
            return Ok(answer.body);
        };
        let scope = Scope::new(&json!({
            "status": answer.status.as_u16(),
            "headers": answer.header_map(),
            "body": answer.body,
            "input": call.input,
        }));
        output.render(&scope).map_err(|error| {
            let message = format!("{}: {error}", self.terms.title);
            Failure::fatal("OUTPUT_INVALID", message).sent(Sent::Yes)
        })
    }
}
