//! Starts of root runs, and who waits for their results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::decide::command::Start;
use fulcrum_core::decide::{Command, CommandKind, Rejection};
use fulcrum_core::event::{Actor, Entry, TraceContext};
use fulcrum_core::ids::{DefinitionHash, NamespaceId, RunId, Shard};
use fulcrum_core::payload::Payload;
use fulcrum_core::store::Store;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::catalog::Source;
use super::handle::{ClientRequest, Engine, EngineError, pending};
use super::item::LaneError;
use super::watch::{Closed, Seen};

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

impl<S: Store, C: Source> Engine<S, C> {
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
            scope: BTreeMap::new(),
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
}
