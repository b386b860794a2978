//! Controllers whose sessions with the database are not their own.

use fulcrum_e2e::onboarding::Onboarding;
use fulcrum_e2e::pooler::Pooler;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::stack::Stack;

/// Server sessions. One controller alone would hold more connections than that.
const SESSIONS: u32 = 4;

#[tokio::test]
async fn two_hundred_customers_are_welcomed_once_each_through_a_pooler() -> anyhow::Result<()> {
    let postgres = Postgres::start()?;
    let pooler = Pooler::before(&postgres, SESSIONS).await?;
    let url = postgres.url_at(pooler.address());
    let settings = [
        ("database.url", url.as_str()),
        ("database.route", "transaction_pooler"),
    ];
    let mut scene = Onboarding::start(Stack::over(postgres, 2, &settings).await?).await?;
    let runs = scene.begin().await?;
    scene.closed(scene.customers() / 2).await;
    let sessions = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    let sessions: u32 = scene.stack.postgres.value(sessions)?.parse()?;
    assert!(
        (1..=SESSIONS).contains(&sessions),
        "{sessions} sessions: they do not go through the pooler"
    );
    // One leaves and comes back, in the middle of it all.
    let leaving = &mut scene.stack.controllers[1].program;
    leaving.kill()?;
    scene.stack.controllers[1].up().await?;
    scene.closed(scene.customers()).await;
    scene.check(&runs).await?;
    for controller in &scene.stack.controllers {
        let log = controller.program.log();
        for trace in ["25P02", "prepared statement", "panicked"] {
            assert!(!log.contains(trace), "the log says {trace}:\n{log}");
        }
    }
    Ok(())
}
