//! Where PostgreSQL's programs are. Debian keeps them off PATH, one folder for each version.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stack::error::StackError;

/// The oldest version that will do.
pub const MAJOR_MIN: u32 = 15;

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// Finds them: in `FULCRUM_PG_BIN`, on PATH, in the places of distributions (newest first), or where `pg_config`
    /// says.
    ///
    /// # Errors
    /// [`StackError::NoPostgres`].
    pub fn find() -> Result<Self, StackError> {
        let mut too_old = Vec::new();
        for dir in candidates() {
            match major_version(&dir) {
                Some(major) if major >= MAJOR_MIN => return Ok(Self { dir }),
                Some(_) => too_old.push(dir),
                None => {}
            }
        }
        Err(StackError::NoPostgres {
            major_min: MAJOR_MIN,
            too_old,
        })
    }

    /// The path of a program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    dirs.extend(std::env::var_os("FULCRUM_PG_BIN").map(PathBuf::from));
    dirs.extend(on_path(std::env::var_os("PATH")));
    dirs.extend(versioned("/usr/lib/postgresql", "", "bin"));
    dirs.extend(versioned("/usr", "pgsql-", "bin"));
    dirs.extend(versioned("/opt/homebrew/opt", "postgresql@", "bin"));
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    dirs
}

/// The folder that `initdb` on PATH really is in.
fn on_path(path: Option<OsString>) -> Option<PathBuf> {
    let path = path?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("initdb"))
        .find(|program| program.is_file())?;
    found.canonicalize().ok()?.parent().map(Path::to_owned)
}

/// `base/prefixN/sub` for each N there is, highest first.
fn versioned(base: &str, prefix: &str, sub: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let major = name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((major, entry.path().join(sub)))
        })
        .collect();
    found.sort_by_key(|(major, _)| Reverse(*major));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// The version of the server in a folder; `None` if there is none, or no `initdb` beside it.
fn major_version(dir: &Path) -> Option<u32> {
    if !dir.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(dir.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15, `… 18beta1` is 18.
fn parse_major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("command not found"), None);
    }

    #[test]
    fn the_newest_of_several_versions_comes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["9.6", "15", "17", "notes"] {
            std::fs::create_dir(dir.path().join(name)).expect("made");
        }
        let found = versioned(dir.path().to_str().expect("UTF-8"), "", "bin");
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(dir.path()).expect("inside"))
            .collect();
        assert_eq!(
            names,
            [
                Path::new("17/bin"),
                Path::new("15/bin"),
                Path::new("9.6/bin")
            ]
        );
    }
}
