//! Parsed payloads that a lane keeps, whoever asked for them.
//!
//! The items of a fan-out read what is around them: their root's input, outputs of earlier steps, the item that their
//! parent has just written. Kept for each run, one input would be parsed and held once for every item; kept here, it
//! is there once. Payloads never change, so nothing here is ever stale.

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::sync::Arc;

use fulcrum_core::ids::PayloadId;
use serde_json::Value;

/// A bounded map of values, evicted in order of last use.
#[derive(Debug)]
pub struct Values {
    held: HashMap<PayloadId, Held>,
    order: BTreeMap<u64, PayloadId>,
    clock: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Held {
    value: Arc<Value>,
    bytes: usize,
    stamp: u64,
}

impl Values {
    /// Room for values of `bytes_max` bytes of memory together.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            held: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            bytes_max,
        }
    }

    /// A value, if it is here.
    pub fn get(&mut self, payload: PayloadId) -> Option<Arc<Value>> {
        let held = self.held.get_mut(&payload)?;
        self.order.remove(&held.stamp);
        self.clock += 1;
        held.stamp = self.clock;
        self.order.insert(held.stamp, payload);
        Some(Arc::clone(&held.value))
    }

    /// Keeps a value and lets go of those that were not asked for the longest. One that would take more than half of
    /// the room is not kept.
    pub fn put(&mut self, payload: PayloadId, value: Arc<Value>) {
        if self.held.contains_key(&payload) {
            return;
        }
        let bytes = size_of::<Held>() + 4 * size_of::<PayloadId>() + weight(&value);
        if bytes > self.bytes_max / 2 {
            return;
        }
        self.clock += 1;
        let stamp = self.clock;
        self.order.insert(stamp, payload);
        self.held.insert(
            payload,
            Held {
                value,
                bytes,
                stamp,
            },
        );
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some(gone) = self.held.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
    }

    /// Bytes of memory that the values take, near enough.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The memory behind a value. An object's entry costs about as much again as its key and value.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(entries) => entries
                .iter()
                .map(|(key, value)| 2 * (size_of::<String>() + key.len()) + weight(value))
                .sum(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn id(n: u128) -> PayloadId {
        PayloadId(Uuid::from_u128(n))
    }

    #[test]
    fn what_was_not_asked_for_the_longest_leaves_first_and_the_bytes_stay_bounded() {
        let text = "x".repeat(1_000);
        let mut values = Values::new(4_000);
        for n in 0..3 {
            values.put(id(n), Arc::new(json!(text)));
        }
        assert!(values.get(id(0)).is_some());
        values.put(id(3), Arc::new(json!(text)));
        let held: Vec<bool> = (0..4).map(|n| values.get(id(n)).is_some()).collect();
        assert_eq!(held, [true, false, true, true]);
        assert!(values.bytes() <= 4_000, "{}", values.bytes());
    }

    #[test]
    fn one_value_does_not_drive_out_all_others() {
        let mut values = Values::new(4_000);
        values.put(id(0), Arc::new(json!("small")));
        values.put(id(1), Arc::new(json!("x".repeat(3_000))));
        assert!(values.get(id(0)).is_some());
        assert!(values.get(id(1)).is_none());
    }

    #[test]
    fn a_value_that_is_put_twice_counts_once() {
        let mut values = Values::new(4_000);
        values.put(id(0), Arc::new(json!([1, 2, 3])));
        let once = values.bytes();
        values.put(id(0), Arc::new(json!([1, 2, 3])));
        assert_eq!(values.bytes(), once);
    }
}
