//! The schema at start.

use fulcrum_store::{ConnectError, Durability, MigrateError, PgStore, PoolSizes, StoreOptions};
use sqlx::Executor;

use crate::database::{Database, options};

#[tokio::test]
async fn many_controllers_may_migrate_at_once_and_again() {
    let database = Database::empty().await;
    let stores = [
        database.store.clone(),
        database.store.clone(),
        database.store.clone(),
    ];
    let all = stores.map(|store| tokio::spawn(async move { store.migrate().await }));
    for migrated in all {
        migrated.await.unwrap().unwrap();
    }
    database.store.migrate().await.unwrap();
    assert!(database.store.upkeep().runway_days().await.unwrap() >= 14);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = Database::new().await;
    database
        .raw()
        .await
        .execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'from the future', true, '', 0)",
        )
        .await
        .unwrap();
    let refused = database.store.migrate().await;
    assert!(
        matches!(refused, Err(MigrateError::Newer { found: 9999, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_with_other_content_is_refused() {
    let database = Database::new().await;
    database
        .raw()
        .await
        .execute("update _sqlx_migrations set checksum = 'x' where version = 1")
        .await
        .unwrap();
    let refused = database.store.migrate().await;
    assert!(
        matches!(refused, Err(MigrateError::Changed { version: 1 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_server_that_may_lose_commits_is_refused() {
    let database = Database::empty().await;
    let mut connection = database.raw().await;
    let fsync: String = sqlx::query_scalar("show fsync")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let safe = StoreOptions {
        durability: Durability::Required,
        ..options(database.name())
    };
    let opened = PgStore::connect(&safe).await;
    match fsync.as_str() {
        "off" => assert!(matches!(
            opened,
            Err(ConnectError::NotDurable { setting: "fsync" })
        )),
        _ => assert!(opened.is_ok()),
    }
}

#[tokio::test]
async fn more_connections_than_a_controller_may_hold_are_refused() {
    let pools = PoolSizes {
        control: 5,
        request: 12,
        report: 4,
    };
    let greedy = StoreOptions {
        pools,
        ..StoreOptions::new("postgres://nobody@127.0.0.1:1/none")
    };
    let refused = PgStore::connect(&greedy).await;
    assert!(matches!(
        refused,
        Err(ConnectError::TooManyConnections { sum: 21, max: 20 })
    ));
}
