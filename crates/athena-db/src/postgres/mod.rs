//! PostgreSQL: a pool of connections, cached prepared statements, values as the server wants them.

mod bulk;
mod cancel;
mod connection;
mod error;
mod listen;
mod pool;
mod server;
mod statements;
mod tls;
mod transaction;
mod types;
mod url;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use connection::Hint;
pub(crate) use pool::Lease as Borrowed;
pub(crate) use transaction::Transaction;

use crate::database::{Health, Settings};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::listen::{Bus, Feed};
use crate::plan::{Outcome, Work};
use crate::pool::Limits;
use crate::transaction::TxOptions;
use connection::before;
use listen::Listener;
use pool::Pool;
use server::Server;

/// An open PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: Pool,
    server: Arc<Server>,
    listener: Listener,
}

impl Postgres {
    /// Connects to what the URL names, and fails at once if that is not there.
    pub(crate) async fn open(url: &str, settings: Settings) -> Result<Self> {
        let server = Arc::new(Server::new(url, &settings)?);
        let pool = Pool::open(Arc::clone(&server), Limits::of(&settings)).await?;
        Ok(Self {
            pool,
            server,
            listener: Listener::default(),
        })
    }

    pub(crate) async fn run(&self, work: Work) -> Result<Outcome> {
        let result = match self.acquire().await?.attempt(&work).await {
            // A pooled connection may have died unnoticed; what it never sent can be sent again.
            Err(failure) if !failure.sent && failure.error.is_connection() => {
                let again = async { self.acquire().await.map_err(before)?.attempt(&work).await };
                Box::pin(again).await
            }
            result => result,
        };
        result.map_err(|failure| failure.error)
    }

    /// A single statement is outside a transaction here unless somebody began one.
    pub(crate) async fn run_alone(&self, work: Work) -> Result<Outcome> {
        self.run(work).await
    }

    pub(crate) async fn begin(&self, options: TxOptions) -> Result<Transaction> {
        Transaction::begin(self.acquire().await?, options).await
    }

    pub(crate) async fn acquire(&self) -> Result<Borrowed> {
        Borrowed::take(&self.pool).await
    }

    /// Listens to a channel and publishes what is said there, for as long as the feed is held.
    pub(crate) async fn listen(&self, bus: &Arc<Bus>, channel: &str) -> Result<Arc<Feed>> {
        self.listener.listen(&self.server, bus, channel).await
    }

    pub(crate) async fn close(&self, grace: Duration) -> Result<()> {
        self.listener.close();
        self.pool.close(grace).await
    }

    pub(crate) fn health(&self, version: String) -> Health {
        let stats = self.pool.stats();
        Health {
            dialect: Dialect::Postgres,
            version,
            size: stats.size,
            idle: stats.idle,
            waiting: stats.waiting,
            oldest: stats.oldest,
            wal_bytes: None,
        }
    }
}
