//! Signed heads, as C2SP checkpoints in signed notes.
//!
//! ```text
//! fulcrum/f-0123456789abcdef
//! 4711
//! base64 of the root
//!
//! — fulcrum/f-0123456789abcdef base64 of ( key id, 4 bytes ‖ Ed25519 signature, 64 bytes )
//! ```
//!
//! The first line names the log and the key alike. The signature covers everything up to the empty line, with the end of
//! the line before it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::node::NodeHash;

/// Longest note that is looked at, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_096;
/// The algorithm's number in a key.
const ALGORITHM: u8 = 1;
const SIGNED_BY: &str = "\u{2014} ";

/// The log at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many leaves it has.
    pub size: u64,
    /// The hash of all of them.
    pub root: NodeHash,
}

/// Why a note is not a head that a verifier believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is no note of a head.
    #[error("this is not a signed head")]
    Malformed,
    /// It is the head of another log.
    #[error("the head is that of another installation's log")]
    OtherLog,
    /// None of its signatures is of this key.
    #[error("the head is not signed by this installation's key")]
    Unsigned,
    /// The signature is wrong.
    #[error("the head's signature is wrong: it was not made by this installation's key")]
    Forged,
}

/// A text that is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a verifier key; it has the form name+id+key, on one line")]
pub struct MalformedKey;

/// A key that no signer can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing key cannot be used")]
pub struct UnusableKey;

/// Checks heads. Its text form, `name+id+key`, is what is handed to whoever checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: [u8; 32],
}

impl Verifier {
    /// The log's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes of a hash over name and key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ALGORITHM])
            .chain_update(self.key)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads a note that this key has signed.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn open(&self, note: &str) -> Result<Head, NoteError> {
        let (text, signatures) = (note.len() <= NOTE_BYTES_MAX)
            .then(|| note.rsplit_once("\n\n"))
            .flatten()
            .ok_or(NoteError::Malformed)?;
        let head = self.read(text)?;
        let mut mine = signatures.lines().filter_map(|line| {
            let (name, signature) = line.strip_prefix(SIGNED_BY)?.split_once(' ')?;
            let bytes = STANDARD.decode(signature).ok()?;
            let (id, signature) = bytes.split_first_chunk::<4>()?;
            (name == self.name && *id == self.id()).then(|| signature.to_vec())
        });
        let signature = mine.next().ok_or(NoteError::Unsigned)?;
        let signed = format!("{text}\n");
        UnparsedPublicKey::new(&ED25519, self.key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| NoteError::Forged)?;
        Ok(head)
    }

    fn read(&self, text: &str) -> Result<Head, NoteError> {
        let mut lines = text.lines();
        let name = lines.next().ok_or(NoteError::Malformed)?;
        let mut read = || {
            let size = lines.next()?;
            let root = STANDARD.decode(lines.next()?).ok()?;
            Some(Head {
                size: size.parse().ok().filter(|n: &u64| n.to_string() == size)?,
                root: NodeHash(root.try_into().ok()?),
            })
        };
        let head = read().ok_or(NoteError::Malformed)?;
        if name == self.name {
            Ok(head)
        } else {
            Err(NoteError::OtherLog)
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.key);
        let (id, key) = (hex::encode(self.id()), STANDARD.encode(key));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl FromStr for Verifier {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let read = || {
            let (name, rest) = text.split_once('+')?;
            // Base64 may hold a plus, hexadecimal digits do not.
            let (id, key) = rest.split_once('+')?;
            let key = STANDARD.decode(key).ok()?;
            let (algorithm, key) = key.split_first()?;
            let verifier = Self {
                name: name.to_owned(),
                key: key.try_into().ok()?,
            };
            let is_right = *algorithm == ALGORITHM && id == hex::encode(verifier.id());
            (is_right && is_name(name)).then_some(verifier)
        };
        read().ok_or(MalformedKey)
    }
}

/// Signs heads.
pub struct Signer {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// A new key, in PKCS#8.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new_key() -> Result<Zeroizing<Vec<u8>>, UnusableKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| UnusableKey)?;
        let document = pair.to_pkcs8().map_err(|_| UnusableKey)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The signer of the log of this name.
    ///
    /// # Errors
    /// The key is none, or the name has a space or a plus.
    pub fn new(name: &str, pkcs8: &[u8]) -> Result<Self, UnusableKey> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| UnusableKey)?;
        let key = pair.public_key().as_ref().try_into();
        let verifier = Verifier {
            name: name.to_owned(),
            key: key.map_err(|_| UnusableKey)?,
        };
        is_name(name)
            .then_some(Self { verifier, pair })
            .ok_or(UnusableKey)
    }

    /// What checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note of a head.
    #[must_use]
    pub fn sign(&self, head: &Head) -> String {
        let (name, root) = (&self.verifier.name, STANDARD.encode(head.root.0));
        let text = format!("{name}\n{}\n{root}\n", head.size);
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNED_BY}{name} {}\n", STANDARD.encode(signature))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "fulcrum/f-07";

    fn signer() -> Signer {
        Signer::new(NAME, &Signer::new_key().expect("a key")).expect("usable")
    }

    fn head() -> Head {
        Head {
            size: 4_711,
            root: NodeHash([9; 32]),
        }
    }

    #[test]
    fn a_signed_head_is_believed_by_its_verifier_alone() {
        let (mine, other) = (signer(), signer());
        let note = mine.sign(&head());
        assert_eq!(mine.verifier().open(&note), Ok(head()));
        assert_eq!(other.verifier().open(&note), Err(NoteError::Unsigned));
        let both = format!("{note}{}", other.sign(&head()).lines().next_back().unwrap());
        assert_eq!(
            other.verifier().open(&both),
            Ok(head()),
            "one of two signatures"
        );
    }

    #[test]
    fn a_changed_head_is_not_believed() {
        let signer = signer();
        let note = signer.sign(&head());
        let other = |from: &str, to: &str| signer.verifier().open(&note.replacen(from, to, 1));
        assert_eq!(other("4711", "4712"), Err(NoteError::Forged));
        assert_eq!(other("4711", "04711"), Err(NoteError::Malformed));
        assert_eq!(other("CQkJ", "CAkJ"), Err(NoteError::Forged));
        assert_eq!(other("f-07\n4711", "f-08\n4711"), Err(NoteError::OtherLog));
        assert_eq!(other("\n\n", "\nmore\n\n"), Err(NoteError::Forged));
        assert_eq!(signer.verifier().open(""), Err(NoteError::Malformed));
    }

    #[test]
    fn a_verifier_survives_printing_and_parsing() {
        let verifier = signer().verifier().clone();
        let text = verifier.to_string();
        assert_eq!(text.parse(), Ok(verifier));
        assert_eq!(
            text.replacen("07", "08", 1).parse::<Verifier>(),
            Err(MalformedKey)
        );
        assert_eq!("".parse::<Verifier>(), Err(MalformedKey));
    }

    /// The key of the signed-note format's own example.
    #[test]
    fn the_id_of_a_key_is_that_of_the_format() {
        let verifier: Verifier =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
                .parse()
                .expect("a key");
        assert_eq!(hex::encode(verifier.id()), "c74f20a3");
    }
}
