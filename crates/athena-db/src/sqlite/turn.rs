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
    last: Option<Instant>,
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
            last: None,
        }
    }

    /// Makes one for a database that nobody else opens.
    pub(super) const fn alone() -> Self {
        Self {
            file: None,
            last: None,
        }
    }

    /// Waits for the turn, at most so long.
    pub(super) fn take(&mut self, patience: Duration) -> Taken<'_> {
        let began = Instant::now();
        loop {
            match self.ask() {
                Some(locked) => return self.taken(locked),
                None if began.elapsed() < patience => std::thread::sleep(jitter()),
                None => return Taken(None),
            }
        }
    }

    /// Takes the turn unless somebody else has it.
    pub(super) fn try_take(&mut self) -> Option<Taken<'_>> {
        self.ask().map(|locked| self.taken(locked))
    }

    /// Returns whether the file was locked, as far as that was needed, or `None` if somebody else
    /// has the turn.
    fn ask(&mut self) -> Option<bool> {
        let Some(file) = &self.file else {
            return Some(false);
        };
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < UNASKED) {
            return Some(false);
        }
        match file.try_lock() {
            Ok(()) => {
                self.last = Some(now);
                Some(true)
            }
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(_)) => Some(false),
        }
    }

    fn taken(&self, locked: bool) -> Taken<'_> {
        Taken(self.file.as_ref().filter(|_| locked))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            let _ = file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_not_taken_from_whoever_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("store.db");
        let (mut ours, mut theirs) = (Turn::beside(&database), Turn::beside(&database));
        let taken = theirs.take(BRIEF);
        assert!(ours.try_take().is_none());
        assert!(ours.take(BRIEF).0.is_none());
        drop(taken);
        assert!(ours.try_take().is_some_and(|taken| taken.0.is_some()));
    }

    const BRIEF: Duration = Duration::from_millis(5);
}
