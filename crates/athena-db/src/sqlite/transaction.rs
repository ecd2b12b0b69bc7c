//! A transaction on SQLite: a session with the writer, or a snapshot on a reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use super::connection::run;
use super::pool::{Lease, Pool, blocking};
use super::writer::Session;
use crate::error::{Error, Result};
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
    lease: Arc<Mutex<Option<Lease>>>,
    expired: Arc<AtomicBool>,
    deadline: Duration,
    statement_timeout: Option<Duration>,
    alarm: AbortHandle,
}

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
        let lease = Arc::new(Mutex::new(Some(pool.snapshot().await?)));
        let expired = Arc::new(AtomicBool::new(false));
        let alarm = tokio::spawn(release_after(
            deadline,
            Arc::clone(&lease),
            Arc::clone(&expired),
        ))
        .abort_handle();
        Ok(Self {
            lease,
            expired,
            deadline,
            statement_timeout: pool.statement_timeout(),
            alarm,
        })
    }

    /// The lock travels with the lease, so that a dropped future cannot lose it.
    async fn run(&self, work: Work) -> Result<Outcome> {
        let mut place = Arc::clone(&self.lease).lock_owned().await;
        let lease = place.take().ok_or_else(|| self.why_gone())?;
        let timeout = self.statement_timeout;
        let returned = tokio::spawn(async move {
            let (lease, result) =
                blocking(lease, timeout, move |lease| run(lease.conn()?, &work)).await;
            *place = lease;
            result
        });
        returned.await.unwrap_or_else(|_| Err(self.why_gone()))
    }

    async fn finish(&self) -> Result<()> {
        self.lease
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
