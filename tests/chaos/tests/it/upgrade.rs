//! Two builds on one database.

use std::collections::BTreeSet;
use std::time::Instant;

use fulcrum_chaos::field::{Field, RELAY};
use fulcrum_chaos::load::Load;
use fulcrum_chaos::machine::{self, Need};
use fulcrum_chaos::scale::Scale;
use fulcrum_e2e::api;
use fulcrum_e2e::controller::Controller;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::process::Build;
use fulcrum_e2e::wait;
use serde_json::json;

/// The kind of the rows that only the newer build knows.
const BUNDLE: &str = "select count(*) from events where kind = -1";
/// Private keys that rest in PEM, as the older build left them.
const CLEAR: &str = "select count(*) from certificate_authorities where starts_with(encode(key_pem, 'escape'), '-----BEGIN')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_25_an_installation_is_upgraded_rolled_back_and_upgraded_under_load()
-> anyhow::Result<()> {
    let scale = Scale::asked("fault 25");
    if !machine::have("fault 25", &[Need::PreviousBuild], scale)? {
        return Ok(());
    }
    let older = machine::previous_build().expect("it is there");
    let mut field = Field::of(older.clone(), Postgres::start()?, 2, &[], 2, 8).await?;
    field.stack.overseer("overseer").await?;
    let calm = scale.pick(20, 200);

    let api = field.stack.api.clone();
    let load = Load::begin(&field.log, "meanwhile", RELAY, move |key| {
        let api = api.clone();
        async move {
            let spec = api::spec(RELAY.workflow, &json!({ "item": key }), &key);
            let mut ids = api.start_many(vec![spec]).await?;
            ids.pop().ok_or_else(|| anyhow::anyhow!("no answer"))
        }
    });
    goes_on(&field, calm).await;

    // The schema first, while nobody of the newer build is there.
    let url = field.stack.postgres.url();
    let migrator = Controller::new("migrator", field.stack.dir(), &url, &[])?;
    let migrated = migrator.program.command().arg("migrate").output()?;
    let said = String::from_utf8_lossy(&migrated.stderr);
    assert!(migrated.status.success(), "{said}");
    goes_on(&field, calm).await;

    // Then one controller. Its worker is of the older build, and each controller gets one of the newer.
    replaced(&mut field, 1, &Build::This).await?;
    field.stack.build = Build::This;
    for at in 0..2 {
        let edge = field.edge(&format!("newer-{at}"), at).await?;
        field.edges.push(edge);
    }
    goes_on(&field, calm).await;
    assert_eq!(
        finalize(&field)?,
        "feature level 1",
        "one does not know more"
    );

    // It is rolled back, on the newer schema, and comes again.
    replaced(&mut field, 1, &older).await?;
    goes_on(&field, calm).await;
    replaced(&mut field, 1, &Build::This).await?;
    goes_on(&field, calm).await;
    replaced(&mut field, 0, &Build::This).await?;
    goes_on(&field, calm).await;
    assert_eq!(field.stack.postgres.value(BUNDLE)?, "0", "not yet");
    assert_eq!(field.stack.postgres.value(CLEAR)?, "2", "not yet");

    // One that ended well does not count any more, one that was killed for a minute.
    wait::until("the feature level is raised", || async {
        let said = finalize(&field)?;
        anyhow::ensure!(said == "feature level 3", "{said}");
        Ok(())
    })
    .await;
    let finalized = Instant::now();
    wait::until("what only the newer build knows is written", || async {
        let bundles = field.stack.postgres.value(BUNDLE)?;
        anyhow::ensure!(bundles != "0", "none is");
        Ok(())
    })
    .await;
    let learned = finalized.elapsed();
    wait::until("private keys are sealed", || async {
        let clear = field.stack.postgres.value(CLEAR)?;
        anyhow::ensure!(clear == "0", "{clear} are clear");
        Ok(())
    })
    .await;
    goes_on(&field, calm).await;

    // There is no way back, and whoever tries is told.
    let mut late = Controller::new("late", field.stack.dir(), &url, &[])?;
    late.program.be_of(&older)?;
    late.program.start()?;
    let refused = wait::until("the older build is refused", || {
        let ended = late.program.ended();
        async move { ended.ok_or("it runs") }
    })
    .await;
    assert!(!refused.success());
    assert!(
        late.program.log().contains("start a newer build"),
        "{}",
        late.program.log()
    );

    let tally = load.over().await?;
    let done = workers_of(&field).await?;
    for edge in &field.edges {
        assert!(
            done.contains(edge.name()),
            "{} did nothing: {done:?}",
            edge.name()
        );
    }
    let findings = field.verdict(Instant::now()).await?;
    eprintln!(
        "fault 25: {} starts, none failed, the slowest took {:.1} s; the level was learned after {:.1} s; {findings}",
        tally.starts,
        tally.slowest.as_secs_f64(),
        learned.as_secs_f64()
    );
    assert_eq!(findings.expired, 0, "no lease was lost to the upgrade");
    Ok(())
}

/// Waits until so many more runs are closed than are now.
async fn goes_on(field: &Field, runs: usize) {
    let closed = "select count(*) from runs where closed_at is not null";
    let closed = || -> anyhow::Result<usize> { Ok(field.stack.postgres.value(closed)?.parse()?) };
    let before = closed().expect("the database answers");
    wait::until(&format!("{runs} more runs closed"), || async {
        let closed = closed()?;
        anyhow::ensure!(closed >= before + runs, "{} are", closed - before);
        Ok(())
    })
    .await;
}

/// The names of those who did a step of any run.
async fn workers_of(field: &Field) -> anyhow::Result<BTreeSet<String>> {
    let workers = field.stack.api.workers().await?;
    let mut done = BTreeSet::new();
    for run in field.log.accepted() {
        let steps = field.stack.api.run(&run.run_id).await?.steps;
        let by = |id: &str| workers.iter().find(|worker| worker.worker_id == id);
        done.extend(
            steps
                .iter()
                .filter_map(|step| Some(by(&step.worker_id)?.name.clone())),
        );
    }
    Ok(done)
}

/// Ends a controller as an operator would, and starts it again as one of this build.
async fn replaced(field: &mut Field, at: usize, build: &Build) -> anyhow::Result<()> {
    let controller = &mut field.stack.controllers[at];
    let status = controller.program.terminate().await?;
    assert!(status.success(), "{}", controller.program.log());
    controller.program.be_of(build)?;
    controller.up().await
}

/// `fulcrum upgrade finalize`, and what it says.
fn finalize(field: &Field) -> anyhow::Result<String> {
    let said = field
        .stack
        .fulcrum("overseer", 1, &["upgrade", "finalize"])?;
    Ok(said.trim().to_owned())
}
