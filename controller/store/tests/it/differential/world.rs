//! Two stores side by side: turns plans into calls of both and makes their answers comparable.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_core::ids::{CommitId, MailId, TimerId};
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{
    Beat, ClaimRequest, Commit, CommitOutcome, Expected, FlushReport, GrantedTask, ReviewOp,
    ReviewRow, RunStatus, Store, TimerOp,
};
use fulcrum_core::task::{Fence, HandOff, Lease, TaskOp, TaskState};
use fulcrum_core::time::Millis;
use fulcrum_store::catalog::Page;
use sqlx::types::Uuid;
use sqlx::{Executor, PgConnection};

use super::answers::{asked, beaten, granted};
use super::operations::{CommitPlan, FencePlan, Operation, TaskPlan};
use super::values::{
    STEPS, claim_request, join_op, mail, mail_id, request, review_op, root, run, task_id, task_op,
    timer_id, timer_op,
};
use crate::database::Database;
use crate::sample::{BORN, NAMESPACE, blob, next, payload, start, with_events, worker};

/// One grant as each store made it.
struct Grant {
    reference: Lease,
    postgres: Lease,
    worker: u128,
}

pub(super) struct World<'d> {
    reference: ReferenceStore,
    database: &'d Database,
    grants: Vec<Grant>,
    commits: u128,
    /// Those that a commit refers to. In a database, losers leave some that nobody knows of.
    blobs: BTreeSet<u8>,
}

impl<'d> World<'d> {
    pub(super) async fn new(database: &'d Database) -> Self {
        clear(&mut database.raw().await).await;
        let now = database.store.now().await.unwrap();
        Self {
            reference: ReferenceStore::new(now),
            database,
            grants: Vec::new(),
            commits: 0,
            blobs: BTreeSet::new(),
        }
    }

    /// Applies an operation to both and gives both answers.
    pub(super) async fn apply(&mut self, operation: &Operation) -> (String, String) {
        self.reference.advance(Millis(10));
        let postgres = &self.database.store;
        match operation {
            Operation::Flush(plans) => {
                let (ours, theirs) = self.commits(plans).await;
                let expected = self.reference.flush(ours).await.unwrap();
                let actual = self.database.store.flush(theirs).await.unwrap();
                self.remember(&expected.granted, &actual.granted);
                for (plan, outcome) in plans.iter().zip(&expected.outcomes) {
                    if *outcome == CommitOutcome::Committed {
                        self.blobs.extend(&plan.blobs);
                    }
                }
                (
                    self.told(expected, |grant| grant.reference),
                    self.told(actual, |grant| grant.postgres),
                )
            }
            Operation::Claim { requests, expired } => {
                let requests: Vec<ClaimRequest> = requests.iter().map(claim_request).collect();
                let lease = if *expired {
                    Millis(0)
                } else {
                    Millis::from_secs(3600)
                };
                let expected = self.reference.claim(&requests, lease).await.unwrap();
                let actual = postgres.claim(&requests, lease).await.unwrap();
                self.remember(&expected, &actual);
                (granted(&expected), granted(&actual))
            }
            Operation::Heartbeat(numbers) => {
                let beats = |lease: fn(&Grant) -> Lease| -> Vec<Beat> {
                    numbers
                        .iter()
                        .map(|number| self.beat(*number, lease))
                        .collect()
                };
                let lease = Millis::from_secs(3600);
                let expected = self
                    .reference
                    .heartbeat(&beats(|grant| grant.reference), lease)
                    .await
                    .unwrap();
                let actual = postgres
                    .heartbeat(&beats(|grant| grant.postgres), lease)
                    .await
                    .unwrap();
                (beaten(&expected), beaten(&actual))
            }
            Operation::GiveBack {
                grants: numbers,
                rests,
            } => {
                let rest = if *rests {
                    Millis::from_secs(3600)
                } else {
                    Millis(0)
                };
                let grants = |lease: fn(&Grant) -> Lease| -> Vec<Beat> {
                    numbers
                        .iter()
                        .map(|number| self.beat(*number, lease))
                        .collect()
                };
                self.reference
                    .give_back(&grants(|grant| grant.reference), rest)
                    .await
                    .unwrap();
                postgres
                    .give_back(&grants(|grant| grant.postgres), rest)
                    .await
                    .unwrap();
                Default::default()
            }
            Operation::DiscardMail(which) => {
                let ids: Vec<MailId> = which.iter().map(|(to, n)| mail_id(run(*to), *n)).collect();
                self.reference.discard_mail(&ids).await.unwrap();
                postgres.discard_mail(&ids).await.unwrap();
                Default::default()
            }
            Operation::DiscardTimers(which) => {
                let ids: Vec<TimerId> =
                    which.iter().map(|(of, n)| timer_id(run(*of), *n)).collect();
                self.reference.discard_timers(&ids).await.unwrap();
                postgres.discard_timers(&ids).await.unwrap();
                Default::default()
            }
        }
    }

    fn remember(&mut self, expected: &[GrantedTask], actual: &[GrantedTask]) {
        for ours in expected {
            let same = |theirs: &&GrantedTask| ours.lease.task == theirs.lease.task;
            if let Some(theirs) = actual.iter().find(same) {
                self.grants.push(Grant {
                    reference: ours.lease,
                    postgres: theirs.lease,
                    worker: ours.worker.0.as_u128() - 0xB000,
                });
            }
        }
    }

    /// Everything that can be asked of a store.
    pub(super) async fn everything(&self) -> (String, String) {
        self.reference.advance(Millis(10));
        let mut inbox: Vec<ReviewRow> = self.reference.open_reviews();
        inbox.sort_by_key(|row| row.review);
        let stored = self
            .database
            .store
            .reviews()
            .inbox(NAMESPACE, Page::first(100))
            .await
            .unwrap();
        let mut stored: Vec<ReviewRow> = stored.into_iter().map(|stored| stored.review).collect();
        stored.sort_by_key(|row| row.review);
        (
            format!("{}{inbox:?}", asked(&self.reference, &self.blobs).await),
            format!(
                "{}{stored:?}",
                asked(&self.database.store, &self.blobs).await
            ),
        )
    }

    async fn commits(&mut self, plans: &[CommitPlan]) -> (Vec<Commit>, Vec<Commit>) {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for plan in plans {
            let head = self.reference.heads(&[run(plan.run)]).await.unwrap().pop();
            let mut commit = self.commit(plan, head.as_ref());
            let fences = |lease: fn(&Grant) -> Lease| -> Vec<Fence> {
                plan.fences
                    .iter()
                    .filter_map(|fence| self.fence(plan.run, fence, lease))
                    .collect()
            };
            commit.fences = fences(|grant| grant.reference);
            let mut other = commit.clone();
            other.fences = fences(|grant| grant.postgres);
            ours.push(commit);
            theirs.push(other);
        }
        (ours, theirs)
    }

    fn commit(&mut self, plan: &CommitPlan, head: Option<&fulcrum_core::store::RunHead>) -> Commit {
        let id = run(plan.run);
        let mut commit = match head {
            Some(head) => {
                let mut commit = next(head);
                if plan.stale {
                    commit.expected = if head.version % 2 == 0 {
                        Expected::New
                    } else {
                        Expected::Version(99)
                    };
                }
                commit
            }
            None => {
                let mut commit = start(id);
                commit.head.root = root(plan.run);
                commit.head.parent = (plan.run >= 3).then(|| run(0));
                commit.head.idempotency_key = plan.key.map(|key| format!("key-{key}"));
                if plan.stale {
                    commit.expected = Expected::Version(1);
                }
                commit
            }
        };
        self.commits += 1;
        commit.id = CommitId(Uuid::from_u128(self.commits));
        commit = with_events(commit, plan.events);
        commit.snapshot = plan
            .snapshot
            .then(|| vec![u8::try_from(self.commits % 256).unwrap(); 8]);
        if plan.close {
            commit.head.status = RunStatus::Failed;
            commit.head.closed_at = Some(BORN);
        }
        commit.requests = plan.requests.iter().map(|n| request(*n, id)).collect();
        commit.payloads = plan.payloads.iter().map(|n| payload(*n)).collect();
        commit.payloads.extend(plan.blobs.iter().map(|n| blob(*n)));
        // Ops on one key are merged before they get here: the last one stays.
        let tasks: BTreeMap<usize, TaskOp> = plan
            .tasks
            .iter()
            .map(|(n, plan)| (*n, task_op(id, *n, plan)))
            .collect();
        commit.tasks = tasks.into_values().collect();
        let handed: BTreeMap<usize, Option<u128>> = plan
            .tasks
            .iter()
            .map(|(n, plan)| (*n, handed(plan)))
            .collect();
        commit.hand_offs = handed
            .into_iter()
            .filter_map(|(n, to)| {
                Some(HandOff {
                    task: task_id(id, n),
                    worker: worker(to?),
                    nonce: Uuid::from_u128(self.commits << 8 | n as u128),
                    lease: Millis::from_secs(3600),
                })
            })
            .collect();
        let timers: BTreeMap<usize, TimerOp> = plan
            .timers
            .iter()
            .map(|(n, plan)| (*n, timer_op(id, *n, plan)))
            .collect();
        commit.timers = timers.into_values().collect();
        let reviews: BTreeMap<usize, ReviewOp> = plan
            .reviews
            .iter()
            .map(|(n, plan)| (*n, review_op(id, *n, plan)))
            .collect();
        commit.reviews = reviews.into_values().collect();
        commit.mail = plan.mail.iter().map(|(to, n)| mail(id, *to, *n)).collect();
        commit.consumed = plan.consumed.iter().map(|n| mail_id(id, *n)).collect();
        commit.joins = plan
            .joins
            .iter()
            .map(|(n, plan)| join_op(*n, plan))
            .collect();
        commit
    }

    fn fence(&self, of: usize, plan: &FencePlan, lease: fn(&Grant) -> Lease) -> Option<Fence> {
        let (grant, by_holder, state) = match plan {
            FencePlan::Newest {
                task,
                by_holder,
                state,
            } => {
                let task = task_id(run(of), *task);
                (
                    self.grants
                        .iter()
                        .rev()
                        .find(|grant| grant.reference.task == task)?,
                    *by_holder,
                    if *by_holder {
                        TaskState::Leased
                    } else {
                        *state
                    },
                )
            }
            FencePlan::Some { grant } => {
                // A run fences its own tasks only.
                let grant = self.grants.get(*grant)?;
                let own = (0..STEPS.len()).any(|n| task_id(run(of), n) == grant.reference.task);
                (own.then_some(grant)?, true, TaskState::Leased)
            }
        };
        Some(Fence {
            lease: lease(grant),
            holder: by_holder.then(|| worker(grant.worker)),
            state,
        })
    }

    fn beat(&self, number: Option<usize>, lease: fn(&Grant) -> Lease) -> Beat {
        match number.and_then(|number| self.grants.get(number)) {
            Some(grant) => Beat {
                lease: lease(grant),
                worker: worker(grant.worker),
            },
            None => {
                let lease = Lease {
                    task: task_id(run(0), 0),
                    seq: 1,
                    nonce: Uuid::from_u128(77),
                };
                Beat {
                    lease,
                    worker: worker(0),
                }
            }
        }
    }

    /// What a flush said, with leases named by their grants.
    fn told(&self, report: FlushReport, lease: fn(&Grant) -> Lease) -> String {
        let name = |lost: &Lease| self.grants.iter().position(|grant| lease(grant) == *lost);
        let outcomes: Vec<String> = report
            .outcomes
            .iter()
            .map(|outcome| match outcome {
                CommitOutcome::LeaseLost(lost) => {
                    format!("LeaseLost({:?})", lost.iter().map(name).collect::<Vec<_>>())
                }
                other => format!("{other:?}"),
            })
            .collect();
        let mut grants = report.granted;
        grants.sort_by_key(|grant| grant.lease.task);
        format!(
            "{outcomes:#?}\n{:?}\n{}",
            report.join_mail,
            granted(&grants)
        )
    }
}

fn handed(plan: &TaskPlan) -> Option<u128> {
    match plan {
        TaskPlan::Create { hand, .. } => *hand,
        TaskPlan::Release { .. } | TaskPlan::Park | TaskPlan::Resume | TaskPlan::Remove => None,
    }
}

async fn clear(connection: &mut PgConnection) {
    let tables = "runs, snapshots, requests, events, payloads, blobs, tasks, timers, mail, joins, join_items, reviews";
    connection
        .execute(sqlx::AssertSqlSafe(format!("truncate {tables}")))
        .await
        .unwrap();
}
