//! Waiting: `sleep`, `until` and `wait`.

use jiff::{Span, SpanRelativeTo, Unit};
use serde_json::Value;

use crate::decide::command::TimerPurpose;
use crate::decide::desk::{Desk, Halt};
use crate::definition::model::Template;
use crate::definition::plan::Node;
use crate::event::{Activity, Event, StepKey};
use crate::failure::{Failure, code};
use crate::time::{Millis, Timestamp};

impl Desk<'_> {
    pub(super) fn open_sleep_step(&mut self, node: &Node, span: &Template) -> Result<(), Halt> {
        let span = parse_span(&self.render(Some(node.id), span)?)?;
        self.open_sleep(&node.key, self.now().plus(span))
    }

    pub(super) fn open_until_step(&mut self, node: &Node, at: &Template) -> Result<(), Halt> {
        let at = parse_instant(&self.render(Some(node.id), at)?)?;
        self.open_sleep(&node.key, at)
    }

    pub(super) fn open_sleep(&mut self, key: &StepKey, until: Timestamp) -> Result<(), Halt> {
        self.check_open_waits()?;
        self.opened(key, Activity::Sleep { until });
        if until <= self.now() {
            self.complete(key, None, None);
        } else {
            self.set_timer(key, TimerPurpose::Wake, until);
        }
        Ok(())
    }

    pub(super) fn open_wait(
        &mut self,
        key: &StepKey,
        signal: &str,
        until: Option<Timestamp>,
    ) -> Result<(), Halt> {
        self.check_open_waits()?;
        self.opened(
            key,
            Activity::Wait {
                signal: signal.to_owned(),
                until,
            },
        );
        if self.run.signals.iter().any(|kept| kept.name == signal) {
            self.consume_signal(key, signal);
        } else if let Some(until) = until {
            self.set_timer(key, TimerPurpose::Wake, until);
        }
        Ok(())
    }

    /// Gives the oldest kept signal of a name to a `wait`.
    pub(in crate::decide) fn consume_signal(&mut self, step: &StepKey, name: &str) {
        let Some(kept) = self.run.signals.iter().find(|kept| kept.name == name) else {
            return;
        };
        let payload = kept.payload;
        self.emit(Event::SignalConsumed {
            step: step.clone(),
            name: name.to_owned(),
        });
        self.complete(step, payload, None);
    }

    pub(super) fn check_open_waits(&self) -> Result<(), Box<Failure>> {
        let max = self.inputs.limits.open_waits_max as usize;
        let waits = self.run.open_steps().filter(|state| {
            matches!(
                state.activity,
                Some(Activity::Sleep { .. } | Activity::Wait { .. } | Activity::Review(_))
            )
        });
        if waits.count() < max {
            return Ok(());
        }
        let message = format!("the run waits at {max} places; open_waits_max is {max}");
        Err(Failure::fatal(code::LIMIT_EXCEEDED, message).into())
    }
}

/// Longer than any workflow; keeps instants printable.
const SPAN_MS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// A duration text (`2d`, `1h 30m`) or a number of seconds.
fn parse_span(value: &Value) -> Result<Millis, Box<Failure>> {
    let millis = match value {
        Value::String(text) => text
            .parse::<Span>()
            .and_then(|span| span.total((Unit::Millisecond, SpanRelativeTo::days_are_24_hours())))
            .ok(),
        Value::Number(seconds) => seconds.as_f64().map(|seconds| seconds * 1_000.0),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match millis {
        Some(ms) if ms >= 0.0 && ms <= SPAN_MS_MAX as f64 => Ok(Millis(ms as u64)),
        Some(_) | None => Err(not_a(
            value,
            "a duration such as `2d` or `1h 30m`, or a number of seconds",
        )),
    }
}

/// An RFC 3339 text.
fn parse_instant(value: &Value) -> Result<Timestamp, Box<Failure>> {
    let parsed = match value {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    };
    parsed
        .map(|at| Timestamp(at.as_microsecond()))
        .ok_or_else(|| not_a(value, "an instant such as `2026-01-31T08:00:00Z`"))
}

fn not_a(value: &Value, wanted: &str) -> Box<Failure> {
    let shown: String = value.to_string().chars().take(100).collect();
    Failure::fatal(code::EXPRESSION_FAILED, format!("{shown} is not {wanted}")).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_texts_or_seconds() {
        let good = [
            (json!("2d"), 172_800_000),
            (json!("1h 30m"), 5_400_000),
            (json!(1.5), 1_500),
            (json!("250ms"), 250),
        ];
        for (value, ms) in good {
            assert_eq!(parse_span(&value), Ok(Millis(ms)), "{value}");
        }
        for bad in [
            json!("soon"),
            json!(-1),
            json!(null),
            json!("-2d"),
            json!(1e300),
        ] {
            assert!(parse_span(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_are_rfc_3339() {
        assert_eq!(
            parse_instant(&json!("1970-01-01T00:00:01Z")),
            Ok(Timestamp(1_000_000))
        );
        assert!(parse_instant(&json!("tomorrow")).is_err());
    }
}
