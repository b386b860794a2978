//! From the small numbers of a plan to ids, ops and instants.

use fulcrum_core::decide::command::{Mail, MailBody, TimerPurpose};
use fulcrum_core::failure::Failure;
use fulcrum_core::ids::{MailId, ReviewId, RunId, Shard, TaskId, TimerId};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{
    ClaimRequest, JoinKey, JoinOp, RequestRecord, ReviewOp, ReviewRow, TimerOp,
};
use fulcrum_core::task::TaskOp;
use fulcrum_core::time::{Millis, Timestamp};

use super::operations::{ClaimPlan, JoinPlan, Limit, ReviewPlan, TaskPlan, TimerPlan};
use crate::sample::{BORN, NAMESPACE, payload, step, task, worker};

pub(super) const CAPABILITIES: [&str; 3] = ["crm.read", "mail.send", "text.render"];
pub(super) const STEPS: [&str; 3] = ["a", "b", "c"];
pub(super) const FAR: Timestamp = Timestamp::from_millis(4_000_000_000_000);

pub(super) fn run(n: usize) -> RunId {
    match n {
        0..3 => RunId::new(BORN, Shard(5), u64::try_from(n).unwrap()),
        _ => RunId::child(run(0), "items~1", u32::try_from(n).unwrap()),
    }
}

pub(super) fn root(n: usize) -> RunId {
    if n < 3 { run(n) } else { run(0) }
}

pub(super) fn task_id(of: RunId, n: usize) -> TaskId {
    TaskId::of_step(of, &step(STEPS[n]).to_string())
}

pub(super) fn timer_id(of: RunId, n: usize) -> TimerId {
    TimerId::of_step(of, STEPS[n], "wake")
}

pub(super) fn mail_id(to: RunId, n: u64) -> MailId {
    MailId::of(to, "test", n)
}

pub(super) fn request_key(n: u8) -> RequestKey {
    RequestKey {
        shard: Shard(5),
        id: format!("request-{n}"),
    }
}

pub(super) fn join_key(n: usize) -> JoinKey {
    JoinKey {
        run: run(0),
        root: run(0),
        step: step(STEPS[n]),
    }
}

pub(super) fn request(n: u8, run: RunId) -> RequestRecord {
    RequestRecord {
        namespace: NAMESPACE,
        key: request_key(n),
        digest: [n; 32],
        run,
        answer: vec![n],
    }
}

pub(super) fn claim_request(plan: &ClaimPlan) -> ClaimRequest {
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
pub(super) fn aged(age: i64) -> Timestamp {
    if age < 0 {
        FAR
    } else {
        Timestamp::from_millis(1_000_000_000_000 - age * 1_000)
    }
}

pub(super) fn span(limit: Limit) -> Option<Millis> {
    match limit {
        Limit::None => None,
        Limit::Nothing => Some(Millis(0)),
        Limit::Ages => Some(Millis(100 * 365 * 86_400_000)),
    }
}

pub(super) fn task_op(of: RunId, n: usize, plan: &TaskPlan) -> TaskOp {
    let id = task_id(of, n);
    match plan {
        TaskPlan::Create {
            capability,
            priority,
            age,
            limit,
            close,
            hand: _,
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

pub(super) fn timer_op(of: RunId, n: usize, plan: &TimerPlan) -> TimerOp {
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

pub(super) fn review_op(of: RunId, n: usize, plan: &ReviewPlan) -> ReviewOp {
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

pub(super) fn mail(from: RunId, to: usize, n: u64) -> Mail {
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

pub(super) fn join_op(n: usize, plan: &JoinPlan) -> JoinOp {
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
