//! The ledger: which migrations a store has, and which logical types its columns.

use jiff::Timestamp;

use super::refusal;
use super::set::MigrationFile;
use crate::error::Result;
use crate::executor::Executor;
use crate::params::Params;
use crate::plan::Sql;
use crate::schema::{LEDGER, Schema};
use crate::sql::{ColumnChange, column_changes, translate};
use crate::{FromRow, params};

/// The tables, in the language of the migrations themselves.
///
/// `statements_begun` runs ahead of `statements_done` while MySQL executes a definition, which it
/// commits by itself.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS athena_migrations (
        set_name VARCHAR(100) NOT NULL,
        version BIGINT NOT NULL,
        name VARCHAR(200) NOT NULL,
        checksum VARCHAR(64) NOT NULL,
        dialect VARCHAR(20) NOT NULL,
        statements_done BIGINT NOT NULL,
        statements_begun BIGINT NOT NULL DEFAULT 0,
        started_at TIMESTAMP,
        finished_at TIMESTAMP,
        PRIMARY KEY (set_name, version)
    );
    CREATE TABLE IF NOT EXISTS athena_columns (
        table_name VARCHAR(64) NOT NULL,
        column_name VARCHAR(64) NOT NULL,
        logical_type VARCHAR(40) NOT NULL,
        PRIMARY KEY (table_name, column_name)
    );";

/// A line of the ledger.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Line {
    set_name: String,
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) checksum: String,
    pub(super) statements_done: i64,
    pub(super) finished_at: Option<Timestamp>,
}

impl Line {
    /// Returns the statements that are done of a migration that is not.
    pub(super) fn unfinished(&self) -> Option<usize> {
        let done = usize::try_from(self.statements_done).unwrap_or_default();
        self.finished_at.is_none().then_some(done)
    }
}

/// Creates the tables of the ledger where they are missing.
pub(super) async fn create(db: &impl Executor) -> Result<()> {
    for statement in translate(db.dialect(), TABLES)? {
        db.execute(statement, Params::new()).await?;
    }
    Ok(())
}

/// The set of the line that stands in the ledger while a copy into the store is not finished.
pub(crate) const UNFINISHED_COPY: &str = "athena_copy";

/// Reads the lines of a set; none if there is no ledger yet. An unfinished copy is refused.
pub(super) async fn read(db: &impl Executor, set: &str) -> Result<Vec<Line>> {
    let lines = read_sets(db, &[set, UNFINISHED_COPY]).await?;
    match lines.iter().find(|line| line.set_name == UNFINISHED_COPY) {
        Some(line) => Err(refusal::unfinished_copy(line)),
        None => Ok(lines),
    }
}

/// As [`read`], for the copy that is not finished.
pub(super) async fn read_within_copy(db: &impl Executor, set: &str) -> Result<Vec<Line>> {
    read_sets(db, &[set]).await
}

async fn read_sets(db: &impl Executor, sets: &[&str]) -> Result<Vec<Line>> {
    if !Schema::of(db).table_exists(LEDGER).await? {
        return Ok(Vec::new());
    }
    db.fetch_all(
        "SELECT set_name, version, name, checksum, statements_done, finished_at
         FROM athena_migrations
         WHERE set_name IN :sets
         ORDER BY version",
        params! { sets: sets.to_vec() },
    )
    .await
}

/// Writes a line for a migration: with `finished_at` as applied, without as just begun.
pub(super) async fn insert(
    db: &impl Executor,
    set: &str,
    file: &MigrationFile<'_>,
    statements_done: usize,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
) -> Result<()> {
    db.execute(
        "INSERT INTO athena_migrations (set_name, version, name, checksum, dialect, statements_done, started_at, finished_at)
         VALUES (:set_name, :version, :name, :checksum, :dialect, :statements_done, :started_at, :finished_at)",
        params! {
            set_name: set,
            version: file.version,
            name: file.name,
            checksum: file.checksum(db.dialect()),
            dialect: db.dialect().name(),
            statements_done: i64::try_from(statements_done).unwrap_or(i64::MAX),
            started_at: started_at,
            finished_at: finished_at,
        },
    )
    .await?;
    Ok(())
}

/// Marks a migration that was begun as applied.
pub(super) async fn finish(db: &impl Executor, set: &str, version: u32) -> Result<()> {
    let sql = "UPDATE athena_migrations SET finished_at = :now WHERE set_name = :set_name AND version = :version";
    let values = params! { now: Timestamp::now(), set_name: set, version: version };
    db.execute(sql, values).await.map(|_| ())
}

/// Writes down the logical types of the columns that a migration declares.
pub(super) async fn record_columns(db: &impl Executor, file: &MigrationFile<'_>) -> Result<()> {
    for change in column_changes(file.sql)? {
        record_column(db, change).await?;
    }
    Ok(())
}

async fn record_column(db: &impl Executor, change: ColumnChange) -> Result<()> {
    let (sql, values): (Sql, Params) = match change {
        ColumnChange::Added(column) => {
            let forget = "DELETE FROM athena_columns WHERE table_name = :table_name AND column_name = :column_name";
            let key = params! { table_name: column.table.as_str(), column_name: column.column.as_str() };
            db.execute(forget, key).await?;
            (
                "INSERT INTO athena_columns (table_name, column_name, logical_type)
                 VALUES (:table_name, :column_name, :logical_type)"
                    .into(),
                params! {
                    table_name: column.table,
                    column_name: column.column,
                    logical_type: column.logical_type.to_string(),
                },
            )
        }
        ColumnChange::Dropped { table, column } => (
            "DELETE FROM athena_columns WHERE table_name = :table_name AND column_name = :column_name".into(),
            params! { table_name: table, column_name: column },
        ),
        ColumnChange::Renamed { table, from, to } => (
            "UPDATE athena_columns SET column_name = :new_name
             WHERE table_name = :table_name AND column_name = :old_name"
                .into(),
            params! { new_name: to, table_name: table, old_name: from },
        ),
        ColumnChange::TableDropped { table } => (
            "DELETE FROM athena_columns WHERE table_name = :table_name".into(),
            params! { table_name: table },
        ),
        ColumnChange::TableRenamed { from, to } => (
            "UPDATE athena_columns SET table_name = :new_name WHERE table_name = :old_name".into(),
            params! { new_name: to, old_name: from },
        ),
    };
    db.execute(sql, values).await.map(|_| ())
}
