//! The example.

use fulcrum_e2e::onboarding::Onboarding;
use fulcrum_e2e::stack::Stack;

#[tokio::test]
async fn two_hundred_customers_are_welcomed_once_each() -> anyhow::Result<()> {
    let mut scene = Onboarding::start(Stack::start().await?).await?;
    let runs = scene.begin().await?;
    let again = scene.begin().await?;
    assert_eq!(runs, again, "a customer's address is the key of the run");
    scene.closed(scene.customers()).await;
    let happened = scene.check(&runs).await?;
    assert!(
        happened["AttemptFailed"] > 0,
        "the billing service has moods"
    );
    assert!(
        !happened.contains_key("LeaseExpired"),
        "nobody was disturbed: {happened:?}"
    );

    let Onboarding {
        billing,
        connectors,
        executors,
        stack,
        ..
    } = &mut scene;
    let controller = &mut stack.controllers[0].program;
    for program in connectors
        .iter_mut()
        .chain(executors)
        .chain([controller, billing])
    {
        assert!(
            program.terminate().await?.success(),
            "{}:\n{}",
            program.name(),
            program.log()
        );
    }
    Ok(())
}
