//! One stack in a data directory at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};

use super::error::StackError;
use super::home::Home;

/// Holds a data directory. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the directory.
    ///
    /// # Errors
    /// [`StackError::Locked`] if another process has it.
    pub fn take(home: &Home) -> Result<Self, StackError> {
        let path = home.dir().join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| StackError::file("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who holds it is a courtesy; that it is held is certain.
                let holder = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                return Err(StackError::Locked {
                    dir: home.dir().to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => return Err(StackError::file("lock", path, error)),
        }
        let pid = std::process::id().to_string();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(|error| StackError::file("write", path, error))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::open(dir.path()).expect("opens");
        let held = Lock::take(&home).expect("taken");
        match Lock::take(&home) {
            Err(StackError::Locked { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("taken twice: {other:?}"),
        }
        drop(held);
        Lock::take(&home).expect("taken again");
    }
}
