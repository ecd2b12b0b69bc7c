//! What databases on servers have in common: connections on loan, and transactions on them.
//!
//! A lease knows of an open transaction and rolls it back when it is dropped; a transaction keeps
//! its deadline whatever the server does; a batch of rows is one transaction.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::database::Health;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Class, Outcome, Work};
use crate::pool::{self, Limits, Manage, Pool};
use crate::transaction::TxOptions;

/// A connection with a session of ours on it.
pub(crate) trait Session: Send + Sync + 'static {
    /// Runs one piece of work.
    fn run(
        &self,
        work: &Work,
        in_transaction: bool,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Runs one piece of work as a transaction of its own, or says with `None` that somebody has
    /// to begin one.
    fn run_at_once(
        &self,
        work: &Work,
    ) -> impl Future<Output = Result<Option<Outcome>, Failure>> + Send {
        async {
            if work.needs_transaction() {
                return Ok(None);
            }
            self.run(work, false).await.map(Some)
        }
    }

    /// Begins a transaction, which the server itself ends if the programme hangs.
    fn begin(&self, options: &TxOptions) -> impl Future<Output = Result<()>> + Send;

    /// Sends `COMMIT` or `ROLLBACK`.
    fn end(&self, text: &'static str) -> impl Future<Output = Result<()>> + Send;

    /// Stops on the server what runs here, in the background.
    fn cancel(&self);

    /// Whether the connection is known to be gone.
    fn is_lost(&self) -> bool;
}

/// A failed run, and whether the server may have done something about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) sent: bool,
}

/// An open database on a server.
#[derive(Debug)]
pub(crate) struct Server<M: Manage> {
    pool: Pool<M>,
}

/// A connection in use. An open transaction is rolled back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease<M: Manage<Conn: Session>> {
    /// Gone when it was given back.
    inner: Option<pool::Lease<M>>,
    in_transaction: AtomicBool,
    /// Nobody gets the connection after this.
    retired: AtomicBool,
}

/// An open transaction; the lease rolls it back when it is dropped.
#[derive(Debug)]
pub(crate) struct Transaction<M: Manage<Conn: Session>> {
    lease: Lease<M>,
    limit: Duration,
    deadline: Instant,
    expired: AtomicBool,
}

/// A batch of rows is one transaction; it may take its time.
const BATCH_DEADLINE: Duration = Duration::from_secs(600);

/// How long a server may take to begin or to roll back before its connection is given up.
const CONTROL: Duration = Duration::from_secs(10);

/// How long a server may be silent beyond the statement timeout, which it is to keep by itself.
const SILENCE: Duration = Duration::from_secs(5);

impl Failure {
    /// Nothing was sent yet.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, sent: false }
    }

    /// The server has seen it.
    pub(crate) fn after(error: Error) -> Self {
        Self { error, sent: true }
    }

    /// Whether another connection may do better.
    fn is_transient(&self) -> bool {
        self.error.is_connection() || self.error.is_retryable()
    }

    /// Whether the connection went with it.
    pub(crate) fn is_lost(&self) -> bool {
        self.error.is_connection() || *self.error.kind() == ErrorKind::CommitUnknown
    }

    /// After a lost connection a write may have happened or not. A read is not sent again either:
    /// it may have called a function with effects.
    pub(crate) fn on_the_way(error: Error, writes: bool) -> Self {
        Self::after(if writes && error.is_connection() {
            Error::commit_unknown()
        } else {
            error
        })
    }
}

impl<M: Manage<Conn: Session>> Server<M> {
    /// Makes the first connections, and fails at once if the server is not there.
    pub(crate) async fn open(manager: M, limits: Limits) -> Result<Self> {
        let pool = Pool::open(manager, limits).await?;
        Ok(Self { pool })
    }

    pub(crate) async fn run(&self, work: &Work) -> Result<Outcome> {
        let result = match self.attempt(work).await {
            // A pooled connection may have died unnoticed; what it never sent can be sent again.
            Err(failure) if !failure.sent && failure.is_transient() => {
                Box::pin(self.attempt(work)).await
            }
            result => result,
        };
        result.map_err(|failure| failure.error)
    }

    /// Holds its connection no longer than it needs it: another attempt may wait for that one.
    async fn attempt(&self, work: &Work) -> Result<Outcome, Failure> {
        let lease = self.acquire().await.map_err(Failure::after)?;
        let Some(limit) = lease.limit_of(work) else {
            return lease.attempt(work).await;
        };
        let alarm = lease.lease().map_err(Failure::before)?.alarm();
        let attempt = pin!(lease.attempt(work));
        let done = alarm.until(Instant::now() + limit, attempt).await;
        done.unwrap_or_else(|| {
            let writes = work.plan().is_none_or(|plan| plan.class != Class::Query);
            Err(Failure::on_the_way(Error::silent(limit), writes))
        })
    }

    /// Runs a single statement outside any transaction.
    pub(crate) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        let result = self.acquire().await?.run(&work).await;
        result.map_err(|failure| failure.error)
    }

    pub(crate) async fn begin(&self, options: TxOptions) -> Result<Transaction<M>> {
        match Transaction::begin(self.acquire().await?, options).await {
            // A pooled connection may have died unnoticed; nothing was done on it yet.
            Err(error) if error.is_connection() => {
                Transaction::begin(self.acquire().await?, options).await
            }
            result => result,
        }
    }

    pub(crate) async fn acquire(&self) -> Result<Lease<M>> {
        Ok(Lease {
            inner: Some(self.pool.acquire().await?),
            in_transaction: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        })
    }

    pub(crate) async fn close(&self, grace: Duration) -> Result<()> {
        self.pool.close(grace).await
    }

    pub(crate) fn health(&self, dialect: Dialect, version: String) -> Health {
        let stats = self.pool.stats();
        Health {
            dialect,
            version,
            size: stats.size,
            idle: stats.idle,
            waiting: stats.waiting,
            oldest: stats.oldest,
            wal_bytes: None,
        }
    }
}

impl<M: Manage<Conn: Session>> Lease<M> {
    /// Has the connection closed when it comes back, with whatever was set on it.
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "for MySQL alone"))]
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Runs one piece of work as a transaction of its own.
    pub(crate) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        let result = self.attempt(&work).await;
        result.map_err(|failure| failure.error)
    }

    async fn attempt(&self, work: &Work) -> Result<Outcome, Failure> {
        let lease = self.lease().map_err(Failure::before)?;
        if lease.is_in_flight() {
            return Err(Failure::before(Error::abandoned()));
        }
        let flight = lease.take_off(work.plan());
        let done = lease.conn().run_at_once(work).await;
        flight.land();
        match done? {
            Some(outcome) => Ok(outcome),
            None => Box::pin(self.run_in_transaction(work)).await,
        }
    }

    async fn run_in_transaction(&self, work: &Work) -> Result<Outcome, Failure> {
        let options = TxOptions::default().with_deadline(BATCH_DEADLINE);
        self.begin(&options).await.map_err(Failure::before)?;
        match self.run(work).await {
            Ok(outcome) => {
                let done = self.commit().await.map(|()| outcome);
                done.map_err(Failure::after)
            }
            Err(failure) => {
                let _ = self.roll_back().await;
                Err(Failure {
                    error: lost_with_transaction(failure.error),
                    ..failure
                })
            }
        }
    }

    async fn run(&self, work: &Work) -> Result<Outcome, Failure> {
        let lease = self.lease().map_err(Failure::before)?;
        let flight = lease.take_off(work.plan());
        let in_transaction = self.in_transaction.load(Ordering::SeqCst);
        let result = lease.conn().run(work, in_transaction).await;
        flight.land();
        result
    }

    /// When to give up on a server that should have given up on the statement itself.
    fn limit_of(&self, work: &Work) -> Option<Duration> {
        if work.needs_transaction() {
            return Some(BATCH_DEADLINE + SILENCE);
        }
        let timeout = self.inner.as_ref()?.statement_timeout();
        timeout.map(|timeout| timeout + SILENCE)
    }

    /// From now on the lease has an open transaction.
    async fn begin(&self, options: &TxOptions) -> Result<()> {
        let lease = self.lease()?;
        self.in_transaction.store(true, Ordering::SeqCst);
        // A pooler has whoever begins wait for a connection of its own.
        let limit = lease.patience().max(CONTROL);
        within(limit, lease, lease.conn().begin(options)).await
    }

    async fn commit(&self) -> Result<()> {
        let timeout = self.lease()?.statement_timeout();
        let limit = timeout.unwrap_or(BATCH_DEADLINE) + SILENCE;
        self.end("COMMIT", limit).await.map_err(|error| {
            if error.is_connection() {
                Error::commit_unknown()
            } else {
                error
            }
        })
    }

    async fn roll_back(&self) -> Result<()> {
        self.end("ROLLBACK", CONTROL).await
    }

    /// Whatever the server says, the transaction is over.
    async fn end(&self, text: &'static str, limit: Duration) -> Result<()> {
        let lease = self.lease()?;
        let result = within(limit, lease, lease.conn().end(text)).await;
        self.in_transaction.store(false, Ordering::SeqCst);
        result
    }

    fn cancel(&self) {
        if let Some(lease) = &self.inner {
            lease.conn().cancel();
        }
    }

    /// Whether a statement was abandoned half-way.
    fn is_in_flight(&self) -> bool {
        self.inner.as_ref().is_some_and(pool::Lease::is_in_flight)
    }

    fn is_lost(&self) -> bool {
        self.inner
            .as_ref()
            .is_none_or(|lease| lease.conn().is_lost())
    }

    fn lease(&self) -> Result<&pool::Lease<M>> {
        self.inner.as_ref().ok_or_else(Error::closed)
    }
}

impl<M: Manage<Conn: Session>> Drop for Lease<M> {
    fn drop(&mut self) {
        let Some(lease) = self.inner.take().filter(|lease| !lease.is_in_flight()) else {
            return;
        };
        if self.retired.load(Ordering::SeqCst) {
            lease.discard();
        } else if self.in_transaction.load(Ordering::SeqCst) {
            roll_back_in_background(lease);
        }
    }
}

/// Without a runtime the connection is closed, which rolls back as well.
fn roll_back_in_background<M: Manage<Conn: Session>>(lease: pool::Lease<M>) {
    match tokio::runtime::Handle::try_current() {
        Err(_) => lease.discard(),
        Ok(runtime) => drop(runtime.spawn(async move {
            let flight = lease.take_off(None);
            let ended = tokio::time::timeout(CONTROL, lease.conn().end("ROLLBACK")).await;
            if matches!(ended, Ok(Ok(()))) {
                flight.land();
            }
        })),
    }
}

/// Waits for the answer to a statement of our own. Without one the connection is not used again.
async fn within<M: Manage>(
    limit: Duration,
    lease: &pool::Lease<M>,
    statement: impl Future<Output = Result<()>>,
) -> Result<()> {
    let flight = lease.take_off(None);
    let Ok(result) = tokio::time::timeout(limit, statement).await else {
        return Err(Error::silent(limit));
    };
    flight.land();
    result
}

impl<M: Manage<Conn: Session>> Transaction<M> {
    async fn begin(lease: Lease<M>, options: TxOptions) -> Result<Self> {
        lease.begin(&options).await?;
        Ok(Self {
            lease,
            limit: options.deadline,
            deadline: Instant::now() + options.deadline,
            expired: AtomicBool::new(false),
        })
    }

    pub(crate) async fn run(&self, work: Work) -> Result<Outcome> {
        self.check_deadline()?;
        let alarm = self.lease.lease()?.alarm();
        let run = pin!(self.lease.run(&work));
        match alarm.until(self.deadline, run).await {
            Some(result) => result.map_err(|failure| self.explain(failure.error)),
            None => {
                self.lease.cancel();
                self.check_deadline().and(Err(Error::expired(self.limit)))
            }
        }
    }

    pub(crate) async fn commit(&self) -> Result<()> {
        self.check_deadline()?;
        self.lease.commit().await
    }

    /// A server that cannot be reached rolls back by itself, and so does one whose connection is
    /// closed when this transaction is dropped.
    pub(crate) async fn rollback(&self) -> Result<()> {
        if self.lease.is_in_flight() {
            self.lease.cancel();
        } else if !self.expired.load(Ordering::SeqCst) {
            let _ = self.lease.roll_back().await;
        }
        Ok(())
    }

    fn check_deadline(&self) -> Result<()> {
        if self.expired.load(Ordering::SeqCst) || Instant::now() >= self.deadline {
            self.expired.store(true, Ordering::SeqCst);
            return Err(Error::expired(self.limit));
        }
        Ok(())
    }

    /// The server ends a transaction that idles past its deadline by closing the connection.
    fn explain(&self, error: Error) -> Error {
        let unknown = matches!(error.kind(), ErrorKind::CommitUnknown);
        let lost = unknown || (error.is_connection() && self.lease.is_lost());
        let stopped = matches!(error.kind(), ErrorKind::Timeout(_));
        if (lost || stopped) && Instant::now() >= self.deadline {
            self.expired.store(true, Ordering::SeqCst);
            return Error::expired(self.limit);
        }
        if lost {
            return lost_with_transaction(error);
        }
        error
    }
}

/// Within a transaction nothing is unknown before its commit: a lost connection undid it.
fn lost_with_transaction(error: Error) -> Error {
    let unknown = matches!(error.kind(), ErrorKind::CommitUnknown);
    if unknown || error.is_connection() {
        return Error::new(
            ErrorKind::Connection,
            "the connection was lost and the transaction with it",
        );
    }
    error
}
