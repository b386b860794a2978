//! Who is on a step, as people see it.

use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::workflow::v1::{ApplyDefinitionRequest, RunHealth, StepStatus};

use crate::stack::{SOURCE, Stack, registration};

#[tokio::test]
async fn a_step_says_that_nobody_could_take_it_then_who_did() {
    let (stack, operator) = Stack::start().await;
    let apply = ApplyDefinitionRequest {
        source: SOURCE.into(),
        allow_unregistered: true,
        ..Default::default()
    };
    operator.apply(apply).await.expect("applies");
    let started = operator.greet("k", r#"{"name":"Ana"}"#).await;
    let run_id = started.expect("starts").run.expect("a run").run_id;

    let stuck = operator.look(&run_id).await;
    assert_eq!(stuck.health(), RunHealth::Stalled, "{stuck:?}");
    assert!(stuck.stalled_since.is_some());
    assert_eq!(stuck.steps[0].status(), StepStatus::Ready);
    let why = "no eligible executor for `text.greet`: no worker has registered it";
    assert_eq!(stuck.steps[0].waiting_for, why);
    assert!(stuck.waiting_for.contains(why), "{}", stuck.waiting_for);

    let connector = stack.add_connector(&operator).await;
    let mut tasks = connector.tasks();
    tasks
        .register(registration("text.greet"))
        .await
        .expect("registers");
    let offered = operator.look(&run_id).await;
    assert_eq!(offered.health(), RunHealth::Ok, "{offered:?}");
    assert_eq!(offered.steps[0].status(), StepStatus::Ready);

    let lease = worker::LeaseTasksRequest {
        slots: 1,
        wait: Some(prost_types::Duration {
            seconds: 20,
            nanos: 0,
        }),
        ..Default::default()
    };
    let granted = tasks.lease_tasks(lease).await.expect("an answer");
    assert_eq!(granted.into_inner().tasks.len(), 1);
    let running = operator.look(&run_id).await;
    let step = &running.steps[0];
    assert_eq!(step.status(), StepStatus::Running, "{step:?}");
    assert_eq!(step.worker_name, "text-box");
    assert_eq!(step.worker_id, connector.id);
    assert!(step.leased_at.is_some());
    assert_eq!(running.health(), RunHealth::Ok);
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}
