//! A migrator that dies after any of its statements.

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::database::Database;

/// Kills the backend that runs the statement when `seen` has counted past `spared`. Sequences survive the rollback.
const ASSASSIN: &str = "
    create schema assassin;
    create sequence assassin.seen minvalue 0;
    create table assassin.spared (statements bigint not null);
    insert into assassin.spared values (0);
    create function assassin.strike() returns event_trigger language plpgsql as $$
    begin
      if nextval('assassin.seen') > (select statements from assassin.spared) then
        perform pg_terminate_backend(pg_backend_pid());
      end if;
    end
    $$;
    create event trigger assassin on ddl_command_end execute function assassin.strike()";

/// Tables, columns, indexes, constraints, functions and options: what a schema is.
const SCHEMA: &str = "
    select coalesce(string_agg(line, E'\\n' order by line), '') from (
      select format('table %s %s %s', c.relname, c.reloptions, c.relkind) as line
        from pg_class c where c.relnamespace = 'public'::regnamespace
      union all
      select format('column %s.%s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull)
        from pg_attribute join pg_class c on c.oid = attrelid
        where c.relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
      union all
      select indexdef from pg_indexes where schemaname = 'public'
      union all
      select format('constraint %s %s', conname, pg_get_constraintdef(oid))
        from pg_constraint where connamespace = 'public'::regnamespace
      union all
      select format('function %s %s', p.oid::regprocedure, md5(p.prosrc))
        from pg_proc p where pronamespace = 'public'::regnamespace
    ) s";

async fn schema(connection: &mut PgConnection) -> String {
    sqlx::query_scalar(SCHEMA)
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn applied(connection: &mut PgConnection) -> i64 {
    let ledger: Option<String> = sqlx::query_scalar("select to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    match ledger {
        None => 0,
        Some(_) => sqlx::query_scalar("select count(*) from _sqlx_migrations")
            .fetch_one(connection)
            .await
            .unwrap(),
    }
}

async fn advisory_locks(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_locks l join pg_database d on d.oid = l.database
         where d.datname = current_database() and l.locktype = 'advisory'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_migrator_that_is_killed_after_any_statement_leaves_nothing_half_done() {
    let database = Database::empty().await;
    let mut watcher = database.raw().await;
    watcher.execute(ASSASSIN).await.unwrap();
    let (mut spared, mut deaths) = (0_i64, 0_u32);
    loop {
        let arm = format!(
            "select setval('assassin.seen', 0); update assassin.spared set statements = {spared}"
        );
        watcher.execute(AssertSqlSafe(arm)).await.unwrap();
        let before = applied(&mut watcher).await;
        if database.store.migrate().await.is_ok() {
            break;
        }
        deaths += 1;
        // The dead migrator's lock goes with it, as soon as its backend has.
        while advisory_locks(&mut watcher).await > 0 {
            tokio::task::yield_now().await;
        }
        // The next one dies a statement later; after a migration went through, at the first of the next.
        spared = if applied(&mut watcher).await > before {
            0
        } else {
            spared + 1
        };
    }
    assert!(deaths > 40, "only {deaths} migrators died");
    watcher
        .execute("drop event trigger assassin; drop schema assassin cascade")
        .await
        .unwrap();
    let whole = Database::new().await;
    let (killed, never) = (
        schema(&mut watcher).await,
        schema(&mut whole.raw().await).await,
    );
    assert!(killed == never, "the schemas differ");
}
