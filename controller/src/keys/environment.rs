//! A key-encryption key in an environment variable. Whoever may look at the process's environment sees it: a file is
//! better where there is one.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

use super::material::KeyMaterial;
use super::source::{KeySource, SourceError, read};

/// A variable, as it was when the process started.
#[derive(Clone)]
pub struct KeyVariable {
    name: String,
    value: Option<SecretString>,
}

impl KeyVariable {
    /// A variable with this value, if it is set.
    #[must_use]
    pub fn new(name: String, value: Option<SecretString>) -> Self {
        Self { name, value }
    }

    /// Of this process.
    #[must_use]
    pub fn of_this_process(name: String) -> Self {
        let value = std::env::var(&name).ok().map(SecretString::from);
        Self { name, value }
    }
}

impl KeySource for KeyVariable {
    fn name(&self) -> String {
        format!("environment variable {}", self.name)
    }

    fn fetch(&self) -> BoxFuture<'_, Result<KeyMaterial, SourceError>> {
        async {
            let text = self.value.as_ref().ok_or(SourceError::Unset)?;
            read(text.expose_secret().as_bytes())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::material::KeyTextError;
    use super::*;

    #[tokio::test]
    async fn a_variable_holds_a_key_or_says_what_it_lacks() {
        let fetched = |value: Option<&str>| {
            let value = value.map(SecretString::from);
            async { KeyVariable::new("KEK".to_owned(), value).fetch().await }
        };
        let text = KeyMaterial::from_bytes([3; 32]).to_text();
        let key = fetched(Some(text.expose_secret())).await.ok();
        let key = key.expect("a key").to_text();
        assert_eq!(key.expose_secret(), text.expose_secret());
        assert!(matches!(fetched(None).await, Err(SourceError::Unset)));
        let refused = fetched(Some("hunter2")).await;
        assert!(matches!(
            refused,
            Err(SourceError::Text(KeyTextError::Else))
        ));
        let path = KeyVariable::of_this_process("PATH".to_owned())
            .fetch()
            .await;
        assert!(matches!(path, Err(SourceError::Text(KeyTextError::Else))));
    }
}
