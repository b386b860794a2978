//! Faults of the clean-up.

use std::time::{Duration, Instant};

use fulcrum_chaos::field::{Field, RELAY, SHIP};
use fulcrum_chaos::load::Load;
use fulcrum_chaos::past::{self, Day};
use fulcrum_chaos::scale::Scale;
use fulcrum_e2e::api;
use fulcrum_e2e::postgres::{Postgres, Setup};
use fulcrum_e2e::{timeline, wait};
use fulcrum_proto::workflow::v1::StartRunRequest;
use fulcrum_sdk::client;
use serde_json::json;

/// Runs of the load, of which the past is made.
const ORIGINALS: usize = 12;
/// Days are kept for so long after their runs closed.
const KEEP: &str = "3";
/// The first day, counted back from today, that is filled and must leave; others follow, each a day earlier.
const GONE: u32 = 10;
/// A day that is kept, even if midnight passes.
const KEPT: u32 = 1;
/// Whoever cleans up next waits until its predecessor's leadership has run out: 90 s.
const SUCCESSION: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_39_a_clean_up_is_killed_midway() -> anyhow::Result<()> {
    let scale = Scale::asked("fault 39");
    let setup = Setup {
        settings: vec![("autovacuum_naptime".to_owned(), "1s".to_owned())],
        ..Setup::default()
    };
    let mut field = Field::over(Postgres::start_as(setup)?, 2, &[], 2, 16).await?;
    for _ in 0..ORIGINALS {
        field.start(RELAY, 1).await?;
    }
    // One with a payload that is kept apart.
    let bulky = json!({ "item": "bulky", "step": "apply", "ballast": "x".repeat(20_000) });
    let bulky = field.stack.api.start("ship", &bulky).await?;
    field.stack.api.output(&bulky).await;
    at_rest(&field).await;
    past::remember(&field.stack.postgres)?;
    let (days, events) = scale.pick((3, 40_000), (10, 1_000_000));
    let filling = Instant::now();
    let kept = past::fill(&field.stack.postgres, KEPT, scale.pick(5_000, 50_000))?;
    let mut gone = Vec::new();
    for n in 0..days {
        gone.push(past::fill(&field.stack.postgres, GONE + n, events)?);
    }
    let events: u64 = gone.iter().map(|day| day.events).sum();
    eprintln!(
        "fault 39: {events} events of {} runs on {days} days made in {:.0} s",
        gone.iter().map(|day| day.runs).sum::<u64>(),
        filling.elapsed().as_secs_f64()
    );
    field.stack.postgres.value("analyze")?;

    // From now on it is cleaned up, by the first that comes. It is in the middle of the oldest day, between two batches,
    // when it meets a run that somebody looks at.
    for controller in &mut field.stack.controllers {
        let program = &mut controller.program;
        program.terminate().await?;
        program.set_env("FULCRUM_RETENTION__DAYS", KEEP);
        program.set_env("FULCRUM_LOOPS__RETENTION_MS", "1000");
    }
    let oldest = gone.last().expect("a day was filled");
    // By birth and by shard alike it is in the middle: whichever way batches are taken, some come before it.
    let middle = oldest.runs / 2;
    let looker = field.stack.postgres.hold(&format!(
        "select run_id from runs where run_id = (select run_id from ( \
           select run_id, row_number() over (order by run_id) as born, row_number() over (order by shard, run_id) as kept \
           from runs where {}) r order by greatest(abs(born - {middle}), abs(kept - {middle})) limit 1) for update",
        born_on(oldest)
    ))?;
    let leader = lead(&mut field, 0).await?;
    field.stack.controllers[1].up().await?;
    wait::until("a day is half deleted", || async {
        let left = runs_of(&field.stack.postgres, oldest)?;
        let logged = logged(&field.stack.postgres, oldest)?;
        anyhow::ensure!(left > 0 && left < oldest.runs, "{left} are left");
        anyhow::ensure!(logged.ends_with("not gone"), "{logged}");
        Ok(())
    })
    .await;
    assert_eq!(
        holder(&field.stack.postgres)?,
        leader,
        "the first one leads"
    );
    let mut meanwhile = load(&field, 1);
    field.stack.controllers[0].program.kill()?;
    let killed = Instant::now();
    drop(looker);
    field.stack.controllers[0].up().await?;
    assert!(
        runs_of(&field.stack.postgres, oldest)? > 0,
        "it was killed before it was done"
    );
    if scale == Scale::Full {
        meanwhile = killed_while_detaching(&mut field, meanwhile, &gone).await?;
    }
    for day in &gone {
        left_whole(&field, day, SUCCESSION + scale.seconds(60, 3_600)).await?;
    }
    let resumed = killed.elapsed();
    let meanwhile = meanwhile.over().await?;
    kept_whole(&field, &kept).await?;

    let rounds = 5;
    let mut sizes = Vec::new();
    for round in 0..rounds {
        let day = past::fill(
            &field.stack.postgres,
            GONE + days + round,
            events / u64::from(days),
        )?;
        left_whole(&field, &day, SUCCESSION + scale.seconds(60, 600)).await?;
        sizes.push(size(&field.stack.postgres)? >> 20);
    }
    kept_whole(&field, &kept).await?;
    at_rest(&field).await;
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 39: {days} days gone {:.0} s after the kill; {} starts meanwhile, the slowest took {:.1} s; \
         after each further day {sizes:?} MiB; {findings}",
        resumed.as_secs_f64(),
        meanwhile.starts,
        meanwhile.slowest.as_secs_f64()
    );
    let (before, last) = (sizes[1], sizes[sizes.len() - 1]);
    assert!(last <= before + before / 10 + 4, "it grows: {sizes:?}");
    // A lock is waited for 3 s at most, by the clean-up; a start waits for none.
    assert!(meanwhile.slowest < Duration::from_secs(3), "{meanwhile:?}");
    Ok(())
}

/// Kills whoever leads when it has dropped some tables of a day and is about to detach another. Gives the load that goes
/// on at the other controller.
async fn killed_while_detaching(
    field: &mut Field,
    meanwhile: Load,
    gone: &[Day],
) -> anyhow::Result<Load> {
    let day = &gone[0];
    let table = format!("payloads_p{}", day.date.replace('-', ""));
    let reader = field.stack.postgres.hold(&format!(
        "select count(*) from (select from {table} limit 1) t"
    ))?;
    wait::within(
        SUCCESSION + Duration::from_secs(3_600),
        "a table is half detached and those before it are gone",
        || async {
            let found = field.stack.postgres.value(&format!(
                "select string_agg(name || ' ' || detaching, ',') from fulcrum_day_tables() where day = '{}'",
                day.date
            ))?;
            anyhow::ensure!(found == format!("{table} true"), "{found}");
            Ok(())
        },
    )
    .await;
    // The second controller has taken over from the first one, and the first one is up again.
    meanwhile.over().await?;
    let meanwhile = load(field, 0);
    field.stack.controllers[1].program.kill()?;
    drop(reader);
    field.stack.controllers[1].up().await?;
    Ok(meanwhile)
}

/// Starts a controller and waits until it cleans up; gives its id.
async fn lead(field: &mut Field, at: usize) -> anyhow::Result<String> {
    field.stack.controllers[at].up().await?;
    wait::until("somebody leads", || async {
        let holder = holder(&field.stack.postgres)?;
        anyhow::ensure!(!holder.is_empty(), "nobody");
        Ok(holder)
    })
    .await;
    holder(&field.stack.postgres)
}

/// Who cleans up.
fn holder(postgres: &Postgres) -> anyhow::Result<String> {
    postgres.value("select holder from upkeep_leadership where held_until > now()")
}

fn born_on(day: &Day) -> String {
    format!(
        "run_id >= fulcrum_day_floor('{0}') and run_id < fulcrum_day_floor(date '{0}' + 1)",
        day.date
    )
}

fn runs_of(postgres: &Postgres, day: &Day) -> anyhow::Result<u64> {
    let sql = format!("select count(*) from runs where {}", born_on(day));
    Ok(postgres.value(&sql)?.parse()?)
}

/// What is logged of a day that leaves, empty for nothing.
fn logged(postgres: &Postgres, day: &Day) -> anyhow::Result<String> {
    postgres.value(&format!(
        "select concat_ws(' ', runs, encode(root_hash, 'hex'), case when dropped_at is null then 'not gone' else 'gone' end) \
         from dropped_days where day = '{}'",
        day.date
    ))
}

fn size(postgres: &Postgres) -> anyhow::Result<u64> {
    Ok(postgres
        .value("select pg_database_size(current_database())")?
        .parse()?)
}

/// Waits until a day is gone, and checks that it was logged as it was and nothing of it is left.
async fn left_whole(field: &Field, day: &Day, patience: Duration) -> anyhow::Result<()> {
    let postgres = &field.stack.postgres;
    wait::within(patience, &format!("{} is gone", day.date), || async {
        let logged = logged(postgres, day)?;
        anyhow::ensure!(logged.ends_with(" gone"), "{logged}");
        anyhow::ensure!(!logged.ends_with("not gone"), "{logged}");
        Ok(())
    })
    .await;
    let told = logged(postgres, day)?;
    assert_eq!(told, format!("{} {} gone", day.runs, day.root));
    let tables = postgres.value(&format!(
        "select count(*) from pg_class where relname like '%\\_p{}%'",
        day.date.replace('-', "")
    ))?;
    assert_eq!(tables, "0", "tables of {} are left", day.date);
    for table in [
        "runs",
        "snapshots",
        "reviews",
        "tasks",
        "joins",
        "join_items",
    ] {
        let sql = format!("select count(*) from {table} where {}", born_on(day));
        assert_eq!(postgres.value(&sql)?, "0", "{table} of {}", day.date);
    }
    Ok(())
}

/// Checks that a day is as it was: all of its runs, their chains, and what they refer to.
async fn kept_whole(field: &Field, day: &Day) -> anyhow::Result<()> {
    let postgres = &field.stack.postgres;
    let chains = postgres.value(&format!(
        "select concat_ws(' ', count(*), encode(sha256(string_agg(chain, ''::bytea order by run_id)), 'hex')) from runs where {}",
        born_on(day)
    ))?;
    assert_eq!(chains, format!("{} {}", day.runs, day.root));
    let lost = postgres.value(&format!(
        "select count(*) from runs r where {} and last_seq <> (select count(*) from fulcrum_timeline(r.shard, r.run_id))",
        born_on(day)
    ))?;
    assert_eq!(lost, "0", "runs of {} have lost events", day.date);
    let some = postgres.value(&format!(
        "select string_agg(run_id::text, ',') from (select run_id from runs where {} order by run_id limit 20) r",
        born_on(day)
    ))?;
    for id in some.split(',') {
        let run = timeline::text("run", id.parse::<uuid::Uuid>()?.as_u128());
        let events = field.stack.api.events(&run).await?;
        timeline::verify(&run, &events)?;
        let said = field
            .stack
            .fulcrum("operator", 0, &["run", "timeline", &run, "--verify"])?;
        anyhow::ensure!(said.contains("verified"), "{run}: {said}");
        let read = field.stack.api.run(&run).await?;
        anyhow::ensure!(read.output.is_some(), "{run} has lost its output");
    }
    Ok(())
}

/// Waits until nothing is open.
async fn at_rest(field: &Field) {
    wait::until("no run is open", || async {
        let open = "select count(*) from runs where closed_at is null";
        let open = field.stack.postgres.value(open)?;
        anyhow::ensure!(open == "0", "{open} are");
        Ok(())
    })
    .await;
}

/// Starts at one controller, one after the other. None is repeated.
fn load(field: &Field, controller: usize) -> Load {
    let api = field.stack.api.only(controller);
    let name = format!("meanwhile-{controller}");
    Load::begin(&field.log, &name, SHIP, move |key| {
        let channel = api.channel();
        async move {
            let request = StartRunRequest {
                namespace: api::NAMESPACE.to_owned(),
                spec: Some(api::spec(SHIP.workflow, &json!({ "item": key }), &key)),
                ..StartRunRequest::default()
            };
            let answer = client::runs(channel).start_run(request).await?;
            Ok(answer.into_inner().run.expect("a run").run_id)
        }
    })
}
