//! A task's values that did not come with it, and those that do not go with its outcome.

use fulcrum_proto::{
    common::v1::Payload,
    worker::v1::{JournalEntry, Task, journal_entry, task_report},
};

use super::running::{Bench, failed, interrupted};
use crate::{
    Capability, Failure, Sent, code,
    transfer::{Transfer, TransferError},
};

/// The most that is read for one task: its input and what its journal holds.
const READ_BYTES_MAX: u64 = 256 << 20;

/// What a task is given, whole.
pub(super) struct Fetched {
    pub(super) input: Option<Payload>,
    pub(super) journal: Vec<JournalEntry>,
}

/// Reads what did not come with the task.
pub(super) async fn fetched(bench: &Bench, task: &Task) -> Result<Fetched, Failure> {
    let bytes = size_of_handles(task);
    if bytes > READ_BYTES_MAX {
        let message = format!(
            "the task's input and journal have {bytes} bytes; a worker reads {READ_BYTES_MAX} for one task"
        );
        return Err(Failure::fatal(code::INPUT_UNREADABLE, message).sent(Sent::No));
    }
    let whole = async |payload: Payload| {
        let read = bench.transfer.whole(&task.namespace, payload).await;
        read.map_err(|error| {
            let message = format!("a value of the task cannot be read: {error}");
            Failure::transient(code::INPUT_UNREADABLE, message).sent(Sent::No)
        })
    };
    let input = match task.input.clone() {
        Some(input) => Some(whole(input).await?),
        None => None,
    };
    let mut journal = task.journal.clone();
    for entry in &mut journal {
        if let Some(journal_entry::Outcome::Output(output)) = &mut entry.outcome {
            *output = whole(std::mem::take(output)).await?;
        }
    }
    Ok(Fetched { input, journal })
}

/// Bytes of the values that did not come with the task. What is no good handle is told when it is read.
fn size_of_handles(task: &Task) -> u64 {
    let outputs = task
        .journal
        .iter()
        .filter_map(|entry| match &entry.outcome {
            Some(journal_entry::Outcome::Output(output)) => Some(output),
            _ => None,
        });
    let handles = task.input.iter().chain(outputs);
    handles
        .filter_map(|payload| payload.handle().ok().flatten())
        .map(|handle| handle.size_bytes)
        .fold(0, u64::saturating_add)
}

/// Uploads what is too large to go with the outcome. If that is refused for good, the outcome is that.
pub(super) async fn lightened(
    bench: &Bench,
    namespace: &str,
    mut outcome: task_report::Outcome,
    capability: Option<&dyn Capability>,
) -> task_report::Outcome {
    let lightening = lighten(&bench.transfer, namespace, &mut outcome);
    let refused = tokio::select! {
        biased;
        lightened = lightening => match lightened {
            Ok(()) => return outcome,
            Err(error) => Failure::fatal(code::REPORT_REFUSED, error.to_string()).sent(Sent::Yes),
        },
        () = bench.give_up.cancelled() => {
            let stopped = "the worker was stopped before the outcome was handed in";
            match (&outcome, capability) {
                // What was done before it parked is in its journal.
                (task_report::Outcome::Parked(_), _) => {
                    Failure::transient(code::WORKER_STOPPED, stopped).sent(Sent::No)
                }
                (_, Some(capability)) => {
                    interrupted(capability.contract(), code::WORKER_STOPPED, stopped).sent(Sent::Yes)
                }
                (_, None) => Failure::unknown(code::WORKER_STOPPED, stopped).sent(Sent::Yes),
            }
        }
    };
    failed(&refused)
}

async fn lighten(
    transfer: &Transfer,
    namespace: &str,
    outcome: &mut task_report::Outcome,
) -> Result<(), TransferError> {
    for payload in outcome.payloads_mut() {
        *payload = transfer.lighten(namespace, std::mem::take(payload)).await?;
    }
    Ok(())
}
