//! Whatever workflow, whatever commands, duplicates and nonsense among them: the world's checks hold after each one,
//! and once everything that is asked has been answered, every run has closed and left nothing behind.

use fulcrum_core::contract::Idempotency;
use fulcrum_core::decide::command::{
    Approve, Operation, OperationRequest, ReportOutcome, TaskDue, TimerPurpose,
};
use fulcrum_core::decide::{CommandKind, Rejection};
use fulcrum_core::event::{Activity, Grant, StepKey};
use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::ids::{MailId, RunId, TaskId, TimerId};
use fulcrum_core::task::{Due, Lease, TaskState};
use fulcrum_core::time::Millis;
use proptest::prelude::*;
use serde_json::json;

use crate::author::{Author, Tape};
use crate::build::workflow;
use crate::world::{World, contract, worker};

/// Leases that were ever granted; old ones make good nonsense.
type Leases = Vec<(RunId, String, (Lease, Grant))>;

fn one_of<T: Clone>(tape: &mut Tape, all: impl Iterator<Item = T>) -> Option<T> {
    let all: Vec<T> = all.collect();
    if all.is_empty() {
        None
    } else {
        Some(all[tape.pick(all.len())].clone())
    }
}

/// One random move. Refusals are fine; the world panics at anything that is not.
fn random_move(world: &mut World, tape: &mut Tape, leases: &mut Leases) {
    let Some(run) = one_of(tape, world.runs.keys().copied()) else {
        return;
    };
    let outcome: Result<(), Rejection> = match tape.pick(13) {
        0 | 1 => grant_one(world, tape, leases),
        2..=4 => report_one(world, tape, leases),
        5 => due_one(world, tape),
        6 => match one_of(tape, world.timers.keys().copied()) {
            Some(timer) => world.fire(timer),
            None => Ok(()),
        },
        7 => world.signal(run, ["go", "other"][tape.pick(2)], json!(1)),
        8 => match one_of(
            tape,
            world
                .reviews
                .values()
                .map(|row| (row.run, row.step.path.clone())),
        ) {
            Some((run, path)) => world.review(
                run,
                &path,
                [Approve::Yes { edited: None }, Approve::No][tape.pick(2)].clone(),
            ),
            None => Ok(()),
        },
        11 => {
            let steps = world.runs[&run].steps.iter().map(|step| step.key.clone());
            let Some(step) = one_of(tape, steps) else {
                return;
            };
            let purpose = [
                TimerPurpose::Wake,
                TimerPurpose::Total,
                TimerPurpose::Expiry,
            ][tape.pick(3)];
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
        9 if tape.pick(8) == 1 => world.cancel(run),
        9 | 10 => {
            if let Some(mail) = one_of(tape, world.mail.keys().copied()) {
                world.deliver_one(mail);
            }
            Ok(())
        }
        _ => stale_mail(world, tape, run),
    };
    drop(outcome);
}

fn grant_one(world: &mut World, tape: &mut Tape, leases: &mut Leases) -> Result<(), Rejection> {
    let ready = world
        .tasks
        .values()
        .filter(|task| task.state == TaskState::Ready);
    let Some((run, path)) = one_of(
        tape,
        ready.map(|task| (task.new.run, task.new.step.path.clone())),
    ) else {
        return Ok(());
    };
    let granted = world.grant(run, &path);
    leases.push((run, path, granted));
    Ok(())
}

fn report_one(world: &mut World, tape: &mut Tape, leases: &mut Leases) -> Result<(), Rejection> {
    let Some((run, path, granted)) = one_of(tape, leases.iter().cloned()) else {
        return Ok(());
    };
    let failed = |class| ReportOutcome::Failed {
        failure: Failure::new(class, "BROKEN", "it broke"),
        details: None,
    };
    let outcome = match tape.pick(6) {
        0 | 1 => ReportOutcome::Completed {
            output: world.payload(run, &json!({ "n": 1 })),
        },
        2 => failed(FailureClass::Transient),
        3 => failed(
            [
                FailureClass::Unknown,
                FailureClass::Fatal,
                FailureClass::Recoverable,
            ][tape.pick(3)],
        ),
        // An operation cannot have operations of its own: only calls of the definition are parked.
        _ if path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("op")) =>
        {
            failed(FailureClass::Transient)
        }
        _ => ReportOutcome::Parked {
            operations: operations(world, tape, run),
        },
    };
    world.report(run, &path, &granted, outcome)
}

fn operations(world: &mut World, tape: &mut Tape, run: RunId) -> Vec<Operation> {
    let count = tape.pick(3);
    let one = |_| {
        let request = match tape.pick(4) {
            0 => OperationRequest::Call {
                capability: "do.op".to_owned(),
                input: world.payload(run, &json!(1)),
            },
            1 => OperationRequest::Sleep {
                span: Millis(1_000),
            },
            2 => OperationRequest::WaitSignal {
                signal: "go".to_owned(),
                timeout: Some(Millis(9_000)),
            },
            _ => {
                let show = world.payload(run, &json!("letter"));
                OperationRequest::Review {
                    title: "?".to_owned(),
                    show,
                    edit: false,
                    expires: Some(Millis(5_000)),
                }
            }
        };
        let name = format!("op{}", tape.pick(4));
        let digest = u8::try_from(tape.pick(20) / 19).unwrap();
        Operation {
            name,
            input_digest: [digest; 32],
            request,
        }
    };
    (0..count).map(one).collect()
}

fn due_one(world: &mut World, tape: &mut Tape) -> Result<(), Rejection> {
    let Some((id, task)) = one_of(
        tape,
        world.tasks.iter().map(|(id, task)| (*id, task.clone())),
    ) else {
        return Ok(());
    };
    let due = match (task.state, tape.pick(2)) {
        (TaskState::Ready, _) => Due::ScheduleToStart(world.now),
        (TaskState::Leased, 0) => Due::LeaseDeadline(world.now),
        (TaskState::Leased, _) => Due::StartToClose(world.now),
        (TaskState::Parked, _) => Due::Never,
    };
    let seen = world.row(id, due).unwrap();
    world.send(
        task.new.run,
        CommandKind::TaskDue(TaskDue {
            step: task.new.step,
            seen,
        }),
    )
}

fn stale_mail(world: &mut World, tape: &mut Tape, run: RunId) -> Result<(), Rejection> {
    use fulcrum_core::decide::command::MailBody;
    let id = MailId::of(run, "nonsense", tape.at as u64);
    let body = match tape.pick(2) {
        0 => MailBody::Continue,
        // To whoever has no children; about real children a store does not lie.
        _ => {
            let childless = world.runs[&run].open_steps().filter(|step| {
                !matches!(
                    step.activity,
                    Some(Activity::Foreach(_) | Activity::Child { .. })
                )
            });
            let step = one_of(tape, childless.map(|step| step.key.clone()))
                .unwrap_or_else(|| StepKey::first("s1"));
            MailBody::JoinProgressed {
                closed: u32::from(step.path != "s1"),
                failed: 0,
                step,
            }
        }
    };
    world.send(run, CommandKind::Mail { id, body })
}

/// Answers everything that is asked, until nothing is.
fn drain(world: &mut World) {
    for _ in 0..5_000 {
        world.deliver();
        let leased = world
            .tasks
            .iter()
            .find(|(_, task)| task.state == TaskState::Leased)
            .map(|(id, _)| *id);
        if let Some(id) = leased {
            complete(world, id);
            continue;
        }
        let ready = world
            .tasks
            .values()
            .find(|task| task.state == TaskState::Ready);
        if let Some((run, path)) = ready.map(|task| (task.new.run, task.new.step.path.clone())) {
            world.answer(run, &path, json!(null));
            continue;
        }
        if let Some((run, path)) = world
            .reviews
            .values()
            .next()
            .map(|row| (row.run, row.step.path.clone()))
        {
            world
                .review(run, &path, Approve::Yes { edited: None })
                .unwrap();
            continue;
        }
        if let Some(timer) = first_timer(world) {
            world.fire(timer).unwrap();
            continue;
        }
        let waits = world
            .runs
            .values()
            .flat_map(|run| run.open_steps().map(|step| (run.id, step)));
        let wait = waits
            .into_iter()
            .find_map(|(run, step)| match &step.activity {
                Some(Activity::Wait { signal, .. }) => Some((run, signal.clone())),
                _ => None,
            });
        match wait {
            Some((run, signal)) => world.signal(run, &signal, json!(1)).unwrap(),
            None => return,
        }
    }
    panic!("there is no end to it: {:#?}", world.runs.values().next());
}

fn complete(world: &mut World, id: TaskId) {
    let task = world.tasks[&id].clone();
    let lease = Lease {
        task: id,
        seq: task.seq,
        nonce: uuid::Uuid::from_u128(u128::from(task.seq)),
    };
    let grant = Grant {
        worker: worker(),
        lease_seq: task.seq,
        granted_at: world.now,
    };
    let output = world.payload(task.new.run, &json!(null));
    world
        .report(
            task.new.run,
            &task.new.step.path,
            &(lease, grant),
            ReportOutcome::Completed { output },
        )
        .unwrap();
}

fn first_timer(world: &World) -> Option<TimerId> {
    world
        .timers
        .iter()
        .min_by_key(|(id, timer)| (timer.at, **id))
        .map(|(id, _)| *id)
}

fn play(bytes: Vec<u8>) {
    let mut tape = Tape { bytes, at: 0 };
    let steps = Author {
        tape: &mut tape,
        ids: 0,
        fan_outs: 0,
    }
    .list(3, 1);
    let mut world = World::new(workflow(steps));
    world.limits.spawn_batch_max = 2;
    for n in 0..50 {
        let idempotency = [Idempotency::Keyed, Idempotency::None][n % 2];
        let name = format!("do.s{n}");
        world
            .contracts
            .insert(name.clone(), contract(&name, idempotency));
    }
    let root = world.start(json!({})).unwrap();
    let mut leases = Leases::new();
    while tape.left() {
        if tape.pick(4) == 0 {
            world.begin_batch(root);
            random_reports(&mut world, &mut tape, &leases, root);
            world.end_batch();
        } else {
            random_move(&mut world, &mut tape, &mut leases);
        }
    }
    drain(&mut world);
    assert!(
        world.runs.values().all(|run| run.is_closed()),
        "a run did not close: {:#?}",
        world.runs
    );
    assert!(
        world.tasks.is_empty()
            && world.timers.is_empty()
            && world.reviews.is_empty()
            && world.mail.is_empty()
    );
}

/// Several commands of one run in one commit, as a lane would put them together.
fn random_reports(world: &mut World, tape: &mut Tape, leases: &Leases, run: RunId) {
    let mut of_run: Leases = leases
        .iter()
        .filter(|(of, ..)| *of == run)
        .cloned()
        .collect();
    for _ in 0..3 {
        let outcome = match tape.pick(4) {
            0 => world.signal(run, "go", json!(2)),
            1 => match one_of(
                tape,
                world
                    .timers
                    .iter()
                    .filter(|(_, timer)| timer.run == run)
                    .map(|(id, _)| *id),
            ) {
                Some(timer) => world.fire(timer),
                None => Ok(()),
            },
            _ => report_one(world, tape, &mut of_run),
        };
        drop(outcome);
    }
}

proptest! {
    #[test]
    fn every_run_closes_and_every_state_on_the_way_is_sound(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        play(bytes);
    }
}
