//! SQLite's readers in the pool: read-only connections, and where a statement runs on one.
//!
//! A lookup by key runs on the task that asked, under a budget; everything else runs on tokio's
//! blocking threads. A read whose future is dropped is interrupted, and its connection goes back to
//! the pool when it has stopped.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::task::coop::consume_budget;

use super::connection::{File, Guard, Role, connect, control, patiently, run_reading, version};
use super::error::{is_interrupted, translate};
use super::facts::{Way, way};
use super::inline::{BUDGET, Inline, Place};
use crate::database::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Outcome, Plan, Work};
use crate::pool::{self, Limits, Manage, Stats};

/// The readers of a file.
#[derive(Debug)]
pub(super) struct Pool {
    pool: pool::Pool<File>,
    policy: Arc<Policy>,
}

/// Where statements run, and for how long.
#[derive(Debug)]
pub(super) struct Policy {
    statement_timeout: Option<Duration>,
    inline: Inline,
}

/// An open connection that reads.
#[derive(Debug)]
pub(super) struct Reader {
    conn: Connection,
    guard: Arc<Guard>,
}

/// A reader in use; dropping it ends its transaction and gives it back.
#[derive(Debug)]
pub(super) struct Lease(Option<pool::Lease<File>>);

/// What came of a statement that was tried on a reader.
pub(super) enum Read {
    Done(Outcome),
    /// The statement writes: it belongs to the writer.
    Writes(Work),
}

impl Manage for File {
    type Conn = Reader;

    async fn connect(&self) -> Result<Reader> {
        let file = self.clone();
        let connected = tokio::task::spawn_blocking(move || {
            let guard = Arc::<Guard>::default();
            let conn = connect(&file, Role::Reader, &guard)?;
            Ok(Reader { conn, guard })
        });
        connected.await.map_err(|_| lost())?
    }

    fn is_usable(&self, _: &Reader) -> bool {
        true
    }

    async fn ping(&self, _: &mut Reader) -> bool {
        true
    }
}

impl Pool {
    pub(super) async fn open(file: File, settings: &Settings, policy: Arc<Policy>) -> Result<Self> {
        Ok(Self {
            pool: pool::Pool::open(file, Limits::of(settings)).await?,
            policy,
        })
    }

    /// Takes a reader out of the pool.
    pub(super) async fn acquire(&self) -> Result<Lease> {
        self.pool.acquire().await.map(|lease| Lease(Some(lease)))
    }

    /// Runs a lookup on this task, unless there is no place or no reader for it right now.
    pub(super) fn try_inline(&self, work: &Work) -> Option<Result<Outcome>> {
        let Work::Fetch { plan, .. } = work else {
            return None;
        };
        if !plan.sqlite.may_run_inline(Way::Lookup) {
            return None;
        }
        let _place = self.policy.place()?;
        let lease = Lease(Some(self.pool.try_acquire()?));
        run_inline(&lease, plan, work)
    }

    /// Runs a statement if it only reads.
    pub(super) async fn read(&self, work: Work) -> Result<Read> {
        self.policy.run(self.acquire().await?, work).await
    }

    /// Takes a reader out of the pool and pins it to the present state of the database.
    pub(super) async fn snapshot(&self) -> Result<Lease> {
        let lease = self.acquire().await?;
        let begin = |lease: Lease| {
            let conn = &lease.reader()?.conn;
            control(conn, "BEGIN").map_err(translate)?;
            // `BEGIN` alone takes no snapshot; the first read does.
            patiently(|| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))
                .map_err(translate)?;
            Ok(lease)
        };
        self.policy.on_thread(lease, begin).await
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// Refuses further calls and waits for the readers to come back.
    pub(super) async fn close(&self, grace: Duration) -> Result<()> {
        self.pool.close(grace).await
    }

    pub(super) fn stats(&self) -> Stats {
        self.pool.stats()
    }
}

impl Policy {
    /// Makes the policy for the runtime of this task.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            statement_timeout: settings.statement_timeout,
            inline: Inline::among(Handle::current().metrics().num_workers()),
        }
    }

    /// Takes a place for a statement on this task, if there is one.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        self.inline.take()
    }

    /// Runs a statement on this task if it is quick, else on a thread.
    pub(super) async fn run<L>(&self, lease: L, mut work: Work) -> Result<Read>
    where
        L: Borrow<Lease> + Send + 'static,
    {
        // A task that runs nothing but quick statements lets others run now and then.
        consume_budget().await;
        if let Work::Fetch { plan, .. } = &work
            && plan.sqlite.may_run_inline(Way::Lookup)
            && let Some(_place) = self.place()
            && let Some(result) = run_inline(lease.borrow(), plan, &work)
        {
            return result.map(Read::Done);
        }
        if let (Work::Stream { rows, .. }, Some(timeout)) = (&mut work, self.statement_timeout) {
            // The limit is for the time between two chunks; the reader's does not count.
            let guard = Arc::clone(&lease.borrow().reader()?.guard);
            rows.after_each(move || guard.extend(Instant::now() + timeout));
        }
        self.on_thread(lease, |lease| lease.borrow().run(work))
            .await
    }

    /// Runs on a blocking thread, and is interrupted when the future is dropped.
    async fn on_thread<L, T>(
        &self,
        lease: L,
        task: impl FnOnce(L) -> Result<T> + Send + 'static,
    ) -> Result<T>
    where
        L: Borrow<Lease> + Send + 'static,
        T: Send + 'static,
    {
        let deadline = self
            .statement_timeout
            .map(|timeout| Instant::now() + timeout);
        let cancel = CancelOnDrop::start(&lease.borrow().reader()?.guard, deadline);
        let joined = tokio::task::spawn_blocking(move || task(lease)).await;
        cancel.disarm();
        match joined {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                // The caller's own, out of the reading of a row.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(lost()),
            },
        }
    }
}

/// Returns `None` if the statement belongs on a thread after all.
fn run_inline(lease: &Lease, plan: &Plan, work: &Work) -> Option<Result<Outcome>> {
    let Reader { conn, guard } = lease.reader().ok()?;
    let end = Instant::now() + BUDGET;
    guard.start(Some(end));
    let result = run_reading(conn, work);
    let is_late = Instant::now() > end;
    plan.sqlite.ran_inline(is_late);
    match result {
        Err(error) if is_late && is_interrupted(&error) => None,
        // Waiting is for threads.
        Err(error) if *error.kind() == ErrorKind::Busy => None,
        result => Some(result),
    }
}

impl Lease {
    fn reader(&self) -> Result<&Reader> {
        self.0.as_ref().map(pool::Lease::conn).ok_or_else(lost)
    }

    /// Runs a statement if it only reads; on a thread, since it may wait for another process.
    fn run(&self, work: Work) -> Result<Read> {
        let conn = &self.reader()?.conn;
        if let Some(plan) = work.plan()
            && patiently(|| way(conn, plan))?.writes()
        {
            return Ok(Read::Writes(work));
        }
        let flight = self.0.as_ref().map(|lease| lease.take_off(work.plan()));
        let result = patiently(|| run_reading(conn, &work));
        if let Some(flight) = flight {
            flight.land();
        }
        result.map(Read::Done)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(lease) = self.0.take() else { return };
        let conn = &lease.conn().conn;
        if !conn.is_autocommit() && control(conn, "ROLLBACK").is_err() {
            lease.discard();
        }
    }
}

impl Reader {
    /// Returns a number that changes when another connection commits.
    pub(super) fn version(&self) -> Result<i64> {
        patiently(|| version(&self.conn)).map_err(translate)
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the thread of a database reader was lost",
    )
}

/// Stops a statement that nobody waits for any more.
struct CancelOnDrop {
    guard: Arc<Guard>,
    run: Option<u64>,
}

impl CancelOnDrop {
    fn start(guard: &Arc<Guard>, deadline: Option<Instant>) -> Self {
        Self {
            run: Some(guard.start(deadline)),
            guard: Arc::clone(guard),
        }
    }

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
