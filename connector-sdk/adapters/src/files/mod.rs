//! `files`: reading, writing and listing under declared directories.
//!
//! A *folder* is a directory that is opened once; every path is resolved beneath that handle, so neither `..` nor an
//! absolute path nor a symbolic link leads out of it. Writes are atomic: a reader sees the old content or the new.

mod config;
mod folder;
mod operation;

pub use config::{FilesConfig, FolderConfig, ReadFormat};
pub use folder::{Entry, Folder, FolderError, WriteMode};
pub(crate) use operation::build;
