//! Where a key-encryption key comes from.

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::material::{KeyMaterial, KeyTextError};

/// A place that holds one key. A key service is one more implementation.
pub trait KeySource: Send + Sync {
    /// What it is called in messages. No secret.
    fn name(&self) -> String;

    /// Fetches the key. Called once, at start.
    fn fetch(&self) -> BoxFuture<'_, Result<KeyMaterial, SourceError>>;
}

/// Why a source gives no key. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Others than its owner may read it or write to it.
    #[error(
        "has mode {mode:04o}, others than its owner could use it; allow them nothing: `chmod 600`"
    )]
    TooOpen {
        /// Its mode.
        mode: u32,
    },
    /// The environment has no such variable.
    #[error("is not set")]
    Unset,
    /// There is too much for a key.
    #[error("gives more than {max} bytes; a key-encryption key is one short line")]
    TooLong {
        /// The most that is read.
        max: usize,
    },
    /// A command did not end well.
    #[error("ended with {0}; its own words are on this process's standard error")]
    Failed(std::process::ExitStatus),
    /// A command did not end in time.
    #[error("did not end within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// What it holds is no key.
    #[error(transparent)]
    Text(#[from] KeyTextError),
}

/// The most bytes that a source may give: a key has 58, and there may be white space around it.
pub const KEY_TEXT_BYTES_MAX: usize = 1024;

/// The key in these bytes.
pub(super) fn read(bytes: &[u8]) -> Result<KeyMaterial, SourceError> {
    if bytes.len() > KEY_TEXT_BYTES_MAX {
        return Err(SourceError::TooLong {
            max: KEY_TEXT_BYTES_MAX,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| KeyTextError::Else)?;
    Ok(KeyMaterial::from_text(text)?)
}
