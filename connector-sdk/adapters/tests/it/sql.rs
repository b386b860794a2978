use std::sync::Arc;
use std::time::Duration;

use fulcrum_sdk::{FailureClass, Sent};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use crate::connector::Connector;

const SQLITE: &str = r#"
databases:
  crm:
    sqlite:
      path: crm.db
      create: true
      setup: |
        CREATE TABLE IF NOT EXISTS contact (
          id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, visits INTEGER NOT NULL DEFAULT 0
        );
capabilities:
  - name: contact.upsert
    effect: reversible
    idempotency: natural
    sql:
      database: crm
      write: |
        INSERT INTO contact (email, name) VALUES (:email, :name)
        ON CONFLICT (email) DO UPDATE SET name = excluded.name
        RETURNING id, email, name
      returns: row
      params: { email: "{{ input.email | lower }}" }
  - name: contact.visit
    effect: irreversible
    idempotency: keyed
    sql:
      database: crm
      write: "UPDATE contact SET visits = visits + 1 WHERE email = :email RETURNING visits"
      returns: row
  - name: contact.insert
    effect: reversible
    sql: { database: crm, write: "INSERT INTO contact (email) VALUES (:email)" }
  - name: contact.list
    effect: read
    sql: { database: crm, read: "SELECT email, visits FROM contact ORDER BY email", rows_max: 2 }
  - name: contact.find
    effect: read
    sql: { database: crm, read: "SELECT * FROM contact WHERE email = :email", returns: optional_row }
  - name: sneaky.read
    effect: read
    sql: { database: crm, read: "WITH gone AS (SELECT 1) DELETE FROM contact" , returns: count }
  - name: endless.read
    effect: read
    timeout: 300ms
    sql:
      database: crm
      read: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
"#;

#[tokio::test]
async fn an_upsert_answers_with_its_row_and_a_read_finds_it() {
    let connector = Connector::new(SQLITE);
    let input = json!({ "email": "Ada@Example.com", "name": "Ada'); DROP TABLE contact; --" });
    let first = connector
        .call("contact.upsert", input.clone())
        .await
        .expect("written");
    let again = connector
        .call("contact.upsert", input)
        .await
        .expect("written");
    assert_eq!(
        first,
        json!({ "id": 1, "email": "ada@example.com", "name": "Ada'); DROP TABLE contact; --" })
    );
    assert_eq!(first, again);
    let list = connector
        .call("contact.list", json!({}))
        .await
        .expect("read");
    assert_eq!(
        list,
        json!({ "rows": [{ "email": "ada@example.com", "visits": 0 }] })
    );
    let none = connector
        .call("contact.find", json!({ "email": "nobody" }))
        .await
        .expect("read");
    assert_eq!(none, json!(null));
}

#[tokio::test]
async fn a_keyed_write_happens_once_for_each_key() {
    let connector = Connector::new(SQLITE);
    let input = json!({ "email": "ada@example.com", "name": null });
    connector
        .call("contact.upsert", input.clone())
        .await
        .expect("written");
    for (key, visits) in [("k1", 1), ("k1", 1), ("k2", 2), ("k1", 1)] {
        let output = connector
            .call_as(key, "contact.visit", input.clone())
            .await
            .expect("written");
        assert_eq!(output, json!({ "visits": visits }), "{key}");
    }
}

#[tokio::test]
async fn concurrent_calls_with_one_key_write_once() {
    let connector = Arc::new(Connector::new(SQLITE));
    let input = json!({ "email": "ada@example.com", "name": null });
    connector
        .call("contact.upsert", input.clone())
        .await
        .expect("written");
    let calls = (0..8).map(|_| {
        let (connector, input) = (Arc::clone(&connector), input.clone());
        tokio::spawn(async move { connector.call_as("same", "contact.visit", input).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let output = call.await.expect("joined").expect("written");
        assert_eq!(output, json!({ "visits": 1 }));
    }
}

#[tokio::test]
async fn refusals_of_the_database_have_names() {
    let connector = Connector::new(SQLITE);
    let ada = json!({ "email": "ada@example.com" });
    connector
        .call("contact.insert", ada.clone())
        .await
        .expect("inserted");
    let twice = connector.refused("contact.insert", ada).await;
    assert_eq!(
        (twice.class, twice.code.as_str(), twice.sent),
        (FailureClass::Fatal, "SQL_UNIQUE_VIOLATION", Sent::No)
    );
    let null = connector
        .refused("contact.insert", json!({ "email": null }))
        .await;
    assert_eq!(null.code, "SQL_NOT_NULL_VIOLATION");
    let missing = connector.refused("contact.insert", json!({})).await;
    assert_eq!(missing.code, "SQL_PARAMETER_INVALID");
    let no_row = connector
        .refused("contact.visit", json!({ "email": "nobody" }))
        .await;
    assert_eq!(no_row.code, "SQL_ROW_MISSING");
}

#[tokio::test]
async fn a_read_cannot_write() {
    let connector = Connector::new(SQLITE);
    let ada = json!({ "email": "ada@example.com" });
    connector
        .call("contact.insert", ada.clone())
        .await
        .expect("inserted");
    let failure = connector.refused("sneaky.read", json!({})).await;
    assert_eq!(failure.code, "SQL_READ_ONLY", "{failure}");
    let found = connector.call("contact.find", ada).await.expect("read");
    assert_eq!(found["email"], "ada@example.com");
}

#[tokio::test]
async fn rows_beyond_the_limit_are_an_error_and_not_a_shorter_list() {
    let connector = Connector::new(SQLITE);
    for name in ["a", "b", "c"] {
        connector
            .call("contact.insert", json!({ "email": name }))
            .await
            .expect("inserted");
    }
    assert_eq!(
        connector.refused("contact.list", json!({})).await.code,
        "SQL_TOO_MANY_ROWS"
    );
}

#[tokio::test]
async fn a_statement_that_does_not_end_is_interrupted() {
    let connector = Connector::new(SQLITE);
    let failure = connector.refused("endless.read", json!({})).await;
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
    // The connection is usable afterwards.
    connector
        .call("contact.list", json!({}))
        .await
        .expect("read");
}

/// Waits until the ledger behind `ledger.count` has so many rows.
async fn ledger_shrinks_to(connector: &Connector, rows: u64) {
    let shrunk = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        loop {
            look.tick().await;
            let count = connector.call("ledger.count", json!({})).await;
            if count.expect("counted") == json!({ "n": rows }) {
                return;
            }
        }
    };
    let shrunk = tokio::time::timeout(Duration::from_secs(30), shrunk).await;
    shrunk.expect("old rows are gone within 30 s");
}

#[tokio::test]
async fn effects_older_than_they_are_kept_are_forgotten() {
    let connector = Connector::new(
        r#"
databases:
  crm:
    sqlite:
      path: crm.db
      create: true
      effects_kept: 30d
      setup: |
        CREATE TABLE visit (n INTEGER);
        CREATE TABLE fulcrum_effects (
          effect_key TEXT PRIMARY KEY, capability TEXT NOT NULL, answer TEXT NOT NULL,
          recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
        ) WITHOUT ROWID;
        INSERT INTO fulcrum_effects
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
          SELECT 'old-' || i, 'visit.add', '{"count":1}', datetime('now', '-31 days') FROM n;
        INSERT INTO fulcrum_effects VALUES ('young', 'visit.add', '{"count":1}', datetime('now', '-29 days'));
capabilities:
  - name: visit.add
    effect: irreversible
    idempotency: keyed
    sql: { database: crm, write: "INSERT INTO visit VALUES (1)" }
  - name: ledger.count
    effect: read
    sql: { database: crm, read: "SELECT count(*) AS n FROM fulcrum_effects", returns: row }
"#,
    );
    connector
        .call("visit.add", json!({}))
        .await
        .expect("written");
    ledger_shrinks_to(&connector, 2).await;
}

#[tokio::test]
async fn postgres_forgets_old_effects_too() {
    let database = TestDatabase::make().await;
    let setup = r"CREATE TABLE fulcrum_effects (
        effect_key text PRIMARY KEY, capability text NOT NULL, answer jsonb NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now());
      INSERT INTO fulcrum_effects
        SELECT 'old-' || i, 'invoice.add', '{}', now() - interval '91 days' FROM generate_series(1, 2500) i;
      INSERT INTO fulcrum_effects VALUES ('young', 'invoice.add', '{}', now() - interval '89 days');";
    sqlx::raw_sql(AssertSqlSafe(setup.to_owned()))
        .execute(&PgPool::connect(&database.url).await.expect("connected"))
        .await
        .expect("set up");
    let connector = database.connector();
    let input = json!({
        "customer": "ada", "amount": "1", "at": null, "day": null, "lines": null, "paid": null
    });
    connector.call("invoice.add", input).await.expect("written");
    ledger_shrinks_to(&connector, 2).await;
    database.drop().await;
}

/// A database of its own on the test server.
struct TestDatabase {
    admin: PgPool,
    name: String,
    url: String,
}

impl TestDatabase {
    async fn make() -> Self {
        let server = std::env::var("FULCRUM_TEST_DATABASE_URL")
            .expect("FULCRUM_TEST_DATABASE_URL names a server; `scripts/pg-test start` prints one");
        let admin = PgPool::connect(&server).await.expect("the test server");
        let name = format!("adapters_{:016x}", getrandom::u64().expect("random"));
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&admin)
            .await
            .expect("created");
        let (rest, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{rest}/{name}");
        Self { admin, name, url }
    }

    fn connector(&self) -> Connector {
        Connector::with_secrets(POSTGRES, &[("erp_url", &self.url)])
    }

    async fn drop(self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&self.admin)
            .await
            .expect("dropped");
    }
}

const POSTGRES: &str = r#"
databases:
  erp:
    postgres:
      url: "secret://erp_url"
      setup: |
        CREATE TABLE IF NOT EXISTS invoice (
          id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          customer text NOT NULL UNIQUE, amount numeric(12, 2), at timestamptz, day date, lines jsonb, paid bool
        );
capabilities:
  - name: invoice.add
    effect: reversible
    idempotency: keyed
    sql:
      database: erp
      write: |
        INSERT INTO invoice (customer, amount, at, day, lines, paid)
        VALUES (:customer, :amount::numeric, :at::timestamptz, :day::date, :lines, :paid)
        RETURNING *
      returns: row
  - name: invoice.plain
    effect: reversible
    sql: { database: erp, write: "INSERT INTO invoice (customer) VALUES (:customer)" }
  - name: invoice.count
    effect: read
    sql: { database: erp, read: "SELECT count(*) AS n FROM invoice", returns: row }
  - name: ledger.count
    effect: read
    sql: { database: erp, read: "SELECT count(*) AS n FROM fulcrum_effects", returns: row }
  - name: sneaky.read
    effect: read
    sql:
      database: erp
      read: "WITH gone AS (DELETE FROM invoice RETURNING 1) SELECT * FROM gone"
  - name: slow.read
    effect: read
    timeout: 400ms
    sql: { database: erp, read: "SELECT pg_sleep(60)" }
  - name: types.read
    effect: read
    sql:
      database: erp
      read: "SELECT :a AS a, 1.50::numeric AS n, 'x'::bytea AS b, ARRAY['p','q'] AS l, 2::smallint AS s, null::int AS z"
      returns: row
"#;

#[tokio::test]
async fn postgres_binds_and_gives_back_every_type() {
    let database = TestDatabase::make().await;
    let connector = database.connector();
    let input = json!({
        "customer": "ada", "amount": "19.90", "at": "2026-11-22T10:00:00Z", "day": "2026-11-22",
        "lines": [{ "sku": "x" }], "paid": true
    });
    let output = connector
        .call("invoice.add", input.clone())
        .await
        .expect("written");
    assert_eq!(output["amount"], "19.90");
    assert_eq!(output["at"], "2026-11-22T10:00:00Z");
    assert_eq!(output["day"], "2026-11-22");
    assert_eq!(output["lines"], json!([{ "sku": "x" }]));
    assert_eq!(output["paid"], true);

    // The same key again gives the recorded answer; it would break the unique constraint if it wrote.
    assert_eq!(
        connector.call("invoice.add", input).await.expect("found"),
        output
    );
    let nulls = json!({ "customer": "bob", "amount": null, "at": null, "day": null, "lines": null, "paid": null });
    let output = connector
        .call_as("key-2", "invoice.add", nulls)
        .await
        .expect("nulls bind");
    assert_eq!(output["paid"], json!(null));

    for a in [json!("text"), json!({ "b": 1 })] {
        let output = connector
            .call("types.read", json!({ "a": a }))
            .await
            .expect("read");
        assert_eq!(
            output,
            json!({ "a": a, "n": "1.50", "b": "eA==", "l": ["p", "q"], "s": 2, "z": null })
        );
    }
    let count = connector
        .call("invoice.count", json!({}))
        .await
        .expect("read");
    assert_eq!(count, json!({ "n": 2 }));
    database.drop().await;
}

#[tokio::test]
async fn postgres_refusals_have_names_and_reads_cannot_write() {
    let database = TestDatabase::make().await;
    let connector = database.connector();
    let ada = json!({ "customer": "ada" });
    connector
        .call("invoice.plain", ada.clone())
        .await
        .expect("written");
    let twice = connector.refused("invoice.plain", ada).await;
    assert_eq!(
        (twice.class, twice.code.as_str()),
        (FailureClass::Fatal, "SQL_UNIQUE_VIOLATION")
    );
    assert_eq!(
        connector.refused("sneaky.read", json!({})).await.code,
        "SQL_READ_ONLY"
    );
    let slow = connector.refused("slow.read", json!({})).await;
    assert_eq!(
        (slow.class, slow.code.as_str()),
        (FailureClass::Transient, "SQL_TIMEOUT"),
        "{slow}"
    );
    assert_eq!(
        connector
            .call("invoice.count", json!({}))
            .await
            .expect("read"),
        json!({ "n": 1 })
    );
    database.drop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_transient_and_its_url_stays_secret() {
    let connector = Connector::with_secrets(
        POSTGRES,
        &[("erp_url", "postgres://crm:hunter2hunter2@127.0.0.1:1/crm")],
    );
    let failure = connector.refused("invoice.count", json!({})).await;
    assert_eq!(
        (failure.class, failure.sent),
        (FailureClass::Transient, Sent::No),
        "{failure}"
    );
    assert!(!failure.message.contains("hunter2"), "{failure}");
}
