//! One execution, as both databases take it, and the shape of its answer.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::bind::Bound;
use super::config::Returns;
use super::statement::Statement;

/// One execution of a statement.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) statement: Arc<Statement>,
    pub(crate) values: Vec<Bound>,
    pub(crate) returns: Returns,
    pub(crate) rows_max: usize,
    pub(crate) deadline: Instant,
    /// The effect key, if the effect is to be recorded with it.
    pub(crate) key: Option<EffectRecord>,
}

/// What is recorded in `fulcrum_effects` besides the answer.
#[derive(Clone)]
pub(crate) struct EffectRecord {
    pub(crate) effect_key: String,
    pub(crate) capability: String,
}

/// An answer that does not have the shape the capability returns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("the statement gave no row")]
    RowMissing,
    #[error("the statement gave more than {0} rows; narrow it, or raise rows_max")]
    TooManyRows(usize),
}

/// Rows as they come in, bounded.
pub(crate) struct Rows {
    rows: Vec<Map<String, Value>>,
    rows_max: usize,
}

impl Job {
    /// Where this job's rows are collected. One row more than a single one is an error too.
    pub(crate) fn rows(&self) -> Rows {
        Rows {
            rows: Vec::new(),
            rows_max: match self.returns {
                Returns::Row | Returns::OptionalRow => 1,
                Returns::Rows | Returns::Count => self.rows_max,
            },
        }
    }

    /// The output for the rows that came.
    pub(crate) fn answer(&self, rows: Rows) -> Result<Value, ShapeError> {
        let mut rows = rows.rows;
        match self.returns {
            Returns::Rows => Ok(json!({ "rows": rows })),
            Returns::Row => rows.pop().map(Value::Object).ok_or(ShapeError::RowMissing),
            Returns::OptionalRow => Ok(rows.pop().map_or(Value::Null, Value::Object)),
            Returns::Count => Ok(self.count(rows.len() as u64)),
        }
    }

    /// The output when rows are counted.
    pub(crate) fn count(&self, changed: u64) -> Value {
        json!({ "count": changed })
    }
}

impl Rows {
    /// Takes one more row.
    pub(crate) fn push(&mut self, row: Map<String, Value>) -> Result<(), ShapeError> {
        if self.rows.len() == self.rows_max {
            return Err(ShapeError::TooManyRows(self.rows_max));
        }
        self.rows.push(row);
        Ok(())
    }
}
