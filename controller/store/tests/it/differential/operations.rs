//! Random operations, in small numbers so that they meet.

use fulcrum_core::task::TaskState;
use proptest::prelude::*;

/// Runs of the world: 0 to 2 are roots, the others children of run 0.
pub(super) const RUNS: usize = 6;

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Flush(Vec<CommitPlan>),
    Claim {
        requests: Vec<ClaimPlan>,
        expired: bool,
    },
    /// Grants by number, of which some may be long over; `None` is made up.
    Heartbeat(Vec<Option<usize>>),
    /// Grants by number; what rests does so longer than the test takes.
    GiveBack {
        grants: Vec<Option<usize>>,
        rests: bool,
    },
    DiscardMail(Vec<(usize, u64)>),
    DiscardTimers(Vec<(usize, usize)>),
}

#[derive(Debug, Clone)]
pub(super) struct CommitPlan {
    pub(super) run: usize,
    pub(super) stale: bool,
    pub(super) events: u64,
    pub(super) snapshot: bool,
    pub(super) close: bool,
    pub(super) key: Option<u8>,
    pub(super) requests: Vec<u8>,
    pub(super) fences: Vec<FencePlan>,
    pub(super) tasks: Vec<(usize, TaskPlan)>,
    pub(super) timers: Vec<(usize, TimerPlan)>,
    pub(super) mail: Vec<(usize, u64)>,
    pub(super) consumed: Vec<u64>,
    pub(super) joins: Vec<(usize, JoinPlan)>,
    pub(super) reviews: Vec<(usize, ReviewPlan)>,
    pub(super) payloads: Vec<u8>,
    pub(super) blobs: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) enum FencePlan {
    /// The newest grant of this run's task, if there is one.
    Newest {
        task: usize,
        by_holder: bool,
        state: TaskState,
    },
    /// A grant by number, whatever it is of.
    Some { grant: usize },
}

#[derive(Debug, Clone)]
pub(super) struct ClaimPlan {
    pub(super) worker: u128,
    pub(super) capabilities: Vec<usize>,
    pub(super) slots: u32,
}

#[derive(Debug, Clone)]
pub(super) enum TaskPlan {
    Create {
        capability: usize,
        priority: i16,
        age: i64,
        limit: Limit,
        close: Limit,
        /// The worker that it is handed to.
        hand: Option<u128>,
    },
    Release {
        age: i64,
        attempt: u32,
        crashes: u16,
    },
    Park,
    Resume,
    Remove,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    None,
    Nothing,
    Ages,
}

#[derive(Debug, Clone)]
pub(super) enum TimerPlan {
    Past(i64),
    Future,
    Clear,
}

#[derive(Debug, Clone)]
pub(super) enum JoinPlan {
    Open { notify_at: u32, on_failure: bool },
    NotifyAt(u32),
    Closed { index: u32, failed: bool },
    Close,
}

#[derive(Debug, Clone)]
pub(super) enum ReviewPlan {
    Open,
    Close,
    Escalate,
}

/// A few of these.
fn some<T: std::fmt::Debug>(
    of: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![3 => Just(0_usize), 3 => Just(1), 1 => 2..4_usize].prop_flat_map({
        let of = of.boxed();
        move |count| prop::collection::vec(of.clone(), count)
    })
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![Just(Limit::None), Just(Limit::Nothing), Just(Limit::Ages)]
}

fn task() -> impl Strategy<Value = TaskPlan> {
    prop_oneof![
        4 => (0..3_usize, 0..3_i16, -2..4_i64, limit(), limit(), prop::option::of(0..3_u128))
            .prop_map(|(capability, priority, age, limit, close, hand)| {
                TaskPlan::Create { capability, priority, age, limit, close, hand }
            }),
        2 => (-1..4_i64, 1..4_u32, 0..3_u16).prop_map(|(age, attempt, crashes)| TaskPlan::Release { age, attempt, crashes }),
        1 => Just(TaskPlan::Park),
        1 => Just(TaskPlan::Resume),
        1 => Just(TaskPlan::Remove),
    ]
}

fn join() -> impl Strategy<Value = JoinPlan> {
    prop_oneof![
        3 => (1..4_u32, any::<bool>()).prop_map(|(notify_at, on_failure)| JoinPlan::Open { notify_at, on_failure }),
        1 => (1..5_u32).prop_map(JoinPlan::NotifyAt),
        4 => (0..5_u32, any::<bool>()).prop_map(|(index, failed)| JoinPlan::Closed { index, failed }),
        1 => Just(JoinPlan::Close),
    ]
}

fn fence() -> impl Strategy<Value = FencePlan> {
    let state = prop_oneof![
        Just(TaskState::Leased),
        Just(TaskState::Ready),
        Just(TaskState::Parked)
    ];
    prop_oneof![
        4 => (0..3_usize, any::<bool>(), state)
            .prop_map(|(task, by_holder, state)| FencePlan::Newest { task, by_holder, state }),
        1 => (0..20_usize).prop_map(|grant| FencePlan::Some { grant }),
    ]
}

fn commit() -> impl Strategy<Value = CommitPlan> {
    let timer = prop_oneof![
        (0..9_i64).prop_map(TimerPlan::Past),
        Just(TimerPlan::Future),
        Just(TimerPlan::Clear)
    ];
    let review = prop_oneof![2 => Just(ReviewPlan::Open), 1 => Just(ReviewPlan::Close), 1 => Just(ReviewPlan::Escalate)];
    let row = (
        0..RUNS,
        prop::bool::weighted(0.1),
        0..3_u64,
        any::<bool>(),
        prop::bool::weighted(0.1),
    );
    let names = (prop::option::weighted(0.2, 0..2_u8), some(0..4_u8));
    let work = (
        some(fence()),
        some((0..3_usize, task())),
        some((0..2_usize, timer)),
    );
    let talk = (
        some((0..RUNS, 0..3_u64)),
        some(0..3_u64),
        some((0..3_usize, join())),
    );
    let rest = (some((0..2_usize, review)), some(0..5_u8), some(0..3_u8));
    (row, names, work, talk, rest).prop_map(|(row, names, work, talk, rest)| {
        let ((run, stale, events, snapshot, close), (key, requests), (fences, tasks, timers)) =
            (row, names, work);
        let ((mail, consumed, joins), (reviews, payloads, blobs)) = (talk, rest);
        CommitPlan {
            run,
            stale,
            events,
            snapshot,
            close,
            key,
            requests,
            fences,
            tasks,
            timers,
            mail,
            consumed,
            joins,
            reviews,
            payloads,
            blobs,
        }
    })
}

/// A commit of what one call writes: runs of a family that talk.
fn talker() -> impl Strategy<Value = CommitPlan> {
    commit().prop_map(|mut plan| {
        plan.fences.clear();
        plan.tasks.clear();
        plan.timers.clear();
        plan.reviews.clear();
        if plan.consumed.is_empty() {
            plan.consumed.push(0);
        }
        plan
    })
}

fn claim() -> impl Strategy<Value = ClaimPlan> {
    (0..3_u128, prop::collection::vec(0..3_usize, 0..4), 0..4_u32).prop_map(
        |(worker, capabilities, slots)| ClaimPlan {
            worker,
            capabilities,
            slots,
        },
    )
}

/// One random operation.
pub(super) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => prop::collection::vec(commit(), 1..5).prop_map(Operation::Flush),
        6 => prop::collection::vec(talker(), 1..5).prop_map(Operation::Flush),
        3 => (prop::collection::vec(claim(), 1..4), any::<bool>())
            .prop_map(|(requests, expired)| Operation::Claim { requests, expired }),
        2 => prop::collection::vec(prop::option::weighted(0.9, 0..20_usize), 1..5).prop_map(Operation::Heartbeat),
        1 => (prop::collection::vec(prop::option::weighted(0.9, 0..20_usize), 1..3), any::<bool>())
            .prop_map(|(grants, rests)| Operation::GiveBack { grants, rests }),
        1 => some((0..RUNS, 0..3_u64)).prop_map(Operation::DiscardMail),
        1 => some((0..RUNS, 0..2_usize)).prop_map(Operation::DiscardTimers),
    ]
}
