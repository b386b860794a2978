//! `DefinitionService`: workflows as text, checked and stored for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fulcrum_core::definition::{
    CheckContext, Contents, Diagnostic, Unregistered, compile, hash::canonical_json, model,
};
use fulcrum_core::ids::DefinitionHash;
use fulcrum_core::limits::Limits;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_proto::workflow::v1::definition_service_server::DefinitionService;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::{Applied, NewDefinition, Page, StoredDefinition};
use serde_json::Value;
use tonic::{Request, Response, Status};

use super::caller::caller;
use super::convert::time;
use super::page::{self, Listing, More, PageKey};
use crate::PgEngine;
use crate::identity::registry::{Namespace, Registry};
use crate::server::{Caller, Fault};

/// Workflow names read for the check of `run` steps.
const WORKFLOWS_KNOWN_MAX: u32 = 100_000;

/// The service.
pub struct Definitions {
    /// The engine's catalog.
    pub engine: Arc<PgEngine>,
    /// Definitions.
    pub store: PgStore,
    /// Namespaces.
    pub registry: Registry,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
}

/// What checking a source gave.
type Checked = Result<(model::Definition, DefinitionHash), Vec<Diagnostic>>;

#[tonic::async_trait]
impl DefinitionService for Definitions {
    async fn apply_definition(
        &self,
        request: Request<wire::ApplyDefinitionRequest>,
    ) -> Result<Response<wire::ApplyDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.apply(&caller, request.into_inner()).await?,
        ))
    }

    async fn validate_definition(
        &self,
        request: Request<wire::ValidateDefinitionRequest>,
    ) -> Result<Response<wire::ValidateDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let namespace = self.namespace(&caller, &request.namespace).await?;
        let answer = match self
            .check(&namespace, &request.source, request.allow_unregistered)
            .await?
        {
            Ok((_, hash)) => wire::ValidateDefinitionResponse {
                diagnostics: Vec::new(),
                definition_hash: hash.to_string(),
            },
            Err(problems) => wire::ValidateDefinitionResponse {
                diagnostics: problems.iter().map(diagnostic).collect(),
                definition_hash: String::new(),
            },
        };
        Ok(Response::new(answer))
    }

    async fn get_definition(
        &self,
        request: Request<wire::GetDefinitionRequest>,
    ) -> Result<Response<wire::GetDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.get(&caller, request.into_inner()).await?,
        ))
    }

    async fn list_definitions(
        &self,
        request: Request<wire::ListDefinitionsRequest>,
    ) -> Result<Response<wire::ListDefinitionsResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }
}

impl Definitions {
    /// Applying the same content twice is the same as once: the content is the key, so a request id adds nothing.
    async fn apply(
        &self,
        caller: &Caller,
        request: wire::ApplyDefinitionRequest,
    ) -> Result<wire::ApplyDefinitionResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let checked = self
            .check(&namespace, &request.source, request.allow_unregistered)
            .await?;
        let (definition, hash) = match checked {
            Ok(checked) => checked,
            Err(problems) => {
                return Ok(wire::ApplyDefinitionResponse {
                    definition: None,
                    diagnostics: problems.iter().map(diagnostic).collect(),
                    created: false,
                });
            }
        };
        let canonical = canonical_json(
            &serde_json::to_value(&definition).map_err(|error| Fault::internal(&error))?,
        );
        let new = NewDefinition {
            namespace: namespace.id,
            workflow: definition.workflow.clone(),
            hash,
            canonical: canonical.into_bytes(),
            source: String::from_utf8(request.source.to_vec()).map_err(|_| not_text())?,
            created_by: caller.principal().to_string(),
        };
        if request.validate_only {
            let stored = StoredDefinition {
                namespace: new.namespace,
                workflow: new.workflow,
                hash,
                version: 0,
                canonical: new.canonical,
                source: new.source,
                created_at: self.engine.clock.now(),
                created_by: new.created_by,
            };
            let definition = Some(message(&stored, Standing::Other)?);
            return Ok(wire::ApplyDefinitionResponse {
                definition,
                diagnostics: Vec::new(),
                created: false,
            });
        }
        let (stored, created) = match self.store.definitions().apply(new).await? {
            Applied::Created(stored) => (stored, true),
            Applied::MadeCurrent(stored) | Applied::Unchanged(stored) => (stored, false),
        };
        let definition = Some(message(&stored, Standing::Current)?);
        Ok(wire::ApplyDefinitionResponse {
            definition,
            diagnostics: Vec::new(),
            created,
        })
    }

    async fn check(
        &self,
        namespace: &Namespace,
        source: &[u8],
        allow_unregistered: bool,
    ) -> Result<Checked, Fault> {
        let text = std::str::from_utf8(source).map_err(|_| not_text())?;
        let contracts = self.engine.catalog.refresh(namespace.id).await?;
        let capabilities: BTreeMap<String, Value> = contracts
            .iter()
            .map(|(name, contract)| (name.clone(), contract.input_schema.clone()))
            .collect();
        let known = self
            .store
            .definitions()
            .list(namespace.id, Page::first(WORKFLOWS_KNOWN_MAX))
            .await?;
        let workflows: BTreeSet<String> =
            known.into_iter().map(|summary| summary.workflow).collect();
        let limits: Limits = self.engine.limits;
        let context = CheckContext {
            capabilities: Some(&capabilities),
            workflows: Some(&workflows),
            unregistered: if allow_unregistered {
                Unregistered::Allow
            } else {
                Unregistered::Refuse
            },
            limits: &limits,
        };
        Ok(compile(text, &context))
    }

    async fn get(
        &self,
        caller: &Caller,
        request: wire::GetDefinitionRequest,
    ) -> Result<wire::GetDefinitionResponse, Fault> {
        use wire::get_definition_request::Version;
        let namespace = self.namespace(caller, &request.namespace).await?;
        let definitions = self.store.definitions();
        let not_found =
            |what: &str| Fault::not_found(ErrorReason::DefinitionNotFound, "workflow", what);
        let (stored, standing) = match request.version {
            None => {
                return Err(Fault::field(
                    "version",
                    "name a workflow or a definition hash",
                ));
            }
            Some(Version::Workflow(name)) => {
                let stored = definitions
                    .current(namespace.id, &name)
                    .await?
                    .ok_or_else(|| not_found(&name))?;
                (stored, Standing::Current)
            }
            Some(Version::DefinitionHash(text)) => {
                let hash = hash(&text).ok_or_else(|| not_found(&text))?;
                let stored = definitions
                    .in_namespace(namespace.id, hash)
                    .await?
                    .ok_or_else(|| not_found(&text))?;
                let current = definitions
                    .current_hash(namespace.id, &stored.workflow)
                    .await?;
                let standing = if current == Some(hash) {
                    Standing::Current
                } else {
                    Standing::Other
                };
                (stored, standing)
            }
        };
        let mut definition = message(&stored, standing)?;
        definition.source = stored.source.into_bytes().into();
        Ok(wire::GetDefinitionResponse {
            definition: Some(definition),
        })
    }

    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListDefinitionsRequest,
    ) -> Result<wire::ListDefinitionsResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let rows = page::rows(request.page_size, self.engine.limits.page_rows_max)?;
        let filter: [&str; 2] = [&request.namespace, &request.workflow];
        let listing = Listing {
            key: &self.page_key,
            method: "ListDefinitions",
            filter: &filter,
        };
        let store = self.store.definitions();
        let (definitions, next_page_token) = if request.workflow.is_empty() {
            let after: Option<String> = listing.cursor(&request.page_token)?;
            let read = store
                .list(
                    namespace.id,
                    Page {
                        after,
                        rows: rows + 1,
                    },
                )
                .await?;
            let (summaries, more) = page::cut(read, rows);
            let token = next(
                &listing,
                more,
                summaries.last().map(|last| last.workflow.clone()),
            );
            let mut definitions = Vec::with_capacity(summaries.len());
            for summary in summaries {
                if let Some(stored) = store.in_namespace(namespace.id, summary.current).await? {
                    definitions.push(message(&stored, Standing::Current)?);
                }
            }
            (definitions, token)
        } else {
            let after: Option<u64> = listing.cursor(&request.page_token)?;
            let current = store.current_hash(namespace.id, &request.workflow).await?;
            let read = store
                .versions(
                    namespace.id,
                    &request.workflow,
                    Page {
                        after,
                        rows: rows + 1,
                    },
                )
                .await?;
            let (versions, more) = page::cut(read, rows);
            let token = next(&listing, more, versions.last().map(|last| last.version));
            let of = |stored: &StoredDefinition| {
                message(
                    stored,
                    if current == Some(stored.hash) {
                        Standing::Current
                    } else {
                        Standing::Other
                    },
                )
            };
            (versions.iter().map(of).collect::<Result<_, _>>()?, token)
        };
        Ok(wire::ListDefinitionsResponse {
            definitions,
            next_page_token,
        })
    }

    async fn namespace(&self, caller: &Caller, name: &str) -> Result<Namespace, Fault> {
        caller.reach(name)?;
        Ok(self.registry.namespace(name).await?)
    }
}

/// A definition hash from its 64 hexadecimal digits.
pub(super) fn hash(text: &str) -> Option<DefinitionHash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(DefinitionHash(hash))
}

/// Is it the version that new runs get?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Current,
    Other,
}

fn next<C: serde::Serialize>(listing: &Listing<'_>, more: More, last: Option<C>) -> String {
    match (more, last) {
        (More::Yes, Some(last)) => listing.token(&last),
        (More::Yes | More::No, _) => String::new(),
    }
}

fn message(stored: &StoredDefinition, standing: Standing) -> Result<wire::Definition, Fault> {
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

fn not_text() -> Fault {
    Fault::field("source", "is not UTF-8 text")
}
