//! The join token: `v1.<sha-256 of the authority's public key, hex>.<token id>.<secret>`.

use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

/// A join token. Its text is a secret: it has no `Debug` that shows it.
#[derive(Clone)]
pub struct JoinToken {
    text: SecretString,
    authority: [u8; 32],
}

/// The text is no join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no join token; it must read v1.<hash>.<id>.<secret>, copied whole as it was printed"
)]
pub struct JoinTokenError;

impl JoinToken {
    /// SHA-256 of the SubjectPublicKeyInfo of the authority that the controller must present.
    pub fn authority(&self) -> [u8; 32] {
        self.authority
    }

    pub(crate) fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl FromStr for JoinToken {
    type Err = JoinTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let mut parts = text.split('.');
        let (Some("v1"), Some(hash), Some(id), Some(secret), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(JoinTokenError);
        };
        let mut authority = [0; 32];
        hex::decode_to_slice(hash, &mut authority).map_err(|_| JoinTokenError)?;
        if id.is_empty() || secret.is_empty() {
            return Err(JoinTokenError);
        }
        Ok(Self {
            text: SecretString::from(text),
            authority,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_and_anything_else_refused() {
        let hash = "ab".repeat(32);
        let token: JoinToken = format!("v1.{hash}.tok1.s3cret\n").parse().unwrap();
        assert_eq!(token.authority(), [0xab; 32]);
        for wrong in [
            String::new(),
            format!("v2.{hash}.tok1.s3cret"),
            format!("v1.{hash}.tok1."),
            format!("v1.{hash}.tok1"),
            "v1.abcd.tok1.s3cret".into(),
            format!("v1.{hash}.tok1.s3cret.more"),
        ] {
            assert!(wrong.parse::<JoinToken>().is_err(), "{wrong}");
        }
    }
}
