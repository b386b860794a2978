//! Young tables: a table without statistics is read from end to end, and autovacuum comes by once a minute. Empty ones
//! are left alone: the planner guesses better about a table that nobody has looked at than about one found empty.

use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::problem::Problem;
use crate::work::Prelude;

/// Analyses hot tables that have changed much; tells how many.
pub(crate) async fn refresh(pool: &PgPool) -> Result<u32, Problem> {
    let mut tx = Prelude::Report.begin(pool).await?;
    let names = sqlx::query_file_scalar!("queries/upkeep/changed_tables.sql")
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    analyse(pool, names).await
}

/// Analyses what holds something, once, after the schema has changed.
pub(crate) async fn analyse_filled(pool: &PgPool) -> Result<u32, Problem> {
    let mut tx = Prelude::Report.begin(pool).await?;
    let names = sqlx::query_file_scalar!("queries/upkeep/filled_tables.sql")
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    analyse(pool, names).await
}

/// One table a transaction. The names come from lists in the queries.
async fn analyse(pool: &PgPool, names: Vec<String>) -> Result<u32, Problem> {
    for name in &names {
        let mut tx = Prelude::Upkeep.begin(pool).await?;
        tx.execute(AssertSqlSafe(format!("analyze {name}"))).await?;
        tx.commit().await?;
        tracing::debug!(table = name, "analysed");
    }
    Ok(u32::try_from(names.len()).unwrap_or(u32::MAX))
}
