//! The configuration of the `files` adapter.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

const FILE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;
const ENTRIES_MAX_DEFAULT: usize = 1_000;

/// A directory that capabilities may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The directory.
    pub path: PathBuf,
    /// Whether it is made when it is not there.
    #[serde(default)]
    pub create: bool,
    /// Largest file that is read or written, in bytes.
    #[serde(default = "file_bytes_max_default")]
    pub file_bytes_max: usize,
    /// Most entries that a listing gives.
    #[serde(default = "entries_max_default")]
    pub entries_max: usize,
}

/// One file operation: exactly one of the three.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FilesConfig {
    /// Reads a file.
    Read {
        /// The name of the folder.
        folder: Spanned<String>,
        /// The file, a template.
        path: Spanned<String>,
        /// How its content is given.
        #[serde(default)]
        format: ReadFormat,
    },
    /// Writes a file, and the directories above it.
    Write {
        /// The name of the folder.
        folder: Spanned<String>,
        /// The file, a template.
        path: Spanned<String>,
        /// The content: text is written as it is, anything else as JSON; strings are templates.
        content: Spanned<Value>,
        /// Whether a file that is there is replaced.
        #[serde(default)]
        existing: Existing,
    },
    /// Lists a directory, sorted by name.
    List {
        /// The name of the folder.
        folder: Spanned<String>,
        /// The directory, a template; the folder itself when absent.
        path: Option<Spanned<String>>,
    },
}

/// How a file's content is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFormat {
    /// `{ "text": … }`; a file that is not UTF-8 is an error.
    #[default]
    Text,
    /// `{ "json": … }`.
    Json,
    /// `{ "base64": … }`.
    Base64,
}

/// What happens to a file that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// It is replaced.
    #[default]
    Replace,
    /// It is kept, and writing other content is the error `FILES_EXISTS`.
    Keep,
}

fn file_bytes_max_default() -> usize {
    FILE_BYTES_MAX_DEFAULT
}

fn entries_max_default() -> usize {
    ENTRIES_MAX_DEFAULT
}
