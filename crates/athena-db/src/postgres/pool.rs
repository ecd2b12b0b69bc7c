//! The pool of connections, and what may go back into it.
//!
//! A connection whose future was dropped half-way is cancelled and closed: its next user would
//! wait for, or worse read, the answer of the one before. An open transaction is rolled back first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime,
    TimeoutType,
};
use futures_util::future::try_join_all;
use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

use super::connection::{Failure, run};
use super::error::{cannot_connect, translate};
use crate::database::{Durability, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Outcome, Work};

/// The pool and the place that it connects to.
#[derive(Debug)]
pub(super) struct Pool {
    pool: deadpool_postgres::Pool,
    /// Host, port and database, for messages.
    place: String,
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Lease {
    client: Option<Object>,
    in_flight: AtomicUsize,
    in_transaction: AtomicBool,
}

/// How long a server may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Pool {
    /// Prepares the pool; connects to nothing yet.
    pub(super) fn open(url: &str, settings: &Settings) -> Result<Self> {
        let config = configure(url, settings)?;
        let place = place_of(&config);
        let manager = Manager::from_config(
            config,
            NoTls,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(settings.max_connections.max(1))
            .wait_timeout(Some(settings.acquire_timeout))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .post_create(set_up(session_settings(settings)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| Error::new(ErrorKind::Other, "the connection pool could not be made"))?;
        Ok(Self { pool, place })
    }

    /// Opens connections, so that a server that is not there is known at once.
    pub(super) async fn warm_up(&self, count: usize) -> Result<()> {
        try_join_all((0..count).map(|_| self.acquire()))
            .await
            .map(drop)
    }

    pub(super) async fn acquire(&self) -> Result<Lease> {
        let started = Instant::now();
        let client = self
            .pool
            .get()
            .await
            .map_err(|error| self.explain(&error, started.elapsed()))?;
        Ok(Lease {
            client: Some(client),
            in_flight: AtomicUsize::new(0),
            in_transaction: AtomicBool::new(false),
        })
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Open, idle and waited-for connections.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size, status.available, status.waiting)
    }

    fn explain(&self, error: &PoolError, waited: Duration) -> Error {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                cannot_connect(error, &self.place)
            }
            PoolError::Timeout(TimeoutType::Wait) => Error::pool_exhausted(waited, None),
            PoolError::Timeout(_) => {
                let message = format!(
                    "cannot connect to PostgreSQL at {}: no answer within {CONNECT_TIMEOUT:?}",
                    self.place
                );
                Error::new(ErrorKind::Connection, message)
            }
            PoolError::Closed => Error::closed(),
            _ => Error::new(
                ErrorKind::Connection,
                format!("cannot connect to PostgreSQL at {}", self.place),
            ),
        }
    }
}

impl Lease {
    /// Runs one piece of work.
    pub(super) async fn run(&self, work: &Work, in_transaction: bool) -> Result<Outcome, Failure> {
        let client = self
            .client()
            .map_err(|error| Failure { error, sent: false })?;
        let landing = self.take_off();
        let result = run(client, work, in_transaction).await;
        landing.done();
        result
    }

    /// Runs one piece of work as a transaction of its own.
    pub(crate) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        let result = self.run(&work, false).await;
        result.map_err(|failure| failure.error)
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
        if let Some(client) = &self.client {
            cancel_in_background(client);
        }
    }

    /// Whether a statement was abandoned half-way.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) > 0
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.as_ref().is_none_or(|client| client.is_closed())
    }

    async fn control(&self, text: &str) -> Result<(), tokio_postgres::Error> {
        let Some(client) = &self.client else {
            return Ok(());
        };
        let landing = self.take_off();
        let result = client.batch_execute(text).await;
        landing.done();
        result
    }

    fn client(&self) -> Result<&Object> {
        self.client.as_ref().ok_or_else(Error::closed)
    }

    fn take_off(&self) -> Landing<'_> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        Landing(&self.in_flight)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        if self.is_in_flight() {
            cancel_in_background(&client);
            drop(Object::take(client));
        } else if self.in_transaction.load(Ordering::SeqCst) {
            roll_back_in_background(client);
        }
    }
}

/// Counts a statement as landed only when it was awaited to its end.
struct Landing<'a>(&'a AtomicUsize);

impl Landing<'_> {
    fn done(self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn cancel_in_background(client: &Object) {
    let token = client.cancel_token();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { token.cancel_query(NoTls).await });
    }
}

/// Without a runtime the connection is closed, which rolls back as well.
fn roll_back_in_background(client: Object) {
    match tokio::runtime::Handle::try_current() {
        Err(_) => drop(Object::take(client)),
        Ok(runtime) => drop(runtime.spawn(async move {
            if client.batch_execute("ROLLBACK").await.is_err() {
                drop(Object::take(client));
            }
        })),
    }
}

fn configure(url: &str, settings: &Settings) -> Result<Config> {
    // The driver's own message could quote a piece of the password.
    let mut config: Config = url.parse().map_err(|_| {
        let message = "the PostgreSQL URL cannot be read; write `postgres://user:password@host:port/database`, \
                       special characters percent-encoded";
        Error::new(ErrorKind::Connection, message)
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name(settings.application_name.as_str());
    }
    Ok(config)
}

fn place_of(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("`{host}:{port}`"),
            #[cfg(unix)]
            Host::Unix(path) => format!("`{}` (port {port})", path.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or("(default)");
    format!("{}, database `{database}`", hosts.join(" or "))
}

fn session_settings(settings: &Settings) -> String {
    let mut commands = vec![
        "SET timezone = 'UTC'".to_owned(),
        "SET client_min_messages = warning".to_owned(),
    ];
    let timeout = settings
        .statement_timeout
        .map_or(0, |timeout| timeout.as_millis());
    commands.push(format!("SET statement_timeout = {timeout}"));
    if let Some(schema) = &settings.schema {
        commands.push(format!(
            "SET search_path = \"{}\", public",
            schema.replace('"', "\"\"")
        ));
    }
    if settings.durability == Durability::Normal {
        commands.push("SET synchronous_commit = off".to_owned());
    }
    if settings.read_only {
        commands.push("SET default_transaction_read_only = on".to_owned());
    }
    commands.join("; ")
}

fn set_up(commands: String) -> Hook {
    Hook::async_fn(move |client, _| {
        let commands = commands.clone();
        Box::pin(async move {
            client
                .batch_execute(&commands)
                .await
                .map_err(HookError::Backend)
        })
    })
}
