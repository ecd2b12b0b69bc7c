//! PostgreSQL's connections in the pool, and what becomes of one when its user leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bulk::execute_at_once;
use super::connection::{Connection, Failure, before, lost_after, run};
use super::error::translate;
use super::server::Server;
use super::transaction::begin_text;
use crate::error::{Error, Result};
use crate::plan::{Outcome, Plan, Work};
use crate::pool::{self, Manage};
use crate::transaction::TxOptions;
use crate::value::Value;

pub(super) type Pool = pool::Pool<Arc<Server>>;

/// A batch of rows is one transaction; it may take its time.
const BATCH_DEADLINE: Duration = Duration::from_secs(600);

/// A connection in use. An open transaction is rolled back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Gone when it was given back.
    inner: Option<pool::Lease<Arc<Server>>>,
    in_transaction: AtomicBool,
}

impl Manage for Arc<Server> {
    type Conn = Connection;

    async fn connect(&self) -> Result<Connection> {
        Server::connect(self).await
    }

    fn is_usable(&self, conn: &Connection) -> bool {
        !conn.is_closed()
    }

    async fn ping(&self, conn: &mut Connection) -> bool {
        conn.client().check_connection().await.is_ok()
    }

    fn abandon(&self, conn: Connection) {
        conn.cancel_and_close();
    }
}

impl Lease {
    pub(super) async fn take(pool: &Pool) -> Result<Self> {
        Ok(Self {
            inner: Some(pool.acquire().await?),
            in_transaction: AtomicBool::new(false),
        })
    }

    /// Runs one piece of work.
    pub(super) async fn run(&self, work: &Work, in_transaction: bool) -> Result<Outcome, Failure> {
        let lease = self.lease().map_err(before)?;
        let flight = lease.take_off(work.plan());
        let result = run(lease.conn(), work, in_transaction).await;
        flight.land();
        result
    }

    /// Runs one piece of work as a transaction of its own.
    pub(crate) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        let result = self.attempt(&work).await;
        result.map_err(|failure| failure.error)
    }

    /// Runs one piece of work as a transaction of its own, and tells whether it was sent.
    pub(super) async fn attempt(&self, work: &Work) -> Result<Outcome, Failure> {
        match work {
            Work::ExecuteMany { plan, rows } => Box::pin(self.run_many(work, plan, rows)).await,
            _ => self.run(work, false).await,
        }
    }

    /// A batch is one statement or else one transaction.
    async fn run_many(
        &self,
        work: &Work,
        plan: &Arc<Plan>,
        rows: &[Vec<Value>],
    ) -> Result<Outcome, Failure> {
        let lease = self.lease().map_err(before)?;
        let flight = lease.take_off(Some(plan));
        let done = execute_at_once(lease.conn(), plan, rows).await;
        flight.land();
        if let Some(count) = done? {
            return Ok(Outcome::Count(count));
        }
        let options = TxOptions::default().with_deadline(BATCH_DEADLINE);
        self.begin(&begin_text(&options)).await.map_err(before)?;
        let result = self.run(work, true).await;
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.end(end).await;
        let outcome = result?;
        ended.map_err(|error| lost_after(&error, true))?;
        Ok(outcome)
    }

    /// Sends `BEGIN …`; from now on the lease has an open transaction.
    pub(super) async fn begin(&self, text: &str) -> Result<()> {
        self.in_transaction.store(true, Ordering::SeqCst);
        self.control(text).await.map_err(|error| translate(&error))
    }

    /// Sends `COMMIT` or `ROLLBACK`; whatever the server says, the transaction is over.
    pub(super) async fn end(&self, text: &str) -> Result<(), tokio_postgres::Error> {
        let result = self.control(text).await;
        self.in_transaction.store(false, Ordering::SeqCst);
        result
    }

    /// Stops the running statement on the server, in the background.
    pub(super) fn cancel(&self) {
        if let Some(lease) = &self.inner {
            lease.conn().cancel();
        }
    }

    /// Whether a statement was abandoned half-way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.inner.as_ref().is_some_and(pool::Lease::is_in_flight)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.inner
            .as_ref()
            .is_none_or(|lease| lease.conn().is_closed())
    }

    async fn control(&self, text: &str) -> Result<(), tokio_postgres::Error> {
        let Some(lease) = &self.inner else {
            return Ok(());
        };
        let flight = lease.take_off(None::<&Arc<Plan>>);
        let result = lease.conn().client().batch_execute(text).await;
        flight.land();
        result
    }

    fn lease(&self) -> Result<&pool::Lease<Arc<Server>>> {
        self.inner.as_ref().ok_or_else(Error::closed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(lease) = self.inner.take()
            && self.in_transaction.load(Ordering::SeqCst)
            && !lease.is_in_flight()
        {
            roll_back_in_background(lease);
        }
    }
}

/// Without a runtime the connection is closed, which rolls back as well.
fn roll_back_in_background(lease: pool::Lease<Arc<Server>>) {
    match tokio::runtime::Handle::try_current() {
        Err(_) => lease.discard(),
        Ok(runtime) => drop(runtime.spawn(async move {
            let flight = lease.take_off(None);
            if lease
                .conn()
                .client()
                .batch_execute("ROLLBACK")
                .await
                .is_ok()
            {
                flight.land();
            }
        })),
    }
}
