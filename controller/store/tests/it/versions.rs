//! Builds side by side.

use fulcrum_core::time::Millis;
use fulcrum_store::versions::{ControllerRow, Entered, FeatureLevel, Raised};
use sqlx::Executor;
use sqlx::types::Uuid;

use crate::database::Database;

fn controller(n: u128, level_max: i32) -> ControllerRow {
    ControllerRow {
        id: Uuid::from_u128(n),
        build: format!("0.{level_max}.0"),
        level_max: FeatureLevel(level_max),
    }
}

#[tokio::test]
async fn the_level_is_raised_once_every_live_controller_knows_it() {
    let database = Database::new().await;
    let versions = database.store.versions();
    for known in [controller(1, 4), controller(2, 3)] {
        let entered = versions.enter(&known).await.unwrap();
        assert_eq!(entered, Entered::Welcome(FeatureLevel(2)));
    }
    assert_eq!(
        versions.raise(FeatureLevel(4)).await.unwrap(),
        Raised::Unknown {
            common: FeatureLevel(3),
            build: "0.3.0".to_owned()
        }
    );
    assert_eq!(
        versions.raise(FeatureLevel(3)).await.unwrap(),
        Raised::InForce(FeatureLevel(3))
    );
    // The older build goes away without a word; after a minute of silence it does not count.
    database
        .raw()
        .await
        .execute("update controllers set last_seen_at = now() - interval '2 minutes' where level_max = 3")
        .await
        .unwrap();
    assert_eq!(
        versions.raise(FeatureLevel(4)).await.unwrap(),
        Raised::InForce(FeatureLevel(4))
    );
    assert_eq!(
        versions.raise(FeatureLevel(3)).await.unwrap(),
        Raised::InForce(FeatureLevel(4)),
        "a level never falls"
    );
    assert_eq!(
        versions.enter(&controller(2, 3)).await.unwrap(),
        Entered::TooOld(FeatureLevel(4))
    );
}

#[tokio::test]
async fn how_long_ago_another_controller_was_there_is_known() {
    let database = Database::new().await;
    let versions = database.store.versions();
    let (me, other) = (controller(1, 2), controller(2, 2));
    versions.enter(&me).await.unwrap();
    assert_eq!(versions.silence(me.id).await.unwrap(), None, "nobody else");
    versions.enter(&other).await.unwrap();
    let silence = versions.silence(me.id).await.unwrap().unwrap();
    assert!(silence < Millis::from_secs(60));
    let mut raw = database.raw().await;
    raw.execute("update controllers set last_seen_at = now() - interval '1 hour'")
        .await
        .unwrap();
    let silence = versions.silence(me.id).await.unwrap().unwrap();
    assert!(silence >= Millis::from_secs(3_600));
    raw.execute("update controllers set last_seen_at = now() + interval '1 hour'")
        .await
        .unwrap();
    let silence = versions.silence(me.id).await.unwrap();
    assert_eq!(silence, None, "a clock that cannot be relied on");
}

#[tokio::test]
async fn an_old_build_that_starts_while_the_level_is_raised_counts_or_is_refused() {
    let database = Database::new().await;
    let versions = database.store.versions();
    for round in 0..20 {
        let level = round + 3;
        versions.enter(&controller(1, level)).await.unwrap();
        let old = controller(2, level - 1);
        let (raised, entered) =
            tokio::join!(versions.raise(FeatureLevel(level)), versions.enter(&old));
        match (raised.unwrap(), entered.unwrap()) {
            (Raised::InForce(_), Entered::TooOld(_)) => {}
            (Raised::Unknown { .. }, Entered::Welcome(_)) => {
                versions.leave(old.id).await.unwrap();
                versions.raise(FeatureLevel(level)).await.unwrap();
            }
            both => panic!("{both:?}"),
        }
    }
}

#[tokio::test]
async fn an_examination_tells_who_is_there() {
    let database = Database::new().await;
    let versions = database.store.versions();
    versions.enter(&controller(1, 2)).await.unwrap();
    let found = database.store.examine(Millis::from_secs(60)).await.unwrap();
    assert_eq!(found.controllers.len(), 1);
    assert!(found.controllers[0].is_live());
    assert_eq!(found.versions.level, FeatureLevel(2));
    assert!(found.versions.schema >= 11 && found.versions.readable_from >= 1);
    assert!(found.days.runway >= 14);
    assert_eq!(found.tables.len(), 9);
    assert_eq!((found.queue.ready, found.queue.oldest_ready), (0, None));
    versions.leave(Uuid::from_u128(1)).await.unwrap();
    let found = database.store.examine(Millis::from_secs(60)).await.unwrap();
    assert_eq!(found.controllers.len(), 0);
}
