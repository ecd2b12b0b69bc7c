//! A transaction on SQLite: a session with the writer, or a snapshot on a reader; and a reader that
//! somebody has borrowed.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
use tokio::task::AbortHandle;

use super::pool::{Lease, Policy, Pool, Read};
use super::writer::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Outcome, Work};

/// An open transaction.
#[derive(Debug)]
pub(crate) enum Transaction {
    Write(Session),
    Read(Snapshot),
}

/// A reader that is pinned to one state of the database.
#[derive(Debug)]
pub(crate) struct Snapshot {
    reader: Reader,
    expired: Arc<AtomicBool>,
    deadline: Duration,
    alarm: AbortHandle,
}

/// A reader out of the pool. A statement on its way holds the lock, so that a dropped future
/// cannot lose the lease.
#[derive(Debug)]
pub(crate) struct Reader {
    lease: Arc<Mutex<Option<Lease>>>,
    policy: Arc<Policy>,
}

/// A lease for the time of a statement.
type Locked = OwnedMappedMutexGuard<Option<Lease>, Lease>;

impl Borrow<Lease> for Locked {
    fn borrow(&self) -> &Lease {
        self
    }
}

impl Reader {
    pub(super) async fn borrow(pool: &Pool) -> Result<Self> {
        Ok(Self::of(pool.acquire().await?, pool))
    }

    fn of(lease: Lease, pool: &Pool) -> Self {
        Self {
            lease: Arc::new(Mutex::new(Some(lease))),
            policy: pool.policy(),
        }
    }

    /// Runs a statement that reads.
    pub(crate) async fn run(&self, work: Work) -> Result<Outcome> {
        let result = self.read(work, WRITES_ELSEWHERE).await;
        result.unwrap_or_else(|| Err(Error::interrupted()))
    }

    /// Returns `None` if the lease is gone.
    async fn read(&self, work: Work, refusal: &str) -> Option<Result<Outcome>> {
        let place = Arc::clone(&self.lease).lock_owned().await;
        let lease: Locked = OwnedMutexGuard::try_map(place, Option::as_mut).ok()?;
        Some(match self.policy.run(lease, work).await {
            Ok(Read::Done(outcome)) => Ok(outcome),
            Ok(Read::Writes(_)) => Err(Error::new(ErrorKind::ReadOnly, refusal)
                .with_code(rusqlite::ffi::SQLITE_READONLY.to_string())),
            Err(error) => Err(error),
        })
    }
}

const WRITES_ELSEWHERE: &str = "a borrowed connection only reads on SQLite, where all writes share one connection; \
     write through the `Database` or in a transaction";

const READS_ONLY: &str = "the transaction was begun to read only";

impl Transaction {
    pub(crate) async fn run(&self, work: Work) -> Result<Outcome> {
        match self {
            Self::Write(session) => session.run(work).await,
            Self::Read(snapshot) => snapshot.run(work).await,
        }
    }

    pub(crate) async fn commit(&self) -> Result<()> {
        match self {
            Self::Write(session) => session.commit().await,
            Self::Read(snapshot) => snapshot.finish().await,
        }
    }

    pub(crate) async fn rollback(&self) -> Result<()> {
        match self {
            Self::Write(session) => session.rollback().await,
            Self::Read(snapshot) => snapshot.finish().await.or(Ok(())),
        }
    }
}

impl Snapshot {
    pub(super) async fn begin(pool: &Pool, deadline: Duration) -> Result<Self> {
        let reader = Reader::of(pool.snapshot().await?, pool);
        let expired = Arc::new(AtomicBool::new(false));
        let alarm = tokio::spawn(release_after(
            deadline,
            Arc::clone(&reader.lease),
            Arc::clone(&expired),
        ))
        .abort_handle();
        Ok(Self {
            reader,
            expired,
            deadline,
            alarm,
        })
    }

    async fn run(&self, work: Work) -> Result<Outcome> {
        let result = self.reader.read(work, READS_ONLY).await;
        result.unwrap_or_else(|| Err(self.why_gone()))
    }

    async fn finish(&self) -> Result<()> {
        self.reader
            .lease
            .lock()
            .await
            .take()
            .map(drop)
            .ok_or_else(|| self.why_gone())
    }

    fn why_gone(&self) -> Error {
        if self.expired.load(Ordering::SeqCst) {
            Error::expired(self.deadline)
        } else {
            Error::interrupted()
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.alarm.abort();
    }
}

/// A forgotten snapshot would keep the write-ahead log from being cut short.
async fn release_after(
    deadline: Duration,
    lease: Arc<Mutex<Option<Lease>>>,
    expired: Arc<AtomicBool>,
) {
    tokio::time::sleep(deadline).await;
    let mut place = lease.lock().await;
    expired.store(true, Ordering::SeqCst);
    place.take();
}
