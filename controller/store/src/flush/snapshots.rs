//! Snapshots of folds, rewritten now and then.

use fulcrum_core::store::Commit;
use sqlx::PgConnection;

use crate::column::array::{column, long, shard};
use crate::problem::Problem;

pub(super) async fn put(tx: &mut PgConnection, winners: &[&Commit]) -> Result<(), Problem> {
    let due: Vec<(&Commit, &Vec<u8>)> = winners
        .iter()
        .filter_map(|commit| Some((*commit, commit.snapshot.as_ref()?)))
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "queries/flush/put_snapshots.sql",
        &column(&due, |(c, _)| shard(c.head.run.shard())),
        &column(&due, |(c, _)| c.head.run.0),
        &column(&due, |(c, _)| long(c.head.last_seq)),
        &column(&due, |(c, _)| c.head.chain.0.to_vec()),
        &column(&due, |(_, state)| (*state).clone()),
    )
    .execute(tx)
    .await?;
    Ok(())
}
