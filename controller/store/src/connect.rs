//! Pools, and what a server must be like.

use std::time::Duration;

use fulcrum_core::store::StoreError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool, Row};

use crate::options::{Durability, PoolSizes, Route, StoreOptions};
use crate::problem::Problem;
use crate::work::unit;

/// The oldest server that is supported, as in `server_version_num`.
const SERVER_VERSION_MIN: i32 = 150_000;

/// A connection that idled longer is checked before use: the server may have gone meanwhile.
const IDLE_BEFORE_CHECK: Duration = Duration::from_secs(1);

/// One pool per purpose.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) control: PgPool,
    pub(crate) request: PgPool,
    pub(crate) report: PgPool,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not a Postgres URL.
    #[error("the database URL is not usable: {0}")]
    Url(String),
    /// More connections than one controller may hold.
    #[error("the pools add up to {sum} connections; at most {max} are allowed")]
    TooManyConnections { sum: u32, max: u32 },
    /// The server is too old.
    #[error("PostgreSQL {found} is too old; version {} or newer is needed", SERVER_VERSION_MIN / 10_000)]
    TooOld { found: String },
    /// A commit could be lost.
    #[error(
        "the server runs with `{setting} = off`: accepted work could be lost. Turn it on, or start with --unsafe on data you can lose"
    )]
    NotDurable { setting: &'static str },
    /// The server cannot be reached or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Pools {
    /// Opens the pools and checks the server.
    pub(crate) async fn open(options: &StoreOptions) -> Result<Self, ConnectError> {
        let sum = options.pools.sum();
        if sum > PoolSizes::CONNECTIONS_MAX {
            return Err(ConnectError::TooManyConnections {
                sum,
                max: PoolSizes::CONNECTIONS_MAX,
            });
        }
        let connect = connect_options(options)?;
        let pool = |size: u32| {
            pool_options(size, options.acquire_timeout).connect_lazy_with(connect.clone())
        };
        let pools = Self {
            control: pool(options.pools.control),
            request: pool(options.pools.request),
            report: pool(options.pools.report),
        };
        check_server(&pools.control, options.durability).await?;
        Ok(pools)
    }

    /// Closes them; waits for connections in use.
    pub(crate) async fn close(&self) {
        self.request.close().await;
        self.report.close().await;
        self.control.close().await;
    }
}

fn connect_options(options: &StoreOptions) -> Result<PgConnectOptions, ConnectError> {
    let parsed: PgConnectOptions = options
        .url
        .parse()
        .map_err(|error: sqlx::Error| ConnectError::Url(error.to_string()))?;
    let named = parsed
        .application_name("fulcrum")
        .disable_statement_logging();
    Ok(match options.route {
        // The server watches the socket from its side; the driver offers no keep-alive on ours, but every
        // transaction has a statement timeout and every checkout a check.
        Route::Direct => named.options([
            ("tcp_keepalives_idle", "30"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
            ("idle_in_transaction_session_timeout", "60000"),
        ]),
        Route::TransactionPooler => named.statement_cache_capacity(0),
    })
}

fn pool_options(size: u32, acquire_timeout: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(acquire_timeout)
        .max_lifetime(Duration::from_secs(30 * 60))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < IDLE_BEFORE_CHECK {
                    Ok(true)
                } else {
                    is_idle(connection).await
                }
            })
        })
        .after_release(|connection, _| Box::pin(is_idle(connection)))
}

/// True outside a transaction. Inside one `now()` stands still; inside a failed one the statement itself fails. In
/// both cases the pool closes the connection. Sent as one simple query: in the extended protocol the transaction begins
/// at Parse and the statement at Execute, microseconds apart, and no connection would ever look idle.
async fn is_idle(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = sqlx::raw_sql(include_str!("../queries/connect/is_idle.sql"));
    let idle: bool = connection.fetch_one(sql).await?.try_get(0)?;
    if !idle {
        tracing::error!("a connection came back inside a transaction and is closed");
    }
    Ok(idle)
}

async fn check_server(pool: &PgPool, durability: Durability) -> Result<(), ConnectError> {
    let pool = pool.clone();
    let server = unit(async move {
        sqlx::query_file!("queries/connect/server.sql")
            .fetch_one(&pool)
            .await
            .map_err(Problem::from)
    })
    .await?;
    if server.version_num < SERVER_VERSION_MIN {
        return Err(ConnectError::TooOld {
            found: server.version,
        });
    }
    match durability {
        Durability::Unsafe => Ok(()),
        Durability::Required if server.fsync == "off" => {
            Err(ConnectError::NotDurable { setting: "fsync" })
        }
        Durability::Required if server.synchronous_commit == "off" => {
            Err(ConnectError::NotDurable {
                setting: "synchronous_commit",
            })
        }
        Durability::Required => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Executor;

    async fn backend(connection: &mut PgConnection) -> i32 {
        sqlx::raw_sql("select pg_backend_pid()")
            .fetch_one(connection)
            .await
            .unwrap()
            .get(0)
    }

    #[tokio::test]
    async fn a_connection_is_kept_unless_it_comes_back_inside_a_transaction() {
        let url =
            std::env::var("FULCRUM_TEST_DATABASE_URL").expect("run with `scripts/pg-test run`");
        let pool = pool_options(1, Duration::from_secs(5))
            .connect(&url)
            .await
            .unwrap();
        let first = backend(&mut pool.acquire().await.unwrap()).await;
        let again = backend(&mut pool.acquire().await.unwrap()).await;
        assert_eq!(first, again);
        for spoiled in ["begin", "begin; select broken"] {
            let mut connection = pool.acquire().await.unwrap();
            let before = backend(&mut connection).await;
            let _ = connection.execute(spoiled).await;
            drop(connection);
            let after = backend(&mut pool.acquire().await.unwrap()).await;
            assert_ne!(before, after, "after `{spoiled}`");
        }
    }
}
