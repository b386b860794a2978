//! The data directory of a stack, and what is where in it.
//!
//! ```text
//! lock                 who uses the directory
//! logs/                fulcrum.log, postgres.log
//! identities/          operator/, executor/, connector/: keys and certificates
//! keys/kek             the key-encryption key of the controller
//! postgres             the cluster, or a link to it where its user cannot enter the directory
//! ```

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use fulcrum_controller::keys::file::generate;

use super::error::StackError;
use super::postgres::account::Account;

/// Where root keeps what its server's user must be able to enter.
const SYSTEM_DIR: &str = "/var/lib/fulcrum";

/// A data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Where `fulcrum dev` keeps its data when nothing is said: below the home directory, or in a system directory for
    /// root, whose home nobody else may enter.
    #[must_use]
    pub fn default_dir(
        account: Option<&Account>,
        xdg: Option<PathBuf>,
        home: Option<PathBuf>,
    ) -> PathBuf {
        if account.is_some() {
            return Path::new(SYSTEM_DIR).join("dev");
        }
        xdg.or_else(|| home.map(|home| home.join(".local/share")))
            .map_or_else(
                || std::env::temp_dir().join("fulcrum-dev"),
                |dir| dir.join("fulcrum/dev"),
            )
    }

    /// Makes the directory if need be. Others may pass through a new one, as the server's user must, but not look around;
    /// one that exists stays as open as its owner wants it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> Result<Self, StackError> {
        let dir = std::path::absolute(dir).map_err(|error| StackError::file("find", dir, error))?;
        if !dir.is_dir() {
            fs::create_dir_all(&dir).map_err(|error| StackError::file("create", &dir, error))?;
            set_mode(&dir, 0o711)?;
        }
        let home = Self { dir };
        for private in [home.logs(), home.identities(), home.keys()] {
            fs::create_dir_all(&private)
                .map_err(|error| StackError::file("create", &private, error))?;
            set_mode(&private, 0o700)?;
        }
        Ok(home)
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Keys and certificates.
    #[must_use]
    pub fn identities(&self) -> PathBuf {
        self.dir.join("identities")
    }

    /// The controller's key-encryption key, made if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn key_file(&self) -> Result<PathBuf, StackError> {
        let file = self.keys().join("kek");
        if !file.exists() {
            generate(&file).map_err(|error| StackError::file("create", &file, error))?;
        }
        Ok(file)
    }

    fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// The identity of one party.
    #[must_use]
    pub fn identity(&self, name: &str) -> PathBuf {
        self.identities().join(name)
    }

    /// The directory of the cluster, made if need be, owned by the account that runs the server. It is inside the data
    /// directory if that account can reach it there, else in a system directory that a link points to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn cluster(&self, account: Option<&Account>) -> Result<PathBuf, StackError> {
        let inside = self.dir.join("postgres");
        let Some(account) = account else {
            return private(&inside, None).map(|()| inside);
        };
        let is_link = inside
            .symlink_metadata()
            .is_ok_and(|meta| meta.file_type().is_symlink());
        if !is_link && account.can_enter(&self.dir) {
            return private(&inside, Some(account)).map(|()| inside);
        }
        let outside = self.outside();
        fs::create_dir_all(SYSTEM_DIR)
            .map_err(|error| StackError::file("create", SYSTEM_DIR, error))?;
        set_mode(Path::new(SYSTEM_DIR), 0o711)?;
        private(&outside, Some(account))?;
        if !is_link {
            symlink(&outside, &inside).map_err(|error| StackError::file("link", &inside, error))?;
        }
        Ok(outside)
    }

    /// Deletes everything in the directory but the lock. No server may be running in it.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub fn clear(&self) -> Result<(), StackError> {
        let gone = |path: &Path, result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StackError::file("delete", path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        };
        let inside = self.dir.join("postgres");
        if inside
            .symlink_metadata()
            .is_ok_and(|meta| meta.file_type().is_symlink())
        {
            gone(&self.outside(), fs::remove_dir_all(self.outside()))?;
            gone(&inside, fs::remove_file(&inside))?;
        } else {
            gone(&inside, fs::remove_dir_all(&inside))?;
        }
        // With the cluster whose keys are sealed under it.
        for dir in [self.logs(), self.identities(), self.keys()] {
            gone(&dir, fs::remove_dir_all(&dir))?;
        }
        Ok(())
    }

    fn outside(&self) -> PathBuf {
        let mut hash = DefaultHasher::new();
        self.dir.hash(&mut hash);
        Path::new(SYSTEM_DIR).join(format!("cluster-{:016x}", hash.finish()))
    }
}

fn private(dir: &Path, owner: Option<&Account>) -> Result<(), StackError> {
    fs::create_dir_all(dir).map_err(|error| StackError::file("create", dir, error))?;
    if let Some(owner) = owner {
        chown(dir, Some(owner.uid), Some(owner.gid))
            .map_err(|error| StackError::file("hand over", dir, error))?;
    }
    set_mode(dir, 0o700)
}

fn set_mode(dir: &Path, mode: u32) -> Result<(), StackError> {
    fs::set_permissions(dir, Permissions::from_mode(mode))
        .map_err(|error| StackError::file("protect", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_directory_follows_xdg_then_home() {
        let dir = |xdg: Option<&str>, home: Option<&str>| {
            Home::default_dir(None, xdg.map(PathBuf::from), home.map(PathBuf::from))
        };
        assert_eq!(dir(Some("/x"), Some("/h")), Path::new("/x/fulcrum/dev"));
        assert_eq!(
            dir(None, Some("/h")),
            Path::new("/h/.local/share/fulcrum/dev")
        );
    }

    #[test]
    fn keys_are_behind_a_door_that_only_the_owner_opens() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::open(&dir.path().join("dev")).expect("opens");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(home.dir()), 0o711);
        assert_eq!(mode(&home.identities()), 0o700);
        assert_eq!(mode(&home.logs()), 0o700);
        let kek = home.key_file().expect("made");
        assert_eq!(mode(kek.parent().expect("a directory")), 0o700);
        assert_eq!(mode(&kek), 0o600);
    }

    #[test]
    fn a_key_encryption_key_is_kept_and_goes_with_its_cluster() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join("dev");
        let home = Home::open(&at).expect("opens");
        let key = |home: &Home| fs::read(home.key_file().expect("made")).expect("readable");
        let first = key(&home);
        assert_eq!(key(&Home::open(&at).expect("opens again")), first);
        home.clear().expect("clears");
        assert_ne!(key(&Home::open(&at).expect("opens anew")), first);
    }

    #[test]
    fn clearing_a_directory_that_was_never_used_is_no_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::open(&dir.path().join("demo")).expect("opens");
        home.clear().expect("clears");
        home.clear().expect("clears again");
    }
}
