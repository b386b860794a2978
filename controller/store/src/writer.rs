//! The connections that plain batches are committed on, and that of the tick: few, so that their server processes stay
//! warm, and never in a transaction, so that nothing needs to be asked of them when they come back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::connect::{IDLE_BEFORE_LOOK, in_time};
use crate::problem::Problem;

/// After so long a connection is closed, and its pool opens another.
const KEPT_MAX: Duration = Duration::from_secs(30 * 60);

/// The connections of a pool, and beside it those that rest between two batches: a pool asks each connection that comes
/// back whether it is still there, and is not done with that when the next batch wants it. The one that rested last is
/// taken first: its server process is the warmest.
#[derive(Debug, Clone)]
pub(crate) struct Writers {
    pool: PgPool,
    /// One for each connection that there may be.
    permits: Arc<Semaphore>,
    resting: Arc<Mutex<Vec<Resting>>>,
}

#[derive(Debug)]
struct Resting {
    /// None once it is taken.
    connection: Option<PoolConnection<Postgres>>,
    taken_at: Instant,
    since: Instant,
}

impl Drop for Resting {
    fn drop(&mut self) {
        // Its pool would ask it whether it is there, by a task; there may be no runtime any more.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl Writers {
    pub(crate) fn of(pool: PgPool) -> Self {
        let connections = pool.options().get_max_connections();
        Self {
            pool,
            permits: Arc::new(Semaphore::new(connections as usize)),
            resting: Arc::default(),
        }
    }

    /// Waits for one.
    pub(crate) async fn take(&self) -> Result<Writer, Problem> {
        let patience = self.pool.options().get_acquire_timeout();
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = timeout(patience, permit)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let mut writer = self.take_any().await?;
        writer.permit = Some(permit);
        Ok(writer)
    }

    async fn take_any(&self) -> Result<Writer, Problem> {
        while let Some(mut resting) = self.pop() {
            let mut writer = Writer {
                connection: resting.connection.take(),
                taken_at: resting.taken_at,
                home: Some(self.clone()),
                permit: None,
            };
            // One at whose other end nobody is any more is closed.
            let is_fresh = resting.since.elapsed() < IDLE_BEFORE_LOOK;
            if is_fresh || in_time(writer.connection().ping()).await.is_ok() {
                return Ok(writer);
            }
        }
        let mut writer = Writer::take(&self.pool).await?;
        writer.home = Some(self.clone());
        Ok(writer)
    }

    /// How many there are, and how many of them nobody uses.
    pub(crate) fn counts(&self) -> (u32, usize) {
        let resting = self.lock().len();
        (self.pool.size(), self.pool.num_idle() + resting)
    }

    /// Most there may be.
    pub(crate) fn max(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    /// Closes them; waits for those in use.
    pub(crate) async fn close(&self) {
        let closed = self.pool.close();
        self.lock().clear();
        closed.await;
    }

    fn pop(&self) -> Option<Resting> {
        self.lock().pop()
    }

    fn keep(&self, resting: Resting) {
        let mut kept = self.lock();
        if !self.pool.is_closed() && resting.taken_at.elapsed() < KEPT_MAX {
            kept.push(resting);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for statements that are each their own transaction. It goes back to where it came from when it was said
/// to be at rest; in any other case (an error, a timeout, a panic) it is closed.
#[derive(Debug)]
pub(crate) struct Writer {
    /// None once it rests.
    connection: Option<PoolConnection<Postgres>>,
    taken_at: Instant,
    home: Option<Writers>,
    /// Given back after the connection.
    permit: Option<OwnedSemaphorePermit>,
}

impl Writer {
    /// Waits for one of a pool.
    pub(crate) async fn take(pool: &PgPool) -> Result<Self, Problem> {
        Ok(Self {
            connection: Some(pool.acquire().await?),
            taken_at: Instant::now(),
            home: None,
            permit: None,
        })
    }

    /// To send a statement.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("it does not rest")
    }

    /// The statement has been answered: gives the connection back.
    pub(crate) fn rest(mut self) {
        let connection = self.connection.take();
        if let Some(home) = self.home.take() {
            home.keep(Resting {
                connection,
                taken_at: self.taken_at,
                since: Instant::now(),
            });
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}
