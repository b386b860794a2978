//! A small record, and what becomes of it in the hands of somebody who owns the database.

use fulcrum_audit::{Leaf, NodeHash, Notice, Reached, Signer, Tree, Verifier};
use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::RunId;
use fulcrum_proto::audit::v1::{ReadLogResponse, ReadTimelinesResponse, RecordedEvent};
use uuid::Uuid;

use super::bundle::{self, Writer};
use super::judge::{Judge, Of};
use super::recorded::{Recorded, run_id};
use super::{Finding, judge};
use crate::timeline::chain::ChainFault;
use crate::timeline::kind;

/// 23 November 2026.
const BORN_MS: u128 = 1_795_400_000_000;

/// Two runs of two commits each, and their log.
struct World {
    timelines: Vec<ReadTimelinesResponse>,
    log: Vec<ReadLogResponse>,
    verifier: Verifier,
}

fn run(n: u128) -> Uuid {
    Uuid::from_u128(BORN_MS << 80 | 7 << 76 | 2 << 62 | n)
}

fn number(name: &str) -> u32 {
    let place = kind::KINDS.iter().position(|kind| *kind == name);
    u32::try_from(place.expect("a known kind")).expect("there are few kinds")
}

/// Events of these kinds with bodies of this text, chained as the core does.
fn events(run: Uuid, kinds: &[&str], text: &str) -> Vec<RecordedEvent> {
    let mut head = ChainHash::default();
    let event = |(seq, name): (u64, &&str)| {
        let body = format!("{text} {seq}").into_bytes();
        let kind_number = number(name);
        let kind = u16::try_from(kind_number).expect("small");
        head = head.next(RunId(run), seq, kind, 1, &body);
        RecordedEvent {
            seq,
            kind_number,
            schema: 1,
            body: body.into(),
            hash: head.0.to_vec().into(),
        }
    };
    (1..).zip(kinds).map(event).collect()
}

const KINDS: &[&str] = &["RunStarted", "StepOpened", "StepCompleted", "RunCompleted"];

fn told(run: Uuid, events: Vec<RecordedEvent>) -> ReadTimelinesResponse {
    ReadTimelinesResponse {
        run_id: run_id(run),
        namespace: "acme".to_owned(),
        closed: true,
        events,
        last: true,
        gone: false,
    }
}

fn reached(run: Uuid, event: &RecordedEvent) -> Reached {
    Reached {
        run,
        seq: event.seq,
        chain: event.hash.as_ref().try_into().expect("32 bytes"),
    }
}

/// The log of these leaves, two of them signed together.
fn log(leaves: &[Vec<u8>], signer: &Signer) -> Vec<ReadLogResponse> {
    let mut tree = Tree::default();
    let parts = leaves.chunks(2).map(|leaves| {
        let first_place = tree.size();
        for leaf in leaves {
            tree.append(NodeHash::leaf(leaf));
        }
        let head = fulcrum_audit::Head {
            size: tree.size(),
            root: tree.root(),
        };
        ReadLogResponse {
            first_place,
            leaves: leaves.iter().cloned().map(Into::into).collect(),
            edge: Vec::new(),
            note: signer.sign(&head),
        }
    });
    parts.collect()
}

fn world() -> World {
    let signer = Signer::new("fulcrum/f-07", &Signer::new_key().expect("a key")).expect("usable");
    let timelines: Vec<_> = [run(1), run(2)]
        .map(|run| (run, events(run, KINDS, "body")))
        .into();
    let mut leaves = vec![Leaf::notice(&Notice::Began {
        install: "f-07".to_owned(),
        at_us: i64::try_from(BORN_MS).expect("fits") * 1_000 - 1,
    })];
    for last in [1, 3] {
        let entries: Vec<_> = timelines
            .iter()
            .map(|(run, events)| reached(*run, &events[last]))
            .collect();
        leaves.push(Leaf::commit(entries.into_iter()));
    }
    World {
        log: log(&leaves, &signer),
        timelines: timelines
            .into_iter()
            .map(|(run, events)| told(run, events))
            .collect(),
        verifier: signer.verifier().clone(),
    }
}

impl World {
    fn findings(&self) -> Vec<Finding> {
        self.judged().1
    }

    fn judged(&self) -> (judge::Tally, Vec<Finding>) {
        let mut recorded = Recorded::until(u64::MAX);
        let mut wrong = None;
        for part in &self.log {
            if wrong.is_none() {
                wrong = recorded.add(part, &self.verifier).err();
            }
        }
        let of = if wrong.is_some() {
            Of::PartOfTheLog
        } else {
            Of::Everything
        };
        let mut judge = Judge::new(recorded);
        self.timelines.iter().for_each(|part| judge.add(part));
        wrong.into_iter().for_each(|finding| judge.find(finding));
        judge.verdict(of)
    }
}

#[test]
fn an_untouched_record_holds() {
    let (tally, findings) = world().judged();
    assert_eq!((tally.runs, tally.events, findings), (2, 8, vec![]));
}

#[test]
fn a_changed_event_is_named() {
    let mut world = world();
    world.timelines[0].events[2].body = b"another".to_vec().into();
    let fault = ChainFault::Changed { seq: 3 };
    let run = run_id(run(1));
    assert_eq!(world.findings(), [Finding::Timeline { run, fault }]);
}

#[test]
fn a_timeline_written_anew_holds_by_itself_and_is_named_by_the_log() {
    let mut world = world();
    world.timelines[1].events = events(run(2), KINDS, "a better story");
    let run = run_id(run(2));
    assert_eq!(world.findings(), [Finding::Rewritten { run, seq: 2 }]);
}

#[test]
fn an_end_that_is_missing_is_named() {
    let mut world = world();
    world.timelines[0].events.truncate(2);
    world.timelines[0].closed = false;
    let (run, found, recorded) = (run_id(run(1)), 2, 4);
    assert_eq!(
        world.findings(),
        [Finding::CutOff {
            run,
            found,
            recorded
        }]
    );
}

#[test]
fn a_run_that_is_gone_is_named() {
    let mut world = world();
    world.timelines.remove(0);
    let (run, recorded) = (run_id(run(1)), 4);
    assert_eq!(world.findings(), [Finding::Missing { run, recorded }]);
}

#[test]
fn events_that_were_never_recorded_are_named() {
    let mut world = world();
    let made_up = run(3);
    world
        .timelines
        .push(told(made_up, events(made_up, KINDS, "never")));
    let (run, from, to) = (run_id(made_up), 1, 4);
    assert_eq!(world.findings(), [Finding::Unrecorded { run, from, to }]);
}

#[test]
fn a_run_that_ended_before_the_log_began_is_told_apart() {
    let mut world = world();
    let old = Uuid::from_u128((BORN_MS - 5) << 80 | 1);
    world.timelines.push(told(old, events(old, KINDS, "old")));
    let (tally, findings) = world.judged();
    assert_eq!((tally.before, findings), (1, vec![]));
}

#[test]
fn an_entry_that_was_changed_taken_out_or_put_in_is_named() {
    let spoil: [fn(&mut World); 3] = [
        |world| world.log[1].leaves[0] = Leaf::commit([].into_iter()).into(),
        |world| drop(world.log[1].leaves.pop()),
        |world| {
            world.log[1]
                .leaves
                .push(Leaf::commit([].into_iter()).into())
        },
    ];
    for spoil in spoil {
        let mut world = world();
        spoil(&mut world);
        let findings = world.findings();
        assert!(
            matches!(findings[..], [Finding::Entries { from: 2, .. }]),
            "{findings:?}"
        );
    }
    let mut world = world();
    world.log.remove(0);
    let expected = Finding::Entries { from: 0, to: 2 };
    assert_eq!(
        world.findings(),
        [expected],
        "an edge must come with a later place"
    );
}

#[test]
fn a_log_that_somebody_else_signed_is_not_believed() {
    let mut ours = world();
    let theirs = world();
    ours.log = theirs.log;
    assert!(matches!(
        ours.findings()[..],
        [Finding::Entries { from: 0, .. }]
    ));
}

#[test]
fn a_day_that_left_is_held_against_the_log() {
    for (root_of, holds) in [(KINDS, true), (&KINDS[..2], false)] {
        let signer =
            Signer::new("fulcrum/f-07", &Signer::new_key().expect("a key")).expect("usable");
        let last = |kinds: &[&str]| events(run(1), kinds, "body").pop().expect("an event");
        let root = <sha2::Sha256 as sha2::Digest>::digest(&last(root_of).hash);
        let leaves = [
            Leaf::commit([reached(run(1), &last(KINDS))].into_iter()),
            Leaf::notice(&Notice::DayLeft {
                day: "2026-11-23".to_owned(),
                runs: 1,
                root: hex::encode(root),
            }),
        ];
        let world = World {
            timelines: Vec::new(),
            log: log(&leaves, &signer),
            verifier: signer.verifier().clone(),
        };
        let day = "2026-11-23".to_owned();
        let expected = if holds {
            vec![]
        } else {
            vec![Finding::Day { day }]
        };
        assert_eq!(world.findings(), expected);
    }
}

#[test]
fn a_file_says_the_same_and_is_missed_if_it_is_cut_off() {
    let world = world();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("record.jsonl");
    let mut writer =
        Writer::begin(&path, &world.verifier, 3, jiff::Timestamp::UNIX_EPOCH).expect("begins");
    world
        .timelines
        .iter()
        .for_each(|part| writer.timeline(part).expect("writes"));
    assert!(!path.exists(), "half a file has no name");
    world
        .log
        .iter()
        .for_each(|part| writer.log(part).expect("writes"));
    writer.end().expect("ends");
    let checked = bundle::check(&path, Some(&world.verifier)).expect("is read");
    assert_eq!(
        (checked.tally.events, checked.size, checked.findings),
        (8, 3, vec![])
    );

    let other = self::world().verifier;
    assert!(
        bundle::check(&path, Some(&other)).is_err(),
        "another key was asked for"
    );
    let text = std::fs::read_to_string(&path).expect("reads");
    for cut in [text.len() - 3, text.len() - 20] {
        std::fs::write(&path, &text[..cut]).expect("writes");
        let checked = bundle::check(&path, None).expect("is read");
        assert!(
            checked.findings.contains(&Finding::NoEnd),
            "{:?}",
            checked.findings
        );
    }
    std::fs::write(&path, text.replacen("Ym9keSAz", "Ym9keSA0", 1)).expect("writes");
    let checked = bundle::check(&path, None).expect("is read");
    assert!(
        matches!(checked.findings[..], [Finding::Timeline { .. }]),
        "{:?}",
        checked.findings
    );
}
