//! Findings by themselves.

use fulcrum_store::examine::{
    ControllerState, DayState, PoolState, QueueState, ServerState, VersionState, WorkerCount,
    XminHolder,
};
use fulcrum_store::upkeep::{Alarm, AlarmKind};
use fulcrum_store::versions::FeatureLevel;
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn healthy() -> Examination {
    let pool = |name| PoolState {
        name,
        open: 2,
        idle: 1,
        max: 4,
    };
    Examination {
        server: ServerState {
            version: "15.18".to_owned(),
            fsync: true,
            synchronous_commit: true,
            full_page_writes: true,
            autovacuum: true,
            connections: 12,
            connections_max: 100,
            now: NOW,
        },
        queue: QueueState {
            ready: 0,
            oldest_ready: None,
            leased: 3,
            overdue: 0,
            timers_late: 0,
            mail_late: 0,
        },
        xmin: None,
        tables: vec![TableState {
            name: "tasks".to_owned(),
            bytes: 1 << 20,
            live: 10,
            dead: 900,
        }],
        days: DayState {
            runway: 15,
            past: 90,
            half_gone: 0,
            oldest_age_days: 90,
        },
        versions: VersionState {
            level: FeatureLevel(1),
            schema: 11,
            readable_from: 1,
        },
        controllers: vec![controller("0.1.0", 1)],
        workers: WorkerCount {
            registered: 2,
            alive: 1,
        },
        alarms: Vec::new(),
        pools: ["control", "commit", "request", "report"].map(pool),
    }
}

fn controller(build: &str, level_max: i32) -> ControllerState {
    ControllerState {
        id: Uuid::nil(),
        build: build.to_owned(),
        schema: 11,
        level_max: FeatureLevel(level_max),
        silent: Millis(5_000),
    }
}

fn not_ok(seen: &Examination, wall: Timestamp) -> Vec<(&'static str, Verdict)> {
    judge(seen, wall, 90, &BTreeMap::new())
        .into_iter()
        .filter(|finding| finding.verdict != Verdict::Ok)
        .map(|finding| {
            assert!(
                !finding.advice.is_empty(),
                "{} says what to do",
                finding.check
            );
            (finding.check, finding.verdict)
        })
        .collect()
}

#[test]
fn a_healthy_installation_needs_nothing() {
    assert_eq!(not_ok(&healthy(), NOW.plus(Millis(900))), []);
}

#[test]
fn each_thing_that_is_wrong_is_told() {
    let mut sick = healthy();
    sick.server.fsync = false;
    sick.server.autovacuum = false;
    sick.queue.ready = 7;
    sick.queue.oldest_ready = Some(Millis(2 * MINUTE));
    sick.queue.timers_late = 1;
    sick.xmin = Some(XminHolder {
        holder: "replication slot old".to_owned(),
        age: 90_000_000,
        held: None,
    });
    sick.tables[0].dead = 5_000_000;
    sick.days.runway = 2;
    sick.days.half_gone = 1;
    sick.controllers.push(controller("0.2.0", 2));
    sick.workers.alive = 0;
    sick.pools[2].open = 4;
    sick.pools[2].idle = 0;
    sick.alarms.push(Alarm {
        at: NOW,
        kind: AlarmKind::Failover,
        detail: "failed over".to_owned(),
    });
    use Verdict::{Bad, Warn};
    assert_eq!(
        not_ok(&sick, NOW.plus(Millis(10 * SECOND))),
        [
            ("settings.fsync", Bad),
            ("settings.autovacuum", Bad),
            ("queue.age", Warn),
            ("queue.overdue", Warn),
            ("vacuum.xmin", Bad),
            ("vacuum.dead_rows", Bad),
            ("clock.controller", Warn),
            ("partitions.runway", Bad),
            ("partitions.retention", Warn),
            ("versions", Warn),
            ("workers", Bad),
            ("connections.pools", Warn),
            ("alarms", Bad),
        ]
    );
}

#[test]
fn a_level_that_everybody_knows_waits_to_be_raised() {
    let mut upgraded = healthy();
    upgraded.controllers = vec![controller("0.2.0", 2)];
    assert_eq!(not_ok(&upgraded, NOW), [("versions", Verdict::Warn)]);
    // A build that is gone does not count.
    upgraded.controllers.push(controller("0.1.0", 1));
    upgraded.controllers[1].silent = Millis(2 * MINUTE);
    assert_eq!(not_ok(&upgraded, NOW), [("versions", Verdict::Warn)]);
}
