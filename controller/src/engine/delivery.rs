//! Grants made ready for the wire: with their input and, from the second grant on, their journal.

use fulcrum_core::decide::command::{Report, ReportOutcome};
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::effect::effect_key;
use fulcrum_core::event::{Actor, Grant};
use fulcrum_core::failure::{Failure, code};
use fulcrum_core::ids::{PayloadId, RunId};
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_core::run::JournalEntry;
use fulcrum_core::store::{Folded, GrantedTask, Store, StoreError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::dispatch::poll::Parcel;
use super::load::load;
use super::room::{self, Fit, Room};
use super::router::Router;

/// A granted task with everything that its worker needs.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The grant.
    pub task: GrantedTask,
    /// The input.
    pub input: Handed,
    /// Stable over attempts.
    pub effect_key: String,
    /// Closed operations of the task's journal.
    pub journal: Vec<ClosedOperation>,
}

/// A closed operation.
#[derive(Debug, Clone)]
pub struct ClosedOperation {
    /// Its name in the task.
    pub name: String,
    /// Digest of its input as the worker computed it.
    pub input_digest: [u8; 32],
    /// How it ended. No payload means null.
    pub result: Result<Option<Handed>, Failure>,
}

/// A value on its way to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handed {
    /// In the answer.
    Whole(Payload),
    /// To be read by itself: it is too large for the answer.
    Apart(PayloadRef),
}

impl Handed {
    /// The value, if it is in the answer.
    #[must_use]
    pub fn whole(&self) -> Option<&Payload> {
        match self {
            Handed::Whole(payload) => Some(payload),
            Handed::Apart(_) => None,
        }
    }

    /// As JSON, if it is in the answer.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        self.whole().and_then(|payload| payload.to_value().ok())
    }
}

/// What an answer has room for.
#[derive(Debug, Clone, Copy)]
pub struct Carriage {
    /// Bytes in all.
    pub answer_bytes_max: u64,
    /// Bytes of one value; what is larger is read by itself. `None`: the worker cannot.
    pub whole_bytes_max: Option<u32>,
}

/// Where a task fits into no answer as it is, what is larger than this is read by itself, too.
const WHOLE_BYTES_MIN: u32 = 4 * 1024;

impl Carriage {
    /// The largest value of this task that is in the answer, and the bytes that it then takes.
    fn of(self, task: &GrantedTask, entries: &[JournalEntry]) -> (u32, u64) {
        let whole = self.whole_bytes_max.unwrap_or(u32::MAX);
        let bytes = room::bytes(task, entries, whole);
        if bytes <= self.answer_bytes_max || self.whole_bytes_max.is_none() {
            return (whole, bytes);
        }
        let less = whole.min(WHOLE_BYTES_MIN);
        (less, room::bytes(task, entries, less))
    }
}

/// A grant that the answer has room for.
struct Open {
    parcel: Parcel,
    entries: Vec<JournalEntry>,
    whole_bytes_max: u32,
}

/// Grants with what they need, and those that this answer does not carry.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Ready for the wire.
    pub ready: Vec<Delivery>,
    /// There was no room for these; a later answer has it.
    pub left_over: Vec<GrantedTask>,
    /// What these need cannot be read at this moment; it can later.
    pub not_yet: Vec<GrantedTask>,
    /// Each for itself: what is wrong with one task keeps no other from its worker.
    pub spoiled: Vec<Spoiled>,
}

/// A grant that this controller cannot deliver.
#[derive(Debug)]
pub struct Spoiled {
    /// The grant.
    pub task: GrantedTask,
    /// Why.
    pub error: Undeliverable,
}

/// Why a grant cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Undeliverable {
    /// Its input or journal cannot be read.
    #[error(transparent)]
    Stored(#[from] StoreError),
    /// It fits into no answer.
    #[error(
        "input and journal of the task have {bytes} bytes, and an answer to a worker has room for {max} \
         (server.message_out_bytes_max); record and return less, or a reference"
    )]
    TooLarge {
        /// So many, names and framing included.
        bytes: u64,
        /// The limit.
        max: u64,
    },
}

impl Spoiled {
    /// The failure to report under the grant's lease, when the run itself can take it: its task then ends with a typed
    /// failure instead of being granted again and again. `None` when the run is corrupt or was written by a newer
    /// controller: nothing can be decided on it here, so the lease is left to run out.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let error = match &self.error {
            Undeliverable::TooLarge { .. } => {
                return Some(Failure::fatal(code::LIMIT_EXCEEDED, self.error.to_string()));
            }
            Undeliverable::Stored(error) => error,
        };
        match error {
            StoreError::CorruptPayload { .. } => {
                Some(Failure::fatal(code::DATA_CORRUPT, error.to_string()))
            }
            StoreError::Corrupt { .. }
            | StoreError::Newer { .. }
            | StoreError::Unavailable(_)
            | StoreError::Retry(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::BlobsUnavailable { .. }
            | StoreError::Full(_)
            | StoreError::Refused(_) => None,
        }
    }
}

impl Spoiled {
    /// Ends what cannot be delivered, as far as that is possible here.
    pub async fn give_up(self, router: &Router) {
        let GrantedTask {
            lease,
            worker,
            granted_at,
            run,
            root,
            ref step,
            ..
        } = self.task;
        tracing::error!(task = %lease.task, %run, %step, error = %self.error, "a granted task cannot be delivered");
        let Some(failure) = self.failure() else {
            return;
        };
        let report = Report {
            step: step.clone(),
            lease,
            grant: Grant {
                worker,
                lease_seq: lease.seq,
                granted_at,
            },
            outcome: ReportOutcome::Failed {
                failure,
                details: None,
            },
        };
        let command = Command {
            run,
            actor: Actor::System,
            trace: None,
            kind: CommandKind::Report(Box::new(report)),
        };
        if let Err(error) = router.settle(command, root).await {
            tracing::error!(task = %lease.task, %run, %error, "its failure could not be recorded; the lease runs out");
        }
    }
}

/// Loads what the grants refer to, in a query for all of them, as far as the answer has room. Only a
/// task that was granted before can have a journal, so first grants cost no look at the run. The error is the
/// database's; one task's trouble is in its place in the answer.
pub async fn deliveries<S: Store>(
    store: &S,
    granted: Vec<Parcel>,
    carriage: Carriage,
) -> Result<Deliveries, StoreError> {
    let mut deliveries = Deliveries::default();
    if granted.is_empty() {
        return Ok(deliveries);
    }
    let runs = runs_with_journals(store, &granted).await?;
    let mut room = Room::of(carriage.answer_bytes_max);
    let mut open = Vec::with_capacity(granted.len());
    for parcel in granted {
        let entries = match journal(&runs, &parcel.task) {
            Ok(entries) => entries,
            Err(error) => {
                deliveries.spoiled.push(Spoiled {
                    task: parcel.task,
                    error: error.into(),
                });
                continue;
            }
        };
        let (whole_bytes_max, bytes) = carriage.of(&parcel.task, &entries);
        match room.take(bytes) {
            Fit::Now => open.push(Open {
                parcel,
                entries,
                whole_bytes_max,
            }),
            Fit::Later => deliveries.left_over.push(parcel.task),
            Fit::Never => deliveries.spoiled.push(Spoiled {
                task: parcel.task,
                error: Undeliverable::TooLarge {
                    bytes,
                    max: carriage.answer_bytes_max,
                },
            }),
        }
    }
    let payloads = payloads(store, &wanted(&open)).await?;
    for one in open {
        let task = one.parcel.task.clone();
        match assemble(&payloads, one) {
            Ok((input, journal)) => deliveries.ready.push(Delivery {
                effect_key: effect_key(task.namespace, task.run, &task.step, "call"),
                input,
                journal,
                task,
            }),
            Err(StoreError::BlobsUnavailable { .. }) => deliveries.not_yet.push(task),
            Err(error) => deliveries.spoiled.push(Spoiled {
                task,
                error: error.into(),
            }),
        }
    }
    Ok(deliveries)
}

type Runs = BTreeMap<RunId, Result<Folded, StoreError>>;
type Payloads = BTreeMap<PayloadId, Result<Payload, StoreError>>;

async fn runs_with_journals<S: Store>(store: &S, granted: &[Parcel]) -> Result<Runs, StoreError> {
    let tasks = granted.iter().map(|parcel| &parcel.task);
    let again = tasks.filter(|task| task.lease.seq > 1);
    let runs: BTreeSet<RunId> = again.map(|task| task.run).collect();
    if runs.is_empty() {
        return Ok(Runs::new());
    }
    load(store, &runs.into_iter().collect::<Vec<_>>()).await
}

fn journal(runs: &Runs, task: &GrantedTask) -> Result<Vec<JournalEntry>, StoreError> {
    if task.lease.seq <= 1 {
        return Ok(Vec::new());
    }
    match runs.get(&task.run) {
        Some(Ok(folded)) => Ok(folded.run.journal_of(&task.step)),
        Some(Err(error)) => Err(error.clone()),
        None => Err(StoreError::Corrupt {
            run: task.run,
            problem: format!("it has task {} and no row", task.lease.task),
        }),
    }
}

/// What has to be read: inputs that are not at hand, and what journals hold.
fn wanted(open: &[Open]) -> Vec<PayloadRef> {
    let of_task = |one: &'_ Open| {
        let input = one.parcel.input.is_none().then_some(one.parcel.task.input);
        let all = input.into_iter().chain(outputs(&one.entries));
        all.filter(|reference| reference.bytes <= one.whole_bytes_max)
            .collect::<Vec<_>>()
    };
    let mut wanted: Vec<PayloadRef> = open.iter().flat_map(of_task).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn outputs(entries: &[JournalEntry]) -> impl Iterator<Item = PayloadRef> {
    entries
        .iter()
        .filter_map(|entry| entry.result.as_ref().ok().copied().flatten())
}

/// Everything at once; if something in it is spoiled, one by one, to learn what.
async fn payloads<S: Store>(store: &S, wanted: &[PayloadRef]) -> Result<Payloads, StoreError> {
    if wanted.is_empty() {
        return Ok(Payloads::new());
    }
    match store.payloads(wanted).await {
        Ok(loaded) => Ok(loaded
            .into_iter()
            .map(|new| (new.reference.id, Ok(new.payload)))
            .collect()),
        Err(StoreError::CorruptPayload { .. } | StoreError::BlobsUnavailable { .. }) => {
            let mut payloads = Payloads::new();
            for reference in wanted {
                let alone = match store.payloads(std::slice::from_ref(reference)).await {
                    Ok(mut loaded) => loaded
                        .pop()
                        .map(|new| new.payload)
                        .ok_or_else(|| missing(*reference)),
                    Err(
                        error @ (StoreError::CorruptPayload { .. }
                        | StoreError::BlobsUnavailable { .. }),
                    ) => Err(error),
                    Err(error) => return Err(error),
                };
                payloads.insert(reference.id, alone);
            }
            Ok(payloads)
        }
        Err(error) => Err(error),
    }
}

fn assemble(payloads: &Payloads, open: Open) -> Result<(Handed, Vec<ClosedOperation>), StoreError> {
    let find = |reference: PayloadRef| {
        if reference.bytes > open.whole_bytes_max {
            return Ok(Handed::Apart(reference));
        }
        match payloads.get(&reference.id) {
            Some(payload) => payload.clone().map(Handed::Whole),
            None => Err(missing(reference)),
        }
    };
    let mut journal = Vec::with_capacity(open.entries.len());
    for entry in open.entries {
        let result = match entry.result {
            Ok(reference) => Ok(reference.map(find).transpose()?),
            Err(failure) => Err(failure),
        };
        journal.push(ClosedOperation {
            name: entry.name,
            input_digest: entry.input_digest,
            result,
        });
    }
    let reference = open.parcel.task.input;
    let input = match open.parcel.input {
        Some(input) if reference.bytes <= open.whole_bytes_max => Handed::Whole(input),
        Some(_) | None => find(reference)?,
    };
    Ok((input, journal))
}

fn missing(reference: PayloadRef) -> StoreError {
    StoreError::CorruptPayload {
        payload: reference.id,
        problem: "it is missing".to_owned(),
    }
}
