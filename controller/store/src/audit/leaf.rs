//! What a commit leaves in the log.

use fulcrum_audit::{Leaf, Reached};
use fulcrum_core::store::Commit;
use sqlx::PgConnection;

use crate::problem::Problem;

/// The leaf of commits that are written together: how far each brought its run.
pub(crate) fn of(commits: &[&Commit]) -> Vec<u8> {
    let mut reached: Vec<Reached> = commits
        .iter()
        .map(|commit| Reached {
            run: commit.head.run.0,
            seq: commit.head.last_seq,
            chain: commit.head.chain.0,
        })
        .collect();
    reached.sort_unstable();
    Leaf::commit(reached.into_iter())
}

/// Leaves a leaf.
pub(crate) async fn leave(connection: &mut PgConnection, leaf: &[u8]) -> Result<(), Problem> {
    sqlx::query_file!("queries/audit/leave.sql", leaf)
        .execute(connection)
        .await?;
    Ok(())
}
