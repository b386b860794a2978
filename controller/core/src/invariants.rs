//! What is true of every decision, by name. Tests check all of it after every command; debug builds check it at run
//! time as well.

use std::collections::BTreeSet;

use crate::decide::Decision;
use crate::decide::command::{Mail, MailBody};
use crate::event::{Activity, Event, Grant, StepKey};
use crate::ids::{RunId, TaskId};
use crate::run::Run;
use crate::store::{JoinOp, ReviewOp, TimerOp};
use crate::task::TaskOp;

/// A decision with what was before and what is after.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The run that was decided on; `None` before its first event.
    pub before: Option<&'a Run>,
    /// What was decided.
    pub decision: &'a Decision,
    /// The run that came with the decision.
    pub after: &'a Run,
}

/// Something that is true of every decision.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// A sentence, as a name.
    pub name: &'static str,
    /// Is it true?
    pub holds: fn(Scene<'_>) -> bool,
}

/// All of them.
pub const ALL: &[Invariant] = &[
    Invariant {
        name: "events_are_numbered_without_gaps",
        holds: events_are_numbered_without_gaps,
    },
    Invariant {
        name: "the_fold_of_the_events_is_the_state",
        holds: the_fold_of_the_events_is_the_state,
    },
    Invariant {
        name: "closed_runs_absorb",
        holds: closed_runs_absorb,
    },
    Invariant {
        name: "closed_runs_hold_nothing_open",
        holds: closed_runs_hold_nothing_open,
    },
    Invariant {
        name: "the_open_steps_are_those_that_are_open",
        holds: the_open_steps_are_those_that_are_open,
    },
    Invariant {
        name: "closed_steps_hold_nothing_open",
        holds: closed_steps_hold_nothing_open,
    },
    Invariant {
        name: "open_blocks_hold_something_open",
        holds: open_blocks_hold_something_open,
    },
    Invariant {
        name: "running_runs_hold_something_open",
        holds: running_runs_hold_something_open,
    },
    Invariant {
        name: "parked_tasks_have_open_operations",
        holds: parked_tasks_have_open_operations,
    },
    Invariant {
        name: "a_call_has_a_task_from_opening_to_closing",
        holds: a_call_has_a_task_from_opening_to_closing,
    },
    Invariant {
        name: "one_operation_per_row",
        holds: one_operation_per_row,
    },
    Invariant {
        name: "what_a_grant_changes_is_fenced",
        holds: what_a_grant_changes_is_fenced,
    },
    Invariant {
        name: "a_closing_child_tells_its_parent_once",
        holds: a_closing_child_tells_its_parent_once,
    },
    Invariant {
        name: "a_join_is_open_while_its_step_has_children",
        holds: a_join_is_open_while_its_step_has_children,
    },
    Invariant {
        name: "every_child_that_is_spawned_is_told_to_start",
        holds: every_child_that_is_spawned_is_told_to_start,
    },
    Invariant {
        name: "mail_is_from_this_run_and_stays_in_its_family",
        holds: mail_is_from_this_run_and_stays_in_its_family,
    },
    Invariant {
        name: "only_spawned_children_are_told_to_end",
        holds: only_spawned_children_are_told_to_end,
    },
];

/// The names of those that do not hold.
#[must_use]
pub fn broken(scene: Scene<'_>) -> Vec<&'static str> {
    ALL.iter()
        .filter(|invariant| !(invariant.holds)(scene))
        .map(|invariant| invariant.name)
        .collect()
}

fn events_are_numbered_without_gaps(scene: Scene<'_>) -> bool {
    let first = scene.before.map_or(0, |run| run.last_seq) + 1;
    scene
        .decision
        .events
        .iter()
        .zip(first..)
        .all(|(envelope, seq)| envelope.seq == seq)
}

fn the_fold_of_the_events_is_the_state(scene: Scene<'_>) -> bool {
    let events = &scene.decision.events;
    match scene.before {
        None => Run::fold(scene.after.id, events).as_ref() == Some(scene.after),
        Some(before) => {
            let mut run = before.clone();
            events.iter().for_each(|event| run.evolve(event));
            run == *scene.after
        }
    }
}

fn closed_runs_absorb(scene: Scene<'_>) -> bool {
    !scene.before.is_some_and(Run::is_closed)
}

fn closed_runs_hold_nothing_open(scene: Scene<'_>) -> bool {
    !scene.after.is_closed() || scene.after.open.is_empty()
}

fn the_open_steps_are_those_that_are_open(scene: Scene<'_>) -> bool {
    let open = scene
        .after
        .steps
        .iter()
        .filter(|state| state.is_open())
        .map(|state| &state.key);
    open.eq(scene.after.open.iter())
}

fn closed_steps_hold_nothing_open(scene: Scene<'_>) -> bool {
    scene.after.open.iter().all(|key| match around(key) {
        // The step around a run's entry lives in the parent run.
        Some(around) => scene
            .after
            .step(&around)
            .is_none_or(|state| state.is_open()),
        None => true,
    })
}

fn open_blocks_hold_something_open(scene: Scene<'_>) -> bool {
    scene.after.open_steps().all(|state| match state.activity {
        Some(Activity::Parallel | Activity::Switch { .. } | Activity::Try) => {
            holds_open(scene.after, &state.key)
        }
        Some(
            Activity::Call(_)
            | Activity::Review(_)
            | Activity::Sleep { .. }
            | Activity::Wait { .. }
            | Activity::Foreach(_)
            | Activity::Child { .. },
        ) => true,
        None => false,
    })
}

fn running_runs_hold_something_open(scene: Scene<'_>) -> bool {
    scene.after.is_closed() || !scene.after.open.is_empty()
}

fn parked_tasks_have_open_operations(scene: Scene<'_>) -> bool {
    scene
        .after
        .open_steps()
        .filter(|state| state.parked)
        .all(|state| holds_open(scene.after, &state.key))
}

fn a_call_has_a_task_from_opening_to_closing(scene: Scene<'_>) -> bool {
    let calls = |run: &Run| -> BTreeSet<TaskId> {
        let calls = run
            .open_steps()
            .filter(|state| matches!(state.activity, Some(Activity::Call(_))));
        calls
            .map(|state| TaskId::of_step(run.id, &state.key.to_string()))
            .collect()
    };
    let before = scene.before.map(calls).unwrap_or_default();
    let after = calls(scene.after);
    let mut created = BTreeSet::new();
    let mut removed = BTreeSet::new();
    for op in &scene.decision.tasks {
        match op {
            TaskOp::Create(new) => created.insert(new.task),
            TaskOp::Remove { task } => removed.insert(*task),
            TaskOp::Release { task, .. } | TaskOp::Park { task } | TaskOp::Resume { task } => {
                if !before.contains(task) || !after.contains(task) {
                    return false;
                }
                continue;
            }
        };
    }
    created == after.difference(&before).copied().collect()
        && removed == before.difference(&after).copied().collect()
}

fn one_operation_per_row(scene: Scene<'_>) -> bool {
    let decision = scene.decision;
    let timers = decision.timers.iter().map(|op| match op {
        TimerOp::Set { timer, .. } | TimerOp::Clear { timer } => *timer,
    });
    let mail = decision.mail.iter().map(|mail| mail.id);
    is_set(decision.tasks.iter().map(TaskOp::task))
        && is_set(timers)
        && is_set(decision.reviews.iter().map(ReviewOp::review))
        && is_set(mail)
        && is_set(decision.payloads.iter().map(|new| new.reference.id))
}

fn what_a_grant_changes_is_fenced(scene: Scene<'_>) -> bool {
    let granted = scene
        .decision
        .events
        .iter()
        .filter_map(|envelope| grant_of(&envelope.event));
    let fences = &scene.decision.fences;
    granted.into_iter().all(|grant| {
        fences
            .iter()
            .any(|fence| fence.lease.seq == grant.lease_seq)
    })
}

fn a_closing_child_tells_its_parent_once(scene: Scene<'_>) -> bool {
    let closes = scene.after.is_closed() && !scene.before.is_some_and(Run::is_closed);
    let expected = usize::from(closes && scene.after.origin.parent.is_some());
    let told = scene
        .decision
        .joins
        .iter()
        .filter(|op| matches!(op, JoinOp::ItemClosed { .. }))
        .count();
    told == expected
}

/// Its operations, applied in order to the joins open before, give those that must be open after.
fn a_join_is_open_while_its_step_has_children(scene: Scene<'_>) -> bool {
    let joined = |run: &Run| -> BTreeSet<StepKey> {
        let joined = run.open_steps().filter(|state| state.join.spawned > 0);
        joined.map(|state| state.key.clone()).collect()
    };
    let mut open = scene.before.map(joined).unwrap_or_default();
    for op in &scene.decision.joins {
        let key = op.key();
        let own = key.run == scene.after.id;
        let fits = match op {
            JoinOp::Open { .. } => own && open.insert(key.step.clone()),
            JoinOp::NotifyAt { .. } => own && open.contains(&key.step),
            JoinOp::Close { .. } => own && open.remove(&key.step),
            JoinOp::ItemClosed { .. } => !own,
        };
        if !fits {
            return false;
        }
    }
    open == joined(scene.after)
}

fn every_child_that_is_spawned_is_told_to_start(scene: Scene<'_>) -> bool {
    let mut spawned = BTreeSet::new();
    for envelope in &scene.decision.events {
        if let Event::ItemsSpawned { step, from, to } = &envelope.event {
            let step = step.to_string();
            spawned.extend((*from..*to).map(|index| RunId::child(scene.after.id, &step, index)));
        }
    }
    let started = scene.decision.mail.iter().filter_map(|mail| {
        let MailBody::Start(start) = &mail.body else {
            return None;
        };
        let link = start.parent.as_ref()?;
        let child = RunId::child(link.run, &link.step.to_string(), link.index);
        (child == mail.to && link.run == scene.after.id).then_some(mail.to)
    });
    let starts = |mail: &&Mail| matches!(mail.body, MailBody::Start(_));
    let count = scene.decision.mail.iter().filter(starts).count();
    count == spawned.len() && started.collect::<BTreeSet<_>>() == spawned
}

fn mail_is_from_this_run_and_stays_in_its_family(scene: Scene<'_>) -> bool {
    let run = scene.after;
    scene.decision.mail.iter().all(|mail| {
        let to_itself = mail.to == run.id;
        let fits = match mail.body {
            MailBody::Continue => to_itself,
            MailBody::Start(_) | MailBody::Cancel { .. } => !to_itself,
            // The store writes it when a join comes to its threshold.
            MailBody::JoinProgressed { .. } => false,
        };
        fits && mail.from == run.id && mail.root == run.origin.root
    })
}

fn only_spawned_children_are_told_to_end(scene: Scene<'_>) -> bool {
    let mut states = scene.after.steps.iter();
    states.all(|state| state.join.cancelled <= state.join.spawned)
}

fn grant_of(event: &Event) -> Option<&Grant> {
    match event {
        Event::StepCompleted { grant, .. }
        | Event::AttemptFailed { grant, .. }
        | Event::StepFailed { grant, .. } => grant.as_ref(),
        Event::LeaseExpired { grant, .. } | Event::StepParked { grant, .. } => Some(grant),
        Event::RunStarted(_)
        | Event::StepSkipped { .. }
        | Event::StepOpened { .. }
        | Event::StepCancelled { .. }
        | Event::ReviewDecided { .. }
        | Event::SignalReceived { .. }
        | Event::SignalConsumed { .. }
        | Event::ItemsSpawned { .. }
        | Event::JoinProgressed { .. }
        | Event::VariableSet { .. }
        | Event::CheckpointReached { .. }
        | Event::JournalRecorded { .. }
        | Event::JournalRequested { .. }
        | Event::StepResumed { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunReturning { .. }
        | Event::RunCompleted { .. }
        | Event::RunFailed { .. }
        | Event::RunCancelled { .. }
        | Event::StepTimedOut { .. }
        | Event::ItemsCancelled { .. } => None,
    }
}

fn around(key: &StepKey) -> Option<StepKey> {
    let (path, _) = key.path.rsplit_once('/')?;
    Some(StepKey {
        path: path.to_owned(),
        epoch: key.epoch,
    })
}

fn holds_open(run: &Run, block: &StepKey) -> bool {
    let prefix = format!("{}/", block.path);
    run.open.iter().any(|key| key.path.starts_with(&prefix))
}

fn is_set<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
