//! The far end of the writer: the thread, and what it does with the pen.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::super::connection::{control, jitter, patiently, run, version};
use super::super::error::translate;
use super::super::facts::way;
use super::super::is_checkpoint;
use super::pen::{Pen, Tray};
use super::{
    Answer, EXPIRED, Job, LOST, Request, SET_ASIDE, SessionJob, SessionState, StatementJob,
    lost_with_neighbour,
};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Class, Outcome, Plan, Work};

/// Jobs that share one commit at most.
const GROUP_JOBS: usize = 64;

/// A group takes no further job after this time.
const GROUP_TIME: Duration = Duration::from_millis(50);

/// How long a closure of a group may pause while the answers of others wait for it.
const GROUP_PAUSE: Duration = Duration::from_millis(50);

/// How long a checkpoint waits for readers that are about to end; others wait behind it.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(250);

const LOG_IN_USE: &str =
    "a reader holds a part of the write-ahead log; run the checkpoint again when it is done";

/// The writer thread. It takes the pen for each job or group and closes the connection at its end.
pub(super) struct Thread {
    tray: Arc<Tray>,
    queue: Queue,
}

struct Queue {
    jobs: mpsc::Receiver<Job>,
    /// A job that ended a group because it cannot share.
    pending: Option<Job>,
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
    pub(super) fn new(tray: Arc<Tray>, jobs: mpsc::Receiver<Job>) -> Self {
        let queue = Queue {
            jobs,
            pending: None,
        };
        Self { tray, queue }
    }

    pub(super) fn work(mut self) {
        while let Some(job) = self.queue.next() {
            let Some(pen) = &mut *self.tray.lock() else {
                return;
            };
            pen.desk.occupy(Instant::now());
            pen.serve(job, &mut self.queue);
            pen.shorten_log();
            pen.desk.leave();
        }
    }
}

impl Drop for Thread {
    /// Closes the connection, after a panic too.
    fn drop(&mut self) {
        self.tray.lock().take();
    }
}

impl Queue {
    fn next(&mut self) -> Option<Job> {
        self.pending.take().or_else(|| self.jobs.blocking_recv())
    }

    /// The next waiting job that can join the group; one that cannot is kept for later.
    fn next_in_group(&mut self, jobs: usize) -> Option<Job> {
        let waiting = self.jobs.try_recv().or_else(|nobody| {
            if jobs == 1 {
                return Err(nobody);
            }
            // Where there are several there are often more, about to be sent.
            std::thread::yield_now();
            self.jobs.try_recv()
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
}

impl Pen {
    fn serve(&mut self, job: Job, queue: &mut Queue) {
        match job {
            Job::Alone(job) => self.run_outside(job),
            Job::Session(job) if !job.shares => self.run_unshared(job),
            Job::Version(reply) => drop(reply.send(version(&self.conn).map_err(translate))),
            // Looked after in any case when a job is done.
            Job::Checkpoint => {}
            job => self.run_group(job, queue),
        }
    }

    fn run_group(&mut self, first: Job, queue: &mut Queue) {
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
                next = queue.next_in_group(jobs).and_then(claimed);
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
                self.learn(&job.work);
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
            Job::Version(_) | Job::Checkpoint => None,
        }
    }

    /// Lets SQLite say, once, whether the next run of a change may be on a task.
    fn learn(&self, work: &Work) {
        if let Work::Execute { plan, .. } | Work::ExecuteMany { plan, .. } = work
            && self.lends
            && plan.class == Class::Change
        {
            // What is wrong with a statement is said by its run.
            let _ = way(&self.conn, plan);
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
                Err(RecvTimeoutError::Disconnected) => return End::Rollback(None),
                Err(RecvTimeoutError::Timeout) if patience < left => {
                    job.state.leave(SET_ASIDE);
                    return End::Rollback(None);
                }
                Err(RecvTimeoutError::Timeout) => return self.expire(&job.state, None),
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
        if job
            .work
            .plan()
            .is_some_and(|plan| plan.text.to_ascii_lowercase().contains("checkpoint"))
        {
            // It emptied the log; or it ended our watch over it (`PRAGMA wal_autocheckpoint`), and
            // SQLite's own checkpoints must not be on tasks.
            self.log.emptied();
        }
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
        Job::Checkpoint => true,
    };
    wanted.then_some(job)
}

fn refuse(job: Job, error: Error) {
    match job {
        Job::Statement(job) | Job::Alone(job) => drop(job.reply.send((Err(error), job.work))),
        Job::Session(job) => drop(job.ready.send(Err(error))),
        Job::Version(reply) => drop(reply.send(Err(error))),
        Job::Checkpoint => {}
    }
}

fn error_again(error: &Error) -> Error {
    Error::new(error.kind().clone(), error.to_string())
        .with_code(error.code().unwrap_or_default())
        .with_constraint(error.constraint().map(str::to_owned))
}
