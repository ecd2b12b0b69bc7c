//! The pen: the writing connection. Whoever holds it writes, the writer thread or a task.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Instant;

use rusqlite::Connection;

use super::super::connection::{BUSY_BOUND, File, Guard, Role, connect, control, patiently, run};
use super::super::error::{Busy, is_interrupted, translate, translate_commit};
use super::super::inline::BUDGET;
use super::super::turn::Turn;
use crate::error::Result;
use crate::plan::{Outcome, Plan, Work};
use crate::pool::Desk;

/// Pages in the log that are worth a checkpoint; SQLite's own measure.
const CHECKPOINT_PAGES: u32 = 1000;

/// Further pages that are worth another one, while a reader does not let the log begin anew. SQLite
/// itself would try with every commit.
const MORE_PAGES: u32 = 100;

/// Where the pen lies while nobody writes; empty once the writer has ended.
#[derive(Debug)]
pub(super) struct Tray(Mutex<Option<Pen>>);

/// The writing connection and what belongs to it.
#[derive(Debug)]
pub(super) struct Pen {
    pub(super) conn: Connection,
    pub(super) guard: Arc<Guard>,
    turn: Turn,
    pub(super) desk: Arc<Desk>,
    pub(super) log: Log,
    /// Whether tasks may have the pen.
    pub(super) lends: bool,
}

/// How much of the write-ahead log waits for a checkpoint.
///
/// SQLite's own automatic checkpoint is part of the commit that makes the log long enough, which
/// may be on a task and whose caller would wait for the disk.
#[derive(Debug)]
pub(super) struct Log {
    /// Pages in the log after the last commit; none when the next commit may begin it anew.
    pages: Arc<AtomicU32>,
    /// Pages that the last checkpoint found.
    pub(super) found: u32,
    /// Whether the thread has been asked for a checkpoint.
    pub(super) asked: bool,
}

impl Tray {
    pub(super) fn with(pen: Pen) -> Self {
        Self(Mutex::new(Some(pen)))
    }

    /// Waits for the pen.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Pen>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| self.tidied(poisoned.into_inner()))
    }

    /// Takes the pen if nobody has it.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Option<Pen>>> {
        match self.0.try_lock() {
            Ok(pen) => Some(pen),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.tidied(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Undoes what somebody had begun who panicked.
    fn tidied<'a>(&self, pen: MutexGuard<'a, Option<Pen>>) -> MutexGuard<'a, Option<Pen>> {
        if let Some(pen) = &*pen {
            pen.guard.start(None);
            pen.roll_back();
            pen.desk.leave();
        }
        self.0.clear_poison();
        pen
    }
}

impl Pen {
    pub(super) fn open(file: &File, desk: Arc<Desk>, lends: bool) -> Result<Self> {
        let guard = Arc::new(Guard::default());
        let mut conn = connect(file, Role::Writer, &guard)?;
        let turn = if file.temporary {
            Turn::alone()
        } else {
            Turn::beside(Path::new(&file.path))
        };
        Ok(Self {
            log: Log::watched(&mut conn)?,
            conn,
            guard,
            turn,
            desk,
            lends,
        })
    }

    /// Writes on a task, without waiting for anybody; `None` if the work belongs on the thread,
    /// and then nothing of it has happened.
    pub(super) fn write_at_once(
        &mut self,
        plan: &Arc<Plan>,
        work: &Work,
    ) -> Option<Result<Outcome>> {
        // The first commit into a log that begins anew waits for the disk.
        if self.log.is_new() || self.log.asked {
            return None;
        }
        let started = Instant::now();
        self.desk.occupy(started);
        self.desk.note(plan);
        let end = started + BUDGET;
        let result = self.write_before(end, work);
        plan.sqlite.ran_inline(Instant::now() > end);
        self.desk.leave();
        match result? {
            Err(error) if error.is_busy() || is_interrupted(&error) => None,
            result => Some(result),
        }
    }

    fn write_before(&mut self, end: Instant, work: &Work) -> Option<Result<Outcome>> {
        let turn = self.turn.try_take()?;
        if let Err(error) = control(&self.conn, "BEGIN IMMEDIATE") {
            return Some(Err(translate(error)));
        }
        drop(turn);
        self.guard.start(Some(end));
        let result = run(&self.conn, work);
        self.guard.start(None);
        Some(match result {
            Ok(outcome) => self
                .committed(control(&self.conn, "COMMIT"))
                .map(|()| outcome),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        })
    }

    /// Begins to write, waiting for other processes in turn.
    pub(super) fn begin(&mut self) -> Result<()> {
        let _turn = self.turn.take(BUSY_BOUND);
        patiently(|| control(&self.conn, "BEGIN IMMEDIATE")).map_err(translate)
    }

    /// Commits; a failed commit leaves nothing behind.
    pub(super) fn commit(&self) -> Result<()> {
        self.committed(patiently(|| control(&self.conn, "COMMIT")))
    }

    fn committed(&self, commit: rusqlite::Result<()>) -> Result<()> {
        if commit.is_err() {
            self.roll_back();
        }
        commit.map_err(translate_commit)
    }

    pub(super) fn roll_back(&self) {
        if !self.conn.is_autocommit() && control(&self.conn, "ROLLBACK").is_err() {
            tracing::warn!(target: "athena_db", system = "sqlite", "a rollback failed");
        }
    }

    /// Runs a checkpoint if one is due. What readers hold, and what fails, is left to a later one.
    pub(super) fn shorten_log(&mut self) {
        self.log.asked = false;
        if !self.log.is_due() || !self.conn.is_autocommit() {
            return;
        }
        self.log.found = self.log.pages();
        match self.copy_log() {
            Ok(true) => self.log.emptied(),
            Ok(false) => {}
            Err(error) => {
                let error = translate(error);
                tracing::warn!(target: "athena_db", system = "sqlite", %error, "a checkpoint failed");
            }
        }
    }

    /// Copies what it can out of the log and returns whether that was everything.
    fn copy_log(&self) -> rusqlite::Result<bool> {
        let mut statement = self.conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
        statement.query_row([], |row| {
            let (busy, pages, copied): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(!busy && copied == pages)
        })
    }
}

impl Log {
    /// Watches the log of a connection, in place of SQLite's automatic checkpoint.
    fn watched(conn: &mut Connection) -> Result<Self> {
        let pages = Arc::<AtomicU32>::default();
        let noted = Arc::clone(&pages);
        conn.wal_hook(Some(move |_: &mut _, pages| {
            noted.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(translate)?;
        Ok(Self {
            pages,
            found: 0,
            asked: false,
        })
    }

    /// Whether the log has grown enough since the last checkpoint; to be asked after each commit.
    pub(super) fn is_due(&mut self) -> bool {
        let pages = self.pages();
        if self.is_new() {
            return false;
        }
        if pages < self.found {
            self.found = 0;
        }
        pages >= CHECKPOINT_PAGES.max(self.found + MORE_PAGES)
    }

    /// Notes that the next commit may begin the log anew.
    pub(super) fn emptied(&self) {
        self.pages.store(0, Ordering::Relaxed);
    }

    fn is_new(&self) -> bool {
        self.pages() == 0
    }

    pub(super) fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }
}
