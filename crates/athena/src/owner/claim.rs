//! Becoming the owner: of several that want to, one does.

use super::socket;
use crate::config::Settings;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// The right to be the owner, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Claim {
    listener: UnixListener,
    path: PathBuf,
    /// Locked. The file stays, for another one of its name would be another lock.
    _lock: File,
}

impl Claim {
    /// Takes the right, unless another process has it.
    ///
    /// A home where no socket can be made has no owner; that costs time and nothing else.
    pub(crate) fn take(settings: &Settings) -> Option<Self> {
        match Self::try_take(settings) {
            Ok(claim) => claim,
            Err(error) => {
                tracing::debug!(%error, "this process cannot own the store");
                None
            }
        }
    }

    /// Whether a process has the right.
    pub(crate) fn is_taken(settings: &Settings) -> bool {
        let lock = File::open(settings.home.join("owner.lock"));
        lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    fn try_take(settings: &Settings) -> io::Result<Option<Self>> {
        let Some(path) = socket(settings) else {
            return Ok(None);
        };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(settings.home.join("owner.lock"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // What is there was left by an owner that was killed: the lock says that none is alive.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Some(Self {
            listener,
            path,
            _lock: lock,
        }))
    }

    /// Returns what listens at the socket.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Before the lock is let go: afterwards it may be another one's.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the owner's socket stays behind");
        }
    }
}
