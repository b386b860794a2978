//! Services about services, and what a controller says of itself when its database is gone.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::PATIENCE;
use crate::stack::{Member, Stack};

#[tokio::test]
async fn health_and_reflection_are_served_to_whom_they_concern() {
    let (stack, operator) = Stack::start().await;
    let mut health = HealthClient::new(operator.channel.clone());
    for service in ["", "fulcrum.workflow.v1.RunService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let ask = |channel: Channel| {
        let list = list.clone();
        async move {
            ServerReflectionClient::new(channel)
                .server_reflection_info(tokio_stream::once(list))
                .await
        }
    };
    let mut answers = ask(operator.channel.clone())
        .await
        .expect("an answer")
        .into_inner();
    let answer = answers
        .message()
        .await
        .expect("an answer")
        .expect("one")
        .message_response;
    let Some(MessageResponse::ListServicesResponse(listed)) = answer else {
        panic!("a list: {answer:?}")
    };
    assert!(
        listed
            .service
            .iter()
            .any(|service| service.name == "fulcrum.workflow.v1.RunService"),
        "{listed:?}"
    );

    let connector = stack.add_connector(&operator).await;
    let denied = ask(connector.channel)
        .await
        .expect_err("workers have no business with it");
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}

/// What `/readyz` and gRPC health say.
async fn said(stack: &Stack, operator: &Member) -> (bool, ServingStatus) {
    let mut probe = TcpStream::connect(stack.controller.addresses().http)
        .await
        .expect("the probes are alive");
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    probe.write_all(request).await.expect("sent");
    let mut answer = String::new();
    probe.read_to_string(&mut answer).await.expect("answered");
    let mut health = HealthClient::new(operator.channel.clone());
    let served = health.check(HealthCheckRequest::default()).await;
    let served = served.expect("health is told").into_inner().status();
    (answer.starts_with("HTTP/1.1 200"), served)
}

async fn until_said(stack: &Stack, operator: &Member, expected: (bool, ServingStatus)) {
    let reached = async {
        while said(stack, operator).await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, reached)
        .await
        .unwrap_or_else(|_| panic!("{expected:?} is never said"));
}

#[tokio::test]
async fn a_controller_without_its_database_is_not_ready_until_it_is_back() {
    let (stack, operator) = Stack::start().await;
    until_said(&stack, &operator, (true, ServingStatus::Serving)).await;
    // The roll of identities holds for a while without the database; health can be asked for in that time.
    stack.database.lock();
    until_said(&stack, &operator, (false, ServingStatus::NotServing)).await;
    stack.database.unlock();
    until_said(&stack, &operator, (true, ServingStatus::Serving)).await;
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}
