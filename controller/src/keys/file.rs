//! A key-encryption key in a file that only its owner may use.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::material::KeyMaterial;
use super::source::{KEY_TEXT_BYTES_MAX, KeySource, SourceError, read};

/// What the group and others may do: nothing.
const OTHERS: u32 = 0o077;

/// A file.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// At this path.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    fn open(&self) -> Result<KeyMaterial, SourceError> {
        let file = File::open(&self.path)?;
        // Of the file that is open: the path may lead elsewhere by now.
        let mode = file.metadata()?.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(SourceError::TooOpen { mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_TEXT_BYTES_MAX + 1));
        file.take(KEY_TEXT_BYTES_MAX as u64 + 1)
            .read_to_end(&mut text)?;
        read(&text)
    }
}

impl KeySource for KeyFile {
    fn name(&self) -> String {
        format!("file {}", self.path.display())
    }

    fn fetch(&self) -> BoxFuture<'_, Result<KeyMaterial, SourceError>> {
        async { self.open() }.boxed()
    }
}

/// Makes a key and the file for it. A file that is there stays as it is.
///
/// # Errors
/// When the file exists or cannot be written, or there is no randomness.
pub fn generate(path: &Path) -> io::Result<()> {
    let key = KeyMaterial::generate().map_err(io::Error::other)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let text = key.to_text();
    let written = file
        .write_all(text.expose_secret().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half of a key would only be in the way.
        std::fs::remove_file(path)?;
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::super::material::KeyTextError;
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, KeyFile) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("kek");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("protected");
        (dir, KeyFile::at(path))
    }

    #[tokio::test]
    async fn a_key_that_was_generated_is_read_and_not_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("kek");
        generate(&path).expect("made");
        let before = fs::read_to_string(&path).expect("readable");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);

        let file = KeyFile::at(path.clone());
        let key = file.fetch().await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(key.to_text().expose_secret(), before.trim());

        let again = generate(&path).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("readable"), before);
    }

    #[tokio::test]
    async fn a_file_that_others_could_use_is_refused() {
        let text = KeyMaterial::from_bytes([1; 32]).to_text();
        let (_dir, file) = written(text.expose_secret());
        for mode in [0o640, 0o604, 0o620, 0o644, 0o601] {
            fs::set_permissions(&file.path, Permissions::from_mode(mode)).expect("opened");
            let refused = file.fetch().await.err();
            assert!(
                matches!(refused, Some(SourceError::TooOpen { mode: found }) if found == mode),
                "{mode:o}: {refused:?}"
            );
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&file.path, Permissions::from_mode(mode)).expect("closed");
            assert!(file.fetch().await.is_ok(), "{mode:o}");
        }
    }

    #[tokio::test]
    async fn a_wrong_file_is_told_and_its_text_is_not() {
        let (_dir, file) = written("a password that must not be quoted\n");
        let refused = file.fetch().await.err().expect("no key");
        assert!(matches!(refused, SourceError::Text(KeyTextError::Else)));
        assert!(!format!("{refused} {refused:?}").contains("password"));

        let (_dir, file) = written(&"a".repeat(KEY_TEXT_BYTES_MAX + 1));
        let refused = file.fetch().await.err();
        assert!(matches!(refused, Some(SourceError::TooLong { .. })));

        let refused = KeyFile::at("/nonexistent/kek".into()).fetch().await.err();
        assert!(matches!(refused, Some(SourceError::Io(_))));
    }
}
