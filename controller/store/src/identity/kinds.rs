//! States of this topic.

use crate::column::states::mirror;

/// Which certificate of the installation's authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityKind {
    /// The trust anchor.
    Root,
    /// What signs leaves.
    Issuing,
}

/// What an identity is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityKind {
    /// A cloud worker.
    Executor,
    /// An edge worker.
    Connector,
    /// A person.
    Operator,
    /// A program that starts and reads runs.
    Client,
    /// A controller.
    Controller,
}

/// Whether an identity is in good standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityStatus {
    /// It is.
    Active,
    /// It is not, for good.
    Revoked,
}

mirror!(AuthorityKindColumn, AuthorityKind, "ca_kind", { Root = "root", Issuing = "issuing" });
mirror!(IdentityKindColumn, IdentityKind, "identity_kind", {
    Executor = "executor", Connector = "connector", Operator = "operator", Client = "client",
    Controller = "controller",
});
mirror!(IdentityStatusColumn, IdentityStatus, "identity_status", { Active = "active", Revoked = "revoked" });
