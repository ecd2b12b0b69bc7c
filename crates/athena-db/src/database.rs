//! The database: opening it, running single statements, starting transactions.

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::conn::{BackendConn, Conn};
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Holder, Result, Retry};
use crate::executor::{Executor, Run};
use crate::listen::{self, Bus, Feed, Notifications};
use crate::migrate::{MigrationSet, Migrator};
#[cfg(feature = "mysql")]
use crate::mysql::{self, MySql};
use crate::observe::{StatementStats, Watch};
use crate::params::Params;
use crate::plan::{Outcome, PlanCache, Sql, Work};
use crate::postgres::Postgres;
use crate::row::Scalar;
use crate::schema::Schema;
use crate::sqlite::Sqlite;
use crate::transaction::{Access, BackendTx, Tx, TxOptions};

/// A database. Cloning is cheap and gives another handle to the same connections.
///
/// Single statements are transactions of their own. Dropping the future of a statement that has
/// started does not undo it: it may or may not happen, as with a lost connection.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    read_only: bool,
    plans: Arc<PlanCache>,
    bus: Arc<Bus>,
}

enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
    #[cfg(feature = "mysql")]
    MySql(MySql),
}

/// How to open a database; [`Database::builder`] makes one.
#[derive(Debug, Clone)]
#[must_use = "a builder opens nothing before `open`"]
pub struct Builder {
    url: String,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_connections: usize,
    pub(crate) min_connections: usize,
    pub(crate) acquire_timeout: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) slow_statement: Duration,
    pub(crate) durability: Durability,
    pub(crate) read_only: bool,
    pub(crate) application_name: String,
    pub(crate) schema: Option<String>,
}

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When it is on the disk: it survives a power cut. Group commit makes it affordable.
    #[default]
    Full,
    /// When the operating system has it: it survives a crash of the process, and a power cut may
    /// take the last commits, though never damage the file. PostgreSQL: `synchronous_commit = off`.
    Normal,
}

/// The state of a database and its connections.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// The dialect.
    pub dialect: Dialect,
    /// The version of SQLite or of the server.
    pub version: String,
    /// Connections that are open (on SQLite the readers).
    pub size: usize,
    /// Of these, connections that nobody uses.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
    /// The connection that has been in use for longest.
    pub oldest: Option<Holder>,
    /// The size of SQLite's write-ahead log; a reader that stays for long lets it grow.
    pub wal_bytes: Option<u64>,
}

impl Database {
    /// Opens a database with the default settings.
    ///
    /// `sqlite:path` and `sqlite://path` name a file that is created if it does not exist
    /// (`?mode=rw`: it must exist; `?mode=ro`: it is only read). `sqlite::memory:` is private to
    /// this handle and its clones, and is gone with them. `postgres://user@host:port/database`
    /// names a server.
    ///
    /// A PostgreSQL URL may say how to use TLS as `libpq` does: `sslmode` (disable, allow, prefer,
    /// require, verify-ca, verify-full), `sslrootcert` (a file or `system`), `sslcert` and `sslkey`.
    /// `pooler=transaction` says that a pooler lends its sessions for a transaction at a time: then
    /// nothing is kept on a session, and [`Database::acquire`] and listening are refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`], [`ErrorKind::Auth`] or [`ErrorKind::ReadOnly`] with the file or
    /// the host named (never the password), [`ErrorKind::Unsupported`] for other databases.
    pub async fn open(url: &str) -> Result<Self> {
        Self::builder(url).open().await
    }

    /// Prepares to open a database with other settings.
    pub fn builder(url: &str) -> Builder {
        Builder {
            url: url.to_owned(),
            settings: Settings::default(),
        }
    }

    /// Returns the dialect that the database speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.plans.dialect()
    }

    /// Waits for what is running, but no longer than half a minute, and closes all connections;
    /// later calls fail.
    ///
    /// # Errors
    ///
    /// As [`Database::close_within`].
    pub async fn close(&self) -> Result<()> {
        self.close_within(CLOSING_GRACE).await
    }

    /// Waits for what is running, but no longer than `grace`, and closes all connections; later
    /// calls fail at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PoolExhausted`] with the oldest holder if connections are still in use; each
    /// is closed when it comes back.
    pub async fn close_within(&self, grace: Duration) -> Result<()> {
        let grace = grace.min(LONGEST);
        self.inner.bus.close();
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.close(grace).await,
            Backend::Postgres(postgres) => postgres.close(grace).await,
            #[cfg(feature = "mysql")]
            Backend::MySql(mysql) => mysql.close(grace).await,
        }
    }

    /// Asks the database for its version and counts the connections.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if it does not answer.
    pub async fn ping(&self) -> Result<Health> {
        let sql = crate::sql! {
            sqlite: "SELECT 'SQLite ' || sqlite_version()",
            postgres: "SELECT 'PostgreSQL ' || current_setting('server_version')",
            mysql: "SELECT IF(version() LIKE '%MariaDB%', 'MariaDB ', 'MySQL ') || substring_index(version(), '-', 1)",
        };
        let Scalar(version): Scalar<String> = self.fetch_one(sql, Params::new()).await?;
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => Ok(sqlite.health(version)),
            Backend::Postgres(postgres) => Ok(postgres.health(Dialect::Postgres, version)),
            #[cfg(feature = "mysql")]
            Backend::MySql(mysql) => Ok(mysql.health(Dialect::MySql, version)),
        }
    }

    /// Tells what the statements have cost since the database was opened, the most expensive first.
    #[must_use]
    pub fn statements(&self) -> Vec<StatementStats> {
        self.inner.plans.statistics()
    }

    /// Begins a transaction that is ended by [`Tx::commit`] and undone when it is dropped.
    ///
    /// On SQLite a writing one keeps the only writer for itself, until it ends or its deadline
    /// comes: prefer [`Database::transaction`] there, which shares its commit with others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PoolExhausted`] or [`ErrorKind::Busy`] if no turn came in time.
    pub async fn begin(&self, options: TxOptions) -> Result<Tx<'static>> {
        self.begin_as(options, false).await
    }

    /// Borrows one connection; on SQLite a reader. See [`Conn`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PoolExhausted`] if none became free in time.
    pub async fn acquire(&self) -> Result<Conn> {
        let backend = match &self.inner.backend {
            Backend::Sqlite(sqlite) => BackendConn::Sqlite(sqlite.acquire().await?),
            Backend::Postgres(postgres) => {
                BackendConn::Postgres(Box::new(postgres.acquire().await?))
            }
            #[cfg(feature = "mysql")]
            Backend::MySql(mysql) => BackendConn::MySql(Box::new(mysql.acquire().await?)),
        };
        Ok(Conn::new(backend, Arc::clone(&self.inner.plans)))
    }

    /// Runs a closure in a transaction: `Ok` commits, `Err` rolls back.
    ///
    /// The closure is run again, a bounded number of times and after a random pause, when the
    /// transaction met a concurrent one ([`Error::is_retryable`]); it must not have effects of its
    /// own. What it borrows may come from the caller's stack:
    ///
    /// ```
    /// # async fn example(db: athena_db::Database) -> athena_db::Result<()> {
    /// use athena_db::{Executor, TxOptions, params};
    ///
    /// let names = vec!["a".to_owned(), "b".to_owned()];
    /// let names = &names;
    /// let written = db.transaction(TxOptions::default(), |tx| Box::pin(async move {
    ///     let mut written = 0;
    ///     for name in names {
    ///         written += tx.execute("INSERT INTO tags (name) VALUES (:name)", params! { name: name }).await?;
    ///     }
    ///     Ok(written)
    /// })).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Inside, use `tx` and not the database: on SQLite a write through the database would wait
    /// for the transaction that waits for it, until the deadline ends both.
    ///
    /// # Errors
    ///
    /// What the closure returned, or what beginning and committing met.
    pub async fn transaction<'scope, T, F>(&self, options: TxOptions, f: F) -> Result<T>
    where
        F: for<'t> Fn(&'t Tx<'scope>) -> BoxFuture<'t, Result<T>> + Send + Sync,
        T: Send,
    {
        self.transaction_with(options, f).await
    }

    /// Runs a closure in a transaction as [`Database::transaction`] does, with the caller's own error.
    ///
    /// # Errors
    ///
    /// As [`Database::transaction`].
    pub async fn transaction_with<'scope, T, E, F>(&self, options: TxOptions, f: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t Tx<'scope>) -> BoxFuture<'t, Result<T, E>> + Send + Sync,
        T: Send,
        E: From<Error> + Retry + Send,
    {
        let mut attempt = 1;
        loop {
            let error = match self.attempt(options, attempt == 1, &f).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if attempt == MAX_ATTEMPTS || !error.retry_cause().is_some_and(Error::is_retryable) {
                return Err(error);
            }
            tracing::debug!(target: "athena_db", system = self.inner.plans.dialect().name(), attempt, "running a transaction again");
            tokio::time::sleep(pause_after(attempt)).await;
            attempt += 1;
        }
    }

    /// Listens to a channel from now on, until the notifications are dropped.
    ///
    /// Notifications are hints, see [`Notification`](crate::Notification). On PostgreSQL one
    /// connection beside the pool is set aside while anybody listens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Type`] for a channel name that is empty or longer than 63 bytes, and what
    /// taking a connection meets.
    pub async fn listen(&self, channel: &str) -> Result<Notifications> {
        listen::check_channel(channel)?;
        let bus = &self.inner.bus;
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => {
                let changes = sqlite.changes().await?;
                let feed =
                    bus.feed(|| Feed::spawn(listen::watch_commits(Arc::clone(bus), changes)));
                Ok(bus.subscribe(channel, Some(feed)))
            }
            Backend::Postgres(postgres) => {
                let feed = postgres.listen(bus, channel).await?;
                Ok(bus.subscribe(channel, Some(feed)))
            }
            #[cfg(feature = "mysql")]
            Backend::MySql(_) => {
                let feed = bus.feed(|| Feed::spawn(listen::watch_blindly(Arc::clone(bus))));
                Ok(bus.subscribe(channel, Some(feed)))
            }
        }
    }

    /// Says something on a channel: everybody who listens to it gets a hint.
    ///
    /// To say it with a commit, use [`Tx::notify`]. It reaches other processes on PostgreSQL;
    /// elsewhere they notice the commits instead (see [`Notification`](crate::Notification)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Type`] for a channel name that is empty or longer than 63 bytes and for a
    /// payload of more than 7,999 bytes, else as a statement.
    pub async fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        listen::check(channel, payload)?;
        if self.dialect() == Dialect::Postgres {
            return listen::notify(self, channel, payload).await;
        }
        self.inner.bus.publish(channel, payload);
        Ok(())
    }

    /// Runs a statement outside any transaction, for the few that databases refuse inside one:
    /// `VACUUM`, `PRAGMA wal_checkpoint`, `CREATE INDEX CONCURRENTLY`. Rows are not returned.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`].
    pub async fn execute_alone(&self, sql: impl Into<Sql>) -> Result<u64> {
        let work = self.inner.plans.execute(sql.into(), Params::new())?;
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.run_alone(work).await.map(Outcome::count),
            Backend::Postgres(postgres) => postgres.run_alone(work).await.map(Outcome::count),
            #[cfg(feature = "mysql")]
            Backend::MySql(mysql) => mysql.run_alone(work).await.map(Outcome::count),
        }
    }

    /// Looks at a set of migrations for this database.
    #[must_use]
    pub fn migrations<'a>(&'a self, set: &'a MigrationSet<'a>) -> Migrator<'a> {
        Migrator::new(self, set)
    }

    /// Returns the file that the store is, if it is one that outlives the programme.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.file(),
            _ => None,
        }
    }

    /// Looks at the tables of the current schema.
    #[must_use]
    pub const fn schema(&self) -> Schema<'_> {
        Schema::of(self)
    }

    async fn attempt<'scope, T, E, F>(
        &self,
        options: TxOptions,
        shares: bool,
        f: &F,
    ) -> Result<T, E>
    where
        F: for<'t> Fn(&'t Tx<'scope>) -> BoxFuture<'t, Result<T, E>> + Send + Sync,
        T: Send,
        E: From<Error> + Retry + Send,
    {
        let tx: Tx<'scope> = self.begin_as(options, shares).await?;
        match f(&tx).await {
            Ok(value) => {
                tx.commit().await?;
                Ok(value)
            }
            Err(error) => match tx.rollback().await {
                Err(undone) if undone.is_retryable() => Err(undone.into()),
                _ => Err(error),
            },
        }
    }

    /// Begins a transaction in which SQLite does not enforce foreign keys; elsewhere any one.
    pub(crate) async fn begin_unenforced(&self, options: TxOptions) -> Result<Tx<'static>> {
        let Backend::Sqlite(sqlite) = &self.inner.backend else {
            return self.begin(options).await;
        };
        let transaction = sqlite.begin_unenforced(options.deadline).await?;
        Ok(Tx::new(
            BackendTx::Sqlite(transaction),
            Arc::clone(&self.inner.plans),
            Arc::clone(&self.inner.bus),
            options.deadline,
        ))
    }

    async fn begin_as<'scope>(&self, options: TxOptions, shares: bool) -> Result<Tx<'scope>> {
        if self.inner.read_only && options.access == Access::ReadWrite {
            return Err(Error::opened_to_read());
        }
        let options = options.with_deadline(options.deadline.min(LONGEST));
        let backend = match &self.inner.backend {
            Backend::Sqlite(sqlite) => BackendTx::Sqlite(sqlite.begin(options, shares).await?),
            Backend::Postgres(postgres) => {
                BackendTx::Postgres(Box::new(postgres.begin(options).await?))
            }
            #[cfg(feature = "mysql")]
            Backend::MySql(mysql) => BackendTx::MySql(Box::new(mysql.begin(options).await?)),
        };
        Ok(Tx::new(
            backend,
            Arc::clone(&self.inner.plans),
            Arc::clone(&self.inner.bus),
            options.deadline,
        ))
    }
}

impl Run for Database {
    fn plans(&self) -> &PlanCache {
        &self.inner.plans
    }

    async fn run(&self, work: Work) -> Result<Outcome> {
        if self.inner.read_only && work.is_change() {
            return Err(Error::opened_to_read());
        }
        let watch = Watch::start(&self.inner.plans, &work);
        let run = pin!(async {
            match &self.inner.backend {
                Backend::Sqlite(sqlite) => sqlite.run(work).await,
                // Large; without boxes, the quickest reads would carry them along.
                Backend::Postgres(postgres) => Box::pin(postgres.run(&work)).await,
                #[cfg(feature = "mysql")]
                Backend::MySql(mysql) => Box::pin(mysql.run(&work)).await,
            }
        });
        let result = watch.follow(run).await;
        watch.stop(&result);
        result
    }

    fn run_stream(&self, work: Work) -> BoxFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            let options = TxOptions::read_only().with_deadline(STREAM_DEADLINE);
            let tx = self.begin(options).await?;
            let outcome = tx.run(work).await?;
            tx.rollback().await?;
            Ok(outcome)
        })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Database")
            .field("dialect", &self.inner.plans.dialect())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Sets the most connections to hold (on SQLite: readers, beside the one writer). Default 10.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.settings.max_connections = count;
        self
    }

    /// Sets how many connections are opened at once. Default 1.
    pub fn min_connections(mut self, count: usize) -> Self {
        self.settings.min_connections = count;
        self
    }

    /// Sets how long a caller waits for a connection or the writer. Default 30 seconds.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.settings.acquire_timeout = timeout;
        self
    }

    /// Sets how long one statement may run, and of a stream, how long its next rows may take.
    /// Default 60 seconds.
    ///
    /// On SQLite it ends reads only: a write inside a group commit is never interrupted.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.settings.statement_timeout = (!timeout.is_zero()).then_some(timeout);
        self
    }

    /// Sets how old a connection may get before it is replaced; zero: any age. Default 30 minutes.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.max_lifetime = (!lifetime.is_zero()).then_some(lifetime);
        self
    }

    /// Sets how long a connection above the least number may idle before it is closed; zero: for
    /// ever. Default 10 minutes.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = (!timeout.is_zero()).then_some(timeout);
        self
    }

    /// Sets from which duration on a statement is reported in the log as slow, without its
    /// values. Default 1 second.
    pub fn slow_statement(mut self, duration: Duration) -> Self {
        self.settings.slow_statement = duration;
        self
    }

    /// Sets when a commit counts as done. Default [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Opens the database to read only.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.settings.read_only = read_only;
        self
    }

    /// Sets the name that a PostgreSQL server shows for our connections. Default `athena`.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.settings.application_name = name.into();
        self
    }

    /// Sets the PostgreSQL schema that unqualified names live in (before `public`). It must exist.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.settings.schema = Some(schema.into());
        self
    }

    /// Opens the database.
    ///
    /// # Errors
    ///
    /// As [`Database::open`].
    pub async fn open(self) -> Result<Database> {
        let settings = self.settings.bounded();
        let (slow, read_only) = (settings.slow_statement, settings.read_only);
        let scheme = self.url.split_once(':').map_or("", |(scheme, _)| scheme);
        let (backend, dialect) = match scheme {
            "sqlite" => (
                Backend::Sqlite(Sqlite::open(&self.url, settings).await?),
                Dialect::Sqlite,
            ),
            "postgres" | "postgresql" => {
                let postgres = Postgres::open(&self.url, &settings).await?;
                (Backend::Postgres(postgres), Dialect::Postgres)
            }
            #[cfg(feature = "mysql")]
            "mysql" | "mariadb" => (
                Backend::MySql(mysql::open(&self.url, &settings).await?),
                Dialect::MySql,
            ),
            #[cfg(not(feature = "mysql"))]
            "mysql" | "mariadb" => {
                return Err(Error::unsupported(
                    "connecting to a server",
                    Dialect::MySql,
                    "this programme was built without the feature `mysql`",
                ));
            }
            _ => return Err(unknown_scheme(scheme)),
        };
        let plans = Arc::new(PlanCache::new(dialect, slow));
        Ok(Database {
            inner: Arc::new(Inner {
                backend,
                read_only,
                plans,
                bus: Arc::default(),
            }),
        })
    }
}

impl Settings {
    /// Keeps times within what clocks and servers can add up.
    fn bounded(self) -> Self {
        let at_most = |limit: Option<Duration>| limit.map(|limit| limit.min(LONGEST));
        let shortest = Duration::from_millis(1);
        Self {
            acquire_timeout: self.acquire_timeout.min(LONGEST),
            max_lifetime: at_most(self.max_lifetime),
            idle_timeout: at_most(self.idle_timeout),
            statement_timeout: at_most(self.statement_timeout).map(|limit| limit.max(shortest)),
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: 10,
            min_connections: 1,
            acquire_timeout: Duration::from_secs(30),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            idle_timeout: Some(Duration::from_secs(10 * 60)),
            statement_timeout: Some(Duration::from_secs(60)),
            slow_statement: Duration::from_secs(1),
            durability: Durability::Full,
            read_only: false,
            application_name: "athena".to_owned(),
            schema: None,
        }
    }
}

/// How long [`Database::close`] waits for statements and transactions to end.
const CLOSING_GRACE: Duration = Duration::from_secs(30);

/// A stream lasts as long as its reader takes; one that nobody polls must end some day.
const STREAM_DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// The longest time that a setting may name, which servers can still count in milliseconds; more is
/// as good as no limit.
const LONGEST: Duration = Duration::from_secs(20 * 24 * 3600);

/// Runs of one closure, the first included.
const MAX_ATTEMPTS: u32 = 10;

/// A random pause that grows from some milliseconds to a quarter of a second.
fn pause_after(attempt: u32) -> Duration {
    let most = (4_000_u64 << attempt.min(6)).min(250_000);
    Duration::from_micros(rand::random_range(500..most))
}

fn unknown_scheme(scheme: &str) -> Error {
    let message = if scheme.is_empty() {
        "the database URL has no scheme; write `sqlite:path` or `postgres://user@host/database`"
            .to_owned()
    } else {
        format!(
            "the database URL has the unknown scheme `{scheme}`; write `sqlite:path` or `postgres://user@host/database`"
        )
    };
    Error::new(ErrorKind::Connection, message)
}
