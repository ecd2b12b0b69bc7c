//! Introspection: what tables a database holds, in one vocabulary for every backend.
//!
//! [`Database::schema`](crate::Database::schema) looks at the current schema (PostgreSQL) or
//! database (MySQL) only, and shows tables: no views, nothing of the server's own, and not the
//! two tables in which migrations keep their books. The same portable migration gives the same
//! [`Table`]s on every backend, except for what a backend alone can know: its own type names,
//! the names that it makes up for constraints, and its own way to write an expression down.
//!
//! What must be unique is a [`UniqueKey`] whether it was declared as a constraint or as an index,
//! because MySQL does not know the difference. Checks that only stand in for a type (a boolean on
//! SQLite, JSON on MariaDB) and indexes that only serve a foreign key (MySQL) are left out.

use std::collections::HashMap;

use crate::dialect::Dialect;
use crate::error::Result;
use crate::row::Scalar;
use crate::sql::LogicalType;
use crate::{Database, Executor, Params, params};

mod assemble;
mod default;
mod difference;
mod model;
mod mysql;
mod postgres;
mod sqlite;
mod storage;

pub use self::difference::{Difference, Scope, differences};
pub use self::model::{
    Check, Column, DefaultValue, ForeignKey, Generated, Index, IndexKey, OnDelete, Table, UniqueKey,
};

use self::assemble::Facts;

/// The tables in which migrations keep their books.
pub(crate) const LEDGER: &str = "athena_migrations";
pub(crate) const COLUMNS: &str = "athena_columns";

/// Looks at the tables of a database; [`Database::schema`] makes one.
///
/// Over a [`Tx`](crate::Tx) it sees what the transaction sees, its own changes included.
#[derive(Debug)]
pub struct Schema<'a, E = Database> {
    executor: &'a E,
}

/// The column that the database numbers by itself, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The column.
    pub column: String,
    /// The highest number given out; 0 if none was.
    pub last: i64,
}

impl<'a, E: Executor> Schema<'a, E> {
    /// Looks at the tables that a database or a transaction sees.
    #[must_use]
    pub const fn of(executor: &'a E) -> Self {
        Self { executor }
    }

    /// Describes all tables, in alphabetic order.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`].
    pub async fn tables(&self) -> Result<Vec<Table>> {
        let dialect = self.executor.dialect();
        let facts: Facts = match dialect {
            Dialect::Sqlite => sqlite::facts(self.executor).await?,
            Dialect::Postgres => postgres::facts(self.executor).await?,
            Dialect::MySql => mysql::facts(self.executor).await?,
        };
        let recorded = self.recorded_types().await?;
        Ok(assemble::tables(dialect, facts, &recorded))
    }

    /// Describes one table, or returns `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`].
    pub async fn table(&self, name: &str) -> Result<Option<Table>> {
        let tables = self.tables().await?;
        Ok(tables.into_iter().find(|table| table.name == name))
    }

    /// Lists the names of all tables, in alphabetic order.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`].
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let names: Vec<Scalar<String>> = self.executor.fetch_all(TABLES, Params::new()).await?;
        let names = names.into_iter().map(|Scalar(name)| name);
        Ok(names.filter(|name| !is_ledger(name)).collect())
    }

    /// Tells whether a table of exactly that name exists; a view is none.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`].
    pub async fn table_exists(&self, name: &str) -> Result<bool> {
        let sql = crate::sql! {
            sqlite: "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name = :name",
            postgres: "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND c.relname = :name",
            mysql: "SELECT count(*) FROM information_schema.tables
                    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name = :name",
        };
        let Scalar(count): Scalar<i64> =
            self.executor.fetch_one(sql, params! { name: name }).await?;
        Ok(count > 0)
    }

    /// Returns the column that the database numbers, and the last number; `None` if the table has
    /// no such column.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`].
    pub async fn identity(&self, table: &str) -> Result<Option<Identity>> {
        let found = match self.executor.dialect() {
            Dialect::Sqlite => sqlite::identity(self.executor, table).await?,
            Dialect::Postgres => postgres::identity(self.executor, table).await?,
            Dialect::MySql => mysql::identity(self.executor, table).await?,
        };
        Ok(found.map(|(column, last)| Identity { column, last }))
    }

    /// Makes the numbers that the database gives out continue behind all rows of the table and
    /// behind `at_least`; never steps back. Returns whether the table has numbers at all.
    ///
    /// For rows that came with their ids, as in a copy: PostgreSQL would give the same ids again.
    /// On MySQL this ends the transaction that it runs in.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`].
    pub async fn advance_identity(&self, table: &str, at_least: i64) -> Result<bool> {
        let Some(identity) = self.identity(table).await? else {
            return Ok(false);
        };
        let dialect = self.executor.dialect();
        let newest = format!(
            "SELECT COALESCE(MAX({}), 0) FROM {}",
            dialect.quote(&identity.column),
            dialect.quote(table)
        );
        let Scalar(newest): Scalar<i64> = self.executor.fetch_one(newest, Params::new()).await?;
        let last = newest.max(at_least).max(identity.last);
        if last > 0 {
            self.set_identity(table, &identity.column, last).await?;
        }
        Ok(true)
    }

    async fn set_identity(&self, table: &str, column: &str, last: i64) -> Result<()> {
        match self.executor.dialect() {
            Dialect::Sqlite => sqlite::set_identity(self.executor, table, last).await,
            Dialect::Postgres => postgres::set_identity(self.executor, table, column, last).await,
            Dialect::MySql => mysql::set_identity(self.executor, table, last).await,
        }
    }

    /// Reads what the migrations wrote down about the columns.
    async fn recorded_types(&self) -> Result<Recorded> {
        if !self.table_exists(COLUMNS).await? {
            return Ok(Recorded::new());
        }
        let lines: Vec<(String, String, String)> = self
            .executor
            .fetch_all(
                "SELECT table_name, column_name, logical_type FROM athena_columns",
                Params::new(),
            )
            .await?;
        let known = lines.into_iter().filter_map(|(table, column, logical)| {
            // A type that a newer version wrote down is as good as none.
            Some(((table, column), logical.parse().ok()?))
        });
        Ok(known.collect())
    }
}

/// Logical types by table and column.
type Recorded = HashMap<(String, String), LogicalType>;

fn is_ledger(table: &str) -> bool {
    table == LEDGER || table == COLUMNS
}

const TABLES: crate::Sql = crate::sql! {
    sqlite: "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    postgres: "SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE \"C\"",
    mysql: "SELECT table_name AS name FROM information_schema.tables
            WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY BINARY table_name",
};
