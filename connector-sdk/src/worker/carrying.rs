//! A task's values that did not come with it, and those that do not go with its outcome.

use fulcrum_proto::{
    common::v1::Payload,
    worker::v1::{JournalEntry, Task, journal_entry, parked_operation::Operation, task_report},
};

use super::running::{Bench, failed};
use crate::{
    Failure, Sent, code,
    transfer::{Transfer, TransferError},
};

/// What a task is given, whole.
pub(super) struct Fetched {
    pub(super) input: Option<Payload>,
    pub(super) journal: Vec<JournalEntry>,
}

/// Reads what did not come with the task.
pub(super) async fn fetched(bench: &Bench, task: &Task) -> Result<Fetched, Failure> {
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

/// Uploads what is too large to go with the outcome. If that is refused for good, the outcome is that.
pub(super) async fn lightened(
    bench: &Bench,
    namespace: &str,
    mut outcome: task_report::Outcome,
) -> task_report::Outcome {
    let lightening = lighten(&bench.transfer, namespace, &mut outcome);
    let refused = tokio::select! {
        biased;
        lightened = lightening => match lightened {
            Ok(()) => return outcome,
            Err(error) => Failure::fatal(code::REPORT_REFUSED, error.to_string()),
        },
        () = bench.give_up.cancelled() => Failure::unknown(
            code::WORKER_STOPPED,
            "the worker was stopped before the outcome was handed in",
        ),
    };
    failed(&refused.sent(Sent::Yes))
}

async fn lighten(
    transfer: &Transfer,
    namespace: &str,
    outcome: &mut task_report::Outcome,
) -> Result<(), TransferError> {
    let payloads: Vec<&mut Payload> = match outcome {
        task_report::Outcome::Completed(done) => done.output.iter_mut().collect(),
        task_report::Outcome::Parked(parked) => {
            let operations = parked.operations.iter_mut();
            operations
                .filter_map(|parked| handed_over(parked.operation.as_mut()?))
                .collect()
        }
        task_report::Outcome::Failed(_) => Vec::new(),
    };
    for payload in payloads {
        *payload = transfer.lighten(namespace, std::mem::take(payload)).await?;
    }
    Ok(())
}

fn handed_over(operation: &mut Operation) -> Option<&mut Payload> {
    match operation {
        Operation::Call(call) => call.input.as_mut(),
        Operation::Review(review) => review.show.as_mut(),
        Operation::Sleep(_) | Operation::WaitSignal(_) => None,
    }
}
