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
    for known in [controller(1, 5), controller(2, 4)] {
        let entered = versions.enter(&known).await.unwrap();
        assert_eq!(entered, Entered::Welcome(FeatureLevel(3)));
    }
    assert_eq!(
        versions.raise(FeatureLevel(5)).await.unwrap(),
        Raised::Unknown {
            common: FeatureLevel(4),
            build: "0.4.0".to_owned()
        }
    );
    assert_eq!(
        versions.raise(FeatureLevel(4)).await.unwrap(),
        Raised::InForce(FeatureLevel(4))
    );
    // The older build goes away without a word; after a minute of silence it does not count.
    database
        .raw()
        .await
        .execute("update controllers set last_seen_at = now() - interval '2 minutes' where level_max = 4")
        .await
        .unwrap();
    assert_eq!(
        versions.raise(FeatureLevel(5)).await.unwrap(),
        Raised::InForce(FeatureLevel(5))
    );
    assert_eq!(
        versions.raise(FeatureLevel(4)).await.unwrap(),
        Raised::InForce(FeatureLevel(5)),
        "a level never falls"
    );
    assert_eq!(
        versions.enter(&controller(2, 4)).await.unwrap(),
        Entered::TooOld(FeatureLevel(5))
    );
}

#[tokio::test]
async fn builds_that_cannot_open_sealed_keys_may_start_until_keys_are_sealed() {
    let database = Database::new().await;
    let mut raw = database.raw().await;
    // As an installation of the build before this one is after the first controller of this one came.
    raw.execute("update versions set feature_level = 2, schema = null, readable_from = null")
        .await
        .unwrap();
    let oldest = "select readable_from from versions";
    let versions = database.store.versions();
    let sealed = FeatureLevel::SEALED_KEYS;
    for (level, readable_from) in [(FeatureLevel(2), 1_i64), (sealed, 18)] {
        versions.raise(level).await.unwrap();
        assert_eq!(versions.in_force().await.unwrap(), level);
        for _ in 0..2 {
            database.store.migrate().await.unwrap();
            let found: i64 = sqlx::query_scalar(oldest)
                .fetch_one(&mut raw)
                .await
                .unwrap();
            assert_eq!(found, readable_from, "at level {}", level.0);
        }
    }
    // Raising alone says so, too: nobody migrates an installation that is up to date.
    raw.execute("update versions set feature_level = 2, readable_from = 1")
        .await
        .unwrap();
    versions.raise(sealed).await.unwrap();
    let found: i64 = sqlx::query_scalar(oldest)
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(found, 18);
}

#[tokio::test]
async fn how_long_ago_another_controller_was_there_is_known() {
    let database = Database::new().await;
    let versions = database.store.versions();
    let (me, other) = (controller(1, 3), controller(2, 3));
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
        let level = round + 4;
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
    versions.enter(&controller(1, 3)).await.unwrap();
    let found = database.store.examine(Millis::from_secs(60)).await.unwrap();
    assert_eq!(found.controllers.len(), 1);
    assert!(found.controllers[0].is_live());
    assert_eq!(found.versions.level, FeatureLevel(3));
    assert!(found.versions.schema >= 11 && found.versions.readable_from >= 1);
    assert!(found.days.runway >= 14);
    assert_eq!(found.tables.len(), 9);
    assert_eq!((found.queue.ready, found.queue.oldest_ready), (0, None));
    versions.leave(Uuid::from_u128(1)).await.unwrap();
    let found = database.store.examine(Millis::from_secs(60)).await.unwrap();
    assert_eq!(found.controllers.len(), 0);
}
