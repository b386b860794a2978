//! What the timelines tell: I2, I3 and I5.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_e2e::timeline;
use fulcrum_proto::workflow::v1::Event;
use serde_json::Value;

use super::{Evidence, Invariant, Violation};

const STEP_ENDS: &[&str] = &[
    "StepCompleted",
    "StepFailed",
    "StepCancelled",
    "StepSkipped",
];
const RUN_ENDS: &[&str] = &["RunCompleted", "RunFailed", "RunCancelled"];

pub(super) fn check(evidence: &Evidence, violations: &mut Vec<Violation>) {
    for (run_id, events) in &evidence.timelines {
        let mut broken = |invariant, what: String| {
            violations.push(Violation {
                invariant,
                what: format!("{run_id}: {what}"),
            });
        };
        if let Err(error) = timeline::verify(run_id, events) {
            broken(Invariant::I5, error.to_string());
        }
        let head = events.last().map(|event| hex(&event.hash));
        let row = evidence.rows.get(run_id);
        if row.map(|row| &row.chain) != head.as_ref() {
            broken(
                Invariant::I5,
                format!("ends at {head:?}, its row says {row:?}"),
            );
        }
        for event in events.iter().filter(|event| event.cause_seq >= event.seq) {
            broken(
                Invariant::I5,
                format!("event {} has its cause at {}", event.seq, event.cause_seq),
            );
        }
        one_result(events, &mut broken);
        no_stale_lease(events, &mut broken);
    }
}

/// Leases that ran out, over all runs.
pub(super) fn expired(evidence: &Evidence) -> usize {
    let events = evidence.timelines.values().flatten();
    events.filter(|event| event.kind == "LeaseExpired").count()
}

fn one_result(events: &[Event], broken: &mut impl FnMut(Invariant, String)) {
    let mut opened = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for event in events {
        let step = event.step_key.as_str();
        if event.kind == "StepOpened" && !opened.insert(step) {
            broken(Invariant::I2, format!("{step} was opened twice"));
        }
        if STEP_ENDS.contains(&event.kind.as_str()) && !ended.insert(step) {
            broken(Invariant::I2, format!("{step} ended twice"));
        }
    }
    for step in opened.difference(&ended) {
        broken(Invariant::I2, format!("{step} was opened and never ended"));
    }
    let ends = events
        .iter()
        .filter(|event| RUN_ENDS.contains(&event.kind.as_str()));
    let ends: Vec<u64> = ends.map(|event| event.seq).collect();
    if ends.len() != 1 || ends.first() != events.last().map(|event| &event.seq) {
        broken(Invariant::I2, format!("the run ended at {ends:?}"));
    }
}

/// Of each step, the grants whose reports were taken: none may be older than one that ran out or reported before it.
fn no_stale_lease(events: &[Event], broken: &mut impl FnMut(Invariant, String)) {
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        let Some(seq) = lease_seq(event) else {
            continue;
        };
        let before = newest.entry(&event.step_key).or_insert(0);
        if seq <= *before {
            broken(
                Invariant::I3,
                format!(
                    "{} of {} by grant {seq} after grant {before} had ended",
                    event.kind, event.step_key
                ),
            );
        }
        *before = seq;
    }
}

/// The grant that an event ended. A failed attempt begins a new task, so its grants are counted anew.
fn lease_seq(event: &Event) -> Option<u64> {
    let details: Value = serde_json::from_slice(&event.details_json).ok()?;
    details
        .get(&event.kind)?
        .get("grant")?
        .get("lease_seq")?
        .as_u64()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
