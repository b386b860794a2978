//! The installation as a whole: examined, and refused to builds that are too old for it.

use fulcrum_controller::app::Controller;
use fulcrum_proto::admin::v1 as admin;
use fulcrum_proto::admin::v1::installation_service_client::InstallationServiceClient;
use tonic::Code;

use crate::database::Database;
use crate::stack::{Stack, config};

#[tokio::test]
async fn an_operator_examines_the_installation() {
    let (stack, operator) = Stack::start().await;
    let mut installation = InstallationServiceClient::new(operator.channel.clone());
    let seen = installation
        .examine_installation(admin::ExamineInstallationRequest {})
        .await
        .expect("examined")
        .into_inner();
    let verdict = |check: &str| {
        seen.findings
            .iter()
            .find(|finding| finding.check == check)
            .map(admin::Finding::verdict)
    };
    // The server of the tests may lose commits, and the doctor says so.
    assert_eq!(verdict("settings.fsync"), Some(admin::Verdict::Bad));
    assert_eq!(verdict("partitions.runway"), Some(admin::Verdict::Ok));
    assert_eq!(verdict("queue.age"), Some(admin::Verdict::Ok));
    assert_eq!(seen.feature_level, 3);
    let live = seen.controllers.iter().filter(|one| one.live).count();
    assert_eq!(live, 1, "this controller counts");

    let raise = admin::RaiseFeatureLevelRequest { feature_level: 4 };
    let refused = installation
        .raise_feature_level(raise)
        .await
        .expect_err("this build knows level 3");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let again = admin::RaiseFeatureLevelRequest { feature_level: 3 };
    let level = installation.raise_feature_level(again).await;
    assert_eq!(level.expect("in force").into_inner().feature_level, 3);
    let config = config(&stack.database.url());
    let store = fulcrum_controller::foundation::open(&config)
        .await
        .expect("opens");
    stack.controller.shut_down().await;
    let left = store
        .examine(fulcrum_core::time::Millis(1_000))
        .await
        .expect("examined");
    assert_eq!(left.controllers.len(), 0, "it said goodbye");
    store.close().await;
}

#[tokio::test]
async fn a_build_below_the_feature_level_in_force_does_not_start() {
    let database = Database::create();
    let config = config(&database.url());
    let store = fulcrum_controller::foundation::open(&config)
        .await
        .expect("opens");
    store.migrate().await.expect("migrates");
    store
        .versions()
        .raise(fulcrum_store::versions::FeatureLevel(4))
        .await
        .expect("nobody is there to mind");
    store.close().await;
    let refused = Box::pin(Controller::start(&config))
        .await
        .err()
        .expect("refuses");
    assert!(refused.to_string().contains("feature level 4"), "{refused}");
}
