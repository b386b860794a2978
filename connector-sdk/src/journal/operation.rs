//! What a task can wait for, and the digest that tells two operations of one name apart.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Failure;

/// SHA-256 of an operation's kind and canonical input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

/// How an operation ended.
pub(crate) type Outcome = Result<Value, Failure>;

/// A completed operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) outcome: Outcome,
}

/// An operation that completes elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    Call {
        capability: String,
        input: Value,
    },
    SleepFor(Duration),
    SleepUntil(SystemTime),
    Review(Question),
    WaitSignal {
        signal: String,
        timeout: Option<Duration>,
    },
}

/// A question to a person, for [`Context::review`](crate::Context::review).
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub(crate) title: String,
    pub(crate) show: Value,
    pub(crate) editable: bool,
    pub(crate) expires: Option<Duration>,
}

impl Question {
    /// Asks `title` (one line, at most 256 bytes) about `show`.
    pub fn new(title: impl Into<String>, show: Value) -> Self {
        Self {
            title: title.into(),
            show,
            editable: false,
            expires: None,
        }
    }

    /// Lets the person change what is shown when approving.
    #[must_use]
    pub fn editable(mut self) -> Self {
        self.editable = true;
        self
    }

    /// Lets the question stand for so long; after it the review fails with code `REVIEW_EXPIRED`.
    #[must_use]
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = Some(after);
        self
    }
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Decision {
    /// Whether to go on.
    pub approved: bool,
    /// What was approved: as shown, or as edited.
    #[serde(default)]
    pub value: Value,
    /// What was said with the decision.
    pub comment: Option<String>,
}

/// The digest of a step, which has no input of its own.
pub(crate) fn step_digest() -> Digest {
    digest("step", &[])
}

impl Operation {
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Call { capability, input } => {
                digest("call", &[&Value::from(capability.as_str()), input])
            }
            Self::SleepFor(duration) => digest("sleep_for", &[&Value::from(millis(*duration))]),
            Self::SleepUntil(at) => {
                let since_epoch = at
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                digest("sleep_until", &[&Value::from(millis(since_epoch))])
            }
            Self::Review(question) => digest(
                "review",
                &[
                    &Value::from(question.title.as_str()),
                    &question.show,
                    &Value::from(question.editable),
                    &Value::from(question.expires.map(millis)),
                ],
            ),
            Self::WaitSignal { signal, timeout } => digest(
                "wait_signal",
                &[
                    &Value::from(signal.as_str()),
                    &Value::from(timeout.map(millis)),
                ],
            ),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn digest(kind: &str, parts: &[&Value]) -> Digest {
    let mut canonical = String::from(kind);
    for part in parts {
        canonical.push('\n');
        write_canonical(part, &mut canonical);
    }
    Digest(Sha256::digest(canonical.as_bytes()).into())
}

/// JSON with sorted keys and no spaces: the same for equal values, however their maps are ordered.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(capability: &str, input: Value) -> Operation {
        Operation::Call {
            capability: capability.into(),
            input,
        }
    }

    #[test]
    fn digests_follow_meaning_and_not_the_order_of_keys() {
        let one = call("crm.get", json!({"a": 1, "b": [true, {"x": 1, "y": 2}]}));
        let same = call("crm.get", json!({"b": [true, {"y": 2, "x": 1}], "a": 1}));
        assert_eq!(one.digest(), same.digest());
    }

    #[test]
    fn digests_differ_by_input_and_kind() {
        let one = call("crm.get", json!(1));
        assert_ne!(one.digest(), call("crm.get", json!(2)).digest());
        assert_ne!(one.digest(), call("crm.put", json!(1)).digest());
        assert_ne!(one.digest(), step_digest());
    }
}
