//! Values that are larger than a message, from their start to their end.

use fulcrum_controller::config::Config;
use fulcrum_proto::common::v1::{ErrorReason, Payload};
use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::workflow::v1 as workflow;

use crate::carrier::{header, parts, pieces, text};
use crate::stack::{Member, NAMESPACE, SOURCE, Stack, json, registration};

/// The largest value of these tests: more than one message carries.
const LARGE: usize = 9 << 20;
const SIGNALLED: &str =
    "workflow: hear\nsteps:\n  - id: heard\n    wait: word\noutput: \"${steps.heard.output}\"\n";

fn above_a_message(config: &mut Config) {
    config.limits.payload_bytes_max = 16 << 20;
}

async fn site(change: impl FnOnce(&mut Config)) -> (Stack, Member, Member) {
    let (stack, operator) = Stack::start_with(change).await;
    let connector = stack.add_connector(&operator).await;
    let registered = connector.tasks().register(registration("text.greet")).await;
    registered.expect("registers");
    for source in [SOURCE, SIGNALLED] {
        let definition = workflow::ApplyDefinitionRequest {
            source: source.into(),
            ..Default::default()
        };
        operator.apply(definition).await.expect("applies");
    }
    (stack, operator, connector)
}

async fn lease(connector: &Member, whole_bytes_max: u64) -> worker::Task {
    let wait = prost_types::Duration {
        seconds: 20,
        nanos: 0,
    };
    let request = worker::LeaseTasksRequest {
        slots: 1,
        wait: Some(wait),
        whole_bytes_max,
        ..Default::default()
    };
    let answer = connector.tasks().lease_tasks(request).await;
    answer.expect("an answer").into_inner().tasks.remove(0)
}

async fn report(connector: &Member, lease: &[u8], output: Payload) {
    let result = reported(connector, lease, output).await;
    let accepted = worker::task_report_result::Result::Accepted(worker::ReportAccepted {});
    assert_eq!(result, Some(accepted));
}

async fn reported(
    connector: &Member,
    lease: &[u8],
    output: Payload,
) -> Option<worker::task_report_result::Result> {
    let outcome = worker::CompletedOutcome {
        output: Some(output),
    };
    let report = worker::TaskReport {
        lease: lease.to_vec().into(),
        outcome: Some(worker::task_report::Outcome::Completed(outcome)),
        ..Default::default()
    };
    let request = worker::ReportTasksRequest {
        reports: vec![report],
        ..Default::default()
    };
    let answer = connector.tasks().report_tasks(request).await;
    let result = answer.expect("an answer").into_inner().results.remove(0);
    result.result
}

async fn show(operator: &Member, run_id: &str, whole_bytes_max: u64) -> workflow::Run {
    let request = workflow::GetRunRequest {
        namespace: NAMESPACE.to_owned(),
        run_id: run_id.to_owned(),
        include_steps: true,
        whole_bytes_max,
    };
    let answer = operator.runs().get_run(request).await.expect("an answer");
    answer.into_inner().run.expect("a run")
}

#[tokio::test]
async fn a_value_larger_than_a_message_goes_in_through_a_worker_and_out_again() {
    let (stack, operator, connector) = site(above_a_message).await;
    let name = text(LARGE);
    let input = format!(r#"{{"name":{name}}}"#);
    let run_id = operator.greet_with("", operator.upload(&input).await).await;
    let run_id = run_id.expect("starts");

    let task = lease(&connector, 1 << 20).await;
    assert_eq!(task.run_id, run_id);
    let got = task.input.expect("an input");
    assert_eq!(connector.read(&got).await.expect("may be read"), input);
    // Whoever is not known here can report, as after a restart of the controller; only that this is another's lease.
    let token = stack.token(&operator, "other-box").await.expect("a token");
    let other = stack.enrol(&token).await.expect("enrols");
    let refused = reported(&other, &task.lease, other.upload(&name).await).await;
    let Some(worker::task_report_result::Result::Error(error)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(error.reason(), ErrorReason::LeaseLost, "{error:?}");
    let output = connector.upload(&name).await;
    report(&connector, &task.lease, output.clone()).await;
    // Handed in again because its answer was lost.
    report(&connector, &task.lease, output).await;

    let run = show(&operator, &run_id, 1 << 20).await;
    assert_eq!(run.status(), workflow::RunStatus::Completed);
    for (shown, value) in [
        (&run.input, &input),
        (&run.output, &name),
        (&run.steps[0].output, &name),
    ] {
        let shown = shown.as_ref().expect("a value");
        assert_eq!(&operator.read(shown).await.expect("may be read"), value);
    }
    let blind = show(&operator, &run_id, 0).await;
    assert_eq!(
        (blind.input, blind.output),
        (None, None),
        "no room for them"
    );
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn a_worker_that_knows_no_handles_gets_its_values_whole() {
    let (stack, operator, connector) = site(|_| {}).await;
    let input = format!(r#"{{"name":{}}}"#, text(3 << 20));
    let run_id = operator.greet_with("", operator.upload(&input).await).await;
    let task = lease(&connector, 0).await;
    assert_eq!(task.run_id, run_id.expect("starts"));
    assert_eq!(task.input, json(&input));
    report(&connector, &task.lease, json("1").expect("a payload")).await;
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn a_read_goes_on_where_it_broke_off() {
    let (stack, operator, connector) = site(|_| {}).await;
    let input = format!(r#"{{"name":{}}}"#, text(3 << 20));
    let run_id = operator.greet_with("", operator.upload(&input).await).await;
    let task = lease(&connector, 1).await;
    let got = task.input.expect("an input").handle().expect("readable");
    let got = got.expect("a handle");
    for offset in [0, 1, 1_234_567, input.len() - 1, input.len()] {
        let rest = connector.read_from(&got, offset as u64).await;
        assert!(
            rest.expect("readable") == input.as_bytes()[offset..],
            "{offset}"
        );
    }
    let beyond = connector.read_from(&got, input.len() as u64 + 1).await;
    assert_eq!(
        beyond.expect_err("beyond the end").code(),
        tonic::Code::InvalidArgument
    );
    assert!(run_id.is_ok());
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn a_signal_and_a_start_may_carry_handles_and_a_repeated_call_another_for_the_same_value() {
    let (stack, operator, _connector) = site(|_| {}).await;
    let word = text(1 << 20);
    let spec = workflow::RunSpec {
        definition: Some(workflow::run_spec::Definition::Workflow("hear".to_owned())),
        ..Default::default()
    };
    let start = workflow::StartRunRequest {
        namespace: NAMESPACE.to_owned(),
        spec: Some(spec),
        ..Default::default()
    };
    let started = operator.runs().start_run(start).await.expect("starts");
    let run_id = started.into_inner().run.expect("a run").run_id;
    for _ in 0..2 {
        let signal = workflow::SignalRunRequest {
            namespace: NAMESPACE.to_owned(),
            run_id: run_id.clone(),
            signal: "word".to_owned(),
            payload: Some(operator.upload(&word).await),
            request_id: "said once".to_owned(),
        };
        operator.runs().signal_run(signal).await.expect("heard");
    }
    let run = show(&operator, &run_id, 0).await;
    assert_eq!(run.output, json(&word));

    let input = format!(r#"{{"name":{word}}}"#);
    let first = operator
        .greet_with("once", operator.upload(&input).await)
        .await;
    let again = operator
        .greet_with("once", operator.upload(&input).await)
        .await;
    assert_eq!(first.expect("starts"), again.expect("is the same call"));
    let other = operator
        .greet_with("once", operator.upload(&word).await)
        .await;
    assert_eq!(
        other.expect_err("another value").code(),
        tonic::Code::AlreadyExists
    );
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn what_is_no_json_is_refused_when_it_is_used() {
    let (stack, operator, _connector) = site(|_| {}).await;
    let spoiled = operator
        .send(parts([header(5)].into_iter().chain(pieces("{oops"))))
        .await;
    let refused = operator
        .greet_with("", spoiled.expect("bytes are bytes").into())
        .await;
    let refused = refused.expect_err("no JSON");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    stack.controller.shut_down().await;
}
