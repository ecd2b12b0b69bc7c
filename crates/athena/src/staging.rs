//! Folders for files that are not complete yet.
//!
//! A folder is locked by the process that works in it, and goes with the work. One whose process
//! was killed has no lock any more, and is swept away by the next piece of work in the same place.
//! Nobody sweeps while somebody makes a folder: one that has no lock yet is not abandoned.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// How often a folder is made that somebody who sweeps takes for abandoned, and how often one is
/// removed in which a thread may still be opening a file.
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
        let place = File::open(folder)?;
        // Where the file system knows no locks, nobody sweeps.
        let _ = place.lock_shared();
        for _ in 0..ATTEMPTS {
            let made = tempfile::Builder::new().prefix(prefix).tempdir_in(folder)?;
            if let Some(lock) = hold(made.path())? {
                return Ok(Self {
                    path: made.keep(),
                    _lock: lock,
                });
            }
        }
        Err(io::Error::other(
            "other processes kept removing the folder for unfinished files",
        ))
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

/// Locks a folder that was made just now; `None` if somebody who sweeps was faster.
fn hold(folder: &Path) -> io::Result<Option<File>> {
    let lock = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // Without locks the folder is merely not protected from being swept, nor ever swept.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(folder.exists().then_some(lock)),
    }
}

/// Removes folders whose processes are gone, unless somebody is making one or sweeps already; what
/// cannot be removed stays.
fn sweep(folder: &Path, prefix: &str) {
    let Ok(place) = File::open(folder) else {
        return;
    };
    if place.try_lock().is_err() {
        return;
    }
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

    #[test]
    fn a_folder_that_somebody_sweeps_is_not_held() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(".work-1");
        assert!(hold(&folder).unwrap().is_none());
        fs::create_dir(&folder).unwrap();
        let sweeper = File::open(&folder).unwrap();
        sweeper.try_lock().unwrap();
        assert!(hold(&folder).unwrap().is_none());
        drop(sweeper);
        assert!(hold(&folder).unwrap().is_some());
    }

    #[test]
    fn those_who_start_together_keep_their_folders() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let staging = Staging::new_in(place.path(), ".work-").unwrap();
                        sweep(place.path(), ".work-");
                        fs::write(staging.path().join("stage.db"), "half").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
