//! Applying migrations where every definition commits by itself: MySQL.
//!
//! The ledger has the line from the beginning and counts the statements. One that changes rows is
//! counted in its own transaction. Before a definition the ledger says that it has begun, so that
//! after a crash in between it is known which statement may have happened; that one alone may find
//! its work done.
//!
//! Each migration has a session of its own, and one that goes on where it stopped has a fresh one:
//! what an override has set (`SET …`, user variables) is gone then, and for all that come after it.

use jiff::Timestamp;

use super::ledger::{self, Line};
use super::set::MigrationFile;
use super::turn::Turn;
use super::{Migrator, batch};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::params;
use crate::params::Params;
use crate::row::Scalar;
use crate::sql::{Form, changes_rows, translate_statement};

/// Applies what is pending, each migration in a session of its own.
pub(super) async fn up(migrator: &Migrator<'_>) -> Result<Vec<u32>> {
    let mut versions = Vec::new();
    while is_pending(migrator).await? {
        let turn = Turn::begin_without_transaction(migrator.db).await?;
        let applied = apply_next(migrator, &turn).await;
        versions.extend(turn.end(applied).await?);
    }
    Ok(versions)
}

async fn is_pending(migrator: &Migrator<'_>) -> Result<bool> {
    let lines = migrator.lines(migrator.db).await?;
    Ok(!migrator.pending(&lines)?.is_empty())
}

/// Returns a statement of a portable script as the database gets it; one that is run in steps, as
/// it was written.
pub(super) fn as_sent(statement: String) -> String {
    if !changes_rows(Dialect::MySql, &statement) {
        return statement;
    }
    match translate_statement(&statement) {
        Ok(sent) if !matches!(sent.form, Form::Keyed(_)) => sent.text,
        _ => statement,
    }
}

async fn apply_next(migrator: &Migrator<'_>, turn: &Turn) -> Result<Option<u32>> {
    let set = migrator.set.name;
    let lines = migrator.lines(turn).await?;
    let Some(file) = migrator.pending(&lines)?.into_iter().next() else {
        return Ok(None);
    };
    let statements = migrator.statements(file)?;
    let line = lines.iter().find(|line| line.version == file.version);
    let done = line.and_then(Line::unfinished).unwrap_or_default();
    if line.is_none() {
        ledger::insert(turn, set, file, 0, Timestamp::now(), None).await?;
    }
    let step = Step {
        migrator,
        turn,
        file,
    };
    let mut in_doubt = step.begun().await? > done;
    for (index, statement) in statements.iter().enumerate().skip(done) {
        step.apply(index, statement, in_doubt).await?;
        in_doubt = false;
    }
    step.finish().await?;
    tracing::info!(target: "athena_db", set, version = file.version, name = file.name, "applied a migration");
    Ok(Some(file.version))
}

/// A migration that is being applied statement by statement.
struct Step<'a> {
    migrator: &'a Migrator<'a>,
    turn: &'a Turn,
    file: &'a MigrationFile<'a>,
}

impl Step<'_> {
    /// Applies one statement, counted from 0. One in doubt may find that it happened before.
    async fn apply(&self, index: usize, statement: &str, in_doubt: bool) -> Result<()> {
        let result = if changes_rows(Dialect::MySql, statement) {
            self.change_rows(index, statement).await
        } else {
            self.define(index, statement, in_doubt).await
        };
        result.map_err(|error| self.migrator.refusal(self.file).failed(index + 1, error))
    }

    async fn change_rows(&self, index: usize, statement: &str) -> Result<()> {
        batch(self.turn, "START TRANSACTION").await?;
        let result = async {
            self.execute(statement).await?;
            self.count("statements_begun", index + 1).await?;
            self.count("statements_done", index + 1).await
        };
        match result.await {
            Ok(()) => batch(self.turn, "COMMIT").await,
            Err(error) => {
                // The error that matters is the first.
                let _ = batch(self.turn, "ROLLBACK").await;
                Err(error)
            }
        }
    }

    async fn define(&self, index: usize, statement: &str, in_doubt: bool) -> Result<()> {
        self.count("statements_begun", index + 1).await?;
        match self.execute(statement).await {
            Err(error) if in_doubt && says_that_it_is_done(&error) => {}
            Err(error) => {
                // The server answered: it did not happen, and there is no doubt next time.
                if error.code().is_some() {
                    self.count("statements_begun", index).await?;
                }
                return Err(error);
            }
            Ok(()) => {}
        }
        self.count("statements_done", index + 1).await
    }

    /// An override is run as it is; in a portable script the rows are changed in portable SQL.
    async fn execute(&self, statement: &str) -> Result<()> {
        let is_override = self.file.text_for(Dialect::MySql).is_some();
        if is_override || !changes_rows(Dialect::MySql, statement) {
            return batch(self.turn, statement).await;
        }
        let done = self.turn.execute(statement.to_owned(), Params::new()).await;
        done.map(|_| ())
    }

    async fn begun(&self) -> Result<usize> {
        let sql = "SELECT statements_begun FROM athena_migrations WHERE set_name = :set_name AND version = :version";
        let values = params! { set_name: self.migrator.set.name, version: self.file.version };
        let Scalar(begun): Scalar<i64> = self.turn.fetch_one(sql, values).await?;
        Ok(usize::try_from(begun).unwrap_or_default())
    }

    async fn count(&self, column: &'static str, statements: usize) -> Result<()> {
        let sql = format!(
            "UPDATE athena_migrations SET {column} = :statements WHERE set_name = :set_name AND version = :version"
        );
        let values = params! {
            statements: i64::try_from(statements).unwrap_or(i64::MAX),
            set_name: self.migrator.set.name,
            version: self.file.version,
        };
        self.turn.execute(sql, values).await.map(|_| ())
    }

    async fn finish(&self) -> Result<()> {
        batch(self.turn, "START TRANSACTION").await?;
        self.migrator.record(self.turn, self.file).await?;
        ledger::finish(self.turn, self.migrator.set.name, self.file.version).await?;
        batch(self.turn, "COMMIT").await
    }
}

/// The codes with which a server says that what a definition makes is there, or what it removes is
/// gone: table, column, key, foreign key, routine, trigger.
fn says_that_it_is_done(error: &Error) -> bool {
    let codes = [
        "1050", "1051", "1054", "1060", "1061", "1091", "1146", "1304", "1305", "1359", "1360",
        "1826",
    ];
    error.code().is_some_and(|code| codes.contains(&code))
}
