//! One asynchronous database for SQLite and PostgreSQL: raw SQL, named parameters, no surprises.
//!
//! ```
//! # async fn example() -> athena_db::Result<()> {
//! use athena_db::{Database, Executor, TxOptions, params};
//!
//! let db = Database::open("sqlite::memory:").await?;
//! db.execute("CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT", params! {}).await?;
//! let name = "rust";
//! db.execute("INSERT INTO tags (name) VALUES (:name)", params! { name: name }).await?;
//!
//! let (id, name): (i64, String) = db
//!     .fetch_one("SELECT id, name FROM tags WHERE name IN :names", params! { names: vec!["rust", "sql"] })
//!     .await?;
//! assert_eq!((id, name.as_str()), (1, "rust"));
//!
//! db.transaction(TxOptions::default(), |tx| {
//!     Box::pin(async move { tx.execute("DELETE FROM tags", params! {}).await })
//! })
//! .await?;
//! # db.close().await
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # What it promises
//!
//! - The same statement, parameters and rows mean the same on every backend; what cannot is an
//!   error that says so. Values are encoded for the type that the server reports, never guessed
//!   from the Rust type alone.
//! - A missing or an unused parameter is an error that names its nearest relative.
//! - An acknowledged write is durable (see [`Durability`]) and every later read sees it.
//! - A transaction that is dropped is rolled back; a failed one can only be rolled back.
//! - Errors and logs carry SQL and names, never values.
//!
//! # What it does not do
//!
//! It knows no table of its own except the migration ledger ([`Migrator`]), builds no SQL and
//! maps no objects.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

// The derive writes `::athena_db`, also in our own tests.
extern crate self as athena_db;

mod conn;
mod database;
mod decimal;
mod dialect;
mod error;
mod executor;
mod migrate;
mod observe;
mod params;
mod plan;
mod postgres;
mod row;
mod sql;
mod sqlite;
mod stream;
mod transaction;
mod value;

pub use athena_db_derive::FromRow;
pub use conn::Conn;
pub use database::{Builder, Database, Durability, Health};
pub use decimal::{Decimal, DecimalError};
pub use dialect::Dialect;
pub use error::{Error, ErrorKind, Holder, MigrationError, Position, Result, Retry, Stage};
pub use executor::Executor;
pub use futures_util::future::BoxFuture;
pub use migrate::{
    Applied, MigrationFile, MigrationSet, MigrationState, MigrationStatus, Migrator,
};
pub use observe::StatementStats;
pub use params::Params;
pub use plan::Sql;
pub use row::{Columns, FromRow, Row, Scalar};
pub use sql::{
    ColumnChange, ColumnDef, Expanded, LogicalType, Rewritten, Slot, SourceMap, SqlError,
    column_changes, columns, expand_lists, rewrite, token_checksum, translate,
};
pub use stream::RowStream;
pub use transaction::{Access, Isolation, Savepoint, Tx, TxOptions};
pub use value::{FromValue, ListItem, Value};
