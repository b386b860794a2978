//! What was done outside: I4 and I6.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Evidence, Invariant, Violation};
use crate::target::{Call, Order};

/// Between a lease's end and the end of a call lie the worker's beat, the abort and a busy scheduler.
const SCHEDULING_SLACK: Duration = Duration::from_secs(2);

pub(super) fn check(evidence: &Evidence, violations: &mut Vec<Violation>) {
    let mut broken = |invariant, what| violations.push(Violation { invariant, what });
    let mut keys: BTreeMap<&Order, BTreeSet<&str>> = BTreeMap::new();
    let mut applied: BTreeMap<&Order, usize> = BTreeMap::new();
    let mut orders: BTreeMap<&str, BTreeSet<&Order>> = BTreeMap::new();
    for call in &evidence.calls {
        keys.entry(&call.order).or_default().insert(&call.key);
        orders.entry(&call.key).or_default().insert(&call.order);
        *applied.entry(&call.order).or_default() += usize::from(call.applied);
    }
    for (order, keys) in &keys {
        if keys.len() != 1 || keys.contains("") {
            broken(
                Invariant::I4,
                format!("{order:?} came with the effect keys {keys:?}"),
            );
        }
    }
    for (key, orders) in orders.iter().filter(|(_, orders)| orders.len() > 1) {
        broken(
            Invariant::I4,
            format!("effect key {key} stands for {orders:?}"),
        );
    }
    for accepted in &evidence.accepted {
        let row = evidence.rows.get(&accepted.run_id);
        if row.is_none_or(|row| row.status != "completed") {
            continue;
        }
        for step in accepted.steps {
            let order = Order {
                item: accepted.key.clone(),
                step: (*step).to_owned(),
            };
            let times = applied.get(&order).copied().unwrap_or(0);
            if times != 1 {
                broken(
                    Invariant::I4,
                    format!("{order:?} was applied {times} times"),
                );
            }
        }
    }
    let allowed = evidence.terms.lease_ttl + evidence.terms.heartbeat + SCHEDULING_SLACK;
    let overlap = overlap_max(&evidence.calls);
    if overlap > allowed {
        broken(
            Invariant::I6,
            format!("two calls for one effect overlapped {overlap:?}, {allowed:?} are allowed"),
        );
    }
}

/// The longest time during which two calls with one effect key were both under way.
pub(super) fn overlap_max(calls: &[Call]) -> Duration {
    let now = Instant::now();
    let mut by_key: BTreeMap<&str, Vec<(Instant, Instant)>> = BTreeMap::new();
    for call in calls {
        let span = (call.began, call.ended.unwrap_or(now));
        by_key.entry(&call.key).or_default().push(span);
    }
    let mut longest = Duration::ZERO;
    for spans in by_key.values_mut() {
        spans.sort();
        let mut latest: Option<Instant> = None;
        for (began, ended) in spans {
            if let Some(latest) = latest {
                let both = latest.min(*ended).saturating_duration_since(*began);
                longest = longest.max(both);
            }
            latest = latest.max(Some(*ended));
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_the_time_that_both_calls_were_under_way() {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let call = |key: &str, began, ended| Call {
            key: key.to_owned(),
            order: Order {
                item: key.to_owned(),
                step: String::new(),
            },
            applied: false,
            began: at(began),
            ended: Some(at(ended)),
        };
        let calls = [
            call("a", 0, 10),
            call("a", 7, 8),
            call("a", 9, 20),
            call("b", 0, 99),
        ];
        assert_eq!(overlap_max(&calls), Duration::from_secs(1));
    }
}
