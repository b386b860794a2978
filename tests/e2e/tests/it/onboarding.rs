//! The example.

use fulcrum_e2e::onboarding::Onboarding;
use fulcrum_e2e::stack::Stack;

#[tokio::test]
async fn two_hundred_customers_are_welcomed_once_each() -> anyhow::Result<()> {
    let scene = Onboarding::start(Stack::start().await?).await?;
    let runs = scene.begin().await?;
    let again = scene.begin().await?;
    assert_eq!(runs, again, "a customer's address is the key of the run");
    scene.closed(scene.customers()).await;
    scene.check(&runs).await
}
