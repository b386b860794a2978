//! Sealing and opening under a key-encryption key.
//!
//! Sealed bytes are: format version (1 byte), key id (8), nonce (12), ciphertext, tag (16). The cipher is
//! AES-256-GCM-SIV (RFC 8452) with a random nonce; a nonce that came twice would tell no more than that the same was
//! sealed twice in the same place. The context is authenticated, not stored: what was sealed for one place opens in no
//! other.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::material::KeyMaterial;

/// The one format so far. A private key in PEM begins with another byte.
const FORMAT: u8 = 1;
const ID_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + ID_BYTES + NONCE_LEN;
/// What sealing adds.
const ADDED_BYTES: usize = HEAD_BYTES + TAG_BYTES;
/// Sets the hash that names a key apart from every other use of SHA-256.
const ID_DOMAIN: &[u8] = b"fulcrum key-encryption key id v1\0";

/// Which key-encryption key: tells keys apart and says nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    fn of(material: &KeyMaterial) -> Self {
        let hash = Sha256::new()
            .chain_update(ID_DOMAIN)
            .chain_update(material.expose())
            .finalize();
        Self(*hash.first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something is not sealed or opened. The operator must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not of a known sealed form.
    #[error(
        "{bytes} bytes are not sealed in a way that this build knows; start the build that wrote them, or restore them from a backup"
    )]
    Malformed {
        /// How many there are.
        bytes: usize,
    },
    /// They were sealed under a key that is not configured.
    #[error(
        "sealed under key-encryption key {sealed_under}, configured: {}; add the source of that key to `keys.sources`",
        .configured.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
    )]
    UnknownKey {
        /// The key.
        sealed_under: KeyId,
        /// Those that are.
        configured: Vec<KeyId>,
    },
    /// The key is there, but the bytes are not what it sealed for this place.
    #[error(
        "what was sealed under key-encryption key {key} was altered or belongs elsewhere; restore it from a backup"
    )]
    Refused {
        /// The key.
        key: KeyId,
    },
    /// The cryptographic library failed to seal: there is no randomness.
    #[error("the cryptographic library cannot seal; the operating system may have no randomness")]
    Unable,
}

/// The configured key-encryption keys. Cheap to clone.
#[derive(Clone)]
pub struct Kek {
    /// The first seals.
    keys: Arc<[Key]>,
}

struct Key {
    id: KeyId,
    cipher: RandomizedNonceKey,
}

impl Key {
    fn new(material: &KeyMaterial) -> Self {
        Self {
            id: KeyId::of(material),
            cipher: RandomizedNonceKey::new(&AES_256_GCM_SIV, material.expose())
                .expect("a key of 32 bytes fits AES-256"),
        }
    }
}

impl Kek {
    /// The first seals; it and the others open.
    #[must_use]
    pub fn new(first: &KeyMaterial, others: &[KeyMaterial]) -> Self {
        Self {
            keys: std::iter::once(first).chain(others).map(Key::new).collect(),
        }
    }

    /// The ids of the keys; the first seals.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|key| key.id)
    }

    /// Seals under the first key. What it returns opens with the same context only.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.keys.first().expect("there is always a first key");
        // Never grown, so that nothing plain is left behind; what is sealed lies where the plain was.
        let mut sealed = Vec::with_capacity(ADDED_BYTES + plain.len());
        sealed.push(FORMAT);
        sealed.extend(key.id.0);
        sealed.extend([0; NONCE_LEN]);
        sealed.extend(plain);
        let (nonce, tag) = key
            .cipher
            .seal_in_place_separate_tag(Aad::from(context), &mut sealed[HEAD_BYTES..])
            .map_err(|_| KeyError::Unable)?;
        sealed[HEAD_BYTES - NONCE_LEN..HEAD_BYTES].copy_from_slice(nonce.as_ref());
        sealed.extend(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what any of the keys sealed with this context.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (id, nonce, body) = parts(sealed).ok_or(KeyError::Malformed {
            bytes: sealed.len(),
        })?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| KeyError::UnknownKey {
            sealed_under: id,
            configured: self.ids().collect(),
        })?;
        let mut plain = Zeroizing::new(body.to_vec());
        let bytes = key
            .cipher
            .open_in_place(Nonce::from(nonce), Aad::from(context), &mut plain)
            .map_err(|_| KeyError::Refused { key: id })?
            .len();
        plain.truncate(bytes);
        Ok(plain)
    }

    /// Whether the first key sealed this; if not, it is to be sealed anew.
    #[must_use]
    pub fn is_newest(&self, sealed: &[u8]) -> bool {
        sealed_under(sealed).is_some_and(|id| self.ids().next() == Some(id))
    }
}

/// The key that sealed these bytes; `None` if they are clear. Told by the first byte and by more bytes than sealing adds:
/// a clear key of 32 random bytes may begin with any.
#[must_use]
pub fn sealed_under(bytes: &[u8]) -> Option<KeyId> {
    parts(bytes).map(|(id, _, _)| id)
}

fn parts(sealed: &[u8]) -> Option<(KeyId, &[u8; NONCE_LEN], &[u8])> {
    let (format, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (nonce, body) = rest.split_first_chunk()?;
    (*format == FORMAT && body.len() >= TAG_BYTES).then_some((KeyId(*id), nonce, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &[u8] = b"where it lies";
    const PLAIN: &[u8] = b"-----BEGIN PRIVATE KEY-----";

    fn material(byte: u8) -> KeyMaterial {
        KeyMaterial::from_bytes([byte; 32])
    }

    fn kek(first: u8, others: &[u8]) -> Kek {
        let others: Vec<_> = others.iter().copied().map(material).collect();
        Kek::new(&material(first), &others)
    }

    #[test]
    fn what_is_sealed_opens_and_does_not_show_through() {
        let kek = kek(1, &[]);
        for plain in [PLAIN, b""] {
            let sealed = kek.seal(CONTEXT, plain).expect("seals");
            assert_eq!(sealed.len(), plain.len() + ADDED_BYTES);
            assert_eq!(*kek.open(CONTEXT, &sealed).expect("opens"), plain);
        }
        let sealed = kek.seal(CONTEXT, PLAIN).expect("seals");
        assert!(!sealed.windows(8).any(|eight| eight == &PLAIN[..8]));
        assert_ne!(sealed, kek.seal(CONTEXT, PLAIN).expect("seals"));
    }

    #[test]
    fn the_format_does_not_change() {
        // Made by another implementation: `AESGCMSIV` of Python's `cryptography`.
        let sealed = hex::decode(concat!(
            "01",
            "c2e2b974d29b1f76",
            "000102030405060708090a0b",
            "5cbabd62e56921b275b15c633e3ceddd43790b14ca8ceb5981303b",
            "a707c8c0475a582bb7296949b87020df"
        ))
        .expect("hex");
        let opened = kek(7, &[]).open(CONTEXT, &sealed).expect("opens");
        assert_eq!(*opened, PLAIN);
    }

    #[test]
    fn in_another_place_it_does_not_open() {
        let kek = kek(1, &[]);
        let sealed = kek.seal(CONTEXT, PLAIN).expect("seals");
        let refused = kek.open(b"elsewhere", &sealed).err();
        let key = kek.ids().next().expect("one");
        assert_eq!(refused, Some(KeyError::Refused { key }));
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_opens() {
        let kek = kek(1, &[]);
        let sealed = kek.seal(CONTEXT, PLAIN).expect("seals");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = kek.open(CONTEXT, &flipped).expect_err("does not open");
            match bit / 8 {
                0 => assert!(matches!(error, KeyError::Malformed { .. }), "{error}"),
                1..=8 => assert!(matches!(error, KeyError::UnknownKey { .. }), "{error}"),
                _ => assert!(matches!(error, KeyError::Refused { .. }), "{error}"),
            }
        }
        for bytes in 0..sealed.len() {
            let error = kek.open(CONTEXT, &sealed[..bytes]);
            error.expect_err("does not open");
        }
    }

    #[test]
    fn a_key_that_is_not_configured_is_named() {
        let sealed = kek(1, &[]).seal(CONTEXT, PLAIN).expect("seals");
        let other = kek(2, &[3]);
        let error = other.open(CONTEXT, &sealed).expect_err("unknown");
        let said = error.to_string();
        for id in kek(1, &[]).ids().chain(other.ids()) {
            assert!(said.contains(&id.to_string()), "{said}");
        }
        assert!(said.contains("keys.sources"), "{said}");
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = kek(1, &[]);
        let both = kek(2, &[1]);
        let before = old.seal(CONTEXT, PLAIN).expect("seals");
        assert!(old.is_newest(&before) && !both.is_newest(&before));
        assert_eq!(*both.open(CONTEXT, &before).expect("opens"), PLAIN);
        let after = both.seal(CONTEXT, PLAIN).expect("seals");
        assert!(both.is_newest(&after));
        let new = kek(2, &[]);
        assert_eq!(*new.open(CONTEXT, &after).expect("opens"), PLAIN);
        assert!(matches!(
            new.open(CONTEXT, &before),
            Err(KeyError::UnknownKey { .. })
        ));
    }

    #[test]
    fn clear_keys_are_told_from_sealed_ones() {
        let sealed = kek(1, &[]).seal(CONTEXT, &[1; 32]).expect("seals");
        assert_eq!(sealed_under(&sealed), kek(1, &[]).ids().next());
        assert_eq!(sealed_under(PLAIN), None);
        assert_eq!(sealed_under(&[FORMAT; 32]), None, "a clear key of 32 bytes");
        assert_eq!(sealed_under(&[]), None);
    }
}
