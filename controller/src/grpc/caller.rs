//! The caller behind a request.

use fulcrum_core::event::Actor;
use fulcrum_core::ids::WorkerId;
use tonic::Request;

use crate::identity::Role;
use crate::server::{Caller, Fault};

/// The authorised caller, as the server's layer left it with the request.
///
/// # Errors
/// Only if a service is mounted without the layer, which is a mistake of ours.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Fault> {
    let missing = || Fault::internal(&"a handler was reached without an authorised caller");
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(missing)
}

/// The caller as the timeline names it.
#[must_use]
pub fn actor(caller: &Caller) -> Actor {
    let principal = caller.principal();
    match principal.role {
        Role::Executor | Role::Connector => Actor::Worker(WorkerId(principal.id.0)),
        Role::Operator => Actor::Operator(principal.id.type_id(principal.role)),
        Role::Client => Actor::Client(principal.id.type_id(principal.role)),
        Role::Controller => Actor::System,
    }
}
