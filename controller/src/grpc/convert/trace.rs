//! W3C trace context.

use fulcrum_core::event::TraceContext;
use tracing::Span;

use crate::telemetry;

/// The trace context of the current call; `None` when spans are not exported.
#[must_use]
pub fn current() -> Option<TraceContext> {
    parse(&telemetry::traceparent(&Span::current())?)
}

/// The `traceparent` of a stored context.
#[must_use]
pub fn traceparent(context: TraceContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        hex::encode(context.trace_id),
        hex::encode(context.span_id),
        context.flags
    )
}

fn parse(text: &str) -> Option<TraceContext> {
    let mut parts = text.split('-');
    let (_version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mut context = TraceContext {
        trace_id: [0; 16],
        span_id: [0; 8],
        flags: 0,
    };
    hex::decode_to_slice(trace, &mut context.trace_id).ok()?;
    hex::decode_to_slice(span, &mut context.span_id).ok()?;
    context.flags = u8::from_str_radix(flags, 16).ok()?;
    Some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_storing() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(parse(text).expect("valid")), text);
        assert_eq!(parse("00-xyz"), None);
    }
}
