//! The connections that plain batches are committed on, and that of the tick: few, so that their server processes stay
//! warm, and never in a transaction, so that nothing needs to be asked of them when they come back.

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use crate::problem::Problem;

/// A connection for statements that are each their own transaction. It goes back to its pool when it was said to be at
/// rest; in any other case (an error, a timeout, a panic) it is closed.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: PoolConnection<Postgres>,
    rests: bool,
}

impl Writer {
    /// Waits for one.
    pub(crate) async fn take(pool: &PgPool) -> Result<Self, Problem> {
        let connection = pool.acquire().await?;
        Ok(Self {
            connection,
            rests: false,
        })
    }

    /// To send a statement.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The statement has been answered: gives the connection back.
    pub(crate) fn rest(mut self) {
        self.rests = true;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.rests {
            self.connection.close_on_drop();
        }
    }
}
