mod random;

use bytes::Bytes;

use super::*;

const BEAT: Duration = Duration::from_secs(10);

fn machine(slots: u32) -> (LeaseMachine, PollId) {
    let mut machine = LeaseMachine::new(Settings {
        slots,
        poll_slots_max: 100,
        beat_interval: BEAT,
        first_beat: BEAT,
    });
    let actions = machine.handle(Duration::ZERO, Input::Tick);
    let [Action::Poll { poll, slots: asked }] = actions[..] else {
        panic!("the first tick asks for work, got {actions:?}");
    };
    assert_eq!(asked, slots);
    (machine, poll)
}

fn lease(name: &str) -> LeaseToken {
    LeaseToken(Bytes::copy_from_slice(name.as_bytes()))
}

fn grant(name: &str, task: &str, seq: u64) -> Grant {
    Grant {
        lease: lease(name),
        task: TaskId(task.into()),
        seq,
    }
}

fn answer(machine: &mut LeaseMachine, poll: PollId, grants: Vec<Grant>) -> Vec<Action> {
    machine.handle(Duration::ZERO, Input::PollAnswered { poll, grants })
}

#[test]
fn free_slots_are_asked_for_once_and_never_more() {
    let (mut machine, poll) = machine(3);
    let actions = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    assert!(
        matches!(&actions[..], [Action::Start(started), Action::Poll { slots: 2, .. }] if *started == lease("a"))
    );
    assert_eq!(machine.handle(Duration::ZERO, Input::Tick), vec![]);
}

#[test]
fn a_grant_delivered_twice_is_started_once() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let again = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    assert_eq!(again, vec![]);
}

#[test]
fn a_newer_grant_of_the_same_task_stops_the_older_work() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let actions = answer(&mut machine, poll, vec![grant("b", "t1", 2)]);
    assert_eq!(
        actions,
        vec![Action::Stop(lease("a")), Action::Start(lease("b"))]
    );
    let late = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    assert_eq!(late, vec![]);
}

#[test]
fn a_lost_lease_stops_the_work_and_frees_its_slot() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let lost = Input::BeatAnswered(vec![(lease("a"), Standing::Lost)]);
    let actions = machine.handle(BEAT, lost);
    assert!(
        matches!(&actions[..], [Action::Stop(stopped), Action::Poll { slots: 1, .. }] if *stopped == lease("a"))
    );
    let late = machine.handle(BEAT, Input::Finished(lease("a")));
    assert_eq!(late, vec![], "what was lost is not reported");
}

#[test]
fn a_failed_beat_stops_nothing_and_is_tried_again_soon() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let beat = vec![Action::Beat(vec![lease("a")])];
    assert_eq!(machine.handle(BEAT, Input::Tick), beat);
    let failed = |retry_after| Input::BeatFailed { retry_after };
    assert_eq!(machine.handle(BEAT, failed(Duration::ZERO)), vec![]);
    assert_eq!(machine.next_tick(), BEAT + BEAT / 4);
    let now = machine.next_tick();
    assert_eq!(machine.handle(now, Input::Tick), beat);
    machine.handle(now, failed(BEAT / 2));
    assert_eq!(machine.next_tick(), now + BEAT / 2, "a wish is heard");
    machine.handle(now, failed(BEAT * 60));
    assert_eq!(machine.next_tick(), now + BEAT, "within reason");
}

#[test]
fn a_grant_delivered_again_after_its_end_is_not_begun_again() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    machine.handle(BEAT, Input::Finished(lease("a")));
    let answered = Input::ReportsAnswered {
        settled: vec![lease("a")],
        grants: vec![grant("a", "t1", 1)],
    };
    let actions = machine.handle(BEAT, answered);
    assert!(
        matches!(&actions[..], [Action::Poll { .. }]),
        "only a poll, got {actions:?}"
    );
}

#[test]
fn a_lost_lease_delivered_late_is_not_begun_again_but_a_new_grant_is() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let lost = Input::BeatAnswered(vec![(lease("a"), Standing::Lost)]);
    machine.handle(BEAT, lost);
    assert_eq!(
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]),
        vec![]
    );
    assert_eq!(
        answer(&mut machine, poll, vec![grant("b", "t1", 2)]),
        vec![Action::Start(lease("b"))]
    );
}

#[test]
fn a_lease_is_renewed_until_its_report_is_answered() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let report = machine.handle(BEAT, Input::Finished(lease("a")));
    assert_eq!(report, vec![Action::Report(lease("a"))]);
    let beat = machine.handle(BEAT, Input::Tick);
    assert_eq!(beat, vec![Action::Beat(vec![lease("a")])]);
    let answered = Input::ReportsAnswered {
        settled: vec![lease("a")],
        grants: vec![grant("b", "t2", 1)],
    };
    let actions = machine.handle(BEAT, answered);
    assert_eq!(actions, vec![Action::Start(lease("b"))]);
}

#[test]
fn a_lease_lost_while_reporting_waits_for_the_reports_answer() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    machine.handle(BEAT, Input::Finished(lease("a")));
    let lost = Input::BeatAnswered(vec![(lease("a"), Standing::Lost)]);
    assert_eq!(machine.handle(BEAT, lost), vec![]);
    assert_eq!(machine.held(), 1);
    assert_eq!(machine.handle(BEAT * 2, Input::Tick), vec![]);
}

#[test]
fn cancellation_is_asked_once_and_its_outcome_reported() {
    let (mut machine, poll) = machine(1);
    answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let cancel = Input::BeatAnswered(vec![(lease("a"), Standing::CancelRequested)]);
    let first = machine.handle(BEAT, cancel.clone());
    assert_eq!(first, vec![Action::Cancel(lease("a"))]);
    assert_eq!(machine.handle(BEAT, cancel), vec![]);
    let report = machine.handle(BEAT, Input::Finished(lease("a")));
    assert_eq!(report, vec![Action::Report(lease("a"))]);
}

#[test]
fn a_drain_takes_no_work_and_ends_when_all_is_reported() {
    let (mut machine, poll) = machine(2);
    let actions = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
    let Some(Action::Poll { poll, .. }) = actions.last().cloned() else {
        panic!("the free slot is asked for, got {actions:?}");
    };
    assert_eq!(machine.handle(BEAT, Input::Drain), vec![]);
    assert_eq!(machine.next_slots(1), 0);
    assert_eq!(answer(&mut machine, poll, vec![]), vec![]);
    machine.handle(BEAT, Input::Finished(lease("a")));
    let settled = vec![lease("a")];
    let grants = vec![];
    let actions = machine.handle(BEAT, Input::ReportsAnswered { settled, grants });
    assert_eq!(actions, vec![Action::Drained]);
}
