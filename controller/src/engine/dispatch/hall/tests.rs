//! The hall by itself, on paused time.

use fulcrum_core::event::StepKey;
use fulcrum_core::ids::{RunId, Shard, TaskId};
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::GrantedTask;
use fulcrum_core::task::Lease;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::engine::dispatch::guest::CREDIT_MAX;
use crate::engine::dispatch::poll::{Answer, Wish};
use crate::engine::dispatch::seat::ReportSeat;

const NAMESPACE: NamespaceId = NamespaceId(Uuid::from_u128(0xA));

fn worker(n: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(n))
}

fn poll(n: u128, slots: u32) -> (Poll, oneshot::Receiver<Vec<Parcel>>) {
    let (reply, answer) = oneshot::channel();
    let poll = Poll {
        wish: wish(n, slots, format!("call-{n}")),
        answer: Answer::AtOnce(reply),
    };
    (poll, answer)
}

fn wish(n: u128, slots: u32, call_id: String) -> Wish {
    Wish {
        worker: worker(n),
        namespace: NAMESPACE,
        capabilities: vec!["a".to_owned()],
        slots,
        call_id,
        deadline: Instant::now() + Duration::from_secs(50),
    }
}

fn parcel(n: u128, task: u64) -> Parcel {
    let run = RunId::new(Timestamp::from_millis(1), Shard(0), task);
    let step = StepKey::first("a");
    let task = GrantedTask {
        lease: Lease {
            task: TaskId::of_step(run, &step.to_string()),
            seq: 1,
            nonce: Uuid::from_u128(7),
        },
        worker: worker(n),
        deadline: Timestamp::from_millis(60_000),
        granted_at: Timestamp::from_millis(1),
        ready_at: Timestamp::from_millis(1),
        namespace: NAMESPACE,
        run,
        root: run,
        step,
        capability: "a".to_owned(),
        contract: None,
        input: PayloadRef {
            id: fulcrum_core::ids::PayloadId(Uuid::from_u128(u128::from(task))),
            hash: [0; 32],
            bytes: 2,
        },
        attempt: 1,
        close_by: None,
        trace: None,
    };
    Parcel { task, input: None }
}

/// A call that hands in as many reports.
fn reports(hall: &Hall, n: u128, slots: u32) -> ReportSeat {
    ReportSeat::take(hall, wish(n, slots, format!("reports-{n}"))).unwrap()
}

const LEASE: Millis = Millis::from_secs(30);
const ANSWER_BYTES_MAX: u64 = 8 << 20;

fn hall() -> Hall {
    Hall::new(LEASE, ANSWER_BYTES_MAX)
}

/// A hall whose line is known to be empty.
fn open_hall() -> Hall {
    let hall = hall();
    let (first, answer) = poll(99, 1);
    hall.park(first).unwrap();
    let claim = hall.claim(Look::Pending).expect("nobody has looked yet");
    hall.claimed(&claim, Some(Vec::new()));
    drop(answer);
    hall.sweep(Instant::now());
    hall
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_off_before_a_claim_has_seen_the_end_of_the_line() {
    let hall = hall();
    let (call, _answer) = poll(1, 2);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), None);
    let claim = hall.claim(Look::Pending).unwrap();
    assert_eq!(claim.requests[0].slots, 2);
    hall.claimed(&claim, Some(Vec::new()));
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_filled_every_slot_leaves_the_line_pending() {
    let hall = hall();
    let (call, answer) = poll(1, 2);
    hall.park(call).unwrap();
    let claim = hall.claim(Look::Pending).unwrap();
    hall.claimed(&claim, Some(vec![parcel(1, 1), parcel(1, 2)]));
    assert_eq!(answer.await.unwrap().len(), 2);
    let (call, _answer) = poll(1, 2);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_taken_once_and_comes_back_if_the_commit_fails() {
    let hall = open_hall();
    let (call, _answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    assert_eq!(hall.take(NAMESPACE, "a"), None);
    hall.put_back(worker(1));
    // It left its line when it had nothing to give; its next call brings it back.
    let (call, _second) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
}

#[tokio::test(start_paused = true)]
async fn workers_take_turns() {
    let hall = open_hall();
    let (one, _first) = poll(1, 5);
    let (two, _second) = poll(2, 5);
    hall.park(one).unwrap();
    hall.park(two).unwrap();
    let turns: Vec<_> = (0..4).filter_map(|_| hall.take(NAMESPACE, "a")).collect();
    assert_eq!(turns, [worker(1), worker(2), worker(1), worker(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_call_has_gone_goes_to_the_next_call() {
    let hall = open_hall();
    let (call, answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    drop(answer);
    hall.hand(vec![parcel(1, 1)]);
    let (next, answer) = poll(1, 1);
    hall.park(next).unwrap();
    assert_eq!(answer.await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_fetches_is_given_back() {
    let hall = open_hall();
    let (call, answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    drop(answer);
    hall.hand(vec![parcel(1, 1)]);
    assert!(hall.sweep(Instant::now()).1.is_empty());
    tokio::time::advance(UNDELIVERED_MAX).await;
    let (_, stale) = hall.sweep(Instant::now());
    assert_eq!(stale.len(), 1);
    assert_eq!(stale[0].worker, worker(1));
}

#[tokio::test(start_paused = true)]
async fn a_grant_waits_for_a_call_only_as_long_as_its_lease_can_bear() {
    let hall = Hall::new(Millis(3_000), ANSWER_BYTES_MAX);
    hall.hand(vec![parcel(1, 1)]);
    let (next, stale) = hall.sweep(Instant::now());
    assert!(stale.is_empty());
    assert_eq!(next, Some(Instant::now() + Duration::from_millis(600)));
    tokio::time::advance(Duration::from_millis(600)).await;
    assert_eq!(hall.sweep(Instant::now()).1.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_has_no_room_for_comes_with_the_next_one() {
    let hall = Hall::new(LEASE, 8);
    let (call, answer) = poll(1, 16);
    hall.park(call).unwrap();
    // Two bytes each, and six are for inputs.
    hall.hand((1..=5).map(|task| parcel(1, task)).collect());
    assert_eq!(answer.await.unwrap().len(), 3);
    let (call, answer) = poll(1, 13);
    hall.park(call).unwrap();
    assert_eq!(answer.await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_call_gets_the_same_grants() {
    let hall = open_hall();
    let (call, answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    hall.hand(vec![parcel(1, 1)]);
    let first = answer.await.unwrap();
    let again = hall
        .repeated(worker(1), "call-1", Timestamp::from_millis(2))
        .expect("the call is remembered");
    assert_eq!(again[0].task, first[0].task);
}

#[tokio::test(start_paused = true)]
async fn a_task_left_during_a_claim_is_looked_for_by_the_next_and_blocks_no_hand_off() {
    let hall = hall();
    let (call, _answer) = poll(1, 4);
    hall.park(call).unwrap();
    let claim = hall.claim(Look::Pending).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), None);
    hall.leave(NAMESPACE, "a");
    hall.claimed(&claim, Some(Vec::new()));
    let (again, _second) = poll(1, 4);
    hall.park(again).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    assert!(hall.claim(Look::Pending).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_becomes_ready_later_opens_a_claim_at_its_instant() {
    let hall = open_hall();
    let (call, _answer) = poll(1, 1);
    hall.park(call).unwrap();
    hall.expect(NAMESPACE, Timestamp::from_millis(500));
    assert_eq!(
        hall.turn_due(Timestamp::from_millis(499)),
        Some(Timestamp::from_millis(500))
    );
    assert!(hall.claim(Look::Pending).is_none());
    assert_eq!(hall.turn_due(Timestamp::from_millis(500)), None);
    assert!(hall.claim(Look::Pending).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_closed_hall_answers_everybody_and_takes_nobody() {
    let hall = open_hall();
    let (call, answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert!(hall.close().is_empty());
    assert!(answer.await.unwrap().is_empty());
    let (late, _answer) = poll(2, 1);
    assert_eq!(hall.park(late), Err(Turned::Closed));
}

#[tokio::test(start_paused = true)]
async fn slots_that_an_answered_call_had_left_count_until_the_next_call_or_a_moment() {
    let hall = open_hall();
    let (call, answer) = poll(1, 3);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    hall.hand(vec![parcel(1, 1)]);
    assert_eq!(answer.await.unwrap().len(), 1);
    // Two are left, and one of them is used before the worker calls again.
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    hall.hand(vec![parcel(1, 2)]);
    let (next, answer) = poll(1, 2);
    hall.park(next).unwrap();
    assert_eq!(answer.await.unwrap().len(), 1);
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    assert_eq!(hall.take(NAMESPACE, "a"), None);
    hall.put_back(worker(1));
    tokio::time::advance(CREDIT_MAX).await;
    let (other, _answer) = poll(2, 1);
    hall.park(other).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(2)));
    assert_eq!(hall.take(NAMESPACE, "a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_reports_takes_along_all_that_came_while_it_lasted() {
    let hall = open_hall();
    let seat = reports(&hall, 1, 3);
    for task in 0..2 {
        assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
        hall.hand(vec![parcel(1, task)]);
    }
    assert_eq!(seat.leave().len(), 2);
    let again = hall.repeated(worker(1), "reports-1", Timestamp::from_millis(1));
    assert_eq!(again.map(|parcels| parcels.len()), Some(2));
    // The third slot is the worker's to offer again, and counts until then.
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    assert_eq!(hall.take(NAMESPACE, "a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_lease_call_goes_before_a_call_with_reports() {
    let hall = open_hall();
    let seat = reports(&hall, 1, 1);
    let (call, answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    hall.hand(vec![parcel(1, 1)]);
    assert_eq!(answer.await.unwrap().len(), 1);
    assert!(seat.leave().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_with_reports_that_is_given_up_leaves_its_tasks_to_the_next() {
    let hall = open_hall();
    let seat = reports(&hall, 1, 1);
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    hall.hand(vec![parcel(1, 1)]);
    drop(seat);
    let (call, answer) = poll(1, 1);
    hall.park(call).unwrap();
    assert_eq!(answer.await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_for_a_few_tasks_leaves_the_other_slots_to_hand_offs() {
    let hall = open_hall();
    let (call, _answer) = poll(1, 10);
    hall.park(call).unwrap();
    hall.leave(NAMESPACE, "a");
    let claim = hall.claim(Look::Pending).unwrap();
    assert_eq!(claim.requests[0].slots, 2);
    hall.claimed(&claim, Some(vec![parcel(1, 1)]));
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    assert!(hall.claim(Look::Pending).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_line_in_which_others_saw_a_task_is_claimed_for_and_still_hands_off() {
    let hall = open_hall();
    let (call, _answer) = poll(1, 4);
    hall.park(call).unwrap();
    let lines = hall.lines(9);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(hall.claim(Look::Pending).is_none());
    hall.look(&lines);
    let claim = hall.claim(Look::Pending).expect("somebody saw a task");
    assert_eq!(hall.take(NAMESPACE, "a"), Some(worker(1)));
    hall.claimed(&claim, Some(Vec::new()));
    assert!(hall.claim(Look::Pending).is_none(), "it was gone already");
}

#[test]
fn a_repeated_call_gets_everything_that_it_was_ever_granted() {
    let recent = RecentGrants::default();
    let now = Timestamp::from_millis(2);
    let tasks = |granted: Option<Vec<Parcel>>| -> Vec<TaskId> {
        let granted = granted.unwrap_or_default();
        granted
            .iter()
            .map(|parcel| parcel.task.lease.task)
            .collect()
    };
    let [first, second, third] = [1, 2, 3].map(|task| parcel(1, task));
    let id = |parcel: &Parcel| parcel.task.lease.task;
    recent.remember(worker(1), "report", std::slice::from_ref(&first));
    recent.remember(worker(1), "report", std::slice::from_ref(&second));
    let both = vec![id(&first), id(&second)];
    assert_eq!(tasks(recent.repeated(worker(1), "report", now)), both);
    // The third never reached anybody.
    recent.remember(worker(1), "report", std::slice::from_ref(&third));
    recent.forget(worker(1), "report", std::slice::from_ref(&third));
    assert_eq!(tasks(recent.repeated(worker(1), "report", now)), both);
    let late = Timestamp::from_millis(60_000);
    assert_eq!(tasks(recent.repeated(worker(1), "report", late)), []);
    assert!(recent.repeated(worker(2), "report", now).is_none());
}
