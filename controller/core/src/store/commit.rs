//! One run's step in the version history, as committed; and what a flush tells about it.

use serde::{Deserialize, Serialize};

use crate::decide::command::Mail;
use crate::event::{ChainHash, EVENT_KINDS, EVENT_SCHEMA, Envelope};
use crate::ids::{CommitId, DefinitionHash, MailId, NamespaceId, RunId, Shard};
use crate::payload::NewPayload;
use crate::store::StoreError;
use crate::store::ops::{GrantedTask, JoinOp, ReviewOp, TimerOp};
use crate::task::{Fence, HandOff, TaskOp};
use crate::time::Timestamp;

/// Everything that one version step of one run makes durable. Ops on one key are already merged: at most one
/// `TaskOp` per task, one `TimerOp` per timer, one `ReviewOp` per review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Fresh; stored in the run row.
    pub id: CommitId,
    /// The version that was decided on.
    pub expected: Expected,
    /// Chain position that was decided on; zero for a new run. After a failover that lost commits, another history may
    /// have grown to the same version.
    pub before: ChainHash,
    /// The run row as it shall be.
    pub head: RunHead,
    /// New timeline entries, encoded and chained.
    pub events: Vec<StoredEvent>,
    /// A snapshot of the fold after these events, when one is due: `Run` in postcard.
    pub snapshot: Option<Vec<u8>>,
    /// Payloads.
    pub payloads: Vec<NewPayload>,
    /// Leases that must still hold.
    pub fences: Vec<Fence>,
    /// Changes to tasks.
    pub tasks: Vec<TaskOp>,
    /// Which of the created tasks are leased at once, and to whom.
    pub hand_offs: Vec<HandOff>,
    /// Changes to timers.
    pub timers: Vec<TimerOp>,
    /// Outgoing mail. An id that exists already is left as it is.
    pub mail: Vec<Mail>,
    /// Consumed mail.
    pub consumed: Vec<MailId>,
    /// Changes to joins, applied in order.
    pub joins: Vec<JoinOp>,
    /// Changes to the inbox.
    pub reviews: Vec<ReviewOp>,
    /// Request ids answered by this commit.
    pub requests: Vec<RequestRecord>,
}

/// The version that was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The run must not exist.
    New,
    /// The run must be at this version.
    Version(u64),
}

/// The narrow run row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHead {
    /// The run.
    pub run: RunId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The shard.
    pub shard: Shard,
    /// The root.
    pub root: RunId,
    /// The parent, for child runs.
    pub parent: Option<RunId>,
    /// The workflow's name.
    pub workflow: String,
    /// The pinned definition.
    pub definition: DefinitionHash,
    /// Status.
    pub status: RunStatus,
    /// Counts commits, from 1.
    pub version: u64,
    /// `seq` of the last event.
    pub last_seq: u64,
    /// Hash chain position after the last event.
    pub chain: ChainHash,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// The caller's idempotency key (root runs). Unique among runs of (shard, namespace, workflow).
    pub idempotency_key: Option<String>,
}

/// A run's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunStatus {
    /// Under way.
    Running,
    /// Asked to end; clean-up is under way.
    Cancelling,
    /// Succeeded.
    Completed,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
}

impl RunStatus {
    /// Closed runs absorb everything.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        match self {
            RunStatus::Running | RunStatus::Cancelling => false,
            RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => true,
        }
    }
}

/// A timeline entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Position in the run.
    pub seq: u64,
    /// Variant index of the event.
    pub kind: u16,
    /// Encoding version.
    pub schema: u16,
    /// Postcard of the [`Envelope`].
    pub body: Vec<u8>,
    /// Chain position after this entry.
    pub hash: ChainHash,
}

/// Most envelopes take less, so that their buffer need not grow.
const USUAL_BODY_BYTES: usize = 256;

impl StoredEvent {
    /// Encodes an envelope and chains it to `previous`.
    #[must_use]
    pub fn seal(run: RunId, envelope: &Envelope, previous: ChainHash) -> Self {
        let room = Vec::with_capacity(USUAL_BODY_BYTES);
        let body =
            postcard::to_extend(envelope, room).expect("an envelope holds only encodable types");
        let kind = envelope.event.kind();
        let hash = previous.next(run, envelope.seq, kind, EVENT_SCHEMA, &body);
        Self {
            seq: envelope.seq,
            kind,
            schema: EVENT_SCHEMA,
            body,
            hash,
        }
    }

    /// Decodes the envelope and verifies the chain.
    ///
    /// # Errors
    /// [`Unreadable::Newer`] only if the chain vouches for the bytes: what somebody changed is corrupt, whatever it
    /// claims to be.
    pub fn open(&self, run: RunId, previous: ChainHash) -> Result<Envelope, Unreadable> {
        let seq = self.seq;
        let corrupt = |what: String| Err(Unreadable::Corrupt(format!("event {seq} {what}")));
        if previous.next(run, seq, self.kind, self.schema, &self.body) != self.hash {
            return corrupt("does not continue the hash chain".to_owned());
        }
        if self.schema != EVENT_SCHEMA {
            let what = format!("event {seq} has schema {}", self.schema);
            return Err(Unreadable::Newer(what));
        }
        if self.kind >= EVENT_KINDS {
            return Err(Unreadable::Newer(format!(
                "event {seq} is of kind {}",
                self.kind
            )));
        }
        let envelope: Envelope = match postcard::from_bytes(&self.body) {
            Ok(envelope) => envelope,
            Err(error) => return corrupt(format!("does not decode: {error}")),
        };
        if envelope.seq != seq || envelope.event.kind() != self.kind {
            return corrupt("disagrees with its own columns".to_owned());
        }
        Ok(envelope)
    }
}

impl Unreadable {
    /// The same as the run's trouble.
    #[must_use]
    pub fn of(self, run: RunId) -> StoreError {
        match self {
            Unreadable::Newer(what) => StoreError::Newer { run, what },
            Unreadable::Corrupt(problem) => StoreError::Corrupt { run, problem },
        }
    }
}

/// Why a stored event gives no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer version wrote it: leave the run to that one.
    #[error("{0}, which this version does not know")]
    Newer(String),
    /// It is spoiled: the run must be quarantined.
    #[error("{0}")]
    Corrupt(String),
}

/// A client's request id within a namespace; scoped to the shard of the run it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey {
    /// The shard.
    pub shard: Shard,
    /// The client's id, at most 128 bytes.
    pub id: String,
}

/// A mutation that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The request.
    pub key: RequestKey,
    /// SHA-256 of method and body: another body under the same id is refused.
    pub digest: [u8; 32],
    /// The run it was about: enough to build the answer again.
    pub run: RunId,
    /// Method-specific answer bytes.
    pub answer: Vec<u8>,
}

/// What a flush did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushReport {
    /// The database's clock in this transaction.
    pub now: Timestamp,
    /// One per commit, in order.
    pub outcomes: Vec<CommitOutcome>,
    /// Mail written by joins that crossed their threshold.
    pub join_mail: Vec<Mail>,
    /// The grants of the winners' hand-offs.
    pub granted: Vec<GrantedTask>,
}

/// The fate of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Durable.
    Committed,
    /// The run is at another version (or exists, or does not): reload and decide again.
    Conflict,
    /// A fence does not hold: these leases are lost. Decide again without the commands that brought them.
    LeaseLost(Vec<crate::task::Lease>),
    /// A request id is taken: answer from the record.
    Duplicate(RequestRecord),
    /// Another run of this workflow holds the idempotency key.
    KeyTaken(RunId),
}

/// A run as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRun {
    /// The row.
    pub head: RunHead,
    /// Newest snapshot: the fold up to and including `seq`.
    pub snapshot: Option<Snapshot>,
    /// Events after the snapshot.
    pub events: Vec<StoredEvent>,
    /// The last commit.
    pub commit: CommitId,
}

/// What is remembered of a run's newest snapshot; all zero if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotMark {
    /// The last event folded in.
    pub seq: u64,
    /// Its size.
    pub bytes: u64,
}

/// About what a stored event takes.
const EVENT_BYTES: u64 = 256;

impl SnapshotMark {
    /// Is it time for another one? Not before `every_events` more, and not before the events since take as much as the
    /// snapshot did: a state that grows with its run would otherwise be written whole again and again, and all its
    /// snapshots together would take the square of its size.
    #[must_use]
    pub fn is_behind(self, last_seq: u64, every_events: u64) -> bool {
        last_seq.saturating_sub(self.seq) >= every_events.max(self.bytes / EVENT_BYTES)
    }
}

/// A stored fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last event folded in.
    pub seq: u64,
    /// Chain position after it.
    pub chain: ChainHash,
    /// `Run` in postcard.
    pub state: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_snapshots_of_a_run_take_about_as_much_as_its_events() {
        let (mut mark, mut written) = (SnapshotMark::default(), 0);
        for seq in 1..=20_000 {
            if mark.is_behind(seq, 32) {
                // A state that grows as fast as its timeline.
                mark = SnapshotMark {
                    seq,
                    bytes: seq * EVENT_BYTES,
                };
                written += mark.bytes;
            }
        }
        assert!(written < 2 * 20_000 * EVENT_BYTES, "{written}");
        let small = SnapshotMark {
            seq: 100,
            bytes: 500,
        };
        assert!(!small.is_behind(131, 32) && small.is_behind(132, 32));
    }
}
