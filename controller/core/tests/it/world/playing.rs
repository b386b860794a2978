//! Playing the worker, the clock, the post and the people.

use fulcrum_core::decide::command::{Approve, DecideReview, Report, ReportOutcome, TaskDue};
use fulcrum_core::decide::{CommandKind, Rejection};
use fulcrum_core::event::{Actor, Grant, StepKey};
use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::ids::{MailId, ReviewId, RunId, TaskId, TimerId};
use fulcrum_core::task::{Due, Lease, TaskRow, TaskState};
use fulcrum_core::time::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Timer, World, worker};

impl World {
    /// Grants the task of a step, moving the clock to when it is ready.
    pub(crate) fn grant(&mut self, run: RunId, path: &str) -> (Lease, Grant) {
        let id = TaskId::of_step(run, &StepKey::first(path).to_string());
        let task = self
            .tasks
            .get_mut(&id)
            .unwrap_or_else(|| panic!("{path} has no task"));
        assert_eq!(task.state, TaskState::Ready, "{path} is not ready");
        self.now = self.now.max(task.ready_at);
        task.state = TaskState::Leased;
        task.seq += 1;
        self.grants.insert(id, task.seq);
        let lease = Lease {
            task: id,
            seq: task.seq,
            nonce: Uuid::from_u128(u128::from(task.seq)),
        };
        (
            lease,
            Grant {
                worker: worker(),
                lease_seq: task.seq,
                granted_at: self.now,
            },
        )
    }

    pub(crate) fn report(
        &mut self,
        run: RunId,
        path: &str,
        (lease, grant): &(Lease, Grant),
        outcome: ReportOutcome,
    ) -> Result<(), Rejection> {
        let report = Report {
            step: StepKey::first(path),
            lease: *lease,
            grant: grant.clone(),
            outcome,
        };
        self.send_as(
            run,
            Actor::Worker(worker()),
            CommandKind::Report(Box::new(report)),
        )
    }

    /// Grants a task and completes it.
    pub(crate) fn answer(&mut self, run: RunId, path: &str, output: Value) {
        let granted = self.grant(run, path);
        let output = self.payload(run, &output);
        self.report(run, path, &granted, ReportOutcome::Completed { output })
            .unwrap();
    }

    /// Grants a task and fails it.
    pub(crate) fn refuse(&mut self, run: RunId, path: &str, class: FailureClass) {
        let granted = self.grant(run, path);
        let failure = Failure::new(class, "BROKEN", "it broke");
        self.report(
            run,
            path,
            &granted,
            ReportOutcome::Failed {
                failure,
                details: None,
            },
        )
        .unwrap();
    }

    /// The task of a step as the reaper would see it.
    pub(crate) fn due(
        &mut self,
        run: RunId,
        path: &str,
        due: fn(Timestamp) -> Due,
    ) -> Result<(), Rejection> {
        let step = StepKey::first(path);
        let id = TaskId::of_step(run, &step.to_string());
        let row = self.row(id, due(self.now)).expect("the task exists");
        self.send(run, CommandKind::TaskDue(TaskDue { step, seen: row }))
    }

    pub(crate) fn row(&self, id: TaskId, due: Due) -> Option<TaskRow> {
        let task = self.tasks.get(&id)?;
        let granted = task.seq > 0;
        Some(TaskRow {
            task: id,
            run: task.new.run,
            root: task.new.root,
            step: task.new.step.clone(),
            state: task.state,
            attempt: task.attempt,
            lease_seq: task.seq,
            lease_nonce: granted.then(|| Uuid::from_u128(u128::from(task.seq))),
            worker: granted.then(worker),
            granted_at: granted.then_some(self.now),
            crash_count: task.crashes,
            due,
        })
    }

    /// Delivers mail until there is none left that can be delivered.
    pub(crate) fn deliver(&mut self) {
        loop {
            let ids: Vec<MailId> = self.mail.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                moved |= self.deliver_one(id);
            }
            if !moved {
                return;
            }
        }
    }

    pub(crate) fn deliver_one(&mut self, id: MailId) -> bool {
        let Some(mail) = self.mail.get(&id).cloned() else {
            return false;
        };
        match self.send_as(
            mail.to,
            Actor::Run(mail.from),
            CommandKind::Mail {
                id,
                body: mail.body,
            },
        ) {
            Ok(()) => assert!(!self.mail.contains_key(&id), "delivered mail is consumed"),
            Err(Rejection::RunNotFound(_)) => return false,
            Err(Rejection::RunClosed(_) | Rejection::Stale(_) | Rejection::AlreadyStarted(_)) => {
                self.mail.remove(&id);
            }
            Err(other) => panic!("mail is refused: {other}"),
        }
        true
    }

    pub(crate) fn fire(&mut self, id: TimerId) -> Result<(), Rejection> {
        let timer = self.timers[&id].clone();
        self.now = self.now.max(timer.at);
        let Timer {
            run,
            step,
            purpose,
            at: _,
        } = timer;
        let fired = self.send(
            run,
            CommandKind::TimerFired {
                timer: id,
                step,
                purpose,
            },
        );
        if let Err(Rejection::Stale(_) | Rejection::RunClosed(_)) = fired {
            self.timers.remove(&id);
        }
        fired
    }

    pub(crate) fn fire_next(&mut self) {
        let next = self
            .timers
            .iter()
            .min_by_key(|(id, timer)| (timer.at, **id))
            .map(|(id, _)| *id);
        self.fire(next.expect("a timer is set")).unwrap();
    }

    pub(crate) fn signal(&mut self, run: RunId, name: &str, value: Value) -> Result<(), Rejection> {
        let payload = Some(self.payload(run, &value));
        self.send(
            run,
            CommandKind::Signal {
                name: name.to_owned(),
                payload,
            },
        )
    }

    pub(crate) fn cancel(&mut self, run: RunId) -> Result<(), Rejection> {
        self.send(
            run,
            CommandKind::Cancel {
                reason: "enough".to_owned(),
            },
        )
    }

    pub(crate) fn review(
        &mut self,
        run: RunId,
        path: &str,
        approve: Approve,
    ) -> Result<(), Rejection> {
        let review = ReviewId::of_step(run, &StepKey::first(path).to_string());
        let shown = self
            .reviews
            .get(&review)
            .map_or([0; 32], |row| row.content.hash);
        let decision = DecideReview {
            review,
            approve,
            shown,
            comment: Some("seen".to_owned()),
        };
        self.send(run, CommandKind::DecideReview(Box::new(decision)))
    }
}
