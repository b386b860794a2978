//! Faults of the schema and its partitions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, SHIP};
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::wire::{Verdict, Wire};
use fulcrum_e2e::controller::Controller;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::wait;
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
         execute format('drop table events_p%1$s, payloads_p%1$s, blobs_p%1$s', day); end $$",
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
             execute format('drop table events_p%1$s, payloads_p%1$s, blobs_p%1$s', day); end $$",
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
