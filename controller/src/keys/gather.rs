//! All configured keys, fetched.

use super::kek::{Kek, KeyId};
use super::material::KeyMaterial;
use super::source::{KeySource, SourceError};

/// The most keys at once: one that seals and those it takes the place of.
pub const KEYS_MAX: usize = 8;

/// Why there is no key-encryption key. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// None is configured.
    #[error(
        "no key-encryption key is configured, and private keys rest in the database under one. Make it with `fulcrum-controller keys generate FILE`, keep a copy apart from the backups of the database (without it the certificate authority is lost), and set `keys.sources` to [{{ file = \"FILE\" }}]"
    )]
    None,
    /// More are configured than make sense.
    #[error(
        "`keys.sources` names {0} keys; at most {KEYS_MAX} are needed while one takes another's place"
    )]
    TooMany(usize),
    /// A source gives none.
    #[error("key-encryption key: {name} {error}")]
    Source {
        /// Which.
        name: String,
        /// Why.
        error: SourceError,
    },
    /// Two sources give the same.
    #[error("key-encryption key: {one} and {other} are the same key ({id}); name each key once")]
    Twice {
        /// One.
        one: String,
        /// The other.
        other: String,
        /// The key.
        id: KeyId,
    },
}

/// Fetches the key of each source. The first seals.
///
/// # Errors
/// See [`KeysError`].
pub async fn gather(sources: &[Box<dyn KeySource>]) -> Result<Kek, KeysError> {
    if sources.len() > KEYS_MAX {
        return Err(KeysError::TooMany(sources.len()));
    }
    let mut keys: Vec<KeyMaterial> = Vec::with_capacity(sources.len());
    for source in sources {
        let key = source.fetch().await.map_err(|error| KeysError::Source {
            name: source.name(),
            error,
        })?;
        keys.push(key);
    }
    let (first, others) = keys.split_first().ok_or(KeysError::None)?;
    let kek = Kek::new(first, others);
    let ids: Vec<KeyId> = kek.ids().collect();
    for (at, id) in ids.iter().enumerate() {
        if let Some(before) = ids[..at].iter().position(|other| other == id) {
            return Err(KeysError::Twice {
                one: sources[before].name(),
                other: sources[at].name(),
                id: *id,
            });
        }
    }
    Ok(kek)
}

#[cfg(test)]
mod tests {
    use super::super::environment::KeyVariable;
    use super::*;

    fn held(byte: u8) -> Box<dyn KeySource> {
        let text = KeyMaterial::from_bytes([byte; 32]).to_text();
        Box::new(KeyVariable::new(format!("KEK_{byte}"), Some(text)))
    }

    #[tokio::test]
    async fn the_first_source_seals() {
        let kek = gather(&[held(2), held(1)]).await.expect("two keys");
        let sealed = kek.seal(b"here", b"plain").expect("seals");
        let second = gather(&[held(2)]).await.expect("a key");
        assert_eq!(*second.open(b"here", &sealed).expect("opens"), b"plain");
    }

    #[tokio::test]
    async fn without_a_key_it_says_how_to_make_one() {
        let error = gather(&[]).await.err().expect("an error");
        assert!(matches!(error, KeysError::None));
        let said = error.to_string();
        assert!(said.contains("fulcrum-controller keys generate"), "{said}");
        assert!(said.contains("[{ file = \"FILE\" }]"), "{said}");
    }

    #[tokio::test]
    async fn a_source_without_a_key_is_named() {
        let unset = Box::new(KeyVariable::new("KEK_OLD".to_owned(), None));
        let error = gather(&[held(1), unset]).await.err().expect("an error");
        let said = error.to_string();
        assert!(
            said.contains("environment variable KEK_OLD is not set"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn one_key_twice_is_a_mistake() {
        let error = gather(&[held(1), held(2), held(1)]).await.err();
        assert!(matches!(error, Some(KeysError::Twice { .. })));
    }

    #[tokio::test]
    async fn there_is_an_end_to_keys() {
        let keys: Vec<_> = (0..=KEYS_MAX)
            .map(|n| held(u8::try_from(n).expect("few")))
            .collect();
        let error = gather(&keys).await.err();
        assert!(matches!(error, Some(KeysError::TooMany(9))));
    }
}
