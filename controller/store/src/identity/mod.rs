//! Who may talk to the controller: the installation, its certificate authorities, join tokens, identities, and what
//! workers say of themselves. Hashes and keys are opaque bytes here; nothing is verified in SQL that wants constant
//! time. Every change of an identity's standing raises the installation's revision in the same transaction.

mod identities;
mod installation;
mod kinds;
mod tokens;
mod workers;

pub use identities::{
    Identities, IdentityRow, IdentitySnapshot, NewIdentity, RenewRefusal, Standing,
};
pub use installation::{AuthorityRow, Installation, InstallationRow};
pub use kinds::{AuthorityKind, IdentityKind, IdentityStatus};
pub(crate) use kinds::{AuthorityKindColumn, IdentityKindColumn, IdentityStatusColumn};
pub use tokens::{JoinTokenRow, JoinTokens, NewJoinToken, RedeemRefusal};
pub use workers::{Draining, ListedWorker, NewWorker, WorkerRow, Workers};
