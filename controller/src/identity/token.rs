//! Join tokens: `v1.<root pin in hex>.<token id>.<256-bit secret in base64url>`.
//!
//! A token is good for one identity of one kind and one name, once, until it expires. The database keeps a hash of
//! the secret. The pin lets the newcomer know the right controller before it trusts anything.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fulcrum_core::time::Timestamp;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::authority::RootPin;
use super::name::{IdentityId, IdentityName, Scope};
use super::pattern::CapabilityPattern;
use super::role::Role;

/// Longest text that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 256;

/// A join token as its holder has it.
pub struct JoinToken {
    /// The pin of the installation's root.
    pub pin: RootPin,
    /// Which token.
    pub id: Uuid,
    secret: Zeroizing<[u8; 32]>,
}

/// A join token as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinTokenRecord {
    /// Which token.
    pub id: Uuid,
    /// Hash of its secret.
    pub secret_hash: [u8; 32],
    /// Where the new identity may act.
    pub scope: Scope,
    /// What the new identity will be.
    pub role: Role,
    /// What the new identity will be called.
    pub name: IdentityName,
    /// What it may serve, if it is a worker.
    pub capabilities: Vec<CapabilityPattern>,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// When it was used, if it was.
    pub used_at: Option<Timestamp>,
    /// The identity that it was spent on, if it was used.
    pub used_by: Option<IdentityId>,
    /// When an operator withdrew it, if one did.
    pub revoked_at: Option<Timestamp>,
}

/// A text that is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a join token; it has the form v1.<pin>.<id>.<secret>, on one line")]
pub struct MalformedToken;

/// Why a token does not admit. The answer on the wire is the same for all of them, so that nobody learns which tokens
/// exist; the log has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// No such token, or not its secret.
    #[error("unknown token or wrong secret")]
    Unknown,
    /// Already used.
    #[error("the token was used already")]
    Used,
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Withdrawn.
    #[error("the token was revoked")]
    Revoked,
}

impl JoinToken {
    /// A new token.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn mint(pin: RootPin, id: Uuid) -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut())?;
        Ok(Self { pin, id, secret })
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When the text is not a token.
    pub fn parse(text: &str) -> Result<Self, MalformedToken> {
        let read = || {
            let mut parts = (text.len() <= TOKEN_BYTES_MAX).then(|| text.trim().split('.'))?;
            let version = parts.next()?;
            let pin = parts.next()?.parse().ok()?;
            let id = Uuid::try_parse(parts.next()?).ok()?;
            let mut secret = Zeroizing::new([0; 32]);
            let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?);
            if version != "v1" || parts.next().is_some() || decoded.len() != secret.len() {
                return None;
            }
            secret.copy_from_slice(&decoded);
            Some(Self { pin, id, secret })
        };
        read().ok_or(MalformedToken)
    }

    /// The text to hand to the newcomer. Shown once; it is not stored.
    #[must_use]
    pub fn reveal(&self) -> SecretString {
        format!(
            "v1.{}.{}.{}",
            self.pin,
            self.id.simple(),
            URL_SAFE_NO_PAD.encode(self.secret.as_ref())
        )
        .into()
    }

    /// What the database keeps of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"fulcrum join token v1\0");
        hash.update(self.id.as_bytes());
        hash.update(self.secret.as_ref());
        hash.finalize().into()
    }
}

impl JoinTokenRecord {
    /// Whether the presented token is this one and still good. The secret is compared first, in constant time, so that
    /// nobody without it learns the token's state. Using it up is the store's guarded update.
    ///
    /// # Errors
    /// See [`TokenRefusal`].
    pub fn check(&self, presented: &JoinToken, now: Timestamp) -> Result<(), TokenRefusal> {
        let same_secret =
            verify_slices_are_equal(&self.secret_hash, &presented.secret_hash()).is_ok();
        if !same_secret || self.id != presented.id {
            Err(TokenRefusal::Unknown)
        } else if self.revoked_at.is_some() {
            Err(TokenRefusal::Revoked)
        } else if self.used_at.is_some() {
            Err(TokenRefusal::Used)
        } else if self.expires_at <= now {
            Err(TokenRefusal::Expired)
        } else {
            Ok(())
        }
    }

    /// The identity that the token was spent on, which may enrol again while the token lasts. The secret was checked
    /// before.
    ///
    /// # Errors
    /// The token's time is over.
    pub fn spent_on(&self, now: Timestamp) -> Result<Option<IdentityId>, TokenRefusal> {
        if self.expires_at <= now {
            Err(TokenRefusal::Expired)
        } else {
            Ok(self.used_by)
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn token() -> JoinToken {
        JoinToken::mint(RootPin([9; 32]), Uuid::from_u128(77)).expect("randomness")
    }

    fn record(token: &JoinToken) -> JoinTokenRecord {
        JoinTokenRecord {
            id: token.id,
            secret_hash: token.secret_hash(),
            scope: "acme".parse().expect("valid"),
            role: Role::Connector,
            name: "crm-box".parse().expect("valid"),
            capabilities: vec!["crm.*".parse().expect("valid")],
            expires_at: Timestamp(NOW.0 + 1),
            used_at: None,
            used_by: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_token_survives_printing_and_parsing() {
        let token = token();
        let again = JoinToken::parse(token.reveal().expose_secret()).expect("parses");
        assert_eq!(again.secret_hash(), token.secret_hash());
        assert_eq!(again.pin, token.pin);
        assert_eq!(record(&token).check(&again, NOW), Ok(()));
    }

    #[test]
    fn damaged_texts_are_not_tokens() {
        let good = token().reveal().expose_secret().to_owned();
        for bad in [
            "",
            "v1",
            &good[..good.len() - 1],
            &good.replacen("v1", "v2", 1),
            &format!("{good}.x"),
        ] {
            assert!(JoinToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_reason_to_refuse_is_told_apart() {
        let mine = token();
        let good = record(&mine);
        let stranger = JoinToken::mint(mine.pin, mine.id).expect("randomness");
        assert_eq!(good.check(&stranger, NOW), Err(TokenRefusal::Unknown));
        assert_eq!(
            good.check(&mine, good.expires_at),
            Err(TokenRefusal::Expired)
        );
        let used = JoinTokenRecord {
            used_at: Some(NOW),
            ..good.clone()
        };
        assert_eq!(used.check(&mine, NOW), Err(TokenRefusal::Used));
        assert_eq!(
            used.check(&stranger, NOW),
            Err(TokenRefusal::Unknown),
            "state is not told to strangers"
        );
        let spent = JoinTokenRecord {
            used_by: Some(IdentityId(Uuid::from_u128(5))),
            ..used
        };
        assert_eq!(spent.spent_on(NOW), Ok(spent.used_by));
        assert_eq!(spent.spent_on(spent.expires_at), Err(TokenRefusal::Expired));
        let revoked = JoinTokenRecord {
            revoked_at: Some(NOW),
            ..good
        };
        assert_eq!(revoked.check(&mine, NOW), Err(TokenRefusal::Revoked));
    }
}
