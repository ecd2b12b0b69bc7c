//! The line in the target's ledger that says that a copy is not finished, and whose turn it is.
//!
//! It stands under a set of its own, and is the first thing that a copy writes: whoever writes it
//! has the target. Only then is the target looked at. What was found to be empty is confirmed in
//! the same line, so that a later run knows whether the rows that it finds can be a copy's.
//!
//! Each run that takes the target over counts the line up, and writes only while the number is its
//! own: of two copies at once, the later one goes on alone.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::refused;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::{CopyError, Result};
use crate::executor::Executor;
use crate::migrate::{Turn, UNFINISHED_COPY};
use crate::params::Params;
use crate::row::Scalar;
use crate::schema::{LEDGER, Schema};
use crate::transaction::{Tx, TxOptions};
use crate::{FromRow, params};

/// The longest name of a source that is kept.
const NAME_LENGTH: usize = 200;

/// How long others may take to end what they are writing into the target.
const PATIENCE: Duration = Duration::from_secs(60);

/// The right to write into a target.
#[derive(Debug)]
pub(super) struct Marker {
    attempt: i64,
    /// Whether the target was found to be empty, by this run or an earlier one.
    confirmed: bool,
}

/// The marker as it stands in the ledger.
#[derive(Debug, FromRow)]
struct Line {
    name: String,
    checksum: String,
    statements_done: i64,
    statements_begun: i64,
}

impl Marker {
    /// Takes over the unfinished copy of the same source, or marks the target.
    pub(super) async fn claim(target: &Database, source: &str) -> Result<Self> {
        // A migration that is under way ends first, and the next one meets the marker.
        let turn = Turn::begin(target).await?;
        let claimed = match take_over(&turn, source).await {
            Ok(None) => set(&turn, source).await,
            Ok(Some(marker)) => Ok(marker),
            Err(error) => Err(error),
        };
        turn.end(claimed).await
    }

    /// Whether the target may hold rows that an earlier run has copied.
    pub(super) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Makes sure that a target that was marked just now is empty, and returns the tables that it
    /// has; else takes the marker away again.
    pub(super) async fn confirm(
        &mut self,
        target: &Database,
        declared: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        match self.find_empty(target, declared).await {
            Ok(found) => {
                self.confirmed = true;
                Ok(found)
            }
            Err(error) => {
                // Nothing was copied yet, so nobody needs the marker; the first error is the cause.
                let _ = self.remove(target).await;
                Err(error)
            }
        }
    }

    async fn find_empty(
        &self,
        target: &Database,
        declared: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        let options = TxOptions::default().with_deadline(PATIENCE);
        let tx = target.begin(options).await?;
        match self.find_empty_within(&tx, declared).await {
            Ok(found) => tx.commit().await.map(|()| found),
            Err(error) => {
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn find_empty_within(
        &self,
        tx: &Tx<'_>,
        declared: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        self.hold(tx).await?;
        let found = declared_in(tx, declared).await?;
        check_empty_for_good(tx, &found).await?;
        Ok(found)
    }

    /// Makes sure, until the transaction ends, that no other run has taken over.
    pub(super) async fn hold(&self, tx: &Tx<'_>) -> Result<()> {
        let held = tx
            .execute(
                "UPDATE athena_migrations SET statements_begun = statements_begun + 1
                 WHERE set_name = :set_name AND statements_done = :attempt",
                params! { set_name: UNFINISHED_COPY, attempt: self.attempt },
            )
            .await?;
        if held == 1 {
            return Ok(());
        }
        let message = "another copy into the same target has taken over".to_owned();
        Err(refused(CopyError::TakenOver, message))
    }

    /// Makes the target an ordinary store.
    pub(super) async fn remove(&self, target: &Database) -> Result<()> {
        let removed = target
            .execute(
                "DELETE FROM athena_migrations WHERE set_name = :set_name AND statements_done = :attempt",
                params! { set_name: UNFINISHED_COPY, attempt: self.attempt },
            )
            .await?;
        if removed == 1 {
            return Ok(());
        }
        let message = "another copy into the same target has taken over".to_owned();
        Err(refused(CopyError::TakenOver, message))
    }
}

/// Refuses a target in which one of the tables has rows.
pub(super) async fn check_empty(target: &impl Executor, tables: &BTreeSet<String>) -> Result<()> {
    check_without_rows(target, tables, "").await
}

async fn check_without_rows(
    target: &impl Executor,
    tables: &BTreeSet<String>,
    lock: &str,
) -> Result<()> {
    for table in tables {
        let quoted = target.dialect().quote(table);
        let sql = format!("SELECT 1 FROM {quoted} LIMIT 1 {lock}");
        let row: Option<Scalar<i64>> = target.fetch_opt(sql, Params::new()).await?;
        if row.is_some() {
            let message = format!(
                "the target is not empty: its table `{table}` has rows; copy into an empty database"
            );
            let table = table.clone();
            return Err(refused(CopyError::NotEmpty { table }, message));
        }
    }
    Ok(())
}

/// Lists the tables that a database has of those that are declared.
pub(super) async fn declared_in(
    db: &impl Executor,
    declared: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let names = Schema::of(db).table_names().await?;
    let found = names.into_iter().filter(|name| declared.contains(name));
    Ok(found.collect())
}

/// As [`check_empty`], and waits for those who are writing into the tables: their rows cannot be
/// seen yet.
async fn check_empty_for_good(tx: &Tx<'_>, tables: &BTreeSet<String>) -> Result<()> {
    let lock = match tx.dialect() {
        // There is one writer, and here it is.
        Dialect::Sqlite => "",
        Dialect::Postgres => {
            lock_tables(tx, tables).await?;
            ""
        }
        Dialect::MySql => "LOCK IN SHARE MODE",
    };
    check_without_rows(tx, tables, lock).await
}

async fn lock_tables(tx: &Tx<'_>, tables: &BTreeSet<String>) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let tables = tables.iter().map(|table| tx.dialect().quote(table));
    let tables = tables.collect::<Vec<_>>().join(", ");
    let lock = format!("LOCK TABLE {tables} IN SHARE MODE");
    tx.execute(lock, Params::new()).await.map(|_| ())
}

async fn set(turn: &Turn, source: &str) -> Result<Marker> {
    let attempt = 1;
    turn.execute(
        "INSERT INTO athena_migrations (set_name, version, name, checksum, dialect, statements_done, started_at)
         VALUES (:set_name, 1, :name, :checksum, :dialect, :attempt, :now)",
        params! {
            set_name: UNFINISHED_COPY,
            name: source.chars().take(NAME_LENGTH).collect::<String>(),
            checksum: checksum(source),
            dialect: turn.dialect().name(),
            attempt: attempt,
            now: Timestamp::now(),
        },
    )
    .await?;
    Ok(Marker {
        attempt,
        confirmed: false,
    })
}

async fn take_over(turn: &Turn, source: &str) -> Result<Option<Marker>> {
    let Some(line) = line(turn).await? else {
        return Ok(None);
    };
    line.check(source)?;
    turn.execute(
        "UPDATE athena_migrations SET statements_done = statements_done + 1 WHERE set_name = :set_name",
        params! { set_name: UNFINISHED_COPY },
    )
    .await?;
    Ok(Some(Marker {
        attempt: line.statements_done + 1,
        confirmed: line.statements_begun > 0,
    }))
}

/// Whether the target holds an unfinished copy of this source; that of another one is refused.
pub(super) async fn is_marked(target: &Database, source: &str) -> Result<bool> {
    if !Schema::of(target).table_exists(LEDGER).await? {
        return Ok(false);
    }
    match line(target).await? {
        Some(line) => line.check(source).map(|()| true),
        None => Ok(false),
    }
}

async fn line(db: &impl Executor) -> Result<Option<Line>> {
    db.fetch_opt(
        "SELECT name, checksum, statements_done, statements_begun FROM athena_migrations WHERE set_name = :set_name",
        params! { set_name: UNFINISHED_COPY },
    )
    .await
}

impl Line {
    /// Refuses another source than the one that the copy was begun from.
    fn check(&self, source: &str) -> Result<()> {
        if self.checksum == checksum(source) {
            return Ok(());
        }
        let name = self.name.clone();
        let message = format!(
            "the target holds the unfinished copy of `{name}`; go on with that source, or empty the target"
        );
        Err(refused(CopyError::OtherSource { source: name }, message))
    }
}

fn checksum(source: &str) -> String {
    let digest = Sha256::digest(source.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
