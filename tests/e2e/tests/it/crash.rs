//! Pulling the plug of everything, one after the other, while 200 runs are under way.

use fulcrum_e2e::onboarding::Onboarding;
use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;

#[tokio::test]
async fn nothing_is_lost_or_done_twice_when_each_process_is_killed_in_the_middle()
-> anyhow::Result<()> {
    let mut scene = Onboarding::start(Stack::start().await?).await?;
    let runs = scene.begin().await?;
    let fifth = scene.customers() / 5;

    under_way(&scene, fifth).await;
    scene.stack.controllers[0].program.kill()?;
    scene.stack.controllers[0].up().await?;

    under_way(&scene, 2 * fifth).await;
    scene.executors[0].kill()?;
    scene.executors[0].start()?;

    under_way(&scene, 3 * fifth).await;
    stop_at_work(&scene).await;
    scene.connectors[0].kill()?;
    scene.connectors[0].start()?;

    under_way(&scene, 4 * fifth).await;
    scene.stack.postgres.crash()?;
    scene.stack.postgres.up()?;

    scene.closed(scene.customers()).await;
    let happened = scene.check(&runs).await?;
    assert!(
        happened.contains_key("LeaseExpired"),
        "no kill cut off any work: {happened:?}"
    );
    let controller = &mut scene.stack.controllers[0].program;
    assert_eq!(
        controller.ended(),
        None,
        "the controller waits for its database:\n{}",
        controller.log()
    );
    Ok(())
}

/// Waits until so many runs are closed; some must be under way still.
async fn under_way(scene: &Onboarding, closed: usize) {
    let closed = scene.closed(closed).await;
    assert!(
        closed < scene.customers(),
        "all runs ended before they could be disturbed"
    );
}

/// Stops the connector at a moment when it holds a task, so that the kill to come cuts off work.
async fn stop_at_work(scene: &Onboarding) {
    let holds = || {
        scene.stack.postgres.value(
            "select count(*) from tasks where state = 'leased' and capability <> 'text.render'",
        )
    };
    wait::until("the connector is stopped at work", || async {
        scene.connectors[0].signal("STOP")?;
        // The second look is for a report that was on its way at the first.
        if holds()? != "0" && holds()? != "0" {
            return Ok(());
        }
        scene.connectors[0].signal("CONT")?;
        anyhow::bail!("it held no task")
    })
    .await;
}
