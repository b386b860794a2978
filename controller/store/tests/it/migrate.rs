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
async fn a_newer_schema_that_admits_older_builds_is_not_in_their_way() {
    let database = Database::new().await;
    let mut raw = database.raw().await;
    raw.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'adds a table', true, '', 0);
         update versions set schema = 9999, readable_from = 11",
    )
    .await
    .unwrap();
    database.store.migrate().await.unwrap();
    raw.execute("update versions set readable_from = 9999")
        .await
        .unwrap();
    let refused = database.store.migrate().await;
    assert!(
        matches!(refused, Err(MigrateError::Newer { found: 9999, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_makes_room_for_a_lock_and_goes_through_later() {
    let database = Database::new().await;
    let mut raw = database.raw().await;
    // The last migration is to run again; somebody reads a table that it alters.
    raw.execute(
        "delete from _sqlx_migrations where version = 10;
         drop table upkeep_leadership; drop function fulcrum_day_tables;
         drop function fulcrum_retire_day; drop function fulcrum_delete_run_batch; drop function fulcrum_drop_day_table",
    )
    .await
    .unwrap();
    let mut reader = database.raw().await;
    reader
        .execute("begin; lock table snapshots in share mode")
        .await
        .unwrap();
    let store = database.store.clone();
    let migrating = tokio::spawn(async move { store.migrate().await });
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let count = async |raw: &mut sqlx::PgConnection| -> i64 {
        sqlx::query_scalar(waiting).fetch_one(raw).await.unwrap()
    };
    while count(&mut raw).await == 0 {
        tokio::task::yield_now().await;
    }
    // It gives way by itself, so that others are not held up behind it, and comes back.
    while count(&mut raw).await > 0 {
        tokio::task::yield_now().await;
    }
    while count(&mut raw).await == 0 {
        tokio::task::yield_now().await;
    }
    reader.execute("rollback").await.unwrap();
    migrating.await.unwrap().unwrap();
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
        control: 3,
        commit: 2,
        request: 10,
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
