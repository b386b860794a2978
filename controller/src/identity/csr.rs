//! What is taken from a certificate signing request: a public key, and the proof that its sender holds it.
//!
//! Subject and extensions of a request are wishes; they are not read. Only ECDSA P-256 and Ed25519 keys are accepted.

use rcgen::SubjectPublicKeyInfo;
use sha2::{Digest, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// Largest signing request accepted, in bytes.
pub const CSR_BYTES_MAX: usize = 4 * 1024;

const OID_EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
const OID_P256: &str = "1.2.840.10045.3.1.7";
const OID_ED25519: &str = "1.3.101.112";

/// A public key whose holder signed the request.
pub struct RequestedKey {
    pub(super) key: SubjectPublicKeyInfo,
    /// SHA-256 of the subject public key info.
    pub fingerprint: [u8; 32],
}

/// Why a signing request is refused. All are the sender's fault and not worth a retry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Too large to look at.
    #[error("the signing request has {0} bytes; at most {CSR_BYTES_MAX} are accepted")]
    TooLarge(usize),
    /// Not a PKCS#10 request in DER.
    #[error("the signing request is not PKCS#10 in DER")]
    Unreadable,
    /// The key's type is not allowed.
    #[error("the key's type ({0}) is not accepted; use ECDSA P-256 or Ed25519")]
    KeyType(String),
    /// The sender does not hold the key.
    #[error("the signing request's signature does not match its key")]
    Signature,
}

impl RequestedKey {
    /// Checks a request in DER and takes its key.
    ///
    /// # Errors
    /// See [`CsrError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > CSR_BYTES_MAX {
            return Err(CsrError::TooLarge(der.len()));
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrError::Unreadable)?;
        if !rest.is_empty() {
            return Err(CsrError::Unreadable);
        }
        let info = &request.certification_request_info.subject_pki;
        let algorithm = info.algorithm.algorithm.to_id_string();
        let curve = info
            .algorithm
            .parameters
            .as_ref()
            .and_then(|p| p.as_oid().ok())
            .map(|oid| oid.to_id_string());
        match (algorithm.as_str(), curve.as_deref()) {
            (OID_EC_PUBLIC_KEY, Some(OID_P256)) | (OID_ED25519, None) => {}
            (_, curve) => {
                let curve = curve.map(|c| format!(", curve {c}")).unwrap_or_default();
                return Err(CsrError::KeyType(format!("{algorithm}{curve}")));
            }
        }
        request
            .verify_signature()
            .map_err(|_| CsrError::Signature)?;
        let key =
            SubjectPublicKeyInfo::from_der(info.raw).map_err(|_| CsrError::KeyType(algorithm))?;
        Ok(Self {
            key,
            fingerprint: Sha256::digest(info.raw).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    };

    use super::*;

    fn request(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let params =
            CertificateParams::new(vec!["i-wish-to-be-root.example".to_owned()]).expect("params");
        params
            .serialize_request(&key)
            .expect("a request")
            .der()
            .to_vec()
    }

    #[test]
    fn p256_and_ed25519_keys_are_taken() {
        assert!(RequestedKey::from_der(&request(&PKCS_ECDSA_P256_SHA256)).is_ok());
        assert!(RequestedKey::from_der(&request(&PKCS_ED25519)).is_ok());
    }

    #[test]
    fn other_key_types_are_refused() {
        let error = RequestedKey::from_der(&request(&PKCS_ECDSA_P384_SHA384)).err();
        assert!(matches!(error, Some(CsrError::KeyType(_))), "{error:?}");
    }

    #[test]
    fn a_request_signed_by_another_key_is_refused() {
        let mut der = request(&PKCS_ED25519);
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(
            RequestedKey::from_der(&der).err(),
            Some(CsrError::Signature)
        );
    }

    #[test]
    fn oversized_and_trailing_bytes_are_refused() {
        assert_eq!(
            RequestedKey::from_der(&vec![0; CSR_BYTES_MAX + 1]).err(),
            Some(CsrError::TooLarge(CSR_BYTES_MAX + 1))
        );
        let mut der = request(&PKCS_ED25519);
        der.push(0);
        assert_eq!(
            RequestedKey::from_der(&der).err(),
            Some(CsrError::Unreadable)
        );
    }
}
