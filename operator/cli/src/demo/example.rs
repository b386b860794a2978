//! Where an example's files are.

use std::path::{Path, PathBuf};

use crate::error::CliError;

/// A folder below `examples/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    dir: PathBuf,
}

impl Example {
    /// Finds an example by name, in the working directory or any above it.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(name: &str) -> Result<Self, CliError> {
        let here = std::env::current_dir().map_err(|source| CliError::file("find", ".", source))?;
        let dir = here
            .ancestors()
            .map(|dir| dir.join("examples").join(name))
            .find(|dir| dir.is_dir());
        dir.map(|dir| Self { dir })
            .ok_or_else(|| CliError::NotFound {
                message: format!("there is no examples/{name} here or above"),
                fix: "run this in a clone of the repository, or say `make demo` there".to_owned(),
            })
    }

    /// One of its files.
    ///
    /// # Errors
    /// When it is missing.
    pub fn file(&self, name: &str) -> Result<PathBuf, CliError> {
        let path = self.dir.join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(CliError::NotFound {
            message: format!("{} is missing", path.display()),
            fix: "is the clone complete?".to_owned(),
        })
    }

    /// Where demonstrations keep their data: below `target/` of the same clone.
    #[must_use]
    pub fn data_dir(&self, name: &str) -> PathBuf {
        let root = self.dir.ancestors().nth(2).unwrap_or(Path::new("."));
        root.join("target/demo").join(name)
    }
}

/// A program built beside this one.
///
/// # Errors
/// When it was not built.
pub fn program(name: &str) -> Result<PathBuf, CliError> {
    let own =
        std::env::current_exe().map_err(|source| CliError::file("find", "this program", source))?;
    let path = own.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(CliError::NotFound {
        message: format!("{} was not built", path.display()),
        fix: "`make demo` builds and runs everything; or cargo build --workspace --bins".to_owned(),
    })
}
