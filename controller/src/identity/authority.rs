//! The installation's own certificate authority: a root that lives ten years and an issuing certificate that lives
//! ninety days, both ECDSA P-256, so that every TLS stack in every language accepts them.
//!
//! Keys pass through here as PEM text in a type without `Debug`; where they rest is the store's business.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fulcrum_core::time::{Millis, Timestamp};
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::csr::RequestedKey;
use super::founding::ISSUING_RENEW_BEFORE;
use super::name::InstallId;
use super::principal::Principal;
use super::template::{self, ServerName, serial_number};

/// Which certificate of the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityKind {
    /// The trust anchor.
    Root,
    /// What signs leaves.
    Issuing,
}

/// A certificate of the authority with its key, as the store keeps it.
#[derive(Clone)]
pub struct AuthorityRow {
    /// Which one.
    pub kind: AuthorityKind,
    /// Its serial number in hex.
    pub serial: String,
    /// The certificate.
    pub certificate_pem: String,
    /// Its key in PKCS#8.
    pub key_pem: SecretString,
    /// When it ends.
    pub not_after: Timestamp,
}

/// SHA-256 of the root's public key: what a join token carries, so that a worker knows the right controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootPin(pub [u8; 32]);

impl fmt::Display for RootPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RootPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RootPin {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut pin = [0; 32];
        hex::decode_to_slice(text, &mut pin)?;
        Ok(Self(pin))
    }
}

/// A leaf certificate for a caller.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// Leaf, then issuing certificate, in DER. The root is handed out apart, as the trust anchor.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's serial number in hex.
    pub serial: String,
    /// When the leaf ends.
    pub not_after: Timestamp,
}

impl IssuedCertificate {
    /// The chain in PEM, leaf first.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(pem).collect()
    }
}

/// A leaf certificate and key for a controller's listeners.
pub struct ServerCertificate {
    /// Leaf, issuing and root certificate, in DER. The root is sent too: a worker that knows only its pin finds it there.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
    /// When the leaf ends.
    pub not_after: Timestamp,
}

/// Why the authority cannot work. All are an operator's business: the stored rows are damaged or incomplete.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A kind of certificate is missing.
    #[error("the database holds no usable {0:?} certificate; restore table `ca` from a backup")]
    Missing(AuthorityKind),
    /// A stored certificate cannot be read.
    #[error("a stored authority certificate cannot be read; restore table `ca` from a backup")]
    Unreadable,
    /// The cryptographic library refused.
    #[error("certificate: {0}")]
    Rcgen(#[from] rcgen::Error),
    /// The operating system has no randomness.
    #[error("no randomness from the operating system: {0}")]
    Entropy(#[from] getrandom::Error),
}

/// The authority at work.
pub struct Authority {
    install: InstallId,
    root: CertificateDer<'static>,
    issuing: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    issuing_not_after: Timestamp,
    pin: RootPin,
}

impl Authority {
    /// Takes up work from the stored rows, with the issuing certificate that ends last.
    ///
    /// # Errors
    /// When a row is missing, past its end, or cannot be read.
    pub fn load(
        install: InstallId,
        rows: &[AuthorityRow],
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let newest = |kind: AuthorityKind| {
            rows.iter()
                .filter(|row| row.kind == kind && row.not_after > now)
                .max_by_key(|row| row.not_after)
                .ok_or(AuthorityError::Missing(kind))
        };
        let root_row = newest(AuthorityKind::Root)?;
        let issuing_row = newest(AuthorityKind::Issuing)?;
        let read = |pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| AuthorityError::Unreadable)
        };
        let root = read(&root_row.certificate_pem)?;
        let issuing = read(&issuing_row.certificate_pem)?;
        let key = KeyPair::from_pem(issuing_row.key_pem.expose_secret())?;
        let issuer = Issuer::from_ca_cert_der(&issuing, key)?;
        let pin = pin_of(&root)?;
        Ok(Self {
            install,
            root,
            issuing,
            issuer,
            issuing_not_after: issuing_row.not_after,
            pin,
        })
    }

    /// The installation's id.
    #[must_use]
    pub fn install(&self) -> &InstallId {
        &self.install
    }

    /// The root certificate: the only trust anchor.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The trust anchors that callers need, in PEM.
    #[must_use]
    pub fn bundle_pem(&self) -> String {
        pem(&self.root)
    }

    /// What a join token carries.
    #[must_use]
    pub fn pin(&self) -> RootPin {
        self.pin
    }

    /// True if it is time for another issuing certificate.
    #[must_use]
    pub fn wants_new_issuing(&self, now: Timestamp) -> bool {
        self.issuing_not_after.since(now) < ISSUING_RENEW_BEFORE
    }

    /// A certificate for a caller's key. It never outlives the issuing certificate.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue_client(
        &self,
        key: &RequestedKey,
        principal: &Principal,
        now: Timestamp,
        life: Millis,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let (serial, life) = (random()?, self.bounded(now, life));
        let leaf =
            template::client(principal, serial, now, life)?.signed_by(&key.key, &self.issuer)?;
        Ok(IssuedCertificate {
            chain: vec![leaf.der().clone(), self.issuing.clone()],
            serial: serial_hex(serial),
            not_after: now.plus(life),
        })
    }

    /// A certificate with a fresh key for a controller's listeners.
    ///
    /// # Errors
    /// When signing fails or a name is not a DNS name.
    pub fn issue_server(
        &self,
        principal: &Principal,
        names: &[ServerName],
        now: Timestamp,
        life: Millis,
    ) -> Result<ServerCertificate, AuthorityError> {
        let (serial, life) = (random()?, self.bounded(now, life));
        let key = KeyPair::generate()?;
        let leaf =
            template::server(principal, names, serial, now, life)?.signed_by(&key, &self.issuer)?;
        Ok(ServerCertificate {
            chain: vec![leaf.der().clone(), self.issuing.clone(), self.root.clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            not_after: now.plus(life),
        })
    }

    fn bounded(&self, now: Timestamp, life: Millis) -> Millis {
        life.min(self.issuing_not_after.since(now))
    }
}

/// A certificate in PEM.
#[must_use]
pub fn pem(certificate: &CertificateDer<'_>) -> String {
    let body = STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// The pin of a certificate: SHA-256 of its subject public key info.
///
/// # Errors
/// When the certificate cannot be parsed.
pub fn pin_of(certificate: &[u8]) -> Result<RootPin, AuthorityError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| AuthorityError::Unreadable)?;
    Ok(RootPin(Sha256::digest(parsed.public_key().raw).into()))
}

pub(super) fn random() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn serial_hex(random: [u8; 16]) -> String {
    hex::encode(serial_number(random).to_bytes())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
    use uuid::Uuid;

    use super::*;
    use crate::identity::founding::{ISSUING_LIFE, ROOT_LIFE, generate, new_issuing};
    use crate::identity::name::{IdentityId, Scope};
    use crate::identity::principal::PeerCertificate;
    use crate::identity::role::Role;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn authority() -> Authority {
        let install = InstallId::new([7; 8]);
        let rows = generate(&install, NOW).expect("an authority");
        Authority::load(install, &rows, NOW).expect("loads what it made")
    }

    fn connector(authority: &Authority) -> Principal {
        Principal {
            install: authority.install().clone(),
            scope: Scope::Namespace("acme".parse().expect("valid")),
            role: Role::Connector,
            id: IdentityId(Uuid::from_u128(5)),
        }
    }

    fn greedy_request() -> RequestedKey {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["root.example".to_owned()]).expect("params");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        RequestedKey::from_der(params.serialize_request(&key).expect("a request").der())
            .expect("acceptable key")
    }

    #[test]
    fn the_wishes_of_a_request_are_ignored() {
        let authority = authority();
        let principal = connector(&authority);
        let issued = authority
            .issue_client(&greedy_request(), &principal, NOW, Millis::from_secs(3_600))
            .expect("issued");
        let (_, leaf) = X509Certificate::from_der(&issued.chain[0]).expect("parses");
        assert!(!leaf.is_ca());
        let usage = leaf
            .extended_key_usage()
            .expect("parses")
            .expect("present")
            .value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
        let names = leaf
            .subject_alternative_name()
            .expect("parses")
            .expect("present")
            .value;
        assert_eq!(names.general_names.len(), 1, "only the principal is a name");

        let peer = PeerCertificate::from_der(&issued.chain[0]).expect("a principal");
        assert_eq!(peer.principal, principal);
        assert_eq!(peer.serial, issued.serial);
        assert_eq!(peer.issued_at, NOW);
        assert_eq!(peer.not_after, issued.not_after);

        let pem = issued.chain_pem();
        let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|c| c.expect("readable"))
            .collect();
        assert_eq!(read, issued.chain);
    }

    #[test]
    fn a_leaf_never_outlives_the_issuing_certificate() {
        let authority = authority();
        let late = NOW.plus(Millis::from_secs(89 * 86_400));
        assert!(authority.wants_new_issuing(late));
        let issued = authority
            .issue_client(
                &greedy_request(),
                &connector(&authority),
                late,
                Millis::from_secs(7 * 86_400),
            )
            .expect("issued");
        assert_eq!(issued.not_after, NOW.plus(ISSUING_LIFE));
    }

    #[test]
    fn the_issuing_certificate_that_ends_last_is_used() {
        let install = InstallId::new([7; 8]);
        let mut rows = generate(&install, NOW).expect("an authority");
        let later = NOW.plus(Millis::from_secs(70 * 86_400));
        rows.push(new_issuing(&install, &rows[0], later).expect("another"));
        let authority = Authority::load(install, &rows, later).expect("loads");
        assert!(!authority.wants_new_issuing(later));
    }

    #[test]
    fn without_a_live_root_nothing_works() {
        let install = InstallId::new([7; 8]);
        let rows = generate(&install, NOW).expect("an authority");
        let after = NOW.plus(ROOT_LIFE).plus(Millis(1));
        let refused = Authority::load(install, &rows, after).err();
        assert!(matches!(
            refused,
            Some(AuthorityError::Missing(AuthorityKind::Root))
        ));
    }
}
