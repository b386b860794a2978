//! The contexts file and the directory it lives in.
//!
//! The directory is `$FULCRUM_CONFIG_DIR`, else `$XDG_CONFIG_HOME/fulcrum`, else `~/.config/fulcrum`. It holds private
//! keys, so that it is made with mode 0700, and its files with 0600.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// Longest name of a context, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

const FILE: &str = "contexts.toml";

/// One controller, one identity, one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Where the controller's API is: `host:port`.
    pub address: String,
    /// Directory of the identity: key, certificate, authority.
    pub identity: PathBuf,
    /// The namespace that commands act in.
    pub namespace: String,
}

/// All contexts, and which one is used when none is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// Name of the one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// The configuration directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    dir: PathBuf,
}

/// What the environment says about where configuration lives.
#[derive(Debug, Default)]
pub struct Places {
    /// `FULCRUM_CONFIG_DIR`.
    pub own: Option<OsString>,
    /// `XDG_CONFIG_HOME`.
    pub xdg: Option<OsString>,
    /// `HOME`.
    pub home: Option<OsString>,
}

impl Places {
    /// Reads the environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        let get = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            own: get("FULCRUM_CONFIG_DIR"),
            xdg: get("XDG_CONFIG_HOME"),
            home: get("HOME"),
        }
    }
}

impl Store {
    /// The store in the directory that these places lead to.
    ///
    /// # Errors
    /// When there is no home directory to put it in.
    pub fn find(places: Places) -> Result<Self, CliError> {
        let dir = places
            .own
            .map(PathBuf::from)
            .or_else(|| places.xdg.map(|dir| PathBuf::from(dir).join("fulcrum")))
            .or_else(|| {
                places
                    .home
                    .map(|dir| PathBuf::from(dir).join(".config/fulcrum"))
            });
        let dir = dir.ok_or_else(|| {
            CliError::usage(
                "there is no home directory for contexts",
                "set HOME or FULCRUM_CONFIG_DIR",
            )
        })?;
        Ok(Self { dir })
    }

    /// The store in this directory.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the contexts file is.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Where the identity of a context is kept when none is given.
    #[must_use]
    pub fn identity_dir(&self, context: &str) -> PathBuf {
        self.dir.join("identities").join(context)
    }

    /// Reads the contexts; none, if there is no file yet.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn load(&self) -> Result<Contexts, CliError> {
        let path = self.file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contexts::default()),
            Err(error) => return Err(CliError::file("read", path, error)),
        };
        toml::from_str(&text).map_err(|error| {
            CliError::usage(
                format!(
                    "{} is not a contexts file: {}",
                    path.display(),
                    error.to_string().trim_end()
                ),
                "correct the file, or move it away and add the contexts again",
            )
        })
    }

    /// Writes the contexts, all or nothing.
    ///
    /// # Errors
    /// When the directory or file cannot be written.
    pub fn save(&self, contexts: &Contexts) -> Result<(), CliError> {
        let text = toml::to_string_pretty(contexts).map_err(|error| CliError::Io {
            what: "cannot write the contexts".to_owned(),
            source: io::Error::other(error),
        })?;
        let path = self.file();
        private_dir(&self.dir)?;
        let draft = self.dir.join(format!(".{FILE}.{}", std::process::id()));
        write_private(&draft, text.as_bytes())
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| CliError::file("write", path, error))
    }

    /// Adds or replaces a context, and uses it from now on if asked to or if there was none.
    ///
    /// # Errors
    /// As [`Store::load`] and [`Store::save`].
    pub fn put(&self, name: &str, context: Context, selection: Selection) -> Result<(), CliError> {
        check_name(name)?;
        let mut contexts = self.load()?;
        contexts.contexts.insert(name.to_owned(), context);
        if selection == Selection::Use || contexts.current.is_none() {
            contexts.current = Some(name.to_owned());
        }
        self.save(&contexts)
    }
}

/// Whether a context that is added is used from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// It is.
    Use,
    /// It is not, unless it is the first.
    Keep,
}

/// Refuses names that could leave the directory or confuse a shell.
///
/// # Errors
/// When the name has other than lower-case letters, digits and dashes, or is too long.
pub fn check_name(name: &str) -> Result<(), CliError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(good)
        && !name.starts_with('-')
    {
        return Ok(());
    }
    Err(CliError::usage(
        format!("`{name}` cannot name a context"),
        format!("use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and `-`"),
    ))
}

/// Makes a directory that only its owner may enter.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir(dir: &Path) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| CliError::file("create", dir, error))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn context() -> Context {
        Context {
            address: "127.0.0.1:7400".to_owned(),
            identity: "/tmp/id".into(),
            namespace: "default".to_owned(),
        }
    }

    #[test]
    fn a_context_survives_saving_and_the_first_one_is_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path().join("fulcrum"));
        assert_eq!(store.load().expect("empty"), Contexts::default());
        store.put("dev", context(), Selection::Keep).expect("saved");
        store
            .put("prod", context(), Selection::Keep)
            .expect("saved");
        let contexts = store.load().expect("loads");
        assert_eq!(contexts.current.as_deref(), Some("dev"));
        assert_eq!(contexts.contexts["prod"], context());
    }

    #[test]
    fn nobody_else_can_read_the_directory_or_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path().join("fulcrum"));
        store.put("dev", context(), Selection::Use).expect("saved");
        let mode = |path: PathBuf| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(dir.path().join("fulcrum")), 0o700);
        assert_eq!(mode(store.file()), 0o600);
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused_with_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path());
        fs::write(store.file(), "curent = \"dev\"\n").expect("written");
        let error = store.load().expect_err("refused").to_string();
        assert!(error.contains("line 1"), "{error}");
        assert!(error.contains("curent"), "{error}");
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for bad in ["", "..", "a/b", "A", "-x", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_own_variable_wins_over_xdg_and_home() {
        let file = |own: Option<&str>, xdg: Option<&str>| {
            let places = Places {
                own: own.map(OsString::from),
                xdg: xdg.map(OsString::from),
                home: Some("/home/ada".into()),
            };
            Store::find(places).expect("found").file()
        };
        assert_eq!(
            file(Some("/own"), Some("/xdg")),
            Path::new("/own/contexts.toml")
        );
        assert_eq!(
            file(None, Some("/xdg")),
            Path::new("/xdg/fulcrum/contexts.toml")
        );
        assert_eq!(
            file(None, None),
            Path::new("/home/ada/.config/fulcrum/contexts.toml")
        );
    }
}
