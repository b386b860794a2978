//! Storing a source as a workflow's current version.

use fulcrum_core::definition::hash::canonical_json;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_store::catalog::{Answered, Applied, NewDefinition, Once, StoredDefinition};
use prost::Message;

use super::Definitions;
use super::check::text;
use crate::grpc::convert::definition::{self as convert, Standing};
use crate::grpc::convert::request;
use crate::server::{Caller, Fault};

impl Definitions {
    /// Applying the same content twice is the same as once; the request id decides what the second call is told.
    pub(super) async fn apply(
        &self,
        caller: &Caller,
        request: wire::ApplyDefinitionRequest,
    ) -> Result<wire::ApplyDefinitionResponse, Fault> {
        let client = request::client_request("ApplyDefinition", &request.request_id, &request)?;
        let namespace = self.namespace(caller, &request.namespace).await?;
        let checked = self
            .check(&namespace, &request.source, request.allow_unregistered)
            .await?;
        let diagnostics = checked.diagnostics();
        let Ok((definition, hash)) = checked.result else {
            return Ok(wire::ApplyDefinitionResponse {
                definition: None,
                diagnostics,
                created: false,
            });
        };
        let canonical = canonical_json(
            &serde_json::to_value(&definition).map_err(|error| Fault::internal(&error))?,
        );
        let new = NewDefinition {
            namespace: namespace.id,
            workflow: definition.workflow.clone(),
            hash,
            canonical: canonical.into_bytes(),
            source: text(&request.source)?.to_owned(),
            created_by: caller.principal().to_string(),
        };
        if request.validate_only {
            return answer(&self.unstored(new), Standing::Other, diagnostics, false);
        }
        let told = diagnostics.clone();
        let once = Once::named(request::note(namespace.id, client), move |applied| {
            // What cannot be told again is not kept: the repeated call is done again, to the same effect.
            let answer = done(applied, told).ok()?;
            Some(answer.encode_to_vec())
        });
        let (id, workflow) = (namespace.id, new.workflow.clone());
        let answered = self.store.definitions().apply(new, once).await?;
        // A start that comes after this answer gets this version.
        self.engine.catalog.forget(id, &workflow);
        match answered {
            Answered::Now(applied) => done(&applied, diagnostics),
            Answered::Before(answer) => request::replay(&answer),
            Answered::Reused => Err(request::reused(&request.request_id)),
        }
    }

    /// What would be stored.
    fn unstored(&self, new: NewDefinition) -> StoredDefinition {
        StoredDefinition {
            namespace: new.namespace,
            workflow: new.workflow,
            hash: new.hash,
            version: 0,
            canonical: new.canonical,
            source: new.source,
            created_at: self.engine.clock.now(),
            created_by: new.created_by,
        }
    }
}

fn done(
    applied: &Applied,
    diagnostics: Vec<wire::Diagnostic>,
) -> Result<wire::ApplyDefinitionResponse, Fault> {
    match applied {
        Applied::Created(stored) => answer(stored, Standing::Current, diagnostics, true),
        Applied::MadeCurrent(stored) | Applied::Unchanged(stored) => {
            answer(stored, Standing::Current, diagnostics, false)
        }
    }
}

fn answer(
    stored: &StoredDefinition,
    standing: Standing,
    diagnostics: Vec<wire::Diagnostic>,
    created: bool,
) -> Result<wire::ApplyDefinitionResponse, Fault> {
    Ok(wire::ApplyDefinitionResponse {
        definition: Some(convert::definition(stored, standing)?),
        diagnostics,
        created,
    })
}
