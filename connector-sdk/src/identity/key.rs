//! Keys and signing requests, and how long a certificate lives.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::directory::IdentityError;

/// A fresh ECDSA P-256 key and the request to certify it.
pub(crate) struct NewKey {
    pub(crate) key_pem: String,
    pub(crate) csr_der: Vec<u8>,
}

impl NewKey {
    pub(crate) fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(IdentityError::Key)?;
        // The controller takes only the public key from the request, so it says nothing else.
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(IdentityError::Key)?;
        Ok(Self {
            key_pem: key.serialize_pem(),
            csr_der: request.der().to_vec(),
        })
    }
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CertificateLife {
    pub(crate) from: SystemTime,
    pub(crate) to: SystemTime,
}

impl CertificateLife {
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let validity = parsed.validity();
        Ok(Self {
            from: instant(validity.not_before.timestamp()),
            to: instant(validity.not_after.timestamp()),
        })
    }

    /// When to renew: at `fraction` (0..1) of the third quarter of its life, so that machines enrolled together
    /// do not renew together.
    pub(crate) fn renew_at(&self, fraction: f64) -> SystemTime {
        let life = self.to.duration_since(self.from).unwrap_or_default();
        self.from + life.mul_f64(0.5 + 0.25 * fraction)
    }
}

fn instant(unix_seconds: i64) -> SystemTime {
    let seconds = u64::try_from(unix_seconds).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_the_third_quarter_of_its_life() {
        let from = SystemTime::UNIX_EPOCH;
        let life = CertificateLife {
            from,
            to: from + Duration::from_secs(1000),
        };
        assert_eq!(life.renew_at(0.0), from + Duration::from_secs(500));
        assert_eq!(life.renew_at(1.0), from + Duration::from_secs(750));
    }
}
