//! What is wrong with a source, in the light of what the namespace has.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_core::definition::{CheckContext, Diagnostic, Unregistered, compile, model};
use fulcrum_core::ids::DefinitionHash;
use fulcrum_core::limits::Limits;
use fulcrum_proto::workflow::v1 as wire;
use serde_json::Value;

use super::Definitions;
use crate::grpc::convert::definition as convert;
use crate::identity::registry::Namespace;
use crate::server::Fault;

/// Workflow names read for the check of `run` steps.
const WORKFLOWS_KNOWN_MAX: u32 = 100_000;

/// What checking a source gave.
pub(super) struct Checked {
    /// The definition, or what keeps it from being one.
    pub(super) result: Result<(model::Definition, DefinitionHash), Vec<Diagnostic>>,
    /// What was let pass because the caller asked for it.
    warnings: Vec<Diagnostic>,
}

impl Checked {
    /// The hash it is stored under, if it can be.
    pub(super) fn hash(&self) -> Option<DefinitionHash> {
        self.result.as_ref().ok().map(|(_, hash)| *hash)
    }

    /// Every finding for the wire, in order of the source.
    pub(super) fn diagnostics(&self) -> Vec<wire::Diagnostic> {
        let errors = self.result.as_ref().err().into_iter().flatten();
        let mut found: Vec<(&Diagnostic, wire::Severity)> = errors
            .map(|error| (error, wire::Severity::Error))
            .chain(
                self.warnings
                    .iter()
                    .map(|warning| (warning, wire::Severity::Warning)),
            )
            .collect();
        found.sort_by_key(|(diagnostic, _)| *diagnostic);
        found
            .into_iter()
            .map(|(diagnostic, severity)| convert::diagnostic(diagnostic, severity))
            .collect()
    }
}

impl Definitions {
    pub(super) async fn check(
        &self,
        namespace: &Namespace,
        source: &[u8],
        allow_unregistered: bool,
    ) -> Result<Checked, Fault> {
        let text = text(source)?;
        let contracts = self.engine.catalog.refresh(namespace.id).await?;
        let capabilities: BTreeMap<String, Value> = contracts
            .iter()
            .map(|(name, contract)| (name.clone(), contract.input_schema.clone()))
            .collect();
        let definitions = self.store.definitions();
        let names = definitions.names(namespace.id, WORKFLOWS_KNOWN_MAX).await?;
        let workflows: BTreeSet<String> = names.into_iter().collect();
        let limits: Limits = self.engine.limits;
        let strict = CheckContext {
            capabilities: Some(&capabilities),
            workflows: Some(&workflows),
            unregistered: Unregistered::Refuse,
            limits: &limits,
        };
        let result = compile(text, &strict);
        match result {
            Err(refused) if allow_unregistered => {
                let lenient = CheckContext {
                    unregistered: Unregistered::Allow,
                    ..strict
                };
                let result = compile(text, &lenient);
                let stays = |problem: &Diagnostic| match &result {
                    Ok(_) => false,
                    Err(problems) => problems.contains(problem),
                };
                let warnings = refused
                    .into_iter()
                    .filter(|problem| !stays(problem))
                    .collect();
                Ok(Checked { result, warnings })
            }
            Ok(_) | Err(_) => Ok(Checked {
                result,
                warnings: Vec::new(),
            }),
        }
    }
}

/// A source as text.
pub(super) fn text(source: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(source).map_err(|_| Fault::field("source", "is not UTF-8 text"))
}
