//! Parsed payloads that a lane keeps, whoever asked for them.
//!
//! The items of a fan-out read what is around them: their root's input, outputs of earlier steps, the item that their
//! parent has just written. Kept for each run, one input would be parsed and held once for every item; kept here, it
//! is there once. Payloads never change, so nothing here is ever stale.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use fulcrum_core::ids::PayloadId;
use serde_json::Value;

/// Values that take more than an eighth of the room and are held beside it. Two: what a family reads (its root's input)
/// and what its parent goes through (the list in it).
const LARGE_MAX: usize = 2;

/// Places in line that may be of values that are gone.
const SLACK: usize = 64;

/// A bounded map of values, evicted in order of last use.
#[derive(Debug)]
pub struct Values {
    held: HashMap<PayloadId, Held>,
    /// When each was asked for, or earlier: who was asked for again meanwhile goes to the end when its turn comes.
    order: VecDeque<(u64, PayloadId)>,
    /// The last one was asked for last.
    large: Vec<(PayloadId, Arc<Value>)>,
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
    /// Room for values of `bytes_max` bytes of memory together, and for [`LARGE_MAX`] large ones.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            held: HashMap::new(),
            order: VecDeque::new(),
            large: Vec::new(),
            clock: 0,
            bytes: 0,
            bytes_max,
        }
    }

    /// A value, if it is here.
    pub fn get(&mut self, payload: PayloadId) -> Option<Arc<Value>> {
        if let Some(held) = self.held.get_mut(&payload) {
            self.clock += 1;
            held.stamp = self.clock;
            return Some(Arc::clone(&held.value));
        }
        let place = self.large.iter().position(|(id, _)| *id == payload)?;
        self.large[place..].rotate_left(1);
        self.large.last().map(|(_, value)| Arc::clone(value))
    }

    /// Keeps a value and lets go of those that were not asked for the longest.
    pub fn put(&mut self, payload: PayloadId, value: Arc<Value>) {
        if self.get(payload).is_some() {
            return;
        }
        let bytes = size_of::<Held>() + 4 * size_of::<PayloadId>() + weight(&value);
        if bytes > self.bytes_max / 8 {
            self.large.push((payload, value));
            if self.large.len() > LARGE_MAX {
                self.large.remove(0);
            }
            return;
        }
        self.clock += 1;
        let stamp = self.clock;
        self.order.push_back((stamp, payload));
        let held = Held {
            value,
            bytes,
            stamp,
        };
        self.held.insert(payload, held);
        self.bytes += bytes;
        while self.bytes > self.bytes_max && self.evict_one() {}
        // Those that were forgotten are still in line.
        if self.order.len() > 2 * self.held.len() + SLACK {
            let held = &self.held;
            self.order.retain(|(_, payload)| held.contains_key(payload));
        }
    }

    /// Lets go of one value, or finds that there is none.
    fn evict_one(&mut self) -> bool {
        while let Some((stamp, oldest)) = self.order.pop_front() {
            match self.held.get(&oldest) {
                Some(held) if held.stamp > stamp => self.order.push_back((held.stamp, oldest)),
                Some(held) => {
                    self.bytes -= held.bytes;
                    self.held.remove(&oldest);
                    return true;
                }
                None => {}
            }
        }
        false
    }

    /// Lets go of a value that nobody will ask for again.
    pub fn forget(&mut self, payload: PayloadId) {
        match self.held.remove(&payload) {
            Some(gone) => self.bytes -= gone.bytes,
            None => self.large.retain(|(id, _)| *id != payload),
        }
    }

    /// Bytes of memory that the values take, near enough; large ones do not count.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The memory behind a value. An object's entries lie in nodes that have room for eleven and are half full at least.
fn weight(value: &Value) -> usize {
    let behind = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(entries) => {
            let nodes = entries.len().div_ceil(6) * 11 * size_of::<(String, Value)>();
            let inside = entries.iter();
            nodes
                + inside
                    .map(|(key, value)| key.len() + weight(value) - size_of::<Value>())
                    .sum::<usize>()
        }
    };
    size_of::<Value>() + behind
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
        let mut values = Values::new(10_000);
        for n in 0..8 {
            values.put(id(n), Arc::new(json!(text)));
        }
        assert!(values.get(id(0)).is_some());
        values.put(id(8), Arc::new(json!(text)));
        let held: Vec<bool> = (0..3).map(|n| values.get(id(n)).is_some()).collect();
        assert_eq!(held, [true, false, true]);
        assert!(values.bytes() <= 10_000, "{}", values.bytes());
    }

    #[test]
    fn large_values_do_not_drive_out_small_ones_and_two_of_them_stay() {
        let mut values = Values::new(10_000);
        values.put(id(0), Arc::new(json!("small")));
        for n in 1..4 {
            values.put(id(n), Arc::new(json!("x".repeat(9_000))));
            assert!(values.get(id(1)).is_some(), "it is asked for all the time");
        }
        let held: Vec<bool> = (0..4).map(|n| values.get(id(n)).is_some()).collect();
        assert_eq!(held, [true, true, false, true]);
        values.forget(id(1));
        assert!(values.get(id(1)).is_none());
    }

    #[test]
    fn what_is_put_twice_and_forgotten_leaves_nothing_behind() {
        let mut values = Values::new(10_000);
        values.put(id(0), Arc::new(json!([1, 2, 3])));
        values.put(id(0), Arc::new(json!([1, 2, 3])));
        values.forget(id(0));
        values.forget(id(0));
        assert_eq!((values.bytes(), values.get(id(0))), (0, None));
        for n in 0..10_000 {
            values.put(id(n), Arc::new(json!(n)));
            values.forget(id(n));
        }
        assert!(values.order.len() <= SLACK, "nor places in line");
    }
}
