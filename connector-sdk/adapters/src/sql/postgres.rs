//! Statements on Postgres.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgTypeInfo,
};
use sqlx::types::Json;
use sqlx::{
    AssertSqlSafe, Encode, Postgres, Row as _, Transaction, Type, TypeInfo as _, ValueRef as _,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::bind::Bound;
use super::config::{PostgresConfig, Returns};
use super::fault::SqlFault;
use super::job::{EffectRecord, Job};
use super::numeric;
use super::pruning::BATCH_ROWS_MAX;
use super::rows;
use super::statement::Access;
use crate::config::Problems;
use crate::secret::{SecretName, Vault};

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS fulcrum_effects (
    effect_key text PRIMARY KEY,
    capability text NOT NULL,
    answer jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
)";
/// Any number will do, as long as every connector uses the same.
const SETUP_LOCK: i64 = 0x66_75_6c_63_72_75_6d;

/// A Postgres server.
#[derive(Clone)]
pub(super) struct PostgresDatabase(Arc<Inner>);

struct Inner {
    pool: PgPool,
    setup: Option<String>,
    ready: OnceCell<()>,
    ledger: OnceCell<()>,
}

impl PostgresDatabase {
    pub(super) fn build(
        config: &PostgresConfig,
        vault: &mut Vault,
        problems: &mut Problems,
    ) -> Option<Self> {
        let place = &config.url;
        let options = match problems.keep(place, SecretName::in_text(&place.value))? {
            Some(name) => {
                let url = problems.keep(place, vault.reveal(&name))?;
                // The parser's words may quote the URL, password and all.
                PgConnectOptions::from_str(url.expose_secret())
                    .map_err(|_| format!("{name} does not hold a Postgres URL"))
            }
            None if has_password(&place.value) => Err(
                "a URL with a password in it belongs into a secret: write `secret://name`"
                    .to_owned(),
            ),
            None => PgConnectOptions::from_str(&place.value).map_err(|error| error.to_string()),
        };
        let options = problems
            .keep(place, options)?
            .application_name("fulcrum-connector")
            // A connection that was left in the middle of a transaction must not hold its locks for ever.
            .options([("idle_in_transaction_session_timeout", "60s")]);
        let pool = PgPoolOptions::new()
            .max_connections(config.connections_max.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Some(Self(Arc::new(Inner {
            pool,
            setup: config.setup.clone(),
            ready: OnceCell::new(),
            ledger: OnceCell::new(),
        })))
    }

    pub(super) async fn run(&self, job: &Job) -> Result<Value, SqlFault> {
        self.0.ready.get_or_try_init(|| self.set_up()).await?;
        let begin = match job.statement.access {
            Access::Read => "BEGIN READ ONLY",
            Access::Write => "BEGIN",
        };
        let mut transaction = self
            .0
            .pool
            .begin_with(begin)
            .await
            .map_err(SqlFault::Connect)?;
        limit_time(&mut transaction, job.deadline).await?;
        let Some(record) = &job.key else {
            let answer = execute(&mut transaction, job).await?;
            transaction.commit().await.map_err(SqlFault::Commit)?;
            return Ok(answer);
        };
        self.0.ledger.get_or_try_init(|| self.make_ledger()).await?;
        if let Some(recorded) = find(&mut transaction, record).await? {
            return Ok(recorded);
        }
        let answer = execute(&mut transaction, job).await?;
        keep(&mut transaction, record, &answer).await?;
        transaction.commit().await.map_err(SqlFault::Commit)?;
        Ok(answer)
    }

    /// Deletes old rows of the ledger, one batch; gives their number.
    pub(super) async fn prune(&self, kept: Duration) -> Result<u64, SqlFault> {
        let done = sqlx::query(
            "DELETE FROM fulcrum_effects WHERE effect_key IN (
                SELECT effect_key FROM fulcrum_effects
                WHERE recorded_at < now() - make_interval(secs => $1) LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(kept.as_secs_f64())
        .bind(i64::from(BATCH_ROWS_MAX))
        .execute(&self.0.pool)
        .await
        .map_err(SqlFault::Statement)?;
        Ok(done.rows_affected())
    }

    async fn set_up(&self) -> Result<(), SqlFault> {
        match &self.0.setup {
            None => Ok(()),
            Some(setup) => self.under_setup_lock(setup.clone()).await,
        }
    }

    async fn make_ledger(&self) -> Result<(), SqlFault> {
        self.under_setup_lock(LEDGER.to_owned()).await
    }

    /// `CREATE … IF NOT EXISTS` is not safe against itself; the lock makes it so between connectors.
    async fn under_setup_lock(&self, statements: String) -> Result<(), SqlFault> {
        let mut transaction = self.0.pool.begin().await.map_err(SqlFault::Connect)?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(SETUP_LOCK)
            .execute(&mut *transaction)
            .await
            .map_err(SqlFault::Setup)?;
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut *transaction)
            .await
            .map_err(SqlFault::Setup)?;
        transaction.commit().await.map_err(SqlFault::Setup)
    }
}

async fn limit_time(
    transaction: &mut Transaction<'_, Postgres>,
    deadline: Instant,
) -> Result<(), SqlFault> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(SqlFault::Timeout);
    }
    sqlx::query("SELECT set_config('statement_timeout', $1, true)")
        .bind(left.as_millis().max(1).to_string())
        .execute(&mut **transaction)
        .await
        .map_err(SqlFault::Statement)?;
    Ok(())
}

async fn execute(
    transaction: &mut Transaction<'_, Postgres>,
    job: &Job,
) -> Result<Value, SqlFault> {
    // Not kept prepared: the types of the parameters follow the values, and a kept statement has the first call's.
    let mut query = sqlx::query(AssertSqlSafe(job.statement.text.clone())).persistent(false);
    for value in &job.values {
        query = match value {
            Bound::Null => query.bind(UntypedNull),
            Bound::Bool(flag) => query.bind(*flag),
            Bound::Integer(integer) => query.bind(*integer),
            Bound::Float(float) => query.bind(*float),
            Bound::Text(text) => query.bind(text.clone()),
            Bound::Json(json) => query.bind(Json(json.clone())),
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
    transaction: &mut Transaction<'_, Postgres>,
    record: &EffectRecord,
) -> Result<Option<Value>, SqlFault> {
    sqlx::query_scalar::<_, Value>("SELECT answer FROM fulcrum_effects WHERE effect_key = $1")
        .bind(&record.effect_key)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(SqlFault::Statement)
}

async fn keep(
    transaction: &mut Transaction<'_, Postgres>,
    record: &EffectRecord,
    answer: &Value,
) -> Result<(), SqlFault> {
    let kept = sqlx::query(
        "INSERT INTO fulcrum_effects (effect_key, capability, answer) VALUES ($1, $2, $3)",
    )
    .bind(&record.effect_key)
    .bind(&record.capability)
    .bind(answer)
    .execute(&mut **transaction)
    .await;
    match kept {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(SqlFault::SameEffectInProgress)
        }
        Err(error) => Err(SqlFault::Statement(error)),
    }
}

/// A column as JSON. Numerics, dates and times become text that loses nothing; `bytea` becomes base64.
fn value(row: &PgRow, index: usize) -> Result<Value, BoxDynError> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    let bytes = || raw.as_bytes();
    Ok(match kind.as_str() {
        "BOOL" => Value::from(row.try_get::<bool, _>(index)?),
        "INT2" => Value::from(row.try_get::<i16, _>(index)?),
        "INT4" => Value::from(row.try_get::<i32, _>(index)?),
        "INT8" => Value::from(row.try_get::<i64, _>(index)?),
        "FLOAT4" => Value::from(row.try_get::<f32, _>(index)?),
        "FLOAT8" => Value::from(row.try_get::<f64, _>(index)?),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "CITEXT" | "citext" => {
            Value::from(row.try_get_unchecked::<String, _>(index)?)
        }
        "UUID" => Value::from(row.try_get::<sqlx::types::Uuid, _>(index)?.to_string()),
        "JSON" | "JSONB" => row.try_get(index)?,
        "NUMERIC" => Value::from(numeric::decimal(bytes()?)?),
        "TIMESTAMPTZ" => Value::from(numeric::timestamp(bytes()?)?.to_string()),
        "TIMESTAMP" => Value::from(numeric::civil_time(bytes()?)?.to_string()),
        "DATE" => Value::from(numeric::date(bytes()?)?.to_string()),
        "BYTEA" => {
            use base64::Engine as _;
            Value::from(base64::engine::general_purpose::STANDARD.encode(bytes()?))
        }
        "TEXT[]" | "VARCHAR[]" => Value::from(row.try_get_unchecked::<Vec<String>, _>(index)?),
        "INT4[]" => Value::from(row.try_get::<Vec<i32>, _>(index)?),
        "INT8[]" => Value::from(row.try_get::<Vec<i64>, _>(index)?),
        "VOID" => Value::Null,
        _ => {
            return Err(format!(
                "type {kind} has no JSON form; cast it in the statement, as in `{{column}}::text`"
            )
            .into());
        }
    })
}

/// A null without a type: the server takes the type the place needs, as it does for a bare `NULL`.
struct UntypedNull;

impl Type<Postgres> for UntypedNull {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for UntypedNull {
    fn encode_by_ref(&self, _buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

fn has_password(url: &str) -> bool {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split('/').next())
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'))
        || url.contains("password=")
}
