//! The bytes of a key-encryption key, and how they are written down: `fulcrum-kek-v1.` and 43 characters of base64url.
//! The prefix lets a wrong file be told at once, and lets secret scanners find a leaked one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// What the text form begins with.
const PREFIX: &str = "fulcrum-kek-v1.";
const KEY_BYTES: usize = 32;
/// 32 bytes in base64 without padding.
const BODY_CHARS: usize = 43;

/// A key. Wiped when dropped.
#[derive(Clone)]
pub struct KeyMaterial(Zeroizing<[u8; KEY_BYTES]>);

/// Why a text is no key. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// It is something else.
    #[error(
        "holds no key-encryption key: one begins with `{PREFIX}`; `fulcrum-controller keys generate FILE` makes one"
    )]
    Else,
    /// It begins like one.
    #[error("holds a key-encryption key that was cut short or altered; restore it from its copy")]
    Damaged,
}

impl KeyMaterial {
    /// A fresh key.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// A key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the text form; white space around it does not count.
    ///
    /// # Errors
    /// See [`KeyTextError`].
    pub fn from_text(text: &str) -> Result<Self, KeyTextError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(KeyTextError::Else)?;
        if body.len() != BODY_CHARS {
            return Err(KeyTextError::Damaged);
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(body, bytes.as_mut()) {
            Ok(KEY_BYTES) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(KeyTextError::Damaged),
        }
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut text = String::with_capacity(PREFIX.len() + BODY_CHARS);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.0.as_ref(), &mut text);
        text.into()
    }

    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_text_form_goes_round() {
        let key = KeyMaterial::generate().expect("randomness");
        let text = key.to_text();
        let text = text.expose_secret();
        assert_eq!(text.len(), PREFIX.len() + BODY_CHARS);
        let read = KeyMaterial::from_text(&format!(" {text}\n")).expect("a key");
        assert_eq!(read.expose(), key.expose());
        let other = KeyMaterial::generate().expect("randomness");
        assert_ne!(other.expose(), key.expose());
    }

    #[test]
    fn what_is_no_key_is_told_from_what_is_half_of_one() {
        let text = KeyMaterial::from_bytes([9; 32]).to_text();
        let text = text.expose_secret();
        for no_key in ["", "-----BEGIN PRIVATE KEY-----", "fulcrum-kek-v2.AAAA"] {
            let error = KeyMaterial::from_text(no_key).err();
            assert_eq!(error, Some(KeyTextError::Else), "{no_key}");
        }
        for damaged in [
            &text[..text.len() - 1],
            &format!("{text}A"),
            &text.replace("CQ", "C*"),
        ] {
            let error = KeyMaterial::from_text(damaged).err();
            assert_eq!(error, Some(KeyTextError::Damaged), "{damaged}");
        }
    }
}
