//! `docs/state-machine.md`: what every command does in every state, found out by trying. `UPDATE_DOCS=1` writes it.

use std::fmt::Write as _;

use fulcrum_core::contract::Idempotency;
use fulcrum_core::decide::command::{
    AppendJournal, Approve, MailBody, Operation, OperationRequest, ReportOutcome, TaskDue,
    TimerPurpose,
};
use fulcrum_core::decide::{CommandKind, Rejection};
use fulcrum_core::definition::model::{OnExpiry, Step, StepKind};
use fulcrum_core::event::{Actor, Grant, StepKey};
use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::ids::{MailId, RunId, Shard, TaskId, TimerId};
use fulcrum_core::task::{Due, Lease};
use fulcrum_core::time::{Millis, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::build::*;
use crate::drift::on_file;
use crate::world::{World, contract, worker};

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/state-machine.md");

/// A world with one run in some state; its step in question is `s`.
type Scene = (World, RunId, Option<(Lease, Grant)>);

/// Brings a run into a state.
type Setting = fn() -> Scene;

const STATES: &[(&str, Setting)] = &[
    ("no such run", nothing),
    ("call: ready", || {
        started(call("s").within(Millis::from_secs(60)))
    }),
    ("call: leased", leased),
    ("call: parked", parked),
    ("review", || started(review("s", literal(json!("letter"))))),
    ("review: escalated", escalated),
    ("sleep", || started(sleep("s", "1h"))),
    ("wait", || {
        started(wait("s", "paid").within(Millis::from_secs(60)))
    }),
    ("foreach", || {
        started(foreach("s", "[1, 2]", 1, vec![call("work")]))
    }),
    ("run", || started(child("s", "test", literal(json!(null))))),
    ("try: body", || {
        started(attempt("s", vec![call("work")], vec![], vec![call("clean")]).within(Millis(9)))
    }),
    ("cancelling", cancelling),
    ("completed", completed),
    ("failed", || started(fail("s", "BROKEN"))),
    ("cancelled", cancelled),
];

type Send = fn(&mut World, RunId, Option<(Lease, Grant)>) -> Result<(), Rejection>;

const COMMANDS: &[(&str, Send)] = &[
    ("Start", |world, run, _| {
        world.start_as(run, "test", json!(null))
    }),
    ("Report: completed", |world, run, lease| {
        let output = world.payload(run, &json!(1));
        report(world, run, lease, ReportOutcome::Completed { output })
    }),
    ("Report: failed, transient", |world, run, lease| {
        let failure = Failure::new(FailureClass::Transient, "BUSY", "busy");
        report(
            world,
            run,
            lease,
            ReportOutcome::Failed {
                failure,
                details: None,
            },
        )
    }),
    ("Report: failed, fatal", |world, run, lease| {
        let failure = Failure::fatal("BROKEN", "broken");
        report(
            world,
            run,
            lease,
            ReportOutcome::Failed {
                failure,
                details: None,
            },
        )
    }),
    ("Report: parked", |world, run, lease| {
        report(
            world,
            run,
            lease,
            ReportOutcome::Parked {
                operations: vec![operation()],
            },
        )
    }),
    ("AppendJournal", |world, run, lease| {
        let operations = vec![("made".to_owned(), [1; 32], world.payload(run, &json!(1)))];
        let lease = lease.unwrap_or_else(|| forged(run)).0;
        let append = AppendJournal {
            step: StepKey::first("s"),
            lease,
            operations,
        };
        world.send_as(
            run,
            Actor::Worker(worker()),
            CommandKind::AppendJournal(append),
        )
    }),
    ("TaskDue: lease expired", |world, run, lease| {
        due(world, run, lease, Due::LeaseDeadline)
    }),
    ("TaskDue: start-to-close", |world, run, lease| {
        due(world, run, lease, Due::StartToClose)
    }),
    ("TaskDue: schedule-to-start", |world, run, lease| {
        due(world, run, lease, Due::ScheduleToStart)
    }),
    ("TimerFired: wake", |world, run, _| {
        fire(world, run, TimerPurpose::Wake)
    }),
    ("TimerFired: total", |world, run, _| {
        fire(world, run, TimerPurpose::Total)
    }),
    ("TimerFired: expiry", |world, run, _| {
        fire(world, run, TimerPurpose::Expiry)
    }),
    ("Signal", |world, run, _| {
        world.signal(run, "paid", json!(1))
    }),
    ("DecideReview: yes", |world, run, _| {
        world.review(run, "s", Approve::Yes { edited: None })
    }),
    ("DecideReview: no", |world, run, _| {
        world.review(run, "s", Approve::No)
    }),
    ("Cancel", |world, run, _| world.cancel(run)),
    ("Mail: join progressed", |world, run, _| {
        mail(
            world,
            run,
            MailBody::JoinProgressed {
                step: StepKey::first("s"),
                closed: 1,
                failed: 0,
            },
        )
    }),
    ("Mail: cancel", |world, run, _| {
        mail(
            world,
            run,
            MailBody::Cancel {
                reason: "gone".to_owned(),
            },
        )
    }),
    ("Mail: continue", |world, run, _| {
        mail(world, run, MailBody::Continue)
    }),
];

fn world(step: Step) -> World {
    let mut world = World::new(workflow(vec![step]));
    for name in ["do.s", "do.work", "do.clean"] {
        world
            .contracts
            .insert(name.to_owned(), contract(name, Idempotency::Keyed));
    }
    world
}

fn nothing() -> Scene {
    (
        world(call("s")),
        RunId::new(Timestamp::from_millis(1), Shard(0), 1),
        None,
    )
}

fn started(step: Step) -> Scene {
    let mut world = world(step);
    let run = world.start(json!(null)).unwrap();
    (world, run, None)
}

fn leased() -> Scene {
    let (mut world, run, _) = started(call("s"));
    let granted = world.grant(run, "s");
    (world, run, Some(granted))
}

fn parked() -> Scene {
    let (mut world, run, granted) = leased();
    report(
        &mut world,
        run,
        granted.clone(),
        ReportOutcome::Parked {
            operations: vec![operation()],
        },
    )
    .unwrap();
    // A lease of that time, but not the one that was reported.
    let stale = granted.map(|(lease, grant)| {
        (
            lease,
            Grant {
                lease_seq: 0,
                ..grant
            },
        )
    });
    (world, run, stale)
}

fn escalated() -> Scene {
    let mut ask = review("s", literal(json!("letter")));
    if let StepKind::Review(review) = &mut ask.kind {
        review.on_expiry = OnExpiry::Escalate;
    }
    let (mut world, run, _) = started(ask);
    world.fire_next();
    (world, run, None)
}

fn cancelling() -> Scene {
    let (mut world, run, _) = started(attempt(
        "s",
        vec![call("work")],
        vec![],
        vec![call("clean")],
    ));
    world.cancel(run).unwrap();
    (world, run, None)
}

fn completed() -> Scene {
    let (mut world, run, _) = started(call("s"));
    world.answer(run, "s", json!(1));
    (world, run, None)
}

fn cancelled() -> Scene {
    let (mut world, run, _) = started(call("s"));
    world.cancel(run).unwrap();
    (world, run, None)
}

fn operation() -> Operation {
    let request = OperationRequest::WaitSignal {
        signal: "other".to_owned(),
        timeout: None,
    };
    Operation {
        name: "op".to_owned(),
        input_digest: [1; 32],
        request,
    }
}

fn forged(run: RunId) -> (Lease, Grant) {
    let task = TaskId::of_step(run, &StepKey::first("s").to_string());
    let grant = Grant {
        worker: worker(),
        lease_seq: 99,
        granted_at: Timestamp(0),
    };
    (
        Lease {
            task,
            seq: 99,
            nonce: Uuid::nil(),
        },
        grant,
    )
}

fn report(
    world: &mut World,
    run: RunId,
    lease: Option<(Lease, Grant)>,
    outcome: ReportOutcome,
) -> Result<(), Rejection> {
    let granted = lease.unwrap_or_else(|| forged(run));
    world.report(run, "s", &granted, outcome)
}

fn due(
    world: &mut World,
    run: RunId,
    lease: Option<(Lease, Grant)>,
    due: fn(Timestamp) -> Due,
) -> Result<(), Rejection> {
    let task = TaskId::of_step(run, &StepKey::first("s").to_string());
    let step = StepKey::first("s");
    let (lease, _) = lease.unwrap_or_else(|| forged(run));
    let seen = world
        .row(task, due(world.now))
        .unwrap_or_else(|| fulcrum_core::task::TaskRow {
            task,
            run,
            root: run,
            step: step.clone(),
            state: fulcrum_core::task::TaskState::Leased,
            attempt: 1,
            lease_seq: lease.seq,
            lease_nonce: None,
            worker: None,
            granted_at: None,
            crash_count: 0,
            due: due(world.now),
        });
    world.send(run, CommandKind::TaskDue(TaskDue { step, seen }))
}

fn fire(world: &mut World, run: RunId, purpose: TimerPurpose) -> Result<(), Rejection> {
    let step = StepKey::first("s");
    let timer = TimerId::of_step(run, &step.to_string(), purpose.as_str());
    world.send(
        run,
        CommandKind::TimerFired {
            timer,
            step,
            purpose,
        },
    )
}

fn mail(world: &mut World, run: RunId, body: MailBody) -> Result<(), Rejection> {
    world.send_as(
        run,
        Actor::Run(run),
        CommandKind::Mail {
            id: MailId::of(run, "doc", 1),
            body,
        },
    )
}

fn outcome(scene: Setting, send: Send) -> String {
    let (mut world, run, lease) = scene();
    let before = world.timelines.get(&run).map_or(0, Vec::len);
    match send(&mut world, run, lease) {
        Ok(()) => {
            let events = world.timelines[&run][before..]
                .iter()
                .map(|envelope| envelope.event.name());
            events.collect::<Vec<_>>().join(" → ")
        }
        Err(Rejection::Stale(why)) => format!("*nothing to do: {why}*"),
        Err(rejection) => {
            let name = format!("{rejection:?}");
            format!(
                "*{}*",
                name.split(['(', ' ', '{']).next().unwrap_or_default()
            )
        }
    }
}

fn document() -> String {
    let mut text = String::from(
        "# The state machine of a run\n\n\
         Generated by `UPDATE_DOCS=1 cargo test -p fulcrum-core --test it table`, by sending every command to a run in\n\
         every state. The run has one step, `s`, of the kind that the state names. A cell lists the events that are\n\
         written, in order; a refusal is in *italics* and changes nothing.\n",
    );
    for (command, send) in COMMANDS {
        let _ = write!(
            text,
            "\n## {command}\n\n| state | what happens |\n|---|---|\n"
        );
        for (state, scene) in STATES {
            let _ = writeln!(text, "| {state} | {} |", outcome(*scene, *send));
        }
    }
    text
}

#[test]
fn the_table_in_the_manual_is_what_the_machine_does() {
    let text = document();
    let manual = on_file(DOC, &text);
    assert!(
        manual == text,
        "docs/state-machine.md has drifted; run this test with UPDATE_DOCS=1"
    );
}
