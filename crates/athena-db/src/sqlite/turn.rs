//! Whose turn it is, when several processes write to one file.
//!
//! SQLite lets processes that wait for its write lock poll, so a busy process can starve the
//! others. Here a writer first locks the file `…-turn`, keeps it until it has SQLite's lock, and
//! lets go of it then. A process that has just written finds the turn taken by whoever waits.
//! This is a courtesy and not a safeguard: without the file everything still works, less evenly.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Instant;

use super::connection::jitter;

/// The turn file of a database, if there is one.
#[derive(Debug)]
pub(super) struct Turn(Option<File>);

/// A turn that is held.
#[derive(Debug)]
pub(super) struct Taken<'a>(Option<&'a File>);

impl Turn {
    /// Opens the turn file beside the database.
    pub(super) fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-turn");
        Self(
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .ok(),
        )
    }

    /// Makes one for a database that nobody else opens.
    pub(super) const fn alone() -> Self {
        Self(None)
    }

    /// Waits for the turn, at most until the deadline.
    pub(super) fn take(&self, deadline: Instant) -> Taken<'_> {
        let Some(file) = &self.0 else {
            return Taken(None);
        };
        loop {
            match file.try_lock() {
                Ok(()) => return Taken(Some(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
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
