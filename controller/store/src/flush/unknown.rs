//! The connection broke while COMMIT was under way: did it happen?
//!
//! The server knows: `pg_xact_status` of the transaction's id says when it is over. What it says after a failover may
//! be about another transaction, so the answer is read from the rows: the run that carries our commit id was
//! committed, and all with it. A transaction that was one call has no id that we know: if it is still under way and
//! comes true later, the repetition finds the runs changed, which is why only what bears that is sent so.

use std::time::Duration;

use fulcrum_core::store::{Commit, StoreError};
use sqlx::PgPool;

use crate::column::array::{column, long, shard};
use crate::problem::Problem;
use crate::work::Prelude;

pub(super) enum Fate {
    Committed,
    NotCommitted,
}

/// How long to ask a server that may be restarting, and the pause between questions.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn resolve(
    pool: &PgPool,
    xid: Option<&str>,
    winners: &[&Commit],
    error: sqlx::Error,
) -> Result<Fate, Problem> {
    match &error {
        // The server answered, and what it said is that there is no commit.
        sqlx::Error::Database(_) => return Err(error.into()),
        other => {
            tracing::warn!(error = %other, ?xid, "a commit's answer was lost; asking what became of it");
        }
    }
    let asking = async {
        loop {
            match ask(pool, xid, winners).await {
                Ok(Answer::Is(fate)) => return Some(fate),
                Ok(Answer::Ambiguous) => return None,
                Ok(Answer::NotYet) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Some(fate)) => Ok(fate),
        Ok(None) | Err(_) => Err(StoreError::OutcomeUnknown(error.to_string()).into()),
    }
}

enum Answer {
    Is(Fate),
    NotYet,
    Ambiguous,
}

async fn ask(pool: &PgPool, xid: Option<&str>, winners: &[&Commit]) -> Result<Answer, Problem> {
    let mut tx = Prelude::Read.begin(pool).await?;
    if let Some(xid) = xid {
        let status = sqlx::query_file_scalar!("queries/flush/fate.sql", xid)
            .fetch_one(&mut *tx)
            .await?;
        if status.as_deref() == Some("in progress") {
            return Ok(Answer::NotYet);
        }
    }
    let found = sqlx::query_file!(
        "queries/flush/commit_ids.sql",
        &column(winners.iter().copied(), |c| shard(c.head.run.shard())),
        &column(winners.iter().copied(), |c| c.head.run.0),
        &column(winners.iter().copied(), |c| c.id.0),
        &column(winners.iter().copied(), |c| long(c.head.version)),
        &column(winners.iter().copied(), |c| long(c.head.last_seq)),
        // Without events of its own a commit cannot be told from its predecessor by the chain.
        &column(winners.iter().copied(), |c| (!c.events.is_empty())
            .then(|| c.head.chain.0.to_vec())) as _,
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(if found.ours > 0 {
        Answer::Is(Fate::Committed)
    } else if found.behind > 0 {
        Answer::Is(Fate::NotCommitted)
    } else {
        Answer::Ambiguous
    })
}
