//! What is left of a seed that failed: a file to read, and a way to walk it again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::drill::Walk;

/// Writes a walk down.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write(folder: &Path, walk: &Walk) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.trace", walk.seed));
    let mut text = format!(
        "seed {}, trace {}\nwalk it again: make sim SEED={}\n\n",
        walk.seed, walk.digest, walk.seed
    );
    for problem in &walk.problems {
        text.push_str(&format!("PROBLEM {problem}\n"));
    }
    text.push('\n');
    for line in &walk.lines {
        text.push_str(line);
        text.push('\n');
    }
    fs::write(&path, text)?;
    Ok(path)
}
