//! Rows of either database, and the answer they make.

use futures_util::{Stream, TryStreamExt as _};
use serde_json::{Map, Value};
use sqlx::error::BoxDynError;
use sqlx::{Column as _, Row};

use super::fault::SqlFault;
use super::job::Job;

/// Collects what `found` gives into the answer of `job`. `value` makes JSON of the column at an index.
pub(super) async fn collect<R: Row>(
    mut found: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    job: &Job,
    value: fn(&R, usize) -> Result<Value, BoxDynError>,
) -> Result<Value, SqlFault> {
    let mut rows = job.rows();
    while let Some(row) = found.try_next().await.map_err(SqlFault::Statement)? {
        rows.push(object(&row, value)?)?;
    }
    Ok(job.answer(rows)?)
}

fn object<R: Row>(
    row: &R,
    value: fn(&R, usize) -> Result<Value, BoxDynError>,
) -> Result<Map<String, Value>, SqlFault> {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let value = value(row, index).map_err(|error| SqlFault::Column {
            column: column.name().to_owned(),
            reason: error.to_string(),
        })?;
        object.insert(column.name().to_owned(), value);
    }
    Ok(object)
}
