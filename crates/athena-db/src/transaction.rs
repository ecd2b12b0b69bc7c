//! Transactions: a value that is committed by hand and undone when it is dropped.
//!
//! The same rules hold on every backend, those of the stricter one: after a statement failed, a
//! transaction can only be rolled back, unless the statement stood in a savepoint.

use std::marker::PhantomData;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor as _, Run};
use crate::listen::{self, Bus};
#[cfg(feature = "mysql")]
use crate::mysql;
use crate::observe::Watch;
use crate::plan::{Outcome, PlanCache, Work};
use crate::serial::{Serial, Turn};
use crate::{postgres, sqlite};

/// How a transaction runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxOptions {
    /// Whether it writes.
    pub access: Access,
    /// How long it may stay open; later it is rolled back and the next call on it says so.
    pub deadline: Duration,
    /// What it sees of concurrent transactions. SQLite's are always serializable.
    pub isolation: Isolation,
}

/// Whether a transaction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// It may write. SQLite: it has the write lock from the start.
    #[default]
    ReadWrite,
    /// It reads one unchanging state of the database, and a write fails.
    ReadOnly,
}

/// What a transaction sees of concurrent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// `ReadCommitted` to write, `RepeatableRead` to read only.
    #[default]
    Default,
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// Every statement sees what was committed before the transaction.
    RepeatableRead,
    /// As if transactions ran one after the other; fails with a retryable error where it cannot.
    Serializable,
}

/// An open transaction. Dropping it rolls back.
///
/// It runs statements through [`Executor`](crate::Executor), one after the other, in the order in
/// which they were first polled; while a stream is open, other statements are refused. The lifetime bounds what a closure given to
/// [`Database::transaction`](crate::Database::transaction) may borrow; in signatures it can be
/// left out (`tx: &Tx<'_>`), and [`Database::begin`](crate::Database::begin) gives a `Tx<'static>`.
#[derive(Debug)]
pub struct Tx<'scope> {
    backend: BackendTx,
    plans: Arc<PlanCache>,
    health: AtomicU8,
    /// A future of this transaction was dropped before it was done.
    interrupted: AtomicBool,
    savepoints: AtomicU64,
    /// Savepoints that were dropped; the next statement rolls them back first.
    abandoned: Mutex<Vec<String>>,
    said: Mutex<Said>,
    bus: Arc<Bus>,
    limit: Duration,
    deadline: Instant,
    /// Statements meet in savepoints of each other's if they run at the same time.
    serial: Serial,
    scope: PhantomData<&'scope ()>,
}

/// A savepoint within a transaction: undoes a part. Dropping it rolls back to it.
///
/// Statements go on through the transaction; savepoints must end in the reverse order of their
/// beginning.
#[derive(Debug)]
#[must_use = "a dropped savepoint is rolled back"]
pub struct Savepoint<'tx> {
    name: String,
    open: bool,
    abandoned: &'tx Mutex<Vec<String>>,
    tx: &'tx dyn SavepointHost,
}

/// What is to be said at the commit, where the database does not carry it itself.
#[derive(Debug, Default)]
struct Said {
    messages: Vec<(String, String)>,
    /// How many messages there were when each savepoint was set.
    marks: Vec<(String, usize)>,
}

impl Said {
    fn mark(&mut self, savepoint: &str) {
        self.marks.push((savepoint.to_owned(), self.messages.len()));
    }

    /// Forgets what was said since a savepoint.
    fn take_back(&mut self, savepoint: &str) {
        if let Some(index) = self.marks.iter().rposition(|(name, _)| name == savepoint) {
            self.messages.truncate(self.marks[index].1);
            self.marks.truncate(index);
        }
    }
}

#[derive(Debug)]
pub(crate) enum BackendTx {
    Sqlite(sqlite::Transaction),
    Postgres(Box<postgres::Transaction>),
    #[cfg(feature = "mysql")]
    MySql(Box<mysql::Transaction>),
}

const HEALTHY: u8 = 0;
const FAILED: u8 = 1;
const FAILED_RETRYABLE: u8 = 2;

impl TxOptions {
    /// The isolation level and the access mode in the words of SQL, with which servers begin it.
    pub(crate) const fn words(&self) -> (&'static str, &'static str) {
        let isolation = match (self.isolation, self.access) {
            (Isolation::ReadCommitted, _) | (Isolation::Default, Access::ReadWrite) => {
                "READ COMMITTED"
            }
            (Isolation::RepeatableRead, _) | (Isolation::Default, Access::ReadOnly) => {
                "REPEATABLE READ"
            }
            (Isolation::Serializable, _) => "SERIALIZABLE",
        };
        let access = match self.access {
            Access::ReadWrite => "READ WRITE",
            Access::ReadOnly => "READ ONLY",
        };
        (isolation, access)
    }

    /// A transaction that reads one unchanging state; it may stay open for a minute.
    #[must_use]
    pub const fn read_only() -> Self {
        Self {
            access: Access::ReadOnly,
            deadline: Duration::from_secs(60),
            isolation: Isolation::Default,
        }
    }

    /// Sets how long it may stay open.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets what it sees of concurrent transactions.
    #[must_use]
    pub const fn with_isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }
}

impl Default for TxOptions {
    /// A transaction that writes and may stay open for five seconds.
    fn default() -> Self {
        Self {
            access: Access::ReadWrite,
            deadline: Duration::from_secs(5),
            isolation: Isolation::Default,
        }
    }
}

impl<'scope> Tx<'scope> {
    pub(crate) fn new(
        backend: BackendTx,
        plans: Arc<PlanCache>,
        bus: Arc<Bus>,
        limit: Duration,
    ) -> Self {
        Self {
            backend,
            plans,
            health: AtomicU8::new(HEALTHY),
            interrupted: AtomicBool::new(false),
            savepoints: AtomicU64::new(0),
            abandoned: Mutex::default(),
            said: Mutex::default(),
            bus,
            limit,
            deadline: Instant::now() + limit,
            serial: Serial::default(),
            scope: PhantomData,
        }
    }

    /// Makes the work of the transaction permanent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TxAborted`] if an earlier statement failed, [`ErrorKind::Timeout`] after the
    /// deadline, [`ErrorKind::CommitUnknown`] if the connection was lost on the way, and what
    /// deferred constraints and concurrent transactions say. Nothing stays after an error, except
    /// after `CommitUnknown`.
    pub async fn commit(self) -> Result<()> {
        if let Err(error) = self.settle().await.and_then(|()| self.check_health()) {
            return self.backend.rollback().await.and(Err(error));
        }
        self.backend.commit().await?;
        for (channel, payload) in self.said().messages.drain(..) {
            self.bus.publish(&channel, &payload);
        }
        Ok(())
    }

    /// Says something on a channel when the transaction is committed; see
    /// [`Database::notify`](crate::Database::notify).
    ///
    /// # Errors
    ///
    /// As [`Database::notify`](crate::Database::notify).
    pub async fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        listen::check(channel, payload)?;
        if self.dialect() == Dialect::Postgres {
            return listen::notify(self, channel, payload).await;
        }
        self.check_health()?;
        let message = (channel.to_owned(), payload.to_owned());
        self.said().messages.push(message);
        Ok(())
    }

    /// Undoes the work of the transaction.
    ///
    /// # Errors
    ///
    /// A lost connection is none, because the server rolls back by itself. SQLite: a retryable
    /// error if a transaction that shared the commit took back what this one may have read.
    pub async fn rollback(self) -> Result<()> {
        self.backend.rollback().await
    }

    /// Sets a savepoint.
    ///
    /// # Errors
    ///
    /// As a statement.
    pub async fn savepoint(&self) -> Result<Savepoint<'_>> {
        let number = self.savepoints.fetch_add(1, Ordering::SeqCst) + 1;
        let name = format!("athena_savepoint_{number}");
        self.control(format!("SAVEPOINT {name}")).await?;
        self.said().mark(&name);
        Ok(Savepoint {
            name,
            open: true,
            abandoned: &self.abandoned,
            tx: self,
        })
    }

    /// Runs a closure in a savepoint: `Ok` keeps its work, `Err` undoes it and leaves the
    /// transaction usable.
    ///
    /// # Errors
    ///
    /// What the closure returned, or what the savepoint met.
    pub async fn nested<'t, T, E, F>(&'t self, f: F) -> Result<T, E>
    where
        F: FnOnce(&'t Self) -> BoxFuture<'t, Result<T, E>> + Send,
        T: Send,
        E: From<Error> + Send,
    {
        let savepoint = self.savepoint().await?;
        match f(self).await {
            Ok(value) => {
                savepoint.release().await?;
                Ok(value)
            }
            Err(error) => {
                savepoint.rollback().await?;
                Err(error)
            }
        }
    }

    /// Runs work on the backend and notes if the future is dropped half-way.
    async fn uninterrupted(&self, work: Work) -> Result<Outcome> {
        let flight = Flight {
            interrupted: &self.interrupted,
            landed: false,
        };
        let result = self.backend.run(work).await;
        flight.land();
        result
    }

    async fn turn(&self) -> Result<Turn<'_>> {
        let late = || Error::expired(self.limit);
        self.serial.turn(self.deadline, late).await
    }

    async fn control(&self, text: String) -> Result<()> {
        let _turn = self.turn().await?;
        self.settle().await?;
        self.check_health()?;
        self.uninterrupted(Work::Batch(text)).await.map(|_| ())
    }

    /// Runs a statement whose turn it is.
    async fn run_next(&self, work: Work) -> Result<Outcome> {
        self.settle().await?;
        self.check_health()?;
        let has_parts = matches!(work, Work::ExecuteMany { .. } | Work::Stream { .. });
        let watch = Watch::start(&self.plans, &work);
        let result = watch.follow(pin!(self.uninterrupted(work))).await;
        watch.stop(&result);
        // Of a batch, a part may have been done before a value that does not fit was met; a stream
        // that broke off here was stopped there.
        if let Err(error) = &result
            && (error.code().is_some() || has_parts)
        {
            let health = if error.is_retryable() {
                FAILED_RETRYABLE
            } else {
                FAILED
            };
            self.health.store(health, Ordering::SeqCst);
        }
        result
    }

    /// Rolls back the savepoints that were dropped, the newest first.
    async fn settle(&self) -> Result<()> {
        loop {
            let name = self
                .abandoned
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(name) = name else { return Ok(()) };
            self.roll_back_to(&name).await?;
        }
    }

    async fn roll_back_to(&self, name: &str) -> Result<()> {
        if self.interrupted.load(Ordering::SeqCst) {
            return Err(Error::interrupted());
        }
        let undo = format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}");
        if let Err(error) = self.uninterrupted(Work::Batch(undo)).await {
            // A deadlock has taken the savepoint along: the transaction is to be run again.
            return match self.health.load(Ordering::SeqCst) {
                FAILED_RETRYABLE => Err(error.with_kind(ErrorKind::Serialization)),
                _ => Err(error),
            };
        }
        self.said().take_back(name);
        self.health.store(HEALTHY, Ordering::SeqCst);
        Ok(())
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_health(&self) -> Result<()> {
        if self.interrupted.load(Ordering::SeqCst) {
            return Err(Error::interrupted());
        }
        match self.health.load(Ordering::SeqCst) {
            HEALTHY => Ok(()),
            FAILED_RETRYABLE => Err(Error::aborted().with_kind(ErrorKind::Serialization)),
            _ => Err(Error::aborted()),
        }
    }
}

impl Run for Tx<'_> {
    fn plans(&self) -> &PlanCache {
        &self.plans
    }

    async fn run(&self, work: Work) -> Result<Outcome> {
        let _turn = self.turn().await?;
        self.run_next(work).await
    }

    fn run_stream(&self, work: Work) -> BoxFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            let late = || Error::expired(self.limit);
            let _turn = self.serial.turn_of_stream(self.deadline, late).await?;
            let outcome = self.run_next(work.until(self.deadline)).await?;
            // Rows that nobody took in time were not sent.
            if Instant::now() >= self.deadline {
                return Err(Error::expired(self.limit));
            }
            Ok(outcome)
        })
    }
}

impl BackendTx {
    async fn run(&self, work: Work) -> Result<Outcome> {
        match self {
            Self::Sqlite(tx) => tx.run(work).await,
            Self::Postgres(tx) => tx.run(work).await,
            #[cfg(feature = "mysql")]
            Self::MySql(tx) => tx.run(work).await,
        }
    }

    async fn commit(&self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
            #[cfg(feature = "mysql")]
            Self::MySql(tx) => tx.commit().await,
        }
    }

    async fn rollback(&self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
            #[cfg(feature = "mysql")]
            Self::MySql(tx) => tx.rollback().await,
        }
    }
}

/// What a savepoint needs of its transaction, without the transaction's lifetime.
trait SavepointHost: std::fmt::Debug + Send + Sync {
    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
    fn roll_back_to<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
}

impl SavepointHost for Tx<'_> {
    fn release<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.control(format!("RELEASE SAVEPOINT {name}")))
    }

    fn roll_back_to<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let _turn = self.turn().await?;
            Tx::roll_back_to(self, name).await
        })
    }
}

impl Savepoint<'_> {
    /// Keeps the work since the savepoint, as part of the transaction.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TxAborted`] if a statement since then failed; the work is then undone.
    pub async fn release(mut self) -> Result<()> {
        self.tx.release(&self.name).await?;
        self.open = false;
        Ok(())
    }

    /// Undoes the work since the savepoint; the transaction can go on.
    ///
    /// # Errors
    ///
    /// As a statement.
    pub async fn rollback(mut self) -> Result<()> {
        self.tx.roll_back_to(&self.name).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if self.open {
            self.abandoned
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(std::mem::take(&mut self.name));
        }
    }
}

/// A statement on its way.
struct Flight<'a> {
    interrupted: &'a AtomicBool,
    landed: bool,
}

impl Flight<'_> {
    fn land(mut self) {
        self.landed = true;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.interrupted.store(true, Ordering::SeqCst);
        }
    }
}
