//! One statement at a time, where several would meet on one connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

use crate::error::{Error, Result};

/// The order of the statements on a connection: first come, first served.
///
/// A stream waits for its reader, who may be the one to ask for the next statement: that is
/// refused instead of waiting for ever. So may whoever is to poll a statement whose turn has come;
/// that cannot be known, and is why every wait has an end.
#[derive(Debug, Default)]
pub(crate) struct Serial {
    queue: Mutex<()>,
    streaming: AtomicBool,
}

/// The turn of a statement.
pub(crate) struct Turn<'a> {
    _place: MutexGuard<'a, ()>,
    _streaming: Option<Streaming<'a>>,
}

struct Streaming<'a>(&'a AtomicBool);

impl Serial {
    /// Waits for the turn of a statement, for which it may be too late.
    pub(crate) async fn turn(
        &self,
        until: Instant,
        late: impl FnOnce() -> Error,
    ) -> Result<Turn<'_>> {
        if self.streaming.load(Ordering::SeqCst) {
            return Err(Error::streaming());
        }
        Ok(Turn {
            _place: self.place(until).await.ok_or_else(late)?,
            _streaming: None,
        })
    }

    /// Waits for the turn of a stream; who comes after it is refused.
    pub(crate) async fn turn_of_stream(
        &self,
        until: Instant,
        late: impl FnOnce() -> Error,
    ) -> Result<Turn<'_>> {
        if self.streaming.swap(true, Ordering::SeqCst) {
            return Err(Error::streaming());
        }
        let streaming = Streaming(&self.streaming);
        Ok(Turn {
            _place: self.place(until).await.ok_or_else(late)?,
            _streaming: Some(streaming),
        })
    }

    async fn place(&self, until: Instant) -> Option<MutexGuard<'_, ()>> {
        match self.queue.try_lock() {
            Ok(place) => Some(place),
            Err(_) => tokio::time::timeout_at(until.into(), self.queue.lock())
                .await
                .ok(),
        }
    }
}

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
