//! What holders of leases hear when their work is not wanted any more.

use fulcrum_controller::engine::beating::Standing;
use fulcrum_controller::engine::handle::{Addressed, EngineError};
use fulcrum_controller::engine::item::LaneError;
use fulcrum_controller::engine::token::LeaseToken;
use fulcrum_core::decide::Rejection;
use fulcrum_core::event::Actor;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::RunStatus;
use serde_json::{Value, json};

use crate::engine::{NAMESPACE, WORKER, World, world};

const TWO_AT_ONCE: &str = "workflow: two
steps:
  - id: both
    parallel:
      - { id: one, call: test.one, with: { n: 1 } }
      - { id: other, call: test.other, with: { n: 2 } }
";

async fn cancel(world: &World, run: RunId) {
    let to = Addressed {
        actor: Actor::Operator("founder".to_owned()),
        namespace: NAMESPACE,
        run,
        request: None,
        trace: None,
    };
    let cancelled = world.engine.cancel(to, "enough".to_owned()).await;
    cancelled.expect("cancelled");
}

#[tokio::test]
async fn the_holder_of_a_cancelled_task_may_wind_up_and_changes_nothing_any_more() {
    let world = world(&[TWO_AT_ONCE]);
    let run = world.start("two", json!({}), None).await.expect("started");
    let one = world.lease("test.one", 1).await.remove(0);
    let other = world.lease("test.other", 1).await.remove(0);
    let tokens = [LeaseToken::of(&one.task), LeaseToken::of(&other.task)];
    world
        .complete(&other, json!("done"))
        .await
        .expect("accepted");
    let standings = world.engine.heartbeat(WORKER, &tokens).await;
    let standings = standings.expect("a heartbeat");
    assert!(matches!(standings[0], Standing::Held(_)), "{standings:?}");
    assert_eq!(standings[1], Standing::Lost, "it is done with");

    cancel(&world, run.run()).await;
    let standings = world.engine.heartbeat(WORKER, &tokens).await;
    assert_eq!(
        standings.expect("a heartbeat"),
        [Standing::Cancelled, Standing::Lost]
    );
    let late = world.complete(&one, json!("late")).await;
    assert!(
        matches!(
            late,
            Err(EngineError::Lane(LaneError::Rejected(
                Rejection::LeaseLost(_) | Rejection::RunClosed(_)
            )))
        ),
        "{late:?}"
    );
    assert_eq!(
        world.closed(run.run()).await,
        (RunStatus::Cancelled, Value::Null)
    );
    world.end().await;
}
