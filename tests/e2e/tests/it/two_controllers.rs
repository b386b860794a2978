//! Two controllers on one database.

use std::collections::BTreeMap;

use fulcrum_e2e::onboarding::Onboarding;
use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;

#[tokio::test]
async fn two_controllers_share_the_load_and_one_of_them_may_leave() -> anyhow::Result<()> {
    let mut scene = Onboarding::start(Stack::with(2, &[]).await?).await?;
    let runs = scene.begin().await?;
    scene.closed(scene.customers() / 4).await;

    let leaving = &mut scene.stack.controllers[1].program;
    assert!(leaving.terminate().await?.success(), "{}", leaving.log());
    let closed = scene.closed(scene.customers() / 2).await;
    assert!(
        closed < scene.customers(),
        "all runs ended before a controller left"
    );
    scene.stack.controllers[1].up().await?;
    scene.closed(scene.customers()).await;
    scene.check(&runs).await?;

    // Each worker knows one controller, so what it did was granted by that one.
    let done = done_by(&scene, &runs).await?;
    for program in scene.connectors.iter().chain(&scene.executors) {
        assert!(
            done.contains_key(program.name()),
            "{} did nothing: {done:?}",
            program.name()
        );
    }
    for program in scene.connectors.iter().chain(&scene.executors) {
        let connected = || scene.stack.api.connected(program.name());
        wait::until("all workers are back", connected).await;
    }
    Ok(())
}

/// How many steps each worker did, by name.
async fn done_by(scene: &Onboarding, runs: &[String]) -> anyhow::Result<BTreeMap<String, usize>> {
    let workers = scene.stack.api.workers().await?;
    let mut done = BTreeMap::new();
    for run in runs {
        for step in scene.stack.api.run(run).await?.steps {
            if let Some(worker) = workers
                .iter()
                .find(|worker| worker.worker_id == step.worker_id)
            {
                *done.entry(worker.name.clone()).or_default() += 1;
            }
        }
    }
    Ok(done)
}
