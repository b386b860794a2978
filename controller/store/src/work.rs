//! Units of work.
//!
//! A caller may go away at any await (its client gave up); the driver does not survive that inside BEGIN: the
//! connection would return to the pool in an open transaction. So every unit of work runs as a task of its own that
//! the caller merely waits for, and goes on to its end without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fulcrum_core::store::StoreError;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tracing::Instrument;

use crate::problem::Problem;

/// Opens a transaction in one round trip together with what holds for it alone, so that nothing is left on the
/// session and a transaction pooler may stand between. Joins of a few rows with hot tables always go by index:
/// statistics of a young table would have it otherwise, and the plan would stay.
pub(crate) enum Prelude {
    /// A commit: durable before it answers.
    Commit,
    /// Blobs, ahead of the commit that refers to them: durable before it begins, since the server may be another one by then.
    Blobs,
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
            Prelude::Blobs => by_index!(
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

/// How long a unit of work may take, the wait for a connection included. Longer than what the server is told to allow a
/// statement: only a server that fell silent, or a pool that nothing comes back to, gets this far.
const UNIT_TIMEOUT: Duration = Duration::from_secs(25);
/// The same for what is meant to take its time: migrations, partitions, retention. Each of their statements is bounded
/// by the server.
const LONG_UNIT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

tokio::task_local! {
    /// Has this unit sent a commit that was not answered yet?
    static COMMIT_SENT: Arc<AtomicBool>;
}

/// Runs a unit of work to its end, whatever becomes of the caller.
///
/// A unit that takes longer than [`UNIT_TIMEOUT`] is given up: the connection that it used is looked at on its way back
/// to the pool, and closed unless it is idle and answers.
///
/// It begins at once, so that what is waited for is small: work with the database is kilobytes of state, and a caller that
/// held it would be moved about with all of that.
pub(crate) fn unit<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> impl Future<Output = Result<T, StoreError>> + Send {
    unit_within(UNIT_TIMEOUT, work)
}

/// The same with [`LONG_UNIT_TIMEOUT`].
pub(crate) fn long_unit<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> impl Future<Output = Result<T, StoreError>> + Send {
    unit_within(LONG_UNIT_TIMEOUT, work)
}

/// Awaits what commits: if the unit is given up meanwhile, its outcome is unknown.
pub(crate) async fn committing<T, E>(commit: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let mark = |sent: bool| {
        // Outside a unit nobody asks.
        let _ = COMMIT_SENT.try_with(|flag| flag.store(sent, Ordering::Relaxed));
    };
    mark(true);
    let outcome = commit.await;
    if outcome.is_ok() {
        mark(false);
    }
    outcome
}

fn unit_within<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> impl Future<Output = Result<T, StoreError>> + Send {
    let commit_sent = Arc::new(AtomicBool::new(false));
    let work = COMMIT_SENT.scope(Arc::clone(&commit_sent), work);
    let under_way = tokio::spawn(tokio::time::timeout(limit, work).in_current_span());
    ended(under_way, limit, commit_sent)
}

async fn ended<T>(
    under_way: JoinHandle<Result<Result<T, Problem>, Elapsed>>,
    limit: Duration,
    commit_sent: Arc<AtomicBool>,
) -> Result<T, StoreError> {
    match under_way.await {
        Ok(Ok(result)) => result.map_err(StoreError::from),
        Ok(Err(_elapsed)) => {
            let what = format!("it did not answer within {} s", limit.as_secs_f32());
            tracing::error!(
                ?limit,
                "the database fell silent; a unit of work is given up"
            );
            Err(if commit_sent.load(Ordering::Relaxed) {
                StoreError::OutcomeUnknown(what)
            } else {
                StoreError::Unavailable(what)
            })
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_server_that_falls_silent_does_not_hang_the_caller() {
        let silent = async {
            let () = std::future::pending().await;
            Ok(())
        };
        let given_up = unit_within(SHORT, silent).await;
        assert!(
            matches!(given_up, Err(StoreError::Unavailable(_))),
            "{given_up:?}"
        );
    }

    #[tokio::test]
    async fn what_is_waited_for_is_small_however_much_the_work_holds() {
        let large = [1_u8; 64 * 1024];
        let work = async move {
            tokio::task::yield_now().await;
            Ok(large.len())
        };
        let waiting = unit(work);
        assert!(size_of_val(&waiting) <= 256, "{}", size_of_val(&waiting));
        assert_eq!(waiting.await.unwrap(), 64 * 1024);
    }

    #[tokio::test]
    async fn silence_after_a_commit_was_sent_leaves_its_outcome_unknown() {
        let silent = async {
            committing(async { Ok::<_, Problem>(()) }).await?;
            committing(std::future::pending::<Result<(), Problem>>()).await
        };
        let given_up = unit_within(SHORT, silent).await;
        assert!(
            matches!(given_up, Err(StoreError::OutcomeUnknown(_))),
            "{given_up:?}"
        );
    }

    #[tokio::test]
    async fn silence_after_an_answered_commit_does_not() {
        let silent = async {
            committing(async { Ok::<_, Problem>(()) }).await?;
            std::future::pending::<Result<(), Problem>>().await
        };
        let given_up = unit_within(SHORT, silent).await;
        assert!(
            matches!(given_up, Err(StoreError::Unavailable(_))),
            "{given_up:?}"
        );
    }
}
