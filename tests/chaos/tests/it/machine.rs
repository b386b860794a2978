//! Faults of the machine: its network, clocks, processor and disk.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, RELAY, SHIP};
use fulcrum_chaos::machine::{self, CpuShare, Dropped, Need, SlowDisk, SmallDisk};
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::target::Manner;
use fulcrum_chaos::wire::{Weather, Wire};
use fulcrum_e2e::postgres::{Postgres, Setup};
use fulcrum_e2e::wait;
use fulcrum_proto::workflow::v1::StartRunRequest;
use fulcrum_sdk::client;
use serde_json::json;

/// The kind of the event that says that a lease ran out.
const EXPIRED: &str = "5";

fn port(endpoint: &str) -> u16 {
    let port = endpoint.rsplit(':').next().expect("an address has a port");
    port.parse().expect("a port is a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_18_the_network_carries_one_way_only() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 18");
    let needs = [Need::Root, Need::PacketFilter];
    if !machine::have("fault 18", &needs, scale)?
        || !machine::in_a_network_of_its_own("machine::fault_18_the_network_carries_one_way_only")?
    {
        return Ok(());
    }
    let field = Field::open(2, 8).await?;
    let grpc = port(&field.stack.controllers[0].endpoint());
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(100)));
    let loss = scale.seconds(6, 15);
    field.start(RELAY, 40).await?;
    field.closed(4).await;
    {
        // What workers send is lost; then what the controller sends.
        let _dropped = Dropped::to(grpc)?;
        tokio::time::sleep(loss).await;
    }
    field.start(RELAY, 20).await?;
    {
        let _dropped = Dropped::from(grpc)?;
        tokio::time::sleep(loss).await;
    }
    for _ in 0..scale.pick(3, 30) {
        let _dropped = Dropped::to(grpc)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(_dropped);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let over = Instant::now();
    let findings = field.verdict(over).await?;
    eprintln!("fault 18: {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_18_bytes_are_held_one_way_while_connections_live() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 18");
    let mut field = Field::open(1, 8).await?;
    let grpc =
        std::net::SocketAddr::from(([127, 0, 0, 1], port(&field.stack.controllers[0].endpoint())));
    let wire = Wire::to(grpc).await?;
    let endpoint = format!("https://{}", wire.address());
    let config = field.edge_config();
    let edge = field
        .stack
        .connector_through("far", 0, &endpoint, &config)
        .await?;
    field.edges.push(edge);
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(100)));
    for weather in [Weather::RequestsHeld, Weather::AnswersHeld] {
        field.start(RELAY, 30).await?;
        field.target.called(10).await;
        wire.set(weather);
        tokio::time::sleep(scale.seconds(5, 20)).await;
        wire.set(Weather::Clear);
    }
    let findings = field.verdict(Instant::now()).await?;
    eprintln!("fault 18, held: {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_17_clocks_jump() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 17");
    if !machine::have("fault 17", &[Need::FalseClock], scale)? {
        return Ok(());
    }
    let times = tempfile::Builder::new()
        .prefix("fulcrum-clock-")
        .tempdir()?;
    let clock = |name: &str, shift: &str| -> anyhow::Result<std::path::PathBuf> {
        let path = times.path().join(name);
        std::fs::write(&path, shift)?;
        machine::readable_by_all(times.path())?;
        machine::readable_by_all(&path)?;
        Ok(path)
    };
    let (database, worker) = (clock("database", "+0")?, clock("worker", "+0")?);
    let setup = Setup {
        env: machine::false_clock_env(&database)?,
        ..Setup::default()
    };
    let mut field = Field::over(Postgres::start_as(setup)?, 1, &[], 1, 8).await?;
    for (name, value) in machine::false_clock_env(&worker)? {
        field.stack.controllers[0]
            .program
            .set_env(&name, value.clone());
        field.edges[0].set_env(&name, value);
    }
    field.edges[0].kill()?;
    field.stack.controllers[0].program.kill()?;
    field.stack.controllers[0].up().await?;
    field.edges[0].start()?;
    field
        .stack
        .api
        .apply("workflow: naps\nsteps: [{ id: nap, sleep: 30m }]")
        .await?;

    // The controller's and the worker's own clocks mean nothing.
    for shift in scale.pick(&["+1h", "-1h"][..], &["+1h", "-1h", "+20h", "-20h"][..]) {
        field.target.answer(Manner::Silent);
        let before = field.target.calls().len();
        field.start(SHIP, 8).await?;
        field.target.called(before + 8).await;
        std::fs::write(&worker, shift)?;
        tokio::time::sleep(2 * field.terms.lease_ttl).await;
        field.target.answer(Manner::Prompt);
        field.closed(usize::MAX).await;
        std::fs::write(&worker, "+0")?;
    }
    assert_eq!(field.events(EXPIRED)?, "0", "no lease ran out");

    // The database's is the one that counts: when it jumps, nobody's healthy lease is taken, and a timer fires once.
    let nap = field.stack.api.start("naps", &json!({})).await?;
    field.target.answer(Manner::Silent);
    let before = field.target.calls().len();
    field.start(SHIP, 8).await?;
    field.target.called(before + 8).await;
    std::fs::write(&database, "+1h")?;
    wait::until("the nap is over", || async {
        let run = field.stack.api.run(&nap).await?;
        anyhow::ensure!(
            fulcrum_e2e::api::is_closed(run.status()),
            "{:?}",
            run.status()
        );
        Ok(())
    })
    .await;
    tokio::time::sleep(2 * field.terms.lease_ttl).await;
    let after_forward = field.events(EXPIRED)?;
    std::fs::write(&database, "+0")?;
    tokio::time::sleep(field.terms.lease_ttl).await;
    field.target.answer(Manner::Prompt);
    let findings = field.verdict(Instant::now()).await?;
    let log = field.stack.controllers[0].program.log();
    let alarmed = log.contains("jump") || log.contains("re-assert");
    let events = field.stack.api.events(&nap).await?;
    let woken = events
        .iter()
        .filter(|event| event.kind == "StepCompleted")
        .count();
    assert_eq!(woken, 1, "the timer fired once");
    eprintln!(
        "fault 17: {after_forward} leases expired by a forward jump of the database, alarm in the log: {alarmed}; {findings}"
    );
    assert_eq!(
        after_forward, "0",
        "a jump of the database's clock is no mass expiry"
    );
    assert!(alarmed, "nobody was told of the jump:\n{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_20_a_worker_starves() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 20");
    let needs = [Need::Root, Need::CpuGroups];
    if !machine::have("fault 20", &needs, scale)? {
        return Ok(());
    }
    let field = Field::open(1, 8).await?;
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(500)));
    field.start(RELAY, scale.pick(8, 40)).await?;
    field.target.called(8).await;
    let share = CpuShare::of(field.edges[0].process()?.pid(), 5)?;
    tokio::time::sleep(scale.seconds(10, 60)).await;
    let expired = field.events(EXPIRED)?;
    drop(share);
    let findings = field.verdict(Instant::now()).await?;
    eprintln!("fault 20: {expired} leases expired at 5 % of a core; {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_29_the_disk_is_full() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 29");
    if !machine::have("fault 29", &[Need::Root], scale)? {
        return Ok(());
    }
    let disk = SmallDisk::of(320)?;
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let setup = Setup {
        settings: vec![
            setting("max_wal_size", "64MB"),
            setting("min_wal_size", "32MB"),
            setting("wal_recycle", "off"),
        ],
        home_in: Some(disk.path().to_owned()),
        ..Setup::default()
    };
    let field = Field::over(Postgres::start_as(setup)?, 1, &[], 1, 8).await?;
    field.start(RELAY, 10).await?;
    field.closed(5).await;
    disk.fill()?;
    let full = Instant::now();
    let mut refused = 0;
    let mut accepted = 0;
    while full.elapsed() < scale.seconds(8, 60) {
        let key = format!("full-{}", refused + accepted);
        let request = StartRunRequest {
            namespace: fulcrum_e2e::api::NAMESPACE.to_owned(),
            spec: Some(fulcrum_e2e::api::spec(
                "ship",
                &json!({ "item": key }),
                &key,
            )),
            ..StartRunRequest::default()
        };
        let mut client = client::runs(field.stack.api.channel());
        match tokio::time::timeout(Duration::from_secs(15), client.start_run(request)).await {
            Ok(Ok(answer)) => {
                accepted += 1;
                // Whoever was told yes is owed the run, disk or no disk.
                field.log.note(fulcrum_chaos::oracle::Accepted {
                    run_id: answer.into_inner().run.expect("a run").run_id,
                    key,
                    steps: SHIP.steps,
                });
            }
            Ok(Err(_)) | Err(_) => refused += 1,
        }
    }
    assert!(
        refused > 0,
        "{accepted} were accepted, and the disk never filled"
    );
    disk.free()?;
    // A server that ended because it could not write its log is started by whoever supervises it.
    if field.stack.postgres.value("select 1").is_err() {
        field.stack.postgres.crash().ok();
        field.stack.postgres.up()?;
    }
    let space = Instant::now();
    field.start(SHIP, 10).await?;
    let findings = field.verdict(space).await?;
    eprintln!("fault 29: {accepted} accepted and {refused} refused on a full disk; {findings}");
    drop(field);
    drop(disk);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_30_the_disk_is_slow() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 30");
    if !machine::have("fault 30", &[Need::Compiler], scale)? {
        return Ok(());
    }
    let dir = tempfile::Builder::new().prefix("fulcrum-slow-").tempdir()?;
    let disk = SlowDisk::build(dir.path())?;
    machine::readable_by_all(dir.path())?;
    for file in ["slow.so", "delay_ms"] {
        machine::readable_by_all(&dir.path().join(file))?;
    }
    let setup = Setup {
        env: disk.env(),
        ..Setup::default()
    };
    let field = Field::over(Postgres::start_as(setup)?, 1, &[], 1, 8).await?;
    field
        .target
        .answer(Manner::Slow(Duration::from_millis(200)));
    field.start(RELAY, scale.pick(10, 50)).await?;
    disk.set(1000)?;
    let slow = Instant::now();
    field.start(SHIP, 4).await?;
    let accepted = slow.elapsed();
    tokio::time::sleep(scale.seconds(8, 60)).await;
    let expired = field.events(EXPIRED)?;
    disk.set(0)?;
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 30: a start took {:.1} s with an fsync of 1 s, {expired} leases expired; {findings}",
        accepted.as_secs_f64()
    );
    assert!(
        accepted > Duration::from_millis(900),
        "the disk was not slow: {accepted:?}"
    );
    Ok(())
}
