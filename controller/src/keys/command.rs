//! A key-encryption key that a program prints: the client of a key service, a password manager, `systemd-creds`.

use std::process::Stdio;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::material::KeyMaterial;
use super::source::{KEY_TEXT_BYTES_MAX, KeySource, SourceError, read};

/// How long a command may take.
pub const COMMAND_TIME_MAX: Duration = Duration::from_secs(20);

/// A program and its arguments. No shell reads them.
#[derive(Debug, Clone)]
pub struct KeyCommand {
    argv: Vec<String>,
    time_max: Duration,
}

impl KeyCommand {
    /// This program with these arguments.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self {
            argv,
            time_max: COMMAND_TIME_MAX,
        }
    }

    async fn run(&self) -> Result<KeyMaterial, SourceError> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| std::io::Error::other("no program is named"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().expect("the standard output is a pipe");
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_TEXT_BYTES_MAX + 1));
        stdout
            .take(KEY_TEXT_BYTES_MAX as u64 + 1)
            .read_to_end(&mut text)
            .await?;
        if text.len() > KEY_TEXT_BYTES_MAX {
            return read(&text);
        }
        let ended = child.wait().await?;
        if !ended.success() {
            return Err(SourceError::Failed(ended));
        }
        read(&text)
    }
}

impl KeySource for KeyCommand {
    fn name(&self) -> String {
        // Arguments may hold what is nobody's business.
        let program = self.argv.first().map_or("", String::as_str);
        format!("command {program}")
    }

    fn fetch(&self) -> BoxFuture<'_, Result<KeyMaterial, SourceError>> {
        async {
            // The child is killed with the future that waits for it.
            tokio::time::timeout(self.time_max, self.run())
                .await
                .map_err(|_elapsed| SourceError::TooSlow(self.time_max))?
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use secrecy::ExposeSecret as _;

    use super::super::material::KeyTextError;
    use super::*;

    fn command(argv: &[&str]) -> KeyCommand {
        KeyCommand::new(argv.iter().map(|&argument| argument.to_owned()).collect())
    }

    #[tokio::test]
    async fn what_a_command_prints_is_the_key_and_no_shell_reads_it() {
        let text = KeyMaterial::from_bytes([5; 32]).to_text();
        let fetched = command(&["echo", text.expose_secret()]).fetch().await;
        let key = fetched.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(key.to_text().expose_secret(), text.expose_secret());

        let dir = tempfile::tempdir().expect("a directory");
        let made = dir.path().join("made");
        let trick = format!("$(touch {})", made.display());
        let refused = command(&["echo", &trick]).fetch().await;
        assert!(matches!(
            refused,
            Err(SourceError::Text(KeyTextError::Else))
        ));
        assert!(!made.exists());
    }

    #[tokio::test]
    async fn a_command_that_fails_gives_no_key_even_if_it_printed_one() {
        let text = KeyMaterial::from_bytes([5; 32]).to_text();
        let script = format!("echo {}; exit 3", text.expose_secret());
        let refused = command(&["sh", "-c", &script]).fetch().await.err();
        let Some(SourceError::Failed(status)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(status.code(), Some(3));
        let missing = command(&["/nonexistent/program"]).fetch().await.err();
        assert!(
            matches!(&missing, Some(SourceError::Io(error)) if error.kind() == io::ErrorKind::NotFound),
            "{missing:?}"
        );
        let none = command(&[]).fetch().await;
        assert!(matches!(none, Err(SourceError::Io(_))));
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("mkfifo runs").success());
        let mut hanging = command(&["cat", fifo.to_str().expect("a path")]);
        hanging.time_max = Duration::from_millis(100);
        let refused = hanging.fetch().await.err();
        assert!(
            matches!(refused, Some(SourceError::TooSlow(_))),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_command_that_prints_for_ever_is_ended() {
        let refused = command(&["yes"]).fetch().await.err();
        assert!(
            matches!(refused, Some(SourceError::TooLong { .. })),
            "{refused:?}"
        );
    }
}
