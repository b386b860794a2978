use std::time::Duration;

use fulcrum_sdk::{ConnectError, EnrolError, channel, client, enrol};
use tonic::Code;

use crate::{authority::Authority, controller::Controller};

#[tokio::test]
async fn a_token_becomes_an_identity_that_connects() {
    let controller = Controller::start();
    let token = controller.authority().token("secret");
    let dir = controller.identity();
    let about = enrol(&controller.enrolment(&token), &dir).await.unwrap();
    assert_eq!(about.name, "box");

    let channel = channel::connect(&about.endpoint, &dir.load().unwrap()).await;
    let registered = client::worker(channel.unwrap())
        .register(fulcrum_proto::worker::v1::RegisterRequest::default())
        .await
        .unwrap();
    assert_eq!(registered.into_inner().worker_id, "wrk_1");
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_leaves_no_identity() {
    let controller = Controller::start();
    let token = controller.authority().token("guess");
    let dir = controller.identity();
    let refused = enrol(&controller.enrolment(&token), &dir).await;
    let Err(EnrolError::Refused(refusal)) = refused else {
        panic!("expected a refusal, got {refused:?}");
    };
    assert_eq!(refusal.code, Code::Unauthenticated);
    assert!(!dir.is_enrolled());
}

#[tokio::test]
async fn a_server_of_another_authority_never_sees_the_secret() {
    let controller = Controller::start();
    let token = Authority::new().token("secret");
    let dir = controller.identity();
    let refused = enrol(&controller.enrolment(&token), &dir).await;
    assert!(
        matches!(
            refused,
            Err(EnrolError::Connect(ConnectError::Untrusted { .. }))
        ),
        "{refused:?}"
    );
    assert!(controller.state().enrolled.is_empty());
}

#[tokio::test]
async fn a_certificate_past_half_its_life_is_renewed_with_a_new_key() {
    let controller = Controller::start();
    controller.state().certificate_age = Duration::from_secs(24 * 3600);
    let working = controller.work(|worker| worker).await;
    controller
        .until(|state| (state.renewals == 1).then_some(()))
        .await;
    working.stop().await.unwrap();
    let identity = controller.identity().load().unwrap();
    channel::connect(&identity.about.clone().unwrap().endpoint, &identity)
        .await
        .expect("the renewed key and certificate belong together");
}
