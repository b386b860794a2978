//! Two stores side by side: turns plans into calls of both and makes their answers comparable.

use std::collections::BTreeMap;

use fulcrum_core::decide::command::{Mail, MailBody, TimerPurpose};
use fulcrum_core::failure::Failure;
use fulcrum_core::ids::{CommitId, MailId, ReviewId, RunId, Shard, TaskId, TimerId};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{
    Beat, BeatOutcome, ClaimRequest, Commit, CommitOutcome, Expected, FlushReport, GrantedTask,
    JoinKey, JoinOp, RequestRecord, ReviewOp, ReviewRow, RunStatus, Store, TimerOp,
};
use fulcrum_core::task::{Due, Fence, Lease, TaskOp};
use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_store::catalog::Page;
use sqlx::types::Uuid;
use sqlx::{Executor, PgConnection};

use super::operations::{
    ClaimPlan, CommitPlan, FencePlan, JoinPlan, Limit, Operation, RUNS, ReviewPlan, TaskPlan,
    TimerPlan,
};
use crate::database::Database;
use crate::sample::{BORN, NAMESPACE, next, payload, start, step, task, with_events, worker};

const CAPABILITIES: [&str; 3] = ["crm.read", "mail.send", "text.render"];
const STEPS: [&str; 3] = ["a", "b", "c"];
const FAR: Timestamp = Timestamp::from_millis(4_000_000_000_000);

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
                let both = expected
                    .iter()
                    .zip(&actual)
                    .filter(|(ours, theirs)| ours.lease.task == theirs.lease.task);
                self.grants.extend(both.map(|(ours, theirs)| Grant {
                    reference: ours.lease,
                    postgres: theirs.lease,
                    worker: ours.worker.0.as_u128() - 0xB000,
                }));
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
            format!("{}{inbox:?}", asked(&self.reference).await),
            format!("{}{stored:?}", asked(&self.database.store).await),
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
        // Ops on one key are merged before they get here: the last one stays.
        let tasks: BTreeMap<usize, TaskOp> = plan
            .tasks
            .iter()
            .map(|(n, plan)| (*n, task_op(id, *n, plan)))
            .collect();
        commit.tasks = tasks.into_values().collect();
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
        let (grant, by_holder) = match plan {
            FencePlan::Newest { task, by_holder } => {
                let task = task_id(run(of), *task);
                (
                    self.grants
                        .iter()
                        .rev()
                        .find(|grant| grant.reference.task == task)?,
                    *by_holder,
                )
            }
            FencePlan::Some { grant } => {
                // A run fences its own tasks only.
                let grant = self.grants.get(*grant)?;
                let own = (0..STEPS.len()).any(|n| task_id(run(of), n) == grant.reference.task);
                (own.then_some(grant)?, true)
            }
        };
        Some(Fence {
            lease: lease(grant),
            holder: by_holder.then(|| worker(grant.worker)),
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
        format!("{outcomes:#?}\n{:?}", report.join_mail)
    }
}

async fn clear(connection: &mut PgConnection) {
    let tables = "runs, snapshots, requests, events, payloads, tasks, timers, mail, joins, join_items, reviews";
    connection
        .execute(sqlx::AssertSqlSafe(format!("truncate {tables}")))
        .await
        .unwrap();
}

async fn asked<S: Store>(store: &S) -> String {
    let runs: Vec<RunId> = (0..RUNS).map(run).collect();
    let mut due = store.due_tasks(100).await.unwrap();
    due.sort_by_key(|row| row.task);
    let due: Vec<String> = due
        .into_iter()
        .map(|row| {
            let why = match row.due {
                Due::Never => "never",
                Due::ScheduleToStart(_) => "schedule to start",
                Due::LeaseDeadline(_) => "lease",
                Due::StartToClose(_) => "start to close",
            };
            let granted = (
                row.granted_at.is_some(),
                row.lease_nonce.is_some(),
                row.lease_seq,
                row.worker,
            );
            let rest = (
                row.task,
                row.run,
                row.root,
                row.step,
                row.state,
                row.attempt,
                row.crash_count,
            );
            format!("{rest:?} {granted:?} {why}")
        })
        .collect();
    let mut mail = store.pending_mail(Millis(0), 100).await.unwrap();
    mail.sort_by_key(|mail| mail.id);
    let mut joins = Vec::new();
    for n in 0..3 {
        joins.push(store.join_outputs(&join_key(n)).await.unwrap());
    }
    let mut requests = Vec::new();
    for n in 0..4 {
        requests.push(store.request(NAMESPACE, &request_key(n)).await.unwrap());
    }
    let mut payloads = Vec::new();
    for n in 0..5 {
        payloads.push(store.payloads(&[payload(n).reference]).await);
    }
    let timers = store.due_timers(100).await.unwrap();
    let runs = store.load(&runs).await.unwrap();
    format!("{runs:#?}\n{due:#?}\n{timers:#?}\n{mail:#?}\n{joins:#?}\n{requests:#?}\n{payloads:#?}")
}

fn granted(grants: &[GrantedTask]) -> String {
    let each: Vec<_> = grants
        .iter()
        .map(|grant| {
            let lease = (
                grant.lease.task,
                grant.lease.seq,
                grant.worker,
                grant.close_by.is_some(),
            );
            let place = (
                grant.namespace,
                grant.run,
                grant.root,
                &grant.step,
                &grant.capability,
                grant.contract,
            );
            format!(
                "{lease:?} {place:?} {:?} {} {:?}",
                grant.input, grant.attempt, grant.trace
            )
        })
        .collect();
    format!("{each:#?}")
}

fn beaten(outcomes: &[BeatOutcome]) -> String {
    let held = |outcome: &BeatOutcome| matches!(outcome, BeatOutcome::Extended(_));
    format!("{:?}", outcomes.iter().map(held).collect::<Vec<_>>())
}

fn run(n: usize) -> RunId {
    match n {
        0..3 => RunId::new(BORN, Shard(5), u64::try_from(n).unwrap()),
        _ => RunId::child(run(0), "items~1", u32::try_from(n).unwrap()),
    }
}

fn root(n: usize) -> RunId {
    if n < 3 { run(n) } else { run(0) }
}

fn task_id(of: RunId, n: usize) -> TaskId {
    TaskId::of_step(of, &step(STEPS[n]).to_string())
}

fn timer_id(of: RunId, n: usize) -> TimerId {
    TimerId::of_step(of, STEPS[n], "wake")
}

fn mail_id(to: RunId, n: u64) -> MailId {
    MailId::of(to, "test", n)
}

fn request_key(n: u8) -> RequestKey {
    RequestKey {
        shard: Shard(5),
        id: format!("request-{n}"),
    }
}

fn join_key(n: usize) -> JoinKey {
    JoinKey {
        run: run(0),
        root: run(0),
        step: step(STEPS[n]),
    }
}

fn request(n: u8, run: RunId) -> RequestRecord {
    RequestRecord {
        namespace: NAMESPACE,
        key: request_key(n),
        digest: [n; 32],
        run,
        answer: vec![n],
    }
}

fn claim_request(plan: &ClaimPlan) -> ClaimRequest {
    ClaimRequest {
        worker: worker(plan.worker),
        namespace: NAMESPACE,
        capabilities: plan
            .capabilities
            .iter()
            .map(|n| CAPABILITIES[*n].to_owned())
            .collect(),
        slots: plan.slots,
    }
}

/// Seconds before a fixed instant in the past; beyond, far in the future.
fn aged(age: i64) -> Timestamp {
    if age < 0 {
        FAR
    } else {
        Timestamp::from_millis(1_000_000_000_000 - age * 1_000)
    }
}

fn span(limit: Limit) -> Option<Millis> {
    match limit {
        Limit::None => None,
        Limit::Nothing => Some(Millis(0)),
        Limit::Ages => Some(Millis(100 * 365 * 86_400_000)),
    }
}

fn task_op(of: RunId, n: usize, plan: &TaskPlan) -> TaskOp {
    let id = task_id(of, n);
    match plan {
        TaskPlan::Create {
            capability,
            priority,
            age,
            limit,
            close,
        } => {
            let mut new = task(of, STEPS[n], CAPABILITIES[*capability]);
            new.priority = *priority;
            new.ready_at = aged(*age);
            new.schedule_to_start = span(*limit);
            new.start_to_close = span(*close);
            TaskOp::Create(new)
        }
        TaskPlan::Release {
            age,
            attempt,
            crashes,
        } => TaskOp::Release {
            task: id,
            ready_at: aged(*age),
            attempt: *attempt,
            crash_count: *crashes,
        },
        TaskPlan::Park => TaskOp::Park { task: id },
        TaskPlan::Resume => TaskOp::Resume { task: id },
        TaskPlan::Remove => TaskOp::Remove { task: id },
    }
}

fn timer_op(of: RunId, n: usize, plan: &TimerPlan) -> TimerOp {
    let timer = timer_id(of, n);
    let set = |at| TimerOp::Set {
        timer,
        run: of,
        root: of,
        step: step(STEPS[n]),
        purpose: TimerPurpose::Wake,
        at,
    };
    match plan {
        TimerPlan::Past(age) => set(aged(*age)),
        TimerPlan::Future => set(FAR),
        TimerPlan::Clear => TimerOp::Clear { timer },
    }
}

fn review_op(of: RunId, n: usize, plan: &ReviewPlan) -> ReviewOp {
    let review = ReviewId::of_step(of, STEPS[n]);
    match plan {
        ReviewPlan::Open => ReviewOp::Open(ReviewRow {
            review,
            namespace: NAMESPACE,
            run: of,
            step: step(STEPS[n]),
            content: payload(1).reference,
            show: payload(2).reference,
            edit: n == 0,
            asked_at: BORN,
            expires_at: (n == 1).then_some(FAR),
        }),
        ReviewPlan::Close => ReviewOp::Close { review },
        ReviewPlan::Escalate => ReviewOp::Escalate { review },
    }
}

fn mail(from: RunId, to: usize, n: u64) -> Mail {
    let body = if n == 0 {
        MailBody::Continue
    } else {
        MailBody::Cancel {
            reason: format!("reason {n}"),
        }
    };
    Mail {
        id: mail_id(run(to), n),
        to: run(to),
        root: root(to),
        from,
        body,
    }
}

fn join_op(n: usize, plan: &JoinPlan) -> JoinOp {
    let key = join_key(n);
    match plan {
        JoinPlan::Open {
            notify_at,
            on_failure,
        } => JoinOp::Open {
            key,
            notify_at: *notify_at,
            notify_on_failure: *on_failure,
        },
        JoinPlan::NotifyAt(notify_at) => JoinOp::NotifyAt {
            key,
            notify_at: *notify_at,
        },
        JoinPlan::Closed { index, failed } => JoinOp::ItemClosed {
            key,
            index: *index,
            output: (!failed).then(|| payload(u8::try_from(*index).unwrap()).reference),
            failure: failed.then(|| Failure::fatal("BROKEN", "it broke")),
        },
        JoinPlan::Close => JoinOp::Close { key },
    }
}
