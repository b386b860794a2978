//! Statements on SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, Transaction, TypeInfo as _, ValueRef as _};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::bind::Bound;
use super::config::{Returns, SqliteConfig};
use super::fault::SqlFault;
use super::job::{EffectRecord, Job};
use super::pruning::BATCH_ROWS_MAX;
use super::rows;
use super::statement::Access;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS_MAX: u32 = 4;
/// Virtual machine instructions between two looks at the clock.
const PROGRESS_OPS: i32 = 10_000;
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS fulcrum_effects (
    effect_key TEXT PRIMARY KEY,
    capability TEXT NOT NULL,
    answer TEXT NOT NULL,
    recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID";

/// An SQLite file.
#[derive(Clone)]
pub(super) struct SqliteDatabase(Arc<Inner>);

struct Inner {
    /// SQLite has one writer at a time; waiting for it in the pool is fairer than in the file's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    setup: Option<String>,
    ready: OnceCell<()>,
    ledger: OnceCell<()>,
}

impl SqliteDatabase {
    pub(super) fn build(config: &SqliteConfig, directory: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(directory.join(&config.path))
            .create_if_missing(config.create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let reading = options
            .clone()
            .create_if_missing(false)
            .pragma("query_only", "ON");
        Self(Arc::new(Inner {
            writer: SqlitePoolOptions::new()
                .max_connections(1)
                .connect_lazy_with(options),
            readers: SqlitePoolOptions::new()
                .max_connections(READERS_MAX)
                .connect_lazy_with(reading),
            setup: config.setup.clone(),
            ready: OnceCell::new(),
            ledger: OnceCell::new(),
        }))
    }

    pub(super) async fn run(&self, job: &Job) -> Result<Value, SqlFault> {
        self.0.ready.get_or_try_init(|| self.set_up()).await?;
        match job.statement.access {
            Access::Read => self.read(job).await,
            Access::Write => self.write(job).await,
        }
    }

    async fn read(&self, job: &Job) -> Result<Value, SqlFault> {
        let mut transaction = self.0.readers.begin().await.map_err(SqlFault::Connect)?;
        limit_time(&mut transaction, job.deadline).await?;
        let answer = execute(&mut transaction, job).await;
        unlimit_time(&mut transaction).await?;
        answer
    }

    async fn write(&self, job: &Job) -> Result<Value, SqlFault> {
        if job.key.is_some() {
            self.0.ledger.get_or_try_init(|| self.make_ledger()).await?;
        }
        let mut transaction = self
            .0
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(SqlFault::Connect)?;
        if let Some(record) = &job.key
            && let Some(recorded) = find(&mut transaction, record).await?
        {
            return Ok(recorded);
        }
        limit_time(&mut transaction, job.deadline).await?;
        let answer = execute(&mut transaction, job).await;
        unlimit_time(&mut transaction).await?;
        let answer = answer?;
        if let Some(record) = &job.key {
            keep(&mut transaction, record, &answer).await?;
        }
        transaction.commit().await.map_err(SqlFault::Commit)?;
        Ok(answer)
    }

    /// Deletes old rows of the ledger, one batch; gives their number.
    pub(super) async fn prune(&self, kept: Duration) -> Result<u64, SqlFault> {
        let done = sqlx::query(
            "DELETE FROM fulcrum_effects WHERE effect_key IN (
                SELECT effect_key FROM fulcrum_effects WHERE recorded_at < datetime('now', ?1) LIMIT ?2)",
        )
        .bind(format!("-{} seconds", kept.as_secs()))
        .bind(BATCH_ROWS_MAX)
        .execute(&self.0.writer)
        .await
        .map_err(SqlFault::Statement)?;
        Ok(done.rows_affected())
    }

    async fn set_up(&self) -> Result<(), SqlFault> {
        let statements = self.0.setup.clone().unwrap_or_default();
        let mut connection = self.0.writer.acquire().await.map_err(SqlFault::Connect)?;
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut *connection)
            .await
            .map_err(SqlFault::Setup)?;
        Ok(())
    }

    async fn make_ledger(&self) -> Result<(), SqlFault> {
        sqlx::raw_sql(LEDGER)
            .execute(&self.0.writer)
            .await
            .map_err(SqlFault::Setup)?;
        Ok(())
    }
}

async fn limit_time(
    transaction: &mut Transaction<'_, Sqlite>,
    deadline: Instant,
) -> Result<(), SqlFault> {
    let mut handle = transaction.lock_handle().await.map_err(SqlFault::Connect)?;
    handle.set_progress_handler(PROGRESS_OPS, move || Instant::now() < deadline);
    Ok(())
}

/// The handler belongs to the connection, which goes back to the pool.
async fn unlimit_time(transaction: &mut Transaction<'_, Sqlite>) -> Result<(), SqlFault> {
    let mut handle = transaction.lock_handle().await.map_err(SqlFault::Connect)?;
    handle.remove_progress_handler();
    Ok(())
}

async fn execute(transaction: &mut Transaction<'_, Sqlite>, job: &Job) -> Result<Value, SqlFault> {
    let mut query = sqlx::query(AssertSqlSafe(job.statement.text.clone()));
    for value in &job.values {
        query = match value {
            Bound::Null => query.bind(None::<String>),
            Bound::Bool(flag) => query.bind(*flag),
            Bound::Integer(integer) => query.bind(*integer),
            Bound::Float(float) => query.bind(*float),
            Bound::Text(text) => query.bind(text.clone()),
            Bound::Json(json) => query.bind(json.to_string()),
        };
    }
    if job.returns == Returns::Count {
        let done = query
            .execute(&mut **transaction)
            .await
            .map_err(SqlFault::Statement)?;
        return Ok(job.count(done.rows_affected()));
    }
    let found = query.fetch(&mut **transaction);
    rows::collect(found, job, value).await
}

async fn find(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &EffectRecord,
) -> Result<Option<Value>, SqlFault> {
    let recorded =
        sqlx::query_scalar::<_, String>("SELECT answer FROM fulcrum_effects WHERE effect_key = ?1")
            .bind(&record.effect_key)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(SqlFault::Statement)?;
    recorded
        .map(|text| {
            serde_json::from_str(&text).map_err(|error| SqlFault::Column {
                column: "fulcrum_effects.answer".to_owned(),
                reason: error.to_string(),
            })
        })
        .transpose()
}

async fn keep(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &EffectRecord,
    answer: &Value,
) -> Result<(), SqlFault> {
    sqlx::query("INSERT INTO fulcrum_effects (effect_key, capability, answer) VALUES (?1, ?2, ?3)")
        .bind(&record.effect_key)
        .bind(&record.capability)
        .bind(answer.to_string())
        .execute(&mut **transaction)
        .await
        .map_err(SqlFault::Statement)?;
    Ok(())
}

/// A column as JSON, by the type of the value itself: SQLite's columns promise nothing.
fn value(row: &SqliteRow, index: usize) -> Result<Value, BoxDynError> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "BOOLEAN" => Value::from(row.try_get::<bool, _>(index)?),
        "INTEGER" => Value::from(row.try_get_unchecked::<i64, _>(index)?),
        "REAL" => Value::from(row.try_get_unchecked::<f64, _>(index)?),
        "BLOB" => {
            use base64::Engine as _;
            let bytes = row.try_get_unchecked::<Vec<u8>, _>(index)?;
            Value::from(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        _ => Value::from(row.try_get_unchecked::<String, _>(index)?),
    })
}
