//! Mail into a directory.

use std::sync::Arc;

use crate::files::{Folder, FolderError, WriteMode};

/// Largest mail, in bytes.
const MAIL_BYTES_MAX: usize = 25 * 1024 * 1024;

/// A directory with one file for each mail.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Folder>);

impl Outbox {
    /// Opens the directory, making it if need be.
    pub(super) fn open(path: &std::path::Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(path)?;
        // Never listed, so the limit on entries does not matter.
        Folder::open(path, MAIL_BYTES_MAX, 1).map(|folder| Self(Arc::new(folder)))
    }

    /// Puts the mail named `key` there, once: a mail of that name stays as it is. Gives the file's name.
    pub(super) async fn put(&self, key: &str, mail: Vec<u8>) -> Result<String, FolderError> {
        let folder = Arc::clone(&self.0);
        let name = format!("{key}.eml");
        let file = name.clone();
        tokio::task::spawn_blocking(move || folder.write(&file, &mail, WriteMode::CreateNew))
            .await
            .unwrap_or_else(|broken| {
                Err(FolderError::Io {
                    path: name.clone(),
                    source: broken.into(),
                })
            })?;
        Ok(name)
    }
}
