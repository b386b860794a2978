//! From a file to a typed configuration, or to a problem with its place.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{ConfigError, Place, Problem};

/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;

/// Reads the YAML file at `path`.
///
/// # Errors
/// When it cannot be read, is too large, is not YAML, or does not fit `T` (with line and column).
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path)
}

/// Reads `text` as if it stood in the file `path`, which need not exist.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    if text.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            bytes: text.len(),
        });
    }
    serde_saphyr::from_str(text).map_err(|error| ConfigError::Invalid {
        path: path.to_owned(),
        problems: vec![Problem {
            place: error
                .location()
                .map_or(Place { line: 1, column: 1 }, Place::from),
            // Without the parser's picture of the source, which may show a line that should not be logged.
            message: error.without_snippet().to_string(),
        }],
    })
}

/// The directory that relative paths in the file at `path` start from.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
