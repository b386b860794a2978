//! What became of one start in a batch.

use fulcrum_proto::workflow::v1::StartedRun;
use serde::Serialize;

use crate::client::refusal::Refusal;
use crate::output::printer::Row;
use crate::output::style::Tone;
use crate::output::table::Cell;

/// One row of the file, and its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartedView {
    /// Row of the file, from 1, without its header.
    pub row: usize,
    /// The run; empty if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// Whether this call created it.
    pub created: bool,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The reason's documented name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl StartedView {
    /// A row that has a run.
    #[must_use]
    pub fn started(row: usize, started: &StartedRun) -> Self {
        Self {
            row,
            run_id: started.run_id.clone(),
            created: started.created,
            error: None,
            code: None,
        }
    }

    /// A row that has none.
    #[must_use]
    pub fn refused(row: usize, refusal: &Refusal) -> Self {
        Self {
            row,
            run_id: String::new(),
            created: false,
            error: Some(refusal.message.clone()),
            code: Some(refusal.code.clone()),
        }
    }
}

impl Row for StartedView {
    const HEADER: &'static [&'static str] = &["ROW", "RUN", "RESULT"];

    fn cells(&self) -> Vec<Cell> {
        let result = match (&self.error, self.created) {
            (Some(error), _) => Cell::toned(Tone::Bad, error),
            (None, true) => Cell::toned(Tone::Good, "started"),
            (None, false) => Cell::toned(Tone::Faint, "was started before"),
        };
        vec![
            self.row.to_string().into(),
            Cell::from(&self.run_id),
            result,
        ]
    }

    fn id(&self) -> &str {
        &self.run_id
    }
}
