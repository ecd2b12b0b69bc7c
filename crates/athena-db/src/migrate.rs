//! Migrations: numbered scripts that are applied once, in order, by one process at a time.
//!
//! A script is written in the portable subset of [`translate`](crate::translate); where that does
//! not do, a text for one dialect stands beside it and is run as it is. Each migration is one
//! transaction together with its line in the ledger `athena_migrations`, so it is there or not.
//! Processes that start together take turns: each holds the write lock (SQLite) or an advisory
//! lock (PostgreSQL) while it reads the ledger again and applies what is missing.
//!
//! The checksum goes over tokens: white space, comments and line ends may change afterwards, the
//! meaning may not. The logical types of all columns are kept in `athena_columns`, because SQLite
//! would forget that an integer is a boolean or a time.
//!
//! There are no down scripts: expand first, contract in a later version.

use std::time::Duration;

use jiff::Timestamp;

use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, MigrationError, Result};
use crate::executor::Executor;
use crate::params;
use crate::params::Params;
use crate::schema::LEDGER;
use crate::sql;
use crate::sql::{ColumnChange, SqlError, column_changes, token_checksum, translate};
use crate::transaction::{Tx, TxOptions};

/// The migrations of one part of a programme; a store may hold several sets.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// The name in the ledger.
    pub name: &'static str,
    /// The migrations, their versions ascending.
    pub files: &'static [MigrationFile],
}

/// One migration; `include_str!` is the natural source of its texts.
#[derive(Debug, Clone, Copy)]
pub struct MigrationFile {
    /// The version, from 1.
    pub version: u32,
    /// What it does, in a few words: `create_memories`.
    pub name: &'static str,
    /// The script in the portable subset. It declares the columns even where an override runs.
    pub sql: &'static str,
    /// The text for SQLite instead of the script.
    pub sqlite: Option<&'static str>,
    /// The text for PostgreSQL instead of the script.
    pub postgres: Option<&'static str>,
    /// The text for MySQL instead of the script.
    pub mysql: Option<&'static str>,
}

/// Applies a set of migrations to a database; [`Database::migrations`] makes it.
#[derive(Debug)]
pub struct Migrator<'a> {
    db: &'a Database,
    set: &'a MigrationSet,
}

/// What [`Migrator::up`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The versions applied by this call; empty if there was nothing to do.
    pub versions: Vec<u32>,
    /// The version of the store now; 0 if the set is empty.
    pub current: u32,
}

/// One migration and how the store stands to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The version.
    pub version: u32,
    /// The name; of an unknown version the one in the ledger.
    pub name: String,
    /// How the store stands to it.
    pub state: MigrationState,
}

/// How a store stands to a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// It was applied at this time.
    Applied(Timestamp),
    /// It was applied, and edited afterwards.
    Changed(Timestamp),
    /// It was not applied yet.
    Pending,
    /// It was applied and this programme does not know it.
    Unknown(Timestamp),
}

impl MigrationFile {
    /// Makes a migration whose script serves every dialect.
    #[must_use]
    pub const fn new(version: u32, name: &'static str, sql: &'static str) -> Self {
        Self {
            version,
            name,
            sql,
            sqlite: None,
            postgres: None,
            mysql: None,
        }
    }

    fn text_for(&self, dialect: Dialect) -> Option<&'static str> {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
            Dialect::MySql => self.mysql,
        }
    }

    /// Returns the statements to run; an override is one, however many it holds.
    fn statements(&self, dialect: Dialect) -> Result<Vec<String>, SqlError> {
        match self.text_for(dialect) {
            Some(text) => Ok(vec![text.to_owned()]),
            None => translate(dialect, self.sql),
        }
    }

    fn checksum(&self, dialect: Dialect) -> String {
        let digest = token_checksum(self.text_for(dialect).unwrap_or(self.sql));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A line of the ledger.
struct Line {
    version: u32,
    name: String,
    checksum: String,
    finished_at: Timestamp,
}

impl crate::row::FromRow for Line {
    fn from_row(row: &crate::row::Row) -> Result<Self> {
        Ok(Self {
            version: row.get("version")?,
            name: row.get("name")?,
            checksum: row.get("checksum")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

/// A migration may rebuild a big table.
const DEADLINE: Duration = Duration::from_secs(3600);

impl<'a> Migrator<'a> {
    pub(crate) fn new(db: &'a Database, set: &'a MigrationSet) -> Self {
        Self { db, set }
    }

    /// Lists the migrations of the set and the store's unknown ones, by version.
    ///
    /// Changes nothing; a store without a ledger has everything pending.
    ///
    /// # Errors
    ///
    /// What reading the ledger meets.
    pub async fn status(&self) -> Result<Vec<MigrationStatus>> {
        let ledger = self.read_ledger().await?;
        let mut all: Vec<MigrationStatus> = self
            .set
            .files
            .iter()
            .map(|file| self.status_of(file, &ledger))
            .collect();
        let unknown = ledger
            .iter()
            .filter(|line| self.file(line.version).is_none());
        all.extend(unknown.map(|line| MigrationStatus {
            version: line.version,
            name: line.name.clone(),
            state: MigrationState::Unknown(line.finished_at),
        }));
        all.sort_by_key(|status| status.version);
        Ok(all)
    }

    /// Applies what is pending, in order. Safe to call from many processes at once and again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Migration`] if the store is newer than the set, if an applied migration was
    /// edited or is missing, or if a statement fails; nothing of the failed migration stays, the
    /// ones before it do.
    pub async fn up(&self) -> Result<Applied> {
        self.check_set()?;
        let mut versions = Vec::new();
        // The common case, a store that is up to date, takes no lock.
        if self.next_pending(&self.read_ledger().await?)?.is_some() {
            while let Some(version) = self.apply_next().await? {
                versions.push(version);
            }
        }
        let current = self.set.files.last().map_or(0, |file| file.version);
        Ok(Applied { versions, current })
    }

    async fn apply_next(&self) -> Result<Option<u32>> {
        let tx = self
            .db
            .begin(TxOptions::default().with_deadline(DEADLINE))
            .await?;
        self.lock(&tx).await?;
        create_tables(&tx).await?;
        let ledger = read_lines(&tx, self.set.name).await?;
        let Some(file) = self.next_pending(&ledger)? else {
            tx.rollback().await?;
            return Ok(None);
        };
        self.apply(&tx, file).await?;
        tx.commit().await?;
        tracing::info!(target: "athena_db", set = self.set.name, version = file.version, name = file.name, "applied a migration");
        Ok(Some(file.version))
    }

    async fn apply(&self, tx: &Tx<'_>, file: &MigrationFile) -> Result<()> {
        let started_at = Timestamp::now();
        let statements = file
            .statements(tx.dialect())
            .map_err(|error| self.invalid(file, &error))?;
        let count = statements.len();
        for (index, statement) in statements.into_iter().enumerate() {
            tx.batch(statement)
                .await
                .map_err(|error| self.failed(file, index + 1, error))?;
        }
        self.record_columns(tx, file).await?;
        tx.execute(
            "INSERT INTO athena_migrations (set_name, version, name, checksum, dialect, statements_done, started_at, finished_at)
             VALUES (:set_name, :version, :name, :checksum, :dialect, :statements_done, :started_at, :finished_at)",
            params! {
                set_name: self.set.name,
                version: file.version,
                name: file.name,
                checksum: file.checksum(tx.dialect()),
                dialect: tx.dialect().name(),
                statements_done: i64::try_from(count).unwrap_or(i64::MAX),
                started_at: started_at,
                finished_at: Timestamp::now(),
            },
        )
        .await?;
        Ok(())
    }

    async fn record_columns(&self, tx: &Tx<'_>, file: &MigrationFile) -> Result<()> {
        let changes = column_changes(file.sql).map_err(|error| self.invalid(file, &error))?;
        for change in changes {
            record_column(tx, change).await?;
        }
        Ok(())
    }

    /// Keeps other processes out until the transaction ends. SQLite's write lock does that already.
    async fn lock(&self, tx: &Tx<'_>) -> Result<()> {
        match tx.dialect() {
            Dialect::Postgres => {
                tx.batch("SET LOCAL statement_timeout = 0".to_owned())
                    .await?;
                let lock = "SELECT pg_advisory_xact_lock(hashtextextended('athena_migrations ' || current_schema(), 0))";
                tx.fetch_rows(lock, Params::new(), 1).await.map(|_| ())
            }
            Dialect::Sqlite | Dialect::MySql => Ok(()),
        }
    }

    async fn read_ledger(&self) -> Result<Vec<Line>> {
        let exists = self.db.schema().table_exists(LEDGER).await?;
        if exists {
            read_lines(self.db, self.set.name).await
        } else {
            Ok(Vec::new())
        }
    }

    /// Returns the first migration to apply, or says why none may be.
    fn next_pending(&self, ledger: &[Line]) -> Result<Option<&'a MigrationFile>> {
        let known = self.set.files.last().map_or(0, |file| file.version);
        for line in ledger {
            match self.file(line.version) {
                _ if line.version > known => {
                    return Err(self.newer(line.version.max(newest(ledger)), known));
                }
                None => return Err(self.missing(line)),
                Some(file) if file.checksum(self.db.dialect()) != line.checksum => {
                    return Err(self.changed(file));
                }
                Some(_) => {}
            }
        }
        let pending = self
            .set
            .files
            .iter()
            .find(|file| !ledger.iter().any(|line| line.version == file.version));
        match pending {
            Some(file) if file.version < newest(ledger) => {
                Err(self.out_of_order(file, newest(ledger)))
            }
            pending => Ok(pending),
        }
    }

    fn file(&self, version: u32) -> Option<&'a MigrationFile> {
        self.set.files.iter().find(|file| file.version == version)
    }

    fn status_of(&self, file: &MigrationFile, ledger: &[Line]) -> MigrationStatus {
        let state = match ledger.iter().find(|line| line.version == file.version) {
            None => MigrationState::Pending,
            Some(line) if line.checksum == file.checksum(self.db.dialect()) => {
                MigrationState::Applied(line.finished_at)
            }
            Some(line) => MigrationState::Changed(line.finished_at),
        };
        MigrationStatus {
            version: file.version,
            name: file.name.to_owned(),
            state,
        }
    }

    fn check_set(&self) -> Result<()> {
        let mut last = 0;
        for file in self.set.files {
            if file.version <= last {
                let kind = MigrationError::Invalid {
                    set: self.set.name.to_owned(),
                    version: file.version,
                };
                return Err(self.error(
                    kind,
                    format!(
                        "version {} of `{}` does not come after version {last}",
                        file.version, self.set.name
                    ),
                ));
            }
            last = file.version;
        }
        Ok(())
    }

    fn invalid(&self, file: &MigrationFile, error: &SqlError) -> Error {
        let kind = MigrationError::Invalid {
            set: self.set.name.to_owned(),
            version: file.version,
        };
        self.error(
            kind,
            format!(
                "migration {} `{}` of `{}`: {error}",
                file.version, file.name, self.set.name
            ),
        )
    }

    fn failed(&self, file: &MigrationFile, statement: usize, error: Error) -> Error {
        let kind = MigrationError::Failed {
            set: self.set.name.to_owned(),
            version: file.version,
            statement,
        };
        let message = format!(
            "migration {} `{}` of `{}` failed at its statement {statement} and was undone: {error}",
            file.version, file.name, self.set.name
        );
        self.error(kind, message).with_source(error)
    }

    fn newer(&self, found: u32, known: u32) -> Error {
        let kind = MigrationError::NewerStore {
            set: self.set.name.to_owned(),
            found,
            known,
        };
        let message = format!(
            "the store is at version {found} of `{}` and this programme knows version {known}; use a newer programme",
            self.set.name
        );
        self.error(kind, message)
    }

    fn changed(&self, file: &MigrationFile) -> Error {
        let kind = MigrationError::Changed {
            set: self.set.name.to_owned(),
            version: file.version,
        };
        let message = format!(
            "migration {} `{}` of `{}` was edited after it had been applied; restore its text and add a new migration",
            file.version, file.name, self.set.name
        );
        self.error(kind, message)
    }

    fn missing(&self, line: &Line) -> Error {
        let kind = MigrationError::Missing {
            set: self.set.name.to_owned(),
            version: line.version,
        };
        self.error(
            kind,
            format!(
                "the store has migration {} `{}` of `{}` and this programme does not; restore it",
                line.version, line.name, self.set.name
            ),
        )
    }

    fn out_of_order(&self, file: &MigrationFile, newest: u32) -> Error {
        let kind = MigrationError::OutOfOrder {
            set: self.set.name.to_owned(),
            version: file.version,
        };
        let message = format!(
            "migration {} `{}` of `{}` comes too late, the store is at version {newest}; give it a higher version",
            file.version, file.name, self.set.name
        );
        self.error(kind, message)
    }

    fn error(&self, kind: MigrationError, message: String) -> Error {
        Error::new(ErrorKind::Migration(kind), message)
    }
}

fn newest(ledger: &[Line]) -> u32 {
    ledger.iter().map(|line| line.version).max().unwrap_or(0)
}

async fn create_tables(tx: &Tx<'_>) -> Result<()> {
    let ledger = sql! {
        sqlite: "CREATE TABLE IF NOT EXISTS athena_migrations (
                   set_name TEXT NOT NULL,
                   version INTEGER NOT NULL,
                   name TEXT NOT NULL,
                   checksum TEXT NOT NULL,
                   dialect TEXT NOT NULL,
                   statements_done INTEGER NOT NULL,
                   started_at INTEGER NOT NULL,
                   finished_at INTEGER NOT NULL,
                   PRIMARY KEY (set_name, version)
                 ) STRICT",
        postgres: "CREATE TABLE IF NOT EXISTS athena_migrations (
                     set_name TEXT NOT NULL,
                     version BIGINT NOT NULL,
                     name TEXT NOT NULL,
                     checksum TEXT NOT NULL,
                     dialect TEXT NOT NULL,
                     statements_done BIGINT NOT NULL,
                     started_at TIMESTAMPTZ NOT NULL,
                     finished_at TIMESTAMPTZ NOT NULL,
                     PRIMARY KEY (set_name, version)
                   )",
    };
    let columns = sql! {
        sqlite: "CREATE TABLE IF NOT EXISTS athena_columns (
                   table_name TEXT NOT NULL,
                   column_name TEXT NOT NULL,
                   logical_type TEXT NOT NULL,
                   PRIMARY KEY (table_name, column_name)
                 ) STRICT",
        postgres: "CREATE TABLE IF NOT EXISTS athena_columns (
                     table_name TEXT NOT NULL,
                     column_name TEXT NOT NULL,
                     logical_type TEXT NOT NULL,
                     PRIMARY KEY (table_name, column_name)
                   )",
    };
    tx.execute(ledger, Params::new()).await?;
    tx.execute(columns, Params::new()).await?;
    Ok(())
}

async fn read_lines(db: &impl Executor, set: &str) -> Result<Vec<Line>> {
    db.fetch_all(
        "SELECT version, name, checksum, finished_at
         FROM athena_migrations
         WHERE set_name = :set_name
         ORDER BY version",
        params! { set_name: set },
    )
    .await
}

async fn record_column(tx: &Tx<'_>, change: ColumnChange) -> Result<u64> {
    match change {
        ColumnChange::Added(column) => {
            tx.execute(
                "INSERT INTO athena_columns (table_name, column_name, logical_type)
                 VALUES (:table_name, :column_name, :logical_type)
                 ON CONFLICT (table_name, column_name) DO UPDATE SET logical_type = excluded.logical_type",
                params! {
                    table_name: column.table,
                    column_name: column.column,
                    logical_type: column.logical_type.to_string(),
                },
            )
            .await
        }
        ColumnChange::Dropped { table, column } => {
            tx.execute(
                "DELETE FROM athena_columns WHERE table_name = :table_name AND column_name = :column_name",
                params! { table_name: table, column_name: column },
            )
            .await
        }
        ColumnChange::Renamed { table, from, to } => {
            tx.execute(
                "UPDATE athena_columns SET column_name = :new_name WHERE table_name = :table_name AND column_name = :old_name",
                params! { new_name: to, table_name: table, old_name: from },
            )
            .await
        }
        ColumnChange::TableDropped { table } => {
            tx.execute("DELETE FROM athena_columns WHERE table_name = :table_name", params! { table_name: table }).await
        }
        ColumnChange::TableRenamed { from, to } => {
            tx.execute(
                "UPDATE athena_columns SET table_name = :new_name WHERE table_name = :old_name",
                params! { new_name: to, old_name: from },
            )
            .await
        }
    }
}
