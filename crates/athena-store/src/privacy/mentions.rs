//! Where tokens are mentioned, and what becomes of values that nothing mentions any more.

use super::{audit, sql};
use crate::Write;
use crate::classes::TableClasses;
use crate::store::Store;
use athena_core::Result;
use athena_db::{Dialect, Executor, Row, Value, params};
use std::collections::BTreeSet;

/// What every text with a token is like.
pub(super) const ANY_TOKEN: &str = "%:________________]%";

/// Tables that hold tokens as such: they do not keep a value alive.
const OWN_TABLES: [&str; 2] = ["pii_vault", "audit_log"];

/// The table of the values themselves.
const VAULT: [&str; 1] = ["pii_vault"];

/// Forgets what tokens of a project stand for, but for those that something else in the store still
/// mentions; returns how many were forgotten. For changes that remove texts for good.
///
/// Values go too that nothing mentions any more since a text was changed, or that were only ever
/// asked for.
///
/// # Errors
///
/// What the database fails with.
pub async fn forget_values(
    write: &Write<'_>,
    project: &str,
    tokens: &BTreeSet<String>,
) -> Result<u64> {
    let mut gone = tokens.clone();
    drop_all_mentioned(write, &OWN_TABLES, &mut gone).await?;
    audit::blank(write, &gone).await?;
    let unused = forget_unused(write, project, &gone).await?;
    Ok(sql::remove(write.tx(), project, &gone).await? + unused)
}

/// Forgets the values of a project that nothing mentions, the audit log neither; returns how many.
///
/// Who is about to mention one of them holds the key until the commit, and is waited for.
async fn forget_unused(write: &Write<'_>, project: &str, gone: &BTreeSet<String>) -> Result<u64> {
    let mut unused = sql::kept(write.tx(), project).await?;
    unused.retain(|token| !gone.contains(token));
    drop_all_mentioned(write, &VAULT, &mut unused).await?;
    if unused.is_empty() {
        return Ok(0);
    }
    sql::lock_key(write.tx()).await?;
    drop_all_mentioned(write, &VAULT, &mut unused).await?;
    sql::remove(write.tx(), project, &unused).await
}

/// Takes out of `tokens` those that any table but some mentions.
async fn drop_all_mentioned(
    write: &Write<'_>,
    but: &[&str],
    tokens: &mut BTreeSet<String>,
) -> Result<()> {
    let store: &Store = write.ctx().part();
    for table in store.classes.iter().filter(|it| !but.contains(&it.table)) {
        if let Some(pattern) = pattern(tokens) {
            drop_mentioned(write, table, pattern, tokens).await?;
        }
    }
    Ok(())
}

/// Returns the tokens in a text.
#[must_use]
pub fn tokens_in(text: &str) -> BTreeSet<String> {
    athena_privacy::tokens(text)
        .map(|range| text[range].to_owned())
        .collect()
}

/// Takes out of `tokens` those that a table mentions in texts like `pattern`.
async fn drop_mentioned(
    write: &Write<'_>,
    table: &TableClasses,
    pattern: String,
    tokens: &mut BTreeSet<String>,
) -> Result<()> {
    let Some(mut sql) = mentions(write.tx().dialect(), table) else {
        return Ok(());
    };
    if tokens.len() == 1 {
        sql.push_str(" LIMIT 1");
    }
    let mut rows = write.tx().stream::<Row>(sql, params! { pattern: pattern });
    // To the end, whatever is found: who leaves a statement half-way can only roll back.
    while let Some(row) = rows.next().await {
        for value in row?.values() {
            if let Value::Text(text) = value {
                for range in athena_privacy::tokens(text) {
                    tokens.remove(&text[range]);
                }
            }
        }
    }
    Ok(())
}

/// Returns what texts that mention one of these tokens are like.
///
/// One token has a pattern of its own. Several share one, which other texts with tokens fit too:
/// reading those once costs less than comparing every text with every token.
fn pattern(tokens: &BTreeSet<String>) -> Option<String> {
    match tokens.len() {
        0 => None,
        1 => tokens.first().map(|token| format!("%{token}%")),
        _ => Some(ANY_TOKEN.to_owned()),
    }
}

/// Reads the texts of the rows of a table that mention `:pattern`; `None` if it holds no text that
/// could.
fn mentions(dialect: Dialect, table: &TableClasses) -> Option<String> {
    let conditions = mentioning(dialect, table)?;
    let kind = if dialect == Dialect::MySql {
        "CHAR"
    } else {
        "TEXT"
    };
    let texts: Vec<String> = table
        .texts()
        .map(|column| format!("CAST({column} AS {kind})"))
        .collect();
    let (texts, table) = (texts.join(", "), table.table);
    Some(format!("SELECT {texts} FROM {table} WHERE {conditions}"))
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
