//! Files that appear whole or not at all.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{LabError, LabResult};

/// Writes a file that only root can read, by rename.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> LabResult<()> {
    write_by_rename(path, content, 0o600)
}

/// Writes a file by rename, with `mode` from its first byte on.
pub(crate) fn write_by_rename(path: &Path, content: &[u8], mode: u32) -> LabResult<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(content)?;
        fs::rename(&beside, path)
    };
    write().map_err(LabError::io("write", path))
}

/// Makes a folder that only root can enter.
pub(crate) fn private_dir(path: &Path) -> LabResult<()> {
    fs::create_dir_all(path).map_err(LabError::io("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(LabError::io("protect", path))
}

/// Stores a value as JSON that only root can read.
pub(crate) fn store_json<T: Serialize>(path: &Path, value: &T) -> LabResult<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|source| LabError::Stored {
        path: path.to_owned(),
        source,
    })?;
    write_private(path, &text)
}

/// Reads a value that [`store_json`] wrote; `None` when there is no such file.
pub(crate) fn load_json<T: DeserializeOwned>(path: &Path) -> LabResult<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LabError::io("read", path)(source)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| LabError::Stored {
            path: path.to_owned(),
            source,
        })
}

/// Removes a file or a whole folder; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> LabResult<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
