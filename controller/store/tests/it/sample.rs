//! Commits and what is in them, made up.

use fulcrum_core::event::{ChainHash, StepKey};
use fulcrum_core::ids::{
    CommitId, DefinitionHash, NamespaceId, PayloadId, RunId, Shard, TaskId, WorkerId,
};
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use fulcrum_core::store::{Commit, Expected, RunHead, RunStatus, StoredEvent};
use fulcrum_core::task::{NewTask, TaskOp};
use fulcrum_core::time::Timestamp;
use sqlx::types::Uuid;

pub(crate) const NAMESPACE: NamespaceId = NamespaceId(Uuid::from_u128(0xA));

/// Noon, 22 November 2026: any fixed day does, for partitions are made when they are missing.
pub(crate) const BORN: Timestamp = Timestamp::from_millis(1_795_348_800_000);

pub(crate) fn run(n: u64) -> RunId {
    RunId::new(BORN, Shard(u16::try_from(n % 16).unwrap()), n)
}

pub(crate) fn worker(n: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(0xB000 + n))
}

pub(crate) fn step(name: &str) -> StepKey {
    StepKey::first(name)
}

pub(crate) fn payload_ref(n: u8) -> PayloadRef {
    payload(n).reference
}

pub(crate) fn payload(n: u8) -> NewPayload {
    payload_of(run(1), n, 1)
}

/// A payload above the inline limit.
pub(crate) fn blob(n: u8) -> NewPayload {
    payload_of(run(1), n, 10_000)
}

pub(crate) fn payload_of(run: RunId, n: u8, bytes: u32) -> NewPayload {
    let payload = Payload {
        encoding: "json".to_owned(),
        data: vec![b'0' + n % 10; usize::try_from(bytes).unwrap()],
    };
    let reference = PayloadRef {
        id: PayloadId::derived(run, &[n; 32], bytes),
        hash: payload.hash(),
        bytes,
    };
    NewPayload::new(reference, payload)
}

/// Starts a run with two events.
pub(crate) fn start(run: RunId) -> Commit {
    let head = RunHead {
        run,
        namespace: NAMESPACE,
        shard: run.shard(),
        root: run,
        parent: None,
        workflow: "onboarding".to_owned(),
        definition: DefinitionHash([1; 32]),
        status: RunStatus::Running,
        version: 1,
        last_seq: 0,
        chain: ChainHash::default(),
        started_at: BORN,
        closed_at: None,
        idempotency_key: None,
    };
    let commit = Commit {
        id: CommitId(run.0),
        expected: Expected::New,
        before: ChainHash::default(),
        head,
        events: vec![],
        snapshot: None,
        payloads: vec![],
        fences: vec![],
        tasks: vec![],
        hand_offs: vec![],
        timers: vec![],
        mail: vec![],
        consumed: vec![],
        joins: vec![],
        reviews: vec![],
        requests: vec![],
    };
    with_events(commit, 2)
}

/// The next commit of a run at `head`, with one event.
pub(crate) fn next(head: &RunHead) -> Commit {
    let mut commit = start(head.run);
    commit.expected = Expected::Version(head.version);
    commit.before = head.chain;
    commit.head = RunHead {
        version: head.version + 1,
        ..head.clone()
    };
    commit.id = CommitId(Uuid::from_u128(
        head.run.0.as_u128() ^ u128::from(head.version) << 32,
    ));
    commit.events.clear();
    with_events(commit, 1)
}

/// Appends events that nobody will decode.
pub(crate) fn with_events(mut commit: Commit, count: u64) -> Commit {
    for _ in 0..count {
        let seq = commit.head.last_seq + 1;
        let body = vec![u8::try_from(seq % 251).unwrap(); 40];
        let hash = commit.head.chain.next(commit.head.run, seq, 2, 1, &body);
        commit.events.push(StoredEvent {
            seq,
            kind: 2,
            schema: 1,
            body,
            hash,
        });
        commit.head.last_seq = seq;
        commit.head.chain = hash;
    }
    commit
}

/// A task of a run that is ready since long ago.
pub(crate) fn task(run: RunId, name: &str, capability: &str) -> NewTask {
    let step = step(name);
    NewTask {
        task: TaskId::of_step(run, &step.to_string()),
        run,
        root: run,
        namespace: NAMESPACE,
        step,
        capability: capability.to_owned(),
        contract: None,
        input: payload_ref(0),
        priority: 0,
        ready_at: Timestamp(0),
        attempt: 1,
        schedule_to_start: None,
        start_to_close: None,
        trace: None,
    }
}

/// Starts a run with one ready task of this capability.
pub(crate) fn start_with_task(run: RunId, capability: &str) -> Commit {
    let mut commit = start(run);
    commit
        .tasks
        .push(TaskOp::Create(task(run, "a", capability)));
    commit
}
