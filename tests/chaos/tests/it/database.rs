//! Faults of the database and of the way to it.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, RELAY, SHIP};
use fulcrum_chaos::oracle::Footprint;
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::target::Manner;
use fulcrum_chaos::wire::{Weather, Wire};
use fulcrum_e2e::api;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::wait;
use fulcrum_proto::workflow::v1::StartRunRequest;
use fulcrum_sdk::{Refusal, client};
use serde_json::json;
use tonic::Code;

/// Before a call is made again, if nobody said when.
const PAUSE: Duration = Duration::from_millis(200);

/// The field, with a wire between its controllers and its database.
async fn over_a_wire(controllers: usize, connectors: usize) -> anyhow::Result<(Field, Wire)> {
    let postgres = Postgres::start()?;
    let wire = Wire::to(postgres.address()).await?;
    let url = postgres.url_at(wire.address());
    let settings = [("database.url", url.as_str())];
    let field = Field::over(postgres, controllers, &settings, connectors, 16).await?;
    Ok((field, wire))
}

/// A start that is not repeated: the answer of one call.
async fn start_once(field: &Field, item: &str, within: Duration) -> Result<(), Refusal> {
    let request = StartRunRequest {
        namespace: api::NAMESPACE.to_owned(),
        spec: Some(api::spec("ship", &json!({ "item": item }), "")),
        ..StartRunRequest::default()
    };
    let mut client = client::runs(field.stack.api.channel());
    match tokio::time::timeout(within, client.start_run(request)).await {
        Ok(answer) => answer.map(drop).map_err(Refusal::from),
        Err(_) => Err(Refusal::from(tonic::Status::deadline_exceeded("no answer"))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_06_the_database_is_killed_again_and_again() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 6");
    let field = Field::open(2, 8).await?;
    let mut back_at_work = Duration::ZERO;
    for round in 0..scale.pick(3, 20) {
        field.start(RELAY, 20).await?;
        // At another moment of the sweeps and flushes each time.
        tokio::time::sleep(Duration::from_millis(137 * round % 1000)).await;
        field.stack.postgres.crash()?;
        field.stack.postgres.up()?;
        let up = Instant::now();
        let before = field.target.calls().len();
        if field.log.accepted().len() * 3 > before {
            field.target.called(before + 1).await;
            back_at_work = back_at_work.max(up.elapsed());
        }
    }
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 6: back at work within {:.1} s; {findings}",
        back_at_work.as_secs_f64()
    );
    assert!(back_at_work < Duration::from_secs(15), "{back_at_work:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_07_clients_give_up_while_the_database_is_slow() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 7");
    let (field, wire) = over_a_wire(1, 1).await?;
    wire.set(Weather::Slow(Duration::from_millis(40)));
    let until = Instant::now() + scale.seconds(8, 300);
    let storm = (0..24u64).map(|n| {
        let channel = field.stack.api.channel();
        async move {
            let (mut given_up, mut call) = (0u64, n);
            while Instant::now() < until {
                call += 1;
                let request = StartRunRequest {
                    namespace: api::NAMESPACE.to_owned(),
                    spec: Some(api::spec(
                        "ship",
                        &json!({ "item": format!("storm-{n}-{call}") }),
                        "",
                    )),
                    ..StartRunRequest::default()
                };
                let patience = Duration::from_millis(1 + call * 7 % 50);
                let mut client = client::runs(channel.clone());
                let answer = tokio::time::timeout(patience, client.start_run(request)).await;
                given_up += u64::from(answer.is_err());
            }
            given_up
        }
    });
    let given_up: u64 = futures_util::future::join_all(storm)
        .await
        .into_iter()
        .sum();
    wire.set(Weather::Clear);
    assert!(given_up > 100, "only {given_up} calls were given up");
    let calm = Instant::now();
    field.start(SHIP, 50).await?;
    field.closed(usize::MAX).await;
    wait::until("everything that was begun is done", || async {
        let open = "select count(*) from runs where closed_at is null";
        let open = field.stack.postgres.value(open)?;
        anyhow::ensure!(open == "0", "{open} runs are open");
        Ok(())
    })
    .await;
    let log = field.stack.controllers[0].program.log();
    for trace in ["25P02", "came back inside a transaction", "panicked"] {
        assert!(!log.contains(trace), "the log says {trace}");
    }
    let findings = field.verdict(calm).await?;
    eprintln!("fault 7: {given_up} calls given up; {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_15_the_endpoint_turns_read_only_under_open_connections() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 15");
    let (mut field, wire) = over_a_wire(1, 1).await?;
    let standby = field.stack.postgres.standby()?;
    field.start(SHIP, 20).await?;
    field.closed(usize::MAX).await;
    caught_up(&field.stack.postgres, &standby).await;
    // The old server stays up and refuses writes on the connections that are open; new ones reach the new one.
    let old = &field.stack.postgres;
    old.value("alter system set default_transaction_read_only = on")?;
    old.value("select pg_reload_conf()")?;
    standby.promote()?;
    wire.lead_to(standby.address());
    let flipped = Instant::now();
    field.stack.postgres = standby;
    field.start(SHIP, scale.pick(20, 200)).await?;
    let healed = flipped.elapsed();
    let findings = field.verdict(flipped).await?;
    eprintln!(
        "fault 15: writes again after {:.1} s; {findings}",
        healed.as_secs_f64()
    );
    assert!(healed < Duration::from_secs(15), "{healed:?}");
    Ok(())
}

/// Waits until a standby has everything.
async fn caught_up(primary: &Postgres, standby: &Postgres) {
    wait::until("the standby has caught up", || async {
        let written = primary.value("select pg_current_wal_lsn()")?;
        let behind = standby.value(&format!(
            "select pg_wal_lsn_diff('{written}', pg_last_wal_replay_lsn()) > 0"
        ))?;
        anyhow::ensure!(behind == "f", "it is behind {written}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_19_the_database_falls_silent() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 19");
    let (field, wire) = over_a_wire(1, 1).await?;
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(200)));
    field.start(RELAY, 30).await?;
    field.closed(3).await;
    let pid = field.stack.controllers[0].program.process()?.pid();
    wire.set(Weather::Still);
    let silent = Instant::now();
    let until = silent + scale.seconds(12, 60);
    let before = Footprint::of(pid)?;
    let (mut refused, mut unanswered) = (0, 0);
    let starts = async {
        while Instant::now() < until {
            let item = format!("refused-{refused}-{unanswered}");
            let answer = start_once(&field, &item, Duration::from_secs(10)).await;
            let refusal = answer.expect_err("nothing can be accepted");
            match refusal.code {
                Code::Unavailable | Code::ResourceExhausted => refused += 1,
                Code::DeadlineExceeded => unanswered += 1,
                _ => panic!("{refusal:?}"),
            }
            // Whoever is refused is told when to come again; a connection whose calls come at once is cut in the end.
            let pause = refusal.retry_after.unwrap_or(PAUSE);
            tokio::time::sleep(pause).await;
        }
    };
    // Asked all the time, whatever becomes of the starts.
    let notice = async {
        wait::until("the controller says that it is not ready", || async {
            let ready = field.stack.controllers[0].readiness().await;
            ready.err().ok_or("it says that it is")
        })
        .await;
        silent.elapsed()
    };
    let (noticed, ()) = tokio::join!(notice, starts);
    let still = field.stack.controllers[0].readiness().await;
    assert!(still.is_err(), "it was ready in the middle of the silence");
    let after = Footprint::of(pid)?;
    wire.set(Weather::Clear);
    let clear = Instant::now();
    field.start(SHIP, 1).await?;
    let healed = clear.elapsed();
    field.stack.controllers[0].ready().await;
    let ready = clear.elapsed();
    let findings = field.verdict(clear).await?;
    eprintln!(
        "fault 19: not ready after {:.1} s, {refused} starts refused, {unanswered} not answered within 10 s, memory {:+} KiB, starts again after {:.1} s, ready after {:.1} s; {findings}",
        noticed.as_secs_f64(),
        (after.memory >> 10).cast_signed() - (before.memory >> 10).cast_signed(),
        healed.as_secs_f64(),
        ready.as_secs_f64()
    );
    // Five seconds by design, and some for a busy machine.
    assert!(noticed < Duration::from_secs(8), "{noticed:?}");
    assert!(ready < Duration::from_secs(10), "{ready:?}");
    assert!(healed < Duration::from_secs(15), "{healed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_slow_statements_fill_the_request_pool() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 22");
    let field = Field::open(1, 16).await?;
    field.target.answer(Manner::Silent);
    field.start(SHIP, 16).await?;
    field.target.called(16).await;
    // Every commit of a run now waits for this lock; leases are rows of another table.
    let postgres = &field.stack.postgres;
    let locked = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            postgres.value("begin; lock table runs in exclusive mode; select pg_sleep(9); commit")
        });
        // Twice as many starts as the pool has connections, none of which can go on.
        let runtime = tokio::runtime::Handle::current();
        let items: Vec<String> = (0..20).map(|n| format!("unnoted-{n}")).collect();
        let starts = items
            .iter()
            .map(|item| start_once(&field, item, Duration::from_secs(9)));
        tokio::task::block_in_place(|| {
            runtime.block_on(futures_util::future::join_all(starts));
        });
    });
    let held = locked.elapsed();
    assert!(held > Duration::from_secs(8), "the lock was held {held:?}");
    field.target.answer(Manner::Prompt);
    let findings = field.verdict(Instant::now()).await?;
    assert_eq!(findings.expired, 0, "leases were renewed all the time");
    eprintln!(
        "fault 22: commits stood for {:.1} s; {findings}",
        held.as_secs_f64()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_wake_ups_between_controllers_are_cut_off() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 27");
    // The only connector is at the second controller; starts go to the first.
    let mut field = Field::over(Postgres::start()?, 2, &[], 0, 16).await?;
    let edge = field.edge("edge", 1).await?;
    field.edges.push(edge);
    field.learn().await?;
    let first = field.stack.api.only(0);
    let mut slowest = Duration::ZERO;
    for n in 0..scale.pick(10, 60) {
        // Whoever listens is cut off, and every other connection with it.
        field.stack.postgres.value(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'fulcrum'",
        )?;
        let key = format!("cut-{n}");
        let item = json!({ "item": key });
        let began = Instant::now();
        let before = field.target.calls().len();
        let run = first.start("ship", &item).await?;
        field.log.note(fulcrum_chaos::oracle::Accepted {
            run_id: run,
            key,
            steps: SHIP.steps,
        });
        field.target.called(before + 1).await;
        slowest = slowest.max(began.elapsed());
    }
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 27: the slowest pickup took {:.1} s; {findings}",
        slowest.as_secs_f64()
    );
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    Ok(())
}
