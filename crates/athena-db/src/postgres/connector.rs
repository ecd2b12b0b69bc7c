//! The server that a URL names, and how a connection to it comes about.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::{self, Host};
use tokio_postgres::error::SqlState;

use super::cancel::Ways;
use super::connection::{Connection, Said};
use super::error::{cannot_connect, connect_timed_out};
use super::session::Session;
use super::tls::Tls;

use crate::database::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Manage;
use crate::url::{self, SslMode};

/// Where to connect to, and what to tell a new connection.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Config,
    /// Host, port and database, for messages.
    place: String,
    /// How to use TLS, and how if that does not work.
    modes: (config::SslMode, Option<config::SslMode>),
    tls: Tls,
    /// How to get there to stop a statement.
    ways: Arc<Ways>,
    session: Arc<Session>,
}

/// Where to pass on what is said on channels.
type Saying = mpsc::UnboundedSender<Said>;

/// How long a server may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long without a word the kernel asks whether the other side is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long to leave a server alone that says that it starts up.
const STARTING_UP: Duration = Duration::from_millis(100);

impl Connector {
    /// Reads the URL; connects to nothing yet.
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        let (url, options) = url::split(url)?;
        let config = configure(&url, settings)?;
        let tls = Tls::new(&options)?;
        Ok(Self {
            place: place_of(&config),
            modes: modes(options.mode, &config),
            ways: Arc::new(Ways::new(&config, tls.clone())),
            tls,
            session: Arc::new(Session::new(settings, options.pooled)),
            config,
        })
    }

    /// Whether connections are shared with others between transactions.
    pub(super) fn is_pooled(&self) -> bool {
        self.session.is_pooled()
    }

    pub(super) async fn connect(&self) -> Result<Connection> {
        self.connect_with(None).await
    }

    /// Connects with a listener to what is said on channels.
    pub(super) async fn connect_to_listen(&self, said: Saying) -> Result<Connection> {
        self.connect_with(Some(said)).await
    }

    async fn connect_with(&self, said: Option<Saying>) -> Result<Connection> {
        let limit = self.config.get_connect_timeout();
        let limit = limit.copied().unwrap_or(CONNECT_TIMEOUT);
        let deadline = Instant::now() + limit;
        loop {
            match tokio::time::timeout_at(deadline, self.set_up(said.clone())).await {
                Ok(Err(error)) if is_starting(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(STARTING_UP).await;
                }
                Ok(result) => return result.map_err(|error| cannot_connect(&error, &self.place)),
                Err(_) => return Err(connect_timed_out(limit, &self.place)),
            }
        }
    }

    async fn set_up(&self, said: Option<Saying>) -> Result<Connection, tokio_postgres::Error> {
        let connection = self.reach(said).await?;
        match self.session.start() {
            Some(settings) => connection.client().batch_execute(&settings).await?,
            None => connection.meet_types().await?,
        }
        Ok(connection)
    }

    /// Connects with or without TLS; where both will do, the error is that of the first choice.
    async fn reach(&self, said: Option<Saying>) -> Result<Connection, tokio_postgres::Error> {
        let (first, second) = self.modes;
        match (self.reach_by(first, said.clone()).await, second) {
            (Err(error), Some(second)) if may_be_about_tls(&error) => {
                self.reach_by(second, said).await.map_err(|_| error)
            }
            (result, _) => result,
        }
    }

    async fn reach_by(
        &self,
        mode: config::SslMode,
        said: Option<Saying>,
    ) -> Result<Connection, tokio_postgres::Error> {
        let mut config = self.config.clone();
        config.ssl_mode(mode);
        let (client, driver) = config.connect(self.tls.clone()).await?;
        {
            let (ways, session) = (Arc::clone(&self.ways), Arc::clone(&self.session));
            Ok(Connection::new(client, driver, ways, session, said))
        }
    }
}

impl Manage for Arc<Connector> {
    type Conn = Connection;

    async fn connect(&self) -> Result<Connection> {
        Connector::connect(self).await
    }

    fn is_usable(&self, conn: &Connection) -> bool {
        conn.is_usable()
    }

    async fn ping(&self, conn: &mut Connection) -> bool {
        conn.client().check_connection().await.is_ok()
    }

    fn abandon(&self, conn: Connection) {
        conn.cancel_and_close();
    }
}

/// A server that was just started takes no connections yet.
fn is_starting(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::CANNOT_CONNECT_NOW)
}

/// Whether a connection may come about with another use of TLS: the handshake failed, or the
/// server has heard no more than how we came and does not like it.
fn may_be_about_tls(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|code| {
        *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            || *code == SqlState::PROTOCOL_VIOLATION
    })
}

/// What to try and what to try then. Sockets of the same machine need no TLS.
fn modes(mode: SslMode, config: &Config) -> (config::SslMode, Option<config::SslMode>) {
    use config::SslMode::{Disable, Prefer, Require};
    let is_remote = |host: &Host| matches!(host, Host::Tcp(_));
    if !config.get_hosts().iter().any(is_remote) && config.get_hostaddrs().is_empty() {
        return (Disable, None);
    }
    match mode {
        SslMode::Disable => (Disable, None),
        SslMode::Allow => (Disable, Some(Require)),
        SslMode::Prefer => (Prefer, Some(Disable)),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Require, None),
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
    if config.get_keepalives_idle() > KEEP_ALIVE {
        config.keepalives_idle(KEEP_ALIVE);
        config.keepalives_interval(KEEP_ALIVE / 6);
        config.keepalives_retries(6);
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
