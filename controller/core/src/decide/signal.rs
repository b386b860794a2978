//! `Signal`: something from outside, for whoever waits for it in this run.

use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::event::{Activity, Event, StepKey};
use crate::payload::NewPayload;

pub(super) fn decide(
    desk: &mut Desk<'_>,
    name: &str,
    payload: Option<&NewPayload>,
) -> Result<(), Rejection> {
    let limits = &desk.inputs.limits;
    if let Some(new) = payload {
        let (max, actual) = (
            u64::from(limits.payload_bytes_max),
            u64::from(new.reference.bytes),
        );
        if actual > max {
            return Err(Rejection::LimitExceeded {
                limit: "payload_bytes_max",
                max,
                actual,
            });
        }
    }
    let waiting = longest_waiting(desk, name);
    let kept = desk.run.signals.len() as u64;
    let max = u64::from(limits.signals_buffered_max);
    if waiting.is_none() && kept >= max {
        return Err(Rejection::LimitExceeded {
            limit: "signals_buffered_max",
            max,
            actual: kept + 1,
        });
    }
    desk.decision.payloads.extend(payload.cloned());
    let reference = payload.map(|new| new.reference);
    let seq = desk.emit(Event::SignalReceived {
        name: name.to_owned(),
        payload: reference,
    });
    desk.because_of(Some(seq));
    if let Some(step) = waiting {
        desk.consume_signal(&step, name);
    }
    Ok(())
}

fn longest_waiting(desk: &Desk<'_>, name: &str) -> Option<StepKey> {
    let waits = desk.run.open_steps().filter(|state| match &state.activity {
        Some(Activity::Wait { signal, .. }) => signal == name,
        Some(
            Activity::Call(_)
            | Activity::Review(_)
            | Activity::Sleep { .. }
            | Activity::Parallel
            | Activity::Switch { .. }
            | Activity::Try
            | Activity::Foreach(_)
            | Activity::Child { .. },
        )
        | None => false,
    });
    waits
        .min_by_key(|state| state.opened_seq)
        .map(|state| state.key.clone())
}
