//! Steps of a run. Their run's timeline tells what they are; who is on them at this moment, only their tasks do.

use std::collections::BTreeMap;

use fulcrum_core::definition::model::StepKind;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::event::Activity;
use fulcrum_core::ids::TaskId;
use fulcrum_core::run::{Run, StepState, StepStatus};
use fulcrum_core::task::TaskState;
use fulcrum_core::time::Timestamp;
use fulcrum_proto::common::v1 as common;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_store::views::{Granted, Offer, TaskStanding};

use super::{failure, time};
use crate::identity::{IdentityId, Role};

/// How the tasks of a run stand, as read a moment after the run; empty where nobody looked.
#[derive(Debug, Default)]
pub struct Standings {
    tasks: Option<BTreeMap<TaskId, TaskStanding>>,
}

impl Standings {
    /// As read.
    #[must_use]
    pub fn new(read: Vec<TaskStanding>) -> Self {
        let tasks = read.into_iter().map(|standing| (standing.task, standing));
        Self {
            tasks: Some(tasks.collect()),
        }
    }

    /// Whether anybody looked.
    #[must_use]
    pub(super) fn looked(&self) -> bool {
        self.tasks.is_some()
    }

    /// How the task of a step stands.
    pub(super) fn of(&self, run: &Run, step: &StepState) -> Standing<'_> {
        let task = task(run, step).and_then(|task| self.tasks.as_ref()?.get(&task));
        match task {
            None => Standing::Unknown,
            Some(task) => match (task.state, &task.granted) {
                (TaskState::Leased, Some(granted)) => Standing::Leased(granted),
                (TaskState::Ready, _) if task.offer == Offer::Due && task.connected == 0 => {
                    Standing::Stranded(task)
                }
                (TaskState::Ready | TaskState::Parked | TaskState::Leased, _) => Standing::Unknown,
            },
        }
    }
}

/// The task of an open call, unless it is parked.
#[must_use]
pub fn task(run: &Run, step: &StepState) -> Option<TaskId> {
    match &step.activity {
        Some(Activity::Call(_)) if step.is_open() && !step.parked => {
            Some(TaskId::of_step(run.id, &step.key.to_string()))
        }
        Some(_) | None => None,
    }
}

/// How the task of a step stands, where that is more than its run knows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Standing<'a> {
    /// A worker is on it.
    Leased(&'a Granted),
    /// It is offered, and there is nobody who could take it.
    Stranded(&'a TaskStanding),
    /// As the run says.
    Unknown,
}

impl Standing<'_> {
    /// What its step waits for.
    pub(super) fn what_for(self, run: &Run, step: &StepState) -> Option<String> {
        match (self, &step.activity) {
            (Standing::Leased(granted), _) => Some(format!(
                "a report of `{}`, on it since {}",
                granted.name, granted.at
            )),
            (Standing::Stranded(task), Some(Activity::Call(call))) => {
                let why = match task.registered {
                    0 => "no worker has registered it".to_owned(),
                    1 => "the worker that registered it is not connected".to_owned(),
                    n => format!("none of the {n} workers that registered it is connected"),
                };
                Some(format!(
                    "no eligible executor for `{}`: {why}",
                    call.capability
                ))
            }
            (Standing::Stranded(_) | Standing::Unknown, _) => run.waiting_for(&step.key),
        }
    }

    /// Since when it has been offered to nobody.
    pub(super) fn stuck_since(self) -> Option<Timestamp> {
        match self {
            Standing::Stranded(task) => Some(task.ready_at),
            Standing::Leased(_) | Standing::Unknown => None,
        }
    }
}

pub(super) fn step(
    run: &Run,
    state: &StepState,
    output: Option<common::Payload>,
    standing: &Standing<'_>,
    plan: Option<&Plan>,
) -> wire::StepState {
    let planned = plan
        .and_then(|plan| plan.at(&state.key.path))
        .map(|node| &node.step.kind);
    let (kind, capability) = match (planned, &state.activity) {
        (Some(StepKind::Call { capability, .. }), _) => (wire::StepKind::Call, capability.clone()),
        (Some(planned), _) => (planned_kind(planned), String::new()),
        // An operation of a task's journal is in no plan.
        (None, Some(Activity::Call(call))) => (wire::StepKind::Call, call.capability.clone()),
        (None, Some(activity)) => (activity_kind(activity), String::new()),
        (None, None) => (wire::StepKind::Unspecified, String::new()),
    };
    let leased = match standing {
        Standing::Leased(granted) => Some(*granted),
        Standing::Stranded(_) | Standing::Unknown => None,
    };
    let worker = leased
        .map(|granted| granted.worker)
        .or_else(|| state.reported.as_ref().map(|grant| grant.worker));
    wire::StepState {
        step_key: state.key.to_string(),
        kind: kind.into(),
        status: step_status(state, standing).into(),
        attempt: state.attempt,
        waiting_for: standing.what_for(run, state).unwrap_or_default(),
        started_at: Some(time::instant(state.opened_at)),
        finished_at: state.closed_at.map(time::instant),
        output,
        failure: state.failure.as_ref().map(failure::failure),
        capability,
        worker_id: worker
            .map(|worker| IdentityId(worker.0).type_id(Role::Executor))
            .unwrap_or_default(),
        worker_name: leased
            .map(|granted| granted.name.clone())
            .unwrap_or_default(),
        leased_at: leased.map(|granted| time::instant(granted.at)),
        stalled_since: standing.stuck_since().map(time::instant),
    }
}

fn step_status(state: &StepState, standing: &Standing<'_>) -> wire::StepStatus {
    match state.status {
        StepStatus::Open => match &state.activity {
            Some(Activity::Call(_)) if !state.parked => match standing {
                Standing::Leased(_) => wire::StepStatus::Running,
                Standing::Stranded(_) | Standing::Unknown => wire::StepStatus::Ready,
            },
            Some(Activity::Parallel | Activity::Switch { .. } | Activity::Try) => {
                wire::StepStatus::Running
            }
            Some(
                Activity::Call(_)
                | Activity::Review(_)
                | Activity::Sleep { .. }
                | Activity::Wait { .. }
                | Activity::Foreach(_)
                | Activity::Child { .. },
            )
            | None => wire::StepStatus::Waiting,
        },
        StepStatus::Completed => wire::StepStatus::Completed,
        StepStatus::Skipped => wire::StepStatus::Skipped,
        StepStatus::Failed | StepStatus::Absorbed => wire::StepStatus::Failed,
        StepStatus::Cancelled => wire::StepStatus::Cancelled,
    }
}

fn planned_kind(kind: &StepKind) -> wire::StepKind {
    match kind {
        StepKind::Call { .. } => wire::StepKind::Call,
        StepKind::Review(_) => wire::StepKind::Review,
        StepKind::Sleep { .. } | StepKind::Until { .. } => wire::StepKind::Sleep,
        StepKind::Wait { .. } => wire::StepKind::Wait,
        StepKind::Parallel { .. } => wire::StepKind::Parallel,
        StepKind::Foreach(_) => wire::StepKind::Foreach,
        StepKind::Switch { .. } => wire::StepKind::Switch,
        StepKind::Try { .. } => wire::StepKind::Try,
        StepKind::Run { .. } => wire::StepKind::Run,
        StepKind::Checkpoint { .. } => wire::StepKind::Checkpoint,
        StepKind::Set { .. } => wire::StepKind::Set,
        StepKind::Return { .. } => wire::StepKind::Return,
        StepKind::Fail { .. } => wire::StepKind::Fail,
    }
}

fn activity_kind(activity: &Activity) -> wire::StepKind {
    match activity {
        Activity::Call(_) => wire::StepKind::Call,
        Activity::Review(_) => wire::StepKind::Review,
        Activity::Sleep { .. } => wire::StepKind::Sleep,
        Activity::Wait { .. } => wire::StepKind::Wait,
        Activity::Parallel => wire::StepKind::Parallel,
        Activity::Switch { .. } => wire::StepKind::Switch,
        Activity::Try => wire::StepKind::Try,
        Activity::Foreach(_) => wire::StepKind::Foreach,
        Activity::Child { .. } => wire::StepKind::Run,
    }
}
