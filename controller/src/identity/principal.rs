//! The principal of a call, read from the verified peer certificate.

use std::fmt;
use std::str::FromStr;

use fulcrum_core::time::{Millis, Timestamp};
use uuid::Uuid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::name::{IdentityId, InstallId, Scope};
use super::role::Role;

/// A certificate is valid from this long before it was issued, to forgive clocks that are late.
pub const BACKDATE: Millis = Millis::from_secs(300);

/// Who is calling: `spiffe://<install>/<namespace>/<role>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The installation that issued the certificate.
    pub install: InstallId,
    /// The namespace it may act in.
    pub scope: Scope,
    /// What it is.
    pub role: Role,
    /// Which one it is.
    pub id: IdentityId,
}

/// A name in a certificate that is not a principal of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form spiffe://<install>/<namespace>/<role>/<id>")]
pub struct InvalidPrincipal(pub String);

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spiffe://{}/{}/{}/{}",
            self.install, self.scope, self.role, self.id
        )
    }
}

impl FromStr for Principal {
    type Err = InvalidPrincipal;

    fn from_str(text: &str) -> Result<Self, InvalidPrincipal> {
        let parse = || {
            let mut parts = text.strip_prefix("spiffe://")?.split('/');
            let install = parts.next()?.parse().ok()?;
            let scope = parts.next()?.parse().ok()?;
            let role = parts.next()?.parse().ok()?;
            let id = parts.next()?;
            let uuid = Uuid::try_parse(id).ok()?;
            let canonical = uuid.hyphenated().to_string() == id;
            (canonical && parts.next().is_none()).then_some(Self {
                install,
                scope,
                role,
                id: IdentityId(uuid),
            })
        };
        parse().ok_or_else(|| InvalidPrincipal(text.chars().take(200).collect()))
    }
}

/// What the server keeps of a peer's certificate after the handshake has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Who it was issued to.
    pub principal: Principal,
    /// Its serial number in lower-case hex.
    pub serial: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Why a verified certificate does not make a principal.
#[derive(Debug, thiserror::Error)]
pub enum PeerCertificateError {
    /// The bytes are not a certificate.
    #[error("the peer's certificate cannot be parsed")]
    Unreadable,
    /// Exactly one URI name is needed.
    #[error("the peer's certificate carries {0} URI names; exactly one is needed")]
    NameCount(usize),
    /// The URI is not one of ours.
    #[error(transparent)]
    Name(#[from] InvalidPrincipal),
}

impl PeerCertificate {
    /// Reads the facts from a certificate in DER. The chain must have been verified before.
    ///
    /// # Errors
    /// When the certificate does not carry exactly one URI name of the expected form.
    pub fn from_der(der: &[u8]) -> Result<Self, PeerCertificateError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| PeerCertificateError::Unreadable)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| PeerCertificateError::Unreadable)?
            .map_or_else(Vec::new, |extension| {
                extension
                    .value
                    .general_names
                    .iter()
                    .filter_map(|name| match name {
                        GeneralName::URI(uri) => Some(*uri),
                        _ => None,
                    })
                    .collect()
            });
        let [name] = names[..] else {
            return Err(PeerCertificateError::NameCount(names.len()));
        };
        let validity = certificate.validity();
        Ok(Self {
            principal: name.parse()?,
            serial: hex::encode(certificate.raw_serial()),
            issued_at: from_unix_s(validity.not_before.timestamp()).plus(BACKDATE),
            not_after: from_unix_s(validity.not_after.timestamp()),
        })
    }
}

fn from_unix_s(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_survives_printing_and_parsing() {
        let text = "spiffe://f-00/acme/connector/0190163d-8694-739b-aea5-966c26f8ad91";
        let principal: Principal = text.parse().expect("valid");
        assert_eq!(principal.role, Role::Connector);
        assert_eq!(principal.to_string(), text);
    }

    #[test]
    fn near_misses_are_not_principals() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        for bad in [
            format!("spiffe://f-00/acme/root/{id}"),
            format!("spiffe://f-00/acme/connector/{id}/x"),
            format!("spiffe://f-00//connector/{id}"),
            format!("https://f-00/acme/connector/{id}"),
            format!("spiffe://f-00/acme/connector/{}", id.to_uppercase()),
            "spiffe://f-00/acme/connector/x".to_owned(),
        ] {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
    }
}
