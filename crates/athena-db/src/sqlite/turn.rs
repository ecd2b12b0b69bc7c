//! Whose turn it is, when several processes write to one file.
//!
//! SQLite lets processes that wait for its write lock poll, so a busy process can starve the
//! others. Here a writer first locks the file `…-turn`, keeps it until it has SQLite's lock, and
//! lets go of it then. A process that has just written finds the turn taken by whoever waits, if not
//! at once then a millisecond later: a look at the file for every write would cost more than that.
//! This is a courtesy and not a safeguard: without the file everything still works, less evenly.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::connection::jitter;

/// How long a process may write on without a look at who waits.
const UNASKED: Duration = Duration::from_millis(1);

/// The turn file of a database, if there is one.
#[derive(Debug)]
pub(super) struct Turn {
    file: Option<File>,
    /// When this process had the turn last.
    taken: Option<Instant>,
}

/// A turn that is held.
#[derive(Debug)]
pub(super) struct Taken<'a>(Option<&'a File>);

impl Turn {
    /// Opens the turn file beside the database.
    pub(super) fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-turn");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        Self {
            file: options.open(path).ok(),
            taken: None,
        }
    }

    /// Makes one for a database that nobody else opens.
    pub(super) const fn alone() -> Self {
        Self {
            file: None,
            taken: None,
        }
    }

    /// Waits for the turn, at most until the deadline.
    pub(super) fn take(&mut self, patience: Duration) -> Taken<'_> {
        let Some(file) = &self.file else {
            return Taken(None);
        };
        let began = Instant::now();
        if self.taken.is_some_and(|taken| began - taken < UNASKED) {
            return Taken(None);
        }
        loop {
            match file.try_lock() {
                Ok(()) => {
                    self.taken = Some(Instant::now());
                    return Taken(Some(file));
                }
                Err(TryLockError::WouldBlock) if began.elapsed() < patience => {
                    std::thread::sleep(jitter())
                }
                Err(_) => return Taken(None),
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            let _ = file.unlock();
        }
    }
}
