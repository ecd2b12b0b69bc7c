//! SQLite: read-only connections for reads, one connection with group commit for writes.
//!
//! Several processes may share a file. `sqlite::memory:` is a file in a private temporary folder
//! that vanishes with the last handle (a process that ends without dropping its handles leaves it
//! to the system's cleaning of temporary files): so it behaves as every other database does, with many
//! readers and a writer (SQLite's own shared memory databases lock differently and are
//! discouraged by their makers).

mod changes;
mod connection;
mod error;
mod facts;
mod inline;
mod pool;
mod transaction;
mod turn;
mod types;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::coop::consume_budget;

pub(crate) use changes::Changes;
pub(crate) use facts::Facts;
pub(crate) use transaction::{Reader, Transaction};

use crate::database::{Health, Settings};
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Class, Outcome, Plan, Work};
use crate::transaction::{Access, TxOptions};
use crate::url::sqlite_parts;
use connection::File;
use pool::{Policy, Pool, Read};
use transaction::Snapshot;
use writer::Writer;

/// An open SQLite database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    pool: Pool,
    /// Absent if the database was opened to read.
    writer: Option<Writer>,
    file: File,
    /// The folder of a database in memory; goes when the last handle goes.
    folder: Option<tempfile::TempDir>,
}

impl Sqlite {
    /// Opens what the URL names: `sqlite:path`, `sqlite://path?mode=ro|rw|rwc`, `sqlite::memory:`.
    pub(crate) async fn open(url: &str, settings: Settings) -> Result<Self> {
        let (file, folder) = locate(url, &settings)?;
        let acquire_timeout = settings.acquire_timeout;
        let policy = Arc::new(Policy::of(&settings));
        let writer =
            if file.read_only {
                None
            } else {
                let (file, policy) = (file.clone(), Arc::clone(&policy));
                let start = move || Writer::start(&file, acquire_timeout, policy);
                let started = tokio::task::spawn_blocking(start).await;
                Some(started.map_err(|_| {
                    Error::new(ErrorKind::Other, "the database could not be opened")
                })??)
            };
        Ok(Self {
            pool: Pool::open(file.clone(), &settings, policy).await?,
            writer,
            file,
            folder,
        })
    }

    /// Returns the file, unless it is a temporary one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.folder.is_none().then(|| self.file.path.clone())
    }

    /// The ways are boxed one by one, so that the shortest carries nothing of the others along.
    pub(crate) async fn run(&self, work: Work) -> Result<Outcome> {
        // A task that runs nothing but quick statements lets others run now and then. It does so
        // before and not after: a future that is dropped while it waits has done nothing.
        consume_budget().await;
        let written = || self.writer.as_ref()?.try_inline(&work);
        if let Some(result) = self.pool.try_inline(&work).or_else(written) {
            return result;
        }
        match destination(&work) {
            Destination::Outside => Box::pin(self.writer()?.run_alone(work)).await,
            Destination::Writer => Box::pin(self.writer()?.run(work)).await,
            Destination::Reader => Box::pin(self.read(work)).await,
        }
    }

    async fn read(&self, work: Work) -> Result<Outcome> {
        match self.pool.read(work).await? {
            Read::Done(outcome) => Ok(outcome),
            Read::Writes(work) => self.writer()?.run(work).await,
        }
    }

    pub(crate) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        self.writer()?.run_alone(work).await
    }

    /// Begins a transaction; with `shares` a writing one commits together with its neighbours.
    pub(crate) async fn begin(&self, options: TxOptions, shares: bool) -> Result<Transaction> {
        match options.access {
            Access::ReadOnly => Snapshot::begin(&self.pool, options.deadline)
                .await
                .map(Transaction::Read),
            Access::ReadWrite => self
                .writer()?
                .begin(options.deadline, shares)
                .await
                .map(Transaction::Write),
        }
    }

    /// Begins a writing transaction in which foreign keys are not enforced.
    pub(crate) async fn begin_unenforced(&self, deadline: Duration) -> Result<Transaction> {
        let session = self.writer()?.begin_unenforced(deadline).await?;
        Ok(Transaction::Write(session))
    }

    pub(crate) async fn acquire(&self) -> Result<Reader> {
        Reader::borrow(&self.pool).await
    }

    /// Returns what notices commits of other processes and handles.
    pub(crate) async fn changes(&self) -> Result<Changes> {
        let writer = self.writer.as_ref().map(Writer::listener).transpose()?;
        Changes::since_now(writer, &self.file).await
    }

    pub(crate) async fn close(&self, grace: Duration) -> Result<()> {
        let closed = self.pool.close(grace).await;
        if let Some(writer) = &self.writer {
            closed.and(writer.close(grace).await)
        } else {
            closed
        }
    }

    pub(crate) fn health(&self, version: String) -> Health {
        let stats = self.pool.stats();
        Health {
            dialect: Dialect::Sqlite,
            version,
            size: stats.size,
            idle: stats.idle,
            waiting: stats.waiting,
            oldest: stats
                .oldest
                .into_iter()
                .chain(self.writer.as_ref().and_then(Writer::holder))
                .max_by_key(|holder| holder.held),
            wal_bytes: self.file.log_bytes(),
        }
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::ReadOnly, "the database was opened to read only"))
    }
}

enum Destination {
    Reader,
    Writer,
    Outside,
}

fn destination(work: &Work) -> Destination {
    match work {
        Work::Fetch { plan, .. } if reads(plan) => Destination::Reader,
        Work::Fetch { plan, .. } | Work::Execute { plan, .. } | Work::ExecuteMany { plan, .. }
            if plan.class == Class::Alone =>
        {
            Destination::Outside
        }
        _ => Destination::Writer,
    }
}

/// Whether a statement may be tried on a reader. A `PRAGMA` that sets something may not: it would
/// change the one pooled connection that it happens to meet.
fn reads(plan: &Plan) -> bool {
    let acts = plan.class == Class::Alone && (plan.text.contains('=') || is_checkpoint(plan));
    !plan.sqlite.way().writes() && !acts
}

/// Whether a statement is `PRAGMA wal_checkpoint`.
fn is_checkpoint(plan: &Plan) -> bool {
    plan.class == Class::Alone && plan.text.to_ascii_lowercase().contains("wal_checkpoint")
}

/// Reads the URL.
fn locate(url: &str, settings: &Settings) -> Result<(File, Option<tempfile::TempDir>)> {
    let (path, query) = sqlite_parts(url).unwrap_or_default();
    let mut file = File {
        path,
        create: true,
        read_only: settings.read_only,
        durability: settings.durability,
        temporary: false,
    };
    for option in query.split('&').filter(|option| !option.is_empty()) {
        match option {
            "mode=ro" => file.read_only = true,
            "mode=rw" => file.create = false,
            "mode=rwc" => file.create = true,
            "mode=memory" => file.path = PathBuf::from(":memory:"),
            _ => {
                return Err(wrong_url(format!(
                    "unknown option `{option}` in the database URL; `mode` may be ro, rw, rwc or memory"
                )));
            }
        }
    }
    match file.path.as_os_str() {
        path if path.is_empty() => Err(wrong_url(
            "the database URL names no file; write `sqlite:path` or `sqlite::memory:`".to_owned(),
        )),
        path if path == ":memory:" => in_memory(file),
        _ => Ok((file, None)),
    }
}

fn in_memory(mut file: File) -> Result<(File, Option<tempfile::TempDir>)> {
    let folder = tempfile::Builder::new().prefix("athena-db-").tempdir();
    let folder = folder.map_err(|error| {
        Error::new(
            ErrorKind::Connection,
            format!("cannot make a temporary folder: {error}"),
        )
    })?;
    file.path = folder.path().join("memory.db");
    file.temporary = true;
    Ok((file, Some(folder)))
}

fn wrong_url(message: String) -> Error {
    Error::new(ErrorKind::Connection, message)
}
