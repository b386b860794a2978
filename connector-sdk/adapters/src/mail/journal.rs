//! What an SMTP mailer has handed over, on disk.
//!
//! A file `KEY.open` is there before the first byte of a mail leaves, and becomes `KEY.sent` when the server has taken
//! it. Whoever finds only the first knows that a mail may be out and must not send another.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of notes.
#[derive(Clone)]
pub(super) struct SentJournal(Arc<PathBuf>);

/// What is known of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, until now: it is noted as being handed over.
    Opened,
    /// It may have been handed over.
    Open,
    /// The server has taken it.
    Sent,
}

impl SentJournal {
    /// Uses the directory, making it if need be.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        Ok(Self(Arc::new(directory)))
    }

    /// Notes that the mail `key` is about to be handed over, unless something is known of it.
    pub(super) async fn begin(&self, key: &str) -> io::Result<Known> {
        self.blocking(key, |directory, key| {
            if directory.join(format!("{key}.sent")).exists() {
                return Ok(Known::Sent);
            }
            match std::fs::File::create_new(directory.join(format!("{key}.open"))) {
                Ok(file) => file
                    .sync_all()
                    .and_then(|()| sync(directory))
                    .map(|()| Known::Opened),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Known::Open),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Notes that the server has taken it.
    pub(super) async fn settle(&self, key: &str) -> io::Result<()> {
        self.blocking(key, |directory, key| {
            let (open, sent) = (format!("{key}.open"), format!("{key}.sent"));
            std::fs::rename(directory.join(open), directory.join(sent))?;
            sync(directory)
        })
        .await
    }

    /// Notes that it certainly did not go out.
    pub(super) async fn withdraw(&self, key: &str) -> io::Result<()> {
        self.blocking(key, |directory, key| {
            std::fs::remove_file(directory.join(format!("{key}.open")))?;
            sync(directory)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let directory = Arc::clone(&self.0);
        let key = key.to_owned();
        tokio::task::spawn_blocking(move || work(&directory, &key))
            .await
            .map_err(io::Error::from)?
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_is_opened_once_and_stays_known() {
        let directory = tempfile::tempdir().expect("tempdir");
        let journal = SentJournal::open(directory.path().to_owned()).expect("open");
        assert_eq!(journal.begin("k").await.expect("begin"), Known::Opened);
        assert_eq!(journal.begin("k").await.expect("begin"), Known::Open);
        journal.settle("k").await.expect("settle");
        assert_eq!(journal.begin("k").await.expect("begin"), Known::Sent);
    }

    #[tokio::test]
    async fn a_withdrawn_mail_may_be_sent_later() {
        let directory = tempfile::tempdir().expect("tempdir");
        let journal = SentJournal::open(directory.path().to_owned()).expect("open");
        assert_eq!(journal.begin("k").await.expect("begin"), Known::Opened);
        journal.withdraw("k").await.expect("withdraw");
        assert_eq!(journal.begin("k").await.expect("begin"), Known::Opened);
    }
}
