//! A namespace.

use fulcrum_proto::admin::v1::Namespace;
use jiff::Timestamp;
use serde::Serialize;

use crate::output::printer::{Page, Row};
use crate::output::table::Cell;
use crate::output::time;

/// One company or project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamespaceView {
    /// Its name.
    pub name: String,
    /// How many shards it has.
    pub shards: u32,
    /// When it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

impl From<&Namespace> for NamespaceView {
    fn from(namespace: &Namespace) -> Self {
        Self {
            name: namespace.name.clone(),
            shards: namespace.shards,
            created_at: time::from_proto(namespace.created_at.as_ref()),
        }
    }
}

impl Row for NamespaceView {
    const HEADER: &'static [&'static str] = &["NAMESPACE", "SHARDS", "CREATED"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            self.shards.to_string().into(),
            self.created_at
                .map(time::instant)
                .unwrap_or_default()
                .into(),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}

impl Page for NamespaceView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("namespace", self.name.clone()),
            ("shards", self.shards.to_string()),
            (
                "created",
                self.created_at.map(time::instant).unwrap_or_default(),
            ),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}
