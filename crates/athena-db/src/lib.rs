//! One asynchronous database for SQLite, PostgreSQL and MySQL: raw SQL, named parameters, no surprises.
//!
//! ```
//! # async fn example() -> athena_db::Result<()> {
//! use athena_db::{Database, Executor, FromRow, TxOptions, params};
//!
//! #[derive(FromRow)]
//! struct Tag {
//!     id: i64,
//!     name: String,
//! }
//!
//! let db = Database::open("sqlite::memory:").await?;
//! db.execute("CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT", params! {}).await?;
//! let name = "rust";
//! db.execute("INSERT INTO tags (name) VALUES (:name)", params! { name: name }).await?;
//!
//! let names = vec!["rust", "sql"];
//! let tag: Tag = db
//!     .fetch_one("SELECT id, name FROM tags WHERE name IN :names", params! { names: names })
//!     .await?;
//! assert_eq!((tag.id, tag.name.as_str()), (1, "rust"));
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
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | open a database, set its pool, close it | [`Database::open`], [`Database::builder`], [`Database::close`] |
//! | run statements, here, in a transaction, on one connection | [`Executor`] |
//! | bind values | [`params!`], [`Value`], [`Params`] for statements that are built |
//! | read rows | [`FromRow`] (derived, tuples, by hand), [`Scalar`], [`Row`] |
//! | read many rows | [`Executor::stream`] |
//! | write many rows | [`Executor::execute_many`], [`Executor::insert_rows`] |
//! | say the same thing in several dialects | [`sql!`], [`Database::dialect`](Executor::dialect) |
//! | change several things or nothing | [`Database::transaction`], [`Database::begin`], [`Tx::nested`] |
//! | make and change tables | [`Migrator`], [`MigrationSet`] |
//! | look at tables | [`Database::schema`] |
//! | hear of changes | [`Database::listen`], [`Tx::notify`] |
//! | act on a failure | [`Error::kind`], [`ErrorKind`] |
//! | watch it | [`Database::ping`], [`Database::statements`], `tracing` spans of the target `athena_db` |
//!
//! # What it promises
//!
//! - The same statement, parameters and rows mean the same on every backend; what cannot is an
//!   error that says so. Values are encoded for the type that the server reports, never guessed
//!   from the Rust type alone.
//! - A missing or an unused parameter is an error that names its nearest relative.
//! - An acknowledged write is durable (see [`Durability`]) and every later read sees it.
//! - A transaction that is dropped is rolled back; a failed one can only be rolled back.
//! - A statement whose future is dropped never answers somebody else's question.
//! - Errors, logs and statistics carry SQL and names, never values.
//!
//! # What it does not do
//!
//! It knows no table of its own except those of the migrations ([`Migrator`]), builds no SQL and
//! maps no objects.
//!
//! # Features
//!
//! `mysql` (default): MySQL and MariaDB.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

// The derive writes `::athena_db`, also in our own tests.
extern crate self as athena_db;

#[doc(hidden)]
mod alarm;
pub mod bench;
mod collect;
mod conn;
mod copy;
mod database;
mod decimal;
mod dialect;
mod error;
mod executor;
mod listen;
mod logical;
mod migrate;
#[cfg(feature = "mysql")]
mod mysql;
mod names;
mod observe;
mod params;
mod plan;
mod pool;
mod postgres;
mod row;
pub mod schema;
mod serial;
mod server;
mod shard;
mod source;
mod sql;
mod sqlite;
mod stream;
mod transaction;
mod url;
mod value;

pub use athena_db_derive::FromRow;
pub use conn::Conn;
pub use copy::{
    Copied, CopyOptions, CopyProgress, CopyStage, Foreign, OnProgress, TableDigest,
    check_copy_source, copy_database, digest_database, foreign_parts,
};
pub use database::{Builder, Database, Durability, Health};
pub use decimal::{Decimal, DecimalError};
pub use dialect::Dialect;
pub use error::{
    CopyError, Error, ErrorKind, Holder, MigrationError, Position, Result, Retry, Stage,
};
pub use executor::Executor;
pub use futures_util::future::BoxFuture;
pub use listen::{Notification, Notifications};
pub use migrate::{
    Adopted, Applied, MigrationFile, MigrationFolder, MigrationSet, MigrationState,
    MigrationStatus, Migrator, Planned, Repair, Repaired, SetProblem,
};
pub use observe::StatementStats;
pub use params::Params;
pub use plan::Sql;
pub use row::{Columns, FromRow, Row, Scalar};
pub use schema::Schema;
#[doc(hidden)]
pub use source::Source;
pub use sql::{
    ColumnChange, ColumnDef, Expanded, LogicalType, Rewritten, Slot, SourceMap, SqlError,
    column_changes, columns, expand_lists, rewrite, token_checksum, translate,
};
pub use stream::{ResultColumn, RowStream};
pub use transaction::{Access, Isolation, Savepoint, Tx, TxOptions};
pub use url::{sqlite_file, sqlite_url};
pub use value::{FromValue, ListItem, Value};
