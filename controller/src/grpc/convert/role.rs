//! Roles.

use fulcrum_proto::common::v1::IdentityKind;

use crate::identity::Role;
use crate::server::Fault;

/// A role from the wire; unspecified is `None`.
#[must_use]
pub fn role(kind: IdentityKind) -> Option<Role> {
    match kind {
        IdentityKind::Executor => Some(Role::Executor),
        IdentityKind::Connector => Some(Role::Connector),
        IdentityKind::Operator => Some(Role::Operator),
        IdentityKind::Unspecified => None,
    }
}

/// A role that must be said.
pub fn required(field: &str, kind: IdentityKind) -> Result<Role, Fault> {
    role(kind).ok_or_else(|| Fault::field(field, "must be executor, connector or operator"))
}

/// A role for the wire; roles that the contract does not know are not told.
#[must_use]
pub fn kind(role: Role) -> IdentityKind {
    match role {
        Role::Executor => IdentityKind::Executor,
        Role::Connector => IdentityKind::Connector,
        Role::Operator => IdentityKind::Operator,
        Role::Client | Role::Controller => IdentityKind::Unspecified,
    }
}
