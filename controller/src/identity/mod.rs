//! Who is calling, and what they may call.
//!
//! An identity is a row, a certificate and a role. The row says whether it is still welcome; the certificate, issued
//! by the installation's own authority from the server's own template, says who is at the other end of a connection;
//! the role says which methods it may call. Nothing a caller *says* of itself is believed: a [`Principal`] is read
//! from the verified peer certificate and from nowhere else, and ids in request bodies are compared with it.
//!
//! - [`authority`]: the installation's root and issuing certificates; [`founding`]: how they are made;
//!   [`template`]: what a leaf looks like;
//!   [`issuance`]: the authority of the moment.
//! - [`csr`]: the little that is taken from a signing request: a public key of an allowed type that its sender holds.
//! - [`token`]: single-use join tokens; [`pattern`]: which capabilities an identity may serve.
//! - [`principal`]: the SPIFFE-style name and the peer certificate it is read from; [`role`]: the roles.
//! - [`roll`]: the in-memory list of identities in good standing, at most a second or so behind the database,
//!   consulted on every call, so that a revoked identity is out within two seconds on connections already open.
//! - [`registry`]: all of this at rest; [`upkeep`]: the loops that keep it fresh; [`sealing`]: the one that keeps private
//!   keys sealed.
//! - [`methods`]: the table `rpc × role`; what is not in it is denied.

pub mod authority;
pub mod csr;
pub mod founding;
pub mod invite;
pub mod issuance;
pub mod methods;
pub mod name;
pub mod pattern;
pub mod principal;
pub mod record;
pub mod registry;
pub mod role;
pub mod roll;
pub mod sealing;
pub mod template;
pub mod token;
pub mod upkeep;

pub use authority::Authority;
pub use issuance::Issuance;
pub use methods::{CallClass, Method, MethodTable};
pub use name::{IdentityId, IdentityName, InstallId, NamespaceName, Scope};
pub use principal::{PeerCertificate, Principal};
pub use record::IdentityRecord;
pub use registry::Registry;
pub use role::Role;
pub use roll::Roll;
