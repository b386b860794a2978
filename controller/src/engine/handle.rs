//! The engine as the gRPC services see it: core types in, core types out.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::decide::command::{Approve, DecideReview, Start};
use fulcrum_core::decide::{Command, CommandKind, Rejection};
use fulcrum_core::event::{Actor, Entry, TraceContext};
use fulcrum_core::ids::{DefinitionHash, NamespaceId, ReviewId, RunId, Shard};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::{NewPayload, Payload};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{LineKey, RunHead, Store, StoreError};
use fulcrum_core::time::Millis;
use sha2::{Digest, Sha256};
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
use super::watch::{Closed, Seen, WatchHub, look_at};
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

/// A wish to start a root run.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Who asks.
    pub actor: Actor,
    /// Where.
    pub namespace: NamespaceId,
    /// How many shards the namespace has.
    pub shards: u16,
    /// The workflow's name.
    pub workflow: String,
    /// Its version.
    pub definition: DefinitionHash,
    /// The input.
    pub input: Option<Payload>,
    /// Unique per workflow while its run exists.
    pub idempotency_key: Option<String>,
    /// For replay of the answer.
    pub request: Option<ClientRequest>,
    /// The trace that the run belongs to.
    pub trace: Option<TraceContext>,
}

/// A started run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// This call started it.
    Now(RunId),
    /// An earlier call with the same request id or idempotency key did.
    Earlier(RunId),
}

/// A started run and its changes.
#[derive(Debug)]
pub struct Followed {
    /// The run.
    pub started: Started,
    changes: watch::Receiver<Seen>,
}

impl Started {
    /// The run.
    #[must_use]
    pub fn run(self) -> RunId {
        match self {
            Started::Now(run) | Started::Earlier(run) => run,
        }
    }
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
        payload
            .to_value()
            .map_err(|e| EngineError::PayloadInvalid(e.to_string()))?;
        self.count += 1;
        Ok(payload.named(self.run, &self.entropy, self.count))
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

    /// Starts a root run, or finds the one that the same request or key started before.
    pub async fn start(&self, request: StartRequest) -> Result<Started, EngineError> {
        let run = self.new_run(&request)?;
        self.start_as(run, request).await
    }

    /// Starts a root run for somebody who waits for its result: see [`Engine::result`].
    pub async fn start_followed(&self, request: StartRequest) -> Result<Followed, EngineError> {
        let run = self.new_run(&request)?;
        // Before the start: nothing that happens to it is missed.
        let changes = self.hub.watch(run);
        let started = self.start_as(run, request).await?;
        Ok(Followed { started, changes })
    }

    /// Waits until a started run is closed, at most `wait`. Gives the closed run if it closed in this controller; anybody
    /// else's has to be read.
    pub async fn result(&self, followed: Followed, wait: Duration) -> Option<Arc<Closed>> {
        let mut changes = followed.changes;
        match followed.started {
            Started::Now(_) => {
                let closed = changes.wait_for(|seen| seen.status.is_closed());
                let seen = tokio::time::timeout(wait, closed).await.ok()?.ok()?;
                seen.closed.clone()
            }
            Started::Earlier(run) => {
                self.closed(run, wait).await;
                None
            }
        }
    }

    fn new_run(&self, request: &StartRequest) -> Result<RunId, EngineError> {
        let random = u64::from_be_bytes(
            self.block()?[..8]
                .try_into()
                .expect("eight of thirty-two bytes"),
        );
        Ok(RunId::new(
            self.clock.now(),
            self.shard_for(request)?,
            random,
        ))
    }

    async fn start_as(&self, run: RunId, request: StartRequest) -> Result<Started, EngineError> {
        let new_payload = match request.input {
            Some(input) => Some(self.namer(run)?.name(input)?),
            None => None,
        };
        let start = Start {
            namespace: request.namespace,
            workflow: request.workflow,
            definition: request.definition,
            entry: Entry::Workflow,
            root: run,
            parent: None,
            depth: 0,
            input: new_payload.as_ref().map(|new| new.reference),
            new_payload,
            scope: std::collections::BTreeMap::new(),
            idempotency_key: request.idempotency_key,
            trace: request.trace,
        };
        let command = Command {
            run,
            actor: request.actor,
            trace: request.trace,
            kind: CommandKind::Start(Box::new(start)),
        };
        let pending = request
            .request
            .map(|client| pending(request.namespace, run.shard(), client));
        // A repeated request is found by the commit: looking first would cost every start a query.
        match self.send(command, run, pending).await {
            // The id is fresh: who exists under it is this very start, committed by an attempt whose answer was lost.
            Ok(_) | Err(EngineError::Lane(LaneError::Rejected(Rejection::AlreadyStarted(_)))) => {
                Ok(Started::Now(run))
            }
            Err(EngineError::Lane(LaneError::Duplicate(record))) => {
                Ok(Started::Earlier(record.run))
            }
            Err(EngineError::Lane(LaneError::KeyTaken(holder))) => Ok(Started::Earlier(holder)),
            Err(error) => Err(error),
        }
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

    async fn send(
        &self,
        command: Command,
        root: RunId,
        pending: Option<PendingRequest>,
    ) -> Result<Accepted, EngineError> {
        match self.router.submit(command, root, pending.clone()).await {
            Err(LaneError::Duplicate(record)) => match pending {
                Some(pending) => Err(replay(*record, &pending)),
                None => Err(LaneError::Duplicate(record).into()),
            },
            other => Ok(other?),
        }
    }

    /// A repeated request and a repeated key must meet in one shard, where they are unique.
    fn shard_for(&self, request: &StartRequest) -> Result<Shard, EngineError> {
        let shards = u64::from(request.shards.max(1));
        let seed = match (&request.idempotency_key, &request.request) {
            (Some(key), _) => Sha256::digest(format!("{}\0{key}", request.workflow)).into(),
            (None, Some(client)) => Sha256::digest(&client.id).into(),
            (None, None) => self.block()?,
        };
        let low = u64::from_be_bytes(seed[..8].try_into().expect("eight of thirty-two bytes"));
        Ok(Shard(
            u16::try_from(low % shards).expect("a namespace has at most 4,096 shards"),
        ))
    }

    fn block(&self) -> Result<[u8; 32], EngineError> {
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

fn pending(namespace: NamespaceId, shard: Shard, client: ClientRequest) -> PendingRequest {
    PendingRequest {
        namespace,
        key: RequestKey {
            shard,
            id: client.id,
        },
        digest: client.digest,
    }
}
