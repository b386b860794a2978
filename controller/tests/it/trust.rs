//! Who gets in, and how far.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_controller::clock::wall;
use fulcrum_controller::identity::roll::Standing;
use fulcrum_controller::identity::template::ServerName;
use fulcrum_controller::identity::{PeerCertificate, Role};
use fulcrum_controller::server::{Door, ServerLimits};
use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_proto::admin::v1::identity_service_client::IdentityServiceClient;
use fulcrum_proto::admin::v1::worker_admin_service_client::WorkerAdminServiceClient;
use fulcrum_proto::admin::v1::{ListWorkersRequest, WhoAmIRequest};
use fulcrum_proto::common::v1::ErrorReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::harness::{
    Credentials, PATIENCE, Server, credentials, limits, new_authority, principal,
};

async fn who_am_i(server: &Server, credentials: Option<&Credentials>) -> Result<String, Status> {
    let channel = server
        .connect(credentials)
        .await
        .map_err(|e| Status::unavailable(e.to_string()))?;
    let answer = IdentityServiceClient::new(channel)
        .who_am_i(WhoAmIRequest {})
        .await?;
    Ok(answer.into_inner().identity_id)
}

fn assert_reason(status: &Status, code: Code, reason: ErrorReason) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().map(|info| info.reason.as_str()),
        Some(reason.name()),
        "{status:?}"
    );
}

/// The handshake or the first call fails, without an answer from any handler.
async fn assert_shut_out(server: &Server, credentials: Option<&Credentials>) {
    let status = who_am_i(server, credentials).await.expect_err("shut out");
    assert!(
        status.get_error_details().error_info().is_none(),
        "an answer came through: {status:?}"
    );
    assert!(
        matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Internal
        ),
        "{status:?}"
    );
}

#[tokio::test]
async fn the_right_certificate_passes_and_its_principal_is_seen() {
    let mut server = Server::main().await;
    let me = server.admit(Role::Connector);
    let seen = who_am_i(&server, Some(&me)).await.expect("an answer");
    assert_eq!(
        seen,
        PeerCertificate::from_der(&me.chain[0])
            .expect("a principal")
            .principal
            .to_string()
    );
    assert!(seen.contains("/acme/connector/"), "{seen}");
}

#[tokio::test]
async fn a_plaintext_client_is_cut_off() {
    let server = Server::main().await;
    let mut tcp = TcpStream::connect(server.address).await.expect("connects");
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    // A reset is as good as an end.
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut answer))
        .await
        .expect("the server hangs up");
    assert!(answer.len() <= 7, "at most a TLS alert: {answer:?}");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let server = Server::main().await;
    let mut tcp = TcpStream::connect(server.address).await.expect("connects");
    tcp.write_all(&tls_1_2_hello()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut answer))
        .await
        .expect("the server hangs up");
    assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
    assert_eq!(answer.get(6), Some(&70), "protocol_version: {answer:?}");
}

/// A hello that offers TLS 1.2 and one of its strong cipher suites.
fn tls_1_2_hello() -> Vec<u8> {
    let extensions: &[u8] = &[
        0, 10, 0, 4, 0, 2, 0, 23, // supported_groups: P-256
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0, 13, 0, 4, 0, 2, 4, 3, // signature_algorithms: ecdsa_secp256r1_sha256
        0, 23, 0, 0, // extended_master_secret
    ];
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(
        u16::try_from(extensions.len())
            .expect("short")
            .to_be_bytes(),
    );
    body.extend(extensions);
    let length = u8::try_from(body.len()).expect("short");
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

#[tokio::test]
async fn a_client_without_certificate_is_shut_out() {
    assert_shut_out(&Server::main().await, None).await;
}

#[tokio::test]
async fn a_certificate_of_another_installation_is_shut_out() {
    let server = Server::main().await;
    let stranger = credentials(
        &new_authority(2),
        Role::Operator,
        wall(),
        Millis::from_secs(600),
    );
    assert_shut_out(&server, Some(&stranger)).await;
}

#[tokio::test]
async fn an_expired_certificate_is_shut_out() {
    let server = Server::main().await;
    let hour_ago = Timestamp(wall().0 - 3_600 * 1_000_000);
    let old = credentials(
        &server.authority,
        Role::Operator,
        hour_ago,
        Millis::from_secs(600),
    );
    assert_shut_out(&server, Some(&old)).await;
}

#[tokio::test]
async fn a_server_certificate_is_no_client_certificate() {
    let server = Server::main().await;
    let me = principal(&server.authority, Role::Controller);
    let own = server
        .authority
        .issue_server(
            &me,
            &[ServerName::from_text("localhost")],
            wall(),
            Millis::from_secs(600),
        )
        .expect("issued");
    let misused = Credentials {
        id: me.id,
        chain: own.chain,
        key: own.key,
    };
    assert_shut_out(&server, Some(&misused)).await;
}

#[tokio::test]
async fn a_workers_certificate_does_not_open_an_operators_method() {
    let mut server = Server::main().await;
    let worker = server.admit(Role::Connector);
    let channel = server.connect(Some(&worker)).await.expect("connects");
    let status = WorkerAdminServiceClient::new(channel)
        .list_workers(ListWorkersRequest::default())
        .await
        .expect_err("denied");
    assert_reason(
        &status,
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
    );
}

#[tokio::test]
async fn a_revoked_identity_is_refused_on_its_open_connection() {
    let mut server = Server::main().await;
    let worker = server.admit(Role::Connector);
    let channel = server.connect(Some(&worker)).await.expect("connects");
    let mut client = IdentityServiceClient::new(channel);
    client.who_am_i(WhoAmIRequest {}).await.expect("welcome");
    server.set(worker.id, Standing::Revoked);
    let status = client
        .who_am_i(WhoAmIRequest {})
        .await
        .expect_err("revoked");
    assert_reason(&status, Code::Unauthenticated, ErrorReason::Unauthenticated);
    let cut = server.connections.cut(|peer| {
        peer.certificate
            .as_ref()
            .is_some_and(|c| c.principal.id == worker.id)
    });
    assert_eq!(cut, 1);
}

#[tokio::test]
async fn an_identity_that_is_not_on_the_roll_is_refused() {
    let mut server = Server::main().await;
    server.admit(Role::Operator);
    let minute_ago = Timestamp(wall().0 - 60 * 1_000_000);
    let unknown = credentials(
        &server.authority,
        Role::Operator,
        minute_ago,
        Millis::from_secs(600),
    );
    let status = who_am_i(&server, Some(&unknown))
        .await
        .expect_err("refused");
    assert_reason(&status, Code::Unauthenticated, ErrorReason::Unauthenticated);
}

#[tokio::test]
async fn the_enrolment_listener_serves_nothing_but_enrolment() {
    let server = Server::enrolment().await;
    let status = who_am_i(&server, None).await.expect_err("denied");
    assert_reason(
        &status,
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
    );
}

#[tokio::test]
async fn a_panicking_handler_answers_internal_and_the_connection_lives() {
    let mut server = Server::main().await;
    let controller = server.admit(Role::Controller);
    let channel = server.connect(Some(&controller)).await.expect("connects");
    let mut client = IdentityServiceClient::new(channel);
    for _ in 0..2 {
        let status = client.who_am_i(WhoAmIRequest {}).await.expect_err("a bug");
        assert_reason(&status, Code::Internal, ErrorReason::Internal);
        assert!(
            !status.message().contains("on purpose"),
            "details stay in the log"
        );
    }
}

#[tokio::test]
async fn a_deadline_is_answered_with_a_type() {
    // The server's own is the shorter by far: the client's timer must not be the first, however loaded the machine is.
    let limits = ServerLimits {
        unary_deadline_max_ms: 200,
        ..limits()
    };
    let mut server = Server::main_within(limits).await;
    let executor = server.admit(Role::Executor);
    let channel = server.connect(Some(&executor)).await.expect("connects");
    let mut request = tonic::Request::new(WhoAmIRequest {});
    request.set_timeout(PATIENCE);
    let status = IdentityServiceClient::new(channel)
        .who_am_i(request)
        .await
        .expect_err("late");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let limits = ServerLimits {
        handshake_timeout_ms: 200,
        ..limits()
    };
    let server = Server::start(
        Door::Enrolment,
        Arc::default(),
        Duration::from_millis(300),
        limits,
    )
    .await;
    let mut silent = TcpStream::connect(server.address).await.expect("connects");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut answer))
        .await
        .expect("the server hangs up");
    assert_eq!(server.connections.count(), 0);
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let limits = ServerLimits {
        connections_per_ip_max: 2,
        ..limits()
    };
    let server = Server::start(
        Door::Enrolment,
        Arc::default(),
        Duration::from_millis(300),
        limits,
    )
    .await;
    let first = server.connect(None).await.expect("connects");
    let _second = server.connect(None).await.expect("connects");
    assert!(server.connect(None).await.is_err(), "the third is refused");
    drop(first);
    let place = async {
        while server.connect(None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, place)
        .await
        .expect("a place is given back");
}
