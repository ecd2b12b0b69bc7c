//! One statement at a time, where several would meet on one connection.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::error::{Error, Result};

/// The order of the statements on a connection: first come, first served.
///
/// A stream waits for its reader, who may be the one to ask for the next statement: that is
/// refused instead of waiting for ever.
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
    /// Waits for the turn of a statement.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>> {
        if self.streaming.load(Ordering::SeqCst) {
            return Err(Error::streaming());
        }
        Ok(Turn {
            _place: self.queue.lock().await,
            _streaming: None,
        })
    }

    /// Waits for the turn of a stream; who comes after it is refused.
    pub(crate) async fn turn_of_stream(&self) -> Result<Turn<'_>> {
        if self.streaming.swap(true, Ordering::SeqCst) {
            return Err(Error::streaming());
        }
        let streaming = Streaming(&self.streaming);
        Ok(Turn {
            _place: self.queue.lock().await,
            _streaming: Some(streaming),
        })
    }
}

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
