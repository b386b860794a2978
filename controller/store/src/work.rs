//! Units of work.
//!
//! A caller may go away at any await (its client gave up); the driver does not survive that inside BEGIN: the
//! connection would return to the pool in an open transaction. So every unit of work runs as a task of its own that
//! the caller merely waits for, and goes on to its end without it.

use fulcrum_core::store::StoreError;
use sqlx::{PgPool, Postgres, Transaction};
use tracing::Instrument;

use crate::problem::Problem;

/// Opens a transaction in one round trip together with what holds for it alone, so that nothing is left on the
/// session and a transaction pooler may stand between. Joins of a few rows with hot tables always go by index:
/// statistics of a young table would have it otherwise, and the plan would stay.
pub(crate) enum Prelude {
    /// A commit: durable before it answers.
    Commit,
    /// Leases and due rows: short, by index. The loss of a heartbeat in a crash of the server does no harm, but a
    /// grant that was given is kept.
    Control,
    /// Heartbeats: may be lost in a crash of the server, which is what a heartbeat is for.
    Beat,
    /// Reads that lead to a decision.
    Read,
    /// Listings for people.
    Report,
    /// Changes to the catalogue and to identities.
    Catalog,
    /// Retention and partitions: may take its time.
    Upkeep,
}

macro_rules! by_index {
    ($sql:literal) => {
        concat!(
            $sql,
            "; set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off",
            "; set local idle_in_transaction_session_timeout = '15s'"
        )
    };
}

impl Prelude {
    const fn sql(&self) -> &'static str {
        match self {
            Prelude::Commit => by_index!(
                "begin; set local synchronous_commit = on; set local statement_timeout = '20s'; set local lock_timeout = '10s'"
            ),
            Prelude::Control => {
                by_index!(
                    "begin; set local synchronous_commit = on; set local statement_timeout = '5s'"
                )
            }
            Prelude::Beat => by_index!(
                "begin; set local synchronous_commit = off; set local statement_timeout = '5s'"
            ),
            Prelude::Read => by_index!("begin read only; set local statement_timeout = '10s'"),
            Prelude::Report => {
                "begin read only; set local statement_timeout = '5s'; set local idle_in_transaction_session_timeout = '15s'"
            }
            Prelude::Catalog => {
                "begin; set local synchronous_commit = on; set local statement_timeout = '10s'; set local lock_timeout = '5s'; set local idle_in_transaction_session_timeout = '15s'"
            }
            Prelude::Upkeep => {
                "begin; set local statement_timeout = '60s'; set local lock_timeout = '3s'; set local idle_in_transaction_session_timeout = '60s'"
            }
        }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(
        self,
        pool: &PgPool,
    ) -> Result<Transaction<'static, Postgres>, Problem> {
        Ok(pool.begin_with(self.sql()).await?)
    }
}

/// Runs a unit of work to its end, whatever becomes of the caller.
pub(crate) async fn unit<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(error) if error.is_panic() => {
            tracing::error!(%error, "a unit of database work panicked");
            Err(StoreError::Refused(
                "a unit of database work panicked; this is a defect".to_owned(),
            ))
        }
        Err(_) => Err(StoreError::Unavailable(
            "the process is shutting down".to_owned(),
        )),
    }
}
