//! Definitions and what is wrong with them.

use fulcrum_core::definition::{Contents, Diagnostic, model};
use fulcrum_core::ids::DefinitionHash;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_store::catalog::StoredDefinition;

use super::time;
use crate::server::fault::Fault;

/// Is it the version that new runs get?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Current,
    /// Another one is, or none.
    Other,
}

/// A definition hash from its 64 hexadecimal digits.
#[must_use]
pub fn hash(text: &str) -> Option<DefinitionHash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(DefinitionHash(hash))
}

/// A definition for the wire, without its source.
pub fn definition(
    stored: &StoredDefinition,
    standing: Standing,
) -> Result<wire::Definition, Fault> {
    let definition: model::Definition =
        serde_json::from_slice(&stored.canonical).map_err(|error| Fault::internal(&error))?;
    let contents = Contents::of(&definition);
    Ok(wire::Definition {
        workflow: stored.workflow.clone(),
        definition_hash: stored.hash.to_string(),
        created_at: Some(time::instant(stored.created_at)),
        created_by: stored.created_by.clone(),
        current: standing == Standing::Current,
        step_count: contents.steps,
        capabilities: contents.capabilities.into_iter().collect(),
        source: Default::default(),
        format: wire::SourceFormat::Yaml.into(),
    })
}

/// A finding for the wire.
#[must_use]
pub fn diagnostic(found: &Diagnostic, severity: wire::Severity) -> wire::Diagnostic {
    wire::Diagnostic {
        code: found.code.as_str().to_owned(),
        message: found.message.clone(),
        line: found.line,
        column: found.column,
        path: found.path.clone(),
        severity: severity.into(),
    }
}
