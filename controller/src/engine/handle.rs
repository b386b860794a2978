//! The engine as the gRPC services see it: core types in, core types out.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::decide::command::{Approve, DecideReview};
use fulcrum_core::decide::{Command, CommandKind, Rejection};
use fulcrum_core::event::{Actor, TraceContext};
use fulcrum_core::ids::{NamespaceId, ReviewId, RunId, Shard};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::{NewPayload, Payload};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{LineKey, RunHead, Store, StoreError};
use fulcrum_core::time::Millis;
use tokio::sync::watch;

use super::agenda::Bells;
use super::catalog::{Catalog, Source};
use super::dispatch::hall::Hall;
use super::herald::Herald;
use super::item::{Accepted, LaneError, PendingRequest};
use super::load::load;
use super::news::News;
use super::router::Router;
use super::tick::Tidings;
use super::watch::{Seen, WatchHub, look_at};
use crate::clock::DatabaseClock;
use crate::entropy::Entropy;

/// The running engine. Shared by every service behind an `Arc`.
#[derive(Debug)]
pub struct Engine<S, C> {
    /// Durable state.
    pub store: Arc<S>,
    /// Plans and contracts.
    pub catalog: Arc<Catalog<C>>,
    /// The way to the lanes.
    pub router: Router,
    /// Who waits for which run.
    pub hub: WatchHub,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// Where lease calls wait.
    pub hall: Hall,
    /// What wakes the loops.
    pub bells: Bells,
    /// Tells other controllers what happened here.
    pub herald: Herald,
    /// What the last tick found.
    pub tidings: watch::Receiver<Tidings>,
    /// How long a lease lasts.
    pub lease: Millis,
    /// Limits in force.
    pub limits: Limits,
    /// Bytes of one answer to a worker.
    pub answer_bytes_max: u64,
    /// Where ids come from.
    pub entropy: Entropy,
}

/// Why the engine did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// A lane refused, or could not commit.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request id came before with another method or body.
    #[error("request id `{0}` was used for another call")]
    RequestIdReused(String),
    /// There is no such run in this namespace.
    #[error("run {0} does not exist")]
    RunNotFound(RunId),
    /// A payload is too large.
    #[error("payload_bytes_max is {max}; this payload has {actual} bytes")]
    PayloadTooLarge {
        /// The limit.
        max: u32,
        /// What came.
        actual: u64,
    },
    /// A payload is not what its encoding says.
    #[error("the payload is not valid JSON: {0}")]
    PayloadInvalid(String),
}

impl From<Rejection> for EngineError {
    fn from(rejection: Rejection) -> Self {
        EngineError::Lane(LaneError::Rejected(rejection))
    }
}

/// A client's request id and the digest of what it asked.
#[derive(Debug, Clone)]
pub struct ClientRequest {
    /// The id; at most 128 bytes.
    pub id: String,
    /// SHA-256 of method and body.
    pub digest: [u8; 32],
}

/// Names payloads that come from outside, before a command carries them in.
#[derive(Debug)]
pub struct Namer {
    run: RunId,
    entropy: [u8; 32],
    count: u32,
    bytes_max: u32,
}

impl Namer {
    /// Checks a payload and names it.
    pub fn name(&mut self, payload: Payload) -> Result<NewPayload, EngineError> {
        if payload.data.len() as u64 > u64::from(self.bytes_max) {
            return Err(EngineError::PayloadTooLarge {
                max: self.bytes_max,
                actual: payload.data.len() as u64,
            });
        }
        let named = payload.named(self.run, &self.entropy, self.count + 1);
        named
            .value()
            .map_err(|e| EngineError::PayloadInvalid(e.to_string()))?;
        self.count += 1;
        Ok(named)
    }
}

impl<S: Store, C: Source> Engine<S, C> {
    /// Names payloads for a command to `run`.
    pub fn namer(&self, run: RunId) -> Result<Namer, EngineError> {
        Ok(Namer {
            run,
            entropy: self.block()?,
            count: 0,
            bytes_max: self.limits.payload_bytes_max,
        })
    }

    /// Sends a signal to a run.
    pub async fn signal(
        &self,
        to: Addressed,
        name: String,
        payload: Option<Payload>,
    ) -> Result<(), EngineError> {
        let payload = match payload {
            Some(payload) => Some(self.namer(to.run)?.name(payload)?),
            None => None,
        };
        self.address(to, CommandKind::Signal { name, payload })
            .await
    }

    /// Asks a run to end. Asking a closed run is an error; asking twice is not.
    pub async fn cancel(&self, to: Addressed, reason: String) -> Result<(), EngineError> {
        match self.address(to, CommandKind::Cancel { reason }).await {
            Err(EngineError::Lane(LaneError::Rejected(Rejection::Stale(_)))) => Ok(()),
            answer => answer,
        }
    }

    /// Decides a review.
    pub async fn decide_review(
        &self,
        to: Addressed,
        review: ReviewId,
        verdict: Decided,
        shown: [u8; 32],
        comment: Option<String>,
    ) -> Result<(), EngineError> {
        let approve = match verdict {
            Decided::Rejected => Approve::No,
            Decided::Approved { edited: None } => Approve::Yes { edited: None },
            Decided::Approved {
                edited: Some(edited),
            } => Approve::Yes {
                edited: Some(self.namer(to.run)?.name(edited)?),
            },
        };
        let decide = DecideReview {
            review,
            approve,
            shown,
            comment,
        };
        self.address(to, CommandKind::DecideReview(Box::new(decide)))
            .await
    }

    /// A receiver that changes whenever the run commits.
    #[must_use]
    pub fn watch(&self, run: RunId) -> watch::Receiver<Seen> {
        self.hub.watch(run)
    }

    /// Waits until the run is closed, at most `wait`.
    pub async fn closed(&self, run: RunId, wait: Duration) {
        let mut receiver = self.hub.watch(run);
        // The run may have closed before the watch began.
        match self.store.heads(&[run]).await {
            Ok(heads) if heads.first().is_none_or(|head| head.status.is_closed()) => return,
            Ok(_) | Err(_) => {}
        }
        let closed = receiver.wait_for(|seen| seen.status.is_closed());
        let _timed_out = tokio::time::timeout(wait, closed).await;
    }

    /// A run as it stands, with its state, if it is in this namespace.
    pub async fn run(
        &self,
        namespace: NamespaceId,
        run: RunId,
    ) -> Result<(fulcrum_core::run::Run, RunHead), EngineError> {
        let folded = load(self.store.as_ref(), &[run])
            .await?
            .remove(&run)
            .ok_or(EngineError::RunNotFound(run))??;
        if folded.head.namespace != namespace {
            return Err(EngineError::RunNotFound(run));
        }
        Ok((folded.run, folded.head))
    }

    /// Looks where another controller says that something happened.
    pub async fn heed(&self, news: News) -> Result<(), StoreError> {
        let lines: Vec<LineKey> = if news.everywhere {
            self.hall.lines(usize::MAX)
        } else {
            news.lines.into_iter().collect()
        };
        self.hall.look(&lines);
        if news.tick || news.everywhere {
            self.bells.tick.notify_one();
        }
        let runs: Vec<RunId> = if news.everywhere {
            self.hub.watched()
        } else {
            let runs = news.runs.into_iter();
            runs.filter(|run| self.hub.is_watched(*run)).collect()
        };
        if runs.is_empty() {
            return Ok(());
        }
        look_at(self.store.as_ref(), &self.hub, &runs).await
    }

    async fn address(&self, to: Addressed, kind: CommandKind) -> Result<(), EngineError> {
        let head = self
            .store
            .heads(&[to.run])
            .await?
            .pop()
            .ok_or(EngineError::RunNotFound(to.run))?;
        if head.namespace != to.namespace {
            return Err(EngineError::RunNotFound(to.run));
        }
        let pending = to
            .request
            .map(|client| pending(to.namespace, to.run.shard(), client));
        let command = Command {
            run: to.run,
            actor: to.actor,
            trace: to.trace,
            kind,
        };
        match self.submit(command, head.root, pending).await {
            Ok(_) | Err(EngineError::Lane(LaneError::Duplicate(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn submit(
        &self,
        command: Command,
        root: RunId,
        pending: Option<PendingRequest>,
    ) -> Result<Accepted, EngineError> {
        if let Some(pending) = &pending
            && let Some(record) = self.store.request(pending.namespace, &pending.key).await?
        {
            // Answered before: a closed run must not turn a repeated call into an error.
            return Err(replay(record, pending));
        }
        self.send(command, root, pending).await
    }

    /// Sends a command on its way; what is given waits for its end.
    pub(super) fn send(
        &self,
        command: Command,
        root: RunId,
        pending: Option<PendingRequest>,
    ) -> impl Future<Output = Result<Accepted, EngineError>> + Send + use<S, C> {
        let accepted = self.router.submit(command, root, pending.clone());
        async move {
            match accepted.await {
                Err(LaneError::Duplicate(record)) => match pending {
                    Some(pending) => Err(replay(*record, &pending)),
                    None => Err(LaneError::Duplicate(record).into()),
                },
                other => Ok(other?),
            }
        }
    }

    pub(super) fn block(&self) -> Result<[u8; 32], EngineError> {
        let no_entropy = |e| StoreError::Refused(format!("no entropy: {e}"));
        Ok(self.entropy.block().map_err(no_entropy)?)
    }
}

/// A command's addressee and sender.
#[derive(Debug, Clone)]
pub struct Addressed {
    /// Who asks.
    pub actor: Actor,
    /// The caller's namespace: a run of another one does not exist.
    pub namespace: NamespaceId,
    /// The run.
    pub run: RunId,
    /// For replay of the answer.
    pub request: Option<ClientRequest>,
    /// The trace of the call.
    pub trace: Option<TraceContext>,
}

/// A person's decision.
#[derive(Debug, Clone)]
pub enum Decided {
    /// Yes.
    Approved {
        /// The edited version.
        edited: Option<Payload>,
    },
    /// No.
    Rejected,
}

fn replay(record: fulcrum_core::store::RequestRecord, pending: &PendingRequest) -> EngineError {
    if record.digest == pending.digest {
        LaneError::Duplicate(Box::new(record)).into()
    } else {
        EngineError::RequestIdReused(record.key.id)
    }
}

pub(super) fn pending(
    namespace: NamespaceId,
    shard: Shard,
    client: ClientRequest,
) -> PendingRequest {
    PendingRequest {
        namespace,
        key: RequestKey {
            shard,
            id: client.id,
        },
        digest: client.digest,
    }
}
