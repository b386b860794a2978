//! The seam to durability.
//!
//! [`Store`] is the whole of what the engine asks of a database: commit a batch of decisions, load runs, grant and
//! renew leases, list what is due. [`reference::ReferenceStore`] is its executable meaning, in memory; the Postgres
//! store is the real one; a differential test drives both with the same random operations and compares every answer.
//!
//! Aggregates are locked in one order, each kind sorted by key: run, task, join. A commit changes one run.

pub mod claim;
pub mod commit;
pub mod fold;
pub mod join;
pub mod ops;
pub mod reference;
pub mod sweep;
pub mod tick;

use std::future::Future;
use std::sync::Arc;

pub use commit::{
    Commit, CommitOutcome, Expected, FlushReport, LoadedRun, RequestRecord, RunHead, RunStatus,
    SnapshotMark, StoredEvent, Unreadable,
};
pub use fold::{Folded, Unfolded};
pub use ops::{
    Beat, BeatOutcome, ClaimRequest, DueTimer, GrantedTask, JoinKey, JoinOp, ReviewOp, ReviewRow,
    TimerOp,
};

pub use sweep::{Sweep, SweepKey, UnreadableRow};
pub use tick::{Attendance, Found, LineKey, Revisions, Sought};

use crate::decide::JoinOutputs;
use crate::decide::command::Mail;
use crate::ids::{MailId, NamespaceId, PayloadId, RunId, TimerId};
use crate::payload::{NewPayload, PayloadRef};
use crate::task::TaskRow;
use crate::time::{Millis, Timestamp};

/// Why a store call failed. Nothing of the call's effect is visible, except after `OutcomeUnknown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is shutting down; try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Deadlock or serialization failure; try again at once.
    #[error("the database asks to retry: {0}")]
    Retry(String),
    /// The connection broke during COMMIT: read the runs' commit ids to learn the outcome.
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The database is out of space, memory or time; shed load.
    #[error("the database has no room: {0}")]
    Full(String),
    /// Stored bytes do not decode or do not match their hash; the run must be quarantined.
    #[error("stored data of run {run} is corrupt: {problem}")]
    Corrupt { run: RunId, problem: String },
    /// Stored bytes are sound but of a kind or schema that this version does not know: a newer controller wrote them.
    /// The run is left to others; nothing is wrong with it.
    #[error("run {run} was written by a newer controller: {what}")]
    Newer { run: RunId, what: String },
    /// A stored payload is missing or does not match its hash; the run that needs it must be quarantined.
    #[error("stored payload {payload} is corrupt: {problem}")]
    CorruptPayload { payload: PayloadId, problem: String },
    /// Object storage cannot be reached, and these runs' commits have payloads for it, or the payloads that were asked for
    /// are there (then no run is named). Nothing of a batch is stored; try again, without these runs at once.
    #[error("object storage is unavailable: {problem}")]
    BlobsUnavailable { runs: Vec<RunId>, problem: String },
    /// A mistake in Fulcrum or its schema; not retried.
    #[error("the database refused: {0}")]
    Refused(String),
}

/// One run's part of the answer to [`Store::load`]: `None` when there is no such run, an error when its own data
/// cannot be used.
pub type Loaded = Result<Option<LoadedRun>, StoreError>;

/// From where on a run is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The newest snapshot, and the events after it.
    Snapshot,
    /// All events, and no snapshot: for those that hold one of another version.
    Birth,
}

/// What the engine asks of a database. All methods are safe to repeat.
pub trait Store: Send + Sync + 'static {
    /// Commits many runs' steps in one transaction and tells each one's fate. Losers (stale version, lost lease,
    /// repeated request) are left out and the others go through. Also applies joins and returns the mail that
    /// crossing a join's threshold wrote, and the grants of the hand-offs.
    fn flush(
        &self,
        batch: impl Into<Arc<[Commit]>> + Send,
    ) -> impl Future<Output = Result<FlushReport, StoreError>> + Send;

    /// Loads runs, in the order of `runs`. A run whose data cannot be used fails alone; the outer error is the
    /// database's.
    fn load(
        &self,
        runs: &[RunId],
        since: Since,
    ) -> impl Future<Output = Result<Vec<Loaded>, StoreError>> + Send;

    /// The rows of runs, without their timelines; runs that do not exist are left out.
    fn heads(
        &self,
        runs: &[RunId],
    ) -> impl Future<Output = Result<Vec<RunHead>, StoreError>> + Send;

    /// Loads payloads and verifies their hashes, in the order of `refs`.
    fn payloads(
        &self,
        refs: &[PayloadRef],
    ) -> impl Future<Output = Result<Vec<NewPayload>, StoreError>> + Send;

    /// Loads the items of a join, ordered by index.
    fn join_outputs(
        &self,
        join: &JoinKey,
    ) -> impl Future<Output = Result<JoinOutputs, StoreError>> + Send;

    /// Grants ready tasks: each `ClaimRequest` gets at most its slots, highest priority then oldest first.
    /// Raises `lease_seq`, draws a nonce, sets the deadline by the database's clock.
    fn claim(
        &self,
        requests: &[ClaimRequest],
        lease: Millis,
    ) -> impl Future<Output = Result<Vec<GrantedTask>, StoreError>> + Send;

    /// Extends leases that are still held, in bulk; expired but not yet reaped ones are extended too.
    fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Millis,
    ) -> impl Future<Output = Result<Vec<BeatOutcome>, StoreError>> + Send;

    /// Offers tasks again whose grants never reached their workers: `leased → ready` where the lease is still that one.
    /// It counts as a grant and not as a crash. Leases that are gone are passed over. Nobody gets them for so long as they
    /// `rest`.
    fn give_back(
        &self,
        grants: &[Beat],
        rest: Millis,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Tasks whose `due` instant has passed: those behind `after`, at most `limit`.
    fn due_tasks(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> impl Future<Output = Result<Sweep<TaskRow>, StoreError>> + Send;

    /// Timers whose instant has passed: those behind `after`, at most `limit`.
    fn due_timers(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> impl Future<Output = Result<Sweep<DueTimer>, StoreError>> + Send;

    /// Mail older than `older_than` that nobody has consumed, the backstop behind direct delivery: what lies behind
    /// `after`, at most `limit`.
    fn pending_mail(
        &self,
        older_than: Millis,
        after: Option<SweepKey>,
        limit: u32,
    ) -> impl Future<Output = Result<Sweep<Mail>, StoreError>> + Send;

    /// Throws away mail that its addressee can never consume (it is closed, or the mail is about something over).
    fn discard_mail(&self, mail: &[MailId]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Throws away timers that mean nothing to their run any more.
    fn discard_timers(
        &self,
        timers: &[TimerId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The stored answer of a request id in a shard's scope, if there is one.
    fn request(
        &self,
        namespace: NamespaceId,
        request: &commit::RequestKey,
    ) -> impl Future<Output = Result<Option<RequestRecord>, StoreError>> + Send;

    /// Everything that a controller has to know without being told, in one cheap look.
    fn tick(&self, sought: &Sought) -> impl Future<Output = Result<Found, StoreError>> + Send;

    /// Now, by the database's clock.
    fn now(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;
}
