//! The line in the target's ledger that says that a copy is not finished, and whose turn it is.
//!
//! It stands under a set of its own. Each run that takes the target over counts it up, and writes
//! only while the number is its own: of two copies at once, the later one goes on alone.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::refused;
use crate::database::Database;
use crate::error::{CopyError, Result};
use crate::executor::Executor;
use crate::migrate::UNFINISHED_COPY;
use crate::params;
use crate::schema::{LEDGER, Schema};
use crate::transaction::{Tx, TxOptions};

/// The longest name of a source that is kept.
const NAME_LENGTH: usize = 200;

/// The right to write into a target.
#[derive(Debug)]
pub(super) struct Marker {
    attempt: i64,
}

impl Marker {
    /// Marks a target that has its tables and no rows.
    pub(super) async fn set(target: &Database, source: &str) -> Result<Self> {
        let attempt = 1;
        target
            .execute(
                "INSERT INTO athena_migrations (set_name, version, name, checksum, dialect, statements_done, started_at)
                 VALUES (:set_name, 1, :name, :checksum, :dialect, :attempt, :now)",
                params! {
                    set_name: UNFINISHED_COPY,
                    name: source.chars().take(NAME_LENGTH).collect::<String>(),
                    checksum: checksum(source),
                    dialect: target.dialect().name(),
                    attempt: attempt,
                    now: Timestamp::now(),
                },
            )
            .await?;
        Ok(Self { attempt })
    }

    /// Takes over the unfinished copy of the same source, if there is one.
    pub(super) async fn take_over(target: &Database, source: &str) -> Result<Option<Self>> {
        if !Schema::of(target).table_exists(LEDGER).await? {
            return Ok(None);
        }
        let tx = target.begin(TxOptions::default()).await?;
        tx.execute(
            "UPDATE athena_migrations SET statements_done = statements_done + 1 WHERE set_name = :set_name",
            params! { set_name: UNFINISHED_COPY },
        )
        .await?;
        let found: Option<(String, String, i64)> = tx
            .fetch_opt(
                "SELECT name, checksum, statements_done FROM athena_migrations WHERE set_name = :set_name",
                params! { set_name: UNFINISHED_COPY },
            )
            .await?;
        let Some((name, found, attempt)) = found else {
            tx.rollback().await?;
            return Ok(None);
        };
        if found != checksum(source) {
            tx.rollback().await?;
            let message = format!(
                "the target holds the unfinished copy of `{name}`; go on with that source, or empty the target"
            );
            return Err(refused(CopyError::OtherSource { source: name }, message));
        }
        tx.commit().await?;
        Ok(Some(Self { attempt }))
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

/// Makes sure that an unfinished copy has the tables that the source has now.
pub(super) async fn check_ledger(snapshot: &Tx<'_>, target: &Database) -> Result<()> {
    if versions(snapshot).await? == versions(target).await? {
        return Ok(());
    }
    let message =
        "the unfinished copy was begun before the source was migrated; empty the target and start again"
            .to_owned();
    let source = String::new();
    Err(refused(CopyError::OtherSource { source }, message))
}

async fn versions(db: &impl Executor) -> Result<Vec<(String, i64)>> {
    db.fetch_all(
        "SELECT set_name, version FROM athena_migrations WHERE set_name <> :set_name ORDER BY set_name, version",
        params! { set_name: UNFINISHED_COPY },
    )
    .await
}

fn checksum(source: &str) -> String {
    let digest = Sha256::digest(source.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
