//! W3C trace context: into every call, out of every task.

use std::collections::HashMap;

use opentelemetry::{
    Context as OtelContext,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::{
    Request, Status,
    metadata::{MetadataKey, MetadataMap},
    service::Interceptor,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Puts the current span's trace context into a call's metadata. Without a traced span it does nothing.
#[derive(Clone, Copy, Debug)]
pub struct InjectTrace;

impl Interceptor for InjectTrace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let mut headers = MetadataInjector(request.metadata_mut());
        TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
        Ok(request)
    }
}

/// The current span's trace context as headers (`traceparent`, `tracestate`), for calls that an adapter makes.
/// Empty if nothing is traced.
pub fn headers() -> HashMap<String, String> {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    headers.retain(|_, value| !value.is_empty());
    headers
}

/// Joins `span` to the trace that a task belongs to: the first attempt as a child, a later one as a trace of its
/// own with a link back, so that a trace stays readable however long a step is retried.
pub(crate) fn join(span: &Span, traceparent: &str, tracestate: &str, attempt: u32) {
    if traceparent.is_empty() {
        return;
    }
    let carrier = TaskCarrier {
        traceparent,
        tracestate,
    };
    let remote = TraceContextPropagator::new().extract_with_context(&OtelContext::new(), &carrier);
    if attempt <= 1 {
        // Fails only where no exporter is set up: then there is nothing to join.
        let _ = span.set_parent(remote);
    } else {
        let _ = span.set_parent(OtelContext::new());
        span.add_link(remote.span().span_context().clone());
    }
}

struct TaskCarrier<'a> {
    traceparent: &'a str,
    tracestate: &'a str,
}

impl Extractor for TaskCarrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.traceparent),
            "tracestate" => Some(self.tracestate),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

struct MetadataInjector<'a>(&'a mut MetadataMap);

impl Injector for MetadataInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        let key = MetadataKey::from_bytes(key.as_bytes());
        if let (Ok(key), Ok(value)) = (key, value.parse()) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn traceparent_within_task(attempt: u32) -> String {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("task");
            join(&span, TRACEPARENT, "", attempt);
            span.in_scope(|| headers().remove("traceparent").unwrap_or_default())
        })
    }

    #[test]
    fn a_first_attempt_belongs_to_the_runs_trace() {
        let traceparent = traceparent_within_task(1);
        assert!(traceparent.contains(TRACE_ID), "{traceparent}");
        assert_ne!(traceparent, TRACEPARENT, "the task has a span of its own");
    }

    #[test]
    fn a_later_attempt_has_a_trace_of_its_own() {
        let traceparent = traceparent_within_task(2);
        assert!(!traceparent.is_empty());
        assert!(!traceparent.contains(TRACE_ID), "{traceparent}");
    }

    #[test]
    fn nothing_is_carried_where_nothing_is_traced() {
        assert!(headers().is_empty());
    }
}
