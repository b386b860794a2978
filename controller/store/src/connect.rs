//! Pools, and what a server must be like.
//!
//! The driver gives no access to its sockets, so that a dead peer is noticed from above: every connection is looked at
//! when it is opened, when it is taken after a pause, and when it comes back; a look that takes longer than
//! [`LOOK_TIMEOUT`] closes it. The server watches its own end (`tcp_user_timeout`, keep-alives).
//!
//! *Behind a pooler in transaction mode* a session is ours for one transaction at a time, and named statements of
//! others may be left on it. The driver names its statements even when it keeps none, and sends Parse and Bind in two
//! messages. So there a checkout *is* a transaction: it is opened, and cleared of names, when a connection is taken,
//! and closed when it comes back. What begins a transaction of its own finds itself in that one.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::store::StoreError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool, Row};
use tokio::sync::Notify;

use crate::bus::EarsOptions;
use crate::continuity::{Position, Watermark};
use crate::options::{Durability, PoolSizes, Route, StoreOptions};
use crate::problem::Problem;
use crate::versions::LevelSeen;
use crate::work::unit;
use crate::writer::Writers;

/// The oldest server that is supported, as in `server_version_num`.
const SERVER_VERSION_MIN: i32 = 150_000;

/// A connection that idled longer is looked at before use: the server may have gone meanwhile.
pub(crate) const IDLE_BEFORE_LOOK: Duration = Duration::from_secs(1);
/// A look that takes longer means that nobody is at the other end any more.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// One pool per purpose.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) control: PgPool,
    pub(crate) commit: Writers,
    pub(crate) request: PgPool,
    pub(crate) report: PgPool,
    /// One connection for what goes on all the time: the tick.
    pub(crate) watch: PgPool,
    /// How to listen, where that is possible.
    pub(crate) ears: Option<EarsOptions>,
    pub(crate) route: Route,
    pub(crate) watermark: Watermark,
    /// What may be written.
    pub(crate) level: LevelSeen,
    /// Told when a commit has left a leaf in the installation log.
    pub(crate) inbox_filled: Arc<Notify>,
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
    /// The place for blobs cannot be used.
    #[error("the place for blobs is not usable: {0}")]
    Blobs(String),
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
        let watermark = Watermark::default();
        let ears = match options.route {
            Route::Direct => Some(EarsOptions {
                pool: pool_options(
                    1,
                    options.acquire_timeout,
                    options.route,
                    Purpose::Watch,
                    &watermark,
                ),
                connect: connect.clone(),
            }),
            Route::TransactionPooler => None,
        };
        let pool = |size: u32, purpose: Purpose| {
            let (patience, route) = (options.acquire_timeout, options.route);
            pool_options(size, patience, route, purpose, &watermark)
                .connect_lazy_with(connect.clone())
        };
        let pools = Self {
            control: pool(options.pools.control, Purpose::Work),
            commit: Writers::of(pool(options.pools.commit, Purpose::Commit)),
            request: pool(options.pools.request, Purpose::Work),
            report: pool(options.pools.report, Purpose::Work),
            watch: pool(1, Purpose::Watch),
            ears,
            route: options.route,
            watermark,
            level: LevelSeen::default(),
            inbox_filled: Arc::default(),
        };
        check_server(&pools.control, options.durability).await?;
        Ok(pools)
    }

    /// Closes them; waits for connections in use.
    pub(crate) async fn close(&self) {
        self.commit.close().await;
        self.request.close().await;
        self.report.close().await;
        self.watch.close().await;
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
            // Compiling a statement costs more than any of ours takes.
            ("jit", "off"),
        ]),
        // A pooler passes on only parameters that it knows.
        Route::TransactionPooler => named.statement_cache_capacity(0).extra_float_digits(None),
    })
}

/// What the connections of a pool are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Units of work: each is a transaction, and its connection is looked at when it comes back.
    Work,
    /// Commits of one statement. Whoever meets an error, or is cut off, closes the connection.
    Commit,
    /// Statements that commit by themselves, all the time. Whoever meets an error closes the connection.
    Watch,
}

fn pool_options(
    size: u32,
    acquire_timeout: Duration,
    route: Route,
    purpose: Purpose,
    watermark: &Watermark,
) -> PgPoolOptions {
    let watermark = watermark.clone();
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(acquire_timeout)
        .max_lifetime(Duration::from_secs(30 * 60))
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let watermark = watermark.clone();
            Box::pin(async move {
                in_time(greet(connection, &watermark)).await?;
                in_time(prepare(connection, route, purpose)).await?;
                open_checkout(connection, route, purpose).await
            })
        })
        .before_acquire(move |connection, meta| {
            Box::pin(async move {
                // It was fit when it came back; whether anybody is there is all that is asked, which costs the
                // server no transaction.
                if meta.idle_for >= IDLE_BEFORE_LOOK {
                    in_time(connection.ping()).await?;
                }
                in_time(open_checkout(connection, route, purpose)).await?;
                Ok(true)
            })
        })
        .after_release(move |connection, _| {
            Box::pin(async move {
                in_time(close_checkout(connection, route)).await?;
                match purpose {
                    Purpose::Work => in_time(is_fit(connection)).await,
                    Purpose::Commit | Purpose::Watch => Ok(true),
                }
            })
        })
}

/// The first look at a new connection: a server that can be written to, and that has not lost what was acknowledged.
/// After an error the pool tries again until the caller's patience ends.
async fn greet(connection: &mut PgConnection, watermark: &Watermark) -> Result<(), sqlx::Error> {
    if !is_fit(connection).await? {
        return Err(sqlx::Error::Protocol(
            "the server is read-only; waiting for one that is not".to_owned(),
        ));
    }
    observe(connection, watermark).await
}

/// Compares where the server stands in its log with the highest that was seen.
pub(crate) async fn observe(
    connection: &mut PgConnection,
    watermark: &Watermark,
) -> Result<(), sqlx::Error> {
    let expected = watermark.expectation();
    let sql = sqlx::raw_sql(include_str!("../queries/connect/position.sql"));
    match connection.fetch_one(sql).await {
        Ok(row) => {
            if let (Some(timeline), Some(flushed)) = (row.try_get(1)?, row.try_get(2)?) {
                let system = row.try_get(0)?;
                let position = Position {
                    system,
                    timeline,
                    flushed,
                };
                let _ = watermark.observe(expected, position);
            }
            Ok(())
        }
        // A server that is not quite Postgres, or that keeps this from us: the look is a safeguard, not a condition.
        Err(sqlx::Error::Database(error)) => {
            tracing::debug!(%error, "the server does not tell its position; a lost tail would go unnoticed");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What holds as long as the connection, where it is ours alone.
async fn prepare(
    connection: &mut PgConnection,
    route: Route,
    purpose: Purpose,
) -> Result<(), sqlx::Error> {
    match (route, purpose) {
        (Route::Direct, Purpose::Watch) => {
            let settings = sqlx::raw_sql(include_str!("../queries/connect/watch.sql"));
            connection.execute(settings).await.map(drop)
        }
        (Route::Direct, Purpose::Work | Purpose::Commit) | (Route::TransactionPooler, _) => Ok(()),
    }
}

/// Behind a pooler: a transaction for this checkout, with no statement names from others in it.
async fn open_checkout(
    connection: &mut PgConnection,
    route: Route,
    purpose: Purpose,
) -> Result<(), sqlx::Error> {
    match route {
        Route::Direct => Ok(()),
        Route::TransactionPooler => {
            let open = sqlx::raw_sql(include_str!("../queries/connect/open_checkout.sql"));
            connection.execute(open).await?;
            match purpose {
                Purpose::Work | Purpose::Commit => Ok(()),
                Purpose::Watch => {
                    let settings = include_str!("../queries/connect/watch_in_checkout.sql");
                    connection.execute(sqlx::raw_sql(settings)).await.map(drop)
                }
            }
        }
    }
}

/// Behind a pooler: ends the checkout's transaction, unless whoever had it has done so.
async fn close_checkout(connection: &mut PgConnection, route: Route) -> Result<(), sqlx::Error> {
    match route {
        Route::Direct => Ok(()),
        Route::TransactionPooler => connection
            .execute(sqlx::raw_sql(
                "set local client_min_messages = error; commit",
            ))
            .await
            .map(drop),
    }
}

pub(crate) async fn in_time<T>(
    look: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(LOOK_TIMEOUT, look)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// True outside a transaction, on a server that can be written to. Inside one `now()` stands still; inside a failed one
/// the statement itself fails. In both cases the pool closes the connection. Sent as one simple query: in the extended
/// protocol the transaction begins at Parse and the statement at Execute, microseconds apart, and no connection would
/// ever look idle.
async fn is_fit(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = sqlx::raw_sql(include_str!("../queries/connect/is_idle.sql"));
    let fit: bool = connection.fetch_one(sql).await?.try_get(0)?;
    if !fit {
        tracing::error!(
            "a connection is closed: it came back inside a transaction, or its server is read-only"
        );
    }
    Ok(fit)
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
        let pool = pool_options(
            1,
            Duration::from_secs(5),
            Route::Direct,
            Purpose::Work,
            &Watermark::default(),
        )
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
