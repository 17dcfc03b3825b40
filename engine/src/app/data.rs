//! The data directory: made for this user alone, and served by one process at
//! a time when the database is a file in it.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::AppError;
use crate::config::Config;
use crate::store::StoreError;

/// New directories are for this user alone: they hold keys and messages.
const DIRECTORY_MODE: u32 = 0o700;

/// Keeps other processes away from a SQLite database. Ends with the process, however that ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Makes the directories and, for SQLite, takes the lock.
///
/// # Errors
/// A directory cannot be made, or another process serves the database.
pub fn prepare(config: &Config) -> Result<Option<DataLock>, AppError> {
    make(&config.store.data_dir)?;
    let Some(file) = config.store.sqlite_file() else { return Ok(None) };
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make(folder)?;
    }
    lock(file).map(Some)
}

fn make(path: &Path) -> Result<(), AppError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(|source| AppError::Directory { path: path.display().to_string(), source })
}

/// Where the lock of a database file lies.
pub fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// The lock of a SQLite file, without waiting.
///
/// # Errors
/// Another process has it.
pub fn lock(database: &Path) -> Result<DataLock, AppError> {
    let path = lock_path(database);
    let failed = |source| AppError::Directory { path: path.display().to_string(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(DataLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse.into()),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_serves_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pointsman.db");
        let first = lock(&file).unwrap();
        assert!(matches!(lock(&file), Err(AppError::Store(StoreError::InUse))));
        drop(first);
        assert!(lock(&file).is_ok());
    }
}
