//! The writer: one connection, one thread with group commit, and short writes on tasks.
//!
//! Two changes of thread cost more than a short write, so one that is alone runs on the task that
//! asks for it: nobody else is writing, it is known to write a few rows by their keys, and its commit
//! does not wait for the disk. Everything else is a job for the thread, and so is what meets another
//! process or takes too long. Whoever waits for the thread is counted until he goes on, so that tasks
//! that write side by side stay together in groups.
//!
//! Statements and closure transactions that wait at the same time share one `BEGIN IMMEDIATE …
//! COMMIT`, each in a savepoint of its own, and no answer leaves before the commit is durable.
//! A failed job undoes its savepoint and hurts nobody else. If a failure takes the whole
//! transaction along (disk full, I/O error, out of memory, a deferred constraint at the commit),
//! nothing is lost either: every statement of the group is replayed alone, and every closure is
//! told to run again. Transactions from `begin` cannot be run again and therefore never share.
//!
//! A transaction of a closure or of `begin` talks to this thread through a channel. It cannot
//! hold the writer for longer than its deadline, and a dropped one is rolled back at once. A closure
//! that pauses while neighbours wait for the commit is set aside and told to run again, alone.
//!
//! The thread also runs the checkpoints, after the answers have left; SQLite would run them inside a
//! commit.

mod pen;
mod thread;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use self::pen::{Pen, Tray};
use self::thread::Thread;
use super::connection::File;
use super::facts::Way;
use super::pool::Policy;
use crate::database::Durability;
use crate::error::{Error, ErrorKind, Holder, Result};
use crate::plan::{Outcome, Plan, Work};
use crate::pool::Desk;
use crate::value::Value;

/// Jobs that may wait before callers wait for a place in the queue.
const QUEUE: usize = 1024;

/// Rows that a write on a task has at most.
const SHORT_ROWS: usize = 128;

/// Bytes that a write on a task has at most.
const SHORT_BYTES: usize = 64 * 1024;

/// The near end of the writer.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Mutex<Option<tokio_mpsc::Sender<Job>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    tray: Arc<Tray>,
    /// Says which writes may run on tasks; absent if their commits wait for the disk.
    policy: Option<Arc<Policy>>,
    in_flight: Arc<AtomicUsize>,
    /// Who has the connection.
    desk: Arc<Desk>,
    acquire_timeout: Duration,
}

/// The near end of a transaction on the writer thread.
#[derive(Debug)]
pub(crate) struct Session {
    requests: mpsc::Sender<Request>,
    state: Arc<SessionState>,
}

#[derive(Debug)]
enum Job {
    Statement(StatementJob),
    /// Runs outside a transaction: `VACUUM`, `PRAGMA`.
    Alone(StatementJob),
    Session(SessionJob),
    /// Asks for the number that changes when another connection has committed.
    Version(oneshot::Sender<Result<i64>>),
    /// Asks for nothing but the look at the log that follows every job.
    Checkpoint,
}

#[derive(Debug)]
struct StatementJob {
    work: Work,
    ticket: Ticket,
    reply: oneshot::Sender<Answer>,
}

/// What came of a statement. Its values go back too: memory is freed cheapest by the thread that
/// allocated it.
type Answer = (Result<Outcome>, Work);

#[derive(Debug)]
struct SessionJob {
    shares: bool,
    /// Whether foreign keys are enforced while it runs.
    enforces: bool,
    deadline: Duration,
    ticket: Ticket,
    ready: oneshot::Sender<Result<()>>,
    requests: mpsc::Receiver<Request>,
    state: Arc<SessionState>,
}

#[derive(Debug)]
enum Request {
    Run {
        work: Work,
        reply: oneshot::Sender<Result<Outcome>>,
    },
    Finish {
        commit: bool,
        reply: oneshot::Sender<Result<()>>,
    },
}

#[derive(Debug)]
struct SessionState {
    phase: AtomicU8,
    deadline: Duration,
}

const OPEN: u8 = 0;
const EXPIRED: u8 = 1;
const LOST: u8 = 2;
const SET_ASIDE: u8 = 3;

/// Decides, once, whether a job starts or its caller has given up.
#[derive(Debug, Clone, Default)]
struct Ticket(Arc<AtomicBool>);

impl Ticket {
    fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }
}

/// A caller who has sent a job and not yet gone on with the answer, or given it up.
struct Flight<'a>(&'a AtomicUsize);

impl<'a> Flight<'a> {
    fn begin(in_flight: &'a AtomicUsize) -> Self {
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(in_flight)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Writer {
    /// Opens the writing connection and starts its thread.
    pub(super) fn start(
        file: &File,
        acquire_timeout: Duration,
        policy: Arc<Policy>,
    ) -> Result<Self> {
        let desk = Arc::<Desk>::default();
        let waits_for_disk = !file.temporary && file.durability == Durability::Full;
        let policy = (!waits_for_disk).then_some(policy);
        let pen = Pen::open(file, Arc::clone(&desk), policy.is_some())?;
        let tray = Arc::new(Tray::with(pen));
        let (jobs, queue) = tokio_mpsc::channel(QUEUE);
        let far_end = Thread::new(Arc::clone(&tray), queue);
        let thread = std::thread::Builder::new()
            .name("athena-db-writer".to_owned())
            .spawn(move || far_end.work());
        let thread = thread.map_err(|error| {
            Error::new(
                ErrorKind::Other,
                format!("cannot start the writer thread: {error}"),
            )
        })?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            tray,
            policy,
            in_flight: Arc::default(),
            desk,
            acquire_timeout,
        })
    }

    /// Runs a statement in a transaction of its own, shared with its neighbours.
    pub(super) async fn run(&self, work: Work) -> Result<Outcome> {
        self.statement(work, Job::Statement).await
    }

    /// Runs a short write on this task, in a transaction of its own, unless it would have to wait
    /// for somebody.
    pub(super) fn try_inline(&self, work: &Work) -> Option<Result<Outcome>> {
        let policy = self.policy.as_ref()?;
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let plan = short_write(work)?;
        let _place = policy.place()?;
        if lock(&self.jobs).as_ref()?.is_closed() {
            return None;
        }
        let mut pen = self.tray.try_lock()?;
        let pen = pen.as_mut()?;
        let result = pen.write_at_once(plan, work);
        if pen.log.is_due() && !pen.log.asked {
            pen.log.asked = self.ask_for_checkpoint();
        }
        result
    }

    /// Returns whether a checkpoint will come.
    fn ask_for_checkpoint(&self) -> bool {
        let jobs = lock(&self.jobs);
        jobs.as_ref()
            .is_some_and(|jobs| jobs.try_send(Job::Checkpoint).is_ok())
    }

    /// Runs a statement outside any transaction.
    pub(super) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        self.statement(work, Job::Alone).await
    }

    async fn statement(&self, work: Work, job: fn(StatementJob) -> Job) -> Result<Outcome> {
        let _flight = Flight::begin(&self.in_flight);
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::default();
        self.send(job(StatementJob {
            work,
            ticket: ticket.clone(),
            reply,
        }))
        .await?;
        let (result, _) = self.await_start(answer, &ticket).await?;
        result
    }

    /// Starts a transaction; with `shares` it commits together with its neighbours.
    pub(super) async fn begin(&self, deadline: Duration, shares: bool) -> Result<Session> {
        self.start_session(deadline, shares, true).await
    }

    /// Starts a transaction in which foreign keys are not enforced, so that a table can be made
    /// anew under the rows that refer to it.
    pub(super) async fn begin_unenforced(&self, deadline: Duration) -> Result<Session> {
        self.start_session(deadline, false, false).await
    }

    async fn start_session(
        &self,
        deadline: Duration,
        shares: bool,
        enforces: bool,
    ) -> Result<Session> {
        let _flight = Flight::begin(&self.in_flight);
        let (ready, answer) = oneshot::channel();
        let (requests, received) = mpsc::channel();
        let state = Arc::new(SessionState {
            phase: AtomicU8::new(OPEN),
            deadline,
        });
        let ticket = Ticket::default();
        let job = SessionJob {
            shares,
            enforces,
            deadline,
            ticket: ticket.clone(),
            ready,
            requests: received,
            state: Arc::clone(&state),
        };
        self.send(Job::Session(job)).await?;
        self.await_start(answer, &ticket).await??;
        Ok(Session { requests, state })
    }

    /// Returns a way to ask the writer's connection for commits of others; it ends with the writer.
    pub(super) fn listener(&self) -> Result<Listener> {
        let jobs = lock(&self.jobs);
        let jobs = jobs.as_ref().ok_or_else(Error::closed)?;
        Ok(Listener {
            jobs: jobs.downgrade(),
            in_flight: Arc::clone(&self.in_flight),
        })
    }

    /// Who has had the writer for how long.
    pub(super) fn holder(&self) -> Option<Holder> {
        self.desk.holder()
    }

    /// Finishes what waits, closes the connection and ends the thread.
    pub(super) async fn close(&self, grace: Duration) -> Result<()> {
        lock(&self.jobs).take();
        let Some(thread) = lock(&self.thread).take() else {
            return Ok(());
        };
        let ended = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(grace, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::still_in_use(grace, 1, self.holder())),
        }
    }

    async fn send(&self, job: Job) -> Result<()> {
        let jobs = lock(&self.jobs).clone().ok_or_else(Error::closed)?;
        match jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(stopped()),
            Err(TrySendError::Full(job)) => Box::pin(self.send_in_turn(jobs, job)).await,
        }
    }

    async fn send_in_turn(&self, jobs: tokio_mpsc::Sender<Job>, job: Job) -> Result<()> {
        match tokio::time::timeout(self.acquire_timeout, jobs.send(job)).await {
            Ok(sent) => sent.map_err(|_| stopped()),
            Err(_) => Err(self.exhausted()),
        }
    }

    /// Waits patiently once the job has started, and only so long before.
    async fn await_start<T>(&self, mut answer: oneshot::Receiver<T>, ticket: &Ticket) -> Result<T> {
        match tokio::time::timeout(self.acquire_timeout, &mut answer).await {
            Ok(answer) => answer.map_err(|_| stopped()),
            Err(_) if ticket.claim() => Err(self.exhausted()),
            Err(_) => answer.await.map_err(|_| stopped()),
        }
    }

    fn exhausted(&self) -> Error {
        Error::pool_exhausted(self.acquire_timeout, self.holder())
    }
}

/// Asks the writer's connection for commits of others, and does not keep it alive.
#[derive(Debug)]
pub(super) struct Listener {
    jobs: tokio_mpsc::WeakSender<Job>,
    in_flight: Arc<AtomicUsize>,
}

impl Listener {
    /// Returns a number that changes when another connection commits, but not with the writer's own.
    pub(super) async fn version(&self) -> Result<i64> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.upgrade().ok_or_else(Error::closed)?;
        let _flight = Flight::begin(&self.in_flight);
        jobs.send(Job::Version(reply))
            .await
            .map_err(|_| stopped())?;
        drop(jobs);
        answer.await.map_err(|_| stopped())?
    }
}

impl Session {
    pub(super) async fn run(&self, work: Work) -> Result<Outcome> {
        self.ask(|reply| Request::Run { work, reply }).await
    }

    pub(super) async fn commit(&self) -> Result<()> {
        self.ask(|reply| Request::Finish {
            commit: true,
            reply,
        })
        .await
    }

    /// Rolls back; that the transaction is gone already is no error.
    ///
    /// It still fails if a neighbour's collapse may have taken back what this transaction has read:
    /// whatever the caller concluded from that is to be concluded again.
    pub(super) async fn rollback(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self
            .requests
            .send(Request::Finish {
                commit: false,
                reply,
            })
            .is_err()
        {
            return self.state.undone();
        }
        answer.await.unwrap_or_else(|_| self.state.undone())
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .map_err(|_| self.state.why_gone())?;
        answer.await.map_err(|_| self.state.why_gone())?
    }
}

impl SessionState {
    fn leave(&self, phase: u8) {
        self.phase.store(phase, Ordering::SeqCst);
    }

    fn why_gone(&self) -> Error {
        match self.phase.load(Ordering::SeqCst) {
            EXPIRED => Error::expired(self.deadline),
            LOST => lost_with_neighbour(),
            SET_ASIDE => set_aside(),
            _ => stopped(),
        }
    }

    /// Whether a transaction that is gone may be taken as rolled back.
    fn undone(&self) -> Result<()> {
        match self.phase.load(Ordering::SeqCst) {
            SET_ASIDE => Err(set_aside()),
            _ => Ok(()),
        }
    }
}

/// The plan of work that may run on a task.
fn short_write(work: &Work) -> Option<&Arc<Plan>> {
    let (plan, rows) = match work {
        Work::Execute { plan, values } => (plan, std::slice::from_ref(values)),
        Work::ExecuteMany { plan, rows } => (plan, rows.as_slice()),
        Work::Fetch { .. } | Work::Stream { .. } | Work::Batch(_) => return None,
    };
    let mut left = SHORT_BYTES;
    let is_short =
        rows.len() <= SHORT_ROWS && rows.iter().flatten().all(|value| fits(&mut left, value));
    (is_short && plan.sqlite.may_run_inline(Way::ShortWrite)).then_some(plan)
}

/// Takes the value's bytes off what is left, if they fit.
fn fits(left: &mut usize, value: &Value) -> bool {
    match value {
        Value::Text(text) => takes(left, text.len()),
        Value::Bytes(bytes) => takes(left, bytes.len()),
        Value::Decimal(decimal) => takes(left, decimal.as_str().len()),
        Value::Vector(numbers) => takes(left, size_of_val(numbers.as_slice())),
        Value::List(values) => values.iter().all(|value| fits(left, value)),
        Value::Json(json) => json_fits(left, json),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Real(_) => takes(left, 8),
        Value::Uuid(_) | Value::Time(_) | Value::Date(_) => takes(left, 36),
    }
}

fn json_fits(left: &mut usize, json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => takes(left, 8),
        Json::String(text) => takes(left, text.len()),
        Json::Array(items) => {
            takes(left, items.len()) && items.iter().all(|item| json_fits(left, item))
        }
        Json::Object(members) => members
            .iter()
            .all(|(name, item)| takes(left, name.len()) && json_fits(left, item)),
    }
}

fn takes(left: &mut usize, bytes: usize) -> bool {
    let rest = left.checked_sub(bytes);
    *left = rest.unwrap_or_default();
    rest.is_some()
}

fn lost_with_neighbour() -> Error {
    Error::new(
        ErrorKind::Serialization,
        "the transaction was undone together with another one and can be run again",
    )
}

fn set_aside() -> Error {
    Error::new(
        ErrorKind::Serialization,
        "the transaction paused while others waited for it and can be run again",
    )
}

fn stopped() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the database is closed, or its writer has stopped",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
