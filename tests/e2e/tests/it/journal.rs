//! The journal: a capability that waits holds no slot, and what it completed is not done again, whoever dies.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_e2e::stack::Stack;
use fulcrum_proto::review::v1::Decision;
use fulcrum_sdk::{Capability, Context, Failure, Question, capability};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::crew::Crew;
use crate::stage::{Stage, capabilities, read};
use crate::story;

#[derive(Deserialize, JsonSchema)]
struct Saga {
    name: String,
}

/// Every operation of the journal, one after the other. A note is left at each grant and in each step.
async fn saga(stage: Arc<Stage>, ctx: Context, input: Saga) -> Result<Value, Failure> {
    let name = input.name;
    stage.note(format!("{name} granted"));
    let step = |which: &str| {
        let (stage, note) = (Arc::clone(&stage), format!("{name} {which}"));
        async move {
            stage.note(&note);
            Ok(note)
        }
    };
    let first: String = ctx.step("first", step("first")).await?;
    ctx.sleep("nap", Duration::from_millis(300)).await?;
    let second: String = ctx.step("second", step("second")).await?;
    let called: Value = ctx
        .call("called", "test.echo", &json!({ "value": [first] }))
        .await?;
    let question = Question::new("Shall it go on?", json!({ "second": second })).editable();
    let decided = ctx.review("asked", question).await?;
    let paid: Option<Value> = ctx.wait("paid", "paid", None).await?;
    let held: String = ctx
        .step("held", async {
            stage.pass(&format!("{name} held")).await;
            stage.note(format!("{name} held"));
            Ok("held".to_owned())
        })
        .await?;
    let missed: Option<Value> = ctx
        .wait("missed", "missed", Some(Duration::from_millis(100)))
        .await?;
    Ok(
        json!({ "called": called, "decided": decided.value, "paid": paid, "held": held, "missed": missed }),
    )
}

fn with_saga(stage: &Arc<Stage>) -> Vec<Arc<dyn Capability>> {
    let acting = Arc::clone(stage);
    let saga = capability(read("test.saga"), move |ctx, input| {
        saga(Arc::clone(&acting), ctx, input)
    });
    let mut all = capabilities(stage);
    all.push(Arc::new(saga));
    all
}

/// A stack with one worker that has one slot.
async fn place() -> anyhow::Result<(Stack, Arc<Stage>, Crew)> {
    let stack = Stack::start().await?;
    let stage = Stage::new();
    let crew = Crew::join(&stack, "crew", 1, with_saga(&stage)).await?;
    story::apply(&stack.api, &["saga", "note"]).await?;
    Ok((stack, stage, crew))
}

/// How often each step of a saga was done.
fn done(stage: &Stage, name: &str) -> [usize; 3] {
    ["first", "second", "held"].map(|step| stage.count(&format!("{name} {step}")))
}

const GIVEN: &str =
    r#"{ "called": ["ada first"], "decided": 7, "paid": 8, "held": "held", "missed": null }"#;

#[tokio::test]
async fn a_task_that_waits_gives_up_its_slot_and_repeats_nothing() -> anyhow::Result<()> {
    let (stack, stage, _crew) = place().await?;
    let api = &stack.api;

    // The one slot is free while the saga sleeps and while its own call runs, or that call could never be done.
    let run = api.start("saga", &json!({ "name": "ada" })).await?;
    let asked = story::asked(api, &run).await;
    assert_eq!((&*asked.title, asked.editable), ("Shall it go on?", true));
    let note = json!({ "text": "done meanwhile" });
    assert_eq!(
        story::output(api, "note", &note).await?,
        json!("done meanwhile")
    );

    api.decide(&asked, Decision::Approve, Some(&json!(7)))
        .await?;
    story::waiting(api, &run, "saga/paid").await;
    assert_eq!(
        story::output(api, "note", &note).await?,
        json!("done meanwhile")
    );
    api.signal(&run, "paid", &json!(8)).await?;
    stage.open("ada held");

    assert_eq!(
        api.output(&run).await,
        serde_json::from_str::<Value>(GIVEN)?
    );
    let failures = story::failures(api, &run).await?;
    assert!(failures.is_empty(), "{failures:#?}");
    let told = story::told(api, &run).await?;
    assert_eq!(done(&stage, "ada"), [1, 1, 1], "{told:#?}");
    assert!(
        stage.count("ada granted") >= 5,
        "granted again after each wait: {:?}",
        stage.scene()
    );
    story::assert_told(
        &told,
        &[
            "StepOpened saga",
            "JournalRecorded saga",
            "StepParked saga",
            "StepResumed saga",
            "StepCompleted saga/called",
            "ReviewDecided saga/asked",
            "SignalConsumed saga/paid",
            "StepCompleted saga",
        ],
    );
    Ok(())
}

#[tokio::test]
async fn the_death_of_its_worker_repeats_only_the_step_under_way() -> anyhow::Result<()> {
    let (stack, stage, mut crew) = place().await?;
    let api = &stack.api;

    // While it is parked: nobody holds it.
    let run = api.start("saga", &json!({ "name": "ada" })).await?;
    let asked = story::asked(api, &run).await;
    crew.die().await;
    api.decide(&asked, Decision::Approve, Some(&json!(7)))
        .await?;
    api.signal(&run, "paid", &json!(8)).await?;
    crew.work();
    // In the middle of a step: its lease runs out first.
    stage.reached("ada held").await;
    crew.die().await;
    assert_eq!(stage.scene().held, 0, "the step died with the worker");
    stage.open("ada held");
    crew.work();

    assert_eq!(
        api.output(&run).await,
        serde_json::from_str::<Value>(GIVEN)?
    );
    assert_eq!(done(&stage, "ada"), [1, 1, 1], "{:?}", stage.scene());
    let told = story::told(api, &run).await?;
    story::assert_told(
        &told,
        &["StepParked saga", "LeaseExpired saga", "StepCompleted saga"],
    );
    Ok(())
}

#[tokio::test]
async fn the_death_of_the_controller_is_waited_out() -> anyhow::Result<()> {
    let (mut stack, stage, _crew) = place().await?;
    let api = stack.api.clone();

    // While it is parked.
    let run = api.start("saga", &json!({ "name": "ada" })).await?;
    let asked = story::asked(&api, &run).await;
    stack.controllers[0].program.kill()?;
    stack.controllers[0].up().await?;
    api.decide(&asked, Decision::Approve, Some(&json!(7)))
        .await?;
    api.signal(&run, "paid", &json!(8)).await?;
    // In the middle of a step, which ends while nobody is there to record it.
    stage.reached("ada held").await;
    stack.controllers[0].program.kill()?;
    stage.open("ada held");
    stage
        .until("the step is done", |scene| scene.held == 0)
        .await;
    stack.controllers[0].up().await?;

    assert_eq!(
        api.output(&run).await,
        serde_json::from_str::<Value>(GIVEN)?
    );
    assert_eq!(
        done(&stage, "ada"),
        [1, 1, 1],
        "the holder is still there: {:?}",
        stage.scene()
    );
    story::told(&api, &run).await?;
    Ok(())
}

#[tokio::test]
async fn a_task_that_waits_can_be_cancelled_with_all_it_waits_for() -> anyhow::Result<()> {
    let (stack, stage, _crew) = place().await?;
    let api = &stack.api;

    let run = api.start("saga", &json!({ "name": "ada" })).await?;
    story::asked(api, &run).await;
    api.cancel(&run).await?;
    let closed = api.closed(&run).await;
    assert_eq!(
        closed.status(),
        fulcrum_proto::workflow::v1::RunStatus::Cancelled,
        "{closed:#?}"
    );
    assert!(
        api.open_reviews().await?.is_empty(),
        "the question is withdrawn"
    );
    assert_eq!(done(&stage, "ada"), [1, 1, 0]);
    Ok(())
}
