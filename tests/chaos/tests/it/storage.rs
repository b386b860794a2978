//! Faults of the schema and its partitions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, SHIP};
use fulcrum_chaos::machine::{self, Need};
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::wire::{Verdict, Wire};
use fulcrum_e2e::api;
use fulcrum_e2e::controller::Controller;
use fulcrum_e2e::postgres::{Postgres, Setup};
use fulcrum_e2e::wait;
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_26_the_migrator_is_killed_between_statements() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 26");
    let postgres = Postgres::start()?;
    let wire = Wire::to(postgres.address()).await?;
    let dir = tempfile::tempdir()?;
    let url = postgres.url_at(wire.address());
    let mut controller = Controller::new("migrator", dir.path(), &url, &[])?;
    let mut kills = 0;
    let mut at = 2;
    loop {
        // Dies when it has sent so many messages; the next one finds what it left.
        let (sent, reached) = (AtomicU32::new(0), CancellationToken::new());
        let signal = reached.clone();
        wire.inspect(Arc::new(move |_, _| {
            if sent.fetch_add(1, Ordering::Relaxed) + 1 < at {
                return Verdict::Pass;
            }
            signal.cancel();
            Verdict::Break
        }));
        controller.program.start()?;
        let migrated = async {
            let ready = "select count(*) from pg_tables where tablename = 'installation'";
            while postgres.value(ready).ok().as_deref() != Some("1")
                || controller.readiness().await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::select! {
            () = reached.cancelled() => false,
            () = migrated => true,
        };
        controller.program.kill()?;
        if done {
            break;
        }
        kills += 1;
        let locks = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
                     where l.locktype = 'advisory' and a.application_name = 'fulcrum' and a.state <> 'active'";
        wait::until("no lock is left behind", || async {
            let left = postgres.value(locks)?;
            anyhow::ensure!(left == "0", "{left} are");
            Ok(())
        })
        .await;
        at += scale.pick(9, 1);
        anyhow::ensure!(at < 2_000, "it never ends");
    }
    wire.look_away();
    controller.up().await?;
    eprintln!("fault 26: killed {kills} times, then up");
    assert!(kills > 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_28_partitions_come_and_go_under_load() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 28");
    let field = Field::open(1, 16).await?;
    // Today's partitions are missing: the first write finds out.
    let postgres = &field.stack.postgres;
    postgres.value(
        "do $$ declare day text := to_char(now() at time zone 'UTC', 'YYYYMMDD'); begin \
         execute format('drop table events_p%s, payloads_p%s', day, day); end $$",
    )?;
    let began = Instant::now();
    field.start(SHIP, 5).await?;
    let healed = began.elapsed();
    field.closed(usize::MAX).await;
    let mut slowest = Duration::ZERO;
    for n in 0..scale.pick(6, 60) {
        let day = 30 + n;
        postgres.value(&format!(
            "select fulcrum_make_day((now() + interval '{day} days')::date)"
        ))?;
        let began = Instant::now();
        field.start(SHIP, 10).await?;
        slowest = slowest.max(began.elapsed());
        postgres.value(&format!(
            "do $$ declare day text := to_char(now() + interval '{day} days', 'YYYYMMDD'); begin \
             execute format('drop table events_p%s, payloads_p%s', day, day); end $$",
        ))?;
    }
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 28: a missing partition cost {:.1} s, the slowest start while partitions came and went {:.1} s; {findings}",
        healed.as_secs_f64(),
        slowest.as_secs_f64()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_39_retention_is_killed_midway() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 39");
    if !machine::have("fault 39", &[Need::FalseClock], scale)? {
        return Ok(());
    }
    // The database lives a hundred days ago while the runs are done, and then today.
    let times = tempfile::Builder::new()
        .prefix("fulcrum-clock-")
        .tempdir()?;
    let clock = times.path().join("database");
    std::fs::write(&clock, "-100d")?;
    machine::readable_by_all(times.path())?;
    machine::readable_by_all(&clock)?;
    let setup = Setup {
        env: machine::false_clock_env(&clock)?,
        ..Setup::default()
    };
    let settings = [
        ("retention.days", "1"),
        ("loops.retention_ms", "200"),
        ("loops.partitions_ms", "500"),
    ];
    let field = Field::over(Postgres::start_as(setup)?, 1, &settings, 1, 32).await?;
    let old = scale.pick(200, 20_000);
    for n in (0..old).step_by(100) {
        let specs = (n..n + 100).map(|n| {
            let key = format!("old-{n}");
            api::spec("ship", &json!({ "item": key }), &key)
        });
        field.stack.api.start_many(specs.collect()).await?;
    }
    let count = |sql: &str| field.stack.postgres.value(sql);
    wait::until("the old runs are done", || async {
        let open = count("select count(*) from runs where closed_at is null")?;
        anyhow::ensure!(open == "0", "{open} are open");
        Ok(())
    })
    .await;
    let before = count("select pg_database_size(current_database())")?;
    let mut field = field;
    field.stack.controllers[0].program.kill()?;
    std::fs::write(&clock, "+0")?;
    // Killed again and again, at another moment each time; each one goes on where the last one was.
    for round in 1..=scale.pick(4, 20) {
        field.stack.controllers[0].up().await?;
        tokio::time::sleep(Duration::from_millis(150 * round)).await;
        field.stack.controllers[0].program.kill()?;
    }
    field.stack.controllers[0].up().await?;
    let up = Instant::now();
    let gone = "select count(*) from runs where closed_at < now() - interval '50 days'";
    wait::until("the old runs have left", || async {
        let left = field.stack.postgres.value(gone)?;
        anyhow::ensure!(left == "0", "{left} are left");
        Ok(())
    })
    .await;
    let took = up.elapsed();
    // What is new is untouched, and goes on.
    field.start(SHIP, 20).await?;
    let findings = field.verdict(Instant::now()).await?;
    let left = "select (select count(*) from snapshots s where not exists (select from runs r where r.shard = s.shard and r.run_id = s.run_id)) \
                || ' snapshots, ' || (select count(*) from dropped_days) || ' days logged'";
    let left = field.stack.postgres.value(left)?;
    let after = field
        .stack
        .postgres
        .value("select pg_database_size(current_database())")?;
    eprintln!(
        "fault 39: {old} old runs gone {:.1} s after the last kill, {left}; database {before} → {after} bytes; {findings}",
        took.as_secs_f64()
    );
    Ok(())
}
