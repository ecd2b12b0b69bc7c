//! MySQL and MariaDB: cached prepared statements, portable statements translated.
//!
//! Tested on MariaDB 10.11. MySQL 8 is spoken to where it differs, untested.
//!
//! The driver's own pool is not used: it forgets every prepared statement when a connection comes
//! back.

mod connection;
mod error;
mod implicit;
mod keys;
mod options;
mod types;

use crate::database::Settings;
use crate::error::Result;
use crate::pool::Limits;
use crate::server::{self, Server};
use connection::Connector;

/// An open MySQL database.
pub(crate) type MySql = Server<Connector>;

/// A connection out of the pool.
pub(crate) type Borrowed = server::Lease<Connector>;

/// An open transaction.
pub(crate) type Transaction = server::Transaction<Connector>;

/// Connects to what the URL names, and fails at once if that is not there.
pub(crate) async fn open(url: &str, settings: &Settings) -> Result<MySql> {
    let connector = Connector::new(url, settings)?;
    Server::open(connector, Limits::of(settings)).await
}
