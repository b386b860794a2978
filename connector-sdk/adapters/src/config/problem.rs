//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_saphyr::{Location, Spanned};

/// A line and column of the configuration file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column, in characters.
    pub column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}

impl<T> From<&Spanned<T>> for Place {
    fn from(spanned: &Spanned<T>) -> Self {
        spanned.referenced.into()
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to write instead.
    pub message: String,
}

/// Everything that is wrong, collected so that one check shows all of it.
#[derive(Default, Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one problem.
    pub fn note(&mut self, place: impl Into<Place>, message: impl fmt::Display) {
        self.0.push(Problem {
            place: place.into(),
            message: message.to_string(),
        });
    }

    /// The value of `result`, or its error noted at `place`.
    pub fn keep<T, E: fmt::Display>(
        &mut self,
        place: impl Into<Place>,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.note(place, error)).ok()
    }

    /// Fails when anything was noted; problems are in the order of the file.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all of them.
    pub fn finish(mut self, path: &Path) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by_key(|problem| problem.place);
        Err(ConfigError::Invalid {
            path: path.to_owned(),
            problems: self.0,
        })
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than a configuration can be.
    #[error("the configuration {} has {bytes} bytes; the limit is {}", path.display(), super::CONFIG_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// The file says things that make no sense.
    #[error("{}", listed(path, problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What and where, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|Problem { place, message }| {
            format!(
                "{}:{}:{}: {message}",
                path.display(),
                place.line,
                place.column
            )
        })
        .collect();
    lines.join("\n")
}
