//! The writer: one thread, one connection, group commit.
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

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use super::connection::{
    BUSY_BOUND, File, Guard, Role, connect, control, jitter, patiently, run, version,
};
use super::error::{translate, translate_commit};
use super::is_checkpoint;
use super::turn::Turn;
use crate::error::{Error, ErrorKind, Holder, Result};
use crate::plan::{Outcome, Plan, Work};
use crate::pool::Desk;

/// Jobs that share one commit at most.
const GROUP_JOBS: usize = 64;

/// A group takes no further job after this time.
const GROUP_TIME: Duration = Duration::from_millis(50);

/// How long a closure of a group may pause while the answers of others wait for it.
const GROUP_PAUSE: Duration = Duration::from_millis(50);

/// Jobs that may wait before callers wait for a place in the queue.
const QUEUE: usize = 1024;

/// How long a checkpoint waits for readers that are about to end; others wait behind it.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(250);

const LOG_IN_USE: &str =
    "a reader holds a part of the write-ahead log; run the checkpoint again when it is done";

/// The near end of the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Mutex<Option<tokio_mpsc::Sender<Job>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
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

impl Writer {
    /// Opens the writing connection and starts its thread.
    pub(super) fn start(file: &File, acquire_timeout: Duration) -> Result<Self> {
        let guard = Arc::new(Guard::default());
        let conn = connect(file, Role::Writer, &guard)?;
        let turn = if file.temporary {
            Turn::alone()
        } else {
            Turn::beside(Path::new(&file.path))
        };
        let (jobs, queue) = tokio_mpsc::channel(QUEUE);
        let desk = Arc::<Desk>::default();
        let far_desk = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("athena-db-writer".to_owned())
            .spawn(move || {
                Thread {
                    conn,
                    guard,
                    turn,
                    queue,
                    pending: None,
                    desk: far_desk,
                }
                .work();
            });
        let thread = thread.map_err(|error| {
            Error::new(
                ErrorKind::Other,
                format!("cannot start the writer thread: {error}"),
            )
        })?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            desk,
            acquire_timeout,
        })
    }

    /// Runs a statement in a transaction of its own, shared with its neighbours.
    pub(super) async fn run(&self, work: Work) -> Result<Outcome> {
        self.statement(work, Job::Statement).await
    }

    /// Runs a statement outside any transaction.
    pub(super) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        self.statement(work, Job::Alone).await
    }

    async fn statement(&self, work: Work, job: fn(StatementJob) -> Job) -> Result<Outcome> {
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
        Ok(Listener(jobs.downgrade()))
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
pub(super) struct Listener(tokio_mpsc::WeakSender<Job>);

impl Listener {
    /// Returns a number that changes when another connection commits, but not with the writer's own.
    pub(super) async fn version(&self) -> Result<i64> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.0.upgrade().ok_or_else(Error::closed)?;
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

/// The far end: owns the connection.
struct Thread {
    conn: Connection,
    guard: Arc<Guard>,
    turn: Turn,
    queue: tokio_mpsc::Receiver<Job>,
    /// A job that ended a group because it cannot share.
    pending: Option<Job>,
    desk: Arc<Desk>,
}

/// A job of a group that has run and waits for the commit.
enum Ran {
    Statement {
        work: Work,
        result: Result<Outcome>,
        reply: oneshot::Sender<Answer>,
    },
    /// A closure that committed, or was rolled back after it may have seen its neighbours' work.
    Session(oneshot::Sender<Result<()>>),
}

/// How a transaction on this thread ended.
enum End {
    Commit(oneshot::Sender<Result<()>>),
    Rollback(Option<oneshot::Sender<Result<()>>>),
    /// SQLite rolled back everything by itself.
    Collapsed,
}

impl Thread {
    fn work(mut self) {
        while let Some(job) = self.next() {
            self.desk.occupy(Instant::now());
            match job {
                Job::Alone(job) => self.run_outside(job),
                Job::Session(job) if !job.shares => self.run_unshared(job),
                Job::Version(reply) => drop(reply.send(version(&self.conn).map_err(translate))),
                job => self.run_group(job),
            }
            self.desk.leave();
        }
    }

    fn next(&mut self) -> Option<Job> {
        self.pending.take().or_else(|| self.queue.blocking_recv())
    }

    /// The next waiting job that can join the group; one that cannot is kept for later.
    fn next_in_group(&mut self, jobs: usize) -> Option<Job> {
        let waiting = self.queue.try_recv().or_else(|nobody| {
            if jobs == 1 {
                return Err(nobody);
            }
            // Where there are several there are often more, about to be sent.
            std::thread::yield_now();
            self.queue.try_recv()
        });
        match waiting.ok()? {
            job @ Job::Statement(_) => Some(job),
            Job::Session(job) if job.shares => Some(Job::Session(job)),
            job => {
                self.pending = Some(job);
                None
            }
        }
    }

    fn run_group(&mut self, first: Job) {
        let Some(first) = claimed(first) else { return };
        if let Err(error) = self.begin() {
            return refuse(first, error);
        }
        let started = Instant::now();
        let mut group = Vec::new();
        let mut next = Some(first);
        let mut jobs = 0;
        while let Some(job) = next.take() {
            jobs += 1;
            group.extend(self.run_in_group(job, jobs == 1));
            if self.conn.is_autocommit() {
                return self.replay(group, jobs);
            }
            if jobs < GROUP_JOBS && started.elapsed() < GROUP_TIME {
                next = self.next_in_group(jobs).and_then(claimed);
            }
        }
        match self.commit() {
            Ok(()) => group.into_iter().for_each(Ran::acknowledge),
            Err(error) if jobs == 1 => group
                .into_iter()
                .for_each(|ran| ran.fail(error_again(&error))),
            Err(_) => self.replay(group, jobs),
        }
    }

    /// Runs a job; the first of a group needs no savepoint, as it has nobody's work to spare.
    fn run_in_group(&mut self, job: Job, first: bool) -> Option<Ran> {
        match job {
            Job::Statement(job) | Job::Alone(job) => {
                self.note(&job.work);
                let result = match &job.work {
                    work if first => self.or_nothing(work),
                    work @ Work::Execute { .. } => self.execute_in_group(work),
                    work => self.in_savepoint(work),
                };
                Some(Ran::Statement {
                    work: job.work,
                    result,
                    reply: job.reply,
                })
            }
            Job::Session(job) if first => self.session_first(job),
            Job::Session(job) => self.session_in_group(job),
            Job::Version(_) => None,
        }
    }

    fn note(&self, work: &Work) {
        if let Some(plan) = work.plan() {
            self.desk.note(plan);
        }
    }

    /// Undoes the whole transaction if the work fails.
    fn or_nothing(&mut self, work: &Work) -> Result<Outcome> {
        let result = run(&self.conn, work);
        if result.is_err() {
            self.roll_back();
        }
        result
    }

    /// Runs one statement without the cost of a savepoint, since SQLite undoes a failed one by
    /// itself. If part of it stayed (`OR FAIL`), everything is undone and each job replayed.
    fn execute_in_group(&mut self, work: &Work) -> Result<Outcome> {
        let before = self.conn.total_changes();
        let result = run(&self.conn, work);
        if result.is_err() && self.conn.total_changes() != before {
            self.roll_back();
        }
        result
    }

    fn in_savepoint(&mut self, work: &Work) -> Result<Outcome> {
        control(&self.conn, "SAVEPOINT athena_job").map_err(translate)?;
        let result = run(&self.conn, work);
        let ended = self.end_savepoint(result.is_ok());
        ended.and(result)
    }

    /// Keeps or undoes the job's work; does nothing if SQLite has undone everything already.
    fn end_savepoint(&mut self, keep: bool) -> Result<()> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        if !keep {
            control(&self.conn, "ROLLBACK TO athena_job").map_err(translate)?;
        }
        control(&self.conn, "RELEASE athena_job").map_err(translate)
    }

    fn session_first(&mut self, job: SessionJob) -> Option<Ran> {
        match self.converse(job, None, None) {
            End::Commit(reply) => return Some(Ran::Session(reply)),
            End::Rollback(reply) => {
                self.roll_back();
                reply.map(|reply| reply.send(Ok(())));
            }
            End::Collapsed => {}
        }
        None
    }

    fn session_in_group(&mut self, job: SessionJob) -> Option<Ran> {
        if let Err(error) = control(&self.conn, "SAVEPOINT athena_job").map_err(translate) {
            let _ = job.ready.send(Err(error));
            return None;
        }
        let state = Arc::clone(&job.state);
        let end = self.converse(job, None, Some(GROUP_PAUSE));
        let keep = matches!(end, End::Commit(_));
        if self.end_savepoint(keep).is_err() {
            // Only a broken connection refuses this; nothing of the group may be acknowledged.
            let _ = control(&self.conn, "ROLLBACK");
        }
        if self.conn.is_autocommit() {
            state.leave(LOST);
        }
        match end {
            End::Commit(reply) | End::Rollback(Some(reply)) => Some(Ran::Session(reply)),
            End::Rollback(None) | End::Collapsed => None,
        }
    }

    /// Serves a transaction until it ends by itself, is dropped, pauses for too long, or its
    /// deadline comes.
    fn converse(
        &mut self,
        job: SessionJob,
        interrupt_at: Option<Instant>,
        pause: Option<Duration>,
    ) -> End {
        let deadline = Instant::now() + job.deadline;
        if job.ready.send(Ok(())).is_err() {
            return End::Rollback(None);
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = pause.map_or(left, |pause| pause.min(left));
            match job.requests.recv_timeout(patience) {
                Ok(Request::Finish {
                    commit: true,
                    reply,
                }) => return End::Commit(reply),
                Ok(Request::Finish {
                    commit: false,
                    reply,
                }) => return End::Rollback(Some(reply)),
                Ok(Request::Run { work, reply }) => {
                    self.note(&work);
                    self.guard.start(interrupt_at);
                    let result = run(&self.conn, &work);
                    self.guard.start(None);
                    if Instant::now() > deadline {
                        return self.expire(&job.state, Some(reply));
                    }
                    if self.conn.is_autocommit() {
                        job.state.leave(LOST);
                        let _ = reply.send(result.and(Err(lost_with_neighbour())));
                        return End::Collapsed;
                    }
                    let _ = reply.send(result);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return End::Rollback(None),
                Err(mpsc::RecvTimeoutError::Timeout) if patience < left => {
                    job.state.leave(SET_ASIDE);
                    return End::Rollback(None);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => return self.expire(&job.state, None),
            }
        }
    }

    fn expire(&self, state: &SessionState, reply: Option<oneshot::Sender<Result<Outcome>>>) -> End {
        state.leave(EXPIRED);
        if let Some(reply) = reply {
            let _ = reply.send(Err(Error::expired(state.deadline)));
        }
        if self.conn.is_autocommit() {
            End::Collapsed
        } else {
            End::Rollback(None)
        }
    }

    fn run_unshared(&mut self, job: SessionJob) {
        if job.enforces {
            return self.run_session(job);
        }
        // SQLite ignores this setting inside a transaction.
        if let Err(error) = self.enforce_foreign_keys(false) {
            let _ = job.ready.send(Err(error));
            return;
        }
        self.run_session(job);
        if let Err(error) = self.enforce_foreign_keys(true) {
            tracing::error!(target: "athena_db", system = "sqlite", %error, "foreign keys are not enforced any more");
        }
    }

    fn enforce_foreign_keys(&self, enforce: bool) -> Result<()> {
        let set = self.conn.pragma_update(None, "foreign_keys", enforce);
        set.map_err(translate)
    }

    fn run_session(&mut self, job: SessionJob) {
        if !job.ticket.claim() || job.ready.is_closed() {
            return;
        }
        if let Err(error) = self.begin() {
            let _ = job.ready.send(Err(error));
            return;
        }
        let interrupt_at = Instant::now() + job.deadline;
        match self.converse(job, Some(interrupt_at), None) {
            End::Commit(reply) => {
                let result = self.commit();
                let _ = reply.send(result);
            }
            End::Rollback(reply) => {
                self.roll_back();
                reply.map(|reply| reply.send(Ok(())));
            }
            End::Collapsed => {}
        }
    }

    fn run_outside(&mut self, job: StatementJob) {
        if !job.ticket.claim() || job.reply.is_closed() {
            return;
        }
        self.note(&job.work);
        let result = match &job.work {
            Work::Execute { plan, .. } if is_checkpoint(plan) => self.checkpoint(plan),
            work => patiently(|| run(&self.conn, work)),
        };
        let _ = job.reply.send((result, job.work));
    }

    /// Runs a checkpoint, which tells in its row whether it had to leave something for later.
    fn checkpoint(&self, plan: &Plan) -> Result<Outcome> {
        let deadline = Instant::now() + CHECKPOINT_PATIENCE;
        loop {
            let mut statement = self.conn.prepare(&plan.text).map_err(translate)?;
            let busy: bool = statement
                .query_row([], |row| row.get(0))
                .map_err(translate)?;
            if !busy {
                return Ok(Outcome::Count(0));
            }
            if Instant::now() > deadline {
                return Err(Error::new(ErrorKind::Busy, LOG_IN_USE));
            }
            std::thread::sleep(jitter());
        }
    }

    /// Runs each job of a group that came to nothing again, for itself.
    fn replay(&mut self, group: Vec<Ran>, jobs: usize) {
        for ran in group {
            match ran {
                Ran::Statement {
                    work,
                    result: Err(error),
                    reply,
                } if jobs == 1 => drop(reply.send((Err(error), work))),
                Ran::Statement { work, reply, .. } => {
                    let result = self.run_by_itself(&work);
                    drop(reply.send((result, work)));
                }
                Ran::Session(reply) => drop(reply.send(Err(lost_with_neighbour()))),
            }
        }
    }

    fn run_by_itself(&mut self, work: &Work) -> Result<Outcome> {
        self.begin()?;
        match run(&self.conn, work) {
            Ok(outcome) => self.commit().map(|()| outcome),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Begins to write, waiting for other processes in turn.
    fn begin(&mut self) -> Result<()> {
        let _turn = self.turn.take(BUSY_BOUND);
        patiently(|| control(&self.conn, "BEGIN IMMEDIATE")).map_err(translate)
    }

    /// Commits; a failed commit leaves nothing behind.
    fn commit(&self) -> Result<()> {
        let committed = patiently(|| control(&self.conn, "COMMIT"));
        if committed.is_err() {
            self.roll_back();
        }
        committed.map_err(translate_commit)
    }

    fn roll_back(&self) {
        if !self.conn.is_autocommit() && control(&self.conn, "ROLLBACK").is_err() {
            tracing::warn!(target: "athena_db", system = "sqlite", "a rollback failed");
        }
    }
}

impl Ran {
    fn acknowledge(self) {
        match self {
            Self::Statement {
                work,
                result,
                reply,
            } => drop(reply.send((result, work))),
            Self::Session(reply) => drop(reply.send(Ok(()))),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Self::Statement { work, reply, .. } => drop(reply.send((Err(error), work))),
            Self::Session(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// Takes the job unless its caller has given up or gone.
fn claimed(job: Job) -> Option<Job> {
    let wanted = match &job {
        Job::Statement(job) | Job::Alone(job) => job.ticket.claim() && !job.reply.is_closed(),
        Job::Session(job) => job.ticket.claim() && !job.ready.is_closed(),
        Job::Version(reply) => !reply.is_closed(),
    };
    wanted.then_some(job)
}

fn refuse(job: Job, error: Error) {
    match job {
        Job::Statement(job) | Job::Alone(job) => drop(job.reply.send((Err(error), job.work))),
        Job::Session(job) => drop(job.ready.send(Err(error))),
        Job::Version(reply) => drop(reply.send(Err(error))),
    }
}

fn error_again(error: &Error) -> Error {
    Error::new(error.kind().clone(), error.to_string())
        .with_code(error.code().unwrap_or_default())
        .with_constraint(error.constraint().map(str::to_owned))
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
