//! Settings files: what is in one, and replacing it as a whole.

use crate::outcome::at_path;
use athena_core::{Code, Error, Result};
use std::fs::{self, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Larger files are nobody's settings.
const MAX_SIZE: u64 = 64 << 20;

/// A settings file as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The file itself: where a symbolic link leads.
    pub(super) path: PathBuf,
    /// Its text; `None` if there is no such file.
    pub(super) text: Option<String>,
    mode: u32,
}

impl Found {
    /// Reads a file. `mode` is for one that does not exist yet.
    ///
    /// # Errors
    ///
    /// When it is no file, leads nowhere, cannot be read or is no text.
    pub(super) fn read(path: &Path, mode: u32) -> Result<Self> {
        let path = followed(path)?;
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    path,
                    text: None,
                    mode,
                });
            }
            metadata => metadata.map_err(|error| at_path("read", &path, error))?,
        };
        check(&path, &metadata)?;
        let bytes = fs::read(&path).map_err(|error| at_path("read", &path, error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
                .split(|byte| *byte == b'\n')
                .count();
            refused(&path, line, "is no UTF-8")
        })?;
        Ok(Self {
            path,
            text: Some(text),
            mode: metadata.permissions().mode() & 0o7777,
        })
    }

    /// Makes sure that the file can be changed and is still as it was found.
    ///
    /// # Errors
    ///
    /// When it is read-only, or when somebody changed it meanwhile.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        if self.text.is_some() && self.mode & 0o222 == 0 {
            let message = format!(
                "`{}` is read-only; nothing was changed",
                self.path.display()
            );
            return Err(Error::new(Code::Denied, message));
        }
        if Self::read(&self.path, self.mode)?.text == self.text {
            return Ok(());
        }
        let message = format!(
            "`{}` was changed a moment ago by somebody else; nothing was changed, try again",
            self.path.display()
        );
        Err(Error::new(Code::Conflict, message))
    }

    /// Replaces the file by a text, or removes it.
    ///
    /// # Errors
    ///
    /// When its folder cannot be made or written.
    pub(super) fn write(&self, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) => replace(&self.path, text.as_bytes(), self.mode),
            None => match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(at_path("remove", &self.path, error))
                }
                _ => Ok(()),
            },
        }
    }
}

/// Says that a file cannot be used as it is, and where.
pub(super) fn refused(path: &Path, line: usize, message: &str) -> Error {
    Error::new(
        Code::InvalidInput,
        format!("`{}`, line {line}: {message}", path.display()),
    )
}

/// Replaces a file as a whole; its folder is made if it does not exist.
///
/// # Errors
///
/// When the folder cannot be made or written.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let failed = |error| at_path("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder, mode)?;
    let mut file = tempfile::Builder::new()
        .prefix(".athena-")
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    let permissions = Permissions::from_mode(mode);
    file.as_file()
        .set_permissions(permissions)
        .map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Makes a folder that those may list who may read the file in it.
fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let failed = |error| at_path("create", folder, error);
    fs::create_dir_all(folder).map_err(failed)?;
    let mode = mode | (mode & 0o444) >> 2;
    fs::set_permissions(folder, Permissions::from_mode(mode)).map_err(failed)
}

/// Returns where a symbolic link leads: the link stays, what it leads to is changed.
fn followed(path: &Path) -> Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            // Named as it will be when it exists, so that it is found again then.
            let folder = path
                .parent()
                .and_then(|folder| fs::canonicalize(folder).ok());
            Ok(match (folder, path.file_name()) {
                (Some(folder), Some(name)) => folder.join(name),
                _ => path.to_owned(),
            })
        }
        Err(error) => Err(at_path("read", path, error)),
    }
}

fn check(path: &Path, metadata: &Metadata) -> Result<()> {
    let problem = if metadata.is_dir() {
        "is a directory, where a settings file belongs"
    } else if !metadata.is_file() {
        "is no ordinary file"
    } else if metadata.len() > MAX_SIZE {
        "is too large for a settings file"
    } else {
        return Ok(());
    };
    let message = format!("`{}` {problem}; nothing was changed", path.display());
    Err(Error::new(Code::InvalidInput, message))
}
