//! PostgreSQL: a pool of connections, cached prepared statements, values as the server wants them.

mod bulk;
mod cancel;
mod connection;
mod connector;
mod error;
mod listen;
mod session;
mod statements;
mod tls;
mod types;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use connection::Hint;

use crate::database::Settings;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::listen::{Bus, Feed};
use crate::pool::Limits;
use crate::server::{self, Server};
use connector::Connector;
use listen::Listener;

/// A connection out of the pool.
pub(crate) type Borrowed = server::Lease<Arc<Connector>>;

/// An open transaction.
pub(crate) type Transaction = server::Transaction<Arc<Connector>>;

/// An open PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Server<Arc<Connector>>,
    connector: Arc<Connector>,
    listener: Listener,
}

impl Postgres {
    /// Connects to what the URL names, and fails at once if that is not there.
    pub(crate) async fn open(url: &str, settings: &Settings) -> Result<Self> {
        let connector = Arc::new(Connector::new(url, settings)?);
        Ok(Self {
            server: Server::open(Arc::clone(&connector), Limits::of(settings)).await?,
            connector,
            listener: Listener::default(),
        })
    }

    /// Borrows a connection, which must be the caller's own.
    pub(crate) async fn acquire(&self) -> Result<Borrowed> {
        if self.connector.is_pooled() {
            return Err(Error::unsupported(
                "borrowing one connection through a pooler of transactions",
                Dialect::Postgres,
                "use a transaction",
            ));
        }
        self.server.acquire().await
    }

    /// Listens to a channel and publishes what is said there, for as long as the feed is held.
    pub(crate) async fn listen(&self, bus: &Arc<Bus>, channel: &str) -> Result<Arc<Feed>> {
        self.listener.listen(&self.connector, bus, channel).await
    }

    pub(crate) async fn close(&self, grace: Duration) -> Result<()> {
        self.listener.close();
        self.server.close(grace).await
    }
}

impl Deref for Postgres {
    type Target = Server<Arc<Connector>>;

    fn deref(&self) -> &Self::Target {
        &self.server
    }
}
