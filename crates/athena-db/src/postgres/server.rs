//! The server that a URL names, and how a connection to it comes about.

use std::time::Duration;

use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

use super::connection::Connection;
use super::error::{cannot_connect, connect_timed_out};
use crate::database::{Durability, Settings};
use crate::error::{Error, ErrorKind, Result};

/// Where to connect to, and what to tell a new connection.
#[derive(Debug)]
pub(super) struct Server {
    config: Config,
    /// Host, port and database, for messages.
    place: String,
    /// Statements that a new connection starts with.
    session: String,
}

/// How long a server may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Server {
    /// Reads the URL; connects to nothing yet.
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        let config = configure(url, settings)?;
        Ok(Self {
            place: place_of(&config),
            session: session_settings(settings),
            config,
        })
    }

    pub(super) async fn connect(&self) -> Result<Connection> {
        let limit = self
            .config
            .get_connect_timeout()
            .copied()
            .unwrap_or(CONNECT_TIMEOUT);
        match tokio::time::timeout(limit, self.set_up()).await {
            Ok(result) => result.map_err(|error| cannot_connect(&error, &self.place)),
            Err(_) => Err(connect_timed_out(limit, &self.place)),
        }
    }

    async fn set_up(&self) -> Result<Connection, tokio_postgres::Error> {
        let (client, driver) = self.config.connect(NoTls).await?;
        let connection = Connection::new(client, driver);
        connection.client().batch_execute(&self.session).await?;
        Ok(connection)
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
