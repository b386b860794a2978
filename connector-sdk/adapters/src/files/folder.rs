//! A directory, and what may be done beneath it. Blocking: call it on a thread that may block.

use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use serde::Serialize;
use serde_saphyr::Spanned;

use super::config::FolderConfig;
use crate::config::Problems;

const PATH_BYTES_MAX: usize = 1_024;
const TEMPORARY_PREFIX: &str = ".fulcrum-";

/// A directory that is open; all paths are resolved beneath it.
pub struct Folder {
    root: Dir,
    file_bytes_max: usize,
    entries_max: usize,
}

/// What happens when the file is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It is replaced.
    Replace,
    /// It stays as it is.
    CreateNew,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file has the new content.
    Yes,
    /// There was a file, and it stays.
    Existed,
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entry {
    /// Its name, without the path.
    pub name: String,
    /// `file`, `directory` or `other`.
    pub kind: &'static str,
    /// Its size, for a file.
    pub bytes: Option<u64>,
}

/// Why a file operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A path that is empty, absolute, too long, or goes up.
    #[error("`{0}` is not a path inside the folder")]
    BadPath(String),
    /// The path leads out of the folder by a link.
    #[error("`{0}` leads out of the folder")]
    Escapes(String),
    /// Nothing is there.
    #[error("there is no `{0}`")]
    NotFound(String),
    /// Larger than the folder's limit.
    #[error("`{path}` is larger than {bytes_max} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The limit.
        bytes_max: usize,
    },
    /// More entries than the folder's limit.
    #[error("`{path}` has more than {entries_max} entries")]
    TooManyEntries {
        /// The directory.
        path: String,
        /// The limit.
        entries_max: usize,
    },
    /// What the system said.
    #[error("`{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// The error.
        source: io::Error,
    },
}

impl Folder {
    /// Opens the directory. What is wrong is noted in `problems`.
    pub(crate) fn build(
        config: &Spanned<FolderConfig>,
        directory: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let FolderConfig {
            path,
            create,
            file_bytes_max,
            entries_max,
        } = &config.value;
        let path = directory.join(path);
        let opened = match create {
            true => std::fs::create_dir_all(&path),
            false => Ok(()),
        }
        .and_then(|()| Self::open(&path, *file_bytes_max, *entries_max))
        .map_err(|error| format!("cannot open the folder {}: {error}", path.display()));
        problems.keep(config, opened)
    }

    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// When it is not there or not a directory.
    pub fn open(path: &Path, file_bytes_max: usize, entries_max: usize) -> io::Result<Self> {
        Ok(Self {
            root: Dir::open_ambient_dir(path, ambient_authority())?,
            file_bytes_max,
            entries_max,
        })
    }

    /// The content of the file at `path`.
    ///
    /// # Errors
    /// When it is not there, too large, or not beneath the folder.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, FolderError> {
        let checked = self.checked(path)?;
        let file = self
            .root
            .open(checked)
            .map_err(|error| fault(path, error))?;
        let limit = u64::try_from(self.file_bytes_max).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| fault(path, error))?;
        self.check_size(path, bytes.len())?;
        Ok(bytes)
    }

    /// Writes `bytes` to the file at `path` in one step, making the directories above it. When it returns, the
    /// content and the name are on disk.
    ///
    /// # Errors
    /// When it is too large, not beneath the folder, or the disk refuses.
    pub fn write(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<Written, FolderError> {
        let checked = self.checked(path)?;
        self.check_size(path, bytes.len())?;
        self.place(checked, bytes, mode)
            .map_err(|error| fault(path, error))
    }

    /// The entries of the directory at `path` (empty for the folder itself), sorted by name.
    ///
    /// # Errors
    /// When it is not a directory beneath the folder, or has too many entries.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, FolderError> {
        let directory = match path {
            "" | "." => self.root.try_clone(),
            _ => self.root.open_dir(self.checked(path)?),
        }
        .map_err(|error| fault(path, error))?;
        let mut entries = Vec::new();
        for entry in directory.entries().map_err(|error| fault(path, error))? {
            let entry = entry.map_err(|error| fault(path, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(TEMPORARY_PREFIX) {
                continue;
            }
            if entries.len() == self.entries_max {
                return Err(FolderError::TooManyEntries {
                    path: path.to_owned(),
                    entries_max: self.entries_max,
                });
            }
            // A file may go between the listing and the look at it.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let (kind, bytes) = match (metadata.is_file(), metadata.is_dir()) {
                (true, _) => ("file", Some(metadata.len())),
                (false, true) => ("directory", None),
                (false, false) => ("other", None),
            };
            entries.push(Entry { name, kind, bytes });
        }
        entries.sort();
        Ok(entries)
    }

    /// A path that can only mean something inside; links are the directory handle's business.
    fn checked<'a>(&self, path: &'a str) -> Result<&'a Path, FolderError> {
        let inside = Path::new(path)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if path.is_empty() || path.len() > PATH_BYTES_MAX || path.contains('\0') || !inside {
            return Err(FolderError::BadPath(path.to_owned()));
        }
        Ok(Path::new(path))
    }

    fn check_size(&self, path: &str, bytes: usize) -> Result<(), FolderError> {
        match bytes > self.file_bytes_max {
            true => Err(FolderError::TooLarge {
                path: path.to_owned(),
                bytes_max: self.file_bytes_max,
            }),
            false => Ok(()),
        }
    }

    fn place(&self, path: &Path, bytes: &[u8], mode: WriteMode) -> io::Result<Written> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                self.root.create_dir_all(parent)?;
                self.root.open_dir(parent)?
            }
            Some(_) | None => self.root.try_clone()?,
        };
        let random = getrandom::u64().map_err(io::Error::other)?;
        let temporary = format!("{TEMPORARY_PREFIX}{random:016x}.tmp");
        let placed = write_whole(&directory, &temporary, bytes).and_then(|()| match mode {
            WriteMode::Replace => directory
                .rename(&temporary, &directory, name)
                .map(|()| Written::Yes),
            // A link is made only where nothing is, which a rename cannot promise.
            WriteMode::CreateNew => match directory.hard_link(&temporary, &directory, name) {
                Ok(()) => Ok(Written::Yes),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Written::Existed),
                Err(error) => Err(error),
            },
        });
        if mode == WriteMode::CreateNew || placed.is_err() {
            // It may never have been made.
            let _ = directory.remove_file(&temporary);
        }
        // The handle itself only names the directory; to sync it, it must be open for reading.
        directory.open(".")?.sync_all()?;
        placed
    }
}

fn write_whole(directory: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = directory.open_with(name, &options)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn fault(path: &str, source: io::Error) -> FolderError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => FolderError::NotFound(path),
        // cap-std's word for a path that leaves the directory.
        io::ErrorKind::PermissionDenied if source.raw_os_error().is_none() => {
            FolderError::Escapes(path)
        }
        _ => FolderError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> (tempfile::TempDir, Folder) {
        let outer = tempfile::tempdir().expect("tempdir");
        std::fs::write(outer.path().join("secret"), "outside").expect("write");
        std::fs::create_dir(outer.path().join("root")).expect("mkdir");
        let folder = Folder::open(&outer.path().join("root"), 100, 3).expect("open");
        (outer, folder)
    }

    #[test]
    fn no_path_leads_out() {
        let (outer, folder) = folder();
        for path in [
            "../secret",
            "/etc/passwd",
            "a/../../secret",
            "..",
            ".",
            "",
            "a\0b",
        ] {
            assert!(
                matches!(folder.read(path), Err(FolderError::BadPath(_))),
                "{path:?}"
            );
            let written = folder.write(path, b"x", WriteMode::Replace);
            assert!(matches!(written, Err(FolderError::BadPath(_))), "{path:?}");
        }
        symlink("../secret", outer.path().join("root/link")).expect("symlink");
        symlink("..", outer.path().join("root/up")).expect("symlink");
        symlink(outer.path(), outer.path().join("root/absolute")).expect("symlink");
        for path in ["link", "up/secret", "absolute/secret"] {
            let read = folder.read(path);
            assert!(
                matches!(read, Err(FolderError::Escapes(_))),
                "{path}: {read:?}"
            );
        }
        for path in ["up/new", "absolute/new"] {
            assert!(
                folder.write(path, b"x", WriteMode::Replace).is_err(),
                "{path}"
            );
        }
        assert!(!outer.path().join("new").exists());
    }

    #[test]
    fn writing_over_a_link_replaces_the_link_and_not_what_it_points_to() {
        let (outer, folder) = folder();
        symlink("../secret", outer.path().join("root/link")).expect("symlink");
        folder
            .write("link", b"inside", WriteMode::Replace)
            .expect("written");
        let outside = std::fs::read_to_string(outer.path().join("secret")).expect("read");
        assert_eq!(outside, "outside");
        assert_eq!(folder.read("link").expect("read"), b"inside");
    }

    #[test]
    fn a_link_that_stays_inside_is_followed() {
        let (outer, folder) = folder();
        folder
            .write("a/b.txt", b"hello", WriteMode::Replace)
            .expect("written");
        symlink("a/b.txt", outer.path().join("root/c.txt")).expect("symlink");
        assert_eq!(folder.read("c.txt").expect("read"), b"hello");
    }

    #[test]
    fn create_new_keeps_what_is_there_and_leaves_no_temporary_file() {
        let (outer, folder) = folder();
        let first = folder
            .write("x", b"1", WriteMode::CreateNew)
            .expect("written");
        let second = folder.write("x", b"2", WriteMode::CreateNew).expect("kept");
        assert_eq!((first, second), (Written::Yes, Written::Existed));
        assert_eq!(folder.read("x").expect("read"), b"1");
        let names: Vec<_> = std::fs::read_dir(outer.path().join("root"))
            .expect("list")
            .collect();
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn limits_are_kept() {
        let (_outer, folder) = folder();
        let large = folder.write("x", &[0; 101], WriteMode::Replace);
        assert!(matches!(large, Err(FolderError::TooLarge { .. })));
        for name in ["a", "b", "c"] {
            folder
                .write(name, b"", WriteMode::Replace)
                .expect("written");
        }
        assert_eq!(folder.list("").expect("list").len(), 3);
        folder.write("d", b"", WriteMode::Replace).expect("written");
        assert!(matches!(
            folder.list(""),
            Err(FolderError::TooManyEntries { .. })
        ));
    }
}
