//! The readers: a bounded number of read-only connections, used on tokio's blocking threads.
//!
//! Waiting is first come, first served. A read whose future is dropped is interrupted; its
//! connection goes back to the pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{File, Guard, Role, connect, control, is_readonly, run};
use super::error::translate;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Outcome, Work};

/// The pool of readers.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    size: usize,
    waiting: AtomicUsize,
    acquire_timeout: Duration,
    statement_timeout: Option<Duration>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    idle: Mutex<Vec<Reader>>,
    opened: AtomicUsize,
}

#[derive(Debug)]
struct Reader {
    conn: Connection,
    guard: Arc<Guard>,
}

/// A reader in use; dropping it ends its transaction and gives it back.
#[derive(Debug)]
pub(super) struct Lease {
    reader: Option<Reader>,
    guard: Arc<Guard>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

/// What came of a statement that was tried on a reader.
pub(super) enum Read {
    Done(Outcome),
    /// The statement writes: it belongs to the writer.
    Writes(Work),
}

impl Pool {
    pub(super) fn new(
        file: File,
        size: usize,
        acquire_timeout: Duration,
        statement_timeout: Option<Duration>,
    ) -> Self {
        let shared = Shared {
            file,
            idle: Mutex::default(),
            opened: AtomicUsize::new(0),
        };
        Self {
            shared: Arc::new(shared),
            permits: Arc::new(Semaphore::new(size)),
            size,
            waiting: AtomicUsize::new(0),
            acquire_timeout,
            statement_timeout,
        }
    }

    /// Runs a statement if it only reads.
    pub(super) async fn read(&self, work: Work) -> Result<Read> {
        let lease = self.acquire().await?;
        blocking(lease, self.statement_timeout, move |lease| {
            let conn = lease.conn()?;
            if let Some(plan) = work.plan()
                && !is_readonly(conn, plan)?
            {
                return Ok(Read::Writes(work));
            }
            run(conn, &work).map(Read::Done)
        })
        .await
        .1
    }

    /// Takes a reader out of the pool and pins it to the present state of the database.
    pub(super) async fn snapshot(&self) -> Result<Lease> {
        let lease = self.acquire().await?;
        let (lease, result) = blocking(lease, self.statement_timeout, |lease| {
            let conn = lease.conn()?;
            control(conn, "BEGIN").map_err(translate)?;
            // `BEGIN` alone takes no snapshot; the first read does.
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
                .map_err(translate)
        })
        .await;
        result.and(lease.ok_or_else(lost))
    }

    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        self.statement_timeout
    }

    /// Waits until every reader is back, then closes them.
    pub(super) async fn close(&self, patience: Duration) {
        let all = u32::try_from(self.size).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(patience, self.permits.acquire_many(all)).await;
        self.permits.close();
        self.shared.idle().clear();
    }

    /// Open, idle and waited-for connections.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let idle = self.shared.idle().len();
        (
            self.shared.opened.load(Ordering::Relaxed),
            idle,
            self.waiting.load(Ordering::Relaxed),
        )
    }

    /// Takes a reader out of the pool.
    pub(super) async fn acquire(&self) -> Result<Lease> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let permit = tokio::time::timeout(
            self.acquire_timeout,
            Arc::clone(&self.permits).acquire_owned(),
        )
        .await;
        let permit = permit
            .map_err(|_| Error::pool_exhausted(self.acquire_timeout, None))?
            .map_err(|_| Error::closed())?;
        let reader = self.shared.idle().pop();
        let guard = reader
            .as_ref()
            .map(|reader| Arc::clone(&reader.guard))
            .unwrap_or_default();
        Ok(Lease {
            reader,
            guard,
            shared: Arc::clone(&self.shared),
            _permit: permit,
        })
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Returns the connection, opened on first use.
    pub(super) fn conn(&mut self) -> Result<&Connection> {
        if self.reader.is_none() {
            let conn = connect(&self.shared.file, Role::Reader, &self.guard)?;
            self.shared.opened.fetch_add(1, Ordering::Relaxed);
            self.reader = Some(Reader {
                conn,
                guard: Arc::clone(&self.guard),
            });
        }
        self.reader
            .as_ref()
            .map(|reader| &reader.conn)
            .ok_or_else(lost)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        let clean = reader.conn.is_autocommit() || control(&reader.conn, "ROLLBACK").is_ok();
        if clean {
            self.shared.idle().push(reader);
        } else {
            self.shared.opened.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Runs on a blocking thread; the lease comes back unless the thread was lost.
pub(super) async fn blocking<T: Send + 'static>(
    mut lease: Lease,
    timeout: Option<Duration>,
    task: impl FnOnce(&mut Lease) -> Result<T> + Send + 'static,
) -> (Option<Lease>, Result<T>) {
    let guard = Arc::clone(&lease.guard);
    let run = guard.start(timeout.map(|timeout| Instant::now() + timeout));
    let cancel = CancelOnDrop {
        guard,
        run: Some(run),
    };
    let joined = tokio::task::spawn_blocking(move || {
        let result = task(&mut lease);
        (lease, result)
    })
    .await;
    cancel.disarm();
    match joined {
        Ok((lease, result)) => (Some(lease), result),
        Err(_) => (None, Err(lost())),
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the thread of a database reader was lost",
    )
}

struct CancelOnDrop {
    guard: Arc<Guard>,
    run: Option<u64>,
}

impl CancelOnDrop {
    fn disarm(mut self) {
        self.run = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(run) = self.run {
            self.guard.cancel(run);
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
