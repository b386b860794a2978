//! A signed head of the installation log.

use fulcrum_sdk::witness::Seen;
use serde::Serialize;

use crate::output::printer::Page;

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadView {
    /// The log's name.
    pub log: String,
    /// Entries in it.
    pub size: u64,
    /// The hash of all of them, in hex.
    pub root: String,
    /// What checks its signature.
    pub verifier: String,
    /// The first entry that is still kept.
    pub first_place: u64,
    /// The head as it is signed.
    pub note: String,
}

impl From<&Seen> for HeadView {
    fn from(seen: &Seen) -> Self {
        Self {
            log: seen.verifier.name().to_owned(),
            size: seen.head.size,
            root: hex::encode(seen.head.root.0),
            verifier: seen.verifier.to_string(),
            first_place: seen.first_place,
            note: seen.note.clone(),
        }
    }
}

impl Page for HeadView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("log", self.log.clone()),
            ("entries", self.size.to_string()),
            ("first kept", self.first_place.to_string()),
            ("root", self.root.clone()),
            ("verifier", self.verifier.clone()),
        ]
    }

    fn id(&self) -> &str {
        &self.verifier
    }
}
