//! Who this machine is to a controller: a private key made here, a short-lived certificate for it, and the
//! authorities to trust, kept in a directory.
//!
//! `key.pem` (0600) never leaves the machine. Key and certificate change together: see [`directory`].

mod directory;
mod key;

pub use directory::{Identity, IdentityAbout, IdentityDir, IdentityError};
pub(crate) use key::{CertificateLife, NewKey};
