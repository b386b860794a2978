//! The files of an identity: `ca.pem`, `cert.pem`, `key.pem` (0600) and, once enrolled, `identity.json`; beside them
//! `witness.json`, see [`witness`](crate::witness).
//!
//! A renewed pair is written as `key.pem.next` and then `cert.pem.next`, each complete before it has its name;
//! the second is the commit. Loading finishes a change that was cut short, so that key and certificate always
//! belong together.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};

const AUTHORITIES: &str = "ca.pem";
const CERTIFICATE: &str = "cert.pem";
const CERTIFICATE_NEXT: &str = "cert.pem.next";
const KEY: &str = "key.pem";
const KEY_NEXT: &str = "key.pem.next";
const ABOUT: &str = "identity.json";

/// Why an identity cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot access {path}: {source}; check that it exists and belongs to this user")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no identity here yet.
    #[error("{0} holds no identity; enrol first, with a join token from the operator")]
    Missing(PathBuf),
    /// A file does not hold what it should.
    #[error("{path} is damaged ({detail}); remove the directory and enrol again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A certificate cannot be read.
    #[error("the certificate cannot be read: {0}; enrol again")]
    Certificate(String),
    /// No key could be made.
    #[error("cannot make a key: {0}")]
    Key(rcgen::Error),
}

/// What enrolment told about an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityAbout {
    /// Id, a TypeID (`wrk_…`, `opr_…`).
    pub id: String,
    /// Its name.
    pub name: String,
    /// Namespace it belongs to.
    pub namespace: String,
    /// Where to connect: `https://host:port`.
    pub endpoint: String,
}

/// An identity as loaded: everything a connection needs.
pub struct Identity {
    /// The certificate chain, leaf first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The authorities to trust.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The private key.
    pub key: PrivateKeyDer<'static>,
    /// What enrolment told about it; `None` if the files came another way.
    pub about: Option<IdentityAbout>,
}

/// A directory that holds an identity, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityDir {
    path: PathBuf,
}

impl IdentityDir {
    /// The directory at `path`, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it holds an identity.
    pub fn is_enrolled(&self) -> bool {
        self.path.join(CERTIFICATE).is_file() && self.path.join(KEY).is_file()
    }

    /// Loads the identity, first finishing a renewal that was cut short.
    ///
    /// # Errors
    /// [`IdentityError::Missing`] before enrolment; else what is wrong with the files.
    pub fn load(&self) -> Result<Identity, IdentityError> {
        self.finish_change()?;
        if !self.is_enrolled() {
            return Err(IdentityError::Missing(self.path.clone()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.read(KEY)?)
            .map_err(|error| self.damaged(KEY, error))?;
        let about = match self.read(ABOUT) {
            Ok(text) => {
                let about = serde_json::from_slice(&text);
                Some(about.map_err(|error| self.damaged(ABOUT, error))?)
            }
            Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Identity {
            certificates: self.certificates(CERTIFICATE)?,
            authorities: self.certificates(AUTHORITIES)?,
            key,
            about,
        })
    }

    /// Stores a new identity, replacing any there was.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub fn store(
        &self,
        certificate_chain_pem: &str,
        key_pem: &str,
        ca_bundle_pem: &str,
        about: &IdentityAbout,
    ) -> Result<(), IdentityError> {
        let about = serde_json::to_vec_pretty(about).expect("strings are always JSON");
        self.create()?;
        self.write(ABOUT, &about)?;
        self.replace(certificate_chain_pem, key_pem, ca_bundle_pem)
    }

    /// Stores a renewed key and certificate.
    pub(crate) fn replace(
        &self,
        certificate_chain_pem: &str,
        key_pem: &str,
        ca_bundle_pem: &str,
    ) -> Result<(), IdentityError> {
        self.write(AUTHORITIES, ca_bundle_pem.as_bytes())?;
        self.write(KEY_NEXT, key_pem.as_bytes())?;
        self.write(CERTIFICATE_NEXT, certificate_chain_pem.as_bytes())?;
        self.finish_change()
    }

    fn finish_change(&self) -> Result<(), IdentityError> {
        if !self.path.join(CERTIFICATE_NEXT).is_file() {
            return Ok(());
        }
        if self.path.join(KEY_NEXT).is_file() {
            self.rename(KEY_NEXT, KEY)?;
        }
        self.rename(CERTIFICATE_NEXT, CERTIFICATE)
    }

    fn create(&self) -> Result<(), IdentityError> {
        let created = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .and_then(|()| fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700)));
        created.map_err(|source| IdentityError::File {
            path: self.path.clone(),
            source,
        })
    }

    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, IdentityError> {
        let path = self.path.join(name);
        fs::read(&path).map_err(|source| IdentityError::File { path, source })
    }

    /// Writes a file so that its name never stands for half of it. All are 0600: one rule, and no secret can
    /// slip through it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        let path = self.path.join(name);
        let partial = self.path.join(format!("{name}.partial"));
        let written = fs::remove_file(&partial)
            .or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .and_then(|()| {
                let mut options = fs::OpenOptions::new();
                options.write(true).create_new(true).mode(0o600);
                let mut file = options.open(&partial)?;
                file.write_all(content)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&partial, &path))
            .and_then(|()| fs::File::open(&self.path)?.sync_all());
        written.map_err(|source| IdentityError::File { path, source })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IdentityError> {
        let path = self.path.join(from);
        fs::rename(&path, self.path.join(to))
            .and_then(|()| fs::File::open(&self.path)?.sync_all())
            .map_err(|source| IdentityError::File { path, source })
    }

    fn certificates(&self, name: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        let pem = self.read(name)?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| self.damaged(name, error))?;
        if certificates.is_empty() {
            return Err(self.damaged(name, "it holds no certificate"));
        }
        Ok(certificates)
    }

    pub(crate) fn damaged(&self, name: &str, detail: impl ToString) -> IdentityError {
        IdentityError::Damaged {
            path: self.path.join(name),
            detail: detail.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn about() -> IdentityAbout {
        IdentityAbout {
            id: "wrk_1".into(),
            name: "crm-box".into(),
            namespace: "acme".into(),
            endpoint: "https://localhost:7443".into(),
        }
    }

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_stored_identity_is_loaded_and_only_its_owner_can_read_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = IdentityDir::at(root.path().join("me"));
        assert!(matches!(dir.load(), Err(IdentityError::Missing(_))));
        let (certificate, key) = pair();
        dir.store(&certificate, &key, &certificate, &about())
            .unwrap();
        assert_eq!(dir.load().unwrap().about, Some(about()));
        assert_eq!(mode(dir.path().to_owned()), 0o700);
        assert_eq!(mode(dir.path().join(KEY)), 0o600);
    }

    #[test]
    fn a_renewal_cut_short_between_its_renames_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let dir = IdentityDir::at(root.path());
        let (old, old_key) = pair();
        dir.store(&old, &old_key, &old, &about()).unwrap();
        let (new, new_key) = pair();
        dir.write(KEY, new_key.as_bytes()).unwrap();
        dir.write(CERTIFICATE_NEXT, new.as_bytes()).unwrap();
        dir.load().unwrap();
        assert_eq!(dir.read(CERTIFICATE).unwrap(), new.as_bytes());
    }

    #[test]
    fn a_renewal_cut_short_before_its_commit_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = IdentityDir::at(root.path());
        let (old, old_key) = pair();
        dir.store(&old, &old_key, &old, &about()).unwrap();
        dir.write(KEY_NEXT, pair().1.as_bytes()).unwrap();
        dir.load().unwrap();
        assert_eq!(dir.read(KEY).unwrap(), old_key.as_bytes());
    }
}
