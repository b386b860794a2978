//! The end of a listener.

use fulcrum_controller::identity::Role;
use fulcrum_proto::admin::v1::WhoAmIRequest;
use fulcrum_proto::admin::v1::identity_service_client::IdentityServiceClient;

use crate::harness::{PATIENCE, Server};

#[tokio::test]
async fn a_call_that_never_ends_does_not_hold_up_the_end() {
    let mut server = Server::main().await;
    let executor = server.admit(Role::Executor);
    let channel = server.connect(Some(&executor)).await.expect("connects");
    let hanging = tokio::spawn(async move {
        IdentityServiceClient::new(channel)
            .who_am_i(WhoAmIRequest {})
            .await
    });
    while server.connections.count() == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.cancel();
    tokio::time::timeout(PATIENCE, &mut server.task)
        .await
        .expect("ends")
        .expect("without panic");
    let call = tokio::time::timeout(PATIENCE, hanging)
        .await
        .expect("ends")
        .expect("without panic");
    assert!(call.is_err());
    assert_eq!(server.connections.count(), 0);
}

#[tokio::test]
async fn an_idle_connection_closes_at_once() {
    let mut server = Server::main().await;
    let connector = server.admit(Role::Connector);
    let channel = server.connect(Some(&connector)).await.expect("connects");
    let mut client = IdentityServiceClient::new(channel);
    client.who_am_i(WhoAmIRequest {}).await.expect("an answer");
    server.stop.cancel();
    tokio::time::timeout(PATIENCE, &mut server.task)
        .await
        .expect("ends")
        .expect("without panic");
    assert!(
        client.who_am_i(WhoAmIRequest {}).await.is_err(),
        "nobody listens any more"
    );
}
