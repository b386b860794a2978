//! Plans of the hot statements: by their index, in its order, on an empty table, on a filled one that was never
//! analysed, and on an analysed one.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::database::Database;

/// As in the store's preludes.
const BY_INDEX: &str =
    "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;
    set plan_cache_mode = force_generic_plan";

struct Hot {
    sql: &'static str,
    types: &'static str,
    arguments: &'static str,
    index: &'static str,
    /// What must not be in the plan.
    banned: &'static [&'static str],
}

const NONE_OF: &[&str] = &[
    "Seq Scan on tasks",
    "Seq Scan on runs",
    "Seq Scan on timers",
    "Hash",
    "Merge Join",
    // A loop turned around: the table outside, the wanted rows inside.
    "Join Filter",
];
const NO_SORT: &[&str] = &["Seq Scan on tasks", "Seq Scan on timers", "Sort", "Bitmap"];

/// The tick: each of its probes by its index.
const fn tick(index: &'static str) -> Hot {
    Hot {
        sql: include_str!("../../queries/tick.sql"),
        types: "uuid, bigint, bigint, uuid[], text[], bigint",
        arguments: "null, 1000, 1000, array['00000000-0000-0000-0000-00000000000a']::uuid[], array['a'], 60000",
        index,
        banned: &[
            "Seq Scan on tasks",
            "Seq Scan on timers",
            "Seq Scan on mail",
            "Bitmap",
            "Join Filter",
        ],
    }
}

const HOT: &[Hot] = &[
    tick("tasks_due"),
    tick("tasks_claim"),
    tick("timers_due"),
    tick("mail_pending"),
    Hot {
        sql: include_str!("../../queries/lease/candidates.sql"),
        types: "uuid[], text[], bigint[]",
        arguments: "array['00000000-0000-0000-0000-00000000000a']::uuid[], array['a'], array[5]",
        index: "tasks_claim",
        banned: NO_SORT,
    },
    Hot {
        sql: include_str!("../../queries/views/list_stalled.sql"),
        types: "uuid, bigint, uuid, uuid, uuid, text, run_status[], uuid, boolean, bigint",
        arguments: "'00000000-0000-0000-0000-00000000000a', 60000, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', null, null, '{}', null, true, 10",
        index: "tasks_claim",
        banned: &["Seq Scan on tasks", "Seq Scan on runs"],
    },
    Hot {
        sql: include_str!("../../queries/due/timers.sql"),
        types: "bigint, timestamptz, uuid",
        arguments: "10, null, null",
        index: "timers_due",
        banned: NO_SORT,
    },
    Hot {
        sql: include_str!("../../queries/due/tasks.sql"),
        types: "bigint, timestamptz, uuid",
        arguments: "10, null, null",
        index: "tasks_due",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/lease/heartbeat.sql"),
        types: "smallint[], uuid[], bigint[], uuid[], uuid[], bigint",
        arguments: "'{}', '{}', '{}', '{}', '{}', 1",
        index: "tasks_pkey",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/flush/lock_runs.sql"),
        types: "smallint[], uuid[]",
        arguments: "'{}', '{}'",
        index: "runs_pkey",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/flush/taken_keys.sql"),
        types: "smallint[], uuid[], text[], text[]",
        arguments: "'{}', '{}', '{}', '{}'",
        index: "runs_idempotency_key",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/lease/give_back.sql"),
        types: "smallint[], uuid[], bigint[], uuid[], uuid[], bigint",
        arguments: "'{}', '{}', '{}', '{}', '{}', 0",
        index: "tasks_pkey",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/lease/grant.sql"),
        types: "smallint[], uuid[], uuid[], bigint",
        arguments: "'{}', '{}', '{}', 1",
        index: "tasks_pkey",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/flush/release_tasks.sql"),
        types: "smallint[], uuid[], timestamptz[], integer[], integer[]",
        arguments: "'{}', '{}', '{}', '{}', '{}'",
        index: "tasks_pkey",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/flush/clear_timers.sql"),
        types: "smallint[], uuid[]",
        arguments: "'{}', '{}'",
        index: "timers_pkey",
        banned: NONE_OF,
    },
    Hot {
        sql: include_str!("../../queries/flush/consume_mail.sql"),
        types: "smallint[], uuid[], uuid[]",
        arguments: "'{}', '{}', '{}'",
        index: "mail_pkey",
        banned: NONE_OF,
    },
];

async fn explain(connection: &mut PgConnection, hot: &Hot) -> String {
    let prepare = format!("deallocate all; prepare hot ({}) as {}", hot.types, hot.sql);
    connection.execute(AssertSqlSafe(prepare)).await.unwrap();
    let explain = format!("explain execute hot ({})", hot.arguments);
    let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(connection)
        .await
        .unwrap();
    rows.into_iter().map(|(line,)| line + "\n").collect()
}

async fn check(connection: &mut PgConnection, occasion: &str) {
    for hot in HOT {
        let plan = explain(connection, hot).await;
        assert!(
            plan.contains(hot.index),
            "{occasion}: {} is not used:\n{plan}",
            hot.index
        );
        for banned in hot.banned {
            assert!(!plan.contains(banned), "{occasion}: `{banned}` in\n{plan}");
        }
    }
}

const FILL: &str = "
    insert into tasks (shard, task_id, run_id, root_id, namespace_id, step, capability, input_id, input_hash, input_bytes,
      state, priority, ready_at, attempt, due_at)
    select n % 16, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '00000000-0000-0000-0000-00000000000a', 'a~1',
      chr(97 + n % 5), gen_random_uuid(), sha256('x'), 1, 'ready', n % 3, now() - n * interval '1 second', 1,
      case when n % 10 = 0 then now() + n * interval '1 second' end
    from generate_series(1, 20000) n;
    insert into timers (shard, timer_id, run_id, root_id, step, purpose, fires_at)
    select n % 16, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'a~1', 'wake', now() + n * interval '1 second'
    from generate_series(1, 20000) n;
    insert into mail (shard, run_id, mail_id, root_id, sender_id, body)
    select n % 16, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), ''
    from generate_series(1, 20000) n;
    insert into joins (shard, run_id, step, root_id, notify_at, notify_on_failure)
    select n % 16, gen_random_uuid(), 'a~1', gen_random_uuid(), 9, true from generate_series(1, 20000) n;
    insert into join_items (shard, run_id, step, index)
    select n % 16, gen_random_uuid(), 'a~1', n from generate_series(1, 20000) n";

#[tokio::test]
async fn hot_statements_go_by_their_index_whatever_the_table_holds() {
    let database = Database::new().await;
    let mut connection = database.raw().await;
    connection.execute(BY_INDEX).await.unwrap();
    check(&mut connection, "empty").await;
    connection.execute(FILL).await.unwrap();
    check(&mut connection, "filled, never analysed").await;
    connection
        .execute("analyze tasks; analyze timers")
        .await
        .unwrap();
    check(&mut connection, "filled and analysed").await;
    connection.close().await.unwrap();
}

/// The function's own statements have plans that nobody sees; what they read is counted.
#[tokio::test]
async fn a_commit_reads_no_more_of_a_hot_table_than_it_writes() {
    let database = Database::new().await;
    let mut connection = database.raw().await;
    connection.execute(FILL).await.unwrap();
    let empty = |n: usize| vec!["'{}'"; n].join(", ");
    let commit = format!(
        "select fulcrum_commit_2(array[1]::smallint[], array[gen_random_uuid()], array[1]::bigint[], array[sha256('x')],
           array['running']::run_status[], array[2]::bigint[], array[1]::bigint[], array[sha256('x')],
           array[gen_random_uuid()], array[null]::timestamptz[], {})",
        empty(90)
    );
    let remove = format!(
        "select fulcrum_commit_2({}, array[1]::smallint[], array[gen_random_uuid()], array[1]::bigint[],
           array[gen_random_uuid()], array[gen_random_uuid()], {})",
        empty(10),
        empty(85)
    );
    let consume = format!(
        "select fulcrum_commit_2({}, array[gen_random_uuid()], array[gen_random_uuid()], {})",
        empty(68),
        empty(30)
    );
    // A join that is there, with a child that closes; then it is given up.
    let join = "'019b0000-0000-7003-8000-000000000001'::uuid";
    let count = format!(
        "select fulcrum_commit_2({}, array[{join}], array['a~1'], array[{join}], array[1]::bigint[], array[true], {})",
        empty(75),
        empty(20)
    );
    let further = format!(
        "select fulcrum_commit_2({}, array[{join}], array['a~1'], array[1]::bigint[], array[1]::bigint[],
           array[null]::bigint[], array[{join}], array[{join}], array['']::bytea[], array[1], array[0]::bigint[],
           array[null]::uuid[], array[null]::bytea[], array[null]::bigint[], array['']::bytea[], {})",
        empty(80),
        empty(6)
    );
    let give_up = format!(
        "select fulcrum_commit_2({}, array[{join}], array['a~1'], {})",
        empty(94),
        empty(4)
    );
    connection.execute("begin").await.unwrap();
    for call in [commit, remove, consume, count, further, give_up] {
        connection.execute(AssertSqlSafe(call)).await.unwrap();
    }
    let read: Vec<(String, i64)> = sqlx::query_as(
        "select relname::text, seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables
         where relname in ('runs', 'tasks', 'mail', 'joins', 'join_items') and (seq_scan > 0 or idx_tup_fetch > 4)",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(read.is_empty(), "read whole: {read:?}");
    connection.close().await.unwrap();
}
