//! The one way from a text to a version of a workflow.

use crate::definition::check::{CheckContext, check};
use crate::definition::diagnostic::Diagnostic;
use crate::definition::hash::definition_hash;
use crate::definition::model::Definition;
use crate::definition::parse::parse;
use crate::ids::DefinitionHash;

/// Parses, checks and names a definition.
///
/// # Errors
/// Every problem found, in the order of the source; never an empty list.
pub fn compile(
    text: &str,
    context: &CheckContext<'_>,
) -> Result<(Definition, DefinitionHash), Vec<Diagnostic>> {
    let parsed = parse(text, context.limits);
    let mut problems = parsed.diagnostics;
    let Some(definition) = parsed.definition else {
        return Err(problems);
    };
    problems.extend(check(&definition, &parsed.source, context));
    problems.sort();
    problems.dedup();
    if !problems.is_empty() {
        return Err(problems);
    }
    let hash = definition_hash(&definition);
    Ok((definition, hash))
}
