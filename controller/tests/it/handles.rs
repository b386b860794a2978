//! What uploads and handles are refused for.

use fulcrum_controller::config::Config;
use fulcrum_controller::foundation::Foundation;
use fulcrum_controller::grpc::payloads::seal::{Handle, HandleSeal};
use fulcrum_core::time::Timestamp;
use fulcrum_proto::common::v1::{ErrorReason, Payload, PayloadHandle};
use fulcrum_proto::payload::v1::UploadPayloadRequest;
use fulcrum_proto::payload::v1::payload_service_client::PayloadServiceClient;
use fulcrum_proto::payload::v1::upload_payload_request::Part;
use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::workflow::v1 as workflow;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::carrier::{header, header_in, open_ended, parts, pieces, text};
use crate::stack::{Member, SOURCE, Stack, assert_reason, config, registration};

/// What precedes the body of a handle: version and tag.
const SEAL_BYTES: usize = 17;

async fn site() -> (Stack, Member) {
    site_with(|_| {}).await
}

async fn site_with(change: impl FnOnce(&mut Config)) -> (Stack, Member) {
    let (stack, operator) = Stack::start_with(change).await;
    let definition = workflow::ApplyDefinitionRequest {
        source: SOURCE.into(),
        allow_unregistered: true,
        ..Default::default()
    };
    operator.apply(definition).await.expect("applies");
    (stack, operator)
}

fn blobs(stack: &Stack) -> String {
    stack.database.ask("select count(*) from blobs")
}

fn limit_of(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    info.metadata.get("limit").cloned()
}

fn with_bytes(payload: &Payload, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Payload {
    let handle = payload.handle().expect("readable").expect("a handle");
    let bytes = change(handle.handle.to_vec());
    PayloadHandle {
        handle: bytes.into(),
        ..handle
    }
    .into()
}

#[tokio::test]
async fn a_handle_that_was_changed_or_has_expired_is_refused() {
    let (stack, operator) = site().await;
    let good = operator.upload(r#"{"name":"Ana"}"#).await;
    let changed = with_bytes(&good, |mut bytes| {
        bytes[SEAL_BYTES + 3] ^= 1;
        bytes
    });
    let refused = operator.greet_with("", changed).await.expect_err("changed");
    assert_reason(&refused, Code::InvalidArgument, ErrorReason::HandleInvalid);

    let foundation = Box::pin(Foundation::lay(&config(&stack.database.url()))).await;
    let seal = HandleSeal::new(&foundation.expect("a foundation").paging_key);
    let aged = |expires_at| {
        with_bytes(&good, |bytes| {
            let handle: Handle = postcard::from_bytes(&bytes[SEAL_BYTES..]).expect("a handle");
            seal.close(&Handle {
                expires_at,
                ..handle
            })
        })
    };
    let refused = operator.greet_with("", aged(Timestamp(1))).await;
    let refused = refused.expect_err("expired");
    assert_reason(
        &refused,
        Code::FailedPrecondition,
        ErrorReason::HandleExpired,
    );
    let far = aged(Timestamp(i64::MAX));
    operator.greet_with("", far).await.expect("not expired");
    operator.greet_with("", good).await.expect("good");
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn a_handle_is_worth_nothing_to_others() {
    let (stack, operator) = site().await;
    let connector = stack.add_connector(&operator).await;
    let registered = connector.tasks().register(registration("text.greet")).await;
    registered.expect("registers");
    let large = format!(r#"{{"name":{}}}"#, text(10_000));
    let theirs = connector.upload(&large).await;
    let refused = operator
        .greet_with("", theirs)
        .await
        .expect_err("another's");
    assert_reason(&refused, Code::InvalidArgument, ErrorReason::HandleInvalid);
    // Nor may one that stands for a value be used to read it.
    let own = operator.upload(&large).await;
    let refused = operator.read(&own).await.expect_err("for another use");
    assert_reason(&refused, Code::InvalidArgument, ErrorReason::HandleInvalid);

    operator.greet_with("", own).await.expect("starts");
    let request = worker::LeaseTasksRequest {
        slots: 1,
        wait: Some(prost_types::Duration {
            seconds: 20,
            nanos: 0,
        }),
        whole_bytes_max: 1,
        ..Default::default()
    };
    let leased = connector.tasks().lease_tasks(request).await;
    let task = leased.expect("an answer").into_inner().tasks.remove(0);
    let input = task.input.expect("an input");
    let token = stack.token(&operator, "other-box").await.expect("a token");
    let other = stack.enrol(&token).await.expect("enrols");
    let refused = other.read(&input).await.expect_err("another's lease");
    assert_reason(&refused, Code::InvalidArgument, ErrorReason::HandleInvalid);
    assert_eq!(connector.read(&input).await.expect("its own"), large);
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn nobody_uploads_into_a_namespace_beyond_his_reach() {
    let (stack, operator) = site().await;
    let refused = operator.send(parts([header_in("other", 1)])).await;
    let refused = refused.expect_err("beyond reach");
    assert_reason(
        &refused,
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
    );
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let (stack, operator) = site().await;
    let half = || [header(400_000)].into_iter().chain(pieces("\"half"));
    let short = operator
        .send(parts(half()))
        .await
        .expect_err("it ended early");
    assert_reason(&short, Code::InvalidArgument, ErrorReason::InvalidRequest);
    let long = [header(2)].into_iter().chain(pieces("\"long\""));
    let long = operator
        .send(parts(long))
        .await
        .expect_err("more than said");
    assert_reason(&long, Code::InvalidArgument, ErrorReason::InvalidRequest);
    for strange in [vec![], vec![header(0)], vec![header(0), header(0)]] {
        let refused = operator.send(parts(strange)).await.expect_err("no value");
        assert_reason(&refused, Code::InvalidArgument, ErrorReason::InvalidRequest);
    }
    let headless = operator
        .send(parts(pieces("1")))
        .await
        .expect_err("no header");
    assert_reason(
        &headless,
        Code::InvalidArgument,
        ErrorReason::InvalidRequest,
    );
    let huge = Part::Piece(vec![b' '; 300_000].into());
    let refused = operator.send(parts([header(0), huge])).await;
    let refused = refused.expect_err("a piece is too large");
    assert_reason(&refused, Code::InvalidArgument, ErrorReason::InvalidRequest);
    assert_eq!(blobs(&stack), "0");
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let (stack, operator) = site().await;
    let max = 4 << 20;
    let told = operator.send(open_ended([header(max + 1)])).await;
    let value = "x".repeat(max as usize + 1);
    let untold = [header(0)].into_iter().chain(pieces(&value));
    for refused in [told, operator.send(open_ended(untold)).await] {
        let refused = refused.expect_err("too large");
        assert_reason(
            &refused,
            Code::InvalidArgument,
            ErrorReason::PayloadTooLarge,
        );
        assert_eq!(limit_of(&refused).as_deref(), Some("payload_bytes_max"));
    }
    assert_eq!(blobs(&stack), "0");
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn whoever_sends_nothing_for_too_long_is_not_waited_for() {
    let (stack, operator) = Stack::start_with(|config| config.server.payload_idle_ms = 100).await;
    for silent in [vec![], vec![header(9)]] {
        let refused = operator
            .send(open_ended(silent))
            .await
            .expect_err("silence");
        assert_reason(&refused, Code::Aborted, ErrorReason::StreamStalled);
    }
    stack.controller.shut_down().await;
}

/// Starts an upload that goes on until it is cut, and comes back when there is no room for another.
async fn filled(operator: &Member, size: u64, limit: &str) -> JoinHandle<()> {
    let open = tokio::spawn(fill(operator.values(), size));
    loop {
        match operator.send(parts([header(1), one_byte()])).await {
            Ok(_) => {}
            Err(full) => {
                assert_reason(&full, Code::ResourceExhausted, ErrorReason::Overloaded);
                assert_eq!(limit_of(&full).as_deref(), Some(limit));
                assert!(full.get_details_retry_info().is_some());
                return open;
            }
        }
    }
}

/// Begins until it is the one that has the room, and goes on for ever.
async fn fill(mut values: PayloadServiceClient<Channel>, size: u64) {
    loop {
        let (sender, begun) = mpsc::channel(1);
        let first = UploadPayloadRequest {
            part: Some(header(size)),
        };
        sender.send(first).await.expect("there is room for one");
        match values.upload_payload(ReceiverStream::new(begun)).await {
            Err(status) if status.code() == Code::ResourceExhausted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn one_byte() -> Part {
    Part::Piece("1".into())
}

#[tokio::test]
async fn memory_for_uploads_and_their_number_are_bounded() {
    let max: u32 = 1 << 20;
    let (stack, operator) = Stack::start_with(|config| {
        config.limits.payload_bytes_max = max;
        config.server.payload_stream_bytes_max = max;
        config.server.payload_streams_per_identity_max = 40;
    })
    .await;
    let open = filled(&operator, max.into(), "server.payload_stream_bytes_max").await;
    // Whoever does not say how much will come takes as much.
    let untold = operator.send(parts([header(0), one_byte()])).await;
    assert_eq!(untold.expect_err("no room").code(), Code::ResourceExhausted);
    open.abort();
    // The room comes back with the end of the call that had it, however it ends.
    while operator.send(parts([header(1), one_byte()])).await.is_err() {}
    // Many at once: each is taken or asked to come back, and none is lost.
    let value = text(300_000);
    let uploads = (0..24).map(|_| async {
        loop {
            let whole = [header(value.len() as u64)]
                .into_iter()
                .chain(pieces(&value));
            match operator.send(parts(whole)).await {
                Ok(handle) => return handle,
                Err(full) => {
                    assert_reason(&full, Code::ResourceExhausted, ErrorReason::Overloaded);
                }
            }
        }
    });
    let handles = futures_util::future::join_all(uploads).await;
    assert!(handles.iter().all(|one| one.sha256 == handles[0].sha256));
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn one_identity_has_so_many_streams_and_others_have_theirs() {
    let (stack, operator) =
        Stack::start_with(|config| config.server.payload_streams_per_identity_max = 1).await;
    let connector = stack.add_connector(&operator).await;
    let _open = filled(&operator, 9, "server.payload_streams_per_identity_max").await;
    connector.upload("1").await;
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn values_that_never_have_room_together_are_refused_for_good() {
    let max: u32 = 1 << 20;
    let (stack, operator) = site_with(|config| {
        config.limits.payload_bytes_max = max;
        config.server.payload_stream_bytes_max = max;
    })
    .await;
    let connector = stack.add_connector(&operator).await;
    let registered = connector.tasks().register(registration("text.greet")).await;
    registered.expect("registers");
    let input = operator.upload(r#"{"name":"Ana"}"#).await;
    operator.greet_with("", input).await.expect("starts");
    let request = worker::LeaseTasksRequest {
        slots: 1,
        wait: Some(prost_types::Duration {
            seconds: 20,
            nanos: 0,
        }),
        ..Default::default()
    };
    let leased = connector.tasks().lease_tasks(request).await;
    let lease = leased
        .expect("an answer")
        .into_inner()
        .tasks
        .remove(0)
        .lease;

    let value = connector.upload(&text(700_000)).await;
    let call = |n: u8| worker::ParkedOperation {
        name: format!("call-{n}"),
        input_digest: vec![n; 32].into(),
        operation: Some(worker::parked_operation::Operation::Call(
            worker::CallOperation {
                capability: "text.greet".to_owned(),
                input: Some(value.clone()),
            },
        )),
    };
    let parked = |operations| worker::ReportTasksRequest {
        reports: vec![worker::TaskReport {
            lease: lease.clone(),
            outcome: Some(worker::task_report::Outcome::Parked(
                worker::ParkedOutcome { operations },
            )),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut results = Vec::new();
    for operations in [vec![call(1), call(2)], vec![call(1)]] {
        let answer = connector.tasks().report_tasks(parked(operations)).await;
        let result = answer.expect("an answer").into_inner().results.remove(0);
        results.push(result.result.expect("a result"));
    }
    let worker::task_report_result::Result::Error(refused) = &results[0] else {
        panic!("both were taken: {results:?}");
    };
    assert_eq!(refused.reason(), ErrorReason::LimitExceeded);
    assert!(refused.retry_after.is_none(), "it never fits");
    assert!(
        matches!(results[1], worker::task_report_result::Result::Accepted(_)),
        "each by itself has room: {results:?}"
    );
    stack.controller.shut_down().await;
}
