//! The calls that run statements, the same on a database, a connection and a transaction.

use std::future::Future;

use futures_util::future::BoxFuture;

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::params::Params;
use crate::plan::{Outcome, PlanCache, Sql, Work};
use crate::row::{FromRow, Row};
use crate::stream::RowStream;
use crate::value::Value;

/// What runs statements: a [`Database`](crate::Database), a [`Conn`](crate::Conn) or a [`Tx`](crate::Tx).
///
/// Functions that take `db: &impl Executor` work inside and outside a transaction. The trait is
/// sealed; the crate alone implements it.
///
/// The futures are boxed, so that they are `Send` wherever they are awaited, whatever type the
/// text of the statement had.
pub trait Executor: Run {
    /// Returns the dialect of the database.
    fn dialect(&self) -> Dialect {
        self.plans().dialect()
    }

    /// Runs a statement and returns the number of rows that it changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MissingParam`](crate::ErrorKind::MissingParam),
    /// [`ErrorKind::UnusedParam`](crate::ErrorKind::UnusedParam) and
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) before anything is sent, else what the database
    /// says.
    fn execute(&self, sql: impl Into<Sql> + Send, params: Params) -> BoxFuture<'_, Result<u64>> {
        let work = self.plans().execute(sql.into(), params);
        Box::pin(async move { self.run(work?).await.map(Outcome::count) })
    }

    /// Runs a statement once for each set of parameters, all or nothing, and returns the number
    /// of rows changed altogether. No sets at all is no error and does nothing.
    ///
    /// An `INSERT … VALUES (:a, :b)` travels in bulk: as arrays or `COPY` on PostgreSQL, with
    /// several rows in a statement on MySQL.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`].
    fn execute_many(
        &self,
        sql: impl Into<Sql> + Send,
        rows: Vec<Params>,
    ) -> BoxFuture<'_, Result<u64>> {
        let work = self.plans().execute_many(sql.into(), rows);
        Box::pin(async move { self.run(work?).await.map(Outcome::count) })
    }

    /// Inserts rows into some columns of a table, all or nothing, and returns their number.
    ///
    /// It is [`Executor::execute_many`] without the naming of every value: for tables that are
    /// known only when the programme runs. Names are taken as they are and quoted.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`], and [`ErrorKind::Type`](crate::ErrorKind::Type) for a row that
    /// has not one value for each column.
    fn insert_rows(
        &self,
        table: &str,
        columns: &[&str],
        rows: Vec<Vec<Value>>,
    ) -> BoxFuture<'_, Result<u64>> {
        let work = self.plans().insert_rows(table, columns, rows);
        Box::pin(async move { self.run(work?).await.map(Outcome::count) })
    }

    /// Runs a statement and returns at most `limit` of its rows.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`].
    fn fetch_rows(
        &self,
        sql: impl Into<Sql> + Send,
        params: Params,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        let work = self.plans().fetch_all::<Row>(sql.into(), params, limit);
        Box::pin(async move { self.run(work?).await?.all() })
    }

    /// Returns all rows.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute`], and [`ErrorKind::Type`](crate::ErrorKind::Type) for a row that
    /// does not fit.
    fn fetch_all<T: FromRow>(
        &self,
        sql: impl Into<Sql> + Send,
        params: Params,
    ) -> BoxFuture<'_, Result<Vec<T>>> {
        let work = self.plans().fetch_all::<T>(sql.into(), params, usize::MAX);
        Box::pin(async move { self.run(work?).await?.all() })
    }

    /// Returns the only row.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`], [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for none
    /// and [`ErrorKind::TooManyRows`](crate::ErrorKind::TooManyRows) for several.
    fn fetch_one<T: FromRow>(
        &self,
        sql: impl Into<Sql> + Send,
        params: Params,
    ) -> BoxFuture<'_, Result<T>> {
        let work = self.plans().fetch_only::<T>(sql.into(), params);
        Box::pin(async move { self.run(work?).await?.only()?.ok_or_else(Error::not_found) })
    }

    /// Returns the only row, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`Executor::fetch_all`], and [`ErrorKind::TooManyRows`](crate::ErrorKind::TooManyRows)
    /// for several.
    fn fetch_opt<T: FromRow>(
        &self,
        sql: impl Into<Sql> + Send,
        params: Params,
    ) -> BoxFuture<'_, Result<Option<T>>> {
        let work = self.plans().fetch_only::<T>(sql.into(), params);
        Box::pin(async move { self.run(work?).await?.only() })
    }

    /// Returns the rows one after the other, read no faster than they are taken.
    ///
    /// At most some hundred rows are held. The statement timeout limits each wait for the next rows,
    /// neither the whole nor the time that the reader takes. On a [`Database`](crate::Database) the stream is a
    /// read-only transaction of its own: it sees one state of the data, a statement that writes
    /// fails, and dropping the stream ends it. In a [`Tx`](crate::Tx), read it to its end: one that is dropped
    /// earlier leaves a transaction that can only be rolled back.
    ///
    /// # Errors
    ///
    /// The items: as [`Executor::fetch_all`]; the stream ends after the first error.
    fn stream<T: FromRow>(&self, sql: impl Into<Sql> + Send, params: Params) -> RowStream<'_, T> {
        match self.plans().stream(sql.into(), params) {
            Ok((work, rows)) => RowStream::new(self.run_stream(work), rows),
            Err(error) => RowStream::failed(error),
        }
    }
}

/// What stands behind an [`Executor`].
pub trait Run: Send + Sync {
    /// Returns the plans of the database.
    fn plans(&self) -> &PlanCache;

    /// Runs one piece of work.
    fn run(&self, work: Work) -> impl Future<Output = Result<Outcome>> + Send;

    /// Runs work that sends its rows away while it goes on.
    fn run_stream(&self, work: Work) -> BoxFuture<'_, Result<Outcome>> {
        Box::pin(self.run(work))
    }
}

impl<T: Run> Executor for T {}
