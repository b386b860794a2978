//! Where secrets come from, and the memory of which were revealed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Redactor, SecretName};

pub(super) const VARIABLE_PREFIX: &str = "FULCRUM_SECRET_";

/// Shortest secret, in bytes: a shorter one cannot be told from ordinary text when outputs are redacted.
const SECRET_BYTES_MIN: usize = 6;
/// Largest secret, in bytes.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The places a secret may come from, in the order they are asked: environment, directory, systemd credentials.
#[derive(Default)]
pub struct SecretSource {
    variables: BTreeMap<String, SecretString>,
    directories: Vec<PathBuf>,
}

/// Why a secret could not be revealed. Never holds the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No place has it.
    #[error(
        "no value for {name}: set {variable}, or put a file named `{}` into the secrets directory or systemd credentials",
        name.as_str()
    )]
    Missing {
        /// The secret that was asked for.
        name: SecretName,
        /// The environment variable that would have held it.
        variable: String,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {name} from {}: {source}", path.display())]
    Unreadable {
        /// The secret that was asked for.
        name: SecretName,
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Too short to be redacted, or too long to be a secret.
    #[error(
        "{name} has {bytes} bytes: a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}, so that it can be recognised and redacted"
    )]
    BadLength {
        /// The secret that was asked for.
        name: SecretName,
        /// Its length.
        bytes: usize,
    },
}

impl SecretSource {
    /// The process environment, then `directory` if given, then systemd's `CREDENTIALS_DIRECTORY`.
    pub fn of_process(directory: Option<&Path>) -> Self {
        let variables = std::env::vars()
            .filter(|(variable, _)| variable.starts_with(VARIABLE_PREFIX))
            .map(|(variable, value)| (variable, SecretString::from(value)))
            .collect();
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self {
            variables,
            directories: directory
                .map(Path::to_owned)
                .into_iter()
                .chain(credentials)
                .collect(),
        }
    }

    /// Only what is handed over: for tests and for embedding. Keys are names without `secret://`.
    pub fn given<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = secrets
            .into_iter()
            .filter_map(|(name, value)| {
                let name: SecretName = format!("secret://{name}").parse().ok()?;
                Some((name.variable(), SecretString::from(value)))
            })
            .collect();
        Self {
            variables,
            directories: Vec::new(),
        }
    }

    /// The same source with one more directory, asked after the others.
    #[must_use]
    pub fn and_directory(mut self, directory: PathBuf) -> Self {
        self.directories.push(directory);
        self
    }

    fn read(&self, name: &SecretName) -> Result<SecretString, SecretError> {
        let variable = name.variable();
        if let Some(value) = self.variables.get(&variable) {
            return Ok(value.clone());
        }
        for directory in &self.directories {
            let path = directory.join(name.as_str());
            match std::fs::read_to_string(&path) {
                // Editors and `echo` end a file with a newline that is not part of the secret.
                Ok(text) => {
                    warn_if_readable_by_others(&path);
                    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
                    return Ok(SecretString::from(
                        trimmed.strip_suffix('\r').unwrap_or(trimmed),
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(SecretError::Unreadable {
                        name: name.clone(),
                        path,
                        source,
                    });
                }
            }
        }
        Err(SecretError::Missing {
            name: name.clone(),
            variable,
        })
    }
}

/// Reveals secrets and remembers each one, so that the [`Redactor`] made of it knows them all.
#[derive(Default)]
pub struct Vault {
    source: SecretSource,
    revealed: BTreeMap<SecretName, SecretString>,
}

impl Vault {
    /// A vault that reads from `source`.
    pub fn new(source: SecretSource) -> Self {
        Self {
            source,
            revealed: BTreeMap::new(),
        }
    }

    /// The value behind `name`.
    ///
    /// # Errors
    /// When no source has it, its file cannot be read, or its length is out of bounds.
    pub fn reveal(&mut self, name: &SecretName) -> Result<SecretString, SecretError> {
        if let Some(known) = self.revealed.get(name) {
            return Ok(known.clone());
        }
        let value = self.source.read(name)?;
        let bytes = value.expose_secret().len();
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes) {
            return Err(SecretError::BadLength {
                name: name.clone(),
                bytes,
            });
        }
        self.revealed.insert(name.clone(), value.clone());
        Ok(value)
    }

    /// A redactor of everything revealed so far.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(
            self.revealed
                .iter()
                .map(|(name, value)| (name, value.expose_secret())),
        )
    }
}

fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let readable =
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0);
    if readable {
        tracing::warn!(path = %path.display(), "every user of this machine can read this secret; chmod 600 it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        text.parse().expect("valid reference")
    }

    #[test]
    fn a_file_in_the_directory_is_read_without_its_last_newline() {
        let directory = tempfile::tempdir().expect("tempdir");
        std::fs::write(directory.path().join("crm"), "hunter2-hunter2\n").expect("write");
        let mut vault =
            Vault::new(SecretSource::default().and_directory(directory.path().to_owned()));
        let value = vault.reveal(&name("secret://crm")).expect("revealed");
        assert_eq!(value.expose_secret(), "hunter2-hunter2");
    }

    #[test]
    fn the_environment_comes_before_the_directory() {
        let directory = tempfile::tempdir().expect("tempdir");
        std::fs::write(directory.path().join("crm"), "from-the-file").expect("write");
        let source = SecretSource::given([("crm", "from-the-environment")])
            .and_directory(directory.path().to_owned());
        let value = Vault::new(source)
            .reveal(&name("secret://crm"))
            .expect("revealed");
        assert_eq!(value.expose_secret(), "from-the-environment");
    }

    #[test]
    fn a_missing_secret_names_what_to_set() {
        let error = Vault::default()
            .reveal(&name("secret://crm"))
            .expect_err("missing");
        assert!(error.to_string().contains("FULCRUM_SECRET_CRM"), "{error}");
    }

    #[test]
    fn a_secret_too_short_to_redact_is_refused_without_being_shown() {
        let error = Vault::new(SecretSource::given([("pin", "1234")]))
            .reveal(&name("secret://pin"))
            .expect_err("too short");
        assert!(!error.to_string().contains("1234"), "{error}");
    }
}
