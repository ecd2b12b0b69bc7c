//! One SQLite connection: how it is opened and how it runs a statement.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Busy, translate, translate_plan, translate_text};
use super::types::bind;
use crate::database::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Class, Outcome, Plan, Work};
use crate::row::Row;
use crate::source::{Cursor, Source as _};
use crate::stream::{CHUNK, ResultColumn, RowSender};
use crate::value::Value;

/// How long to go on trying behind a busy database; only then the caller sees it.
pub(super) const BUSY_BOUND: Duration = Duration::from_secs(30);

/// Prepared statements kept by each connection.
const CACHED_STATEMENTS: usize = 256;

/// Virtual machine steps between two looks at the clock: some tenths of a millisecond.
const STEPS_PER_CHECK: i32 = 20_000;

/// What every connection of a database is opened with.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) create: bool,
    pub(super) read_only: bool,
    pub(super) durability: Durability,
    /// The database lives as long as this process: nothing needs to reach the disk.
    pub(super) temporary: bool,
}

impl File {
    /// Whether nobody can change it, so that it can be read without the log's index, for which there
    /// is no place on a disk that is mounted read-only. A log that was left behind forbids it.
    fn is_frozen(&self) -> bool {
        let opened = || std::fs::File::options().append(true).open(&self.path);
        self.read_only
            && self.log_bytes().is_none_or(|bytes| bytes == 0)
            && opened().is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    /// The size of the write-ahead log, if there is one.
    pub(super) fn log_bytes(&self) -> Option<u64> {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        std::fs::metadata(path).ok().map(|log| log.len())
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// Stops a running statement: at a deadline, or when nobody waits for it any more.
///
/// Its numbers order nothing else, so none of them needs more than relaxed access.
#[derive(Debug)]
pub(super) struct Guard {
    born: Instant,
    /// In microseconds after `born`; [`NEVER`] for none.
    deadline: AtomicU64,
    current: AtomicU64,
    cancelled: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for Guard {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            deadline: AtomicU64::new(NEVER),
            current: AtomicU64::new(1),
            cancelled: AtomicU64::new(0),
        }
    }
}

impl Guard {
    /// Starts a run and returns its number, which [`Guard::cancel`] wants.
    pub(super) fn start(&self, deadline: Option<Instant>) -> u64 {
        let deadline = deadline.map_or(NEVER, |deadline| self.micros(deadline));
        self.deadline.store(deadline, Ordering::Relaxed);
        self.current.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Lets the current run go on until another time.
    pub(super) fn extend(&self, deadline: Instant) {
        let deadline = self.micros(deadline);
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Stops that run, and no later one.
    pub(super) fn cancel(&self, run: u64) {
        self.cancelled.store(run, Ordering::Relaxed);
    }

    fn must_stop(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) == self.current.load(Ordering::Relaxed)
            || self.micros(Instant::now()) > self.deadline.load(Ordering::Relaxed)
    }

    fn micros(&self, instant: Instant) -> u64 {
        let micros = instant.duration_since(self.born).as_micros();
        u64::try_from(micros).unwrap_or(NEVER)
    }
}

/// Opens a connection with all settings that Athena relies on.
pub(super) fn connect(file: &File, role: Role, guard: &Arc<Guard>) -> Result<Connection> {
    let mut conn = open(file, role).map_err(|error| cannot_open(file, error))?;
    // Asked before anything is read: that needs the log's index, which cannot be made beside such a file.
    if role == Role::Writer && conn.is_readonly(rusqlite::MAIN_DB).map_err(translate)? {
        return Err(read_only(file));
    }
    conn.busy_timeout(Duration::ZERO).map_err(translate)?;
    conn.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    let guard = Arc::clone(guard);
    conn.progress_handler(STEPS_PER_CHECK, Some(move || guard.must_stop()))
        .map_err(translate)?;
    // An unknown "name" must be an error and not silently a string.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)
        .map_err(translate)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)
        .map_err(translate)?;
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON;",
    )
    .map_err(translate)?;
    patiently(|| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))
        .map_err(|error| cannot_open(file, error))?;
    conn.execute_batch("PRAGMA cache_size = -8192;")
        .map_err(translate)?;
    match role {
        Role::Reader => conn
            .execute_batch("PRAGMA query_only = ON;")
            .map_err(translate)?,
        Role::Writer => prepare_writer(&conn, file)?,
    }
    Ok(conn)
}

fn open(file: &File, role: Role) -> rusqlite::Result<Connection> {
    let flags = flags(file, role);
    if file.is_frozen() {
        let uri = format!("file:{}?immutable=1", escaped(&file.path));
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(&file.path, flags)
    }
}

/// A path as it stands in a URI.
fn escaped(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23")
}

fn flags(file: &File, role: Role) -> OpenFlags {
    let access = if file.read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else if file.create && role == Role::Writer {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn prepare_writer(conn: &Connection, file: &File) -> Result<()> {
    // Several processes may create the same file at once, and SQLite does not wait here by itself.
    let mode: String =
        patiently(|| conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)))
            .map_err(|error| cannot_open(file, error))?;
    if !mode.eq_ignore_ascii_case("wal") {
        let message = format!(
            "the file system of `{}` does not allow SQLite's write-ahead log; use a local disk",
            file.path.display()
        );
        return Err(Error::new(ErrorKind::Connection, message));
    }
    let synchronous = match (file.temporary, file.durability) {
        (true, _) => "OFF",
        (false, Durability::Full) => "FULL",
        (false, Durability::Normal) => "NORMAL",
    };
    conn.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA journal_size_limit = 67108864;"
    ))
    .map_err(translate)
}

fn read_only(file: &File) -> Error {
    let message = format!(
        "the database file `{}` is read-only; make it writable or open it with `?mode=ro`",
        file.path.display()
    );
    Error::new(ErrorKind::ReadOnly, message)
}

fn cannot_open(file: &File, error: rusqlite::Error) -> Error {
    let path = file.path.display();
    let error = translate(error);
    match error.kind() {
        ErrorKind::Busy => {
            let message = format!("the database file `{path}` is locked by another process");
            Error::new(ErrorKind::Busy, message).with_code(error.code().unwrap_or_default())
        }
        kind => {
            let kind = if *kind == ErrorKind::Other {
                ErrorKind::Connection
            } else {
                kind.clone()
            };
            Error::new(
                kind,
                format!("cannot open the database file `{path}`: {error}"),
            )
            .with_code(error.code().unwrap_or_default())
        }
    }
}

/// Runs something again while the database is busy, for at most [`BUSY_BOUND`].
///
/// SQLite's own waiting is switched off: its pauses grow long, and a task must not meet one.
pub(super) fn patiently<T, E: Busy>(mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + BUSY_BOUND;
    loop {
        match attempt() {
            Err(error) if error.is_busy() && Instant::now() < deadline => {
                std::thread::sleep(jitter())
            }
            result => return result,
        }
    }
}

/// A pause that differs between processes, so that they do not meet again at once.
pub(super) fn jitter() -> Duration {
    Duration::from_micros(rand::random_range(200..1_500))
}

/// Runs one piece of work on the connection.
pub(super) fn run(conn: &Connection, work: &Work) -> Result<Outcome> {
    match work {
        Work::Execute { plan, values } => {
            execute(conn, plan, std::slice::from_ref(values)).map(Outcome::Count)
        }
        Work::ExecuteMany { plan, rows } => execute(conn, plan, rows).map(Outcome::Count),
        Work::Fetch {
            plan,
            values,
            limit,
            ..
        } => fetch(conn, plan, values, *limit).map(Outcome::Rows),
        Work::Stream { plan, values, rows } => stream(conn, plan, values, rows).map(Outcome::Count),
        Work::Batch(text) => conn
            .execute_batch(text)
            .map(|()| Outcome::Count(0))
            .map_err(translate_text),
    }
}

/// Returns a number that changes when another connection, of this process or another, commits.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

/// Runs one piece of work on a connection that only reads.
///
/// Here the caller's type takes the rows on the way. The writer does not let it: what belongs to
/// the caller may take long, or panic.
pub(super) fn run_reading(conn: &Connection, work: &Work) -> Result<Outcome> {
    let Work::Fetch {
        plan,
        values,
        limit,
        collector,
    } = work
    else {
        return run(conn, work);
    };
    let mut rows = collector.start();
    let mut count = 0;
    let take = |row: &mut Lent<'_, '_>| {
        count += 1;
        Ok(count <= *limit && rows.take_sqlite(row)? && count < *limit)
    };
    each_row(conn, plan, values, |_| {}, take)?;
    Ok(Outcome::Collected(rows))
}

/// Runs a statement of the writer's own: `BEGIN IMMEDIATE`, `RELEASE …`.
pub(super) fn control(conn: &Connection, text: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(text)?.raw_execute().map(|_| ())
}

fn execute(conn: &Connection, plan: &Plan, rows: &[Vec<Value>]) -> Result<u64> {
    prepared(conn, plan, |statement| {
        let mut count = 0;
        for values in rows {
            bind(statement, plan, values)?;
            let before = conn.total_changes();
            let mut cursor = statement.raw_query();
            while cursor.next().map_err(translate)?.is_some() {}
            drop(cursor);
            // `changes` keeps the number of an earlier statement when this one is no change at all.
            if conn.total_changes() != before {
                count += conn.changes();
            }
        }
        Ok(count)
    })
}

fn fetch(conn: &Connection, plan: &Plan, values: &[Value], limit: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let take = |row: &mut Lent<'_, '_>| {
        let row = row.to_row()?;
        if rows.len() < limit {
            rows.push(row);
        }
        Ok(rows.len() < limit)
    };
    each_row(conn, plan, values, |_| {}, take)?;
    Ok(rows)
}

/// Sends the rows away in chunks, waiting for the reader; returns their number.
fn stream(conn: &Connection, plan: &Plan, values: &[Value], to: &RowSender) -> Result<u64> {
    let mut count = 0;
    let mut chunk = Vec::with_capacity(CHUNK);
    let take = |row: &mut Lent<'_, '_>| {
        chunk.push(row.to_row()?);
        count += 1;
        Ok(chunk.len() < CHUNK
            || to.send_blocking(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))))
    };
    each_row(
        conn,
        plan,
        values,
        |statement| to.describe(described(statement)),
        take,
    )?;
    if !chunk.is_empty() {
        to.send_blocking(chunk);
    }
    Ok(count)
}

fn described(statement: &rusqlite::Statement<'_>) -> impl Iterator<Item = ResultColumn> {
    statement
        .columns_with_metadata()
        .map(|column| ResultColumn {
            name: column.name().to_owned(),
            origin: column
                .table_name()
                .zip(column.origin_name())
                .map(|(table, column)| (table.to_owned(), column.to_owned())),
        })
}

/// A row that lies in the statement, until it goes on to the next.
type Lent<'a, 's> = Cursor<'a, rusqlite::Row<'s>>;

/// Lends rows until there are no more or `take` has enough; `describe` comes before the first row.
fn each_row(
    conn: &Connection,
    plan: &Plan,
    values: &[Value],
    mut describe: impl FnMut(&rusqlite::Statement<'_>),
    mut take: impl FnMut(&mut Lent<'_, '_>) -> Result<bool>,
) -> Result<()> {
    prepared(conn, plan, |statement| {
        bind(statement, plan, values)?;
        let mut cursor = statement.raw_query();
        let mut columns = None;
        while let Some(row) = cursor.next().map_err(translate)? {
            // Asked only now: a change of the schema lets SQLite prepare the statement again when it starts.
            let names = || row.as_ref().column_names();
            let columns = columns.get_or_insert_with(|| {
                describe(row.as_ref());
                plan.columns(names)
            });
            if !take(&mut Cursor::new(columns, row))? {
                break;
            }
        }
        if columns.is_none() {
            drop(cursor);
            describe(statement);
        }
        Ok(())
    })
}

/// Prepares the statement, from the cache where that is worth a place.
fn prepared<T>(
    conn: &Connection,
    plan: &Plan,
    use_it: impl FnOnce(&mut rusqlite::Statement<'_>) -> Result<T>,
) -> Result<T> {
    let failed = |error| translate_plan(plan, error);
    if matches!(plan.class, Class::Query | Class::Change) {
        use_it(&mut *conn.prepare_cached(&plan.text).map_err(failed)?)
    } else {
        use_it(&mut conn.prepare(&plan.text).map_err(failed)?)
    }
}
