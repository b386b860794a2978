//! Every program ends when it is asked to, and finishes what it began.

use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;
use serde_json::{Value, json};

#[tokio::test]
async fn a_workflow_runs_and_every_program_ends_well_when_asked_to() -> anyhow::Result<()> {
    let mut stack = Stack::start().await?;
    let mut executor = stack.executor("executor", 0, None).await?;
    let connector = "capabilities:\n  - { name: a.date, effect: read, script: { argv: [/bin/date], stdout: text } }\n";
    let mut connector = stack.connector("connector", 0, connector).await?;

    stack.api.apply(
        "workflow: hello\nsteps:\n  - id: say\n    call: text.render\n    with: { template: 'hi {{ name }}', values: { name: Ada } }\noutput: \"${steps.say.output.text}\"\n",
    ).await?;
    let run = stack.api.start("hello", &Value::Null).await?;
    assert_eq!(stack.api.output(&run).await, json!("hi Ada"));

    assert!(
        connector.terminate().await?.success(),
        "{}",
        connector.log()
    );
    assert!(executor.terminate().await?.success(), "{}", executor.log());
    let controller = &mut stack.controllers[0].program;
    assert!(
        controller.terminate().await?.success(),
        "{}",
        controller.log()
    );
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_first_finishes_its_task() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let connector = "capabilities:\n  - { name: a.nap, effect: outward, script: { argv: [/bin/sleep, '2'], stdout: text } }\n";
    let mut connector = stack.connector("connector", 0, connector).await?;
    stack
        .api
        .apply("workflow: nap\nsteps:\n  - { id: nap, call: a.nap, with: {} }\n")
        .await?;
    let run = stack.api.start("nap", &Value::Null).await?;
    wait::until("the nap has begun", || async {
        let leased = stack
            .postgres
            .value("select count(*) from tasks where state = 'leased'")?;
        anyhow::ensure!(leased == "1", "{leased} tasks are leased");
        Ok(())
    })
    .await;

    assert!(
        connector.terminate().await?.success(),
        "{}",
        connector.log()
    );
    stack.api.output(&run).await;
    let events = stack.api.events(&run).await?;
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert!(
        !kinds.contains(&"LeaseExpired") && !kinds.contains(&"AttemptFailed"),
        "{kinds:?}"
    );
    Ok(())
}
