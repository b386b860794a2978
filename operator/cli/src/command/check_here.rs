//! Checking a definition on this machine, with the controller's own checker and no controller.
//!
//! What only a namespace knows is left out: which capabilities are registered and which workflows are stored.

use fulcrum_core::definition::{CheckContext, Diagnostic, Unregistered, compile};
use fulcrum_core::limits::Limits;
use fulcrum_proto::workflow::v1 as wire;

/// Checks a text under the default limits.
#[must_use]
pub fn check(text: &str) -> wire::ValidateDefinitionResponse {
    let context = CheckContext {
        capabilities: None,
        workflows: None,
        unregistered: Unregistered::Allow,
        limits: &Limits::default(),
    };
    match compile(text, &context) {
        Ok((_, hash)) => wire::ValidateDefinitionResponse {
            diagnostics: Vec::new(),
            definition_hash: hash.to_string(),
        },
        Err(problems) => wire::ValidateDefinitionResponse {
            diagnostics: problems.iter().map(diagnostic).collect(),
            definition_hash: String::new(),
        },
    }
}

fn diagnostic(problem: &Diagnostic) -> wire::Diagnostic {
    wire::Diagnostic {
        code: problem.code.as_str().to_owned(),
        message: problem.message.clone(),
        line: problem.line,
        column: problem.column,
        path: problem.path.clone(),
        severity: wire::Severity::Error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_checked_without_a_controller() {
        let sound = "workflow: a\nsteps:\n  - { id: x, call: any.thing }\n";
        let answer = check(sound);
        assert_eq!(answer.diagnostics, []);
        assert_eq!(answer.definition_hash.len(), 64);
        let broken = "workflow: a\nsteps:\n  - { id: x, call: any.thing, with: { y: \"${steps.z.output}\" } }\n";
        let answer = check(broken);
        assert_eq!(answer.definition_hash, "");
        let found: Vec<_> = answer
            .diagnostics
            .iter()
            .map(|found| (found.code.as_str(), found.line))
            .collect();
        assert_eq!(found, [("UNKNOWN_STEP", 3)]);
    }
}
