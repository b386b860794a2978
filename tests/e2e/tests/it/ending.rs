//! Every program ends when it is asked to.

use fulcrum_e2e::stack::Stack;
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
