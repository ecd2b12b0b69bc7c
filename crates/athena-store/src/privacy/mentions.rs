//! Where tokens are mentioned, and what becomes of values that nothing mentions any more.

use super::{audit, sql};
use crate::Write;
use crate::classes::TableClasses;
use crate::store::Store;
use athena_core::Result;
use athena_db::{Dialect, Executor, Scalar, params};
use std::collections::BTreeSet;

/// Tables that hold tokens as such: they do not keep a value alive.
const OWN_TABLES: [&str; 2] = ["pii_vault", "audit_log"];

/// Forgets what tokens of a project stand for, but for those that something else in the store still
/// mentions; returns how many were forgotten. For changes that remove texts for good.
///
/// # Errors
///
/// What the database fails with.
pub async fn forget_values(
    write: &Write<'_>,
    project: &str,
    tokens: &BTreeSet<String>,
) -> Result<u64> {
    let store: &Store = write.ctx().part();
    let mut forgotten = 0;
    for token in tokens {
        if !is_mentioned(write, &store.classes, token).await? {
            forgotten += sql::remove(write.tx(), project, token).await?;
            audit::blank(write, token).await?;
        }
    }
    Ok(forgotten)
}

/// Returns the tokens in a text.
#[must_use]
pub fn tokens_in(text: &str) -> BTreeSet<String> {
    athena_privacy::tokens(text)
        .map(|range| text[range].to_owned())
        .collect()
}

async fn is_mentioned(write: &Write<'_>, classes: &[TableClasses], token: &str) -> Result<bool> {
    for table in classes.iter().filter(|it| !OWN_TABLES.contains(&it.table)) {
        let Some(sql) = mentions(write.tx().dialect(), table) else {
            continue;
        };
        let found: Option<Scalar<i64>> = write
            .tx()
            .fetch_opt(sql, params! { pattern: format!("%{token}%") })
            .await?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks whether a table mentions `:pattern`; `None` if it holds no text that could.
fn mentions(dialect: Dialect, table: &TableClasses) -> Option<String> {
    let conditions = mentioning(dialect, table)?;
    let table = table.table;
    Some(format!("SELECT 1 FROM {table} WHERE {conditions} LIMIT 1"))
}

/// Returns the condition on rows of a table that mention `:pattern`; `None` if it holds no text that
/// could.
pub(super) fn mentioning(dialect: Dialect, table: &TableClasses) -> Option<String> {
    let conditions: Vec<String> = table
        .texts()
        .map(|column| match dialect {
            Dialect::Postgres => format!("CAST({column} AS TEXT) LIKE :pattern"),
            Dialect::Sqlite | Dialect::MySql => format!("{column} LIKE :pattern"),
        })
        .collect();
    (!conditions.is_empty()).then(|| conditions.join(" OR "))
}
