//! Folders for files that are not complete yet.
//!
//! A folder is locked by the process that works in it, and goes with the work. One whose process
//! was killed has no lock any more, and is swept away by the next piece of work in the same place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How often the removal of a folder is tried, in which a thread may still be opening a file.
const ATTEMPTS: u32 = 5;

/// A folder of this process; removed when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    /// Locked as long as it is open, where the file system knows locks.
    _lock: File,
}

impl Staging {
    /// Makes a folder in another one, and removes what dead processes left there.
    ///
    /// # Errors
    ///
    /// When the other folder cannot be written.
    pub(crate) fn new_in(folder: &Path, prefix: &str) -> io::Result<Self> {
        sweep(folder, prefix);
        loop {
            let made = tempfile::Builder::new().prefix(prefix).tempdir_in(folder)?;
            let lock = File::open(made.path())?;
            // Elsewhere the folder is merely not protected from being swept, nor ever swept.
            let _ = lock.try_lock();
            // Somebody who sweeps may have been faster than the lock.
            if made.path().exists() {
                return Ok(Self {
                    path: made.keep(),
                    _lock: lock,
                });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(path = %self.path.display(), %error, "could not remove a folder");
                }
                _ => return,
            }
        }
    }
}

/// Removes folders whose processes are gone; what cannot be removed stays.
fn sweep(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(prefix);
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(abandoned) = File::open(entry.path()) else {
            continue;
        };
        if abandoned.try_lock().is_ok() {
            tracing::info!(path = %entry.path().display(), "removing what an interrupted process left");
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_of_dead_processes_are_swept() {
        let place = tempfile::tempdir().unwrap();
        let abandoned = place.path().join(".work-abandoned");
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join("stage.db"), "half").unwrap();
        let file = place.path().join(".work-file");
        fs::write(&file, "").unwrap();
        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        let first = Staging::new_in(place.path(), ".work-").unwrap();
        assert!(!abandoned.exists());
        let second = Staging::new_in(place.path(), ".work-").unwrap();
        assert!(first.path().exists() && second.path().exists());
        let gone = first.path().to_owned();
        drop(first);
        assert!(!gone.exists());
        assert!(file.exists() && other.exists());
    }
}
