//! The stored form of events does not move: kinds, names and bytes are compared with a golden file. A new event adds
//! a line; a changed line is a break with everything that was ever stored. `UPDATE_DOCS=1` writes the file.

use std::collections::BTreeMap;

use fulcrum_core::definition::model::{OnExpiry, OnItemFailure, OnReject, Retry, Timeouts};
use fulcrum_core::event::{
    Activity, Actor, Call, ChainHash, Entry, Envelope, Event, Fanout, Grant, ParentLink,
    ReviewAsked, RunStarted, StepKey, TraceContext, Verdict,
};
use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::ids::{ContractHash, DefinitionHash, PayloadId, ReviewId, RunId, Shard};
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::StoredEvent;
use fulcrum_core::time::{Millis, Timestamp};
use uuid::Uuid;

use crate::drift::on_file;
use crate::world::{namespace, worker};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/events.golden");

fn run() -> RunId {
    RunId::new(Timestamp::from_millis(1_700_000_000_000), Shard(5), 77)
}

fn payload() -> PayloadRef {
    PayloadRef {
        id: PayloadId(Uuid::from_u128(1)),
        hash: [2; 32],
        bytes: 3,
    }
}

fn step() -> StepKey {
    StepKey::first("setup/invoice")
}

fn grant() -> Grant {
    Grant {
        worker: worker(),
        lease_seq: 4,
        granted_at: Timestamp(5),
    }
}

fn failure() -> Failure {
    Failure {
        class: FailureClass::Recoverable,
        code: "CODE".to_owned(),
        message: "message".to_owned(),
        details: Some(payload()),
        retry_after: Some(Millis(6)),
    }
}

fn started() -> Event {
    Event::RunStarted(Box::new(RunStarted {
        namespace: namespace(),
        workflow: "workflow".to_owned(),
        definition: DefinitionHash([7; 32]),
        entry: Entry::Item {
            path: "each".to_owned(),
            index: 8,
        },
        root: run(),
        parent: Some(ParentLink {
            run: run(),
            step: step(),
            index: 9,
        }),
        depth: 1,
        input: Some(payload()),
        scope: BTreeMap::from([("item".to_owned(), payload())]),
        idempotency_key: Some("key".to_owned()),
        trace: Some(TraceContext {
            trace_id: [1; 16],
            span_id: [2; 8],
            flags: 1,
        }),
    }))
}

fn activities() -> Vec<Activity> {
    let timeouts = Timeouts {
        start_to_close: Some(Millis(1)),
        schedule_to_start: None,
        total: Some(Millis(2)),
    };
    let retry = Retry {
        non_retryable: vec!["NO".to_owned()],
        ..Retry::default()
    };
    vec![
        Activity::Call(Call {
            capability: "crm.contact.upsert".to_owned(),
            contract: Some(ContractHash([3; 32])),
            input: payload(),
            retry,
            timeouts,
            priority: -3,
            repeatable: true,
        }),
        Activity::Review(ReviewAsked {
            review: ReviewId(Uuid::from_u128(4)),
            content: payload(),
            show: payload(),
            edit: true,
            expires_at: Some(Timestamp(10)),
            on_expiry: OnExpiry::Escalate,
            on_reject: OnReject::Continue,
        }),
        Activity::Sleep {
            until: Timestamp(11),
        },
        Activity::Wait {
            signal: "paid".to_owned(),
            until: None,
        },
        Activity::Parallel,
        Activity::Switch { case: Some(2) },
        Activity::Try,
        Activity::Foreach(Fanout {
            items: payload(),
            total: 3,
            max_parallel: 2,
            on_item_failure: OnItemFailure::Continue,
            scope: BTreeMap::from([("vars.x".to_owned(), payload())]),
        }),
        Activity::Child {
            workflow: "inner".to_owned(),
            definition: DefinitionHash([8; 32]),
            run: run(),
        },
    ]
}

fn samples() -> Vec<Event> {
    let (name, input_digest) = ("name".to_owned(), [6; 32]);
    let review = ReviewId(Uuid::from_u128(4));
    let retry_at = Timestamp(12);
    let mut all = vec![
        started(),
        Event::StepSkipped {
            step: step(),
            output: Some(payload()),
        },
    ];
    all.extend(activities().into_iter().map(|activity| Event::StepOpened {
        step: step(),
        activity,
    }));
    all.extend([
        Event::StepCompleted {
            step: step(),
            output: Some(payload()),
            grant: Some(grant()),
        },
        Event::AttemptFailed {
            step: step(),
            attempt: 1,
            failure: failure(),
            retry_at,
            grant: Some(grant()),
        },
        Event::LeaseExpired {
            step: step(),
            grant: grant(),
            crash_count: 1,
            retry_at,
        },
        Event::StepFailed {
            step: step(),
            failure: failure(),
            handled: true,
            grant: None,
        },
        Event::StepCancelled { step: step() },
    ]);
    let verdicts = [
        Verdict::Approved {
            edited: Some(payload()),
        },
        Verdict::Rejected,
        Verdict::Expired(OnExpiry::Approve),
    ];
    let comment = Some("comment".to_owned());
    all.extend(verdicts.map(|verdict| Event::ReviewDecided {
        step: step(),
        review,
        verdict,
        comment: comment.clone(),
    }));
    all.extend([
        Event::SignalReceived {
            name: name.clone(),
            payload: Some(payload()),
        },
        Event::SignalConsumed {
            step: step(),
            name: name.clone(),
        },
        Event::ItemsSpawned {
            step: step(),
            from: 1,
            to: 2,
        },
        Event::JoinProgressed {
            step: step(),
            closed: 2,
            failed: 1,
        },
        Event::VariableSet {
            name: name.clone(),
            value: payload(),
        },
        Event::CheckpointReached {
            step: step(),
            name: name.clone(),
        },
        Event::JournalRecorded {
            step: step(),
            name: name.clone(),
            input_digest,
            output: payload(),
        },
        Event::JournalRequested {
            step: step(),
            name,
            input_digest,
        },
        Event::StepParked {
            step: step(),
            grant: grant(),
        },
        Event::StepResumed { step: step() },
        Event::RunCancelRequested {
            reason: "reason".to_owned(),
        },
        Event::RunReturning {
            output: Some(payload()),
        },
        Event::RunCompleted { output: None },
        Event::RunFailed { failure: failure() },
        Event::RunCancelled {
            reason: "reason".to_owned(),
        },
        Event::StepTimedOut { step: step() },
        Event::ItemsCancelled {
            step: step(),
            from: 1,
            to: 2,
        },
    ]);
    all
}

fn sealed() -> Vec<StoredEvent> {
    let mut previous = ChainHash::default();
    let envelopes = samples().into_iter().zip(1..).map(|(event, seq)| Envelope {
        seq,
        at: Timestamp(1_700_000_000_000_000),
        actor: Actor::Operator("ada".to_owned()),
        cause: seq.checked_sub(1),
        trace_id: Some([9; 16]),
        event,
    });
    let sealed = envelopes.map(|envelope| {
        let stored = StoredEvent::seal(run(), &envelope, previous);
        previous = stored.hash;
        stored
    });
    sealed.collect()
}

#[test]
fn the_stored_form_of_events_does_not_move() {
    let names: Vec<&str> = samples().iter().map(Event::name).collect();
    let lines = sealed().into_iter().zip(names).map(|(stored, name)| {
        let body: String = stored
            .body
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{:>2} {name} {body} {:?}\n", stored.kind, stored.hash)
    });
    let text: String = lines.collect();
    let golden = on_file(GOLDEN, &text);
    for (number, (old, new)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(
            old,
            new,
            "line {} of tests/it/events.golden: append new kinds, never change old ones",
            number + 1
        );
    }
    assert_eq!(
        golden.lines().count(),
        text.lines().count(),
        "run with UPDATE_DOCS=1 to add the new kinds"
    );
}

#[test]
fn the_kind_is_the_encoded_variant_index_and_every_kind_has_a_sample() {
    let mut seen = std::collections::BTreeSet::new();
    for event in samples() {
        let bytes = postcard::to_stdvec(&event).unwrap();
        assert_eq!(u16::from(bytes[0]), event.kind(), "{}", event.name());
        seen.insert(event.kind());
    }
    assert_eq!(seen, (0..=25).collect());
}

#[test]
fn a_chain_opens_and_a_changed_byte_breaks_it() {
    let mut previous = ChainHash::default();
    for (stored, event) in sealed().into_iter().zip(samples()) {
        let mut forged = stored.clone();
        let last = forged.body.len() - 1;
        forged.body[last] ^= 1;
        assert!(forged.open(run(), previous).is_err());
        let opened = stored.open(run(), previous).unwrap();
        assert_eq!(opened.event, event);
        previous = stored.hash;
    }
}
